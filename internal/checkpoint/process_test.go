package checkpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloudletmig/internal/job"
)

func record(i int) job.Record {
	return job.Record{Key: fmt.Sprintf("item/%06d", i), State: job.Done, Data: fmt.Appendf(nil, `{"n":%d}`, i)}
}

// child is another process: it opens the journal and stores records until it is killed, and says which were acknowledged.
func child(path string) error {
	ctx := context.Background()
	db, err := Open(ctx, path, Options{Command: "cloudletmig child"})
	if err != nil {
		return err
	}
	run, _, err := db.Begin(ctx, RunInfo{Kind: "export", Target: "dir"})
	if err != nil {
		return err
	}
	from, err := strconv.Atoi(os.Getenv("CHECKPOINT_TEST_FROM"))
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := from + w; ; i += 8 {
				if err := run.Put(ctx, record(i)); err != nil {
					panic(err)
				}
				fmt.Fprintf(os.Stdout, "%d\n", i) // one write a line
			}
		})
	}
	wg.Wait()
	return nil
}

func startChild(t *testing.T, path string, from int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "CHECKPOINT_TEST_CHILD="+path, "CHECKPOINT_TEST_FROM="+strconv.Itoa(from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// TestKilled is promise P9, and the journal's first: while another process has it Open fails at once and names that
// process; killed, it lets go, and all that it was told was stored is there.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := journalPath(t)
	acknowledged := map[int]bool{}
	for round := range 6 {
		cmd, lines := startChild(t, path, round*100_000)
		for n := 0; n < 20+round*35 && lines.Scan(); n++ {
			i, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			acknowledged[i] = true
		}
		if round == 0 {
			_, err := Open(t.Context(), path, Options{})
			lockedBy(t, err, cmd.Process.Pid, "cloudletmig child")
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // said before it died
			if i, err := strconv.Atoi(lines.Text()); err == nil {
				acknowledged[i] = true
			}
		}
		_ = cmd.Wait() // killed
	}
	db := open(t, path) // at once: the lock is free
	run, resumed, err := db.Begin(t.Context(), RunInfo{Kind: "export", Target: "dir"})
	if err != nil || !resumed {
		t.Fatalf("resumed %v, %v", resumed, err)
	}
	for i := range acknowledged {
		if got, ok, err := run.Get(t.Context(), record(i).Key); err != nil || !ok || string(got.Data) != string(record(i).Data) {
			t.Errorf("record %d was acknowledged and is not there: %v %v", i, got, err)
		}
	}
	if stored := len(all(t, run, "")); stored > len(acknowledged)+6*8 {
		t.Errorf("%d records for %d acknowledged", stored, len(acknowledged))
	}
	t.Logf("%d records survived 6 kills", len(acknowledged))
}

func lockedBy(t *testing.T, err error, pid int, command string) {
	t.Helper()
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || !errors.Is(err, ErrLocked) {
		t.Fatalf("error is %v, want that the journal is in use", err)
	}
	host, hostErr := os.Hostname()
	if hostErr != nil {
		t.Fatal(hostErr)
	}
	if locked.PID != pid || locked.Command != command || locked.Host != host || locked.Since.IsZero() {
		t.Errorf("the holder is given as %+v", locked)
	}
	for _, part := range []string{strconv.Itoa(pid), command, host, locked.Since.Format(time.RFC3339)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message does not name %q: %v", part, err)
		}
	}
}
