package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// Options say how a plan is carried out.
type Options struct {
	Queue *activate.Queue
	Poll  time.Duration // pause before a removal with an unknown end is looked at again
	Now   func() time.Time
}

// attempts is how often one process sends a removal whose answers are lost.
const attempts = 10

// Apply carries out a plan, with items on the pool: policies side by side, the steps of one in order. The error is that of
// job.Pool.Run. A removal may be sent again after a lost answer: it has the same end, and before each what is there is
// looked at.
func Apply(ctx context.Context, account Account, plan Plan, pool job.Pool, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	u := &undoer{account: account, o: o}
	var keys []string
	steps := map[string][]Step{}
	for _, s := range plan.Steps {
		if steps[s.key()] == nil {
			keys = append(keys, s.key())
		}
		steps[s.key()] = append(steps[s.key()], s)
	}
	var items []job.Item
	for _, key := range keys {
		items = append(items, u.chain(steps[key])...)
	}
	return pool.Run(ctx, items...)
}

type undoer struct {
	account Account
	o       Options
}

// chain is the steps of one policy, each behind the one before.
func (u *undoer) chain(steps []Step) []job.Item {
	if len(steps) == 0 {
		return nil
	}
	s, rest := steps[0], steps[1:]
	switch s.Action {
	case Activate, Deactivate:
		t := activate.Target{
			API: s.API, Policy: s.Policy, Name: s.Name, Origin: s.Origin, Version: s.Version, Network: s.Network,
			Off: s.Action == Deactivate, Over: []int64{s.Over},
		}
		return []job.Item{u.o.Queue.Item(s.key()+"/"+string(s.Network), 1, t, func(activate.Memo) []job.Item { return u.chain(rest) })}
	case RemoveVersion, RemovePolicy:
	}
	return []job.Item{u.remove(s, func() []job.Item { return u.chain(rest) })}
}

// remove removes a version or a policy, if it is still as the plan saw it.
func (u *undoer) remove(s Step, then func() []job.Item) job.Item {
	key, change, at := s.key(), s.API.DeletePolicy(s.Policy), s.API.Policy(s.Policy)
	if s.Action == RemoveVersion {
		key = fmt.Sprintf("%s/versions/%d", key, s.Version)
		change, at = s.API.DeleteVersion(s.Policy, s.Version), s.API.Version(s.Policy, s.Version)
	}
	sent := 0
	return job.Item{Key: key, Do: func(ctx context.Context, t *job.Task) (job.Step, error) {
		if rec, known, err := t.Earlier(ctx); err != nil || known && rec.State == job.Done {
			return job.Step{Kept: true, Next: then()}, err
		}
		gone, err := u.gone(ctx, s, at)
		if err != nil {
			return job.Step{}, err
		}
		if gone {
			return job.Step{Next: then()}, nil
		}
		if sent++; sent > attempts {
			return job.Step{}, fmt.Errorf("%w: %s was sent %d times and is still there", job.ErrPending, s, attempts)
		}
		_, err = u.account.Send(context.WithoutCancel(ctx), change)
		api, ok := errors.AsType[*cloudlet.APIError](err)
		switch {
		case err == nil:
			return job.Step{Next: then()}, nil
		case ok && (api.Verdict == cloudlet.Unknown || api.Verdict == cloudlet.NotSent || api.Status == 429):
			return job.Step{Again: u.o.Now().Add(u.o.Poll)}, nil
		}
		return job.Step{}, err
	}}
}

// gone reports whether what is to be removed is gone. A policy to which somebody has added versions since is a conflict.
func (u *undoer) gone(ctx context.Context, s Step, at cloudlet.Resource) (bool, error) {
	text, err := u.account.Get(ctx, at)
	if cloudlet.StatusOf(err) == cloudlet.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if s.Action == RemoveVersion {
		v, err := cloudlet.ParseVersion(text)
		return v.Deleted, err
	}
	p, err := cloudlet.ParsePolicy(s.API, text)
	if err != nil || p.Deleted {
		return p.Deleted, err
	}
	if text, err = u.account.Get(ctx, s.API.Versions(s.Policy, false)); err != nil {
		return false, err
	}
	versions, err := cloudlet.ParseList(text, cloudlet.ParseVersion)
	for _, v := range versions {
		if first := s.API == cloudlet.V2 && v.Number == 1; !v.Deleted && !first && !slices.Contains(s.Versions, v.Number) {
			return false, once.Stranger(s.key(), fmt.Sprintf("version %d was added by %s; the policy stays", v.Number, cloudlet.Printable(v.ModifiedBy)))
		}
	}
	return false, err
}
