package checkpoint

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/job"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkPuts stores 100,000 records through 16 goroutines, one a call, and opens the journal again.
func BenchmarkPuts(b *testing.B) {
	const rows, writers = 100_000, 16
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "journal.db")
		db, err := Open(b.Context(), path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		run, _, err := db.Begin(b.Context(), RunInfo{Kind: "export", Target: "x"})
		if err != nil {
			b.Fatal(err)
		}
		data := json.RawMessage(`{"path":"legacy/1001_name/versions/12.json","size":262144,"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`)
		start, startCPU := time.Now(), cpu()
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := w; i < rows; i += writers {
					rec := job.Record{Key: fmt.Sprintf("version/v2/%d/%d", i/10, i%10), State: job.Done, Data: data}
					if err := run.Put(b.Context(), rec); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		took, used := time.Since(start), cpu()-startCPU
		b.ReportMetric(rows/took.Seconds(), "rows/s")
		b.ReportMetric(float64(used.Microseconds())/rows, "cpu-us/row")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		if db, err = Open(b.Context(), path, Options{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "open-ms")
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
