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
	if err := positive("deadline", c.deadline); err != nil {
		return err
	}
	client, creds, err := a.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	a.creds = creds
	a.document = map[string]any{"command": c.kind, "dry_run": c.dryRun, "host": creds.Host, "account_switched": !creds.AccountKey.Empty()}
	plan, earlier, err := c.earlier(ctx, a)
	if c.dryRun && errors.Is(err, checkpoint.ErrChanged) { // it does not go on with anything
		a.log.Warn("without --dry-run this would end here", "reason", err)
		err = nil
	}
	if err == nil && earlier == "" {
		plan, err = c.make(ctx, client)
	}
	if err != nil {
		return early(ctx, err)
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
			return early(ctx, err)
		}
	}
	r, err := a.beginOn(ctx, c.kind, c.target, c.journal, c.options, creds)
	if err != nil {
		return err
	}
	if err = r.keep(ctx, plan, earlier); err == nil {
		r.changes = true
		err = c.carryOut(ctx, r, client, plan)
	}
	return r.end(ctx, err, a.document)
}

// early says of an interruption that nothing was sent yet.
func early(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("interrupted before anything was sent: %w", ctx.Err())
}

// earlier is the plan of the unfinished run that the command goes on with, and the run's id; empty where there is none.
func (c planned[P]) earlier(ctx context.Context, a *app) (plan P, run string, err error) {
	if _, err := os.Stat(c.journal); errors.Is(err, fs.ErrNotExist) {
		return plan, "", nil
	}
	switch {
	case a.global.Fresh && c.dryRun:
		return plan, "", nil
	case a.global.Fresh:
		return plan, "", c.letSettle(ctx, a)
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

// letSettle waits until nothing that the run which is given up for --fresh had sent can take effect any more: a new plan
// would not see it, and make it again.
func (c planned[P]) letSettle(ctx context.Context, a *app) error {
	var until time.Time
	err := a.inJournal(ctx, c.journal, func(ctx context.Context, db *checkpoint.DB) error {
		known, err := db.Runs(ctx)
		for _, info := range known {
			if info.Kind != c.kind || info.Target != c.target || !info.Unfinished() {
				continue
			}
			for rec, err := range db.Items(ctx, info.ID, false) {
				if err != nil {
					return err
				}
				if at := once.MayTakeEffect(rec, a.settleWindow()); at.After(until) {
					until = at
				}
			}
		}
		return err
	})
	if err != nil || !until.After(time.Now()) {
		return err
	}
	a.log.Warn("the run that is given up had sent changes whose answers never came; waiting until they cannot take effect any more", "until", until.Local().Format(time.TimeOnly))
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// present shows the plan, and gives the error of one that must not be carried out.
func (c planned[P]) present(a *app, plan P, earlier string) error {
	a.document["plan"] = plan
	if a.global.Output == "text" {
		fmt.Fprintln(a.out, "Account: "+a.whichAccount())
		if earlier != "" {
			fmt.Fprintf(a.out, "Going on with run %s, which was begun with this plan; --fresh makes a new one.\n", earlier)
		}
		if err := c.show(plan); err != nil {
			return err
		}
	}
	return c.refuse(plan)
}

// whichAccount says for whom a plan is: the host, and whether an account switch key leads to another account.
func (a *app) whichAccount() string {
	text := a.creds.Host
	if !a.creds.AccountKey.Empty() {
		text += ", by an account switch key"
	}
	return text + " (" + a.creds.Source + ")"
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

// afterwards is an error of what comes when the account is changed already: the results could not be written. It hides
// its kind: whatever it is, it does not undo what was done.
type afterwards struct{ err error }

func (e *afterwards) Error() string { return "the results could not be written: " + e.err.Error() }
func (e *afterwards) Hint() string {
	return "the same command again sends nothing that is done, and writes them"
}
func (e *afterwards) Is(target error) bool { return target == errFailed }

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
	if finishErr != nil {
		err = errors.Join(err, &afterwards{finishErr})
	}
	return err
}

// newWork wires what carries out changes.
func (a *app) newWork(r *run, client *akamai.Client, deadline time.Duration, limits activate.Limits) work {
	settle := a.settleWindow()
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

// settleWindow is how long an unanswered change may still take effect.
func (a *app) settleWindow() time.Duration {
	if a.global.Settle > 0 {
		return a.global.Settle
	}
	return 2 * a.global.Timeout
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
