package once

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
)

// change is an Effect under way in one process.
type change[B any, ID comparable] struct {
	Effect[B, ID]
	// What follows belongs to the process and is forgotten with it.
	waited time.Duration
	polls  int
	before *Found[ID] // the look-up before, if it was whole and began after the settle window

	task  *job.Task
	state job.State
	memo  Memo[B, ID]
	fresh bool // during this call the place was found free, by Baseline or by two look-ups
	early bool // state is intent, and that is not recorded: it is with the first attempt
}

// step takes the change as far as it goes without waiting.
func (c *change[B, ID]) step(ctx context.Context, t *job.Task) (job.Step, error) {
	if err := c.load(ctx, t); err != nil {
		return job.Step{}, err
	}
	if c.state == job.Done {
		return job.Step{Kept: true, Next: c.next()}, nil
	}
	for {
		if err := ctx.Err(); err != nil {
			return job.Step{}, err
		}
		again, err := c.advance(ctx)
		switch {
		case err != nil:
			return job.Step{}, err
		case !again.IsZero():
			return job.Step{Again: again}, nil
		case c.state == job.Done:
			return job.Step{Next: c.next(), Recorded: true}, nil
		}
	}
}

func (c *change[B, ID]) next() []job.Item {
	if c.Then == nil {
		return nil
	}
	return c.Then(c.memo)
}

// advance takes one step. A time says when to call again.
func (c *change[B, ID]) advance(ctx context.Context) (time.Time, error) {
	switch c.state {
	case planned:
		return c.plan(ctx)
	case intent:
		return c.begin(ctx)
	case sent: // by a process that ended before it recorded an answer
		c.memo.Why, c.memo.Lost = "the program ended before it had an answer", true
		return time.Time{}, c.save(ctx, settle)
	case settle:
		return c.reconcile(ctx)
	case created, verifyFailed:
		return c.verify(ctx)
	case finalise:
		return c.finalise(ctx)
	case job.Done: // step ends before
	}
	return time.Time{}, fmt.Errorf("%s is recorded in state %q, which is not known", c.task.Key(), c.state)
}

// plan goes from nothing to intent, or to created when what is wanted is there already.
func (c *change[B, ID]) plan(ctx context.Context) (time.Time, error) {
	var here, none ID
	if c.Baseline != nil {
		var err error
		if c.memo.Base, here, err = c.Baseline(ctx); err != nil {
			if ctx.Err() == nil && !job.Stops(err) && passes(err) {
				return c.pollLater(err)
			}
			return time.Time{}, err
		}
	}
	if here != none {
		return time.Time{}, c.adopt(ctx, here)
	}
	c.fresh, c.early, c.state = true, true, intent
	return time.Time{}, nil
}

// begin leads from intent to an attempt, once the API allows one and the place is known to be free.
func (c *change[B, ID]) begin(ctx context.Context) (time.Time, error) {
	if c.now().Before(c.memo.NotBefore) {
		return c.pause(c.memo.NotBefore, errors.New(c.memo.Why))
	}
	if c.fresh {
		return c.attempt(ctx)
	}
	found, err := c.Find(ctx, c.memo)
	if closed(err) {
		return time.Time{}, err
	}
	if err != nil {
		return c.stay(ctx, err)
	}
	if len(found.Ours) == 1 {
		return time.Time{}, c.adopt(ctx, found.Ours[0])
	}
	if err := c.inTheWay(found); err != nil {
		return time.Time{}, err
	}
	return c.attempt(ctx)
}

// attempt sends once, if it is its turn, and records what came of it. Once recorded as begun it is not interrupted.
func (c *change[B, ID]) attempt(ctx context.Context) (time.Time, error) {
	if c.Turn != nil {
		if at := c.Turn(c.now()); !at.IsZero() {
			if c.early {
				return at, c.save(ctx, intent)
			}
			return at, nil
		}
	}
	m := &c.memo
	m.N++
	m.Last, m.Ended, m.NotBefore, m.Why = c.now(), time.Time{}, time.Time{}, ""
	if m.First.IsZero() {
		m.First = m.Last
	}
	whole := context.WithoutCancel(ctx)
	if err := c.record(whole, sent, ""); err != nil {
		return time.Time{}, err
	}
	var reply Reply[ID]
	err := ctx.Err()
	verdict := cloudlet.NotSent // interrupted while it was recorded
	if err == nil {
		reply, err = c.Send(whole, c.memo)
		verdict = verdictOf(reply, err)
	}
	m.Ended = c.now()
	return c.ended(whole, verdict, reply, err)
}

// ended goes from sent to where the verdict on the attempt leads.
func (c *change[B, ID]) ended(ctx context.Context, verdict cloudlet.Verdict, reply Reply[ID], err error) (time.Time, error) {
	m := &c.memo
	c.fresh = false
	if err != nil {
		m.Why = err.Error()
	}
	to := intent
	switch verdict {
	case cloudlet.Applied:
		m.ID = reply.ID
		to = created
		if reply.Verified || c.Verify == nil {
			to = c.verified()
		}
		c.waited, c.polls = 0, 0
	case cloudlet.Conflict, cloudlet.Unknown:
		m.Lost = m.Lost || verdict == cloudlet.Unknown
		to = settle
		c.polls = 0
		if err == nil {
			m.Why = "the answer names nothing that was made"
		}
	case cloudlet.Rejected:
		if cloudlet.StatusOf(err) == tooMany {
			if m.NotBefore = reply.RetryAt.Round(0).UTC(); reply.RetryAt.IsZero() {
				m.NotBefore = m.Ended.Add(rateLimitPause)
			}
		}
	case cloudlet.NotSent:
	}
	if saveErr := c.record(ctx, to, word(verdict)); saveErr != nil {
		return time.Time{}, errors.Join(saveErr, err)
	}
	switch {
	case job.Stops(err):
		return time.Time{}, err
	case verdict == cloudlet.NotSent:
		return c.pollLater(err)
	case verdict == cloudlet.Rejected && !m.NotBefore.IsZero():
		return c.pause(later(m.NotBefore, m.Ended.Add(c.Poll)), err)
	case verdict == cloudlet.Rejected:
		return time.Time{}, err
	}
	return time.Time{}, nil
}

// record makes a state durable and adds a line to the history, both in one commit where that is possible. What is said
// of an attempt that begins follows its state; what is said of one that has ended comes before, and a history that cannot
// be written keeps nothing else from being so. An error ends the run.
func (c *change[B, ID]) record(ctx context.Context, state job.State, verdict string) error {
	line := Attempt{Key: c.task.Key(), N: c.memo.N, Verdict: verdict, Marker: c.memo.Marker, At: c.now()}
	switch {
	case c.Record != nil:
		rec, err := c.task.Record(state, c.memo)
		if err == nil {
			err = job.Stop(c.Record(ctx, rec, line))
		}
		if err == nil {
			c.reached(state)
		}
		return err
	case c.Log == nil:
		return c.save(ctx, state)
	case verdict == "":
		if err := c.save(ctx, state); err != nil {
			return err
		}
		return job.Stop(c.Log(ctx, line))
	}
	return errors.Join(job.Stop(c.Log(ctx, line)), c.save(ctx, state))
}

// verified is the state that follows when what was made is what was wanted.
func (c *change[B, ID]) verified() job.State {
	if c.Finalise != nil {
		return finalise
	}
	return job.Done
}

// adopt takes what a look-up found for what we made.
func (c *change[B, ID]) adopt(ctx context.Context, id ID) error {
	c.memo.ID, c.memo.Adopted = id, true
	c.waited, c.polls = 0, 0
	return c.save(ctx, created)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
