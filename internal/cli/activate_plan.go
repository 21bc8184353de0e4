package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// activateKeys is what the keys of activations begin with in the journal.
const activateKeys = "activate/"

// activation is one line of a plan: one version on one network.
type activation struct {
	activate.Target
	Effective int64 `json:"effective"` // the version that is live on the network, 0 for none
	Pending   int64 `json:"pending"`   // the version whose activation is under way there, 0 for none
	// Associate are those of the properties that the policy is not active for there yet.
	Associate []string `json:"associate,omitempty"`
}

// activations is a plan: those of one policy or origin follow one another, staging first.
type activations []activation

// key names the activation in the journal.
func (p activation) key() string {
	place := fmt.Sprintf("%s:%d", p.API, p.Policy)
	if p.Origin != "" {
		place = "origin:" + p.Origin
	}
	return fmt.Sprintf("%s%s@%d/%s", activateKeys, place, p.Version, p.Network)
}

// What a line of a plan leads to.
const (
	planSend    = "send"      // a request
	planAlready = "already"   // nothing: it is so
	planAdopt   = "under way" // nothing but a wait
)

// does is what the line leads to, as far as the plan knows.
func (p activation) does() string {
	switch {
	case len(p.Associate) > 0:
		return planSend
	case p.Off != (p.Effective == p.Version) && p.Pending == 0:
		return planAlready
	case !p.Off && p.Pending == p.Version:
		return planAdopt
	}
	return planSend
}

// sends reports whether the plan leads to any request, or to a wait.
func (p activations) sends() bool {
	return slices.ContainsFunc(p, func(a activation) bool { return a.does() != planAlready })
}

// items are the first activation of each policy and origin; the others follow from them.
func (p activations) items(q *activate.Queue) []job.Item {
	var items []job.Item
	for first := 0; first < len(p); {
		end := first + 1
		for end < len(p) && p[end].Place() == p[first].Place() {
			end++
		}
		items = append(items, p[first:end].chain(q, 1))
		first = end
	}
	return items
}

// chain is an item for the first activation, from which the others follow.
func (p activations) chain(q *activate.Queue, depth int) job.Item {
	var then func(activate.Memo) []job.Item
	if len(p) > 1 {
		then = func(activate.Memo) []job.Item { return []job.Item{p[1:].chain(q, depth+1)} }
	}
	t := p[0].Target
	t.Held = p[0].does() != planSend
	return q.Item(p[0].key(), depth, t, then)
}

// planner finds out by reads alone what the arguments of activate lead to.
type planner struct {
	client  reader
	options activateOptions
	workers int
	warn    func(msg string, args ...any)
}

// plan gives the activations in the order of the arguments, origins first, for a policy may need them.
func (p *planner) plan(ctx context.Context, wishes []wish) (activations, error) {
	known, err := p.policies(ctx, wishes)
	if err != nil {
		return nil, err
	}
	targets := make([]activate.Target, len(wishes))
	named := map[string]string{}
	for i, w := range wishes {
		t := activate.Target{Origin: w.origin, Version: w.version, Off: p.options.Deactivate}
		if w.origin == "" {
			policy, err := theOne(known, w.ref)
			if err != nil {
				return nil, err
			}
			t.API, t.Policy, t.Name = policy.API, policy.ID, policy.Name
		}
		if other, twice := named[t.Place()]; twice {
			return nil, &usageError{text: fmt.Sprintf("%s and %s are of the same %s", other, w.text, t.Place()), hint: "one version of each can be live"}
		}
		named[t.Place()] = w.text
		if t.API == cloudlet.V2 {
			if t.Off {
				return nil, noDeactivation(t.Place())
			}
			t.Properties = p.options.Properties
		}
		targets[i] = t
	}
	if len(p.options.Properties) > 0 && !slices.ContainsFunc(targets, func(t activate.Target) bool { return t.API == cloudlet.V2 }) {
		return nil, &usageError{text: "--property goes with legacy policies (v2), and none is named"}
	}
	slices.SortStableFunc(targets, func(a, b activate.Target) int { return strings.Compare(kindOrder(a), kindOrder(b)) })
	return p.look(ctx, targets)
}

func kindOrder(t activate.Target) string {
	if t.Origin != "" {
		return "0"
	}
	return "1"
}

// policies reads the lists of policies of the APIs that the arguments can mean.
func (p *planner) policies(ctx context.Context, wishes []wish) ([]cloudlet.Policy, error) {
	var apis []string
	for _, api := range []cloudlet.API{cloudlet.V2, cloudlet.V3} {
		if slices.ContainsFunc(wishes, func(w wish) bool { return w.origin == "" && (w.ref.API == "" || w.ref.API == api) }) {
			apis = append(apis, string(api))
		}
	}
	return policies(ctx, p.client, listOptions{APIs: apis, warn: p.warn})
}

// look reads what is there of each target, several at a time, and gives the lines of the plan in order. The first error of
// the targets in their order is the one given.
func (p *planner) look(ctx context.Context, targets []activate.Target) (activations, error) {
	lines, errs := make([]activations, len(targets)), make([]error, len(targets))
	slots := make(chan struct{}, p.workers)
	var all sync.WaitGroup
	for i := range targets {
		slots <- struct{}{}
		all.Go(func() {
			lines[i], errs[i] = p.lines(ctx, targets[i])
			<-slots
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(lines...), nil
}

// lines are the lines of one target, one for each network.
func (p *planner) lines(ctx context.Context, t activate.Target) (activations, error) {
	var err error
	if t.Version, err = p.version(ctx, t); err != nil {
		return nil, err
	}
	history := cloudlet.OriginActivations(t.Origin)
	if t.Origin == "" {
		history = t.API.Activations(t.Policy)
	}
	text, err := p.client.Get(ctx, history)
	if err != nil {
		return nil, err
	}
	rows, err := cloudlet.ParseList(text, cloudlet.ParseActivation)
	if err != nil {
		return nil, fmt.Errorf("read the activations of %s: %w", t.Place(), err)
	}
	var lines activations
	for _, network := range p.options.Networks {
		line := activation{Target: t}
		line.Network = cloudlet.Network(network)
		now := cloudlet.InForceOn(rows, line.Network)
		line.Effective, line.Pending = now.Effective, now.Pending
		if line.Associate, err = activate.Unassociated(ctx, p.client, line.Target, rows); err != nil {
			return nil, err
		}
		if len(p.options.Networks) > 1 && line.Network == cloudlet.Production && !t.Off {
			line.After = cloudlet.Staging
		}
		if line.Over = []int64{now.Effective}; now.Pending != 0 {
			line.Over = append(line.Over, now.Pending)
		}
		if t.Off && now.Effective != 0 && now.Effective != t.Version {
			return nil, once.Stranger(t.Place(), fmt.Sprintf("version %d is live on %s, not version %d, which was to be taken off", now.Effective, network, t.Version))
		}
		lines = append(lines, line)
	}
	if t.API == cloudlet.V2 && len(t.Properties) == 0 && lines.sends() {
		return lines, p.associated(ctx, t)
	}
	return lines, nil
}

// version is the number of the version that is wanted, which must be there.
func (p *planner) version(ctx context.Context, t activate.Target) (int64, error) {
	resource := cloudlet.OriginVersions(t.Origin)
	if t.Origin == "" {
		resource = t.API.Versions(t.Policy, false)
	}
	text, err := p.client.Get(ctx, resource)
	if t.Origin != "" && cloudlet.StatusOf(err) == cloudlet.NotFound {
		return 0, &usageError{text: "there is no " + t.Place(), hint: "cloudletmig list origins shows those there are"}
	}
	if err != nil {
		return 0, err
	}
	versions, err := cloudlet.ParseList(text, cloudlet.ParseVersion)
	if err != nil {
		return 0, fmt.Errorf("read the versions of %s: %w", t.Place(), err)
	}
	newest := int64(0)
	for _, v := range versions {
		switch {
		case v.Deleted:
		case v.Number == t.Version:
			return v.Number, nil
		default:
			newest = max(newest, v.Number)
		}
	}
	switch {
	case t.Version == 0 && newest != 0:
		return newest, nil
	case newest == 0:
		return 0, &usageError{text: t.Place() + " has no versions"}
	}
	return 0, &usageError{text: fmt.Sprintf("%s has no version %d", t.Place(), t.Version), hint: fmt.Sprintf("the newest one is %d", newest)}
}

// associated demands of a v2 policy that a property uses it, or v2 would refuse to activate it. Where that cannot be read,
// v2 is left to say it.
func (p *planner) associated(ctx context.Context, t activate.Target) error {
	text, err := p.client.Get(ctx, t.API.Properties(t.Policy))
	if err != nil {
		if status := cloudlet.StatusOf(err); status == cloudlet.Forbidden || status == cloudlet.NotFound {
			return nil
		}
		return err
	}
	var byName map[string]json.RawMessage
	if err := json.Unmarshal(text, &byName); err != nil {
		return fmt.Errorf("read the properties of %s: %w", t.Place(), err)
	}
	if len(byName) == 0 {
		return &usageError{
			text: t.Place() + " is not associated with a property, and v2 activates no policy without one",
			hint: "give --property NAME: it associates the policy with that property for good",
		}
	}
	return nil
}
