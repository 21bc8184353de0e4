// Package job works through many named items on one bounded pool and can go on where an earlier run ended. It knows
// nothing of policies or networks: what an item does is a function, what it leaves behind is a record in a journal.
package job

import (
	"context"
	"encoding/json"
	"iter"
	"time"
)

// State is how far an item has come: "" at first, then the use case's own words, then Done.
type State string

// Done is the state of an item that needs no more work.
const Done State = "done"

// Record is what the journal holds of one item.
type Record struct {
	Key   string
	State State
	Data  json.RawMessage
	// Err is why the item failed beside the state that it had reached; empty when it did not.
	Err string
}

// Journal keeps records by key. It is safe for concurrent use.
type Journal interface {
	// Get gives the record of key, and whether there is one.
	Get(ctx context.Context, key string) (Record, bool, error)
	// Put stores all records or none, durably before it returns. Concurrent calls may share one commit.
	Put(ctx context.Context, records ...Record) error
	// All gives every record whose key starts with prefix, in ascending byte order of keys.
	All(ctx context.Context, prefix string) iter.Seq2[Record, error]
}

// Item is one named piece of work.
type Item struct {
	Key string
	// Depth orders what waits: deeper items go first, so that what is found but not begun stays small.
	Depth int
	Do    func(ctx context.Context, t *Task) (Step, error)
}

// Step is what one call of Do leads to.
type Step struct {
	// Next are items to do as well. They are taken up also when Do failed: discovery and work overlap.
	Next []Item
	// Kept says that the item was done before and was found to be so still: its record stays as it is.
	Kept bool
	// Recorded says that the item is done now, and that its record is in the journal already.
	Recorded bool
	// Again asks to call Do once more at that time. No worker waits meanwhile.
	Again time.Time
	// Write is disk work for the second stage, so that a request slot never waits for a disk. Its result becomes the
	// record's data.
	Write func(ctx context.Context) (any, error)
	// Data becomes the record's data when there is no Write.
	Data any
}
