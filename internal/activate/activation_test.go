package activate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/simulator"
)

// scene is one activation of version 3 in a world of its own.
type scene struct {
	target  activate.Target
	opt     simulator.Options
	begin   func(*world, int64) // what is there when it begins
	meddle  func(w *world, id int64)
	faults  map[string]float64
	posts   int
	err     error  // of the run
	says    string // by the error of the item
	hint    string // of that error
	state   job.State
	already bool // adopted without an attempt
	before  int64
	took    time.Duration // at least
}

func TestScenes(t *testing.T) {
	t.Parallel()
	v3 := activate.Target{API: cloudlet.V3, Name: "shop", Version: 3, Network: cloudlet.Production}
	off := v3
	off.Off = true
	v2 := activate.Target{API: cloudlet.V2, Name: "shop", Version: 3, Network: cloudlet.Production, Properties: []string{"www.example.com"}}
	lonely := v2
	lonely.Properties = nil
	over := func(n ...int64) activate.Target { t := v3; t.Over = n; return t }
	other := v2
	other.Properties = []string{"www.example.com", "second.example.com"}
	legacy := func(n int64, network string) func(*world, int64) {
		return func(w *world, id int64) {
			w.strangerV2(id, n, network)
			_ = pause(w.t.Context(), time.Minute)
		}
	}
	after, held, heldOff := v3, v3, off
	after.After, held.Held, heldOff.Held = cloudlet.Staging, true, true
	proved, edited, unread := v3, v3, v3
	proved.Prove = func(context.Context) error { return nil }
	edited.Prove = func(context.Context) error { return once.Stranger("v3:1001 shop", "version 3 was edited by somebody") }
	unread.Prove = func(context.Context) error { return errors.New("no version there") }
	editedLater := v3
	editedLater.Prove = func(context.Context) error {
		if time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) > time.Minute {
			return once.Stranger("v3:1001 shop", "version 3 was edited by somebody")
		}
		return nil
	}
	onStaging := func(n int64) func(*world, int64) {
		return func(w *world, id int64) {
			if err := w.server.Account().Activate(id, n, "staging"); err != nil {
				w.t.Error(err)
			}
		}
	}
	pool := activate.Target{Origin: "pool", Version: 1, Network: cloudlet.Staging}
	live := func(versions ...int64) func(*world, int64) {
		return func(w *world, id int64) {
			for _, n := range versions {
				if err := w.server.Account().Activate(id, n, "production"); err != nil {
					w.t.Error(err)
				}
				_ = pause(w.t.Context(), time.Second)
			}
		}
	}
	running := func(n int64) func(*world, int64) {
		return func(w *world, id int64) { w.stranger(id, n, "PRODUCTION") }
	}
	never := simulator.Options{ActivationTime: 4 * time.Hour}
	failing := simulator.Options{FailActivation: func(a simulator.Activation) string {
		if a.Version == 2 {
			return "came to nothing"
		}
		return "no  space\nleft"
	}}
	once1 := func(f func(w *world, id int64)) func(*world, int64) {
		done := false
		return func(w *world, id int64) {
			if !done {
				done = true
				f(w, id)
			}
		}
	}
	for name, c := range map[string]scene{
		"nothing was live":               {target: v3, posts: 1, state: job.Done},
		"another was live":               {target: v3, begin: live(1, 2), posts: 1, state: job.Done, before: 2},
		"live already":                   {target: v3, begin: live(3), state: job.Done, already: true, before: 3},
		"live once":                      {target: v3, begin: live(3, 2), posts: 1, state: job.Done, before: 2},
		"live once, our request is lost": {target: v3, begin: live(3, 2), faults: map[string]float64{"lose": 1}, posts: 2, state: job.Done, before: 2},
		"under way already":              {target: v3, begin: running(3), state: job.Done, already: true},
		"another's under way":            {target: v3, begin: running(1), posts: 1, state: job.Done, before: 1},
		"another's fails": {
			target: v3, begin: running(2), posts: 1, err: job.ErrIncomplete, opt: failing, state: "verify-failed",
			says: "activation of version 3 of v3:1001 shop on production failed: no space left", hint: "--fresh",
		},
		"fails in v2": {
			target: v2, posts: 1, err: job.ErrIncomplete, opt: failing, state: "verify-failed",
			says: "activation of version 3 of v2:1001 shop on production failed: no space left (property www.example.com)", hint: "--fresh",
		},
		"fails for an origin": {
			target: pool, posts: 2, err: job.ErrIncomplete, opt: failing, state: "verify-failed",
			says: "activation of version 1 of origin:pool on staging failed: no space left", hint: "--fresh",
		},
		"not over in time": {target: v3, opt: never, posts: 1, err: job.ErrPending, state: "created", says: "activation of version 3 of v3:1001 shop on production is under way", took: 88 * time.Minute},
		"another's never ends": {
			target: v3, opt: never, begin: running(1), err: job.ErrPending, took: 88 * time.Minute,
			says: "waits: another activation is under way, of version 1 on production, by us",
		},
		"as the plan showed":     {target: over(0, 2), begin: live(2), posts: 1, state: job.Done, before: 2},
		"not as the plan showed": {target: over(0), begin: live(2), err: job.ErrIncomplete, says: "on production version 2 is effective, which the plan did not show", hint: "nothing was changed"},
		"the plan showed another": {
			target: over(1), err: job.ErrIncomplete, says: "on production no version is effective, which the plan did not show", hint: "nothing was changed",
		},

		"still what was verified":        {target: proved, posts: 1, state: job.Done},
		"edited by somebody":             {target: edited, err: job.ErrIncomplete, says: "v3:1001 shop: version 3 was edited by somebody", hint: "nothing was changed"},
		"edited by somebody, and live":   {target: edited, begin: live(3), err: job.ErrIncomplete, says: "edited by somebody", hint: "nothing was changed"},
		"whether edited cannot be known": {target: unread, err: job.ErrIncomplete, says: "no version there"},
		"edited after our request was lost": {
			target: editedLater, faults: map[string]float64{"lose": 1}, posts: 1, err: job.ErrIncomplete, state: "settle", says: "version 3 was edited by somebody", hint: "nothing was changed",
		},

		"live on staging":         {target: after, begin: onStaging(3), posts: 1, state: job.Done},
		"not live on staging":     {target: after, err: job.ErrIncomplete, says: "version 3 goes to production only while it is effective on staging, and no version is effective there now", hint: "nothing was changed"},
		"another live on staging": {target: after, begin: onStaging(2), err: job.ErrIncomplete, says: "and version 2 is effective there now"},
		"no longer live on staging, our request is lost": {
			target: after, begin: onStaging(3), faults: map[string]float64{"reset before": 1}, meddle: once1(func(w *world, id int64) { onStaging(2)(w, id) }),
			posts: 1, err: job.ErrIncomplete, state: "settle", says: "and version 2 is effective there now",
		},
		"held":                    {target: held, begin: live(3), state: job.Done, already: true, before: 3},
		"held, under way":         {target: held, begin: running(3), state: job.Done, already: true},
		"held, and rolled back":   {target: held, begin: live(3, 2), err: job.ErrIncomplete, says: "on production version 2 is effective, where the plan showed that nothing was to be sent", hint: "nothing was changed"},
		"held off":                {target: heldOff, state: job.Done, already: true},
		"held off, and activated": {target: heldOff, begin: live(3), err: job.ErrIncomplete, says: "on production version 3 is effective, where the plan"},

		"taken off":           {target: off, begin: live(3), posts: 1, state: job.Done, before: 3},
		"nothing to take off": {target: off, state: job.Done, already: true},
		"another to take off": {target: off, begin: live(2), err: job.ErrIncomplete, says: "version 2 is effective on production, not version 3", hint: "nothing was changed"},

		"v2":                                {target: v2, begin: live(1), posts: 1, state: job.Done, before: 1},
		"v2 live":                           {target: v2, begin: legacy(3, "prod"), state: job.Done, already: true, before: 3},
		"v2 live, for no property":          {target: v2, begin: live(3), posts: 1, state: job.Done, before: 3},
		"v2 live, not for this property":    {target: other, begin: legacy(3, "prod"), posts: 1, state: job.Done, before: 3},
		"v2 under way for another property": {target: other, begin: func(w *world, id int64) { w.strangerV2(id, 3, "prod") }, posts: 1, state: job.Done, before: 3},
		"v2 live once, our request is lost": {target: v2, begin: live(3, 1), faults: map[string]float64{"lose": 1}, posts: 2, state: job.Done, before: 1},
		"v2 under way already":              {target: v2, begin: func(w *world, id int64) { w.strangerV2(id, 3, "prod") }, state: job.Done, already: true},
		"v2 under way on the other network": {target: v2, opt: simulator.Options{ActivationTime: 5 * time.Minute}, took: 5 * time.Minute, begin: func(w *world, id int64) { w.strangerV2(id, 1, "staging") }, posts: 1, state: job.Done},
		"v2 no property":                    {target: lonely, posts: 1, err: job.ErrIncomplete, state: "intent", says: "give --property NAME"},
		"no such version": {
			target: activate.Target{API: cloudlet.V3, Version: 9, Network: cloudlet.Staging}, posts: 1, err: job.ErrIncomplete, state: "intent",
			says: "activation of version 9 of v3:1001 on staging: POST /cloudlets/v3/policies/1001/activations: status 404",
		},
		"an origin":            {target: pool, posts: 2, state: job.Done},
		"an origin's deadline": {target: pool, opt: simulator.Options{BalancingTime: 4 * time.Hour}, posts: 2, err: job.ErrPending, state: "created", took: 88 * time.Minute},
		"an origin that somebody else activates": {
			target: pool, posts: 1, state: job.Done, already: true, meddle: once1(func(w *world, _ int64) {
				w.post("/cloudlets/api/v2/origins/pool/activations", `{"network":"STAGING","version":1}`)
			}),
		},
		"no such origin version": {
			target: activate.Target{Origin: "pool", Version: 4, Network: cloudlet.Staging}, posts: 1, err: job.ErrIncomplete,
			says: "dry run of the activation of version 4 of origin:pool on staging: POST",
		},

		"somebody activates another, our request is lost": {
			target: v3, faults: map[string]float64{"reset before": 1}, meddle: once1(func(w *world, id int64) { live(2)(w, id) }),
			posts: 1, err: job.ErrIncomplete, state: "settle", says: "version 2 was activated on production by", hint: "nothing was changed",
		},
		"somebody activates another while ours is under way": {
			target: v3, posts: 1, err: job.ErrIncomplete, state: "verify-failed", opt: simulator.Options{ActivationTime: time.Minute},
			meddle: once1(func(w *world, id int64) { time.AfterFunc(61*time.Second, func() { live(2)(w, id) }) }),
			says:   "activation of version 3 of v3:1001 shop on production took effect, and then version 2 was activated on production by",
		},
		"somebody begins to activate another just before ours": {
			target: v3, posts: 1, err: job.ErrIncomplete, state: "settle", meddle: once1(running(2)), opt: simulator.Options{ActivationTime: 8 * time.Minute}, took: 8 * time.Minute,
			says: "version 2 was activated on production by us", hint: "nothing was changed",
		},
		"somebody activates ours just before us": {target: v3, posts: 1, state: job.Done, meddle: once1(running(3))},
		"the answer says 400, pending":           {target: v3, posts: 1, state: job.Done, meddle: once1(running(3)), opt: simulator.Options{RunningStatus: 400}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { c.play(t) })
		})
	}
}

func (c scene) play(t *testing.T) {
	t.Helper()
	w := newWorld(t, 1, c.opt)
	id := int64(0)
	if c.target.Origin != "" {
		w.server.Account().AddOrigin("pool", "")
		if _, err := w.server.Account().AddOriginVersion("pool", `{"balancingType":"WEIGHTED","dataCenters":[]}`); err != nil {
			t.Fatal(err)
		}
	} else {
		id = w.policy(c.target.API, "shop")
		c.target.Policy = id
	}
	_ = pause(t.Context(), time.Second)
	if c.begin != nil {
		c.begin(w, id)
	}
	w.faults = c.faults
	if c.meddle != nil {
		w.meddle = func(string) { c.meddle(w, id) }
	}
	followed := 0
	items := func(q *activate.Queue) []job.Item {
		return []job.Item{q.Item("it", 0, c.target, func(activate.Memo) []job.Item { followed++; return nil })}
	}
	begun := time.Now()
	out := w.live(t.Context(), 0, activate.Options{}, items)
	if !errors.Is(out.err, c.err) || len(w.posts) != c.posts {
		t.Errorf("ended with %v %v after %d POSTs: %v", out.err, out.failed, len(w.posts), w.posts)
	}
	failure := out.failed["it"]
	if text := fmt.Sprint(failure); !strings.Contains(text, c.says) || (failure == nil) != (c.says == "" && c.err == nil) {
		t.Errorf("the item's error is %q", text)
	}
	hinted, _ := errors.AsType[interface {
		error
		Hint() string
	}](failure)
	if c.hint != "" && (hinted == nil || !strings.Contains(hinted.Hint(), c.hint)) {
		t.Errorf("the error %v has another hint", failure)
	}
	if took := time.Since(begun); took < c.took || took > c.took+10*time.Minute {
		t.Errorf("it took %s", took)
	}
	if c.state != "" {
		state, memo := w.memo("it")
		if state != c.state || memo.Base.Effective != c.before || c.already != (memo.Adopted && memo.N == 0) || (followed == 1) != (state == job.Done) {
			t.Errorf("recorded in state %s: %+v, followed %d times", state, memo, followed)
		}
	}
	// Once more: nothing is sent again, and what is done or failed stays so.
	posts := len(w.posts)
	again := w.live(t.Context(), 0, activate.Options{Deadline: time.Minute}, items)
	if c.state == job.Done && again.err != nil || c.state == "verify-failed" && !errors.Is(again.err, c.err) || c.state != "intent" && c.target.Origin == "" && len(w.posts) != posts {
		t.Errorf("resumed: %v, %v, %d more POSTs", again.err, again.failed, len(w.posts)-posts)
	}
}

// A load-balancing version is tried out before it is activated, and both count for the limit.
func TestOriginsAreRehearsedWithinTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, *seed, simulator.Options{BalancingTime: 20 * time.Second})
		w.faults = map[string]float64{"503": 0.05, "429": 0.05, "reply lost": 0.05}
		var targets []activate.Target
		for i := range 40 {
			name := fmt.Sprint("pool", i)
			w.server.Account().AddOrigin(name, "")
			if _, err := w.server.Account().AddOriginVersion(name, `{"balancingType":"WEIGHTED","dataCenters":[]}`); err != nil {
				t.Fatal(err)
			}
			targets = append(targets, activate.Target{Origin: name, Version: 1, Network: cloudlet.Production})
		}
		out := lifetimes(w, []int{60, 90}, func(q *activate.Queue) []job.Item {
			var items []job.Item
			for _, target := range targets {
				items = append(items, q.Item("o/"+target.Origin, 0, target, nil))
			}
			return items
		})
		if out.err != nil {
			t.Error(out.err, out.failed)
		}
		if n := w.most("origins"); n > 15 {
			t.Errorf("%d within a minute", n)
		}
		for _, target := range targets {
			real := 0
			for _, post := range w.posts {
				if strings.Contains(post, "/"+target.Origin+"/") && strings.Contains(post, `"dryrun":false`) {
					real++
				}
			}
			_, memo := w.memo("o/" + target.Origin)
			if real < 1 || memo.N != real && len(w.hit) == 0 {
				t.Errorf("%s: %d activations sent", target.Origin, real)
			}
		}
		first := slices.IndexFunc(w.posts, func(p string) bool { return strings.Contains(p, `"dryrun":false`) })
		if first < 1 {
			t.Errorf("the first requests are %v", w.posts[:2])
		}
		t.Logf("%d POSTs, at most %d a minute, faults %v", len(w.posts), w.most("origins"), w.hit)
	})
}

// The end of the deadline leaves an activation pending; the next run waits on and sends nothing.
func TestPendingIsWaitedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, simulator.Options{ActivationTime: 2 * time.Hour})
		target := activate.Target{API: cloudlet.V3, Policy: w.policy(cloudlet.V3, "shop"), Version: 3, Network: cloudlet.Staging}
		items := func(q *activate.Queue) []job.Item { return []job.Item{q.Item("it", 0, target, nil)} }
		if out := w.live(t.Context(), 0, activate.Options{}, items); !errors.Is(out.err, job.ErrPending) {
			t.Error(out.err)
		}
		if state, memo := w.memo("it"); state != "created" || memo.ID == "" {
			t.Errorf("recorded in state %s: %+v", state, memo)
		}
		if out := w.live(t.Context(), 0, activate.Options{}, items); out.err != nil || len(w.posts) != 1 {
			t.Error(out.err, out.failed, w.posts)
		}
	})
}

// What somebody else recorded under the prefix is passed over.
func TestRecallPassesOverOtherRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var journal job.Memory
		now := time.Now()
		for key, data := range map[string]string{
			"none": "", "list": "[1]", "policy": `{"v":1,"base":[1,2],"n":1,"last":"2026-01-01T00:00:00Z","id":1001}`, "text": `"x"`,
			"mine": fmt.Sprintf(`{"v":1,"base":{"target":{"api":"v3","policy":1,"version":3,"network":"staging"}},"n":1,"last":%q}`, now.Format(time.RFC3339Nano)),
		} {
			if err := journal.Put(t.Context(), job.Record{Key: key, State: "sent", Data: []byte(data)}); err != nil {
				t.Fatal(err)
			}
		}
		q := activate.New(activate.Options{Limits: activate.Limits{Shared: 1}})
		if err := q.Recall(t.Context(), &journal, ""); err != nil {
			t.Fatal(err)
		}
		if opens := q.Opens(); !opens.IsZero() {
			t.Errorf("opens at %s though nobody waits", opens)
		}
		w := newWorld(t, 1, simulator.Options{})
		target := activate.Target{API: cloudlet.V3, Policy: w.policy(cloudlet.V3, "shop"), Version: 3, Network: cloudlet.Staging}
		w.kept = job.Memory{}
		if err := w.kept.Put(t.Context(), job.Record{Key: "mine", State: "sent", Data: []byte(fmt.Sprintf(
			`{"v":1,"base":{"target":{"api":"v3","policy":1,"version":3,"network":"staging"}},"n":1,"last":%q}`, now.Format(time.RFC3339Nano)))}); err != nil {
			t.Fatal(err)
		}
		var q2 *activate.Queue
		time.AfterFunc(20*time.Second, func() {
			if d := q2.Opens().Sub(now); d < 59*time.Second || d > 61*time.Second {
				t.Errorf("opens after %s", d)
			}
		})
		out := w.live(t.Context(), 0, activate.Options{Limits: activate.Limits{Shared: 1}}, func(q *activate.Queue) []job.Item {
			q2 = q
			return []job.Item{q.Item("it", 0, target, nil)}
		})
		if out.err != nil || time.Since(now) < time.Minute {
			t.Errorf("%v after %s", out.err, time.Since(now))
		}
	})
}

// While an item waits for its slot the account goes on. One that leaves the line delays nobody, and what came to nothing
// before the first attempt is not ours.
func TestTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ids, done := make([]int64, 4), map[int64]bool{}
		w := newWorld(t, 1, simulator.Options{Limits: simulator.Limits{Shared: -1}, FailActivation: func(a simulator.Activation) string {
			if !done[a.Policy] && (a.Policy == ids[0] || a.Policy == ids[2]) {
				done[a.Policy] = true
				return "the first fails"
			}
			return ""
		}})
		w.latency, w.workers = 0, 1 // they come into the line in their order
		for i := range ids {
			ids[i] = w.policy(cloudlet.V3, fmt.Sprint("p", i))
		}
		time.AfterFunc(20*time.Second, func() {
			if err := w.server.Account().Activate(ids[1], 2, "staging"); err != nil {
				t.Error(err)
			}
			w.stranger(ids[2], 3, "STAGING") // this will fail
		})
		out := w.live(t.Context(), 0, activate.Options{Limits: activate.Limits{Shared: 1}}, func(q *activate.Queue) []job.Item {
			var items []job.Item
			for i, id := range ids {
				items = append(items, q.Item(fmt.Sprint(i), 0, activate.Target{API: cloudlet.V3, Policy: id, Version: 3, Network: cloudlet.Staging}, nil))
			}
			return items
		})
		if !errors.Is(out.err, job.ErrIncomplete) || len(out.failed) != 2 {
			t.Error(out.err, out.failed)
		}
		if _, ours := errors.AsType[*activate.FailedError](out.failed["0"]); !ours {
			t.Errorf("the first ended with %v", out.failed["0"])
		}
		if !errors.Is(out.failed["1"], once.ErrConflict) {
			t.Errorf("the second ended with %v", out.failed["1"])
		}
		var sent []time.Duration
		for _, at := range w.arrivals["v3"] {
			sent = append(sent, at.Sub(begun).Round(time.Second))
		}
		if len(sent) != 3 || sent[1] > 130*time.Second || sent[2] > 190*time.Second {
			t.Errorf("sent after %v", sent)
		}
		if at := out.queue.Opens(); !at.IsZero() {
			t.Errorf("somebody waits for %s", at)
		}
	})
}

func TestConflictsAreForAHuman(t *testing.T) {
	t.Parallel()
	failed := error(&activate.FailedError{Target: activate.Target{API: cloudlet.V3, Policy: 1, Version: 2, Network: cloudlet.Staging}})
	if !errors.Is(failed, once.ErrDiffers) || errors.Is(failed, once.ErrConflict) || failed.Error() != "activation of version 2 of v3:1 on staging failed; the API gives no reason" {
		t.Error(failed)
	}
}
