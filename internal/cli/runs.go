package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/report"
)

// defaultCheckpoint is the journal of runs that have no folder of their own.
const defaultCheckpoint = ".cloudletmig/checkpoint.db"

func (a *app) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of a journal",
		Long: `runs lists the runs that a journal knows, newest first. Without --checkpoint it takes the only journal in this
folder: a file *.checkpoint.db or ` + defaultCheckpoint + `.`,
		Example: `  cloudletmig runs --checkpoint backup.checkpoint.db
  cloudletmig runs show 1a2b3c4d`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withJournal(cmd.Context(), a.listRuns)
		},
	}
	cmd.AddCommand(a.runsShowCommand(), a.runsUndoCommand())
	return cmd
}

func (a *app) runsShowCommand() *cobra.Command {
	var failed bool
	show := &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run's items and failures",
		Args:  exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withJournal(cmd.Context(), func(ctx context.Context, db *checkpoint.DB) error {
				return a.showRun(ctx, db, args[0], failed)
			})
		},
	}
	show.Flags().BoolVar(&failed, "failed", false, "only items that failed")
	return show
}

// findJournal is the journal that --checkpoint names, or the only one in this folder.
func (a *app) findJournal() (string, error) {
	if file := a.global.Checkpoint; file != "" {
		if _, err := os.Stat(file); err != nil {
			return "", &usageError{text: "--checkpoint: " + err.Error()}
		}
		return file, nil
	}
	found, err := filepath.Glob("*.checkpoint.db")
	if err != nil {
		return "", err
	}
	hidden, err := filepath.Glob(".checkpoint.db")
	if err != nil {
		return "", err
	}
	found = append(found, hidden...)
	if _, err := os.Stat(defaultCheckpoint); err == nil {
		found = append(found, defaultCheckpoint)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	slices.Sort(found)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return "", &usageError{text: "there is no journal in this folder", hint: "name one with --checkpoint FILE; an export of DIR has DIR.checkpoint.db"}
	case 1:
		return found[0], nil
	default:
		return "", &usageError{text: "there are several journals in this folder", hint: "name one with --checkpoint: " + strings.Join(found, ", ")}
	}
}

func (a *app) withJournal(ctx context.Context, do func(context.Context, *checkpoint.DB) error) error {
	file, err := a.findJournal()
	if err != nil {
		return err
	}
	return a.inJournal(ctx, file, do)
}

// inJournal does something with an open journal.
func (a *app) inJournal(ctx context.Context, file string, do func(context.Context, *checkpoint.DB) error) error {
	db, err := checkpoint.Open(ctx, file, checkpoint.Options{Command: "cloudletmig " + strings.Join(storable(a.args), " ")})
	if err != nil {
		return unwritable(err)
	}
	return errors.Join(do(ctx, db), db.Close()) //nolint:contextcheck // closed also when ctx has ended
}

func (a *app) listRuns(ctx context.Context, db *checkpoint.DB) error {
	runs, err := db.Runs(ctx)
	if err != nil {
		return err
	}
	documents, rows := []any{}, [][]string{}
	for _, r := range runs {
		documents = append(documents, runDocument(r))
		rows = append(rows, []string{
			r.ID, r.Kind, r.State, r.Started.Local().Format(time.DateTime), took(r), strconv.Itoa(r.Done), strconv.Itoa(r.Failed), r.Target,
		})
	}
	a.document = map[string]any{"command": "runs", "checkpoint": db.Path(), "runs": documents}
	if a.global.Output == "text" {
		return report.Table(a.out, []string{"RUN", "KIND", "STATE", "STARTED", "TOOK", "DONE", "FAILED", "TARGET"}, rows)
	}
	return nil
}

func took(r checkpoint.RunInfo) string {
	if r.Ended.IsZero() {
		return ""
	}
	return r.Ended.Sub(r.Started).Round(time.Second).String()
}

func runDocument(r checkpoint.RunInfo) map[string]any {
	doc := map[string]any{
		"run": r.ID, "kind": r.Kind, "state": r.State, "args": r.Args, "target": r.Target, "started": r.Started,
		"exit": r.Exit, "items": r.Items, "done": r.Done, "failed": r.Failed,
	}
	if !r.Ended.IsZero() {
		doc["ended"] = r.Ended
	}
	return doc
}

func (a *app) showRun(ctx context.Context, db *checkpoint.DB, id string, onlyFailed bool) error {
	r, err := db.Run(ctx, id)
	if err != nil {
		return &usageError{text: err.Error(), hint: "cloudletmig runs lists them"}
	}
	items, rows := []any{}, [][]string{}
	for rec, err := range db.Items(ctx, r.ID, onlyFailed) {
		if err != nil {
			return err
		}
		state := string(rec.State)
		if rec.Err != "" {
			state = "failed"
		}
		items = append(items, map[string]any{"item": rec.Key, "state": state, "error": rec.Err})
		rows = append(rows, []string{rec.Key, state, rec.Err})
	}
	a.document = map[string]any{"command": "runs show", "run": runDocument(r), "items": items}
	if a.global.Output != "text" {
		return nil
	}
	summary := report.Summary{Headline: fmt.Sprintf("run %s: %s, %s", r.ID, r.Kind, r.State), Facts: []report.Fact{
		{Name: "command", Value: "cloudletmig " + strings.Join(r.Args, " ")},
		{Name: "target", Value: r.Target},
		{Name: "started", Value: r.Started.Local().Format(time.DateTime)},
		{Name: "items", Value: fmt.Sprintf("%d recorded, %d done, %d failed", r.Items, r.Done, r.Failed)},
	}}
	if err := summary.Text(a.out); err != nil {
		return err
	}
	return report.Table(a.out, []string{"ITEM", "STATE", "ERROR"}, rows)
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with an unfinished run",
		Long: `resume gives the command of an unfinished run again: of RUN, or of the only one that is unfinished. Giving the same
command line again does the same. Flags about credentials, and --workers and the like, are taken from this call.`,
		Example: `  cloudletmig resume --checkpoint backup.checkpoint.db`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("RUN")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var info checkpoint.RunInfo
			file, err := a.findJournal()
			if err != nil {
				return err
			}
			err = a.withJournal(cmd.Context(), func(ctx context.Context, db *checkpoint.DB) (err error) {
				info, err = unfinished(ctx, db, args)
				return err
			})
			if err != nil {
				return err
			}
			return a.again(cmd.Context(), info, file, args)
		},
	}
}

// unfinished is the run to go on with.
func unfinished(ctx context.Context, db *checkpoint.DB, args []string) (checkpoint.RunInfo, error) {
	if len(args) == 1 {
		info, err := db.Run(ctx, args[0])
		if err != nil {
			return info, &usageError{text: err.Error(), hint: "cloudletmig runs lists them"}
		}
		if !info.Unfinished() {
			return info, &usageError{text: fmt.Sprintf("run %s is %s: there is nothing left to do", info.ID, info.State)}
		}
		return info, nil
	}
	runs, err := db.Runs(ctx)
	if err != nil {
		return checkpoint.RunInfo{}, err
	}
	runs = slices.DeleteFunc(runs, func(r checkpoint.RunInfo) bool { return !r.Unfinished() })
	switch len(runs) {
	case 0:
		return checkpoint.RunInfo{}, &usageError{text: "no run of " + db.Path() + " is unfinished"}
	case 1:
		return runs[0], nil
	default:
		ids := make([]string, 0, len(runs))
		for _, r := range runs {
			ids = append(ids, r.ID)
		}
		return checkpoint.RunInfo{}, &usageError{text: "several runs are unfinished", hint: "name one: " + strings.Join(ids, ", ")}
	}
}

// again gives the command line of an earlier run, and behind it the flags of this call.
func (a *app) again(ctx context.Context, info checkpoint.RunInfo, journal string, named []string) error {
	journal, err := filepath.Abs(journal)
	if err != nil {
		return err
	}
	own := slices.Clone(a.args)
	for _, word := range append([]string{"resume"}, named...) {
		if i := slices.Index(own, word); i >= 0 {
			own = slices.Delete(own, i, i+1)
		}
	}
	then := &app{lookup: a.lookup, in: a.in, out: a.out, err: a.err, log: a.log, target: info.Target}
	then.args = slices.Concat(info.Args, own, []string{"--checkpoint", journal})
	err = then.command().ExecuteContext(ctx) //nolint:contextcheck // commands take it from cobra
	a.document, a.global.Output = then.document, then.global.Output
	return errors.Join(err, then.closeLog())
}
