package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// Action is what a plan does with one policy.
type Action string

// The actions.
const (
	Create   Action = "create"   // make the policy and its versions
	Append   Action = "append"   // add versions to a policy that is present
	Same     Action = "same"     // what is wanted is there already
	Skip     Action = "skip"     // it is present and differs, and --on-existing says to leave it
	Blocked  Action = "blocked"  // it cannot be brought in; nothing is sent for it
	Conflict Action = "conflict" // it is present and is not ours, or differs: a human must decide
)

// Plan is what will be sent, and nothing else will.
type Plan struct {
	Policies []Planned `json:"policies"` // origins first
	Notes    []Note    `json:"notes,omitempty"`
	// Problems must be mended before anything is sent.
	Problems []Problem `json:"problems,omitempty"`
}

// Planned is what is done with one policy.
type Planned struct {
	Policy
	Action Action `json:"action"`
	Why    string `json:"why,omitempty"` // of Skip, Blocked and Conflict
	Kind   int64  `json:"kind,omitempty"`
	// ID is that of the present policy; 0 where it is to be made, and for origins.
	ID int64 `json:"id,omitempty"`
	// Newest is the highest version number that was present; Add is only made while it still is.
	Newest int64 `json:"newest,omitempty"`
	// Describe says that the description still has the marker of a run whose journal is gone, and is put back.
	Describe bool `json:"describe,omitempty"`
	// First says that the first of Add replaces the empty version 1 that v2 makes with a policy.
	First bool `json:"first,omitempty"`
	// Add are the versions to be made, in this order; Have are those that are there already.
	Add  []Version `json:"add,omitempty"`
	Have []Pair    `json:"have,omitempty"`
	// Over is what was effective, or about to be, on each network, which an activation may replace; 0 is none.
	Over map[cloudlet.Network][]int64 `json:"over,omitempty"`
	// Associate are, of a legacy policy that is present, the wanted properties that it is not active for yet.
	Associate map[cloudlet.Network][]string `json:"associate,omitempty"`
	// Activate are the networks of Live on which an activation is sent: on the others what is wanted is live already, or
	// about to be. That is looked at once more when it is its turn.
	Activate []cloudlet.Network `json:"activate,omitempty"`
	// Compared says how what is added differs from what is present; of chunks only.
	Compared []Comparison `json:"compared,omitempty"`
}

// Pair is a version's number in the source and in the account.
type Pair struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Comparison counts how the rules of a version that is added differ from those of a present one.
type Comparison struct {
	With    string `json:"with"` // newest, production
	Version int64  `json:"version"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Changed int    `json:"changed"`
	Moved   int    `json:"moved"`
}

// What to do with a policy that is present and differs.
const (
	OnExistingFail    = "fail"
	OnExistingAppend  = "append"  // of a snapshot: add what is missing
	OnExistingVersion = "version" // of chunks: add a version
	OnExistingSkip    = "skip"
)

// PlanOptions decide what is done with policies that are present.
type PlanOptions struct {
	OnExisting string
	// Newest compares with the newest version alone, as for chunks; else what is wanted must be a subsequence of what is
	// present.
	Newest bool
	// Adopt takes policies of others for ours. Ours are those with an id in OurIDs, those whose description says so, and
	// all where Owned is false.
	Adopt  bool
	Owned  bool
	OurIDs map[int64]bool
}

// Make compares what is wanted with what is present. It sends nothing, and the same input gives the same plan, with all
// its problems at once.
func Make(wanted []Policy, present Present, o PlanOptions) Plan {
	m := maker{present: present, o: o, seen: map[string]string{}, fate: map[string]Planned{}}
	plan := Plan{Notes: slices.Clone(present.Unread)}
	for _, w := range wanted {
		p := m.planned(w)
		p.Activate = slices.DeleteFunc(p.Activations(), p.liveAlready)
		m.check(&p)
		plan.Policies = append(plan.Policies, p)
		m.fate[w.Key()] = p
	}
	plan.leaveOrigins()
	plan.Notes = append(plan.Notes, associated(plan)...)
	plan.Notes = append(plan.Notes, unlisted(plan, present)...)
	plan.Notes = append(plan.Notes, unknownProperties(plan, present)...)
	for _, name := range present.Owned {
		plan.Notes = append(plan.Notes, Note{name, "belongs to this set, and no chunk is for it any more; it is left as it is"})
	}
	plan.Problems = m.problems
	return plan
}

// associated notes the properties that policies which are present will be active for, and are not yet.
func associated(plan Plan) []Note {
	var notes []Note
	for _, p := range plan.Policies {
		var names []string
		for _, on := range p.Activate {
			names = appendNew(names, p.Associate[on]...)
		}
		if len(names) > 0 {
			notes = append(notes, Note{p.String(), "its activation associates it with " + cloudlet.Printable(strings.Join(names, ", ")) + ", for good"})
		}
	}
	return notes
}

type maker struct {
	present  Present
	o        PlanOptions
	seen     map[string]string  // by key: the source
	fate     map[string]Planned // by key
	problems []Problem
}

func (m *maker) planned(w Policy) Planned {
	p := Planned{Policy: w, Action: Create}
	block := func(format string, args ...any) Planned {
		p.Action, p.Why = Blocked, fmt.Sprintf(format, args...)
		return p
	}
	if w.Refused != "" {
		return block("%s", w.Refused)
	}
	if !w.IsOrigin() {
		kind, ok := m.present.Kinds[w.API][w.Type]
		if !ok {
			return block("%s has no policies of type %s here", w.API, w.Type)
		}
		p.Kind = kind
	}
	held, there := m.present.Policies[w.Key()]
	if there {
		m.onto(&p, held)
	} else {
		p.Add, p.First = w.Versions, w.API == cloudlet.V2
	}
	if p.Action != Create && p.Action != Append { // nothing is sent that an origin could be missing for
		return p
	}
	if why := m.missingOrigin(w); why != "" {
		p.Add, p.First, p.Describe = nil, false, false
		return block("%s", why)
	}
	return p
}

// onto decides what is done with a policy that is present.
func (m *maker) onto(p *Planned, held Held) {
	w := p.Policy
	p.ID, p.Group, p.Newest, p.Over = held.ID, max(held.Group, 0), held.Newest, map[cloudlet.Network][]int64{}
	for on, in := range held.Live {
		p.Over[on] = []int64{in.Effective, in.Pending}
	}
	p.Associate = held.Unassociated
	switch {
	case !w.IsOrigin() && held.Type != w.Type:
		p.Action, p.Why = Conflict, fmt.Sprintf("there is a policy of that name, and its type is %s, not %s", held.Type, w.Type)
	case m.o.Owned && !m.ours(w, held):
		p.Action, p.Why = Conflict, fmt.Sprintf("policy %d has that name and is not of this set; --adopt takes it over", held.ID)
	case m.o.Newest:
		m.onNewest(p, held)
	default:
		m.onAll(p, held)
	}
	p.Describe = (p.Action == Append || p.Action == Same) && !p.IsOrigin() && leftMarked(held.Description, p.Description)
}

// ours reports whether a present policy is one that an earlier import made.
func (m *maker) ours(w Policy, held Held) bool {
	return m.o.Adopt || m.o.OurIDs[held.ID] || w.Owner != "" && ownerOf(held.Description) == w.Owner
}

// missingOrigin says which origin is in the way; empty where none is.
func (m *maker) missingOrigin(w Policy) string {
	if len(w.Origins) > 0 && m.present.Origins == nil {
		return "the account's origins cannot be listed, and it needs " + strings.Join(w.Origins, ", ")
	}
	for _, id := range w.Origins {
		if w.IsOrigin() {
			if m.present.Origins[id] == "" {
				return fmt.Sprintf("no property defines the origin %q of its data center; define the conditional origin in Property Manager first", id)
			}
			continue
		}
		origin, wanted := m.fate[Policy{Name: id}.Key()]
		switch {
		case wanted && origin.Action != Blocked && origin.Action != Conflict:
		case wanted:
			return fmt.Sprintf("load-balancing origin %q, which it forwards to, cannot be restored: %s", id, origin.Why)
		case m.present.Origins[id] == "":
			return fmt.Sprintf("no property defines the origin %q, which it forwards to; define the conditional origin in Property Manager first", id)
		}
	}
	return ""
}

// onNewest is for chunks: the newest version is what is wanted, or a version is added.
func (m *maker) onNewest(p *Planned, held Held) {
	p.First = p.API == cloudlet.V2 && held.blank()
	want := p.Versions[0]
	if n := len(held.Versions); n > 0 && held.Versions[n-1].Hash == want.Hash && !p.First {
		p.Action, p.Have = Same, []Pair{{want.Number, held.Versions[n-1].Number}}
		return
	}
	m.existing(p, p.Versions)
}

// onAll is for snapshots: the versions that are wanted are, in their order, among those that are present; what is missing
// from a place on is added behind them.
func (m *maker) onAll(p *Planned, held Held) {
	at := 0
	for _, h := range held.Versions {
		if at < len(p.Versions) && h.Hash == p.Versions[at].Hash {
			p.Have = append(p.Have, Pair{p.Versions[at].Number, h.Number})
			at++
		}
	}
	if at == len(p.Versions) {
		p.Action = Same
		return
	}
	p.First = p.API == cloudlet.V2 && at == 0 && held.blank()
	m.existing(p, p.Versions[at:])
}

// existing decides what is done with a policy that is present and lacks versions.
func (m *maker) existing(p *Planned, lacks []Version) {
	differs := fmt.Sprintf("it is present as %d and lacks %d versions", p.ID, len(lacks))
	switch {
	case p.IsOrigin():
		differs = fmt.Sprintf("it is present and lacks %d versions", len(lacks))
	case m.o.Newest:
		differs = fmt.Sprintf("it is present as %d, and its newest version %d differs", p.ID, p.Newest)
	case len(lacks) == 1:
		differs = fmt.Sprintf("it is present as %d and lacks 1 version", p.ID)
	}
	switch m.o.OnExisting {
	case OnExistingSkip:
		p.Action, p.Why = Skip, differs
	case OnExistingAppend, OnExistingVersion:
		p.Action, p.Add = Append, lacks
	default:
		p.Action, p.Why = Conflict, differs+"; --on-existing says what to do with it"
	}
}

// liveAlready reports whether nothing is sent to make the wanted version live on a network.
func (p Planned) liveAlready(on cloudlet.Network) bool {
	i := slices.IndexFunc(p.Have, func(pair Pair) bool { return pair.From == p.Live[on].Version })
	lacks := func(property string) bool { return slices.Contains(p.Associate[on], property) }
	if i < 0 || len(p.Over[on]) < 2 || slices.ContainsFunc(p.Live[on].Properties, lacks) {
		return false
	}
	effective, pending := p.Over[on][0], p.Over[on][1]
	return pending == p.Have[i].To || pending == 0 && effective == p.Have[i].To
}

// over are the versions that an activation may replace: what the plan saw, and nothing where this run makes the policy.
func (p Planned) over(on cloudlet.Network) []int64 {
	seen := p.Over[on]
	if len(seen) > 1 && seen[1] == 0 {
		seen = seen[:1]
	}
	if len(seen) == 0 {
		return []int64{0}
	}
	return slices.Clone(seen)
}

// Changes counts what the plan sends: policies and versions that are made. Activations are not in it.
func (p Plan) Changes() (policies, versions int) {
	for _, x := range p.Policies {
		switch x.Action { //nolint:exhaustive // nothing is sent for the others
		case Create:
			policies++
			versions += len(x.Add)
		case Append:
			versions += len(x.Add)
		}
	}
	return policies, versions
}

// Descriptions counts the policies whose description is put back.
func (p Plan) Descriptions() int {
	n := 0
	for _, x := range p.Policies {
		if x.Describe {
			n++
		}
	}
	return n
}

// Count is how many policies have the action.
func (p Plan) Count(a Action) int {
	n := 0
	for _, x := range p.Policies {
		if x.Action == a {
			n++
		}
	}
	return n
}

// Activations are the networks on which a version of the policy is to be active, staging before production.
func (p Planned) Activations() []cloudlet.Network {
	if p.Action != Create && p.Action != Append && p.Action != Same {
		return nil
	}
	return slices.SortedFunc(maps.Keys(p.Live), func(a, b cloudlet.Network) int {
		if a == cloudlet.Staging {
			return -1
		}
		if b == cloudlet.Staging {
			return 1
		}
		return 0
	})
}
