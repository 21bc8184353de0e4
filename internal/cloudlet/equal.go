package cloudlet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Grade says how far two rule lists agree.
type Grade int

// The grades, each stronger than the one before.
const (
	// Different: they differ in something that counts.
	Different Grade = iota
	// Equal: they differ in nothing but what CompareRules forgives.
	Equal
	// Identical: they are the same text, but for white space between tokens.
	Identical
)

// CompareRules says how far two lists of match rules agree, each the value of a version's member matchRules. Where they
// are Different, the text says in one line where they part first, as a JSON pointer into the lists, and what stands
// there in a and in b, shortened; else it is empty. Rules are looked at in order, members in order of their names.
//
// Arrays are compared in order, objects by member, strings by value (a half of a surrogate pair is equal to itself
// only), numbers by exact decimal value. Forgiven is only this, because the API adds members to what it is sent:
//
//   - An empty input, null and [] are the same list.
//   - A member that is null is absent, in any object.
//   - In a rule, akaRuleId, location and id are taken away.
//   - In a rule, an absent member equals its default: start 0, end 0, disabled false, matchesAlways false,
//     useIncomingQueryString false, useIncomingSchemeAndHost false, useRelativeUrl "none", matches [].
//   - In an element of matches, an absent member equals its default: negate false, caseSensitive false.
//   - "true" and "false" equal the Booleans in the members that the documents call Boolean (Cloudlets API v2, Match
//     properties; "disabled": "false" in its examples), each in the object where it belongs.
//
// To a name that an object has more than once none of this applies: readers of JSON disagree on which one counts, so the
// values of that name are compared one by one, in order, and none of them is taken for absent.
//
// What is no JSON, or is neither an array nor null, is Different from everything, itself included.
func CompareRules(a, b json.RawMessage) (Grade, string) {
	left, leftForm, err := splitRules(a)
	if err != nil {
		return Different, "first list: " + err.Error()
	}
	right, rightForm, err := splitRules(b)
	if err != nil {
		return Different, "second list: " + err.Error()
	}
	grade := Equal
	if leftForm == rightForm && len(left) == len(right) {
		grade = Identical
	}
	var leftText, rightText []byte
	var leftReader, rightReader ruleReader
	for i := range min(len(left), len(right)) {
		if bytes.Equal(left[i], right[i]) {
			continue
		}
		leftText, rightText = AppendCompact(leftText[:0], left[i]), AppendCompact(rightText[:0], right[i])
		if bytes.Equal(leftText, rightText) {
			continue
		}
		grade = Equal
		l, r := leftReader.rule(left[i]), rightReader.rule(right[i])
		if p := part(&l, &r); p != nil {
			return Different, p.under(strconv.Itoa(i)).String() + counts(left, right)
		}
	}
	if len(left) != len(right) {
		p := partTails(left, right, func(rule []byte) []byte { return rule })
		return Different, p.String() + counts(left, right)
	}
	return grade, ""
}

// counts ends the text on lists of different lengths: the first difference alone would hide that rules are missing.
func counts(a, b [][]byte) string {
	if len(a) == len(b) {
		return ""
	}
	return fmt.Sprintf(" (rules in all: %d against %d)", len(a), len(b))
}

// CanonicalHash is the SHA-256, in hexadecimal, of what CompareRules looks at: two lists have the same hash exactly
// where CompareRules finds them Equal or Identical. What is no list of rules is an error.
func CanonicalHash(rules json.RawMessage) (string, error) {
	texts, _, err := splitRules(rules)
	if err != nil {
		return "", fmt.Errorf("hash match rules: %w", err)
	}
	sum := sha256.New()
	var canonical []byte
	var reader ruleReader
	for _, text := range texts {
		rule := reader.rule(text)
		canonical = rule.append(canonical[:0])
		sum.Write(canonical)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// splitRules cuts a list into the texts of its rules. The form is '[' for an array, 'n' for null, 0 for nothing.
func splitRules(doc []byte) (rules [][]byte, form byte, err error) {
	doc = bytes.Trim(doc, " \n\t\r")
	if len(doc) == 0 {
		return nil, 0, nil
	}
	if !ValidJSON(doc) {
		err = json.Unmarshal(doc, new(json.RawMessage)) // says what is wrong, and where
		return nil, 0, fmt.Errorf("not valid JSON: %w", err)
	}
	form = doc[0]
	if form == 'n' {
		return nil, form, nil
	}
	if form != '[' {
		return nil, 0, fmt.Errorf("not an array of match rules: %s", shorten(doc, 0, valueRoom))
	}
	for s := (scanner{src: doc, at: 1}); s.next(']'); {
		start := s.at
		s.value()
		rules = append(rules, doc[start:s.at])
	}
	return rules, form, nil
}

// next moves to the next element or member, or behind the closing character and is false. The text must be valid.
func (s *scanner) next(closing byte) bool {
	s.space()
	if s.src[s.at] == ',' {
		s.at++
		s.space()
	}
	if s.src[s.at] == closing {
		s.at++
		return false
	}
	return true
}

// place is where a value stands in a rule list, as far as something is forgiven there.
type place int

const (
	elsewhere     place = iota
	ruleObject          // an element of the list
	forwardObject       // forwardSettings of a rule
	matchList           // matches of a rule
	matchObject         // an element of matches
	valueObject         // objectMatchValue of a match
	optionObject        // options of an objectMatchValue
)

func (p place) member(name string) place {
	switch {
	case p == ruleObject && name == "matches":
		return matchList
	case p == ruleObject && name == "forwardSettings":
		return forwardObject
	case p == matchObject && name == "objectMatchValue":
		return valueObject
	case p == valueObject && name == "options":
		return optionObject
	}
	return elsewhere
}

func (p place) element() place {
	if p == matchList {
		return matchObject
	}
	return elsewhere
}

// boolean reports whether the documents call the member Boolean (Cloudlets API v2, Match properties; v3 adds
// matchesAlways).
func (p place) boolean(name string) bool {
	switch name {
	case "disabled", "jsInsertion", "matchesAlways", "useIncomingSchemeAndHost":
		return p == ruleObject
	case "useIncomingQueryString":
		return p == ruleObject || p == forwardObject
	case "negate", "caseSensitive":
		return p == matchObject
	case "nameCaseSensitive", "nameHasRegex", "nameHasWildcard":
		return p == valueObject
	case "valueCaseSensitive", "valueHasRegex", "valueHasWildcard":
		return p == valueObject || p == optionObject
	}
	return false
}

// absent reports whether a member of an object at p counts as not there: null, taken away, or at its default.
func (p place) absent(m *node) bool {
	if m.kind == 'n' {
		return true
	}
	switch name := string(m.name); name {
	case "akaRuleId", "location", "id":
		return p == ruleObject
	case "start", "end":
		return p == ruleObject && m.kind == '0' && string(m.text) == "0"
	case "disabled", "matchesAlways", "useIncomingQueryString", "useIncomingSchemeAndHost":
		return p == ruleObject && m.kind == 'f'
	case "useRelativeUrl":
		return p == ruleObject && m.kind == '"' && string(m.text) == "none"
	case "matches":
		return p == ruleObject && m.kind == '[' && len(m.kids) == 0
	case "negate", "caseSensitive":
		return p == matchObject && m.kind == 'f'
	}
	return false
}

// node is a JSON value in the form in which equal values are the same.
type node struct {
	kind byte   // its first character, one of { [ " t f n, or 0 for every number
	name []byte // of a member
	text []byte // of a string or a number
	raw  []byte // as it was written
	kids []node // elements in order, or members sorted by name
}

// ruleReader reads one rule after another into the same memory.
type ruleReader struct {
	scanner
	open []node // the kids read so far of the values that are being read
	done []node // the kids of those that are read
}

// rule reads a rule, which must be valid JSON. What it returned before is overwritten.
func (r *ruleReader) rule(text []byte) node {
	r.scanner = scanner{src: text}
	r.open, r.done = r.open[:0], r.done[:0]
	if text[0] == '{' {
		return r.node(ruleObject)
	}
	return r.node(elsewhere)
}

func (r *ruleReader) node(p place) node {
	start, first := r.at, len(r.open)
	n := node{kind: r.src[start]}
	switch n.kind {
	case '{':
		r.members(p)
		n.kids = r.close(first)
	case '[':
		for r.at++; r.next(']'); {
			element := r.node(p.element())
			r.open = append(r.open, element)
		}
		n.kids = r.close(first)
	case '"':
		r.text()
		n.text = exactText(r.src[start+1 : r.at-1])
	case 't', 'f', 'n':
		r.value()
	default:
		r.number()
		n.kind, n.text = '0', exactNumber(r.src[start:r.at])
	}
	n.raw = r.src[start:r.at]
	return n
}

// close takes the open kids from first on.
func (r *ruleReader) close(first int) []node {
	start := len(r.done)
	r.done = append(r.done, r.open[first:]...) // kids that stay in the memory before it grew are not written to again
	r.open = r.open[:first]
	return r.done[start:len(r.done):len(r.done)]
}

// members reads an object: sorted by name, those of one name in their order, without the absent ones.
func (r *ruleReader) members(p place) {
	first := len(r.open)
	for r.at++; r.next('}'); {
		start := r.at
		r.key()
		name := exactText(r.src[start+1 : start+textLength(r.src[start:])-1])
		m := r.node(p.member(string(name)))
		m.name = name
		if m.kind == '"' && (string(m.text) == "true" || string(m.text) == "false") && p.boolean(string(name)) {
			m.kind, m.text = m.text[0], nil
		}
		r.open = append(r.open, m)
	}
	all := r.open[first:]
	slices.SortStableFunc(all, func(a, b node) int { return bytes.Compare(a.name, b.name) })
	kept := all[:0]
	for start, end := 0, 0; start < len(all); start = end {
		for end = start + 1; end < len(all) && bytes.Equal(all[end].name, all[start].name); {
			end++
		}
		if end-start > 1 || !p.absent(&all[start]) {
			kept = append(kept, all[start:end]...)
		}
	}
	r.open = r.open[:first+len(kept)]
}

// append appends a text that is the same for equal values and for no others.
func (n *node) append(dst []byte) []byte {
	switch n.kind {
	case '{', '[':
		dst = append(dst, n.kind)
		for i := range n.kids {
			if n.kind == '{' {
				dst = appendCounted(dst, n.kids[i].name)
			}
			dst = n.kids[i].append(dst)
		}
		return append(dst, n.kind+2) // the closing character, in ASCII
	case '"', '0':
		return appendCounted(append(dst, n.kind), n.text)
	}
	return append(dst, n.kind)
}

func appendCounted(dst, text []byte) []byte {
	return append(append(strconv.AppendInt(dst, int64(len(text)), 10), ':'), text...)
}
