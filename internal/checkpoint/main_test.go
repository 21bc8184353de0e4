package checkpoint

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cloudletmig/internal/job"
)

// flips is how many bits the damage tests flip, one at a time.
var flips = flag.Int("flips", 200, "how many bits to flip")

// TestMain also is the child of the tests that kill one.
func TestMain(m *testing.M) {
	if path := os.Getenv("CHECKPOINT_TEST_CHILD"); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var epoch = time.Date(2026, 7, 1, 10, 0, 0, 123, time.UTC)

func open(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, Options{Command: "cloudletmig test", Now: func() time.Time { return epoch }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, db) })
	return db
}

func closed(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func begin(t *testing.T, db *DB, info RunInfo) *Run {
	t.Helper()
	run, _, err := db.Begin(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func put(t *testing.T, run *Run, records ...job.Record) {
	t.Helper()
	if err := run.Put(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, run *Run, prefix string) []job.Record {
	t.Helper()
	var list []job.Record
	for rec, err := range run.All(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rec)
	}
	return list
}

func journalPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "journal.db")
}

// dump is everything in the journal.
func dump(t *testing.T, db *DB) (string, error) {
	t.Helper()
	runs, err := db.Runs(t.Context())
	if err != nil {
		return "", err
	}
	content := map[string]any{"runs": runs}
	for _, info := range runs {
		var items []job.Record
		for rec, err := range db.Items(t.Context(), info.ID, false) {
			if err != nil {
				return "", err
			}
			items = append(items, rec)
		}
		content["items of "+info.ID] = items
		rows, err := queryRuns(t.Context(), db.sql, "WHERE id = ?", info.ID)
		if err != nil {
			return "", err
		}
		attempts, err := (&Run{db: db, seq: rows[0].seq}).Attempts(t.Context(), "policy/7")
		if err != nil {
			return "", err
		}
		content["attempts of "+info.ID] = attempts
	}
	text, err := json.MarshalIndent(content, "", " ")
	return string(text), err
}

// populate makes a journal with runs of several ends, items with and without data and errors, and attempts.
func populate(t *testing.T, path string, items int) {
	t.Helper()
	db := open(t, path)
	for i, state := range []string{Complete, Incomplete, Interrupted} {
		run := begin(t, db, RunInfo{
			Kind: "export", Args: []string{"export", "dir"}, Target: "dir" + strconv.Itoa(i),
			Options: `{"format":"pretty"}`, Fingerprint: "f",
		})
		var list []job.Record
		for n := range items {
			rec := job.Record{Key: fmt.Sprintf("version/%d/%d", n/7, n%7), State: job.Done}
			if n%3 != 0 {
				rec.Data = fmt.Appendf(nil, `{"file":"legacy/%d/versions/%d.json","size":%d}`, n/7, n%7, n*n)
			}
			if n%11 == 5 {
				rec.State, rec.Err = "fetched", "GET /cloudlets/v3/policies: status 500"
			}
			list = append(list, rec)
		}
		put(t, run, list...)
		attempts := []Attempt{{Key: "policy/7", N: 1, Marker: "[cmig:1/7]", At: epoch}, {Key: "policy/7", N: 1, Verdict: "unknown", Marker: "[cmig:1/7]", At: epoch}}
		if err := run.Log(t.Context(), attempts...); err != nil {
			t.Fatal(err)
		}
		if err := run.End(t.Context(), state, i, json.RawMessage(`{"n":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, db)
}

// keysOf is for messages.
func keysOf(list []job.Record) []string {
	keys := map[string]bool{}
	for _, rec := range list {
		keys[rec.Key] = true
	}
	return slices.Sorted(maps.Keys(keys))
}
