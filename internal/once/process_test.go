package once_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// process is one life of the program. After its death nothing that it does reaches the world.
type process struct {
	*account
	mu         sync.Mutex
	ops, dieAt int
	dead       bool
}

var errDied = errors.New("killed")

// point is a place where the process may die.
func (p *process) point() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ops++
	if p.ops == p.dieAt {
		p.dead = true
		p.account.mu.Lock()
		p.count["kills"]++
		p.account.mu.Unlock()
	}
	if p.dead {
		return job.Stop(errDied)
	}
	return nil
}

// durable does what must not be torn apart, between two places to die.
func (p *process) durable(f func() error) error {
	if err := p.point(); err != nil {
		return err
	}
	return errors.Join(f(), p.point())
}

// request is the way to the account and back.
func (p *process) request(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(latency):
		return p.point()
	}
}

// The process is the journal of its run.

func (p *process) Get(ctx context.Context, key string) (job.Record, bool, error) {
	if err := p.point(); err != nil {
		return job.Record{}, false, err
	}
	return p.journal.Get(ctx, key)
}

func (p *process) Put(ctx context.Context, records ...job.Record) error {
	return p.durable(func() error { return p.journal.Put(ctx, records...) })
}

func (p *process) All(ctx context.Context, prefix string) iter.Seq2[job.Record, error] {
	return p.journal.All(ctx, prefix)
}

func (p *process) log(_ context.Context, at once.Attempt) error {
	return p.durable(func() error { p.line(at); return nil })
}

func (p *process) line(at once.Attempt) {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	line := fmt.Sprintf("%s %d %s", at.Key, at.N, at.Verdict)
	if p.history[line] {
		p.wrong("history has %q twice", line)
	}
	p.history[line] = true
}

func (p *process) record(ctx context.Context, rec job.Record, at once.Attempt) error {
	return p.durable(func() error {
		p.line(at)
		return p.journal.Put(ctx, rec)
	})
}

// baseline is the number of the newest version, or that the name is free.
func (p *process) baseline(ctx context.Context, t target) (int64, int64, error) {
	if err := p.request(ctx); err != nil {
		return 0, 0, err
	}
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	there := p.policies[t.name]
	switch {
	case t.number > 0:
		return int64(len(there.versions)), 0, nil
	case there != nil:
		return 0, 0, once.Stranger(t.item, "the name is taken")
	}
	return 0, 0, nil
}

// send is one attempt, with its fault.
func (p *process) send(ctx context.Context, t target, m once.Memo[int64, int64]) (reply, error) {
	if err := p.point(); err != nil {
		return reply{}, err
	}
	f := p.judge(ctx, t, m)
	if f == notSent {
		return reply{}, p.harmless(t, time.Time{}, apiError(0, cloudlet.NotSent))
	}
	if f == lateEffect { // also when the process is dead by then
		time.AfterFunc(p.lateBy, func() {
			p.account.mu.Lock()
			defer p.account.mu.Unlock()
			p.make(t, m.Marker)
		})
	}
	if err := p.request(ctx); err != nil {
		return reply{}, err
	}
	var id int64
	if slices.Contains([]fault{none, replyLost, failedWithEffect, cutBody, noID, conflictAfterEffect}, f) {
		p.account.mu.Lock()
		id = p.make(t, m.Marker)
		p.account.mu.Unlock()
	}
	if err := p.point(); err != nil {
		return reply{}, err
	}
	switch f {
	case none:
		if id == 0 {
			return reply{}, apiError(409, cloudlet.Conflict)
		}
		return reply{ID: id, Verified: p.quick}, nil
	case noID:
		return reply{}, nil
	case conflictAfterEffect, conflictWithout:
		return reply{}, apiError(409, cloudlet.Conflict)
	case forbidden:
		return reply{}, p.harmless(t, time.Time{}, apiError(403, cloudlet.Rejected))
	case tooMany:
		at := time.Now().Add(p.lateBy)
		return reply{RetryAt: at}, p.harmless(t, at, apiError(429, cloudlet.Rejected))
	case replyLost, resetBefore, cutBody:
		return reply{}, fmt.Errorf("read: %w", apiError(0, cloudlet.Unknown))
	case lateEffect, failedWithEffect, failedWithout, notSent, faults:
	}
	return reply{}, apiError(503, cloudlet.Unknown)
}

// harmless tells the observer that the process is about to know that its attempt had no effect.
func (p *process) harmless(t target, retryAt time.Time, err error) error {
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	o := p.of(t.item)
	o.open, o.retryAt = false, retryAt
	return err
}

// judge holds an attempt that begins against what was promised, and gives its fault.
func (p *process) judge(ctx context.Context, t target, m once.Memo[int64, int64]) fault {
	rec, _, _ := p.journal.Get(ctx, t.item)
	recorded, err := once.MemoOf[int64, int64](rec)
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	o := p.of(t.item)
	if err != nil || rec.State != "sent" || recorded.N != m.N {
		p.wrong("%s: POST %d while %q is recorded", t.item, m.N, rec.State)
	}
	if !p.history[fmt.Sprintf("%s %d ", t.item, m.N)] {
		p.wrong("%s: POST %d is not in the history", t.item, m.N)
	}
	if since := time.Since(o.sent); o.open && (since < window || !o.proved) {
		p.wrong("%s: POST %s after one with an unknown end, two look-ups that found nothing: %v", t.item, since, o.proved)
	}
	if o.ours || o.taken {
		p.wrong("%s: POST after a look-up showed ours: %v, a stranger's: %v", t.item, o.ours, o.taken)
	}
	if t.number > 0 {
		for _, v := range p.policies[t.name].versions {
			if age := time.Since(v.at); v.by == "stranger" && v.n > m.Base && age > latency {
				p.wrong("%s: POST %d behind version %d, which somebody made %s ago", t.item, m.N, v.n, age)
			}
		}
	}
	if time.Now().Before(o.retryAt) {
		p.wrong("%s: POST %s before the API allows it", t.item, time.Until(o.retryAt))
	}
	o.open, o.sent, o.empty, o.proved = true, time.Now(), 0, false
	f := none
	if plan := p.sends[t.item]; o.attempts < len(plan) {
		f = plan[o.attempts]
	}
	o.attempts++
	p.count["attempts"]++
	p.count[fmt.Sprint("fault ", f)]++
	return f
}

// find is a whole look-up.
func (p *process) find(ctx context.Context, t target, m once.Memo[int64, int64]) (found, error) {
	began := time.Now()
	if err := p.request(ctx); err != nil {
		return found{}, err
	}
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	o := p.of(t.item)
	g := whole
	if plan := p.looks[t.item]; o.looks < len(plan) {
		g = plan[o.looks]
	}
	o.looks++
	p.count["look-ups"]++
	if g == fails {
		o.empty = 0
		return found{}, apiError(500, cloudlet.Unknown)
	}
	f := p.view(t, m, g == stale)
	o.ours = o.ours || len(f.Ours) > 0
	o.taken = o.taken || len(f.Ours) == 0 && f.Taken != ""
	switch {
	case len(f.Ours) > 0 || began.Before(o.sent.Add(window)):
		o.empty = 0
	case o.empty > 0 && o.last != f.Seen:
		o.empty = 1
	default:
		o.empty++
	}
	o.last, o.proved = f.Seen, o.proved || o.empty > 1
	return f, nil
}

// view is what a look-up shows. One that is stale does not show what this item has made.
func (a *account) view(t target, m once.Memo[int64, int64], stale bool) found {
	var f found
	add := func(id int64, mine bool, by string) {
		if stale && by == t.item {
			return
		}
		f.Seen += fmt.Sprint(id, " ")
		if mine {
			f.Ours = append(f.Ours, id)
		} else {
			f.Taken = "made by " + by
		}
	}
	p := a.policies[t.name]
	switch {
	case t.number > 0:
		for _, v := range p.versions {
			if v.n > m.Base {
				add(v.n, v.text == m.Marker, v.by)
			}
		}
	case p != nil && t.clone: // no marker: what is there, and since when
		add(p.id, !m.First.IsZero() && !p.at.Before(m.First) && p.content == t.content(), p.by)
	case p != nil:
		add(p.id, p.text == m.Marker, p.by)
	}
	return f
}

// verify reads back what was made.
func (p *process) verify(ctx context.Context, t target, m once.Memo[int64, int64]) error {
	if err := p.request(ctx); err != nil {
		return err
	}
	p.account.mu.Lock()
	defer p.account.mu.Unlock()
	there := p.policies[t.name]
	content := there.content
	if t.number > 0 {
		content = there.versions[m.ID-1].content
	}
	if content != t.content() {
		return fmt.Errorf("%s: %w", t.item, once.ErrDiffers)
	}
	return nil
}
