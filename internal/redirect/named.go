package redirect

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// pairTest tests pairs of name and value: query parameters, cookies, headers, device characteristics.
type pairTest struct {
	name, value comparison
	wantName    string
	anyValue    bool
	first, rest string   // of a matchValue: its first value, and the text behind it
	list        []string // of an object
	fromList    bool
}

// pairTest reads "name=v1 v2", "name" (present with any value), "name=" (present and empty), or an object. It is not
// yes when there is something that this package cannot read.
func (m *Match) pairTest(n *needs) (pairTest, verdict) {
	t := pairTest{value: m.textComparison()}
	if o := m.Object; o != nil {
		if o.Type != typeObject {
			return t, n.say("match value of type " + o.Type)
		}
		t.wantName, t.list, t.fromList = o.Name, o.Values, true
		t.name = comparison{fold: !o.NameCaseSensitive, star: o.NameHasWildcard, question: o.NameHasWildcard}
		t.anyValue = m.Operator == opExists || len(o.Values) == 0
		if !t.anyValue {
			return t, m.strange(n)
		}
		return t, yes
	}
	first, rest := cutValue(m.Value)
	name, value, hasValue := strings.Cut(first, "=")
	t.name = comparison{fold: !m.CaseSensitive}
	t.wantName, t.first, t.rest, t.anyValue = name, value, rest, !hasValue || m.Operator == opExists
	if name == "" || !hasValue && strings.Trim(rest, " ") != "" {
		return t, n.say("match value " + m.Value)
	}
	return t, yes
}

func (t *pairTest) pair(name, value string) bool {
	return t.name.match(t.wantName, name) && (t.anyValue || t.values(value))
}

func (t *pairTest) values(have string) bool {
	if t.fromList {
		for _, value := range t.list {
			if t.one(value, have) {
				return true
			}
		}
		return false
	}
	if t.one(t.first, have) {
		return true
	}
	for value, rest := cutValue(t.rest); value != ""; value, rest = cutValue(rest) {
		if t.one(value, have) {
			return true
		}
	}
	return false
}

// one compares one value; an empty one asks for an empty one, whatever the operator.
func (t *pairTest) one(value, have string) bool {
	if value == "" {
		return have == ""
	}
	return t.value.match(value, have)
}

// named is for the match types whose value has a name. D: parameters are those between "&", compared as written, so
// that "+" and "%20" differ; a parameter without "=" has the empty value.
func (m *Match) named(q *Request, n *needs) verdict {
	if m.Type == typeQuery && m.Object == nil && m.Value == "" && m.Operator == opExists {
		return verdictOf(q.Query != "")
	}
	t, v := m.pairTest(n)
	if v != yes {
		return v
	}
	switch m.Type {
	case typeQuery:
		for param := range strings.SplitSeq(q.Query, "&") {
			name, value, _ := strings.Cut(param, "=")
			if param != "" && t.pair(name, value) {
				return yes
			}
		}
	case typeCookie:
		if q.Cookie == nil {
			return n.fact(factCookie)
		}
		for name, value := range q.Cookie {
			if t.pair(name, value) {
				return yes
			}
		}
	case typeHeader:
		if q.Header == nil {
			return n.fact(factHeader)
		}
		t.name.fold = true // the names of headers have no case
		return verdictOf(t.header(q.Header))
	default:
		return t.device(q.Device, n)
	}
	return no
}

func (t *pairTest) header(header map[string][]string) bool {
	for name, values := range header {
		for _, value := range values {
			if t.pair(name, value) {
				return true
			}
		}
	}
	return false
}

func (t *pairTest) device(device map[string]string, n *needs) verdict {
	known := false
	for name, value := range device {
		if t.name.match(t.wantName, name) {
			known = true
			if t.anyValue || t.values(value) {
				return yes
			}
		}
	}
	if !known {
		return n.fact(factDevice)
	}
	return no
}

// proxy: the value both is either kind (D).
func (m *Match) proxy(q *Request, n *needs) verdict {
	v := m.fact(m.wordComparison(), q.Proxy, factProxy, n)
	if v != no {
		return v
	}
	for value := range m.values() {
		if equalFold(value, "both") && (equalFold(q.Proxy, "anonymous") || equalFold(q.Proxy, "transparent")) {
			return yes
		}
	}
	return no
}

// clientIP: every value is an address or a CIDR block.
func (m *Match) clientIP(q *Request, n *needs) verdict {
	if q.ClientIP == "" {
		return n.fact(factClientIP)
	}
	addr, err := netip.ParseAddr(q.ClientIP)
	if err != nil {
		return n.say("clientip " + q.ClientIP)
	}
	if m.Operator == opExists {
		return yes
	}
	if v := m.strange(n); v != yes {
		return v
	}
	addr = addr.Unmap().WithZone("")
	bad := ""
	for value := range m.values() {
		block, ok := parseBlock(value)
		if !ok {
			bad = value
		} else if block.Contains(addr) {
			return yes
		}
	}
	if bad != "" {
		return n.say("match value " + bad)
	}
	return no
}

func parseBlock(text string) (netip.Prefix, bool) {
	block, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return block, false
		}
		block = netip.PrefixFrom(addr, addr.BitLen())
	}
	if a := block.Addr(); a.Is4In6() {
		if block.Bits() < 96 {
			return block, false
		}
		block = netip.PrefixFrom(a.Unmap(), block.Bits()-96)
	}
	return block, true
}

// regex looks in the whole URL, unanchored, in RE2 syntax. Since that begins with scheme and host, both must be known.
func (m *Match) regex(re *regexp.Regexp, q *Request, n *needs) verdict {
	if m.Object != nil || m.Value == "" {
		return n.say("match value")
	}
	if q.Scheme == "" || q.Host == "" {
		if q.Scheme == "" {
			n.fact(factScheme)
		}
		if q.Host == "" {
			n.fact(factHost)
		}
		return unsure
	}
	if re == nil {
		var err error
		if re, err = m.compile(); err != nil {
			return n.say("regex " + m.Value)
		}
	}
	return verdictOf(re.MatchString(q.URL()))
}

// compile is the regular expression of a regex match.
func (m *Match) compile() (*regexp.Regexp, error) {
	expr := m.Value
	if !m.CaseSensitive {
		expr = "(?i:" + expr + ")"
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("regex %q: %w", m.Value, err)
	}
	return re, nil
}
