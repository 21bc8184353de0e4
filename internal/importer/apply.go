package importer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// ApplyOptions say how a plan is carried out.
type ApplyOptions struct {
	Run string // names the run in markers
	// Record makes a line of the history and the state that goes with it durable (once.Effect).
	Record func(ctx context.Context, rec job.Record, attempt once.Attempt) error
	Settle time.Duration
	Poll   time.Duration
	Now    func() time.Time
	// Queue activates; it is nil where nothing is to be activated.
	Queue *activate.Queue
	// Together holds production back until everything is live on staging that is to be.
	Together bool
}

// Apply carries out a plan, with items on the pool. The error is that of job.Pool.Run. What was done by an earlier run
// with the same journal is not done again.
//
// Origins come first, then the policies, each on its own: the policy, its versions in order, its activations, staging
// before production. A policy waits for no origin but those that it needs: where one of them is not done, it is left for the
// next run. With Together nothing goes to production before all is live on staging; where something is not, the
// error is that of what is missing, and production is left for the next run.
func Apply(ctx context.Context, account Account, source Source, plan Plan, pool job.Pool, o ApplyOptions) error {
	c := &creator{account: account, source: source, o: o}
	a := &apply{c: c, networks: []cloudlet.Network{cloudlet.Staging, cloudlet.Production}}
	a.end = func(p Planned, id int64, have numbers) []job.Item { return a.activations(p, id, p.Activations(), have) }
	if o.Together {
		a.networks = a.networks[:1]
	}
	late, err := a.origins(ctx, pool, plan)
	if err != nil && len(late) == 0 {
		return err
	}
	var policies []job.Item
	for _, p := range plan.Policies {
		waits := slices.ContainsFunc(p.Origins, func(id string) bool { return late[id] })
		if item, ok := a.item(p); ok && !p.IsOrigin() && !waits {
			policies = append(policies, item)
		}
	}
	second := pool.Run(ctx, policies...)
	if second != nil && !errors.Is(second, job.ErrIncomplete) && !errors.Is(second, job.ErrPending) {
		return second // what ended the run, not what the origins left
	}
	if err = errors.Join(err, second); err != nil || !o.Together {
		return err
	}
	production, err := a.production(ctx, pool, plan)
	if len(production) == 0 {
		return err
	}
	return errors.Join(err, pool.Run(ctx, production...))
}

// origins makes the load-balancing origins of a plan: a policy may be active only after its origins are. It gives those
// that are not done, and the error that says so; there are none of them when the run cannot go on at all.
func (a *apply) origins(ctx context.Context, pool job.Pool, plan Plan) (late map[string]bool, err error) {
	var items []job.Item
	for _, p := range plan.Policies {
		if item, ok := a.item(p); ok && p.IsOrigin() {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	err = pool.Run(ctx, items...)
	if !errors.Is(err, job.ErrIncomplete) && !errors.Is(err, job.ErrPending) {
		return nil, err
	}
	late = map[string]bool{}
	for _, p := range plan.Policies {
		if !p.IsOrigin() || p.Action == Skip {
			continue
		}
		done, err := ResultOf(ctx, pool.Journal, p)
		if err != nil {
			return nil, err
		}
		if !done.Done {
			late[p.Name] = true
		}
	}
	return late, err
}

// apply turns a plan into items.
type apply struct {
	c        *creator
	networks []cloudlet.Network // those that an item activates on behind its versions
	end      func(p Planned, id int64, have numbers) []job.Item
}

// Chain gives the items that make one policy of a plan with its versions. then gives what follows when all of them are
// there: the policy's id, and the versions that were there and that were made, in order of the source's numbers.
func Chain(account Account, source Source, p Planned, o ApplyOptions, then func(id int64, versions []Pair) []job.Item) []job.Item {
	a := &apply{c: &creator{account: account, source: source, o: o}}
	a.end = func(_ Planned, id int64, have numbers) []job.Item {
		pairs := make([]Pair, 0, len(have))
		for _, from := range slices.Sorted(maps.Keys(have)) {
			pairs = append(pairs, Pair{from, have[from]})
		}
		return then(id, pairs)
	}
	if item, ok := a.item(p); ok {
		return []job.Item{item}
	}
	return nil
}

// The keys of items, below that of their policy.
func createKey(p Policy) string { return p.Key() }

func versionKey(p Policy, v Version) string { return fmt.Sprintf("%s/versions/%d", p.Key(), v.Number) }

func describeKey(p Policy) string { return p.Key() + "/description" }

func activationKey(p Policy, on cloudlet.Network) string { return p.Key() + "/activate/" + string(on) }

// numbers are the versions of the source that are in the account, with their numbers there.
type numbers map[int64]int64

func (n numbers) with(from, to int64) numbers {
	out := maps.Clone(n)
	out[from] = to
	return out
}

// item is the first of a policy's chain; there is none where nothing is to be done.
func (a *apply) item(p Planned) (job.Item, bool) {
	have := numbers{}
	for _, pair := range p.Have {
		have[pair.From] = pair.To
	}
	switch {
	case p.Action == Create && p.IsOrigin():
		return job.Item{Key: createKey(p.Policy), Do: a.c.origin(createKey(p.Policy), p, func(here bool) []job.Item {
			return a.rest(p, 0, p.Add, 0, here, have)
		})}, true
	case p.Action == Create:
		return job.Item{Key: createKey(p.Policy), Do: a.c.policy(createKey(p.Policy), p, func(id int64, here bool) []job.Item {
			return a.rest(p, id, p.Add, 0, here, have)
		})}, true
	case p.Describe:
		return job.Item{Key: describeKey(p.Policy), Do: a.c.describe(describeKey(p.Policy), p, func() []job.Item {
			return a.rest(p, p.ID, p.Add, p.Newest, false, have)
		})}, true
	case p.Action == Append || p.Action == Same:
		items := a.rest(p, p.ID, p.Add, p.Newest, false, have)
		if len(items) > 0 {
			return items[0], true
		}
	}
	return job.Item{}, false
}

// rest is what follows: the next version, or the activations when there are no more. fresh says that this process has just
// made what comes before.
func (a *apply) rest(p Planned, id int64, add []Version, before int64, fresh bool, have numbers) []job.Item {
	if len(add) == 0 {
		return a.end(p, id, have)
	}
	v := add[0]
	key := versionKey(p.Policy, v)
	then := func(number int64, here bool) []job.Item {
		return a.rest(p, id, add[1:], number, here, have.with(v.Number, number))
	}
	do := a.c.version(key, p, id, v, before, fresh, then)
	if p.First && len(p.Have) == 0 && len(add) == len(p.Add) {
		do = a.c.first(key, p, id, v, fresh, then)
	}
	return []job.Item{{Key: key, Depth: 1 + len(p.Add) - len(add), Do: do}}
}

// activations activates on one network after another.
func (a *apply) activations(p Planned, id int64, networks []cloudlet.Network, have numbers) []job.Item {
	for i, on := range networks {
		if !slices.Contains(a.networks, on) {
			continue
		}
		return []job.Item{a.activation(p, id, on, have, func() []job.Item { return a.activations(p, id, networks[i+1:], have) })}
	}
	return nil
}

func (a *apply) activation(p Planned, id int64, on cloudlet.Network, have numbers, then func() []job.Item) job.Item {
	target := a.target(p, id, on, have)
	return a.c.o.Queue.Item(activationKey(p.Policy, on), 1+len(p.Add), target, func(activate.Memo) []job.Item { return then() })
}

// target is the wanted version on a network.
func (a *apply) target(p Planned, id int64, on cloudlet.Network, have numbers) activate.Target {
	live := p.Live[on]
	target := activate.Target{
		API: p.API, Policy: id, Name: p.Name, Version: have[live.Version], Network: on, Properties: live.Properties, Over: p.over(on),
		Held: !slices.Contains(p.Activate, on), Prove: a.c.prove(p, id, live.Version, have[live.Version]),
	}
	if p.IsOrigin() {
		target.Origin = p.Name
	}
	if staging, both := p.Live[cloudlet.Staging]; both && on == cloudlet.Production && staging.Version == live.Version {
		target.After = cloudlet.Staging
	}
	return target
}

// prove is activate.Target.Prove: the version number still has the rules of the wanted version, of that number in the source.
func (c *creator) prove(p Planned, id, wanted, number int64) func(context.Context) error {
	i := slices.IndexFunc(p.Versions, func(v Version) bool { return v.Number == wanted })
	if i < 0 {
		return nil
	}
	x := place{p.Policy, id}
	return func(ctx context.Context) error {
		err := c.verify(ctx, x, p.Versions[i], number)
		if errors.Is(err, once.ErrDiffers) {
			return once.Stranger(p.String(), fmt.Sprintf("version %d was edited by somebody after it was verified, and is not activated: %s", number, err))
		}
		return err
	}
}

// production are the activations on production of everything, once all else is done. While any of them is not done, all must
// be effective on staging now: an earlier run may have put them there, and somebody else have put something else there since.
// Where one is not, that is the error, and those alone are given that an earlier run has begun.
func (a *apply) production(ctx context.Context, pool job.Pool, plan Plan) ([]job.Item, error) {
	a.networks = []cloudlet.Network{cloudlet.Production}
	var items, begun []job.Item
	var targets []activate.Target
	for _, p := range plan.Policies {
		networks := p.Activations()
		if p.IsOrigin() || !slices.Contains(networks, cloudlet.Production) {
			continue
		}
		done, err := ResultOf(ctx, pool.Journal, p)
		if err != nil {
			return nil, err
		}
		have := numbers{}
		for _, pair := range done.Versions {
			have[pair.From] = pair.To
		}
		rec, _, err := pool.Journal.Get(ctx, activationKey(p.Policy, cloudlet.Production))
		if err != nil {
			return nil, err
		}
		next := a.activations(p, done.ID, networks, have)
		if memo, err := once.MemoOf[activate.Before, string](rec); err == nil && (memo.N > 0 || rec.State == job.Done) {
			begun = append(begun, next...)
		}
		items = append(items, next...)
		if t := a.target(p, done.ID, cloudlet.Production, have); t.After != "" {
			targets = append(targets, t)
		}
	}
	if len(begun) == len(items) {
		return items, nil
	}
	if err := a.follow(ctx, targets, pool.Workers); err != nil {
		return begun, err
	}
	return items, nil
}

// follow says of all targets whether they are effective where they have to be before they are activated.
func (a *apply) follow(ctx context.Context, targets []activate.Target, limit int) error {
	errs := make([]error, len(targets))
	var reads errgroup.Group
	reads.SetLimit(max(limit, 1))
	for i, t := range targets {
		reads.Go(func() error {
			errs[i] = a.c.o.Queue.Follows(ctx, t)
			return nil
		})
	}
	_ = reads.Wait() // each error has its place
	return errors.Join(errs...)
}
