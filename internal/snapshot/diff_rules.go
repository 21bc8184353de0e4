package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// RuleDiff is how one match rule differs. A and B are its number in either list, counted from 1; 0 where it is not.
type RuleDiff struct {
	Kind    Change       `json:"kind"`
	Name    string       `json:"name,omitempty"` // B's, or A's of a rule that B has not
	A       int          `json:"a_rule,omitempty"`
	B       int          `json:"b_rule,omitempty"`
	Moved   bool         `json:"moved,omitempty"` // it is changed and stands elsewhere as well
	Members []MemberDiff `json:"members,omitempty"`
}

// DiffRules compares two lists of match rules, each the value of a version's member matchRules. Where CompareRules finds
// them equal there is no difference. Else each rule of a gets at most one partner in b, in four passes, each over the
// rules that have none yet and in order of the lists:
//
//  1. Rules that are equal in the sense of CompareRules.
//  2. Rules with the same name: changed.
//  3. Rules that are equal but for their name: changed.
//  4. Rules without a name that stand between the same partners: changed.
//
// Of several candidates the first of a goes with the first of b. A rule without a partner is removed or added. Of all
// pairs as many as possible stay where they are (a longest increasing subsequence); the others have moved. The
// differences come in order of b, a removed rule before what now stands in its place.
//
// The patch (RFC 6902) is made on demand. It is for a document that holds a as its member matchRules, and gives rules
// that are equal to b; of equal rules it leaves alone what CompareRules forgives. It removes, then moves and adds, then
// changes members. Numbers and strings keep their text.
func DiffRules(a, b json.RawMessage, patch bool) ([]RuleDiff, []Operation, error) {
	grade, where := cloudlet.CompareRules(a, b)
	if grade != cloudlet.Different {
		return nil, nil, nil
	}
	left, err := splitRules(a)
	if err != nil {
		return nil, nil, fmt.Errorf("first list: %w", err)
	}
	right, err := splitRules(b)
	if err != nil {
		return nil, nil, fmt.Errorf("second list: %w", err)
	}
	m := newMatching(left, right)
	diffs := m.differences()
	if len(diffs) == 0 { // were it so, something would be kept silent
		return nil, nil, fmt.Errorf("no rule differs, and the lists do at %s", where)
	}
	if !patch {
		return diffs, nil, nil
	}
	return diffs, m.patch(), nil
}

// listRule is a rule of a list.
type listRule struct {
	text []byte
	name string
	hash string // of what counts
}

// splitRules cuts a list into its rules. What is neither a list nor null is an error.
func splitRules(list json.RawMessage) ([]listRule, error) {
	if _, err := cloudlet.CanonicalHash(list); err != nil {
		return nil, err
	}
	var rules []listRule
	for text := range cloudlet.Elements(list) {
		r := listRule{text: text}
		for name, value := range cloudlet.Members(text) {
			if given, ok := cloudlet.Text(value); ok && name == "name" {
				r.name = given
			}
		}
		var err error
		if r.hash, err = hashOf(text); err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func hashOf(rule []byte) (string, error) {
	return cloudlet.CanonicalHash(slices.Concat([]byte("["), rule, []byte("]")))
}

// nameless is the hash of a rule without its name.
func (r listRule) nameless() string {
	text := []byte("{")
	for name, value := range cloudlet.Members(r.text) {
		if name == "name" {
			continue
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(append(text, quoted(name)...), ':'), value...)
	}
	hash, err := hashOf(append(text, '}'))
	if err != nil {
		return ""
	}
	return hash
}

// matching says which rules of two lists belong together.
type matching struct {
	a, b     []listRule
	ofA, ofB []int  // the partner's index in the other list, or -1
	stays    []bool // of a's rules: it stands where it stood, among those that do
}

func newMatching(a, b []listRule) *matching {
	m := &matching{a: a, b: b, ofA: slices.Repeat([]int{-1}, len(a)), ofB: slices.Repeat([]int{-1}, len(b))}
	m.pair(func(r listRule) string { return r.hash })
	m.pair(func(r listRule) string { return r.name })
	m.pair(listRule.nameless)
	m.stays = staying(m.ofA)
	m.pairNameless()
	return m
}

func (m *matching) join(i, j int) { m.ofA[i], m.ofB[j] = j, i }

// pair finds partners for rules that have none: those with the same key, which is not empty.
func (m *matching) pair(key func(listRule) string) {
	free := map[string][]int{}
	for j, r := range m.b {
		if m.ofB[j] < 0 {
			k := key(r)
			free[k] = append(free[k], j)
		}
	}
	delete(free, "")
	if len(free) == 0 {
		return
	}
	for i, r := range m.a {
		if m.ofA[i] >= 0 {
			continue
		}
		k := key(r)
		if found := free[k]; len(found) > 0 {
			m.join(i, found[0])
			free[k] = found[1:]
		}
	}
}

// pairNameless finds partners for rules without a name, between those that stay.
func (m *matching) pairNameless() {
	var free []int
	j := 0
	for i := 0; i <= len(m.a); i++ {
		end := len(m.b)
		if i < len(m.a) {
			if !m.stays[i] {
				if m.ofA[i] < 0 && m.a[i].name == "" {
					free = append(free, i)
				}
				continue
			}
			end = m.ofA[i]
		}
		for ; j < end && len(free) > 0; j++ {
			if m.ofB[j] < 0 && m.b[j].name == "" {
				m.join(free[0], j)
				m.stays[free[0]] = true
				free = free[1:]
			}
		}
		free, j = free[:0], end+1
	}
}

// staying marks a longest increasing subsequence of what is not negative, in O(n log n).
func staying(of []int) []bool {
	var ends []int // by length of a subsequence, less 1: where the one with the least end ends
	before := make([]int, len(of))
	for i, value := range of {
		if value < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(ends, value, func(end, value int) int { return of[end] - value })
		before[i] = -1
		if at > 0 {
			before[i] = ends[at-1]
		}
		if at == len(ends) {
			ends = append(ends, i)
		} else {
			ends[at] = i
		}
	}
	stays := make([]bool, len(of))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = before[i] {
			stays[i] = true
		}
	}
	return stays
}

// differences are those of the rules, in order of b.
func (m *matching) differences() []RuleDiff {
	next := slices.Repeat([]int{len(m.a)}, len(m.b)+1) // a's index of the next rule that stays, from a place in b on
	for j := len(m.b) - 1; j >= 0; j-- {
		if next[j] = next[j+1]; m.ofB[j] >= 0 && m.stays[m.ofB[j]] {
			next[j] = m.ofB[j]
		}
	}
	var diffs []RuleDiff
	for i, j := 0, 0; j <= len(m.b); j++ {
		for ; i < next[j]; i++ {
			if m.ofA[i] < 0 {
				diffs = append(diffs, RuleDiff{Kind: Removed, Name: m.a[i].name, A: i + 1})
			}
		}
		if j < len(m.b) {
			diffs = m.difference(diffs, j)
		}
	}
	return diffs
}

// difference appends that of a rule of b, if there is one.
func (m *matching) difference(diffs []RuleDiff, j int) []RuleDiff {
	r, i := m.b[j], m.ofB[j]
	switch {
	case i < 0:
		return append(diffs, RuleDiff{Kind: Added, Name: r.name, B: j + 1})
	case m.a[i].hash != r.hash:
		return append(diffs, RuleDiff{
			Kind: Changed, Name: r.name, A: i + 1, B: j + 1, Moved: !m.stays[i], Members: diffRule(m.a[i].text, r.text),
		})
	case !m.stays[i]:
		return append(diffs, RuleDiff{Kind: Moved, Name: r.name, A: i + 1, B: j + 1})
	}
	return diffs
}

// diffRule compares two rules by member. What is no object differs as a whole, as the member "".
func diffRule(a, b []byte) []MemberDiff {
	if a[0] != '{' || b[0] != '{' {
		_, where := cloudlet.CompareRules(slices.Concat([]byte("["), a, []byte("]")), slices.Concat([]byte("["), b, []byte("]")))
		return []MemberDiff{{A: valueOf([][]byte{a}), B: valueOf([][]byte{b}), Where: strings.TrimPrefix(where, "/0: ")}}
	}
	left, right := membersOf(a), membersOf(b)
	var found []MemberDiff
	for _, name := range unionOf(left, right) {
		if m, differs := diffMember(name, left[name], right[name], "", "", "/0/"); differs {
			found = append(found, m)
		}
	}
	return found
}
