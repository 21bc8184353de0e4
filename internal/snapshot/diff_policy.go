package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cloudletmig/internal/cloudlet"
)

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
