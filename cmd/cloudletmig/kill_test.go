package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/simulator"
)

// killWorkers is small, so that a kill finds much to do still.
const killWorkers = 4

// TestKillExport kills an export at random points, gives the same command again until it is done, and wants the result
// of an export that nobody disturbed, no request for what was recorded, and no more lost work than was in flight.
func TestKillExport(t *testing.T) {
	t.Parallel()
	l := newLab(t, killOptions(), simulator.ListenOptions{})
	k := newKiller(l, func(n int) (string, []string) {
		dir := l.path(fmt.Sprintf("killed-%d", n))
		return dir, []string{"export", dir}
	})
	k.spree(figures.kills.n())
}

// TestKillExportInto does the same to snapshots named after the time, which get their name when they are complete.
func TestKillExportInto(t *testing.T) {
	t.Parallel()
	l := newLab(t, killOptions(), simulator.ListenOptions{})
	k := newKiller(l, func(n int) (string, []string) {
		parent := l.path(fmt.Sprintf("parent-%d", n))
		return parent, []string{"export", "--into", parent}
	})
	k.into = true
	k.spree(figures.killsInto.n())
}

// TestKillExportBase does the same to an export on top of an earlier snapshot.
func TestKillExportBase(t *testing.T) {
	t.Parallel()
	opt := killOptions()
	frozen(t, opt.Account)
	l := newLab(t, opt, simulator.ListenOptions{})
	base := l.path("base")
	l.must(0, "export", base, "--progress", "never")
	random := rand.New(rand.NewPCG(3, 3))
	for range 60 {
		changeAtRandom(t, random, l.server.Account(), map[string]bool{})
	}
	k := newKiller(l, func(n int) (string, []string) {
		dir := l.path(fmt.Sprintf("killed-%d", n))
		return dir, []string{"export", dir, "--base", base}
	})
	k.spree(figures.killsBase.n())
}

func killOptions() simulator.Options {
	return simulator.Options{
		Account: simulator.Generate(simulator.GenerateOptions{Policies: 24, Versions: 8, Rules: 5, Seed: 7}),
		Faults:  []simulator.Fault{{Kind: simulator.FaultLatency, Delay: 2 * time.Millisecond, Jitter: 6 * time.Millisecond}},
	}
}

// killer runs a command again and again, and kills it.
type killer struct {
	*lab
	command func(n int) (target string, args []string)
	into    bool
	random  *rand.Rand
	want    map[string]string
	took    time.Duration // by a run that nobody disturbs
	asked   int           // its requests

	recorded map[string]bool // request paths of the versions that the journal holds
	kills    int
	lost     int // the most answers that one kill has lost
}

func newKiller(l *lab, command func(n int) (string, []string)) *killer {
	l.t.Helper()
	k := &killer{lab: l, command: command, random: rand.New(rand.NewPCG(1, uint64(figures.kills.n())))}
	l.forget(nil)
	begun := time.Now()
	l.must(0, "export", l.path("undisturbed"), "--progress", "never", "--workers", fmt.Sprint(killWorkers))
	k.took, k.asked = time.Since(begun), len(l.requests())
	k.want = snapshotTree(l.t, l.path("undisturbed"))
	return k
}

// spree completes command after command until that many kills were made.
func (k *killer) spree(kills int) {
	k.t.Helper()
	for n := 0; k.kills < kills; n++ {
		target, args := k.command(n)
		k.toTheEnd(target, args)
	}
	k.t.Logf("%d kills; at most %d answered versions lost by one", k.kills, k.lost)
}

// toTheEnd gives one command until it is done, and looks at what it leaves.
func (k *killer) toTheEnd(target string, args []string) {
	k.t.Helper()
	args = append(args, "--timeout", "500ms", "--workers", fmt.Sprint(killWorkers), "--progress", "never")
	k.recorded = map[string]bool{}
	total, begun := 0, k.kills
	for killed := true; killed; {
		killed = k.attempt(target, args)
		asked := k.versionRequests()
		for path, n := range asked {
			total += n
			if k.recorded[path] && !k.into { // a snapshot that got its name just before the kill is followed by another
				k.t.Fatalf("GET %s although the journal holds it", path)
			}
		}
		if killed && k.examine(target, asked) == checkpoint.Complete {
			break // killed after its end
		}
	}
	versions := 0
	for path := range k.want {
		if isVersion(path) {
			versions++
		}
	}
	if bound := versions + (k.kills-begun)*(64+3*killWorkers); total > bound {
		k.t.Fatalf("%d requests for %d versions in spite of the journal, %d kills", total, versions, k.kills-begun)
	}
	k.judge(target)
	if err := os.RemoveAll(target); err != nil {
		k.t.Fatal(err)
	}
}

// judge wants the target to be what the undisturbed run has left.
func (k *killer) judge(target string) {
	k.t.Helper()
	if !k.into {
		sameTree(k.t, "the killed and resumed export", snapshotTree(k.t, target), k.want)
		return
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		k.t.Fatal(err)
	}
	found := 0
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".checkpoint.db") {
			continue
		}
		found++
		sameTree(k.t, entry.Name(), snapshotTree(k.t, filepath.Join(target, entry.Name())), k.want)
		if strings.Contains(entry.Name(), "partial") {
			k.t.Fatalf("%s is left", entry.Name())
		}
	}
	if found == 0 {
		k.t.Fatal("there is no snapshot")
	}
}

// attempt runs the command and kills it at a random point, unless it ends before.
func (k *killer) attempt(target string, args []string) (killed bool) {
	k.t.Helper()
	strike := make(chan struct{})
	at := -1
	var file string
	wait := time.Duration(k.random.Int64N(int64(20 * time.Millisecond)))
	switch k.random.IntN(10) {
	case 0, 1:
		wait = time.Duration(k.random.Int64N(int64(k.took)))
	case 2: // the end of the run: index, manifest, and after it
		file, wait = "index.csv", wait/10
	case 3:
		file, wait = "manifest.json", wait/10
	default:
		at = 1 + k.random.IntN(k.asked)
	}
	k.forget(func(n int) {
		if n == at {
			close(strike)
		}
	})
	if at < 0 && file == "" {
		close(strike)
	}
	c := k.lab.command(args...).start()
	if file != "" {
		go appears(c.ended, target, file, strike)
	}
	select {
	case <-strike:
		select {
		case <-time.After(wait):
		case <-c.ended:
		}
	case <-c.ended:
	}
	c.signal(syscall.SIGKILL)
	o := c.wait()
	if o.exit == 0 {
		return false
	}
	if o.exit != -1 {
		k.t.Fatalf("after %d kills %q ended by itself: %s", k.kills, args, o)
	}
	k.kills++
	return true
}

// appears closes strike when a file of that name is in dir or in a folder of dir.
func appears(ended <-chan struct{}, dir, name string, strike chan<- struct{}) {
	for {
		for _, pattern := range []string{filepath.Join(dir, name), filepath.Join(dir, "*", name)} {
			if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
				close(strike)
				return
			}
		}
		select {
		case <-ended:
			return
		case <-time.After(200 * time.Microsecond):
		}
	}
}

// examine looks at what a killed run left: the journal is sound, what it has recorded is on disk, and little was lost.
// It gives the state of the run.
func (k *killer) examine(target string, asked map[string]int) string {
	k.t.Helper()
	journal := target + ".checkpoint.db"
	if k.into {
		journal = filepath.Join(target, ".checkpoint.db")
	}
	now, state := k.journalled(journal, target)
	lost := 0
	for path := range asked {
		if !now[path] {
			lost++
		}
	}
	k.lost = max(k.lost, lost)
	for path := range k.recorded {
		if !now[path] {
			k.t.Fatalf("the journal has forgotten %s", path)
		}
	}
	k.recorded = now
	return state
}

// journalled opens a copy of a journal and gives the request paths of the versions that it says are done, whose files
// must be there, whole; and the state of its last run.
func (k *killer) journalled(journal, target string) (recorded map[string]bool, state string) {
	k.t.Helper()
	recorded = map[string]bool{}
	items, state := readJournal(k.t, journal)
	for key, files := range items {
		for _, f := range files {
			if !k.into {
				wholeFile(k.t, filepath.Join(target, f.Path), f)
			}
			if strings.Contains(key, "/versions/") {
				recorded[f.Request] = true
			}
		}
	}
	return recorded, state
}

// recordedFile is a file as the journal describes it.
type recordedFile struct {
	Path, SHA256, Request string
	Size                  int64
}

func wholeFile(t *testing.T, path string, f recordedFile) {
	t.Helper()
	text, err := os.ReadFile(path)
	sum := sha256.Sum256(text)
	if err != nil || int64(len(text)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256 {
		t.Fatalf("%s is recorded but not on disk as recorded: %d bytes, not %d (%v)", path, len(text), f.Size, err)
	}
}

// readJournal opens a copy of a journal, which must be sound, and gives the files of the items of its runs that are
// done, by key, and the state of the newest run. No journal yet is one without items.
func readJournal(t *testing.T, journal string) (items map[string][]recordedFile, state string) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	for _, end := range []string{"", "-wal"} {
		text, err := os.ReadFile(journal + end)
		if errors.Is(err, fs.ErrNotExist) {
			if end == "" {
				return nil, ""
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied+end, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.WithoutCancel(t.Context())
	db, err := checkpoint.Open(ctx, copied, checkpoint.Options{})
	if err != nil {
		t.Fatalf("the journal is not sound: %v", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	runs, err := db.Runs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	items = map[string][]recordedFile{}
	for _, run := range slices.Backward(runs) {
		state = run.State
		for rec, err := range db.Items(ctx, run.ID, false) {
			if err != nil {
				t.Fatal(err)
			}
			var data struct{ Files []recordedFile }
			if len(rec.Data) > 0 {
				if err := json.Unmarshal(rec.Data, &data); err != nil {
					t.Fatal(err)
				}
			}
			if rec.State == "done" && rec.Err == "" {
				items[rec.Key] = data.Files
			}
		}
	}
	return items, state
}
