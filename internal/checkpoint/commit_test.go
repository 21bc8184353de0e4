package checkpoint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"cloudletmig/internal/job"
)

// commits counts the commits in the log.
func commits(t *testing.T, path string) int {
	t.Helper()
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for at := logHeaderSize; at+frameHeaderSize+4096 <= len(log); at += frameHeaderSize + 4096 {
		if binary.BigEndian.Uint32(log[at+4:]) != 0 {
			n++
		}
	}
	return n
}

func TestPutsShareCommits(t *testing.T) {
	path := journalPath(t)
	synctest.Test(t, func(t *testing.T) {
		db := open(t, path)
		run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
		before := commits(t, path)
		const puts = 300
		tx, err := db.sql.BeginTx(t.Context(), nil) // holds the committer up
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range puts {
			wg.Go(func() { put(t, run, record(i)) })
		}
		synctest.Wait() // all are under way, and none can be done
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if got := commits(t, path) - before; got < puts/groupRows || got > puts/groupRows+2 {
			t.Errorf("%d puts made %d commits, want groups of %d", puts, got, groupRows)
		}
		if got := len(all(t, run, "")); got != puts {
			t.Errorf("%d of %d records are there", got, puts)
		}
		put(t, run, make([]job.Record, 0)...)
		large := make([]job.Record, 5*groupRows)
		for i := range large {
			large[i] = record(1000 + i)
		}
		before = commits(t, path)
		put(t, run, large...)
		if got := commits(t, path) - before; got != 1 {
			t.Errorf("one large put made %d commits", got)
		}
		closed(t, db)
	})
}

// TestOneBadWrite puts a record that the schema refuses into a group: it takes no other down, and itself goes whole.
func TestOneBadWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, journalPath(t))
		run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
		tx, err := db.sql.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				list := []job.Record{record(2 * i), record(2*i + 1)}
				if i == 7 {
					list[1].State = "Not A State"
				}
				errs[i] = run.Put(t.Context(), list...)
			})
		}
		synctest.Wait()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for i, err := range errs {
			if (err != nil) != (i == 7) {
				t.Errorf("put %d: %v", i, err)
			}
		}
		if got := len(all(t, run, "")); got != 38 {
			t.Errorf("%d records, want 38: %q", got, keysOf(all(t, run, "")))
		}
		closed(t, db)
	})
}

func TestCancelledPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t, journalPath(t))
		run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
		tx, err := db.sql.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		var wg sync.WaitGroup
		wg.Go(func() { first = run.Put(ctx, record(1)) })
		synctest.Wait() // the committer has it
		wg.Go(func() { second = run.Put(ctx, record(2)) })
		synctest.Wait() // still waiting to be taken
		cancel()
		synctest.Wait()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if first != nil || !errors.Is(second, context.Canceled) {
			t.Errorf("handed over: %v; not handed over: %v", first, second)
		}
		if got := keysOf(all(t, run, "")); len(got) != 1 || got[0] != record(1).Key {
			t.Errorf("stored are %q", got)
		}
		closed(t, db)
		if err := run.Put(t.Context(), record(3)); !errors.Is(err, ErrClosed) {
			t.Errorf("put after close: %v", err)
		}
		if _, _, err := run.Get(t.Context(), "x"); !errors.Is(err, ErrClosed) {
			t.Errorf("get after close: %v", err)
		}
	})
}

func TestCloseWhilePutting(t *testing.T) {
	path := journalPath(t)
	db := open(t, path)
	run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	stored := make([]int, 8)
	var wg sync.WaitGroup
	started := make(chan struct{}, 8*1000)
	for w := range stored {
		wg.Go(func() {
			for i := range 1000 {
				if err := run.Put(t.Context(), record(w*1000+i)); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Errorf("put: %v", err)
					}
					return
				}
				stored[w]++
				started <- struct{}{}
			}
		})
	}
	for range 50 {
		<-started
	}
	closed(t, db)
	wg.Wait()
	sum := 0
	for _, n := range stored {
		sum += n
	}
	again := open(t, path)
	run, resumed, err := again.Begin(t.Context(), RunInfo{Kind: "export", Target: "dir"})
	if err != nil || !resumed {
		t.Fatalf("resumed %v, %v", resumed, err)
	}
	if got := len(all(t, run, "")); got != sum {
		t.Errorf("%d records for %d acknowledged", got, sum)
	}
}

// TestDiskFull is promise P7: nothing that was acknowledged is lost, the journal stays sound and goes on when there is
// room again.
func TestDiskFull(t *testing.T) {
	path := journalPath(t)
	db, err := Open(t.Context(), path, Options{MaxPages: 40})
	if err != nil {
		t.Fatal(err)
	}
	run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	stored := 0
	data := []byte(`"` + strings.Repeat("x", 500) + `"`)
	for full := 0; full < 3; stored++ {
		rec := record(stored)
		rec.Data = data
		if err := run.Put(t.Context(), rec, job.Record{Key: fmt.Sprintf("second/%d", stored), Data: data}); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("error is %v, want a full disk", err)
			}
			full++
			stored--
		}
		if stored > 10_000 {
			t.Fatal("the disk never fills")
		}
	}
	if got := len(all(t, run, "")); got != 2*stored || stored == 0 {
		t.Errorf("%d records for %d puts of two", got, stored)
	}
	closed(t, db)
	db = open(t, path)
	run, resumed, err := db.Begin(t.Context(), RunInfo{Kind: "export", Target: "dir"})
	if err != nil || !resumed {
		t.Fatalf("resumed %v, %v", resumed, err)
	}
	put(t, run, record(stored))
	if got := len(all(t, run, "")); got != 2*stored+1 {
		t.Errorf("%d records once there is room, want %d", got, 2*stored+1)
	}
}

// TestAllWithinLoop uses the journal inside the loop over it: there is one connection, and it must be free by then.
func TestAllWithinLoop(t *testing.T) {
	db := open(t, journalPath(t))
	run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	var list []job.Record
	for i := range 3*pageRows + 10 {
		list = append(list, record(i))
	}
	put(t, run, list...)
	var got []job.Record
	for rec, err := range run.All(t.Context(), "item/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec)
		if len(got)%100 == 0 {
			if _, ok, err := run.Get(t.Context(), rec.Key); !ok || err != nil {
				t.Fatalf("get inside the loop: %v", err)
			}
			put(t, run, job.Record{Key: "other/" + rec.Key})
		}
	}
	if diff := cmp.Diff(list, got); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range run.All(ctx, "") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled loop: %v", err)
		}
	}
}
