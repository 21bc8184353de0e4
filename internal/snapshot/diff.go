package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"cloudletmig/internal/cloudlet"
)

// Change is how something differs between two snapshots A and B.
type Change string

// The changes, from A to B.
const (
	Added   Change = "added"   // only B has it
	Removed Change = "removed" // only A has it
	Changed Change = "changed"
	Moved   Change = "moved" // a rule that is equal and stands elsewhere among the others
)

// PolicyDiff is how one policy, or one load-balancing origin, differs. Of one that only a side has, Versions are those
// that are there.
type PolicyDiff struct {
	Kind     Change        `json:"kind"`
	API      cloudlet.API  `json:"api,omitempty"` // empty: an origin
	Type     string        `json:"type,omitempty"`
	Name     string        `json:"name"` // of an origin its id; A's name where both have one
	A        int64         `json:"a_id,omitempty"`
	B        int64         `json:"b_id,omitempty"`
	Members  []MemberDiff  `json:"members,omitempty"`
	Networks []NetworkDiff `json:"networks,omitempty"`
	Versions []VersionDiff `json:"versions,omitempty"`
}

// NetworkDiff is how what is live on one network, or about to be, differs. Version 0 is none.
type NetworkDiff struct {
	Network cloudlet.Network `json:"network"`
	A       LiveVersions     `json:"a"`
	B       LiveVersions     `json:"b"`
}

// LiveVersions are the versions that count on one network.
type LiveVersions struct {
	Effective int64 `json:"effective"`
	Pending   int64 `json:"pending"`
}

// VersionDiff is how one version differs. Patch leads from A's document to one whose matchRules are equal to B's; it is
// made on demand.
type VersionDiff struct {
	Kind    Change       `json:"kind"`
	Version int64        `json:"version"`
	Members []MemberDiff `json:"members,omitempty"`
	Rules   []RuleDiff   `json:"rules,omitempty"`
	Patch   []Operation  `json:"patch,omitempty"`
}

// MemberDiff is how a member of a document or of a rule differs: both values as they stand there, nothing where it is
// absent, and in words the place where they part first, A's value against B's.
type MemberDiff struct {
	Name  string          `json:"name"`
	A     json.RawMessage `json:"a,omitempty"`
	B     json.RawMessage `json:"b,omitempty"`
	Where string          `json:"where"`
}

// Tally counts changes of one kind of thing.
type Tally struct {
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
	Moved   int `json:"moved,omitempty"`
	Same    int `json:"same"`
}

// Differences are all that are not the same.
func (t Tally) Differences() int { return t.Added + t.Removed + t.Changed + t.Moved }

func (t *Tally) add(kind Change) {
	switch kind {
	case Added:
		t.Added++
	case Removed:
		t.Removed++
	case Changed:
		t.Changed++
	case Moved:
		t.Moved++
	default:
		t.Same++
	}
}

// DiffCounts are the sums of a comparison. Rules are those of versions that both sides have and that differ. Unknown is
// how many policies, origins and versions one side has and the other, being incomplete, may have as well.
type DiffCounts struct {
	Policies       Tally `json:"policies"`
	Versions       Tally `json:"versions"`
	Rules          Tally `json:"rules"`
	Networks       int   `json:"networks"`
	Origins        Tally `json:"origins"`
	OriginVersions Tally `json:"origin_versions"`
	Unknown        int   `json:"unknown"`
}

// DiffOptions say what is compared, and how.
type DiffOptions struct {
	// ByName: policies are the same when API, type and name are, as after a restore into another account; else when API
	// and id are. Of several with one name the deleted come last and then the lower id first, and they are paired in order.
	ByName  bool
	Want    func(cloudlet.Policy) bool // nil: all; a pair is compared when either of the two is wanted
	Origins bool                       // compare load-balancing origins too, by their id
	Patch   bool
}

// Diff compares two snapshots: policies, what of them is live, versions by their number, and match rules (DiffRules).
// It compares what people set: of the members of a document all but those in which the API notes who did what when,
// ids, links and locks, and the group only within one account. Lists of groups and of properties are not compared, nor
// are activation histories as such. Files with one hash are the same and are not read, so that damage to them is not
// found; Verify finds it.
type Diff struct {
	a, b    *Snapshot
	options DiffOptions
	groups  bool // group ids mean the same on both sides
	pairs   []diffPair
	counts  DiffCounts
}

// diffPair is a policy or an origin of either side, or of both.
type diffPair struct{ a, b *diffItem }

func (p diffPair) first() *diffItem { return cmp.Or(p.a, p.b) }

// diffItem is where a snapshot has a policy or an origin.
type diffItem struct {
	policy      cloudlet.Policy // without Raw; of an origin the name alone, its id
	document    string
	activations string
	versions    map[int64]string
}

// SameAccount reports whether two snapshots are of one account, as far as host and account switch key tell.
func SameAccount(a, b *Snapshot) bool {
	return a.Manifest.Host == b.Manifest.Host && a.Manifest.Account == b.Manifest.Account
}

// NewDiff finds out what is to be compared with what. It reads every policy's own document.
func NewDiff(a, b *Snapshot, o DiffOptions) (*Diff, error) {
	d := &Diff{a: a, b: b, options: o, groups: SameAccount(a, b)}
	left, err := a.diffItems(o.Origins)
	if err != nil {
		return nil, err
	}
	right, err := b.diffItems(o.Origins)
	if err != nil {
		return nil, err
	}
	others := d.keyed(right)
	for key, item := range d.keyed(left) {
		d.want(diffPair{item, others[key]})
		delete(others, key)
	}
	for _, item := range others {
		d.want(diffPair{nil, item})
	}
	slices.SortFunc(d.pairs, func(x, y diffPair) int { return d.order(x.first(), y.first()) })
	return d, nil
}

func (d *Diff) want(p diffPair) {
	wanted := d.options.Want == nil || p.first().policy.API == ""
	for _, item := range []*diffItem{p.a, p.b} {
		if !wanted && item != nil {
			wanted = d.options.Want(item.policy)
		}
	}
	if wanted {
		d.pairs = append(d.pairs, p)
	}
}

// order is that of the output: legacy policies, shared ones, origins; by id or by name, as they are matched.
func (d *Diff) order(x, y *diffItem) int {
	p, q := x.policy, y.policy
	apis := cmp.Compare(cmp.Or(p.API, "~"), cmp.Or(q.API, "~"))
	if d.options.ByName || p.API == "" {
		return cmp.Or(apis, cmp.Compare(p.Name, q.Name), cmp.Compare(p.Type, q.Type), cmp.Compare(p.ID, q.ID))
	}
	return cmp.Or(apis, cmp.Compare(p.ID, q.ID))
}

// keyed gives each item the key by which it is matched.
func (d *Diff) keyed(items []*diffItem) map[string]*diffItem {
	slices.SortFunc(items, func(x, y *diffItem) int {
		return cmp.Or(compareBool(x.policy.Deleted, y.policy.Deleted), cmp.Compare(x.policy.ID, y.policy.ID))
	})
	keyed := make(map[string]*diffItem, len(items))
	seen := map[string]int{}
	for _, item := range items {
		p := item.policy
		key := fmt.Sprintf("%s %d", p.API, p.ID)
		if p.API == "" || d.options.ByName {
			key = fmt.Sprintf("%s %s %q", p.API, p.Type, p.Name)
			seen[key]++
			key += strconv.Itoa(seen[key])
		}
		keyed[key] = item
	}
	return keyed
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Run compares, and gives emit each policy and each origin that differs: legacy policies, shared ones, origins, each in
// order of their ids or, where they are matched by name, of their names. It holds the documents of one version and the
// differences of one policy at a time. An error of emit ends it.
//
// Where a side is incomplete, what is not there is not called removed or added; it is counted as unknown.
func (d *Diff) Run(ctx context.Context, emit func(PolicyDiff) error) (DiffCounts, error) {
	d.counts = DiffCounts{}
	for _, p := range d.pairs {
		if err := ctx.Err(); err != nil {
			return d.counts, err
		}
		diff, err := d.pair(ctx, p)
		if err != nil {
			return d.counts, err
		}
		if diff.Kind == "" {
			continue
		}
		if err := emit(diff); err != nil {
			return d.counts, err
		}
	}
	return d.counts, nil
}
