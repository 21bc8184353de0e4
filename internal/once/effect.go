package once

import (
	"context"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
)

// What an Effect's durations are when they are 0, and how a wait grows.
const (
	defaultSettle   = 2 * time.Minute // twice the client's default timeout
	defaultPoll     = 5 * time.Second
	defaultPatience = 30 * time.Minute
	longestPoll     = 6                // in Polls
	rateLimitPause  = 60 * time.Second // after a 429 that does not say how long to wait
)

// Effect is one change of the account. B is what Baseline keeps, ID is what names the thing made; the zero ID is none.
// Both must survive encoding/json. Send and Find must be set. The functions are called one at a time.
type Effect[B any, ID comparable] struct {
	// Marker is what Send writes into what it makes, the same at every attempt; empty where a request has no place for
	// one. The marker that an earlier run recorded is the one that counts.
	Marker string
	// Wanted is a hash of what is wanted. A recorded change with another hash is an error before anything is sent.
	Wanted string
	// Baseline reads what is there before the first attempt. here is the id of what is wanted if that is there already:
	// it is adopted and nothing is sent. ErrNotYet waits; ErrConflict (see Stranger) says that the place is another's.
	Baseline func(ctx context.Context) (base B, here ID, err error)
	// Turn, if set, is asked immediately before each attempt. The zero time lets it begin; any other is when to ask again,
	// and such a wait does not count as patience. When it has let an attempt begin Send follows, unless the run ends.
	Turn func(now time.Time) time.Time
	// Send makes one attempt, never two, and ends by itself within the client's timeout: ctx is not cancelled. Its error
	// carries the *cloudlet.APIError of the attempt; any other error, and no error without an ID, counts as Unknown.
	// No error means that the answer came whole and said what was asked for.
	Send func(ctx context.Context, memo Memo[B, ID]) (Reply[ID], error)
	// Find looks the change up: all pages, read after Find was called, or an error. It is called also when nothing was
	// sent yet (memo.N is 0) and after attempts that had no effect.
	Find func(ctx context.Context, memo Memo[B, ID]) (Found[ID], error)
	// Verify reads memo.ID back and compares: ErrDiffers is final, ErrNotYet and every other error mean to ask again.
	Verify func(ctx context.Context, memo Memo[B, ID]) error
	// Finalise is a change that may be made any number of times with the same end, after Verify. Its error carries a
	// *cloudlet.APIError like Send's: Rejected (but for 429) and Conflict are final, so is ErrConflict, others mean to
	// make it again. It must not overwrite what somebody else changed meanwhile.
	Finalise func(ctx context.Context, memo Memo[B, ID]) error
	// Then gives the items that follow. It is called once in every run in which the change is done or found done.
	Then func(memo Memo[B, ID]) []job.Item
	// Log is told of each attempt, durably, before its first byte and when its end is known. An error ends the run.
	Log func(ctx context.Context, attempt Attempt) error
	// Record, if set, takes the place of Log: it makes a line of the history and the record of the state that goes with it
	// durable, both or neither.
	Record func(ctx context.Context, rec job.Record, attempt Attempt) error

	Settle time.Duration // how long after an attempt its effect may come; 2 min when 0
	Poll   time.Duration // first pause between look-ups, growing to six times that; 5 s when 0
	// Patience is how long one process waits in all until the change is made (at least three settle windows), and again
	// until it is verified and finalised; then the item is left pending (job.ErrPending). 30 min when 0.
	Patience time.Duration
	Now      func() time.Time // time.Now when nil
}

// Reply is the answer to an attempt.
type Reply[ID comparable] struct {
	ID ID
	// RetryAt is when the API allows the next attempt, beside a 429; zero when it did not say.
	RetryAt time.Time
	// Verified says that the answer shows that what was made is what was wanted, so that Verify is not asked.
	Verified bool
}

// Found is the answer of a whole look-up.
type Found[ID comparable] struct {
	Ours []ID // what we made, in an order that does not change
	// Taken says, in words for a human, who else has the place: a policy of that name that is not ours, a version that
	// somebody added since the baseline. Empty: the place is free for another attempt. It does not count beside one of Ours.
	Taken string
	// Seen is a digest of that part of the account on which the answer rests (the policies of that name, the versions of
	// that policy), so that two look-ups can be compared. Not more than that part: other items change the rest meanwhile.
	Seen string
}

// Attempt is one line of an item's history. It converts to checkpoint.Attempt. An attempt that has begun and has no
// verdict was cut off by the end of its process.
type Attempt struct {
	Key     string
	N       int    // from 1
	Verdict string // empty: about to be sent; else not-sent, rejected, conflict, applied or unknown
	Marker  string
	At      time.Time
}

// Do is what job.Item.Do wants. The result belongs to one item of one run.
func (e Effect[B, ID]) Do() func(context.Context, *job.Task) (job.Step, error) {
	if e.Settle == 0 {
		e.Settle = defaultSettle
	}
	if e.Poll == 0 {
		e.Poll = defaultPoll
	}
	if e.Patience == 0 {
		e.Patience = defaultPatience
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	c := &change[B, ID]{Effect: e}
	return c.step
}

// word is a verdict as the history spells it.
func word(v cloudlet.Verdict) string {
	switch v {
	case cloudlet.NotSent:
		return "not-sent"
	case cloudlet.Rejected:
		return "rejected"
	case cloudlet.Conflict:
		return "conflict"
	case cloudlet.Applied:
		return "applied"
	case cloudlet.Unknown:
	}
	return "unknown"
}
