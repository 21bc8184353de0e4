package activate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
)

// dryRun is what the journal holds of an origin's activation before its baseline: a dry run was about to be sent, or is over
// and found nothing against it, so that a run that goes on need not send another.
type dryRun struct {
	Dry    time.Time `json:"dry,omitzero"`
	Passed bool      `json:"passed,omitempty"`
}

// do goes on with the activation; that of a load-balancing version begins with a dry run, which says whether the API would
// take it (Cloudlets API v2, Activate a load balancing version).
func (a *activation) do(ctx context.Context, task *job.Task, do func(context.Context, *job.Task) (job.Step, error)) (job.Step, error) {
	if a.t.Origin != "" && !a.dried {
		again, err := a.rehearse(ctx, task)
		if err != nil || !again.IsZero() {
			return job.Step{Again: again}, err
		}
		a.dried = true
	}
	return do(ctx, task)
}

// rehearse makes the dry run, unless there is nothing to send. A time says when to call again.
func (a *activation) rehearse(ctx context.Context, task *job.Task) (time.Time, error) {
	rec, ok, err := task.Earlier(ctx)
	if err != nil || ok && rec.State != "" {
		return time.Time{}, err
	}
	var before dryRun
	if ok && json.Unmarshal(rec.Data, &before) == nil && before.Passed {
		a.dry = before.Dry
		return time.Time{}, nil
	}
	if _, here, err := a.baseline(ctx); err != nil || here != "" {
		return time.Time{}, nil //nolint:nilerr // once asks again, and knows what each error means
	}
	if again := a.turn(a.q.now()); !again.IsZero() {
		return again, nil
	}
	if err := task.Save(ctx, "", dryRun{Dry: a.q.now()}); err != nil {
		return time.Time{}, err
	}
	answer, err := a.attempt(context.WithoutCancel(ctx), cloudlet.ActivateOrigin(a.t.Origin, a.t.Version, a.t.Network, true))
	a.dry = a.q.now()
	api, isAPI := errors.AsType[*cloudlet.APIError](err)
	switch {
	case err == nil:
		return time.Time{}, task.Save(context.WithoutCancel(ctx), "", dryRun{a.dry, true})
	case isAPI && api.Verdict == cloudlet.Conflict: // once waits for what is in the way
		return time.Time{}, nil
	case cloudlet.StatusOf(err) == tooMany:
		return answer.Rate.Next, nil
	case isAPI && api.Verdict != cloudlet.Rejected && ctx.Err() == nil && a.failures < mostRehearsals: // it changed nothing: it may be sent again
		a.failures++
		return a.q.now().Add(a.q.opts.Poll << a.failures), nil
	}
	return time.Time{}, fmt.Errorf("dry run of the %w", refused(a.t, err))
}

const tooMany = 429 // HTTP status Too Many Requests; its Rate.Next is always set

// mostRehearsals is how often a dry run without an answer is sent again.
const mostRehearsals = 5
