package redirect

import "strings"

// Literals gives the literal paths that a rule can match, as the rule writes them, and true, when it can match no
// others: the path of a matchURL without "*", or the values of a path match that is equals and not negated. Else false.
func (r *Rule) Literals() ([]string, bool) {
	if r.MatchURL != "" && strings.IndexByte(r.MatchURL, '*') < 0 {
		return []string{splitURL(r.MatchURL).path}, true
	}
	for i := range r.Matches {
		if values, ok := r.Matches[i].literals(typePath); ok {
			return values, true
		}
	}
	return nil, false
}

// Hosts gives the literal hosts that a rule asks for, as the rule writes them, and true when it asks for no others:
// that of its matchURL, or the values of a hostname match that is equals, not negated and without wildcards.
func (r *Rule) Hosts() ([]string, bool) {
	if r.MatchURL != "" {
		if u := splitURL(r.MatchURL); u.hasHost && strings.IndexByte(u.host, '*') < 0 {
			return []string{u.host}, true
		}
	}
	for i := range r.Matches {
		values, ok := r.Matches[i].literals(typeHostname)
		if ok && strings.IndexByte(strings.Join(values, ""), '*') < 0 {
			return values, true
		}
	}
	return nil, false
}

// literals gives the values of a match of a type that is true for one of them and for nothing else, wildcards in the
// values of a hostname match apart.
func (m *Match) literals(matchType string) ([]string, bool) {
	if m.Type != matchType || m.Negate || m.Operator != "" && m.Operator != opEquals {
		return nil, false
	}
	if o := m.Object; o != nil && o.ValueHasWildcard {
		return nil, false
	}
	if m.strange(&needs{}) != yes {
		return nil, false
	}
	if m.Object == nil && strings.IndexByte(m.Value, ' ') < 0 {
		return []string{m.Value}, true
	}
	var values []string
	for value := range m.values() {
		values = append(values, value)
	}
	return values, true
}

// parameter is a query criterion that pins the value of one parameter: the request must have one of the values.
type parameter struct {
	name   string
	values []string
}

// parameters gives the query criteria of a rule that pin a value.
func (r *Rule) parameters() []parameter {
	var all []parameter
	for i := range r.Matches {
		m := &r.Matches[i]
		if m.Type != typeQuery || m.Negate || m.Object != nil || m.Operator != "" && m.Operator != opEquals {
			continue
		}
		t, v := m.pairTest(&needs{})
		if v != yes || t.anyValue {
			continue
		}
		values := []string{t.first}
		for value, rest := cutValue(t.rest); value != ""; value, rest = cutValue(rest) {
			values = append(values, value)
		}
		all = append(all, parameter{t.wantName, values})
	}
	return all
}
