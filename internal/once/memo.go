package once

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cloudletmig/internal/job"
)

// The states of a change between none and job.Done; see the package's description.
const (
	planned      job.State = ""
	intent       job.State = "intent"
	sent         job.State = "sent"
	settle       job.State = "settle"
	created      job.State = "created"
	verifyFailed job.State = "verify-failed"
	finalise     job.State = "finalise"
)

// format is the version of the Memo that this program writes.
const format = 1

// Memo is what the journal holds of a change, beside its state. The names of its members do not change within a format.
type Memo[B any, ID comparable] struct {
	Format int    `json:"v"`
	Marker string `json:"marker,omitempty"`
	Wanted string `json:"wanted,omitempty"`
	Base   B      `json:"base"` // what was there before the first attempt
	N      int    `json:"n"`    // attempts begun
	// First and Last are when the first and the last attempt were recorded, by our clock. Ended is when the last was over;
	// zero when that is not known. Where the clock was set back meanwhile, Last is moved to where it is now.
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	NotBefore time.Time `json:"not_before,omitzero"` // the API wants no attempt before
	ID        ID        `json:"id,omitzero"`         // what was made or adopted
	// Lost says that the end of some attempt is not known: only then can something be there that no answer named.
	Lost    bool   `json:"lost,omitempty"`
	Adopted bool   `json:"adopted,omitempty"` // found by a look-up or by Baseline, not named by an answer
	Why     string `json:"why,omitempty"`     // what led to this state, where it was no success
}

// MemoOf reads the memo of a record that Do left, such as that of the item before. It is an error when the record is of
// a format that is not known.
func MemoOf[B any, ID comparable](rec job.Record) (Memo[B, ID], error) {
	var memo Memo[B, ID]
	var head struct {
		Format int `json:"v"`
	}
	if err := json.Unmarshal(rec.Data, &head); err != nil {
		return memo, fmt.Errorf("read what is recorded of %s: %w", rec.Key, err)
	}
	if head.Format != format {
		return memo, fmt.Errorf("read what is recorded of %s: format %d is not known, only %d", rec.Key, head.Format, format)
	}
	if err := json.Unmarshal(rec.Data, &memo); err != nil {
		return memo, fmt.Errorf("read what is recorded of %s: %w", rec.Key, err)
	}
	return memo, nil
}

// load takes state and memo from the journal.
func (c *change[B, ID]) load(ctx context.Context, t *job.Task) error {
	c.task, c.fresh, c.early = t, false, false
	c.state, c.memo = planned, Memo[B, ID]{Format: format, Marker: c.Marker, Wanted: c.Wanted}
	rec, ok, err := t.Earlier(ctx)
	if err != nil || !ok || rec.State == planned {
		return err
	}
	memo, err := MemoOf[B, ID](rec)
	if err != nil {
		return err
	}
	if memo.Wanted != c.Wanted {
		return fmt.Errorf("%s was begun with other content: what is recorded (%s) is not what is wanted now (%s)", t.Key(), memo.Wanted, c.Wanted)
	}
	c.state, c.memo = rec.State, memo
	return nil
}

// save makes a state durable. No step is taken before.
func (c *change[B, ID]) save(ctx context.Context, state job.State) error {
	if err := c.task.Save(ctx, state, c.memo); err != nil {
		return err
	}
	c.reached(state)
	return nil
}

// reached says that a state is durable.
func (c *change[B, ID]) reached(state job.State) { c.state, c.before, c.early = state, nil, false }

// now is the time as it is stored.
func (c *change[B, ID]) now() time.Time { return c.Now().Round(0).UTC() }

// MayTakeEffect is until when what a record speaks of may still take effect, because an attempt was cut off or its answer
// was lost; the zero time where none is open, or the record is of something else.
func MayTakeEffect(rec job.Record, window time.Duration) time.Time {
	if rec.State != sent && rec.State != settle {
		return time.Time{}
	}
	var memo struct {
		Last  time.Time `json:"last"`
		Ended time.Time `json:"ended"`
		Lost  bool      `json:"lost"`
	}
	if json.Unmarshal(rec.Data, &memo) != nil || memo.Last.IsZero() || rec.State == settle && !memo.Lost {
		return time.Time{}
	}
	return later(memo.Last, memo.Ended).Add(window)
}
