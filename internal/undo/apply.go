package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	// Hash tells whether a version still holds what the run put into it.
	Hash Hash
}

// How often one process sends a removal: so often when answers are lost, and so often when the API says that it has too
// much to do.
const (
	attempts = 10
	patience = 100
)

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
	sent, waits := 0, 0
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
		if sent >= attempts || waits >= patience {
			return job.Step{}, fmt.Errorf("%w: %s was sent %d times and is still there", job.ErrPending, s, sent+waits)
		}
		answer, err := u.account.Send(context.WithoutCancel(ctx), change)
		soon := u.o.Now().Add(u.o.Poll)
		api, ok := errors.AsType[*cloudlet.APIError](err)
		switch {
		case err == nil, ok && api.Status == cloudlet.NotFound:
			return job.Step{Next: then()}, nil
		case ok && api.Status == tooMany:
			waits++
			return job.Step{Again: latest(soon, answer.Rate.Next, api.RetryAt)}, nil
		case ok && (api.Verdict == cloudlet.Unknown || api.Verdict == cloudlet.NotSent):
			sent++
			return job.Step{Again: soon}, nil
		}
		return job.Step{}, err
	}}
}

// tooMany is the HTTP status Too Many Requests.
const tooMany = 429

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// gone reports whether what is to be removed is gone. What somebody has added or edited since is a conflict.
func (u *undoer) gone(ctx context.Context, s Step, at cloudlet.Resource) (bool, error) {
	text, err := u.account.Get(ctx, at)
	if cloudlet.StatusOf(err) == cloudlet.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	var versions []cloudlet.Version
	if s.Action == RemoveVersion {
		v, err := cloudlet.ParseVersion(text)
		if err != nil || v.Deleted {
			return v.Deleted, err
		}
		versions = []cloudlet.Version{v}
	} else {
		p, err := cloudlet.ParsePolicy(s.API, text)
		if err != nil || p.Deleted {
			return p.Deleted, err
		}
		if text, err = u.account.Get(ctx, s.API.Versions(s.Policy, false)); err != nil {
			return false, err
		}
		if versions, err = cloudlet.ParseList(text, cloudlet.ParseVersion); err != nil {
			return false, err
		}
	}
	others, err := others(ctx, u.account, u.o.Hash, s.API, s.Policy, versions, s.Versions)
	if err == nil && len(others) > 0 {
		err = once.Stranger(s.key(), strings.Join(others, ", ")+"; it stays")
	}
	return false, err
}
