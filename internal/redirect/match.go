package redirect

import (
	"iter"
	"regexp"
	"slices"
	"strings"
)

// The values of Match.Type.
const (
	typeAll       = "all"
	typeHostname  = "hostname"
	typePath      = "path"
	typeExtension = "extension"
	typeQuery     = "query"
	typeRegex     = "regex"
	typeProtocol  = "protocol"
	typeMethod    = "method"
	typeCookie    = "cookie"
	typeHeader    = "header"
	typeClientIP  = "clientip"
	typeClientIP6 = "clientipv6"
	typeContinent = "continent"
	typeCountry   = "countrycode"
	typeRegion    = "regioncode"
	typeProxy     = "proxy"
	typeDevice    = "deviceCharacteristics"
)

// verdict is whether something holds for a request.
type verdict uint8

const (
	no verdict = iota
	unsure
	yes
)

func verdictOf(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}

// facts is a set of things that a request may leave unknown.
type facts uint16

const (
	factScheme facts = 1 << iota
	factHost
	factTime
	factMethod
	factHeader
	factCookie
	factClientIP
	factContinent
	factCountry
	factRegion
	factProxy
	factDevice
	factCount = iota
)

func (f facts) names() []string {
	all := [factCount]string{
		"scheme", "host", "time", "method", "header", "cookie", "clientip", "continent", "country", "region", "proxy", "device",
	}
	var names []string
	for i, name := range all {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// needs collects what would have to be known.
type needs struct {
	facts facts
	other []string
}

func (n *needs) fact(f facts) verdict {
	n.facts |= f
	return unsure
}

func (n *needs) say(text string) verdict {
	if !slices.Contains(n.other, text) {
		n.other = append(n.other, text)
	}
	return unsure
}

func (n *needs) list() []string { return append(n.facts.names(), n.other...) }

// holds tells whether the rule applies to the request. The compiled expressions of its regex matches stand at their
// places in regexes; those that are missing are compiled. What an unsure verdict hangs on is added to n.
func (r *Rule) holds(regexes []*regexp.Regexp, q *Request, n *needs) verdict {
	result := yes
	and := func(v verdict) bool {
		result = min(result, v)
		return result != no
	}
	if r.Disabled || r.MatchURL != "" && !and(matchURL(r.MatchURL, q, n)) {
		return no
	}
	for i := range r.Matches {
		var re *regexp.Regexp
		if i < len(regexes) {
			re = regexes[i]
		}
		if !and(r.Matches[i].holds(re, q, n)) {
			return no
		}
	}
	if !and(r.inTime(q, n)) {
		return no
	}
	for _, name := range r.Unknown { // any of them may be a condition (D)
		and(n.say("member " + name))
	}
	return result
}

// inTime tells whether the rule is on at the request's time. Both ends belong to it (D).
func (r *Rule) inTime(q *Request, n *needs) verdict {
	if r.MatchesAlways || r.Start == 0 && r.End == 0 {
		return yes
	}
	if q.Time.IsZero() {
		return n.fact(factTime)
	}
	now := q.Time.Unix()
	return verdictOf(now >= r.Start && (r.End == 0 || now <= r.End))
}

// matchURL tells whether a rule's matchURL covers the request. D: scheme, host, path and query are compared one by one
// and without regard to case; a part that the matchURL does not have does not matter, but for a host alone, whose path
// is "/"; * stands for any run of characters of its part, and a host alone that ends in * is followed by any path; ? is
// only where the query begins.
func matchURL(text string, q *Request, n *needs) verdict {
	u := splitMatchURL(text)
	c := comparison{fold: true, star: true}
	if !c.match(u.path, q.Path) || u.hasQuery && !c.match(u.query, q.Query) {
		return no
	}
	result := yes
	if u.hasHost {
		result = min(result, knownMatch(c, u.host, q.Host, factHost, n))
	}
	if u.hasScheme {
		result = min(result, knownMatch(c, u.scheme, q.Scheme, factScheme, n))
	}
	return result
}

func splitMatchURL(text string) urlParts {
	u := splitURL(text)
	if u.hostAlone && strings.HasSuffix(u.host, "*") {
		u.path = "*"
	}
	return u
}

// knownMatch compares with a fact that is empty when unknown.
func knownMatch(c comparison, value, fact string, f facts, n *needs) verdict {
	if fact == "" && value != "*" {
		return n.fact(f)
	}
	return verdictOf(c.match(value, fact))
}

// holds tells whether the criterion holds, its negation counted.
func (m *Match) holds(re *regexp.Regexp, q *Request, n *needs) verdict {
	v := m.positive(re, q, n)
	if m.Negate {
		return yes - v
	}
	return v
}

func (m *Match) positive(re *regexp.Regexp, q *Request, n *needs) verdict {
	switch m.Operator {
	case "", opEquals, opContains, opExists:
	default:
		return n.say("operator " + m.Operator)
	}
	switch m.Type {
	case typeAll:
		return yes
	case typeHostname:
		return m.fact(m.hostComparison(), q.Host, factHost, n)
	case typePath:
		return m.known(m.textComparison(), q.Path, n)
	case typeExtension:
		return m.known(m.textComparison(), extension(q.Path), n)
	case typeProtocol:
		return m.fact(m.wordComparison(), q.Scheme, factScheme, n)
	case typeMethod:
		return m.fact(m.wordComparison(), q.Method, factMethod, n)
	case typeContinent:
		return m.fact(m.wordComparison(), q.Continent, factContinent, n)
	case typeCountry:
		return m.fact(m.wordComparison(), q.Country, factCountry, n)
	case typeRegion:
		return m.fact(m.wordComparison(), q.Region, factRegion, n)
	case typeProxy:
		return m.proxy(q, n)
	case typeClientIP, typeClientIP6:
		return m.clientIP(q, n)
	case typeRegex:
		return m.regex(re, q, n)
	case typeQuery, typeCookie, typeHeader, typeDevice:
		return m.named(q, n)
	default:
		return n.say("match type " + m.Type)
	}
}

// textComparison is for values that are any text: equals compares the whole and knows no wildcards, contains is
// unanchored and knows both. An object says itself whether its values have wildcards and whether their case matters (D).
func (m *Match) textComparison() comparison {
	contains := m.Operator == opContains
	c := comparison{fold: !m.CaseSensitive, star: contains, question: contains, floatStart: contains, floatEnd: contains}
	if m.Object != nil && m.Object.Type == typeObject {
		c.fold = !m.Object.ValueCaseSensitive
		c.star, c.question = m.Object.ValueHasWildcard, m.Object.ValueHasWildcard
	}
	return c
}

// hostComparison: case never matters for a host (D), and * is always a wildcard.
func (m *Match) hostComparison() comparison {
	c := m.textComparison()
	c.fold, c.star = true, true
	return c
}

// wordComparison is for values out of a list, such as GET or US: whole values, whatever the operator, for the API's own
// sample asks for protocol "contains" http and means http alone; contains allows wildcards; case never matters (D).
func (m *Match) wordComparison() comparison {
	c := m.textComparison()
	c.fold, c.floatStart, c.floatEnd = true, false, false
	return c
}

// fact is known for a fact that is empty when unknown.
func (m *Match) fact(c comparison, fact string, f facts, n *needs) verdict {
	if fact == "" {
		return n.fact(f)
	}
	return m.known(c, fact, n)
}

// known compares each of the match's values with text.
func (m *Match) known(c comparison, text string, n *needs) verdict {
	if m.Operator == opExists {
		return verdictOf(text != "")
	}
	if v := m.strange(n); v != yes {
		return v
	}
	for value := range m.values() {
		if c.match(value, text) {
			return yes
		}
	}
	return no
}

// strange is unsure for a match without values, or with values that this package cannot read; else yes.
func (m *Match) strange(n *needs) verdict {
	o := m.Object
	if o == nil {
		if strings.Trim(m.Value, " ") == "" {
			return n.say("match value")
		}
		return yes
	}
	if o.Type != typeObject && o.Type != typeSimple {
		return n.say("match value of type " + o.Type)
	}
	if len(o.Values) == 0 {
		return n.say("match value")
	}
	if o.ValueEscaped && slices.ContainsFunc(o.Values, func(v string) bool { return strings.Contains(v, "%") }) {
		return n.say("valueEscaped") // no document says what it is
	}
	return yes
}

// values gives the alternatives of a match: those of its object, or the space-separated ones of its value.
func (m *Match) values() iter.Seq[string] {
	return func(yield func(string) bool) {
		if m.Object != nil {
			for _, value := range m.Object.Values {
				if !yield(value) {
					return
				}
			}
			return
		}
		for value, rest := cutValue(m.Value); value != ""; value, rest = cutValue(rest) {
			if !yield(value) {
				return
			}
		}
	}
}

// cutValue cuts the first of several space-separated values off; it is empty when there is none. A backslash before a
// space makes it part of the value (D, from the spreadsheet's syntax).
func cutValue(text string) (value, rest string) {
	text = strings.TrimLeft(text, " ")
	end := strings.IndexByte(text, ' ')
	if end < 0 {
		return text, ""
	}
	if end == 0 || text[end-1] != '\\' {
		return text[:end], text[end+1:]
	}
	for end > 0 && text[end-1] == '\\' {
		next := strings.IndexByte(text[end+1:], ' ')
		if next < 0 {
			end = len(text)
			break
		}
		end += 1 + next
	}
	return strings.ReplaceAll(text[:end], `\ `, " "), text[min(end+1, len(text)):]
}

// extension is what stands behind the last dot of the last segment of a path.
func extension(path string) string {
	last := path[strings.LastIndexByte(path, '/')+1:]
	dot := strings.LastIndexByte(last, '.')
	if dot < 0 {
		return ""
	}
	return last[dot+1:]
}
