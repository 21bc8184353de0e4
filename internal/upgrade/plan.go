package upgrade

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
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
	// Follow takes the names and groups of Edits, and lets the legacy policies change since: for --sync and status.
	Follow bool
	// Edits are what a plan file says, by legacy policy; nil: there is none.
	Edits map[int64]Edit
}

// Edit is what a person may change in a plan.
type Edit struct {
	NewName  string
	NewGroup int64
	Method   string
	Activate map[cloudlet.Network]int64 // the legacy versions that are live, as the plan was written; 0: whichever is live
	Carry    []Version                  // likewise; a hash only where the file has it
	Content  string                     // a hash over those of what is carried; empty where the file has none
	Action   Action                     // what a person saw
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
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Group  int64  `json:"group"`
	Action Action `json:"action"`
	Why    string `json:"why,omitempty"` // of blocked and conflict, and notes on the others
	// Denied says of one that is unknown that these credentials may not read it.
	Denied bool `json:"denied,omitempty"`
	// Passing says of one that is blocked that what is in the way ends by itself.
	Passing  bool   `json:"passing,omitempty"`
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
	// Live are the legacy versions that are live, by network. Of these, Activate are to go live again: those of which the
	// shared policy has no equal live yet.
	Live     map[cloudlet.Network]int64 `json:"live,omitempty"`
	Activate map[cloudlet.Network]int64 `json:"activate,omitempty"`
	// Staged says that both networks are asked for: on production a version goes live only while it is on staging.
	Staged bool `json:"staged,omitempty"`
	// Lags are the networks on which the shared policy stays behind what is live, since nothing is to be activated there.
	Lags []cloudlet.Network `json:"lags,omitempty"`
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

// Names gives the new name of every legacy policy by the template, whether it is meant or not, so that a name does not
// depend on the selection. A name that is too long is cut; one that another policy gets too, or that a shared policy of
// another type has, is told apart by the legacy policy's id, which is behind it ever after. A name that a shared policy of
// this type has already is taken for that of an earlier upgrade, and stays. What a plan file says stands as it is.
func Names(e Estate, o Options) map[int64]string {
	taken := map[string]bool{}
	for _, edit := range o.Edits {
		taken[edit.NewName] = true
	}
	names := map[int64]string{}
	for _, p := range e.All {
		if edit, ok := o.Edits[p.ID]; ok {
			names[p.ID] = edit.NewName
			continue
		}
		id := strconv.FormatInt(p.ID, 10)
		base := strings.NewReplacer("{name}", p.Name, "{id}", id).Replace(o.Name)
		name, apart := fitted(base, ""), fitted(base, "_"+id)
		other, there := e.Names[name]
		if again, ours := e.Names[apart]; taken[name] || there && other.Type != p.Type || ours && again.Type == p.Type {
			name = apart
		}
		taken[name] = true
		names[p.ID] = name
	}
	return names
}

// fitted is a name with a suffix, cut to the length that the API takes.
func fitted(base, suffix string) string {
	return base[:min(len(base), cloudlet.MaxName-len(suffix))] + suffix
}

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
		Carry: carriedOf(l), Uses: l.Properties, Live: map[cloudlet.Network]int64{}, Activate: map[cloudlet.Network]int64{}, Over: map[cloudlet.Network]int64{},
	}
	for _, on := range networks() {
		if n := l.Live[on].Effective; n != 0 {
			p.Live[on] = n
		}
	}
	p.NewGroup = o.Group(p.Group)
	edit, edited := o.Edits[l.ID]
	if edited {
		p.NewGroup, p.Method = edit.NewGroup, edit.Method
	}
	p.ask(l, o.activates(edit, edited))
	p.Additional = additional(l)
	if p.settled(e, l, o) {
		return p
	}
	var pair *Shared
	if s, ok := e.Pairs[name]; ok {
		pair = &s
	}
	p.follow(l, pair, o.SyncOnly)
	p.remark(o)
	if p.Action == Clone || p.Action == Copy || p.Action == Sync {
		if why := obstacle(e, l, p, o); why != "" {
			p.Action, p.Why = Blocked, and(why, p.Why)
		} else if why := pending(l); why != "" {
			p.Action, p.Why, p.Passing = Blocked, and(why, p.Why), true
		}
	}
	return p
}

// ask takes in on which networks what is live is to go live again. Pending activations are an obstacle, so that it stays so.
func (p *Planned) ask(l Legacy, networks []cloudlet.Network) {
	for _, on := range networks {
		if n := l.Live[on].Effective; n != 0 {
			p.Activate[on] = n
		}
	}
	p.Staged = p.Activate[cloudlet.Staging] != 0 && p.Activate[cloudlet.Production] != 0
}

// settled decides where the shared policy does not matter, and reports whether it did.
func (p *Planned) settled(e Estate, l Legacy, o Options) bool {
	_, known := e.Kinds[l.Type]
	edit, edited := o.Edits[l.ID]
	p.State = Absent
	switch {
	case l.Unread != "":
		p.Action, p.State, p.Why, p.Denied = Blocked, Unknown, l.Unread, l.Denied
	case edited && edit.Action == Left && !o.Follow:
		p.Action, p.Why = Left, "the plan leaves it out"
	case !known && o.SyncOnly:
		p.Action, p.Why = Left, fmt.Sprintf("v3 has no policies of type %s", l.Type)
	case !known:
		p.Action, p.Why = Blocked, fmt.Sprintf("v3 has no policies of type %s", l.Type)
	case edited && !o.Follow:
		why := changedSince(l, edit)
		if why == "" {
			return false
		}
		p.Action, p.Why = Conflict, "it has changed since the plan was written: "+why+"; write the plan anew"
	default:
		return false
	}
	return true
}

// remark says what a person may not expect of a policy that has a shared one.
func (p *Planned) remark(o Options) {
	if len(p.Lags) > 0 && (o.SyncOnly || !o.Follow) { // status, which activates nothing, need not say so
		p.Why = and(p.Why, "activations lag: give --activate same")
	}
	if edit, edited := o.Edits[p.ID]; edited && p.Shared != 0 && p.NewGroup != edit.NewGroup {
		p.Why = and(p.Why, fmt.Sprintf("its shared policy is in group %d and stays there, not in group %d", p.NewGroup, edit.NewGroup))
	}
}

// activates are the networks on which what is live goes live again. A plan file decides that, by itself or, where Follow
// takes its names, together with Activate: a network that a person left out of a line stays out. A line of what was done,
// left or in conflict says nothing of it, nor does a file that activates nothing at all.
func (o Options) activates(edit Edit, edited bool) []cloudlet.Network {
	switch {
	case !edited:
		return o.Activate
	case !o.Follow:
		return slices.Collect(maps.Keys(edit.Activate))
	case edit.Action == Done || edit.Action == Left || edit.Action == Conflict || !o.fileActivates():
		return o.Activate
	}
	return slices.DeleteFunc(slices.Clone(o.Activate), func(on cloudlet.Network) bool {
		_, wanted := edit.Activate[on]
		return !wanted
	})
}

func (o Options) fileActivates() bool {
	for _, edit := range o.Edits {
		if len(edit.Activate) > 0 {
			return true
		}
	}
	return false
}

// content is a short hash over what is carried; empty where nothing was read. It is no number to a spreadsheet.
func content(carry []Version) string {
	if len(carry) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, v := range carry {
		if v.Hash == "" {
			return ""
		}
		fmt.Fprintf(sum, "%d:%s\n", v.Number, v.Hash)
	}
	return "h" + hex.EncodeToString(sum.Sum(nil)[:6])
}

// changedSince says what a plan file shows and is not so any more; empty where all is.
func changedSince(l Legacy, edit Edit) string {
	planned := make([]int64, 0, len(edit.Carry))
	for _, v := range edit.Carry {
		planned = append(planned, v.Number)
		if now, _ := version(l.Versions, v.Number); v.Hash != "" && now.Hash != "" && v.Hash != now.Hash {
			return fmt.Sprintf("version %d was edited on %s by %s", v.Number, now.Modified.Format(minutes), cloudlet.Printable(now.By))
		}
	}
	slices.Sort(planned)
	if !slices.Equal(planned, l.Carried) {
		return fmt.Sprintf("it carries versions %s, and now %s would have to be carried", numbers(planned), numbers(l.Carried))
	}
	if now := content(carriedOf(l)); edit.Content != "" && now != "" && edit.Content != now {
		last := slices.MaxFunc(carriedOf(l), func(a, b Version) int { return a.Modified.Compare(b.Modified) })
		return fmt.Sprintf("what it carries was edited, last version %d on %s by %s", last.Number, last.Modified.Format(minutes), cloudlet.Printable(last.By))
	}
	for _, on := range networks() {
		if n, now := edit.Activate[on], l.Live[on].Effective; n != 0 && n != now {
			return fmt.Sprintf("it activates version %d on %s, where version %d is live now", n, on, now)
		}
	}
	return ""
}

func numbers(all []int64) string {
	parts := make([]string, 0, len(all))
	for _, n := range all {
		parts = append(parts, strconv.FormatInt(n, 10))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
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
			partner := partnerOf(st.Pairs, p.Activate[on])
			_, moved := st.Moved[on]
			p.Staged = p.Staged && !moved // somebody went on there
			if moved || partner != 0 && partner == p.Over[on] {
				delete(p.Activate, on) // nobody is rolled back, and what is live already need not go live
			}
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
		p.Action, p.NewGroup = Done, s.GroupID
	case Ahead: // whoever goes on there is not rolled back
		p.Action, p.NewGroup, p.Why, p.Activate = Done, s.GroupID, st.Why+"; nothing is activated", nil
	case Behind: // in the group that it was given
		p.Action, p.NewGroup, p.Add, p.Why = Sync, s.GroupID, st.Missing, st.Why
		for _, on := range networks() {
			if _, stale := st.Stale[on]; stale && p.Activate[on] == 0 {
				p.Lags = append(p.Lags, on)
			}
		}
	case Diverged, Stranger, Unknown:
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

// Activations is how many activations the plan asks for.
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

// Statuses are those of a plan's policies. One that is blocked and was not upgraded is absent, with the reason; one that
// could not be read is unknown.
func Statuses(p Plan) []Status {
	statuses := make([]Status, 0, len(p.Policies))
	for _, x := range p.Policies {
		s := Status{State: x.State, ID: x.ID, Legacy: x.String(), NewName: x.NewName, Shared: x.Shared, Pairs: x.Have, Why: x.Why}
		if s.State == "" {
			s.State = Absent
		}
		if x.State == Behind {
			s.Missing = x.Add
		}
		statuses = append(statuses, s)
	}
	return statuses
}
