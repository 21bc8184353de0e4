package once

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
)

// reconcile looks for what an attempt with an unknown end may have made: during the settle window only to adopt it, after
// it to find out, by two look-ups that agree, that there is nothing.
func (c *change[B, ID]) reconcile(ctx context.Context) (time.Time, error) {
	began := c.now()
	over, err := c.windowEnd(ctx, began)
	if err != nil {
		return time.Time{}, err
	}
	found, err := c.Find(ctx, c.memo)
	if closed(err) && !began.Before(over) {
		return time.Time{}, err
	}
	if err != nil {
		c.before = nil
		return c.stay(ctx, err)
	}
	if len(found.Ours) == 1 {
		return time.Time{}, c.adopt(ctx, found.Ours[0])
	}
	if began.Before(over) {
		return c.pause(earlier(c.nextPoll(), later(over, c.now().Add(time.Millisecond))), errors.New(c.memo.Why))
	}
	if c.before == nil || !same(*c.before, found) {
		c.before = &found
		return c.pause(c.now().Add(c.Poll), errors.New(c.memo.Why))
	}
	if err := c.inTheWay(found); err != nil {
		return time.Time{}, err
	}
	c.fresh = true
	return time.Time{}, c.save(ctx, intent)
}

// windowEnd is until when the last attempt may take effect. A clock that was set back would make the window longer than
// it is: then it begins now.
func (c *change[B, ID]) windowEnd(ctx context.Context, now time.Time) (time.Time, error) {
	begin := later(c.memo.Last, c.memo.Ended)
	if now.Before(begin) {
		begin = now
		c.memo.Last, c.memo.Ended = now, time.Time{}
		if err := c.save(ctx, settle); err != nil {
			return time.Time{}, err
		}
	}
	return begin.Add(c.Settle), nil
}

// inTheWay is the error of a look-up after which nothing may be sent.
func (c *change[B, ID]) inTheWay(found Found[ID]) error {
	switch {
	case len(found.Ours) > 1:
		return several(c.task.Key(), found.Ours)
	case found.Taken != "":
		return Stranger(c.task.Key(), found.Taken)
	}
	return nil
}

// verify compares what was made with what was wanted. Whatever it finds, nothing is sent again.
func (c *change[B, ID]) verify(ctx context.Context) (time.Time, error) {
	if c.Verify != nil {
		switch err := c.Verify(ctx, c.memo); {
		case errors.Is(err, ErrDiffers):
			c.memo.Why = err.Error()
			if saveErr := c.save(ctx, verifyFailed); saveErr != nil {
				return time.Time{}, errors.Join(saveErr, err)
			}
			return time.Time{}, err
		case err != nil:
			return c.stay(ctx, err)
		}
	}
	c.memo.Why = ""
	return time.Time{}, c.save(ctx, c.verified())
}

// finalise makes the last change, as often as it takes.
func (c *change[B, ID]) finalise(ctx context.Context) (time.Time, error) {
	err := c.Finalise(context.WithoutCancel(ctx), c.memo)
	if err == nil {
		return time.Time{}, c.save(ctx, job.Done)
	}
	api, ok := errors.AsType[*cloudlet.APIError](err)
	switch {
	case ok && api.Status == tooMany && !job.Stops(err):
		at := c.now().Add(rateLimitPause)
		if !api.RetryAt.IsZero() {
			at = later(api.RetryAt, c.now().Add(c.Poll))
		}
		return c.pause(at, err)
	case ok && (api.Verdict == cloudlet.Rejected || api.Verdict == cloudlet.Conflict), errors.Is(err, ErrConflict):
		return time.Time{}, err
	}
	return c.stay(ctx, err)
}

// stay keeps the state after a look-up or a read that failed, and asks again later.
func (c *change[B, ID]) stay(ctx context.Context, err error) (time.Time, error) {
	if ctx.Err() != nil || job.Stops(err) {
		return time.Time{}, err
	}
	return c.pollLater(err)
}

func (c *change[B, ID]) pollLater(why error) (time.Time, error) { return c.pause(c.nextPoll(), why) }

// nextPoll is when to ask again; each pause is twice the one before until it is longestPoll Polls.
func (c *change[B, ID]) nextPoll() time.Time {
	d := min(c.Poll<<min(c.polls, longestPoll), longestPoll*c.Poll)
	c.polls++
	return c.now().Add(d)
}

// pause asks to be called again at a time, unless patience is at its end.
func (c *change[B, ID]) pause(until time.Time, why error) (time.Time, error) {
	d, patience := until.Sub(c.now()), c.Patience
	if c.state != created && c.state != verifyFailed && c.state != finalise {
		patience = max(patience, 3*c.Settle)
	}
	if c.waited+d > patience {
		return time.Time{}, fmt.Errorf("%w: %s is in state %s, %s were waited and %s more would be needed: %w",
			job.ErrPending, c.task.Key(), c.state, c.waited.Round(time.Second), d.Round(time.Second), why)
	}
	c.waited += d
	return until, nil
}

func same[ID comparable](a, b Found[ID]) bool {
	return slices.Equal(a.Ours, b.Ours) && a.Taken == b.Taken && a.Seen == b.Seen
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
