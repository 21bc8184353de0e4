package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	// ErrIncomplete is what Run returns when the run came to its end but some items failed.
	ErrIncomplete = errors.New("some items failed")
	// ErrPending is wrapped by the error of an item that did not fail but could not be finished in this run: its record
	// stays as it is. Run returns it when the run came to its end, no item failed, and some are left so.
	ErrPending = errors.New("not finished, the next run goes on with it")
)

// group is how many records share one commit at most, and linger how long a record waits for others to share it with.
const (
	group  = 64
	linger = 40 * time.Millisecond
)

type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }
func (e *stopError) Unwrap() error { return e.err }

// Stop marks an error as one that concerns the whole run, not the item that met it: Run ends with it, and the item
// stays pending.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return &stopError{err: err}
}

// Stops reports whether err was made by Stop, or wraps what was.
func Stops(err error) bool {
	_, ok := errors.AsType[*stopError](err)
	return ok
}

// Pool says how a run is done. Only the Journal must be set.
type Pool struct {
	Workers int     // calls of Do at a time; 1 when 0
	Writers int     // calls of Write at a time; Workers when 0
	Queue   int     // finished calls of Do whose Write has not begun, at most; Writers when 0
	Journal Journal // where records go
	// Flush makes durable on disk what the records speak of, before they are put into the journal.
	Flush func(ctx context.Context, done []Record) error
	// Watch is told of everything that happens, from many goroutines at once. It must not block.
	Watch func(Event)
}

// Run does the items and all that follows from them, and waits until every goroutine that it started has ended. When
// ctx ends, nothing new starts, what has been done is still written and recorded, what was interrupted stays pending,
// and Run returns ctx.Err(). It returns the error given to Stop by an item, ErrIncomplete when items failed, or ErrPending
// when none failed but some could not be finished.
func (p Pool) Run(ctx context.Context, items ...Item) error {
	p.Workers = max(p.Workers, 1)
	if p.Writers == 0 {
		p.Writers = p.Workers
	}
	if p.Queue == 0 {
		p.Queue = p.Writers
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{
		Pool: p, queue: newQueue(), cancel: cancel,
		writes: make(chan finished, p.Queue), records: make(chan finished, group),
	}
	defer context.AfterFunc(ctx, r.queue.close)()
	r.tell(Event{Kind: Began})
	r.found(items)

	var workers, writers, recorder sync.WaitGroup
	for range p.Workers {
		workers.Go(func() { r.work(ctx) })
	}
	for range p.Writers {
		writers.Go(func() { r.write(context.WithoutCancel(ctx)) })
	}
	recorder.Go(func() { r.record(context.WithoutCancel(ctx)) })

	workers.Wait()
	r.queue.close()
	close(r.writes)
	writers.Wait()
	close(r.records)
	recorder.Wait()
	if err := ctx.Err(); err != nil {
		if stop, ok := errors.AsType[*stopError](context.Cause(ctx)); ok {
			return stop.err
		}
		return err
	}
	return r.outcome()
}

// run is one call of Pool.Run.
type run struct {
	Pool
	queue   *queue
	cancel  context.CancelCauseFunc
	writes  chan finished
	records chan finished

	mu      sync.Mutex
	failed  int
	pending int
}

// finished is an item whose Do has returned.
type finished struct {
	task *Task
	step Step
	rec  Record
}

func (r *run) tell(e Event) {
	if r.Watch != nil {
		r.Watch(e)
	}
}

func (r *run) found(items []Item) {
	if len(items) == 0 {
		return
	}
	count := map[int]int{}
	for _, item := range items {
		count[item.Depth]++
	}
	for depth, n := range count {
		r.tell(Event{Kind: Found, Depth: depth, Count: n})
	}
	r.queue.push(items)
}

// outcome is the error of a run that came to its end.
func (r *run) outcome() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failed > 0:
		return ErrIncomplete
	case r.pending > 0:
		return ErrPending
	}
	return nil
}

func (r *run) work(ctx context.Context) {
	for {
		item, ok := r.queue.take()
		if !ok || ctx.Err() != nil {
			return
		}
		t := &Task{key: item.Key, depth: item.Depth, journal: r.Journal}
		step, err := item.Do(ctx, t)
		if ctx.Err() == nil {
			r.found(step.Next)
		}
		switch {
		case err != nil:
			r.settleError(ctx, t, err)
		case !step.Again.IsZero():
			r.queue.later(item, step.Again)
		case step.Kept:
			r.tell(Event{Kind: KeptDone, Key: t.key, Depth: t.depth})
			r.queue.settle()
		case step.Recorded:
			r.tell(Event{Kind: Finished, Key: t.key, Depth: t.depth})
			r.queue.settle()
		case step.Write != nil:
			r.writes <- finished{task: t, step: step}
		default:
			r.finish(ctx, t, step.Data)
		}
	}
}

// settleError decides what an error means: the end of the run, an interruption, or that this one item failed or is left
// pending.
func (r *run) settleError(ctx context.Context, t *Task, err error) {
	stop, stops := errors.AsType[*stopError](err)
	switch {
	case stops:
		r.cancel(stop)
		r.queue.settle()
	case ctx.Err() != nil:
		r.queue.settle() // interrupted: pending, not failed
	case errors.Is(err, ErrPending):
		r.mu.Lock()
		r.pending++
		r.mu.Unlock()
		r.tell(Event{Kind: Failed, Key: t.key, Depth: t.depth, Err: err})
		r.queue.settle()
	default:
		rec, recErr := t.reached(context.WithoutCancel(ctx))
		if recErr != nil {
			r.cancel(&stopError{recErr})
			r.queue.settle()
			return
		}
		rec.Err = err.Error()
		r.mu.Lock()
		r.failed++
		r.mu.Unlock()
		r.tell(Event{Kind: Failed, Key: t.key, Depth: t.depth, Err: err})
		r.records <- finished{task: t, rec: rec}
	}
}

func (r *run) finish(ctx context.Context, t *Task, data any) {
	rec := Record{Key: t.key, State: Done}
	if data != nil {
		text, err := json.Marshal(data)
		if err != nil {
			r.settleError(ctx, t, Stop(fmt.Errorf("encode record of %s: %w", t.key, err)))
			return
		}
		rec.Data = text
	}
	r.records <- finished{task: t, rec: rec}
}

// write is the second stage. It goes on after an interruption until all that was read is written.
func (r *run) write(ctx context.Context) {
	for f := range r.writes {
		data, err := f.step.Write(ctx)
		if err != nil {
			r.settleError(ctx, f.task, err)
			continue
		}
		r.finish(ctx, f.task, data)
	}
}

// record commits records in groups: the files that they speak of first, then the rows.
func (r *run) record(ctx context.Context) {
	batch, depths := make([]Record, 0, group), make([]int, 0, group)
	for f := range r.records {
		batch, depths = append(batch[:0], f.rec), append(depths[:0], f.task.depth)
		r.gather(&batch, &depths)
		if err := r.commit(ctx, batch); err != nil {
			r.cancel(&stopError{err})
		} else {
			for i, rec := range batch {
				if rec.Err == "" {
					r.tell(Event{Kind: Finished, Key: rec.Key, Depth: depths[i]})
				}
			}
		}
		for range batch {
			r.queue.settle()
		}
	}
}

// gather adds the records that come within a moment. It does not wait when nothing else is under way.
func (r *run) gather(batch *[]Record, depths *[]int) {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for len(*batch) < group && r.queue.unsettled() > len(*batch) {
		select {
		case f, ok := <-r.records:
			if !ok {
				return
			}
			*batch, *depths = append(*batch, f.rec), append(*depths, f.task.depth)
		case <-timer.C:
			return
		}
	}
}

func (r *run) commit(ctx context.Context, batch []Record) error {
	if r.Flush != nil {
		if err := r.Flush(ctx, batch); err != nil {
			return err
		}
	}
	return r.Journal.Put(ctx, batch...)
}
