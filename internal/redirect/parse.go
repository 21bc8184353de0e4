package redirect

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// ErrNotRedirect is wrapped by the error for a rule of another Cloudlet.
var ErrNotRedirect = errors.New("not an Edge Redirector rule")

// Parse reads one match rule. Its error wraps ErrNotRedirect when the rule says that it is of another type; it names
// the member where a value is of the wrong kind or out of range. A boolean may be a text ("disabled":"false"), as
// Akamai's own samples have it; null is absent; of two members of one name the later counts.
func Parse(raw []byte) (Rule, error) {
	if !cloudlet.ValidJSON(raw) {
		return Rule{}, errors.New("rule is not valid JSON")
	}
	return ParseValid(raw)
}

// ParseValid is Parse for text that is known to be valid JSON; on other input it may panic.
func ParseValid(raw []byte) (Rule, error) {
	if raw[0] != '{' && bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
		return Rule{}, errors.New("rule is not an object")
	}
	var p parser
	for name, value := range cloudlet.Members(raw) {
		if value[0] == 'n' { // null
			continue
		}
		p.member(name, value)
	}
	if p.err != nil {
		return Rule{}, p.err
	}
	return p.rule, nil
}

// parser fills a rule. It goes on after an error and keeps the first.
type parser struct {
	rule   Rule
	match  int    // the match that the parser is in, for names of members
	inside string // "", or the innermost of matches, objectMatchValue and options that it is in
	err    error
}

func (p *parser) member(name string, value []byte) {
	r := &p.rule
	switch name {
	case "type":
		if !isText(value, "erMatchRule") && p.err == nil {
			p.err = fmt.Errorf("type %s: %w", value, ErrNotRedirect)
		}
	case "name":
		r.Name = p.text("name", value)
	case "start":
		r.Start = p.number("start", value, math.MaxInt64)
	case "end":
		r.End = p.number("end", value, math.MaxInt64)
	case "matchURL":
		r.MatchURL = p.text("matchURL", value)
	case "matches":
		p.matches(value)
	case "statusCode":
		r.StatusCode = int(p.number("statusCode", value, 999))
	case "redirectURL":
		r.RedirectURL = p.text("redirectURL", value)
	case "useRelativeUrl":
		r.UseRelativeURL = p.word("useRelativeUrl", value)
	case "useIncomingQueryString":
		r.UseIncomingQueryString = p.boolean("useIncomingQueryString", value)
	case "useIncomingSchemeAndHost":
		r.UseIncomingSchemeAndHost = p.boolean("useIncomingSchemeAndHost", value)
	case "disabled":
		r.Disabled = p.boolean("disabled", value)
	case "matchesAlways":
		r.MatchesAlways = p.boolean("matchesAlways", value)
	case "id", "akaRuleId", "location":
	default:
		p.unknown(name)
	}
}

func (p *parser) matches(value []byte) {
	if value[0] != '[' {
		p.wrong("matches", "an array")
		return
	}
	r := &p.rule
	r.Matches = nil
	for element := range cloudlet.Elements(value) {
		p.match, p.inside = len(r.Matches), "matches"
		if element[0] != '{' {
			p.wrong("", "an object")
			continue
		}
		if r.Matches == nil {
			r.Matches = make([]Match, 0, 1+countElements(value))
		}
		r.Matches = append(r.Matches, Match{})
		m := &r.Matches[len(r.Matches)-1]
		for name, value := range cloudlet.Members(element) {
			if value[0] != 'n' {
				p.matchMember(m, name, value)
			}
		}
	}
	p.inside = ""
}

// countElements is at most how many elements follow the first one; commas within them count too, up to a few.
func countElements(array []byte) int { return min(bytes.Count(array, []byte("},{")), 8) }

func (p *parser) matchMember(m *Match, name string, value []byte) {
	switch name {
	case "caseSensitive":
		m.CaseSensitive = p.boolean("caseSensitive", value)
	case "matchOperator":
		m.Operator = p.word("matchOperator", value)
	case "matchType":
		m.Type = p.word("matchType", value)
	case "matchValue":
		m.Value = p.text("matchValue", value)
	case "negate":
		m.Negate = p.boolean("negate", value)
	case "checkIPs":
		m.CheckIPs = p.text("checkIPs", value)
	case "objectMatchValue":
		p.inside = "objectMatchValue"
		m.Object = p.object(value)
		p.inside = "matches"
	default:
		p.unknown(name)
	}
}

func (p *parser) object(value []byte) *Object {
	if value[0] != '{' {
		p.wrong("", "an object")
		return nil
	}
	o := &Object{}
	var values, options []byte
	for name, value := range cloudlet.Members(value) {
		if value[0] == 'n' {
			continue
		}
		switch name {
		case "type":
			o.Type = p.word("type", value)
		case "name":
			o.Name = p.text("name", value)
		case "nameCaseSensitive":
			o.NameCaseSensitive = p.boolean("nameCaseSensitive", value)
		case "nameHasWildcard":
			o.NameHasWildcard = p.boolean("nameHasWildcard", value)
		case "nameHasRegex":
			p.onlyFalse("nameHasRegex", value)
		case "value":
			values = value
		case "options":
			options = value
		default:
			p.unknown(name)
		}
	}
	// Each type has its own place for values; a view that read both could not be written back.
	if o.Type == typeObject {
		if values != nil {
			p.unknown("value")
		}
		p.options(o, options)
		return o
	}
	if options != nil {
		p.unknown("options")
	}
	if o.Type != typeSimple && values != nil {
		p.unknown("value")
		return o
	}
	o.Values = p.texts("value", values)
	return o
}

func (p *parser) options(o *Object, options []byte) {
	if options == nil {
		return
	}
	if options[0] != '{' {
		p.wrong("options", "an object")
		return
	}
	p.inside = "options"
	for name, value := range cloudlet.Members(options) {
		if value[0] == 'n' {
			continue
		}
		switch name {
		case "value":
			o.Values = p.texts("value", value)
		case "valueHasWildcard":
			o.ValueHasWildcard = p.boolean("valueHasWildcard", value)
		case "valueCaseSensitive":
			o.ValueCaseSensitive = p.boolean("valueCaseSensitive", value)
		case "valueEscaped":
			o.ValueEscaped = p.boolean("valueEscaped", value)
		case "valueHasRegex":
			p.onlyFalse("valueHasRegex", value)
		default:
			p.unknown(name)
		}
	}
	p.inside = "objectMatchValue"
}

// onlyFalse takes a member that this view knows only where it says nothing.
func (p *parser) onlyFalse(name string, value []byte) {
	if p.boolean(name, value) {
		p.unknown(name)
	}
}

// place is a member's full name.
func (p *parser) place(name string) string {
	dotted := strings.TrimSuffix("."+name, ".")
	at := "matches[" + strconv.Itoa(p.match) + "]"
	switch p.inside {
	case "matches":
		return at + dotted
	case "objectMatchValue":
		return at + ".objectMatchValue" + dotted
	case "options":
		return at + ".objectMatchValue.options" + dotted
	default:
		return strings.Clone(name)
	}
}

func (p *parser) unknown(name string) { p.rule.Unknown = append(p.rule.Unknown, p.place(name)) }

func (p *parser) wrong(name, want string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s is not %s", p.place(name), want)
	}
}

func (p *parser) text(name string, value []byte) string {
	text, ok := cloudlet.Text(value)
	if !ok {
		p.wrong(name, "a text")
	}
	return text
}

// word is text for a member with few values: the usual ones take no memory.
func (p *parser) word(name string, value []byte) string {
	if len(value) > 2 && value[0] == '"' {
		if known := knownWord(value[1 : len(value)-1]); known != "" {
			return known
		}
	}
	return p.text(name, value)
}

func knownWord(text []byte) string {
	switch string(text) {
	case opEquals:
		return opEquals
	case opContains:
		return opContains
	case opExists:
		return opExists
	case RelativeURL:
		return RelativeURL
	case CopySchemeHostname:
		return CopySchemeHostname
	case "none":
		return "none"
	case typePath:
		return typePath
	case typeQuery:
		return typeQuery
	case typeHostname:
		return typeHostname
	case typeProtocol:
		return typeProtocol
	case typeRegex:
		return typeRegex
	case typeObject:
		return typeObject
	case typeSimple:
		return typeSimple
	}
	return ""
}

// texts reads an array of texts, or one text alone.
func (p *parser) texts(name string, value []byte) []string {
	if value == nil {
		return nil
	}
	if value[0] == '"' {
		return []string{p.text(name, value)}
	}
	if value[0] != '[' {
		p.wrong(name, "an array of texts")
		return nil
	}
	var texts []string
	for element := range cloudlet.Elements(value) {
		text, ok := cloudlet.Text(element)
		if !ok {
			p.wrong(name, "an array of texts")
		}
		texts = append(texts, text)
	}
	return texts
}

func (p *parser) boolean(name string, value []byte) bool {
	switch string(value) {
	case "true", `"true"`:
		return true
	case "false", `"false"`:
		return false
	}
	p.wrong(name, "true or false")
	return false
}

// number reads a whole number from 0 to largest.
func (p *parser) number(name string, value []byte, largest int64) int64 {
	if len(value) == 1 && value[0] >= '0' && value[0] <= '9' { // 0, mostly
		return int64(value[0] - '0')
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 || n > largest {
		p.wrong(name, "a whole number in range")
		return 0
	}
	return n
}

func isText(value []byte, want string) bool {
	if len(value) == len(want)+2 && string(value[1:len(value)-1]) == want {
		return value[0] == '"'
	}
	text, ok := cloudlet.Text(value)
	return ok && text == want
}
