package checkpoint

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cloudletmig/internal/job"
)

func TestRecordsComeBackAsTheyWent(t *testing.T) {
	path := journalPath(t)
	db := open(t, path)
	run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	records := []job.Record{
		{Key: "", State: "", Err: "an empty key"},
		{Key: "a", State: job.Done},
		{Key: "a\x00b", State: "sent", Data: json.RawMessage(`{"n":123456789012345678901234567890}`)},
		{Key: "a/1", Data: json.RawMessage("null")},
		{Key: "a/1/2", Err: "line\nbreak \x00 and \xff"},
		{Key: "a/\xff\xfe", Data: json.RawMessage(`"é 🙂 <>&"`)},
		{Key: "a/\xff\xff", State: job.Done},
		{Key: "b", State: job.Done},
		{Key: "é", State: "created"},
	}
	shuffled := []job.Record{records[4], records[0], records[8], records[2], records[1], records[7], records[3], records[6], records[5]}
	put(t, run, shuffled...)
	check := func(run *Run) {
		t.Helper()
		if diff := cmp.Diff(records, all(t, run, "")); diff != "" {
			t.Error(diff)
		}
		for prefix, want := range map[string][]job.Record{"a/": records[3:7], "a/\xff": records[5:7], "a": records[1:7], "c": nil, "\xff": nil} {
			if diff := cmp.Diff(want, all(t, run, prefix)); diff != "" {
				t.Errorf("prefix %q: %s", prefix, diff)
			}
		}
		for _, rec := range records {
			got, ok, err := run.Get(t.Context(), rec.Key)
			if err != nil || !ok || !cmp.Equal(rec, got) {
				t.Errorf("Get(%q) is %v, %v, %v", rec.Key, got, ok, err)
			}
		}
		if _, ok, err := run.Get(t.Context(), "missing"); ok || err != nil {
			t.Errorf("a missing key: %v, %v", ok, err)
		}
	}
	check(run)
	closed(t, db)
	db = open(t, path)
	run = begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	check(run)

	changedOne := job.Record{Key: "a", State: "again", Data: json.RawMessage("1"), Err: "e"}
	put(t, run, changedOne, job.Record{Key: "b", State: "x"}, job.Record{Key: "b", State: "last"})
	if err := run.Delete(t.Context(), "é", "a/1", "missing"); err != nil {
		t.Fatal(err)
	}
	if got := all(t, run, "a"); len(got) != 5 || !cmp.Equal(got[0], changedOne) {
		t.Errorf("after a change: %v", got)
	}
	if got := all(t, run, "b"); len(got) != 1 || got[0].State != "last" {
		t.Errorf("of two records of one key in a put: %v", got)
	}
	other := begin(t, db, RunInfo{Kind: "export", Target: "elsewhere"})
	if got := all(t, other, ""); got != nil {
		t.Errorf("another run sees %v", got)
	}
}

func TestFileAndSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "a?b#c%20 d.db")
	db := open(t, path)
	begin(t, db, RunInfo{Kind: "export", Target: "dir"})
	for _, name := range []string{path, path + ".lock", path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
		t.Error("nothing was written to the log")
	}
	_, err := Open(t.Context(), path, Options{})
	lockedBy(t, err, os.Getpid(), "cloudletmig test")
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), link, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("by another name of the file: %v", err)
	}
	closed(t, db)
	closed(t, db) // once more does no harm
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("after close there are %v, %v", entries, err)
	}
	open(t, link)
}

func TestResume(t *testing.T) {
	path := journalPath(t)
	info := RunInfo{Kind: "export", Args: []string{"export", "dir"}, Target: "dir", Options: `{"format":"pretty","versions":"all"}`, Fingerprint: "one"}
	db := open(t, path)
	first := begin(t, db, info)
	put(t, first, record(1))
	if _, _, err := db.Begin(t.Context(), info); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("the same run twice at once: %v", err)
	}
	closed(t, db) // without End, as when killed

	db = open(t, path)
	if list, err := db.Runs(t.Context()); err != nil || len(list) != 1 || list[0].State != Interrupted || list[0].Items != 1 || !list[0].Ended.IsZero() {
		t.Errorf("a run that was killed: %+v, %v", list, err)
	}
	run, resumed, err := db.Begin(t.Context(), info)
	if err != nil || !resumed || run.ID() != first.ID() || len(all(t, run, "")) != 1 {
		t.Fatalf("resumed %v, %v", resumed, err)
	}
	for _, state := range []string{Interrupted, Failed, Incomplete} {
		if err := run.End(t.Context(), state, 3, nil); err != nil {
			t.Fatal(err)
		}
		if run, resumed, err = db.Begin(t.Context(), info); err != nil || !resumed || run.ID() != first.ID() {
			t.Fatalf("after %s: resumed %v, %v", state, resumed, err)
		}
	}
	for _, state := range []string{Running, "nonsense"} {
		if err := run.End(t.Context(), state, 0, nil); err == nil {
			t.Errorf("a run ended in state %s", state)
		}
	}
	if err := run.End(t.Context(), Complete, 0, json.RawMessage(`{"policies":3}`)); err != nil {
		t.Fatal(err)
	}
	got, err := db.Run(t.Context(), run.ID())
	want := info
	want.ID, want.State, want.Started, want.Ended = run.ID(), Complete, epoch, epoch
	want.Summary, want.Items, want.Done = json.RawMessage(`{"policies":3}`), 1, 1
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	again, resumed, err := db.Begin(t.Context(), info)
	if err != nil || resumed || again.ID() == run.ID() || len(all(t, again, "")) != 0 {
		t.Errorf("after a complete run: resumed %v, %v", resumed, err)
	}
}

func TestChangedAndFresh(t *testing.T) {
	db := open(t, journalPath(t))
	info := RunInfo{Kind: "export", Target: "dir", Options: `{"format":"pretty","versions":"all"}`, Fingerprint: "one"}
	run := begin(t, db, info)
	put(t, run, record(1))
	if err := run.End(t.Context(), Interrupted, 130, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*RunInfo)
		says   []string
		silent string
	}{
		{func(i *RunInfo) { i.Options = `{"format":"raw","versions":"all"}` }, []string{`format was "pretty", now "raw"`}, "versions"},
		{func(i *RunInfo) { i.Options = `{"versions":"all","type":["ER"]}` }, []string{`format was "pretty", now not set`, `type was not set, now ["ER"]`}, "versions"},
		{func(i *RunInfo) { i.Options = `{"versions":"all","format":"pretty"}` }, []string{"another way"}, "host"},
		{func(i *RunInfo) { i.Options = "plain" }, []string{`now "plain"`}, "host"},
		{func(i *RunInfo) { i.Fingerprint = "two" }, []string{"host or account"}, "format"},
	} {
		other := info
		c.change(&other)
		_, _, err := db.Begin(t.Context(), other)
		change, ok := errors.AsType[*ChangedError](err)
		if !ok || !errors.Is(err, ErrChanged) || !strings.Contains(change.Hint(), "--fresh") {
			t.Fatalf("error is %v", err)
		}
		for _, says := range append(c.says, run.ID(), "export dir") {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("the message does not say %s: %v", says, err)
			}
		}
		if strings.Contains(err.Error(), c.silent) {
			t.Errorf("the message speaks of %s: %v", c.silent, err)
		}
	}
	elsewhere := info
	elsewhere.Target = "another"
	if _, resumed, err := db.Begin(t.Context(), elsewhere); err != nil || resumed {
		t.Errorf("another target: resumed %v, %v", resumed, err)
	}
	info.Fresh, info.Fingerprint = true, "two"
	fresh, resumed, err := db.Begin(t.Context(), info)
	if err != nil || resumed || fresh.ID() == run.ID() || len(all(t, fresh, "")) != 0 {
		t.Errorf("fresh: resumed %v, %v", resumed, err)
	}
	if old, err := db.Run(t.Context(), run.ID()); err != nil || old.State != Abandoned || old.Unfinished() {
		t.Errorf("the older run is %+v, %v", old, err)
	}
}

func TestRunsItemsAndPrune(t *testing.T) {
	db := open(t, journalPath(t))
	var ids []string
	for i := range 6 {
		run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
		ids = append(ids, run.ID())
		for n := range 4 {
			rec := record(n)
			if n == 2 {
				rec.State, rec.Err = "fetched", "status 500"
			}
			put(t, run, rec)
		}
		if err := run.Log(t.Context(), Attempt{Key: "k", N: 1, At: epoch}); err != nil {
			t.Fatal(err)
		}
		state := Complete
		if i == 5 {
			state = Incomplete
		}
		if err := run.End(t.Context(), state, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(ids)
	items := func(id string, onlyFailed bool) (n int) {
		for rec, err := range db.Items(t.Context(), id, onlyFailed) {
			if err != nil {
				t.Fatal(err)
			}
			if onlyFailed && rec.Err == "" {
				t.Errorf("%s did not fail", rec.Key)
			}
			n++
		}
		return n
	}
	listed := func() (got []string) {
		list, err := db.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range list {
			if info.Items != 4 || info.Done != 3 || info.Failed != 1 {
				t.Errorf("counts of %s: %+v", info.ID, info)
			}
			got = append(got, info.ID)
		}
		return got
	}
	if got := listed(); !slices.Equal(got, ids) {
		t.Errorf("runs are %q, want %q", got, ids)
	}
	if all, failed := items(ids[0], false), items(ids[0], true); all != 4 || failed != 1 {
		t.Errorf("%d items, %d failed", all, failed)
	}
	if n, err := db.Prune(t.Context(), 2); n != 12 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	for i, id := range ids {
		want := 4
		if i >= 3 { // the newest is incomplete and is kept, and two complete ones
			want = 0
		}
		if got := items(id, false); got != want {
			t.Errorf("run %d has %d items left, want %d", i, got, want)
		}
	}
	if got := listed(); len(got) != 6 {
		t.Errorf("after prune there are %d runs", len(got))
	}
}

func TestRunByID(t *testing.T) {
	db := open(t, journalPath(t))
	ids := map[string]int{}
	for range 40 { // of 40 some begin alike
		run := begin(t, db, RunInfo{Kind: "export", Target: "dir"})
		ids[run.ID()[:1]]++
		if err := run.End(t.Context(), Complete, 0, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Run(t.Context(), run.ID()); err != nil || got.ID != run.ID() {
			t.Errorf("by id: %v, %v", got.ID, err)
		}
	}
	for prefix, n := range ids {
		_, err := db.Run(t.Context(), prefix)
		if ambiguous := errors.Is(err, ErrNoRun) && strings.Contains(err.Error(), "all begin so"); ambiguous != (n > 1) {
			t.Errorf("%d ids begin with %s: %v", n, prefix, err)
		}
	}
	for _, id := range []string{"", "zz", "%", "_"} {
		if _, err := db.Run(t.Context(), id); !errors.Is(err, ErrNoRun) {
			t.Errorf("Run(%q): %v", id, err)
		}
	}
	for _, err := range db.Items(t.Context(), "nope", false) {
		if !errors.Is(err, ErrNoRun) {
			t.Errorf("items of no run: %v", err)
		}
	}
}

func TestAttempts(t *testing.T) {
	db := open(t, journalPath(t))
	run := begin(t, db, RunInfo{Kind: "import", Target: "dir"})
	want := []Attempt{
		{Key: "policy/7", N: 1, Marker: "[cmig:1/7]", At: epoch},
		{Key: "policy/7", N: 1, Verdict: "unknown", Marker: "[cmig:1/7]", At: epoch.Add(1)},
		{Key: "policy/7", N: 2, Marker: "[cmig:1/7]", At: epoch.Add(2)},
	}
	for _, a := range want {
		if err := run.Log(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Log(t.Context(), Attempt{Key: "policy/8", N: 1}, want[0]); err == nil {
		t.Error("an attempt was written over")
	}
	if got, err := run.Attempts(t.Context(), "policy/7"); err != nil || !cmp.Equal(want, got) {
		t.Errorf("attempts are %v, %v", got, err)
	}
	if got, err := run.Attempts(t.Context(), "policy/8"); err != nil || got != nil {
		t.Errorf("of a refused call something is there: %v, %v", got, err)
	}
	if _, err := db.sql.ExecContext(t.Context(), "UPDATE attempt SET verdict = 'applied'"); err == nil || !strings.Contains(err.Error(), "never changed") {
		t.Errorf("a change of the history: %v", err)
	}
}

// A record and the line of the history that goes with it are stored both or neither.
func TestPutLogged(t *testing.T) {
	run := begin(t, open(t, journalPath(t)), RunInfo{Kind: "import", Target: "dir"})
	line := Attempt{Key: "a", N: 1, At: epoch}
	if err := run.PutLogged(t.Context(), []Attempt{line}, job.Record{Key: "a", State: "sent"}); err != nil {
		t.Fatal(err)
	}
	if err := run.PutLogged(t.Context(), []Attempt{line}, job.Record{Key: "a", State: "created"}); err == nil {
		t.Error("the same line twice was taken")
	}
	rec, ok, err := run.Get(t.Context(), "a")
	if err != nil || !ok || rec.State != "sent" {
		t.Errorf("%+v, %v, %v", rec, ok, err)
	}
	if all, err := run.Attempts(t.Context(), "a"); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestAbandon(t *testing.T) {
	db := open(t, journalPath(t))
	info := RunInfo{Kind: "import", Target: "dir"}
	run := begin(t, db, info)
	put(t, run, job.Record{Key: "a", State: job.Done})
	if err := db.Abandon(t.Context(), run.ID()); err == nil {
		t.Error("a run that is under way was abandoned")
	}
	state := func(id string) string {
		t.Helper()
		got, err := db.Run(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	for ended, want := range map[string]string{Incomplete: Abandoned, Interrupted: Abandoned, Complete: Complete, Abandoned: Abandoned} {
		if err := run.End(t.Context(), ended, 3, nil); err != nil {
			t.Fatal(err)
		}
		if err := db.Abandon(t.Context(), run.ID()); err != nil {
			t.Error(err)
		}
		if got := state(run.ID()); got != want {
			t.Errorf("%s became %s, not %s", ended, got, want)
		}
	}
	if next := begin(t, db, info); next.ID() == run.ID() {
		t.Error("the run goes on")
	}
	if err := db.Abandon(t.Context(), "00000000"); !errors.Is(err, ErrNoRun) {
		t.Errorf("a run that is not there: %v", err)
	}
}
