package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/pflag"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/akamai"
	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// planned is a command that makes a plan, shows it, asks, and carries it out. P is the plan, plain data that survives
// JSON.
type planned[P any] struct {
	kind string
	// target is what names the run in the journal: the same command goes on with it.
	target, journal string
	options         any // what decides the work: a run goes on with the same only
	dryRun          bool
	deadline        time.Duration // of an activation
	limits          activate.Limits

	make func(ctx context.Context, client *akamai.Client) (P, error) // reads only
	show func(plan P) error                                          // for people
	// refuse says why the plan must not be carried out at all, or nothing.
	refuse func(plan P) error
	// leaves is the error of a plan that is carried out as far as it goes and leaves items out; nothing where it is whole.
	leaves   func(plan P) error
	question func(plan P) string // empty where nothing would be sent
	// dry, if set, is what a dry run does with the plan beside showing it.
	dry func(ctx context.Context, plan P) error
	// idle says that a plan without a question leaves nothing to do at all: then there is no run.
	idle  bool
	apply func(ctx context.Context, w work, plan P) error
	// finish prints and writes what came of it, also when it ended half-way; what it puts into the document is printed and
	// recorded.
	finish func(ctx context.Context, w work, plan P, err error) error
}

// work is a plan that is being carried out.
type work struct {
	run    *run
	client *akamai.Client
	pool   job.Pool
	tally  *tally
	queue  *activate.Queue
	settle time.Duration
	poll   time.Duration
	record func(context.Context, job.Record, once.Attempt) error
}

// leavingError is the error of a plan that was carried out but for what it left out.
type leavingError interface {
	error
	leftOut()
}

// planKey is the journal's record of the plan. A run that goes on carries out the plan that it was begun with.
const planKey = "plan"

// runPlanned runs a command of that kind. Before the plan is agreed to there is no run in the journal, and a dry run leaves
// no trace at all.
func runPlanned[P any](ctx context.Context, a *app, c planned[P]) error {
	client, creds, err := a.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	a.creds = creds
	a.document = map[string]any{"command": c.kind, "dry_run": c.dryRun}
	plan, earlier, err := c.earlier(ctx, a)
	if err == nil && earlier == "" {
		plan, err = c.make(ctx, client)
	}
	if err != nil {
		return err
	}
	if err := c.present(a, plan, earlier); err != nil {
		return err
	}
	if c.dryRun && c.dry != nil {
		if err := c.dry(ctx, plan); err != nil {
			return err
		}
	}
	question := c.question(plan)
	switch {
	case c.dryRun, question == "" && c.idle && earlier == "" && !a.global.Fresh: // --fresh also ends the unfinished run
		return c.leaves(plan)
	case question != "":
		if err := a.agree(ctx, question); err != nil {
			return err
		}
	}
	r, err := a.beginOn(ctx, c.kind, c.target, c.journal, c.options, creds)
	if err != nil {
		return err
	}
	if err = r.keep(ctx, plan, earlier); err == nil {
		err = c.carryOut(ctx, r, client, plan)
	}
	return r.end(ctx, err, a.document)
}

// earlier is the plan of the unfinished run that the command goes on with, and the run's id; empty where there is none.
func (c planned[P]) earlier(ctx context.Context, a *app) (plan P, run string, err error) {
	if _, err := os.Stat(c.journal); errors.Is(err, fs.ErrNotExist) || a.global.Fresh {
		return plan, "", nil
	}
	err = a.inJournal(ctx, c.journal, func(ctx context.Context, db *checkpoint.DB) error {
		info, found, err := db.Unfinished(ctx, checkpoint.RunInfo{
			Kind: c.kind, Target: c.target, Options: canonical(c.options), Fingerprint: fingerprint(a.creds),
		})
		if err != nil || !found {
			return err
		}
		for rec, err := range db.Items(ctx, info.ID, false) {
			if err != nil {
				return err
			}
			if rec.Key != planKey {
				continue
			}
			if err := json.Unmarshal(rec.Data, &plan); err != nil {
				return fmt.Errorf("read the plan of run %s: %w", info.ID, err)
			}
			run = info.ID
		}
		return nil
	})
	return plan, run, err
}

// present shows the plan, and gives the error of one that must not be carried out.
func (c planned[P]) present(a *app, plan P, earlier string) error {
	a.document["plan"] = plan
	if a.global.Output == "text" {
		if earlier != "" {
			fmt.Fprintf(a.out, "Going on with run %s, which was begun with this plan; --fresh makes a new one.\n", earlier)
		}
		if err := c.show(plan); err != nil {
			return err
		}
	}
	return c.refuse(plan)
}

// keep records the plan of a run that begins. That of a run that goes on is recorded already.
func (r *run) keep(ctx context.Context, plan any, earlier string) error {
	_, stored, err := r.journal.Get(ctx, planKey)
	if err != nil {
		return err
	}
	if stored != (earlier != "") || stored && earlier != r.journal.ID() {
		return errors.New("the run was changed by another process after its plan was shown; give the same command again")
	}
	if stored {
		return nil
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	return r.journal.Put(ctx, job.Record{Key: planKey, State: job.Done, Data: text})
}

// carryOut does what the plan says, and tells what came of it.
func (c planned[P]) carryOut(ctx context.Context, r *run, client *akamai.Client, plan P) error {
	a := r.a
	w := a.newWork(r, client, c.deadline, c.limits)
	if err := w.queue.Recall(ctx, r.journal, ""); err != nil {
		return err
	}
	progress := a.showProgress(c.kind, func() string { return waiting(w.queue, client) })
	w.pool.Watch = func(e job.Event) {
		progress.Watch(e)
		w.tally.watch(e)
	}
	err := c.apply(ctx, w, plan)
	progress.Stop()
	err = w.tally.outcome(err)
	a.document["run"], a.document["classes"] = r.journal.ID(), w.tally.classes()
	a.document["failed"], a.document["conflicts"], a.document["pending"] = list(w.tally.Failed), list(w.tally.Conflicts), list(w.tally.Pending)
	finishErr := c.finish(context.WithoutCancel(ctx), w, plan, err)
	if err == nil || unfinishedIn(err) {
		err = errors.Join(err, c.leaves(plan))
	}
	return errors.Join(err, finishErr)
}

// newWork wires what carries out changes.
func (a *app) newWork(r *run, client *akamai.Client, deadline time.Duration, limits activate.Limits) work {
	settle := a.global.Settle
	if settle == 0 {
		settle = 2 * a.global.Timeout
	}
	w := work{
		run: r, client: client, tally: &tally{}, settle: settle, poll: min(max(settle/20, 50*time.Millisecond), 5*time.Second),
		record: func(ctx context.Context, rec job.Record, attempt once.Attempt) error {
			return r.journal.PutLogged(ctx, []checkpoint.Attempt{checkpoint.Attempt(attempt)}, rec)
		},
		pool: job.Pool{Workers: a.global.Workers, Journal: r.journal},
	}
	w.queue = activate.New(activate.Options{Account: client, Record: w.record, Settle: settle, Poll: min(2*w.poll, 10*time.Second), Deadline: deadline, Limits: limits})
	return w
}

// waiting says in a few words what holds the run up.
func waiting(queue *activate.Queue, client *akamai.Client) string {
	if at := queue.Opens(); !at.IsZero() {
		return "waiting for the limit of activations, the next slot opens at " + at.Local().Format(time.TimeOnly)
	}
	return slowed(client)()
}

// deadline is the flag --deadline.
type deadline struct{ d time.Duration }

const usualDeadline = 90 * time.Minute

func (d *deadline) register(f *pflag.FlagSet) {
	f.DurationVar(&d.d, "deadline", usualDeadline, "how long to wait for the end of one activation before it is left pending (exit code 6)")
}

// applyOptions are those of an import.
func (w work) applyOptions() importer.ApplyOptions {
	return importer.ApplyOptions{Run: w.run.journal.ID(), Record: w.record, Settle: w.settle, Poll: w.poll, Queue: w.queue}
}
