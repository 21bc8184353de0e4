package cloudlet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
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

// exactText is a string's value, given without its quotes. So that different strings stay different, a backslash is two,
// and half a surrogate pair remains an escape; encoding/json would make all such halves the same character.
func exactText(raw []byte) []byte {
	at := bytes.IndexByte(raw, '\\')
	if at < 0 {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:at]...)
	for at < len(raw) {
		c := raw[at]
		if c != '\\' {
			out = append(out, c)
			at++
			continue
		}
		r := codeUnit(raw[at:])
		at += 1 + escape(raw[at+1:])
		if utf16.IsSurrogate(r) && bytes.HasPrefix(raw[at:], []byte(`\u`)) {
			if whole := utf16.DecodeRune(r, codeUnit(raw[at:])); whole != utf8.RuneError {
				r = whole
				at += 1 + escape(raw[at+1:])
			}
		}
		switch {
		case r == '\\':
			out = append(out, `\\`...)
		case utf16.IsSurrogate(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// codeUnit is what the escape sequence at the start of b stands for.
func codeUnit(b []byte) rune {
	switch c := b[1]; c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		var unit [2]byte
		_, _ = hex.Decode(unit[:], b[2:6]) // four hexadecimal digits, or the text were not valid
		return rune(unit[0])<<8 | rune(unit[1])
	default:
		return rune(c)
	}
}

// exactNumber is a number's value: sign, digits without zeros at either end, and the power of ten if it is not 0. It
// takes no more room than the text, whatever the exponent.
func exactNumber(raw []byte) []byte {
	mantissa, exponent := raw, []byte(nil)
	if e := bytes.IndexAny(raw, "eE"); e >= 0 {
		mantissa, exponent = raw[:e], raw[e+1:]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits, negative := bytes.CutPrefix(whole, []byte("-"))
	if len(fraction) > 0 {
		digits = slices.Concat(digits, fraction)
	}
	digits = bytes.TrimLeft(digits, "0")
	zeros := len(digits)
	digits = bytes.TrimRight(digits, "0")
	if len(digits) == 0 {
		return []byte("0") // and so is -0
	}
	zeros -= len(digits)
	power := addDecimal(exponent, zeros-len(fraction))
	if power == "0" && !negative {
		return digits
	}
	out := make([]byte, 0, len(digits)+len(power)+2)
	if negative {
		out = append(out, '-')
	}
	out = append(out, digits...)
	if power != "0" {
		out = append(append(out, 'e'), power...)
	}
	return out
}

// addDecimal is the sum of an exponent of any length and a number of digits, in decimal.
func addDecimal(exponent []byte, n int) string {
	digits := bytes.TrimLeft(exponent, "+-0")
	negative := bytes.HasPrefix(exponent, []byte("-"))
	if negative {
		n = -n
	}
	// From here on it is the absolute value that n is added to.
	if len(digits) > 18 { // more than surely fits, and more than n, so that the sign stays
		digits = bytes.Clone(digits)
		for i := len(digits) - 1; i >= 0 && n != 0; i-- {
			n += int(digits[i] - '0')
			digit := (n%10 + 10) % 10
			digits[i] = byte('0' + digit)
			n = (n - digit) / 10
		}
		sum := strings.TrimLeft(strconv.Itoa(n)+string(digits), "0")
		if negative {
			return "-" + sum
		}
		return sum
	}
	value := int64(n)
	if len(digits) > 0 {
		power, _ := strconv.ParseInt(string(digits), 10, 64) // 18 digits fit
		value += power
	}
	if negative {
		value = -value
	}
	return strconv.FormatInt(value, 10)
}

// parting is where two values differ. A side on which there is nothing is nil.
type parting struct {
	pointer     string
	left, right []byte
	note        string
}

func (p *parting) under(name string) *parting {
	p.pointer = "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name) + p.pointer
	return p
}

func (p *parting) String() string {
	left, right := AppendCompact(nil, p.left), AppendCompact(nil, p.right)
	same := 0
	for same < min(len(left), len(right)) && left[same] == right[same] {
		same++
	}
	pointer := shorten([]byte(p.pointer), 0, 4*valueRoom)
	return pointer + ": " + shorten(left, same, valueRoom) + " against " + shorten(right, same, valueRoom) + p.note
}

const valueRoom = 60

// shorten shows about as many bytes of a value as there is room for, among them those at the index at.
func shorten(value []byte, at, room int) string {
	if len(value) == 0 {
		return "nothing"
	}
	start := 0
	if before := room / 3; len(value) > room && at > before {
		start = min(at-before, len(value)-room)
	}
	end := min(start+room, len(value))
	for range utf8.UTFMax - 1 { // cut between characters
		if start > 0 && !utf8.RuneStart(value[start]) {
			start--
		}
		if end < len(value) && !utf8.RuneStart(value[end]) {
			end++
		}
	}
	text := oneLine(string(value[start:end]))
	if start > 0 {
		text = "..." + text
	}
	if end < len(value) {
		text += "..."
	}
	return text
}

// oneLine is Printable for text that is JSON, and so has its backslashes doubled already.
func oneLine(text string) string { return strings.ReplaceAll(Printable(text), `\\`, `\`) }

// part finds where two values part first, or nothing when they are equal.
func part(a, b *node) *parting {
	switch {
	case a.kind != b.kind || !bytes.Equal(a.text, b.text):
		return &parting{left: a.raw, right: b.raw}
	case a.kind == '{':
		return partMembers(a.kids, b.kids)
	}
	for i := range min(len(a.kids), len(b.kids)) {
		if p := part(&a.kids[i], &b.kids[i]); p != nil {
			return p.under(strconv.Itoa(i))
		}
	}
	return partTails(a.kids, b.kids, func(n node) []byte { return n.raw })
}

// partTails is for arrays that are equal as far as both go.
func partTails[E any](a, b []E, raw func(E) []byte) *parting {
	end := strconv.Itoa(min(len(a), len(b)))
	switch {
	case len(a) > len(b):
		return (&parting{left: raw(a[len(b)])}).under(end)
	case len(a) < len(b):
		return (&parting{right: raw(b[len(a)])}).under(end)
	}
	return nil
}

func partMembers(a, b []node) *parting {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var p *parting
		var name []byte
		switch order := compareNames(a[i:], b[j:]); {
		case order < 0:
			p, name = &parting{left: a[i].raw}, a[i].name
		case order > 0:
			p, name = &parting{right: b[j].raw}, b[j].name
		default:
			p, name = part(&a[i], &b[j]), a[i].name
		}
		if p != nil {
			if repeated(a, name) || repeated(b, name) {
				p.note = " (a name given more than once)"
			}
			return p.under(string(name))
		}
		i, j = i+1, j+1
	}
	return nil
}

// compareNames orders the first members of two lists, an empty one last.
func compareNames(a, b []node) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return bytes.Compare(a[0].name, b[0].name)
}

func repeated(members []node, name []byte) bool {
	found := 0
	for i := range members {
		if bytes.Equal(members[i].name, name) {
			found++
		}
	}
	return found > 1
}
