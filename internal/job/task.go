package job

import (
	"context"
	"encoding/json"
	"fmt"
)

// Task is an item under way; Do uses it to see and to record how far the item has come.
type Task struct {
	key     string
	depth   int
	journal Journal
}

// Key is the item's key.
func (t *Task) Key() string { return t.key }

// Earlier gives the record that earlier work left of this item, and whether there is one.
func (t *Task) Earlier(ctx context.Context) (Record, bool, error) {
	rec, ok, err := t.journal.Get(ctx, t.key)
	if err != nil {
		return Record{}, false, Stop(err)
	}
	return rec, ok, nil
}

// Save records that the item has reached a state. The record is durable before Save returns; cancellation does not
// stop it.
func (t *Task) Save(ctx context.Context, state State, data any) error {
	rec, err := t.Record(state, data)
	if err != nil {
		return err
	}
	return Stop(t.journal.Put(context.WithoutCancel(ctx), rec))
}

// Record is what Save records.
func (t *Task) Record(state State, data any) (Record, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return Record{}, Stop(fmt.Errorf("encode record of %s: %w", t.key, err))
	}
	return Record{Key: t.key, State: state, Data: text}, nil
}

// reached is the record of the state that the item is in, whether or not there is one in the journal.
func (t *Task) reached(ctx context.Context) (Record, error) {
	rec, ok, err := t.journal.Get(ctx, t.key)
	if err != nil || !ok {
		return Record{Key: t.key}, err
	}
	return rec, nil
}
