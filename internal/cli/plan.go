package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	kind, target, journal string
	options               any // what decides the work: a run goes on with the same only
	dryRun                bool
	deadline              time.Duration // of an activation
	limits                activate.Limits

	make func(ctx context.Context, client *akamai.Client) (P, error) // reads only
	show func(plan P) error                                          // for people
	// refuse says why the plan must not be carried out at all, or nothing.
	refuse func(plan P) error
	// leaves is the error of a plan that is carried out as far as it goes and leaves items out; nothing where it is whole.
	leaves   func(plan P) error
	question func(plan P) string // empty where nothing would be sent
	apply    func(ctx context.Context, w work, plan P) error
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
	log    func(context.Context, once.Attempt) error
}

// leavingError is the error of a plan that was carried out but for what it left out.
type leavingError interface {
	error
	leftOut()
}

// planKey is the journal's record of the plan. A run that goes on carries out the plan that it was begun with.
const planKey = "plan"

// runPlanned runs a command of that kind.
func runPlanned[P any](ctx context.Context, a *app, c planned[P]) error {
	client, creds, err := a.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	a.creds = creds
	a.document = map[string]any{"command": c.kind, "dry_run": c.dryRun}
	if c.dryRun {
		plan, err := c.make(ctx, client)
		if err != nil {
			return err
		}
		if err := c.present(a, plan); err != nil {
			return err
		}
		return c.leaves(plan)
	}
	r, err := a.beginRun(ctx, c.kind, c.target, c.journal, c.options, creds)
	if err != nil {
		return err
	}
	err = c.run(ctx, a, r, client)
	return r.end(ctx, err, a.document)
}

// present shows the plan, and gives the error of one that must not be carried out.
func (c planned[P]) present(a *app, plan P) error {
	a.document["plan"] = plan
	if a.global.Output == "text" {
		if err := c.show(plan); err != nil {
			return err
		}
	}
	return c.refuse(plan)
}

// run makes the plan, or takes that of the run that goes on, and carries it out.
func (c planned[P]) run(ctx context.Context, a *app, r *run, client *akamai.Client) error {
	plan, stored, err := storedPlan[P](ctx, r)
	r.idle = !stored
	if err == nil && !stored {
		plan, err = c.make(ctx, client)
	}
	if err == nil && stored && a.global.Output == "text" {
		fmt.Fprintf(a.out, "The plan of run %s, begun %s; what is done already is not done again.\n\n",
			r.journal.ID(), r.since.Local().Format("2006-01-02 15:04"))
	}
	if err == nil {
		err = c.present(a, plan)
	}
	if err != nil {
		return err
	}
	if question := c.question(plan); question != "" {
		if err := a.agree(ctx, question); err != nil {
			return err
		}
	}
	if !stored {
		text, err := json.Marshal(plan)
		if err != nil {
			return fmt.Errorf("encode plan: %w", err)
		}
		if err := r.journal.Put(ctx, job.Record{Key: planKey, State: job.Done, Data: text}); err != nil {
			return err
		}
		r.idle = false
	}
	w := a.newWork(r, client, c.deadline, c.limits)
	if err := w.queue.Recall(ctx, r.journal, ""); err != nil {
		return err
	}
	progress := a.showProgress(c.kind, func() string { return waiting(w.queue, client) })
	w.pool.Watch = func(e job.Event) {
		progress.Watch(e)
		w.tally.watch(e)
	}
	err = c.apply(ctx, w, plan)
	progress.Stop()
	err = w.tally.outcome(err)
	a.document["classes"] = w.tally.classes()
	a.document["failed"], a.document["conflicts"], a.document["pending"] = list(w.tally.Failed), list(w.tally.Conflicts), list(w.tally.Pending)
	finishErr := c.finish(context.WithoutCancel(ctx), w, plan, err)
	if err == nil || unfinishedIn(err) {
		err = errors.Join(err, c.leaves(plan))
	}
	return errors.Join(err, finishErr)
}

// storedPlan is the plan of a run that goes on, if it came so far.
func storedPlan[P any](ctx context.Context, r *run) (plan P, stored bool, err error) {
	rec, stored, err := r.journal.Get(ctx, planKey)
	if err != nil || !stored {
		return plan, false, err
	}
	if err := json.Unmarshal(rec.Data, &plan); err != nil {
		return plan, true, fmt.Errorf("read the plan of run %s: %w", r.journal.ID(), err)
	}
	return plan, true, nil
}

// newWork wires what carries out changes.
func (a *app) newWork(r *run, client *akamai.Client, deadline time.Duration, limits activate.Limits) work {
	settle := a.global.Settle
	if settle == 0 {
		settle = 2 * a.global.Timeout
	}
	w := work{
		run: r, client: client, tally: &tally{}, settle: settle, poll: min(max(settle/20, 50*time.Millisecond), 5*time.Second),
		log: func(ctx context.Context, attempt once.Attempt) error {
			return r.journal.Log(ctx, checkpoint.Attempt(attempt))
		},
		pool: job.Pool{Workers: a.global.Workers, Journal: r.journal},
	}
	w.queue = activate.New(activate.Options{Account: client, Log: w.log, Settle: settle, Poll: min(2*w.poll, 10*time.Second), Deadline: deadline, Limits: limits})
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
	return importer.ApplyOptions{Run: w.run.journal.ID(), Log: w.log, Settle: w.settle, Poll: w.poll, Queue: w.queue}
}
