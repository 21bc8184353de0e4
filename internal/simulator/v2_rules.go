package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// addRule puts one rule into a version at an index, or at its end (Cloudlets API v2, Add a version rule).
func (s *Server) addRule(c *call) (*reply, error) {
	p, v, rules, err := s.openRules(c)
	if err != nil {
		return nil, err
	}
	accepted, wrong := acceptRules(p.code, append(append([]byte("["), c.body...), ']'), fmt.Sprintf("%d/%d/%d", p.id, v.number, len(rules)), false)
	if wrong != nil {
		return nil, invalid("%s: %s", wrong.pointer, wrong.detail)
	}
	index := len(rules)
	if text := c.query.Get("index"); text != "" {
		if index, err = strconv.Atoi(text); err != nil || index < 0 || index > len(rules) {
			return nil, invalid("index must be between 0 and %d", len(rules))
		}
	}
	if len(rules) >= maxRules {
		return nil, tooManyRules(len(rules) + 1)
	}
	added := accepted[0][0]
	s.account.holdVersion(p, v).rules = ruleList{slices.Insert(rules, index, added)}
	s.account.touchLegacy(p, v)
	return &reply{status: http.StatusCreated, body: chunks{located(p, v, added)}}, nil
}

// openRules is a version that may be edited, and a copy of its rules without locations.
func (s *Server) openRules(c *call) (*policy, *version, []rule, error) {
	p, v, err := s.versionOf(c, &s.account.legacy)
	if err != nil {
		return nil, nil, nil, err
	}
	if c.body, err = compact(c.body); err != nil {
		return nil, nil, nil, invalid("Request body cannot be read: %v", err)
	}
	held := s.account.viewVersion(p, v)
	if held.doc.is("rulesLocked") {
		return nil, nil, nil, conflict("The rules of policy %d version %d are locked", p.id, v.number)
	}
	return p, v, held.rules.unlocated().all(), nil
}

func located(p *policy, v *version, r rule) []byte {
	if r.located {
		return r.text
	}
	return append(fmt.Appendf(nil, `{"location":"%s%s",`, locationOf(p.id, v.number), r.aka), r.text[1:]...)
}

func (s *Server) getRule(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.legacy)
	if err != nil {
		return nil, err
	}
	for _, r := range s.account.viewVersion(p, v).rules.all() {
		if string(r.aka) == c.args[2] {
			return ok(located(p, v, r)), nil
		}
	}
	return nil, notFound("Rule %s not found in Policy %d Version %d", c.args[2], p.id, v.number)
}

// updateRule replaces the members sent (Cloudlets API v2, Update a version rule).
func (s *Server) updateRule(c *call) (*reply, error) {
	p, v, rules, err := s.openRules(c)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rules, func(r rule) bool { return string(r.aka) == c.args[2] })
	if i < 0 {
		return nil, notFound("Rule %s not found in Policy %d Version %d", c.args[2], p.id, v.number)
	}
	change, err := c.object()
	if err != nil {
		return nil, err
	}
	merged := splitObject(rules[i].text)
	for _, m := range change.without("akaRuleId") {
		merged = merged.set(m.key, m.value)
	}
	if wrong := checkRule(p.code, merged, "/", false); wrong != nil {
		return nil, invalid("%s: %s", wrong.pointer, wrong.detail)
	}
	rules[i] = rule{text: merged.bytes(), aka: rules[i].aka}
	s.account.holdVersion(p, v).rules = ruleList{rules}
	s.account.touchLegacy(p, v)
	return ok(located(p, v, rules[i])), nil
}
