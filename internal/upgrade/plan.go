package upgrade

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
)

// Action is what a plan does with one legacy policy.
type Action string

// The actions.
const (
	Clone    Action = "clone"    // the API clones it
	Copy     Action = "copy"     // a shared policy is made and versions are added
	Sync     Action = "sync"     // the shared policy gets what it lacks
	Done     Action = "done"     // the shared policy has all of it
	Blocked  Action = "blocked"  // it cannot be upgraded as things are
	Conflict Action = "conflict" // a human must decide
	Left     Action = "left"     // --sync only follows what was cloned, and this was not
)

// How shared policies are made.
const (
	MethodAuto  = "auto" // clone, and copy where the API refuses to clone
	MethodClone = "clone"
	MethodCopy  = "copy"
)

// Options decide a plan.
type Options struct {
	Name     string // template of new names: {name}, {id}
	Group    func(old int64) int64
	Method   string
	Activate []cloudlet.Network // where what is live goes live again
	Force    bool               // --force-group: a group that does not fit all properties is taken all the same
	SyncOnly bool
	// Edits are what a plan file says, by legacy policy; nil: there is none.
	Edits map[int64]Edit
}

// Edit is what a person may change in a plan.
type Edit struct {
	NewName  string
	NewGroup int64
	Method   string
	Activate []cloudlet.Network
	Carry    []int64 // as it was when the plan was written; nil: not told
}

// Plan is what will be sent, and nothing else will.
type Plan struct {
	Format   int             `json:"format"`
	Account  string          `json:"account"` // fingerprint of the account that it was made for
	Policies []Planned       `json:"policies"`
	Notes    []importer.Note `json:"notes,omitempty"`
}

// Planned is what becomes of one legacy policy.
type Planned struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Type     string `json:"type"`
	Group    int64  `json:"group"`
	Action   Action `json:"action"`
	Why      string `json:"why,omitempty"` // of blocked and conflict, and notes on the others
	NewName  string `json:"new_name"`
	NewGroup int64  `json:"new_group"`
	Method   string `json:"method"`
	// Description is that of the legacy policy, which the shared one gets.
	Description string `json:"description"`
	// Carry are the versions of the legacy policy that the shared one is to have; of these, Additional are told to clone,
	// which takes the others by itself. Add are those that Sync adds.
	Carry      []Version `json:"carry"`
	Additional []int64   `json:"additional,omitempty"`
	Add        []Version `json:"add,omitempty"`
	// Activate are the legacy versions that are live, and are to be live again, by network.
	Activate map[cloudlet.Network]int64 `json:"activate,omitempty"`
	// Shared is the shared policy of the new name, where there is one; Have are the versions that it has, Newest is its
	// highest number, and Over is what is live of it.
	Shared int64                      `json:"shared,omitempty"`
	State  State                      `json:"state"`
	Have   []Pair                     `json:"have,omitempty"`
	Newest int64                      `json:"newest,omitempty"`
	Over   map[cloudlet.Network]int64 `json:"over,omitempty"`
	Uses   []Use                      `json:"properties,omitempty"`
}

// String is how people see the policy.
func (p Planned) String() string { return fmt.Sprintf("v2:%d %s", p.ID, cloudlet.Printable(p.Name)) }

// Names gives the new name of every legacy policy of the estate by the template: unique among the shared policies and each
// other, with a number behind it where it would not be, and cut to fit. A name that a shared policy has already is taken
// for that of an earlier upgrade, and stays. What a plan file says stands as it is.
func Names(e Estate, o Options) map[int64]string {
	taken := map[string]bool{}
	for _, edit := range o.Edits {
		taken[edit.NewName] = true
	}
	names := map[int64]string{}
	for _, l := range e.Legacy {
		if edit, ok := o.Edits[l.ID]; ok {
			names[l.ID] = edit.NewName
			continue
		}
		base := strings.NewReplacer("{name}", l.Name, "{id}", strconv.FormatInt(l.ID, 10)).Replace(o.Name)
		name := base
		if len(name) > maxName {
			name = base[:maxName]
		}
		for n := 2; taken[name] && n < 1000; n++ {
			suffix := "_" + strconv.Itoa(n)
			name = base[:min(len(base), maxName-len(suffix))] + suffix
		}
		taken[name] = true
		names[l.ID] = name
	}
	return names
}

const (
	maxName        = 64
	maxDescription = 255
	maxRules       = 5000
	maxBytes       = 5242880
)

// Make decides what becomes of every legacy policy of the estate, which must be complete for these names. It sends
// nothing, and the same input gives the same plan.
func Make(e Estate, names map[int64]string, o Options) Plan {
	plan := Plan{Format: 1, Policies: []Planned{}, Notes: slices.Clone(e.Unread)}
	uses := map[string]int64{}
	for _, l := range e.Legacy {
		p := planOne(e, l, names[l.ID], o)
		if other, twice := uses[p.NewName]; twice && p.Action != Blocked {
			p.Action, p.Why = Blocked, fmt.Sprintf("policy %d is to become %s too", other, p.NewName)
		} else if p.Action != Blocked {
			uses[p.NewName] = l.ID
		}
		plan.Policies = append(plan.Policies, p)
	}
	return plan
}

func planOne(e Estate, l Legacy, name string, o Options) Planned {
	p := Planned{
		ID: l.ID, Name: l.Name, Type: l.Type, Group: max(l.GroupID, 0), NewName: name, Method: o.Method, Description: l.Description,
		Carry: carriedOf(l), Uses: l.Properties, Activate: map[cloudlet.Network]int64{}, Over: map[cloudlet.Network]int64{},
	}
	p.NewGroup = o.Group(p.Group)
	activate := o.Activate
	if edit, ok := o.Edits[l.ID]; ok {
		p.NewGroup, p.Method, activate = edit.NewGroup, edit.Method, edit.Activate
		if edit.Carry != nil && !slices.Equal(edit.Carry, l.Carried) {
			p.Action, p.Why = Conflict, fmt.Sprintf("it has changed since the plan was written: then versions %v were to be carried, now it is %v; write the plan anew", edit.Carry, l.Carried)
		}
	}
	for _, on := range activate { // pending activations are an obstacle, so that this is what is and stays live
		if n := l.Live[on].Effective; n != 0 {
			p.Activate[on] = n
		}
	}
	p.Additional = additional(l)
	if p.Action == Conflict {
		return p
	}
	if _, ok := e.Kinds[l.Type]; !ok {
		p.Action, p.State, p.Why = Blocked, Absent, fmt.Sprintf("v3 has no policies of type %s", l.Type)
		return p
	}
	var pair *Shared
	if s, ok := e.Pairs[name]; ok {
		pair = &s
	}
	p.follow(l, pair, o.SyncOnly)
	if p.Action == Clone || p.Action == Copy || p.Action == Sync {
		if why := obstacle(e, l, p, o); why != "" {
			p.Action, p.Why = Blocked, why
		}
	}
	return p
}

// follow decides by how the shared policy stands to the legacy one.
func (p *Planned) follow(l Legacy, s *Shared, syncOnly bool) {
	st := stand(l, s)
	p.State, p.Have = st.State, st.Pairs
	if s != nil {
		p.Shared = s.ID
		if n := len(s.Versions); n > 0 {
			p.Newest = s.Versions[n-1].Number
		}
		for _, on := range networks() {
			p.Over[on] = s.Live[on].Effective
		}
	}
	switch st.State {
	case Absent:
		switch {
		case syncOnly:
			p.Action, p.Why = Left, "it was not upgraded yet"
		case p.Method == MethodCopy:
			p.Action, p.Add = Copy, p.Carry
		default:
			p.Action = Clone
		}
	case Same:
		p.Action = Done
	case Ahead: // whoever goes on there is not rolled back
		p.Action, p.Why, p.Activate = Done, st.Why, nil
	case Behind:
		p.Action, p.Add, p.Why = Sync, st.Missing, st.Why
	case Diverged, Stranger:
		p.Action, p.Why = Conflict, st.Why
	}
}

// additional are the carried versions that clone is told of: all but what it takes by itself for certain, which are the
// effective ones and the one modified last (Cloudlets API v3, Clone a policy). Whether it takes pending ones is not sure.
func additional(l Legacy) []int64 {
	self := []int64{l.Live[cloudlet.Staging].Effective, l.Live[cloudlet.Production].Effective}
	newest := Version{}
	unsure := false
	for _, v := range l.Versions {
		switch {
		case v.Modified.After(newest.Modified):
			newest, unsure = v, false
		case v.Modified.Equal(newest.Modified):
			newest, unsure = v, true
		}
	}
	if !unsure {
		self = append(self, newest.Number)
	}
	var told []int64
	for _, n := range l.Carried {
		if !slices.Contains(self, n) {
			told = append(told, n)
		}
	}
	return told
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

// Activations is how many activations the plan asks for; what is live already is among them.
func (p Plan) Activations() int {
	n := 0
	for _, x := range p.Policies {
		switch x.Action { //nolint:exhaustive // nothing is activated for the others
		case Clone, Copy, Sync, Done:
			n += len(x.Activate)
		}
	}
	return n
}

// Status is how a legacy policy and its shared one stand to each other.
type Status struct {
	State   State  `json:"state"`
	ID      int64  `json:"id"`
	Legacy  string `json:"legacy"`
	NewName string `json:"new_name"`
	Shared  int64  `json:"shared,omitempty"`
	Pairs   []Pair `json:"versions,omitempty"`
	// Missing are the versions that the shared policy lacks.
	Missing []Version `json:"missing,omitempty"`
	Why     string    `json:"why,omitempty"`
}

// Statuses are those of a plan's policies. One that is blocked and was not upgraded is absent, with the reason.
func Statuses(p Plan) []Status {
	statuses := make([]Status, 0, len(p.Policies))
	for _, x := range p.Policies {
		s := Status{State: x.State, ID: x.ID, Legacy: x.String(), NewName: x.NewName, Shared: x.Shared, Pairs: x.Have, Why: x.Why}
		if s.State == "" {
			s.State = Absent
		}
		if x.Action == Sync {
			s.Missing = x.Add
		}
		statuses = append(statuses, s)
	}
	return statuses
}
