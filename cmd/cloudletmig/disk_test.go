package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
)

// TestFaultDiskFull exports onto disks of several sizes, all too small, makes room and goes on.
func TestFaultDiskFull(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{
		Account: simulator.Generate(simulator.GenerateOptions{Policies: 12, Versions: 4, Rules: 40, Plain: true, Seed: 5}),
	}, simulator.ListenOptions{})
	l.must(0, "export", l.path("roomy"))
	want := snapshotTree(t, l.path("roomy"))
	needed := 0
	for _, text := range want {
		needed += len(text)
	}
	sizes := figures.diskSizes.n()
	for n := range sizes {
		mount := l.path(fmt.Sprint("disk-", n))
		mounted(t, mount, max(64<<10, needed*n/sizes))
		dir := filepath.Join(mount, "snapshot")
		o := l.must(1, "export", dir)
		checkComplaint(t, o)
		soundFiles(t, dir)
		readJournal(t, dir+".checkpoint.db")
		again := l.must(1, "export", dir) // it is no better now
		checkComplaint(t, again)
		remount(t, mount, 4*needed+8<<20)
		l.must(0, "export", dir)
		l.must(0, "verify", dir)
		sameTree(t, "after space was freed", snapshotTree(t, dir), want)
	}
}

// checkComplaint wants one error, one hint, and the reason once.
func checkComplaint(t *testing.T, o outcome) {
	t.Helper()
	if strings.Count(o.err, "cloudletmig: error: ") != 1 || !strings.Contains(o.err, "no space left on device") ||
		!strings.Contains(o.err, "cloudletmig: hint: free some space") {
		t.Errorf("no clear complaint: %s", o)
	}
	for line := range strings.Lines(o.err) {
		if n := strings.Count(line, "no space left on device"); strings.Contains(line, "error:") && n != 1 {
			t.Errorf("the reason is given %d times: %s", n, line)
		}
	}
}

// soundFiles wants every file below dir that has its final name to be whole.
func soundFiles(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return
	}
	for path, text := range tree(t, dir) {
		if strings.HasSuffix(path, "/") {
			continue
		}
		if strings.Contains(path, ".tmp-") {
			t.Errorf("%s is left", path)
			continue
		}
		if strings.HasSuffix(path, ".json") && !json.Valid([]byte(text)) || text == "" {
			t.Errorf("%s is not whole: %q", path, text)
		}
		if path == "manifest.json" {
			t.Error("there is a manifest")
		}
	}
}

func mounted(t *testing.T, dir string, size int) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a small disk cannot be made here: mount tmpfs: %v (needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func remount(t *testing.T, dir string, size int) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
}

// badDisk fails one kind of step from the n-th on, until it is repaired.
type badDisk struct {
	mu   sync.Mutex
	op   durable.Op
	left int
	once bool
	hits int
}

func (d *badDisk) step(op durable.Op, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if op != d.op {
		return nil
	}
	d.left--
	if d.left > 0 || d.once && d.hits > 0 {
		return nil
	}
	d.hits++
	return syscall.ENOSPC
}

// TestFaultDiskStep lets every kind of step on the disk fail, early and late, once and for good, and goes on after that
// with the same journal.
func TestFaultDiskStep(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: smallAccount()}, simulator.ListenOptions{})
	if _, err := l.exportHere(t, l.path("sound"), &job.Memory{}); err != nil {
		t.Fatal(err)
	}
	want := snapshotTree(t, l.path("sound"))
	tried := 0
	for _, op := range []durable.Op{
		durable.OpMkdir, durable.OpCreate, durable.OpWrite, durable.OpSync, durable.OpClose, durable.OpRename, durable.OpSyncDir,
	} {
		for k := range figures.diskFaults.n() {
			for _, once := range []bool{false, true} {
				tried++
				disk := &badDisk{op: op, left: 1 + k*7, once: once}
				dir := l.path(fmt.Sprintf("%s-%d-%t", op, k, once))
				l.stepFails(t, dir, disk, want)
			}
		}
	}
	t.Logf("%d failing disks", tried)
}

func (l *lab) stepFails(t *testing.T, dir string, disk *badDisk, want map[string]string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for attempt := 1; ; attempt++ {
		db, err := checkpoint.Open(ctx, dir+".db", checkpoint.Options{})
		if err != nil {
			t.Fatal(err)
		}
		run, resumed, err := db.Begin(ctx, checkpoint.RunInfo{Kind: "export", Target: dir})
		if err != nil || resumed != (attempt > 1) {
			t.Fatalf("begin: resumed %t: %v", resumed, err)
		}
		_, err = l.exportHere(t, dir, run, durable.WithFaults(disk.step))
		hits := disk.hits
		if closeErr := db.Close(); closeErr != nil {
			t.Fatal(closeErr)
		}
		if hits == 0 || attempt > 1 { // there are not so many steps, or they work again
			if err != nil {
				t.Fatalf("%s: %v", dir, err)
			}
			break
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%s: the disk failed %d times, and the export says: %v", dir, hits, err)
		}
		if disk.op != durable.OpSyncDir { // the last sync of a folder comes after the manifest
			soundFiles(t, dir)
		}
		disk.op = ""
	}
	sameTree(t, dir, snapshotTree(t, dir), want)
}
