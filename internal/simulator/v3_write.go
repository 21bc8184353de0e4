package simulator

import (
	"fmt"
	"net/http"
	"slices"
)

// createShared makes a policy without versions (Cloudlets API v3, Create a policy; terraform-provider-akamai issue 611).
func (s *Server) createShared(c *call) (*reply, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	if err := checkName(body); err != nil {
		return nil, err
	}
	if err := checkDescription(body); err != nil {
		return nil, err
	}
	kind, known := typeByCode(body.text("cloudletType"))
	switch {
	case !known || kind.shared == "":
		return nil, invalidField("cloudletType", body.get("cloudletType"), "cloudletType must be one of AP, AS, CD, ER, FR, IG, VWR")
	case !body.null("policyType") && body.text("policyType") != "SHARED":
		return nil, invalidField("policyType", body.get("policyType"), "policyType must be SHARED")
	}
	group, err := s.groupOf(body, kind.code)
	if err != nil {
		return nil, err
	}
	a := s.account
	if other := a.shared.named(body.text("name")); other != nil {
		return nil, nameTaken(a.view(other).doc)
	}
	p := a.createShared(kind, group, body.text("name"), body.get("description"))
	return &reply{status: http.StatusCreated, body: chunks{a.view(p).doc.bytes()}}, nil
}

func (s *Server) groupOf(body object, code string) (int64, error) {
	group, _ := body.number("groupId")
	if group <= 0 {
		return 0, invalidField("groupId", body.get("groupId"), "groupId must be above 0")
	}
	if !s.account.hasGroup(group) || slices.Contains(s.opt.DeniedGroups, group) {
		return 0, denied("You don't have edit capability for the Cloudlet %s in group %d", code, group)
	}
	return group, nil
}

func (a *Account) createShared(kind cloudletType, group int64, name string, description []byte) *policy {
	now := quote(isoTime(a.clock()))
	p := &policy{id: a.nextPolicy, shared: true, name: name, code: kind.code, group: group}
	if description == nil {
		description = []byte("null")
	}
	p.held = &heldPolicy{doc: template(`{"cloudletType":%q,"createdBy":%s,"createdDate":%s,"description":%s,"groupId":%d,"id":%d,`+
		`"modifiedBy":%s,"modifiedDate":%s,"name":%s,"policyType":"SHARED","currentActivations":{"production":{"latest":null,`+
		`"effective":null},"staging":{"latest":null,"effective":null}},"links":[{"href":"/cloudlets/v3/policies/%d","rel":"self"}]}`,
		kind.code, quote(a.user), now, description, group, p.id, quote(a.user), now, quote(name), p.id)}
	a.addPolicy(p)
	return p
}

// updateShared changes description and group; the name stays (Cloudlets API v3, Update a policy).
func (s *Server) updateShared(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
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
	if !body.null("name") && body.text("name") != p.name {
		return nil, invalidField("name", body.get("name"), "name cannot be changed")
	}
	group, err := s.groupOf(body, p.code)
	if err != nil {
		return nil, err
	}
	held := s.account.hold(p)
	doc := held.doc.copied().set("groupId", number(group))
	if body.has("description") {
		doc = doc.set("description", body.get("description"))
	}
	p.group = group
	held.doc = doc.set("modifiedBy", quote(s.account.user)).set("modifiedDate", quote(isoTime(c.now)))
	return ok(held.doc.bytes()), nil
}

// deleteShared removes a policy for good, unless a version is active or being activated (Cloudlets API v3, Remove a policy).
func (s *Server) deleteShared(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	if s.account.isLive(p) {
		return nil, conflict("Policy %d has a version that is active or being activated", p.id)
	}
	s.account.shared.remove(p.id)
	return &reply{status: http.StatusNoContent}, nil
}

// checkShared wants a description that is not null (Cloudlets API v3, Error responses).
func checkShared(body object) error {
	if body.null("description") {
		return invalidField("description", body.get("description"), "description must not be null")
	}
	return checkDescription(body)
}

func (s *Server) createSharedVersion(c *call) (*reply, error) {
	p, err := s.sharedOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	if err := checkShared(body); err != nil {
		return nil, err
	}
	rules, given, err := s.rulesOf(p, body, fmt.Sprintf("%d/%d", p.id, p.next()))
	switch {
	case err != nil:
		return nil, err
	case !given:
		return nil, invalidField("matchRules", nil, "matchRules must not be null")
	}
	v := s.account.addSharedVersion(p, p.next(), body.get("description"), rules)
	return &reply{status: http.StatusCreated, body: s.renderVersion(c, p, v)}, nil
}

func (a *Account) addSharedVersion(p *policy, n int64, description []byte, rules ruleList) *version {
	now := quote(isoTime(a.clock()))
	doc := template(`{"createdBy":%s,"createdDate":%s,"modifiedBy":%s,"modifiedDate":%s,"description":%s,"id":%d,"immutable":false,`+
		`"policyId":%d,"version":%d,"matchRulesWarnings":%s,"matchRules":0}`,
		quote(a.user), now, quote(a.user), now, description, a.revision(), p.id, n, warnings(rules))
	p.versions = append(p.versions, version{number: n, held: &heldVersion{doc: doc.set("matchRules", nil), rules: rules}})
	return &p.versions[len(p.versions)-1]
}

// warnings is one warning when two rules have the same name (Cloudlets API v3, Version members).
func warnings(rules ruleList) []byte {
	seen := map[string]bool{}
	for i, r := range rules.all() {
		if r.text[0] != '{' {
			continue
		}
		name := splitObject(r.text).text("name")
		if name != "" && seen[name] {
			return list([][]byte{template(`{"detail":%s,"title":"Duplicate rule name",`+
				`"type":"/cloudlets/v3/warning-types/duplicate-name","jsonPointer":"/matchRules/%d/name"}`,
				quote("The name "+name+" is used more than once"), i).bytes()}).joined()
		}
		seen[name] = true
	}
	return []byte("[]")
}

// updateSharedVersion changes a version that was never activated (Cloudlets API v3, Update a policy version).
func (s *Server) updateSharedVersion(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.shared)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	a := s.account
	if a.viewVersion(p, v).doc.is("immutable") {
		return nil, conflict("Policy Version %d of Policy %d is immutable, it was activated at least once", v.number, p.id)
	}
	if err := checkShared(body); err != nil {
		return nil, err
	}
	rules, given, err := s.rulesOf(p, body, fmt.Sprintf("%d/%d", p.id, v.number))
	if err != nil {
		return nil, err
	}
	held := a.holdVersion(p, v)
	held.doc = held.doc.copied().set("description", body.get("description"))
	if given {
		held.rules = rules
		held.doc = held.doc.set("matchRulesWarnings", warnings(rules))
	}
	a.touchShared(p, v)
	return ok(s.renderVersion(c, p, v)...), nil
}

func (a *Account) touchShared(p *policy, v *version) {
	held := a.holdVersion(p, v)
	doc := held.doc.copied().set("modifiedBy", quote(a.user)).set("modifiedDate", quote(isoTime(a.clock())))
	if !doc.has("matchRules") {
		doc = doc.set("matchRules", nil)
	}
	held.doc = doc
}

// deleteSharedVersion removes a version that is not active; its number is not used again (Cloudlets API v3, Remove a
// policy version).
func (s *Server) deleteSharedVersion(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.shared)
	if err != nil {
		return nil, err
	}
	if s.account.liveVersion(p, v.number) {
		return nil, conflict("Policy Version %d of Policy %d is active or being activated", v.number, p.id)
	}
	s.account.dropVersion(p, v.number)
	return &reply{status: http.StatusNoContent}, nil
}
