package simulator

import (
	"fmt"
	"net/http"
	"strconv"
)

// rulesOf takes the rules of a version's request body: nil and false when it names none.
func (s *Server) rulesOf(p *policy, body object, salt string) (ruleList, bool, error) {
	text := body.get("matchRules")
	switch {
	case text == nil:
		return nil, false, nil
	case string(text) == "null" && !p.shared:
		return ruleList{{}}, true, nil
	case text[0] != '[':
		return nil, false, invalidField("matchRules", text, "Expected array, but got %s", kindOf(text))
	}
	rules, wrong := acceptRules(p.code, text, salt, s.opt.StrictRules && p.shared)
	if wrong != nil {
		return nil, false, invalid("%s: %s", wrong.pointer, wrong.detail)
	}
	if n := rules.count(); n > maxRules {
		return nil, false, tooManyRules(n)
	}
	return rules, true, nil
}

// createLegacyVersion makes the next version; what the body leaves out is that of cloneVersion, if given (Cloudlets API
// v2, Create a new policy version). Deleted versions can be cloned.
func (s *Server) createLegacyVersion(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	if err := checkDescription(body); err != nil {
		return nil, err
	}
	rules, given, err := s.rulesOf(p, body, fmt.Sprintf("%d/%d", p.id, p.next()))
	if err != nil {
		return nil, err
	}
	description := body.get("description")
	if text := c.query.Get("cloneVersion"); text != "" {
		n, _ := strconv.ParseInt(text, 10, 64)
		v := p.version(n)
		if v == nil {
			return nil, notFound("Policy Version %s not found in Policy %d", text, p.id)
		}
		from := s.account.viewVersion(p, v)
		if !given {
			rules, given = from.rules.unlocated(), true
		}
		if description == nil {
			description = from.doc.get("description")
		}
	}
	if !given {
		rules = ruleList{{}}
	}
	if description == nil {
		description = []byte(`""`)
	}
	v := s.account.addLegacyVersion(p, description, rules)
	return &reply{status: http.StatusCreated, body: s.renderVersion(c, p, v)}, nil
}

// updateLegacyVersion changes description and rules; a deleted version comes back to life (Cloudlets API v2, Update a
// policy version and Locking rules).
func (s *Server) updateLegacyVersion(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.legacy)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	if err := checkDescription(body); err != nil {
		return nil, err
	}
	a := s.account
	if a.viewVersion(p, v).doc.is("rulesLocked") {
		return nil, conflict("The rules of policy %d version %d are locked", p.id, v.number)
	}
	rules, given, err := s.rulesOf(p, body, fmt.Sprintf("%d/%d", p.id, v.number))
	if err != nil {
		return nil, err
	}
	held := a.holdVersion(p, v)
	if given {
		held.rules = rules
	}
	if body.has("description") {
		held.doc = held.doc.copied().set("description", body.get("description"))
	}
	a.touchLegacy(p, v)
	return ok(s.renderVersion(c, p, v)...), nil
}

// touchLegacy records an edit: a new revision, author and date, and no deletion.
func (a *Account) touchLegacy(p *policy, v *version) {
	held := a.holdVersion(p, v)
	v.deleted = false
	doc := held.doc.copied().set("revisionId", number(a.revision())).set("lastModifiedBy", quote(a.user))
	doc = doc.set("lastModifiedDate", number(a.clock().UnixMilli()))
	if doc.has("deleted") {
		doc = doc.set("deleted", []byte("false"))
	}
	if !doc.has("matchRules") {
		doc = doc.set("matchRules", nil)
	}
	held.doc = doc
}

// deleteLegacyVersion hides a version, active or not (Cloudlets API v2, Remove a policy version).
func (s *Server) deleteLegacyVersion(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.legacy)
	if err != nil {
		return nil, err
	}
	if v.deleted {
		return nil, notFound("Policy Version %d not found in Policy %d", v.number, p.id)
	}
	s.account.markVersion(p, v, true)
	return &reply{status: http.StatusNoContent}, nil
}

func (a *Account) markVersion(p *policy, v *version, deleted bool) {
	held := a.holdVersion(p, v)
	v.deleted = deleted
	held.doc = held.doc.copied().set("deleted", truth(deleted))
}
