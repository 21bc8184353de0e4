package convert

import (
	"net/netip"
	"strings"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// The match types and operators of rules (Cloudlets API v2, Match type property).
const (
	typeProtocol  = "protocol"
	typeHostname  = "hostname"
	typePath      = "path"
	typeQuery     = "query"
	typeRegex     = "regex"
	typeCookie    = "cookie"
	typeHeader    = "header"
	typeExtension = "extension"
	typeMethod    = "method"
	opEquals      = "equals"
	opContains    = "contains"
	opExists      = "exists"
)

// criterion is a column that becomes matches of one type.
type criterion struct {
	column sheet.Column
	kind   string // the match type
	and    bool   // `v1 & v2` is two matches
	geo    bool   // `;` and where the address comes from may follow
}

// criteria are the columns that become matches, in the order in which their matches stand in a rule.
var criteria = []criterion{ //nolint:gochecknoglobals // a table that is only read
	{sheet.SchemeColumn, typeProtocol, false, false},
	{sheet.HostColumn, typeHostname, true, false},
	{sheet.PathColumn, typePath, true, false},
	{sheet.ExtensionColumn, typeExtension, true, false},
	{sheet.QueryColumn, typeQuery, true, false},
	{sheet.CookieColumn, typeCookie, true, false},
	{sheet.HeaderColumn, typeHeader, true, false},
	{sheet.MethodColumn, typeMethod, false, false},
	{sheet.ClientIPColumn, "clientip", false, true},
	{sheet.ClientIPv6Column, "clientipv6", false, true},
	{sheet.ProxyColumn, typeProxy, false, true},
	{sheet.DeviceColumn, "deviceCharacteristics", false, false},
	{sheet.ContinentColumn, "continent", false, true},
	{sheet.CountryColumn, "countrycode", false, true},
	{sheet.RegionColumn, "regioncode", false, true},
}

// maxConditions is how many conditions a rule can have (D: no document names a number; people ask for a handful).
const maxConditions = 100

func tooMany(column sheet.Column) *finding {
	return reject(codeTooLong, column, "more than %d conditions in one rule", maxConditions)
}

// criteriaMatches turns the criteria columns of a row into matches.
func criteriaMatches(row *sheet.Row, to []redirect.Match) ([]redirect.Match, *finding) {
	for _, c := range criteria {
		cell := row.Cell(c.column)
		if cell == "" {
			continue
		}
		parts := []string{cell}
		if c.and {
			if len(to)+strings.Count(cell, " & ") >= maxConditions {
				return to, tooMany(c.column)
			}
			parts = strings.Split(" "+cell+" ", " & ") // a & at either end has nothing beside it
		}
		for _, part := range parts {
			m, bad := c.match(strings.TrimSpace(part))
			if bad != nil {
				return to, bad
			}
			to = append(to, m)
		}
		if len(to) > maxConditions {
			return to, tooMany(c.column)
		}
	}
	return to, repeatedParameter(to)
}

// repeatedParameter refuses two conditions on one parameter of the query, which never match (Cloudlets API v2, Match
// types that support multiple values). The matches are maxConditions at most, so that every pair can be looked at.
func repeatedParameter(matches []redirect.Match) *finding {
	for i := range matches {
		for j := range i {
			a, b := &matches[i], &matches[j]
			if a.Type != typeQuery || b.Type != typeQuery || a.Negate || b.Negate {
				continue
			}
			name, _, _ := strings.Cut(a.Value, "=")
			if other, _, _ := strings.Cut(b.Value, "="); sameFold(name, other) {
				return reject(codeQueryRepeats, sheet.QueryColumn, "there are two conditions on the parameter %s, which never match: give its values in one, %s=a b", shown(name), name)
			}
		}
	}
	return nil
}

// match turns one condition of a cell into a match: marks for negation and case, then values between blanks.
func (c criterion) match(text string) (redirect.Match, *finding) {
	m := redirect.Match{Type: c.kind, Operator: opEquals}
	for text != "" && (text[0] == '!' && !m.Negate || text[0] == ':' && !m.CaseSensitive) { // either order (no document says which)
		if text[0] == '!' {
			m.Negate = true
		} else {
			m.CaseSensitive = true
		}
		text = text[1:]
	}
	if c.geo {
		var ips string
		if text, ips, _ = strings.Cut(text, ";"); ips != "" {
			m.CheckIPs = strings.Join(strings.Fields(ips), " ")
			for source := range strings.FieldsSeq(ips) {
				if source != "CONNECTING_IP" && source != "XFF_HEADERS" {
					return m, reject(codeBadCell, c.column, "%s is no source of an address: CONNECTING_IP or XFF_HEADERS", shown(source))
				}
			}
		}
	}
	values, stars := splitValues(text)
	if len(values) == 0 {
		return m, reject(codeBadCell, c.column, "%s names no value", shown(text))
	}
	if stars == mixedStars {
		return m, reject(codeBadCell, c.column, "%s: a match has wildcards or none; \\* and \\? are none", shown(text))
	}
	return c.fill(m, values, stars)
}

// fill completes a match with its values.
func (c criterion) fill(m redirect.Match, values []string, stars stars) (redirect.Match, *finding) {
	if bad := c.checkVisitor(values); bad != nil {
		return m, bad
	}
	switch c.kind {
	case typeProtocol:
		m = contained(m, values, stars)
		if m.Value = lower(m.Value); m.Value != "http" && m.Value != "https" {
			return m, reject(codeBadCell, c.column, "%s: give http or https", shown(strings.Join(values, " ")))
		}
		return m, nil
	case typeMethod:
		for i := range values {
			values[i] = strings.ToUpper(values[i])
		}
		if len(values) > 1 {
			m.Object = &redirect.Object{Type: "simple", Values: values}
			return m, nil
		}
	case typePath:
		if bad := checkPaths(values, stars); bad != nil {
			return m, bad
		}
	case typeHostname, typeExtension:
		if bad := c.checkNames(values); bad != nil {
			return m, bad
		}
	case typeHeader:
		return namedMatch(m, values, stars, c.column)
	case typeCookie, typeQuery:
		if name, _, _ := strings.Cut(values[0], "="); name == "" {
			return m, reject(codeBadCell, c.column, "%s names nothing before the =", shown(values[0]))
		}
		if c.kind == typeCookie && spaced(values) {
			return namedMatch(m, values, stars, c.column)
		}
	}
	for i := range values {
		values[i] = strings.ReplaceAll(values[i], " ", "%20") // a bare blank separates values
	}
	return contained(m, values, stars), nil
}

// checkPaths refuses whole paths that there cannot be.
func checkPaths(values []string, stars stars) *finding {
	for _, v := range values {
		if stars != wildStars && !strings.HasPrefix(v, "/") {
			return reject(codeBadCell, sheet.PathColumn, "%s can be no path, for it does not begin with /; between two * it is looked for anywhere", shown(v))
		}
	}
	return nil
}

// checkNames refuses hosts and extensions that there cannot be, and takes the dot off extensions.
func (c criterion) checkNames(values []string) *finding {
	for i, v := range values {
		if c.kind == typeExtension {
			if values[i] = strings.TrimPrefix(v, "."); strings.ContainsAny(values[i], "./") {
				return reject(codeBadCell, c.column, "%s can be no extension, which is what follows the last dot", shown(v))
			}
		} else if at := badHostByte(lower(v)); at >= 0 {
			return reject(codeBadCell, c.column, "%s can be no host: %q is not possible in its name", shown(v), v[at])
		}
	}
	return nil
}

// checkVisitor refuses values that no visitor can have, and writes codes in capitals.
func (c criterion) checkVisitor(values []string) *finding {
	for i, v := range values {
		switch c.kind {
		case "continent", "countrycode":
			values[i] = strings.ToUpper(v)
			if len(v) != 2 || !isLetter(v[0]) || !isLetter(v[1]) {
				return reject(codeBadCell, c.column, "%s is no code of two letters", shown(v))
			}
		case "clientip", "clientipv6":
			_, err := netip.ParseAddr(v)
			if _, netErr := netip.ParsePrefix(v); err != nil && netErr != nil {
				return reject(codeBadCell, c.column, "%s is neither an IP address nor a CIDR block", shown(v))
			}
		case typeProxy:
			if v != "anonymous" && v != "transparent" && v != bothProxies {
				return reject(codeBadCell, c.column, "%s: give anonymous, transparent or both", shown(v))
			}
		}
	}
	return nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// contained sets the operator: contains where there are wildcards, whose values are looked for anywhere. *v* looks for v.
// Of hosts alone, another * is a wildcard in any case.
func contained(m redirect.Match, values []string, stars stars) redirect.Match {
	if stars == wildStars {
		bare, wrapped := unwrap(values)
		switch {
		case wrapped:
			m.Operator, values = opContains, bare
		case m.Type != typeHostname:
			m.Operator = opContains
		}
	}
	m.Value = strings.Join(values, " ")
	return m
}

// unwrap takes the * from both ends of all values; it is false where one has another wildcard, or not both.
func unwrap(values []string) ([]string, bool) {
	bare := make([]string, 0, len(values))
	for _, v := range values {
		inner, begins := strings.CutPrefix(v, "*")
		inner, ends := strings.CutSuffix(inner, "*")
		if !begins || !ends || inner == "" || strings.ContainsAny(inner, "*?") {
			return nil, false
		}
		bare = append(bare, inner)
	}
	return bare, true
}

// namedMatch makes the match of a header, or of a cookie with a blank in its value: name=value1 value2, as an object.
func namedMatch(m redirect.Match, values []string, stars stars, column sheet.Column) (redirect.Match, *finding) {
	name, first, valued := strings.Cut(values[0], "=")
	if name = strings.TrimSuffix(strings.TrimSpace(name), ":"); name == "" {
		return m, reject(codeBadCell, column, "%s names nothing before the =", shown(values[0]))
	}
	o := &redirect.Object{Type: "object", Name: name}
	m.Object = o
	if !valued {
		if len(values) > 1 {
			return m, reject(codeBadCell, column, "%s: write name=value1 value2", shown(strings.Join(values, " ")))
		}
		m.Operator = opExists
		return m, nil
	}
	values[0] = first
	if o.ValueHasWildcard = stars == wildStars; o.ValueHasWildcard {
		m.Operator = opContains
	}
	o.Values, o.ValueCaseSensitive = values, m.CaseSensitive
	return m, nil
}

// stars says what the * and ? of a cell are.
type stars int

const (
	noStars      stars = iota
	wildStars          // wildcards
	literalStars       // themselves: \* and \?
	mixedStars
)

// splitValues cuts a cell at its blanks. A backslash makes a blank, a * or a ? a part of a value (the last two: D).
func splitValues(text string) ([]string, stars) {
	if !strings.ContainsAny(text, `\*?`) {
		return strings.Fields(text), noStars
	}
	var values []string
	var value []byte
	begun := false
	found := noStars
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && strings.IndexByte(" *?", text[i+1]) >= 0:
			i++
			value, begun = append(value, text[i]), true
			if text[i] != ' ' {
				found |= literalStars
			}
		case c == ' ' || c == '\t':
			if begun {
				values, value, begun = append(values, string(value)), nil, false
			}
		default:
			value, begun = append(value, c), true
			if c == '*' || c == '?' {
				found |= wildStars
			}
		}
	}
	if begun {
		values = append(values, string(value))
	}
	return values, found
}

// starred reports whether a cell has a * that is a wildcard.
func starred(cell string) bool {
	for i := 0; i < len(cell); i++ {
		switch cell[i] {
		case '*':
			return true
		case '\\':
			i++
		}
	}
	return false
}

func spaced(values []string) bool {
	for _, v := range values {
		if strings.Contains(v, " ") {
			return true
		}
	}
	return false
}
