package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/report"
)

// agree asks once whether the plan that was just printed is to be carried out. Without a terminal to ask at it wants
// --yes.
func (a *app) agree(ctx context.Context, question string) error {
	if a.global.Yes {
		return nil
	}
	in, isFile := a.in.(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		return &usageError{text: "nothing was sent: there is no terminal to ask at", hint: "look at the plan, then give the same command with --yes"}
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read of a terminal cannot be cancelled; it ends with the process
		line, _ := bufio.NewReader(in).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		if word := strings.ToLower(strings.TrimSpace(line)); word == "y" || word == "yes" {
			return nil
		}
		return &usageError{text: "nothing was sent: the plan was not agreed to"}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tally counts how the items of a run ended that changes the account. Safe for concurrent use.
type tally struct {
	mu        sync.Mutex
	Failed    []report.Item
	Conflicts []report.Item
	Pending   []report.Item
	refused   int // of the failed, those for want of a permission
	ended     int // of the failed, activations that the API ended as failed
	done      int
	kept      int
}

// watch is job.Pool.Watch.
func (t *tally) watch(e job.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case job.Finished:
		t.done++
	case job.KeptDone:
		t.kept++
	case job.Failed:
		item := report.Item{Name: e.Key, Text: strings.TrimPrefix(oneLine(e.Err.Error()), e.Key+": ")}
		switch status := cloudlet.StatusOf(e.Err); {
		case errors.Is(e.Err, job.ErrPending):
			t.Pending = append(t.Pending, item)
		case errors.Is(e.Err, once.ErrConflict):
			t.Conflicts = append(t.Conflicts, item)
		default:
			t.Failed = append(t.Failed, item)
			if status == cloudlet.Unauthorized || status == cloudlet.Forbidden {
				t.refused++
			}
			if _, ok := errors.AsType[*activate.FailedError](e.Err); ok {
				t.ended++
			}
		}
	case job.Began, job.Found:
	}
}

// outcome adds to the error of a run what its items ended with, so that exitOf finds the class that comes first.
func (t *tally) outcome(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	byName := func(a, b report.Item) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(t.Failed, byName)
	slices.SortFunc(t.Conflicts, byName)
	slices.SortFunc(t.Pending, byName)
	if !errors.Is(err, job.ErrIncomplete) && !errors.Is(err, job.ErrPending) {
		return err
	}
	return &unfinishedItems{failed: len(t.Failed), conflicts: len(t.Conflicts), pending: len(t.Pending), ended: t.ended, refused: t.done == 0 && t.refused > 0}
}

// classes are the counts that --output json carries.
func (t *tally) classes() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]int{"done": t.done, "kept": t.kept, "failed": len(t.Failed), "conflicts": len(t.Conflicts), "pending": len(t.Pending)}
}

// unfinishedItems is what the user reads when some items of a changing run did not come to their end; the summary names
// them.
type unfinishedItems struct {
	failed, conflicts, pending int
	ended                      int  // of the failed, activations that the API ended as failed
	refused                    bool // nothing could be done at all, for want of a permission
}

// unfinishedIn reports whether a run came to its end and left items.
func unfinishedIn(err error) bool {
	_, ok := errors.AsType[*unfinishedItems](err)
	return ok
}

func (e *unfinishedItems) Error() string {
	var parts []string
	for _, p := range []struct {
		n    int
		text string
	}{{e.conflicts, "met a conflict that needs a human"}, {e.failed, "failed"}, {e.pending, "are pending"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	return "not everything was done: of the items " + strings.Join(parts, ", ") + "; the summary names them all"
}

// Is finds every class that applies.
func (e *unfinishedItems) Is(target error) bool {
	switch target {
	case once.ErrConflict:
		return e.conflicts > 0
	case job.ErrIncomplete:
		return e.failed > 0
	case job.ErrPending:
		return e.pending > 0
	case errRefused:
		return e.refused
	}
	return false
}

// Hint says what to do next.
func (e *unfinishedItems) Hint() string {
	switch {
	case e.conflicts > 0:
		return "nothing of others was overwritten; settle the conflicts, then the same command does only what is left, or makes a new plan with --fresh"
	case e.ended > 0:
		return "an activation that ended as failed is begun again with --fresh; what is left besides, the same command does"
	case e.failed > 0:
		return "the same command again does only what is left; what failed for good, such as an activation, is planned anew with --fresh"
	}
	return "the same command again waits on; nothing is sent twice"
}
