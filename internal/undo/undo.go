// Package undo puts back what a run changed: what was live before it goes live again, and what it made and is not live is
// removed. What others did since stays as it is: a version is only removed while it holds what the run put into it.
package undo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
)

// Account is the part of the API that undoing needs.
type Account interface {
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
	// Send makes one attempt at a change, never two; its error carries a verdict.
	Send(ctx context.Context, c cloudlet.Change) (cloudlet.Answer, error)
}

// Hash is the hash by which the document of a version is compared with others.
type Hash func(doc []byte) (string, error)

// Made is what a run made of one policy.
type Made struct {
	API      cloudlet.API
	Policy   int64
	Name     string
	Created  bool // the policy itself
	Versions []Version
	// Filled says that the run wrote into a version 1 that was there before it, empty. That is not taken back.
	Filled bool
	// Origin is a load-balancing origin instead; the API removes neither origins nor their versions.
	Origin string
}

// Version is a version that a run made, as it left it.
type Version struct {
	Number      int64  `json:"number"` // 0: it is not known which number the content got
	Hash        string `json:"hash"`
	Description string `json:"description"`
}

// Live is an activation that a run began.
type Live struct {
	Target   activate.Target
	Previous int64 // what was effective before; 0: nothing
}

// Action is what one step does.
type Action string

// The actions, in the order in which those of one policy are done.
const (
	Activate      Action = "activate"
	Deactivate    Action = "deactivate"
	RemoveVersion Action = "remove version"
	RemovePolicy  Action = "remove policy"
)

// Step is one reverse change.
type Step struct {
	Action  Action           `json:"action"`
	API     cloudlet.API     `json:"api,omitempty"`
	Policy  int64            `json:"policy,omitempty"`
	Name    string           `json:"name"`
	Origin  string           `json:"origin,omitempty"`
	Version int64            `json:"version,omitempty"`
	Network cloudlet.Network `json:"network,omitempty"`
	// Over is what the run put live, which Activate replaces.
	Over int64 `json:"over,omitempty"`
	// Versions are what is removed: with a policy all that it may have then, else the one version.
	Versions []Version `json:"versions,omitempty"`
}

// Plan is what will be sent, and nothing else will.
type Plan struct {
	Run   string `json:"run"` // that is undone
	Steps []Step `json:"steps"`
	// Stays is what is not put back, with the reason.
	Stays []Stay `json:"stays,omitempty"`
}

// Stay is something that is not put back.
type Stay struct {
	Item string `json:"item"`
	Text string `json:"text"`
}

// key names the policy or origin of a step.
func (s Step) key() string {
	if s.Origin != "" {
		return "origins/" + s.Origin
	}
	return fmt.Sprintf("%s/%d", s.API, s.Policy)
}

// String is how people see the step.
func (s Step) String() string {
	where := activate.Target{API: s.API, Policy: s.Policy, Name: s.Name, Origin: s.Origin}.Place()
	switch s.Action {
	case Activate:
		return fmt.Sprintf("activate version %d of %s on %s again", s.Version, where, s.Network)
	case Deactivate:
		return fmt.Sprintf("deactivate version %d of %s on %s", s.Version, where, s.Network)
	case RemoveVersion:
		return fmt.Sprintf("remove version %d of %s", s.Version, where)
	case RemovePolicy:
	}
	return "remove " + where
}

// Make reads how things stand and gives the plan that puts back what a run made and put live. It sends nothing.
func Make(ctx context.Context, account Account, hash Hash, run string, made []Made, live []Live) (Plan, error) {
	m := &maker{account: account, hash: hash, plan: Plan{Run: run, Steps: []Step{}}}
	slices.SortStableFunc(live, func(a, b Live) int { return cmp.Compare(a.Target.Network, b.Target.Network) }) // production before staging
	for _, l := range live {
		if err := m.live(ctx, l); err != nil {
			return m.plan, fmt.Errorf("%s: %w", l.Target.Place(), err)
		}
	}
	for _, x := range made {
		if err := m.made(ctx, x); err != nil {
			return m.plan, fmt.Errorf("%s:%d %s: %w", x.API, x.Policy, cloudlet.Printable(x.Name), err)
		}
	}
	return m.plan, nil
}

type maker struct {
	account Account
	hash    Hash
	plan    Plan
}

func (m *maker) add(s Step) { m.plan.Steps = append(m.plan.Steps, s) }

func (m *maker) stay(item, format string, args ...any) {
	m.plan.Stays = append(m.plan.Stays, Stay{item, fmt.Sprintf(format, args...)})
}

// live puts back what was live, unless somebody has put something else live since.
func (m *maker) live(ctx context.Context, l Live) error {
	t := l.Target
	if t.Off {
		m.stay(t.String(), "a deactivation is not undone; activate version %d again if it is wanted", t.Version)
		return nil
	}
	rows, gone, err := m.rows(ctx, t)
	if err != nil || gone {
		return err
	}
	in := cloudlet.InForceOn(rows, t.Network)
	s := Step{API: t.API, Policy: t.Policy, Name: t.Name, Origin: t.Origin, Network: t.Network, Over: t.Version}
	switch {
	case in.Pending != 0:
		m.stay(t.String(), "an activation of version %d is under way there; undo again when it is over", in.Pending)
	case in.Effective == l.Previous: // it came to nothing, was live before, or somebody has put it back
	case in.Effective != t.Version:
		m.stay(t.String(), "version %d is live there now, which this run did not put there", in.Effective)
	case l.Previous != 0:
		s.Action, s.Version = Activate, l.Previous
		m.add(s)
	case t.API == cloudlet.V3:
		s.Action, s.Version = Deactivate, t.Version
		m.add(s)
	default:
		m.stay(t.String(), "nothing was live there before, and only shared policies can be deactivated")
	}
	return nil
}

// rows is the activation history that a target is in; gone says that there is no such policy any more.
func (m *maker) rows(ctx context.Context, t activate.Target) (rows []cloudlet.Activation, gone bool, err error) {
	r := t.API.Activations(t.Policy)
	if t.Origin != "" {
		r = cloudlet.OriginActivations(t.Origin)
	}
	text, err := m.account.Get(ctx, r)
	if cloudlet.StatusOf(err) == cloudlet.NotFound {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	rows, err = cloudlet.ParseList(text, cloudlet.ParseActivation)
	return rows, false, err
}

// made removes what was made and will not be live.
func (m *maker) made(ctx context.Context, x Made) error {
	if x.Origin != "" {
		m.stay("origin "+x.Origin, "the API removes neither load-balancing configurations nor their versions")
		return nil
	}
	versions, rows, gone, err := m.look(ctx, x)
	if err != nil || gone {
		return err
	}
	after := m.liveAfter(x, rows)
	if x.Created {
		return m.removePolicy(ctx, x, versions, after)
	}
	for _, v := range slices.Backward(x.Versions) {
		if err := m.removeVersion(ctx, x, v, versions, after); err != nil {
			return err
		}
	}
	return nil
}

// removeVersion removes a version that the run added, unless it is live or somebody has edited it.
func (m *maker) removeVersion(ctx context.Context, x Made, v Version, versions []cloudlet.Version, after []int64) error {
	item := fmt.Sprintf("version %d of %s:%d %s", v.Number, x.API, x.Policy, cloudlet.Printable(x.Name))
	i := slices.IndexFunc(versions, func(have cloudlet.Version) bool { return have.Number == v.Number && !have.Deleted })
	switch {
	case x.Filled && v.Number == 1:
		m.stay(item, "it was there before, empty; what the run wrote into it is not taken back")
		return nil
	case i < 0:
		return nil
	case slices.Contains(after, v.Number):
		m.stay(item, "it is live or about to be")
		return nil
	}
	why, err := written(ctx, m.account, m.hash, x.API, x.Policy, versions[i], []Version{v})
	switch {
	case err != nil:
		return err
	case why != "":
		m.stay(item, "%s", why)
	default:
		m.add(Step{Action: RemoveVersion, API: x.API, Policy: x.Policy, Name: x.Name, Version: v.Number, Versions: []Version{v}})
	}
	return nil
}

func (m *maker) look(ctx context.Context, x Made) (versions []cloudlet.Version, rows []cloudlet.Activation, gone bool, err error) {
	text, err := m.account.Get(ctx, x.API.Policy(x.Policy))
	if cloudlet.StatusOf(err) == cloudlet.NotFound {
		return nil, nil, true, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	if p, err := cloudlet.ParsePolicy(x.API, text); err != nil || p.Deleted {
		return nil, nil, p.Deleted, err
	}
	if text, err = m.account.Get(ctx, x.API.Versions(x.Policy, false)); err != nil {
		return nil, nil, false, err
	}
	if versions, err = cloudlet.ParseList(text, cloudlet.ParseVersion); err != nil {
		return nil, nil, false, err
	}
	if text, err = m.account.Get(ctx, x.API.Activations(x.Policy)); err != nil {
		return nil, nil, false, err
	}
	rows, err = cloudlet.ParseList(text, cloudlet.ParseActivation)
	return versions, rows, false, err
}

// liveAfter are the versions of a policy that are live, or about to be, when the steps so far are done.
func (m *maker) liveAfter(x Made, rows []cloudlet.Activation) []int64 {
	var after []int64
	for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		in := cloudlet.InForceOn(rows, on)
		for _, s := range m.plan.Steps {
			if s.API == x.API && s.Policy == x.Policy && s.Network == on {
				in.Effective = 0
				if s.Action == Activate {
					in.Effective = s.Version
				}
			}
		}
		after = append(after, in.Effective, in.Pending)
	}
	return slices.DeleteFunc(after, func(n int64) bool { return n == 0 })
}

// removePolicy removes a policy that the run made, unless it is live or somebody else has added to it or edited it.
func (m *maker) removePolicy(ctx context.Context, x Made, versions []cloudlet.Version, after []int64) error {
	item := fmt.Sprintf("%s:%d %s", x.API, x.Policy, cloudlet.Printable(x.Name))
	if len(after) > 0 {
		m.stay(item, "version %d of it is live or about to be", after[0])
		return nil
	}
	others, err := others(ctx, m.account, m.hash, x.API, x.Policy, versions, x.Versions)
	switch {
	case err != nil:
		return err
	case len(others) > 0:
		m.stay(item, "it holds what this run did not write: %s", strings.Join(others, ", "))
	default:
		m.add(Step{Action: RemovePolicy, API: x.API, Policy: x.Policy, Name: x.Name, Versions: x.Versions})
	}
	return nil
}
