package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cloudletmig/internal/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keys are those of the records that are done, and those that failed.
func keys(t *testing.T, j job.Journal) (done, failed []string) {
	t.Helper()
	for rec, err := range j.All(t.Context(), "") {
		switch {
		case err != nil:
			t.Fatal(err)
		case rec.Err != "":
			failed = append(failed, rec.Key)
		case rec.State == job.Done:
			done = append(done, rec.Key)
		}
	}
	return done, failed
}

func leaf(key string, err error) job.Item {
	return job.Item{Key: key, Depth: 1, Do: func(context.Context, *job.Task) (job.Step, error) { return job.Step{Data: key}, err }}
}

func TestFollowUpsAreDoneAlsoWhenTheirItemFailed(t *testing.T) {
	var j job.Memory
	root := job.Item{Key: "root", Do: func(context.Context, *job.Task) (job.Step, error) {
		return job.Step{Next: []job.Item{leaf("a", nil), leaf("b", errors.New("no")), leaf("c", nil)}}, errors.New("half a list")
	}}
	err := job.Pool{Workers: 2, Journal: &j}.Run(t.Context(), root)
	if !errors.Is(err, job.ErrIncomplete) {
		t.Errorf("Run: %v", err)
	}
	done, failed := keys(t, &j)
	if !slices.Equal(done, []string{"a", "c"}) || !slices.Equal(failed, []string{"b", "root"}) {
		t.Errorf("done %v, failed %v", done, failed)
	}
}

func TestWorkersAndWritersAreBounded(t *testing.T) {
	var j job.Memory
	var reading, writing, mostReading, mostWriting, waiting, mostWaiting atomic.Int64
	enter := func(n, most *atomic.Int64) {
		now := n.Add(1)
		for {
			old := most.Load()
			if now <= old || most.CompareAndSwap(old, now) {
				return
			}
		}
	}
	items := make([]job.Item, 0, 200)
	for i := range 200 {
		items = append(items, job.Item{Key: fmt.Sprint(i), Do: func(context.Context, *job.Task) (job.Step, error) {
			enter(&reading, &mostReading)
			defer reading.Add(-1)
			enter(&waiting, &mostWaiting)
			return job.Step{Write: func(context.Context) (any, error) {
				waiting.Add(-1)
				enter(&writing, &mostWriting)
				defer writing.Add(-1)
				return i, nil
			}}, nil
		}})
	}
	if err := (job.Pool{Workers: 5, Writers: 3, Queue: 4, Journal: &j}).Run(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	if mostReading.Load() > 5 || mostWriting.Load() > 3 || mostWaiting.Load() > 5+4+3 {
		t.Errorf("%d reading, %d writing, %d between the two", mostReading.Load(), mostWriting.Load(), mostWaiting.Load())
	}
	if done, _ := keys(t, &j); len(done) != 200 {
		t.Errorf("%d done", len(done))
	}
}

func TestDeeperItemsGoFirst(t *testing.T) {
	var order []string
	note := func(key string, depth int, next ...job.Item) job.Item {
		return job.Item{Key: key, Depth: depth, Do: func(context.Context, *job.Task) (job.Step, error) {
			order = append(order, key)
			return job.Step{Next: next}, nil
		}}
	}
	page := note("page1", 0, note("p1", 1, note("v1", 2), note("v2", 2)), note("p2", 1, note("v3", 2)), note("page2", 0))
	if err := (job.Pool{Workers: 1, Journal: &job.Memory{}}).Run(t.Context(), page); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "page1 p1 v1 v2 p2 v3 page2" {
		t.Errorf("order %s", got)
	}
}

func TestInterruption(t *testing.T) {
	var j job.Memory
	ctx, cancel := context.WithCancel(t.Context())
	var wrote atomic.Bool
	read := make(chan struct{})
	items := []job.Item{
		{Key: "read", Depth: 3, Do: func(context.Context, *job.Task) (job.Step, error) {
			defer close(read)
			return job.Step{Write: func(ctx context.Context) (any, error) {
				cancel()
				wrote.Store(true)
				return "kept", ctx.Err()
			}}, nil
		}},
		{Key: "reading", Depth: 2, Do: func(ctx context.Context, _ *job.Task) (job.Step, error) {
			<-ctx.Done()
			return job.Step{Next: []job.Item{leaf("never", nil)}}, fmt.Errorf("read: %w", ctx.Err())
		}},
		{Key: "waiting", Depth: 1, Do: func(context.Context, *job.Task) (job.Step, error) {
			t.Error("began after the interruption")
			return job.Step{}, nil
		}},
	}
	err := job.Pool{Workers: 1, Writers: 1, Queue: 1, Journal: &j}.Run(ctx, items...)
	<-read
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	done, failed := keys(t, &j)
	if !wrote.Load() || !slices.Equal(done, []string{"read"}) || len(failed) > 0 {
		t.Errorf("wrote %v, done %v, failed %v", wrote.Load(), done, failed)
	}
}

func TestStopEndsTheRunAndLeavesTheItemPending(t *testing.T) {
	full := errors.New("disk full")
	for name, item := range map[string]job.Item{
		"by Do": {Key: "x", Do: func(context.Context, *job.Task) (job.Step, error) {
			return job.Step{}, fmt.Errorf("x: %w", job.Stop(full))
		}},
		"by Write": {Key: "x", Do: func(context.Context, *job.Task) (job.Step, error) {
			return job.Step{Write: func(context.Context) (any, error) { return nil, job.Stop(full) }}, nil
		}},
	} {
		var j job.Memory
		late := leaf("late", nil)
		late.Depth = -1
		err := job.Pool{Workers: 1, Journal: &j}.Run(t.Context(), item, late)
		_, failed := keys(t, &j)
		if !errors.Is(err, full) || len(failed) > 0 {
			t.Errorf("%s: %v, failed %v", name, err, failed)
		}
	}
	if job.Stop(nil) != nil {
		t.Error("Stop(nil) is an error")
	}
}

func TestFilesAreFlushedBeforeTheirRecords(t *testing.T) {
	var mu sync.Mutex
	flushed := map[string]bool{}
	j := &watched{put: func(records []job.Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, rec := range records {
			if !flushed[rec.Key] {
				t.Errorf("%s was recorded before it was flushed", rec.Key)
			}
		}
	}}
	pool := job.Pool{Workers: 4, Journal: j, Flush: func(_ context.Context, done []job.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for _, rec := range done {
			flushed[rec.Key] = true
		}
		return nil
	}}
	items := make([]job.Item, 0, 500)
	for i := range 500 {
		items = append(items, leaf(fmt.Sprint(i), nil))
	}
	if err := pool.Run(t.Context(), items...); err != nil {
		t.Fatal(err)
	}
	if j.puts.Load() > 100 {
		t.Errorf("500 records took %d commits", j.puts.Load())
	}
}

func TestJournalThatFailsEndsTheRun(t *testing.T) {
	broken := errors.New("journal broken")
	err := job.Pool{Workers: 2, Journal: &watched{err: broken}}.Run(t.Context(), leaf("a", nil), leaf("b", nil))
	if !errors.Is(err, broken) {
		t.Errorf("Run: %v", err)
	}
}

func TestAgainWaitsWithoutAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		calls := 0
		var other time.Duration
		items := []job.Item{
			{Key: "poll", Depth: 1, Do: func(context.Context, *job.Task) (job.Step, error) {
				if calls++; calls < 4 {
					return job.Step{Again: time.Now().Add(time.Minute)}, nil
				}
				return job.Step{Data: calls}, nil
			}},
			{Key: "other", Do: func(context.Context, *job.Task) (job.Step, error) {
				other = time.Since(begun)
				return job.Step{}, nil
			}},
		}
		if err := (job.Pool{Workers: 1, Journal: &job.Memory{}}).Run(t.Context(), items...); err != nil {
			t.Fatal(err)
		}
		if calls != 4 || other != 0 || time.Since(begun) < 3*time.Minute || time.Since(begun) > 3*time.Minute+time.Second {
			t.Errorf("%d calls, the other item after %s, all after %s", calls, other, time.Since(begun))
		}
	})
}

func TestInterruptionEndsAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		item := job.Item{Key: "poll", Do: func(context.Context, *job.Task) (job.Step, error) {
			return job.Step{Again: time.Now().Add(time.Hour)}, nil
		}}
		begun := time.Now()
		err := job.Pool{Workers: 1, Journal: &job.Memory{}}.Run(ctx, item)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 2*time.Second {
			t.Errorf("Run: %v after %s", err, time.Since(begun))
		}
	})
}

func TestRecords(t *testing.T) {
	var j job.Memory
	item := job.Item{Key: "x", Do: func(ctx context.Context, task *job.Task) (job.Step, error) {
		if _, ok, err := task.Earlier(ctx); ok || err != nil {
			t.Errorf("an earlier record: %v %v", ok, err)
		}
		return job.Step{}, errors.Join(task.Save(ctx, "sent", map[string]int{"attempt": 1}), errors.New("lost"))
	}}
	if err := (job.Pool{Workers: 1, Journal: &j}).Run(t.Context(), item); !errors.Is(err, job.ErrIncomplete) {
		t.Fatal(err)
	}
	rec, _, err := j.Get(t.Context(), "x")
	if err != nil || rec.State != "sent" || rec.Err != "lost" || string(rec.Data) != `{"attempt":1}` {
		t.Errorf("a failure hides what was reached: %+v %v", rec, err)
	}
	item.Do = func(ctx context.Context, task *job.Task) (job.Step, error) {
		earlier, ok, err := task.Earlier(ctx)
		if !ok || err != nil || earlier.State != "sent" {
			t.Errorf("earlier record: %+v %v %v", earlier, ok, err)
		}
		return job.Step{Kept: true}, nil
	}
	var seen []job.Kind
	if err := (job.Pool{Workers: 1, Journal: &j, Watch: func(e job.Event) { seen = append(seen, e.Kind) }}).Run(t.Context(), item); err != nil {
		t.Fatal(err)
	}
	after, _, err := j.Get(t.Context(), "x")
	if err != nil || after.State != "sent" || !slices.Equal(seen, []job.Kind{job.Began, job.Found, job.KeptDone}) {
		t.Errorf("Kept changed the record: %+v; events %v", after, seen)
	}
	if data, err := json.Marshal(after.Data); err != nil || string(data) != `{"attempt":1}` {
		t.Errorf("data %s %v", data, err)
	}
}

// watched is a Memory that is looked at, or fails.
type watched struct {
	job.Memory
	put  func([]job.Record)
	err  error
	puts atomic.Int64
}

func (w *watched) Put(ctx context.Context, records ...job.Record) error {
	if w.err != nil {
		return w.err
	}
	w.puts.Add(1)
	if w.put != nil {
		w.put(records)
	}
	return w.Memory.Put(ctx, records...)
}

// An item that has recorded its end itself is finished, and its record stays as it is.
func TestRecordedItem(t *testing.T) {
	var j job.Memory
	finished := 0
	err := job.Pool{Journal: &j, Watch: func(e job.Event) {
		if e.Kind == job.Finished && e.Key == "a" {
			finished++
		}
	}}.Run(t.Context(), job.Item{Key: "a", Do: func(ctx context.Context, task *job.Task) (job.Step, error) {
		return job.Step{Recorded: true, Next: []job.Item{leaf("b", nil)}}, task.Save(ctx, job.Done, "mine")
	}})
	rec, _, _ := j.Get(t.Context(), "a")
	if err != nil || finished != 1 || string(rec.Data) != `"mine"` {
		t.Errorf("%v, finished %d times, recorded %s", err, finished, rec.Data)
	}
	if done, _ := keys(t, &j); !slices.Equal(done, []string{"a", "b"}) {
		t.Errorf("done %v", done)
	}
}

func TestPendingItemIsNoFailure(t *testing.T) {
	waits := func(ctx context.Context, task *job.Task) (job.Step, error) {
		return job.Step{}, errors.Join(task.Save(ctx, "sent", task.Key()), fmt.Errorf("look up: %w", job.ErrPending))
	}
	for _, c := range []struct {
		items []job.Item
		want  error
	}{
		{[]job.Item{{Key: "x", Do: waits}, leaf("a", nil)}, job.ErrPending},
		{[]job.Item{{Key: "x", Do: waits}, leaf("a", errors.New("no"))}, job.ErrIncomplete},
	} {
		var j job.Memory
		var told error
		err := job.Pool{Journal: &j, Watch: func(e job.Event) {
			if e.Kind == job.Failed && e.Key == "x" {
				told = e.Err
			}
		}}.Run(t.Context(), c.items...)
		rec, _, _ := j.Get(t.Context(), "x")
		if !errors.Is(err, c.want) || !errors.Is(told, job.ErrPending) || rec.State != "sent" || rec.Err != "" || string(rec.Data) != `"x"` {
			t.Errorf("Run: %v, told %v, recorded %+v", err, told, rec)
		}
	}
}

func TestStops(t *testing.T) {
	full := errors.New("disk full")
	if !job.Stops(fmt.Errorf("x: %w", job.Stop(full))) || job.Stops(full) || job.Stops(nil) {
		t.Error("Stops does not know what Stop made")
	}
}
