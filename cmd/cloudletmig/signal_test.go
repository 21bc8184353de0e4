package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// setPipeSize is F_SETPIPE_SZ of fcntl (Linux).
const setPipeSize = 1031

// after calls f once when n requests were answered from now on.
func (l *lab) after(n int, f func()) {
	l.forget(func(now int) {
		if now == n {
			f()
		}
	})
}

// signalled starts an export into dir and gives it a signal after n answers. It gives the time of the signal.
func (l *lab) signalled(dir string, n int, sig os.Signal, flags ...string) (*child, time.Time) {
	l.t.Helper()
	due := make(chan struct{})
	l.after(n, func() { close(due) })
	c := l.command(append([]string{"export", dir, "--workers", "6"}, flags...)...).start()
	select {
	case <-due:
	case <-c.ended:
		l.t.Fatalf("the export ended before it could be interrupted: %s", c.wait())
	}
	at := time.Now()
	c.signal(sig)
	return c, at
}

// TestSignal interrupts exports: nothing new starts, what was answered is recorded, and the printed command goes on.
func TestSignal(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{
		Account: killOptions().Account,
		Faults:  []simulator.Fault{{Kind: simulator.FaultLatency, Delay: 20 * time.Millisecond}},
	}, simulator.ListenOptions{})
	l.must(0, "export", l.path("undisturbed"))
	want := snapshotTree(t, l.path("undisturbed"))
	for n, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, os.Interrupt} {
		dir := l.path(fmt.Sprint("interrupted-", n))
		c, at := l.signalled(dir, 40+n*60, sig)
		o := c.wait()
		if took := time.Since(at); o.exit != 130 || took > 3*time.Second {
			t.Fatalf("%s: after %s: %s", sig, took, o)
		}
		l.nothingNew(at)
		done, _ := readJournal(t, dir+".checkpoint.db")
		paths := map[string]bool{}
		for _, files := range done {
			for _, f := range files {
				wholeFile(t, filepath.Join(dir, f.Path), f)
				paths[f.Request] = true
			}
		}
		for _, r := range l.requests() {
			if isVersion(r.Path) && r.Status == 200 && r.answered.Before(at.Add(-100*time.Millisecond)) && !paths[r.Path] {
				t.Errorf("%s was answered before the signal and is not recorded", r.Path)
			}
		}
		resume := regexp.MustCompile(`cloudletmig (resume [0-9a-f]{8} --checkpoint \S+)`).FindStringSubmatch(o.err)
		if resume == nil || !strings.Contains(o.err, "same command") {
			t.Fatalf("it is not said how to resume: %s", o)
		}
		l.showsDone(dir+".checkpoint.db", strings.Fields(resume[1])[1], len(done))
		noTemp(t, dir)
		l.forget(nil)
		if again := l.bare(strings.Fields(resume[1])...).start().wait(); again.exit != 0 {
			t.Fatal(again)
		}
		for path := range l.versionRequests() {
			if paths[path] {
				t.Errorf("%s was fetched again", path)
			}
		}
		sameTree(t, "the resumed export", snapshotTree(t, dir), want)
	}
}

// nothingNew wants no request to have come after a moment's grace.
func (l *lab) nothingNew(at time.Time) {
	l.t.Helper()
	for _, r := range l.requests() {
		if late := r.Time.Sub(at); late > 100*time.Millisecond {
			l.t.Errorf("GET %s began %s after the signal", r.Path, late)
		}
	}
}

func (l *lab) showsDone(journal, run string, items int) {
	l.t.Helper()
	o := l.must(0, "runs", "show", run, "--checkpoint", journal)
	if !strings.Contains(o.out, "interrupted") || !strings.Contains(o.out, fmt.Sprintf("%d done", items)) {
		l.t.Errorf("runs show does not show an interrupted run with %d items done: %s", items, o)
	}
}

// TestSignalTwice gives two signals while requests hang.
func TestSignalTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t, killOptions(), simulator.ListenOptions{})
	l.must(0, "export", l.path("undisturbed"))
	want := snapshotTree(t, l.path("undisturbed"))
	l.server.SetFaults(simulator.Fault{Kind: simulator.FaultStallHeader, Skip: 60})
	dir := l.path("stalled")
	c, at := l.signalled(dir, 58, os.Interrupt)
	c.signal(os.Interrupt)
	if o := c.wait(); time.Since(at) > 2*time.Second || o.exit != -1 && o.exit != 130 {
		t.Errorf("after %s: %s", time.Since(at), o)
	}
	l.server.SetFaults()
	l.must(0, "export", dir, "--workers", "6")
	sameTree(t, "the resumed export", snapshotTree(t, dir), want)
}

// TestSignalBlocked gives signals to a program that hangs, since nobody reads what it prints: the second one ends it.
func TestSignalBlocked(t *testing.T) {
	t.Parallel()
	l := newLab(t, killOptions(), simulator.ListenOptions{})
	l.must(0, "export", l.path("undisturbed"))
	l.forget(nil)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }() // the program has ended
	// The smallest pipe there is; elsewhere than on Linux the usual one may be too large to fill.
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, write.Fd(), setPipeSize, 4096); errno != 0 {
		t.Skip("set the size of a pipe: ", errno)
	}
	dir := l.path("blocked")
	c := l.command("export", dir, "--log-level", "debug")
	c.cmd.Stderr = write
	c.start()
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	l.untilQuiet(c)
	c.signal(os.Interrupt)
	select {
	case <-c.ended:
		t.Fatal("the first signal ended it: it did not hang")
	case <-time.After(300 * time.Millisecond):
	}
	at := time.Now()
	c.signal(os.Interrupt)
	<-c.ended
	if took := time.Since(at); took > time.Second {
		t.Errorf("the second signal took %s", took)
	}
	l.must(0, "export", dir)
	sameTree(t, "the resumed export", snapshotTree(t, dir), snapshotTree(t, l.path("undisturbed")))
}

// untilQuiet waits until the program has asked for nothing for a while.
func (l *lab) untilQuiet(c *child) {
	l.t.Helper()
	for before := -1; ; {
		select {
		case <-c.ended:
			c.t.Fatal("the program ended although nobody reads what it prints")
		case <-time.After(500 * time.Millisecond):
		}
		now := len(l.requests())
		if now == before {
			return
		}
		before = now
	}
}

// TestSecondProcess is refused while the first one works, and let in when that was killed.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	l := newLab(t, killOptions(), simulator.ListenOptions{})
	journal := l.path("journal.db")
	for _, c := range []struct {
		first, second []string
		journal       string
	}{
		{[]string{"export", l.path("snapshot")}, []string{"export", l.path("snapshot")}, l.path("snapshot.checkpoint.db")},
		{[]string{"export", "--into", l.path("parent")}, []string{"export", "--into", l.path("parent")}, l.path("parent", ".checkpoint.db")},
		{[]string{"export", l.path("a"), "--checkpoint", journal}, []string{"export", l.path("b"), "--checkpoint", journal}, journal},
	} {
		l.server.SetFaults(simulator.Fault{Kind: simulator.FaultStallHeader, Skip: 10})
		asked := make(chan struct{})
		l.after(5, func() { close(asked) })
		first := l.command(c.first...).start()
		select {
		case <-asked:
		case <-first.ended:
			t.Fatal(first.wait())
		}
		for _, args := range [][]string{c.second, {"runs", "--checkpoint", c.journal}, {"resume", "--checkpoint", c.journal}} {
			begun := time.Now()
			o := l.must(11, args...)
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("%q: refused only after %s", args, took)
			}
			if !strings.Contains(o.err, fmt.Sprintf("process %d", first.cmd.Process.Pid)) {
				t.Errorf("%q: the process is not named: %s", args, o)
			}
		}
		if _, err := os.Stat(l.path("b")); err == nil {
			t.Error("the refused process made its folder")
		}
		first.signal(syscall.SIGKILL)
		first.wait()
		l.server.SetFaults()
		l.must(0, c.first...)
	}
}
