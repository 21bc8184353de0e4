package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/akamai"
	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/report"
	"cloudletmig/internal/undo"
	"cloudletmig/internal/upgrade"
)

func (a *app) runsUndoCommand() *cobra.Command {
	var dryRun bool
	var wait deadline
	cmd := &cobra.Command{
		Use:   "undo RUN",
		Short: "Put back what a run changed in the account",
		Long: `undo makes the reverse of what a run of import, restore, upgrade or activate did, shows it and, after the question, carries it out:
the versions that were live before go live again; what went live where nothing was is deactivated (shared policies only); policies and
versions that the run made, that are not live any more and that hold what the run put into them are removed. Nothing else is touched:
what somebody else put live, added or edited since stays, and is named. Properties are not looked at.

A run that is not at its end is finished first, with resume or the same command. A run that ended with failures can be undone; it is
given up then, and its command begins anew. The journal keeps what the newest 20 finished runs did; older ones cannot be undone.`,
		Example: `  cloudletmig runs --checkpoint redirects.imported.checkpoint.db
  cloudletmig runs undo 1a2b3c4d --checkpoint redirects.imported.checkpoint.db`,
		Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.undo(cmd.Context(), args[0], dryRun, wait.d) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the plan and send nothing")
	wait.register(cmd.Flags())
	return cmd
}

func (a *app) undo(ctx context.Context, id string, dryRun bool, wait time.Duration) error {
	file, err := a.findJournal()
	if err != nil {
		return err
	}
	info, kept, err := a.recorded(ctx, id)
	if err != nil {
		return err
	}
	open, err := undoable(ctx, info, kept)
	if err != nil {
		return err
	}
	return runPlanned(ctx, a, planned[undo.Plan]{
		kind: "undo", target: "undo " + info.ID, journal: file, options: map[string]string{"run": info.ID}, dryRun: dryRun, deadline: wait,
		make: func(ctx context.Context, client *akamai.Client) (undo.Plan, error) {
			if fingerprint(a.creds) != info.Fingerprint {
				return undo.Plan{}, &foreignRun{info.ID}
			}
			made, live, err := changesOf(ctx, info, kept)
			if err != nil {
				return undo.Plan{}, err
			}
			plan, err := undo.Make(ctx, client, hashOfRules, info.ID, made, live)
			for _, key := range open {
				plan.Stays = append(plan.Stays, undo.Stay{Item: key, Text: "the run was given up before it knew whether its request had an effect; look for it by hand"})
			}
			return plan, err
		},
		show: a.showUndo, refuse: func(undo.Plan) error { return nil }, leaves: func(undo.Plan) error { return nil },
		question: func(plan undo.Plan) string {
			if len(plan.Steps) == 0 {
				return ""
			}
			return fmt.Sprintf("Carry out these %d steps?", len(plan.Steps))
		},
		apply: func(ctx context.Context, w work, plan undo.Plan) error {
			if err := w.run.db.Abandon(ctx, plan.Run); err != nil { // from here on it has nothing to go on with
				return err
			}
			return undo.Apply(ctx, w.client, plan, w.pool, undo.Options{Queue: w.queue, Poll: w.poll, Hash: hashOfRules})
		},
		finish: func(_ context.Context, w work, plan undo.Plan, err error) error {
			if a.global.Output != "text" {
				return nil
			}
			headline := "Undone: run " + plan.Run
			if err != nil {
				headline = "Undone, INCOMPLETE: run " + plan.Run
			}
			if n := len(plan.Stays); n > 0 {
				headline += fmt.Sprintf("; what the plan says stays is not (%d)", n)
			}
			summary := report.Summary{Headline: headline, Failed: w.tally.Failed, Conflicts: w.tally.Conflicts, Pending: w.tally.Pending}
			return summary.Text(a.out)
		},
	})
}

// recorded reads a run of the journal with all its items.
func (a *app) recorded(ctx context.Context, id string) (info checkpoint.RunInfo, kept *job.Memory, err error) {
	kept = &job.Memory{}
	err = a.withJournal(ctx, func(ctx context.Context, db *checkpoint.DB) (err error) {
		if info, err = db.Run(ctx, id); err != nil {
			return &usageError{text: err.Error(), hint: "cloudletmig runs lists them"}
		}
		for rec, err := range db.Items(ctx, info.ID, false) {
			if err != nil {
				return err
			}
			if err := kept.Put(ctx, rec); err != nil {
				return err
			}
		}
		return nil
	})
	return info, kept, err
}

// foreignRun is a run that worked on another account than the credentials are for.
type foreignRun struct{ id string }

func (e *foreignRun) Error() string { return "run " + e.id + " worked on another account or host" }

func (e *foreignRun) Hint() string         { return "nothing was sent; use the credentials of that account" }
func (e *foreignRun) Is(target error) bool { return target == checkpoint.ErrChanged }

// hashOfRules is the hash of the document of a policy's version, of either API.
func hashOfRules(doc []byte) (string, error) {
	return importer.Hash(importer.Policy{API: cloudlet.V3}, doc)
}

// undoable says why a run cannot be undone, or gives the items of which it is not known, and will not be, whether their
// requests had an effect: there are none of them but in a run that was given up.
func undoable(ctx context.Context, info checkpoint.RunInfo, kept job.Journal) (open []string, err error) {
	switch info.Kind {
	case "import", "restore", "upgrade", "activate":
	default:
		return nil, &usageError{text: fmt.Sprintf("a run of %s cannot be undone", info.Kind), hint: "runs of import, restore, upgrade and activate can"}
	}
	for rec, err := range kept.All(ctx, "") {
		if err != nil {
			return nil, err
		}
		if rec.State == "sent" || rec.State == "settle" { // of once: an attempt that may have an effect
			open = append(open, rec.Key)
		}
	}
	if info.Unfinished() && (info.State != checkpoint.Incomplete || len(open) > 0) {
		return nil, &usageError{
			text: fmt.Sprintf("run %s is %s: what it had under way is not known, so it cannot be undone yet", info.ID, info.State),
			hint: "finish it first: cloudletmig resume " + info.ID + "; or give it up with its own command and --fresh; then undo it",
		}
	}
	return open, nil
}

// changesOf reads from a run's records what it made and what it put live.
func changesOf(ctx context.Context, info checkpoint.RunInfo, kept job.Journal) (made []undo.Made, live []undo.Live, err error) {
	rec, ok, err := kept.Get(ctx, planKey)
	switch {
	case err != nil:
		return nil, nil, err
	case !ok && (info.Items > 0 || info.State == checkpoint.Complete):
		return nil, nil, &usageError{
			text: fmt.Sprintf("run %s cannot be undone: the journal no longer keeps what it did", info.ID),
			hint: fmt.Sprintf("it keeps that of the newest %d finished runs; what is in the account now, list shows", keptRuns),
		}
	case !ok: // it ended before it had a plan
		return nil, nil, nil
	case info.Kind == "upgrade":
		made, err = upgradeMade(ctx, kept, rec)
	case info.Kind != "activate":
		made, err = importMade(ctx, kept, rec)
	}
	if err != nil {
		return nil, nil, err
	}
	begun, err := activate.Begun(ctx, kept)
	for _, memo := range begun {
		live = append(live, undo.Live{Target: memo.Base.Target, Previous: memo.Base.Effective})
	}
	return made, live, err
}

func importMade(ctx context.Context, kept job.Journal, rec job.Record) (made []undo.Made, err error) {
	var plan importer.Plan
	if err := json.Unmarshal(rec.Data, &plan); err != nil {
		return nil, fmt.Errorf("read the plan of the run: %w", err)
	}
	for _, p := range plan.Policies {
		r, err := importer.ResultOf(ctx, kept, p)
		if err != nil {
			return nil, err
		}
		switch {
		case p.IsOrigin() && (r.Made || r.Added > 0):
			made = append(made, undo.Made{Origin: p.Name})
		case r.Made || r.Added > 0:
			made = append(made, undo.Made{
				API: p.API, Policy: r.ID, Name: p.Name, Created: r.Made, Versions: madeVersions(r.MadeVersions(p)),
				Filled: p.First && p.Action == importer.Append,
			})
		}
	}
	return made, nil
}

func madeVersions(made []importer.MadeVersion) []undo.Version {
	versions := make([]undo.Version, 0, len(made))
	for _, v := range made {
		versions = append(versions, undo.Version(v))
	}
	return versions
}

func upgradeMade(ctx context.Context, kept job.Journal, rec job.Record) (made []undo.Made, err error) {
	var plan upgrade.Plan
	if err := json.Unmarshal(rec.Data, &plan); err != nil {
		return nil, fmt.Errorf("read the plan of the run: %w", err)
	}
	for _, p := range plan.Policies {
		id, created, versions, err := upgrade.MadeOf(ctx, kept, p)
		if err != nil {
			return nil, err
		}
		if id != 0 && (created || len(versions) > 0) {
			made = append(made, undo.Made{API: cloudlet.V3, Policy: id, Name: p.NewName, Created: created, Versions: madeVersions(versions)})
		}
	}
	return made, nil
}

// showUndo prints what will be put back.
func (a *app) showUndo(plan undo.Plan) error {
	for _, s := range plan.Steps {
		if _, err := fmt.Fprintln(a.out, s); err != nil {
			return err
		}
	}
	summary := report.Summary{Headline: fmt.Sprintf("Plan: %d steps put back what run %s changed; %d things stay", len(plan.Steps), plan.Run, len(plan.Stays))}
	for _, s := range plan.Stays {
		summary.Notes = append(summary.Notes, report.Item{Name: "stays", Text: s.Item + ": " + s.Text})
	}
	return summary.Text(a.out)
}
