package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	others := map[string]*diffItem{}
	for key, item := range d.keyed(right) {
		others[key] = item
	}
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

// diffItems finds the policies of a snapshot and, on demand, its origins.
func (s *Snapshot) diffItems(origins bool) ([]*diffItem, error) {
	found := map[string]*diffItem{}
	at := func(folder string) *diffItem {
		if found[folder] == nil {
			found[folder] = &diffItem{versions: map[int64]string{}}
		}
		return found[folder]
	}
	for path, f := range s.Manifest.Files {
		parts := strings.SplitN(path, "/", 3)
		if len(parts) < 3 || parts[0] != legacy && parts[0] != shared && (parts[0] != lbal || !origins) {
			continue
		}
		folder := parts[0] + "/" + parts[1]
		switch rest := parts[2]; {
		case rest == PolicyFile || rest == OriginFile:
			at(folder).document = path
		case rest == ActivationsFile:
			at(folder).activations = path
		case f.Listed != "":
			number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(rest, "versions/"), ".json"), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %s is no version's file", ErrDamaged, path)
			}
			at(folder).versions[number] = path
		}
	}
	items := make([]*diffItem, 0, len(found))
	for _, folder := range slices.Sorted(maps.Keys(found)) {
		item := found[folder]
		if err := s.describe(item, folder); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// describe reads what a policy or an origin is called.
func (s *Snapshot) describe(item *diffItem, folder string) error {
	if item.document == "" {
		return fmt.Errorf("%w: %s has no document of its own", ErrDamaged, folder)
	}
	doc, err := s.readJSON(item.document)
	if err != nil {
		return err
	}
	if strings.HasPrefix(folder, lbal+"/") {
		for name, value := range cloudlet.Members(doc) {
			if id, ok := cloudlet.Text(value); ok && name == "originId" {
				item.policy.Name = id
			}
		}
		return nil
	}
	api := cloudlet.V2
	if strings.HasPrefix(folder, shared+"/") {
		api = cloudlet.V3
	}
	if item.policy, err = cloudlet.ParsePolicy(api, doc); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, item.document, err)
	}
	item.policy.Raw = nil
	return nil
}

// readJSON reads a document whose soundness others rely on.
func (s *Snapshot) readJSON(path string) ([]byte, error) {
	doc, err := s.Read(path)
	if err == nil && !cloudlet.ValidJSON(doc) {
		err = fmt.Errorf("%w: %s is no valid JSON", ErrDamaged, path)
	}
	return doc, err
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

// tallies are where a policy's, or an origin's, and its versions' changes are counted.
func (d *Diff) tallies(item *diffItem) (policies, versions *Tally) {
	if item.policy.API == "" {
		return &d.counts.Origins, &d.counts.OriginVersions
	}
	return &d.counts.Policies, &d.counts.Versions
}

// pair compares one pair. Its Kind is empty where there is no difference.
func (d *Diff) pair(ctx context.Context, p diffPair) (PolicyDiff, error) {
	policy := p.first().policy
	diff := PolicyDiff{API: policy.API, Type: policy.Type, Name: policy.Name}
	policies, versions := d.tallies(p.first())
	if p.a != nil {
		diff.A = p.a.policy.ID
	}
	if p.b != nil {
		diff.B = p.b.policy.ID
	}
	if kind, one := d.onlyIn(p.a == nil, p.b == nil); one {
		if kind == "" {
			return diff, nil
		}
		diff.Kind = kind
		policies.add(kind)
		for _, n := range slices.Sorted(maps.Keys(p.first().versions)) {
			versions.add(kind)
			diff.Versions = append(diff.Versions, VersionDiff{Kind: kind, Version: n})
		}
		return diff, nil
	}
	err := errors.Join(d.policyMembers(p, &diff), d.networks(p, &diff))
	if err == nil {
		err = d.versions(ctx, p, &diff)
	}
	if len(diff.Members)+len(diff.Networks)+len(diff.Versions) > 0 {
		diff.Kind = Changed
	}
	policies.add(diff.Kind)
	return diff, err
}

// onlyIn says what it means that something is not in A, or not in B: nothing where that side is incomplete. It is false
// where both have it.
func (d *Diff) onlyIn(notA, notB bool) (Change, bool) {
	kind, lacks := Added, d.a
	switch {
	case notB:
		kind, lacks = Removed, d.b
	case !notA:
		return "", false
	}
	if !lacks.Manifest.Complete {
		d.counts.Unknown++
		return "", true
	}
	return kind, true
}

// same reports whether both files are the same, by their hashes.
func (d *Diff) same(a, b string) bool {
	x, y := d.a.Manifest.Files[a], d.b.Manifest.Files[b]
	return x.SHA256 == y.SHA256 && x.Size == y.Size
}

// read gives a file of either side.
func (d *Diff) read(a, b string) (left, right []byte, err error) {
	if left, err = d.a.readJSON(a); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", d.a.Path(), err)
	}
	if right, err = d.b.readJSON(b); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", d.b.Path(), err)
	}
	return left, right, nil
}

func (d *Diff) policyMembers(p diffPair, diff *PolicyDiff) error {
	if d.same(p.a.document, p.b.document) {
		return nil
	}
	left, right, err := d.read(p.a.document, p.b.document)
	if err == nil {
		diff.Members = d.members(left, right)
	}
	return err
}

// networks compares what is live. Where a history could not be exported nothing is said of it.
func (d *Diff) networks(p diffPair, diff *PolicyDiff) error {
	a, b := p.a.activations, p.b.activations
	if a == "" || b == "" || d.same(a, b) {
		return nil
	}
	left, right, err := d.read(a, b)
	if err != nil {
		return err
	}
	before, err := cloudlet.ParseList(left, cloudlet.ParseActivation)
	if err != nil {
		return fmt.Errorf("%s: %w", a, err)
	}
	after, err := cloudlet.ParseList(right, cloudlet.ParseActivation)
	if err != nil {
		return fmt.Errorf("%s: %w", b, err)
	}
	for _, network := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		n := NetworkDiff{Network: network, A: liveOn(before, network), B: liveOn(after, network)}
		if n.A != n.B {
			diff.Networks = append(diff.Networks, n)
			d.counts.Networks++
		}
	}
	return nil
}

func liveOn(rows []cloudlet.Activation, network cloudlet.Network) LiveVersions {
	live := cloudlet.InForceOn(rows, network)
	return LiveVersions{Effective: live.Effective, Pending: live.Pending}
}

func (d *Diff) versions(ctx context.Context, p diffPair, diff *PolicyDiff) error {
	_, tally := d.tallies(p.first())
	numbers := maps.Clone(p.a.versions)
	maps.Copy(numbers, p.b.versions)
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		a, b := p.a.versions[n], p.b.versions[n]
		v := VersionDiff{Version: n}
		kind, one := d.onlyIn(a == "", b == "")
		v.Kind = kind
		if one && kind == "" {
			continue
		}
		if !one && !d.same(a, b) {
			if err := d.version(a, b, &v); err != nil {
				return err
			}
		}
		tally.add(v.Kind)
		if v.Kind != "" {
			diff.Versions = append(diff.Versions, v)
		}
	}
	return nil
}

// version compares the documents of one version. Its Kind stays empty where there is no difference.
func (d *Diff) version(a, b string, v *VersionDiff) error {
	left, right, err := d.read(a, b)
	if err != nil {
		return err
	}
	v.Members = d.members(left, right)
	rules, others := matchRulesOf(left), matchRulesOf(right)
	if !isRuleList(rules) || !isRuleList(others) {
		if m, differs := diffMember("matchRules", valuesOf(rules), valuesOf(others), `{"x":`, "}", "/0/x/"); differs {
			v.Members = append(v.Members, m)
		}
	} else if v.Rules, v.Patch, err = DiffRules(rules, others, d.options.Patch); err != nil {
		return fmt.Errorf("compare %s with %s: %w", a, b, err)
	}
	for _, r := range v.Rules {
		d.counts.Rules.add(r.Kind)
	}
	if len(v.Members)+len(v.Rules) > 0 {
		v.Kind = Changed
	}
	return nil
}

// matchRulesOf is the member matchRules of a version; nil where it has none.
func matchRulesOf(doc []byte) json.RawMessage {
	var rules json.RawMessage
	for name, value := range cloudlet.Members(doc) {
		if name == "matchRules" {
			rules = value
		}
	}
	return rules
}

// isRuleList reports whether a value is what a list of rules can be: an array, null, or nothing.
func isRuleList(rules json.RawMessage) bool {
	return len(rules) == 0 || rules[0] == '[' || rules[0] == 'n'
}

func valuesOf(value json.RawMessage) [][]byte {
	if value == nil {
		return nil
	}
	return [][]byte{value}
}

// noted reports whether a member of a document is not what somebody set there, or is compared elsewhere.
func (d *Diff) noted(name string) bool {
	switch name {
	case "createdBy", "createDate", "createdDate", "modifiedBy", "modifiedDate", "lastModifiedBy", "lastModifiedDate", "revisionId",
		"id", "policyId", "cloudletId", "location", "links", "apiVersion", "serviceVersion", "checksum",
		"rulesLocked", "immutable", "matchRulesWarnings", "propertyName": // what follows from something else
		return true
	case "activations", "currentActivations", "matchRules", "version":
		return true
	case "groupId":
		return !d.groups
	}
	return false
}

// members compares the members of two documents by name.
func (d *Diff) members(a, b []byte) []MemberDiff {
	left, right := membersOf(a), membersOf(b)
	var found []MemberDiff
	for _, name := range unionOf(left, right) {
		if d.noted(name) {
			continue
		}
		if m, differs := diffMember(name, left[name], right[name], `{"x":`, "}", "/0/x/"); differs {
			found = append(found, m)
		}
	}
	return found
}

// membersOf are the values of a JSON object's members by name: one each, unless a name stands there more than once.
func membersOf(doc []byte) map[string][][]byte {
	members := map[string][][]byte{}
	for name, value := range cloudlet.Members(doc) {
		members[name] = append(members[name], value)
	}
	return members
}

func unionOf(a, b map[string][][]byte) []string {
	names := map[string]bool{}
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// diffMember compares the values of one member, which it sets into otherwise empty rules between before and after;
// pointer is what begins the place where they part.
func diffMember(name string, a, b [][]byte, before, after, pointer string) (MemberDiff, bool) {
	rule := func(values [][]byte) []byte {
		text := []byte("[" + before + "{")
		for i, value := range values {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(append(text, quoted(name)...), ':')
			text = append(text, value...)
		}
		return append(text, "}"+after+"]"...)
	}
	grade, where := cloudlet.CompareRules(rule(a), rule(b))
	if grade != cloudlet.Different {
		return MemberDiff{}, false
	}
	return MemberDiff{Name: name, A: valueOf(a), B: valueOf(b), Where: strings.TrimPrefix(where, pointer)}, true
}

// quoted is a name as JSON.
func quoted(name string) []byte {
	text, _ := marshal(name, "") // a string has no error
	return text
}

// valueOf is the value of a member in compact form: an array of all where its name stands there more than once, nil
// where it is absent.
func valueOf(values [][]byte) json.RawMessage {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return cloudlet.AppendCompact(nil, values[0])
	}
	return cloudlet.AppendCompact(nil, slices.Concat([]byte("["), bytes.Join(values, []byte(",")), []byte("]")))
}
