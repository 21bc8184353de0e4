package once_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// plan is one history of the world, drawn before it begins so that it can be made smaller when it fails.
type plan struct {
	workers   int
	atomic    bool  // a state and its line of the history are made durable together
	quick     bool  // answers show that what was made is what was wanted
	chains    []int // policies, each with so many versions
	clones    int
	sends     map[string][]fault
	looks     map[string][]glance
	lateBy    time.Duration
	lives     []life // before the last one, which nothing ends
	strangers []meddling
}

// life is how a process ends: after so many places to die, or by an interruption, or by itself when both are 0.
type life struct {
	dieAt      int
	interrupt  time.Duration
	deadBefore time.Duration // from this end to the next start
}

type meddling struct {
	name string
	at   time.Duration
}

// targets are the first items of a plan and all that follow.
func (p plan) targets() (first, all []target) {
	for i, versions := range p.chains {
		name := fmt.Sprint("p", i)
		first = append(first, target{item: name, name: name})
		for n := range versions + 1 {
			all = append(all, edition(name, n))
		}
	}
	for i := range p.clones {
		name := fmt.Sprint("c", i)
		t := target{item: name, name: name, clone: true}
		first, all = append(first, t), append(all, t)
	}
	return first, all
}

func edition(name string, n int) target {
	if n == 0 {
		return target{item: name, name: name}
	}
	return target{item: fmt.Sprint(name, "/", n), name: name, number: n}
}

// item is the change that makes a target; versions follow one another.
func (p *process) item(t target) job.Item {
	e := once.Effect[int64, int64]{
		Wanted: t.content(), Settle: window, Poll: 4 * time.Second, Patience: 24 * time.Hour, Log: p.log,
		Baseline: func(ctx context.Context) (int64, int64, error) { return p.baseline(ctx, t) },
		Send:     func(ctx context.Context, m once.Memo[int64, int64]) (reply, error) { return p.send(ctx, t, m) },
		Find:     func(ctx context.Context, m once.Memo[int64, int64]) (found, error) { return p.find(ctx, t, m) },
		Verify:   func(ctx context.Context, m once.Memo[int64, int64]) error { return p.verify(ctx, t, m) },
		Finalise: func(ctx context.Context, _ once.Memo[int64, int64]) error { return p.request(ctx) },
		Then: func(once.Memo[int64, int64]) []job.Item {
			if i := slices.Index(p.names(), t.name); i >= 0 && t.number < p.chains[i] {
				return []job.Item{p.item(edition(t.name, t.number+1))}
			}
			return nil
		},
	}
	if p.atomic {
		e.Log, e.Record = nil, p.record
	}
	if !t.clone {
		e.Marker = once.Marker("0123abcd", t.item)
	}
	return job.Item{Key: t.item, Depth: t.number, Do: e.Do()}
}

func (p plan) names() []string {
	names := make([]string, len(p.chains))
	for i := range names {
		names[i] = fmt.Sprint("p", i)
	}
	return names
}

// live is one life of the program. It gives the errors of the items that failed.
func (a *account) live(ctx context.Context, l life) (map[string]error, int, error) {
	p := &process{account: a, dieAt: l.dieAt}
	if l.interrupt > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.interrupt)
		defer cancel()
	}
	first, _ := a.targets()
	items := make([]job.Item, 0, len(first))
	for _, t := range first {
		items = append(items, p.item(t))
	}
	failed := map[string]error{}
	err := job.Pool{Workers: a.workers, Journal: p, Watch: func(e job.Event) {
		if e.Kind == job.Failed {
			p.account.mu.Lock()
			defer p.account.mu.Unlock()
			failed[e.Key] = e.Err
		}
	}}.Run(ctx, items...)
	return failed, p.ops, err
}

// simulate lives through a plan and gives what broke a promise, and how many places to die the first life had.
func simulate(t *testing.T, pl plan, count map[string]int) (violations []string, ops int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(pl)
		for _, s := range pl.strangers {
			time.AfterFunc(s.at, func() { a.meddle(s.name) })
		}
		var failed map[string]error
		var err error
		for i, l := range append(slices.Clone(pl.lives), life{deadBefore: 3 * window}) {
			var n int
			if failed, n, err = a.live(t.Context(), l); i == 0 {
				ops = n
			}
			if err != nil && !errors.Is(err, errDied) && !errors.Is(err, job.ErrIncomplete) && !errors.Is(err, context.DeadlineExceeded) {
				a.mu.Lock()
				a.wrong("life %d: %v", i, err)
				a.mu.Unlock()
			}
			<-time.After(l.deadBefore)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if (err != nil) != (len(failed) > 0) {
			a.wrong("the last run ended with %v, failed %v", err, failed)
		}
		a.audit(failed)
		violations = a.violations
		for k, n := range a.count {
			count[k] += n
		}
	})
	return violations, ops
}

// made is what an item has in the account, in the order of numbers.
func (a *account) made(t target) (ids []int64, contents []string) {
	p := a.policies[t.name]
	switch {
	case p == nil:
	case t.number == 0 && p.by == t.item:
		return []int64{p.id}, []string{p.content}
	case t.number > 0:
		for _, v := range p.versions {
			if v.by == t.item {
				ids, contents = append(ids, v.n), append(contents, v.content)
			}
		}
	}
	return ids, contents
}

// audit compares the account with what the journal says at the end.
func (a *account) audit(failed map[string]error) {
	_, all := a.targets()
	var before int64
	ends := false // an item of this chain was not done
	for _, t := range all {
		if t.number == 0 {
			before, ends = 0, false
		}
		ids, contents := a.made(t)
		rec, _, _ := a.journal.Get(context.Background(), t.item)
		err := failed[t.item]
		switch {
		case rec.State == job.Done && err == nil && !ends:
			m, err := once.MemoOf[int64, int64](rec)
			if err != nil || len(ids) != 1 || ids[0] != m.ID || contents[0] != t.content() {
				a.wrong("%s is done as %d, there are %v %v", t.item, m.ID, ids, contents)
			}
			if t.number > 0 && m.ID <= before {
				a.wrong("%s is number %d, the one before %d", t.item, m.ID, before)
			}
			if t.number > 0 {
				before = m.ID
			}
			a.count["done"]++
			if m.Adopted {
				a.count["adopted"]++
			}
		case len(ids) > 0:
			a.wrong("%s is %q (%v), there are %v", t.item, rec.State, err, ids)
		case errors.Is(err, once.ErrConflict) && a.strangers[t.name]:
			a.count["conflicts"]++
			ends = true
		case cloudlet.StatusOf(err) == 403:
			a.count["rejected"]++
			ends = true
		case !ends:
			a.wrong("%s is %q: %v", t.item, rec.State, err)
		}
	}
}

// drawn is a plan of chance.
func drawn(t *rapid.T) plan {
	p := plan{
		workers: rapid.IntRange(1, 3).Draw(t, "workers"),
		atomic:  rapid.Bool().Draw(t, "atomic"), quick: rapid.Bool().Draw(t, "quick"),
		chains: rapid.SliceOfN(rapid.IntRange(0, 3), 1, 2).Draw(t, "chains"),
		clones: rapid.IntRange(0, 1).Draw(t, "clones"),
		sends:  map[string][]fault{}, looks: map[string][]glance{},
		lateBy: time.Duration(rapid.IntRange(1, 60).Draw(t, "late by")) * window / 60,
	}
	kinds := []fault{none, lateEffect, lateEffect, lateEffect, replyLost} // and each of them once
	for f := range faults {
		kinds = append(kinds, f)
	}
	_, all := p.targets()
	for _, tg := range all {
		p.sends[tg.item] = rapid.SliceOfN(rapid.SampledFrom(kinds), 0, 4).Draw(t, "faults of "+tg.item)
		looks := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, int(glances)-1), func(n int) glance { return glance(n) }), 0, 10).Draw(t, "look-ups of "+tg.item)
		for i := range looks[min(1, len(looks)):] { // two look-ups in a row that miss a record are beyond the promise
			if looks[i] == stale && looks[i+1] == stale {
				looks[i+1] = whole
			}
		}
		p.looks[tg.item] = looks
	}
	p.lives = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) life {
		l := life{deadBefore: time.Duration(rapid.IntRange(0, 120).Draw(t, "dead before")) * time.Second}
		switch rapid.IntRange(0, 4).Draw(t, "end") {
		case 0:
			l.interrupt = time.Duration(rapid.IntRange(1, 300).Draw(t, "interrupt")) * 333 * time.Millisecond
		case 1, 2, 3:
			l.dieAt = rapid.IntRange(1, 150).Draw(t, "die at")
		}
		return l
	}), 0, 6).Draw(t, "lives")
	p.strangers = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) meddling {
		return meddling{name: rapid.SampledFrom(all).Draw(t, "stranger at").name, at: time.Duration(rapid.IntRange(0, 600).Draw(t, "when")) * 250 * time.Millisecond}
	}), 0, 2).Draw(t, "strangers")
	return p
}

// cases is how many plans are tried: at each change, in the long run that SOAK=1 asks for, or as many as ONCE_CASES says.
func cases() string {
	switch {
	case os.Getenv("ONCE_CASES") != "":
		return os.Getenv("ONCE_CASES")
	case os.Getenv("SOAK") != "":
		return "300000"
	}
	return "2000"
}

// Whatever the network does and whenever the process dies: every item is there once, or it failed with a reason and is
// not there at all, and no attempt breaks a rule of the package's description.
func TestKillsAndFaultsLoseAndDoubleNothing(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	if was == checks.DefValue {
		if err := flag.Set("rapid.checks", cases()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set("rapid.checks", was) })
	}
	count := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		if violations, _ := simulate(t, drawn(rt), count); len(violations) > 0 {
			rt.Fatalf("%s", strings.Join(violations, "\n"))
		}
	})
	for _, k := range []string{"done", "adopted", "conflicts", "rejected", "kills", "strangers"} {
		if count[k] == 0 && !t.Failed() {
			t.Errorf("no plan led to %s", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(count)) {
		t.Log(k, count[k])
	}
}

// A small change, killed at every place at once, and again a little later.
func TestKillAtEveryPlace(t *testing.T) {
	count := map[string]int{}
	for f := range faults {
		for _, second := range []int{0, 3, 8, 14} {
			p := plan{workers: 1, atomic: second%2 == 0, quick: second > 3, chains: []int{1}, clones: 1, lateBy: window, sends: map[string][]fault{}, looks: map[string][]glance{}}
			for _, item := range []string{"p0", "p0/1", "c0"} {
				p.sends[item], p.looks[item] = []fault{f, none, f}, []glance{stale, whole, fails}
			}
			_, ops := simulate(t, p, count)
			for n := 1; n <= ops; n++ {
				p.lives = []life{{dieAt: n}, {dieAt: second}}
				if violations, _ := simulate(t, p, count); len(violations) > 0 {
					t.Fatalf("fault %d, killed at %d and %d: %s", f, n, second, strings.Join(violations, "\n"))
				}
			}
		}
	}
	t.Log(count)
}
