package simulator

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

// policyName is the pattern of names (Cloudlets API v2, schema create-policy.json).
var policyName = regexp.MustCompile(`^[a-z_A-Z0-9]+$`)

const (
	nameLength        = 64
	descriptionLength = 255
)

// object is the call's body.
func (c *call) object() (object, error) {
	o, err := parseObject(c.body)
	if err != nil {
		return nil, invalid("Request body cannot be read: %v", err)
	}
	return o, nil
}

func checkName(body object) error {
	name := body.text("name")
	switch {
	case name == "":
		return invalidField("name", body.get("name"), "name must not be empty")
	case len(name) > nameLength || !policyName.MatchString(name):
		return invalidField("name", body.get("name"), "name must match %s and have at most %d characters", policyName, nameLength)
	}
	return nil
}

func checkDescription(body object) error {
	description := body.get("description")
	switch {
	case body.null("description"):
		return nil
	case description[0] != '"':
		return invalidField("description", description, "description must be a string")
	case len([]rune(unquote(description))) > descriptionLength:
		return invalidField("description", description, "description must have at most %d characters", descriptionLength)
	}
	return nil
}

// createLegacy makes a policy with an empty version 1, or a copy of another with clonePolicyId (Cloudlets API v2, Create
// a policy).
func (s *Server) createLegacy(c *call) (*reply, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	for _, m := range body {
		if !slices.Contains([]string{"name", "cloudletId", "description", "propertyName", "groupId"}, m.key) {
			return nil, invalid("object instance has properties which are not allowed by the schema: [%q]", m.key)
		}
	}
	if err := checkName(body); err != nil {
		return nil, err
	}
	if err := checkDescription(body); err != nil {
		return nil, err
	}
	a := s.account
	rules := ruleList{{}}
	id, _ := body.number("cloudletId")
	kind, known := typeByID(id)
	group, _ := body.number("groupId")
	if from := c.query.Get("clonePolicyId"); from != "" {
		source, v, err := s.cloneSource(c, from)
		if err != nil {
			return nil, err
		}
		if body.has("cloudletId") && kind.code != source.code {
			return nil, invalid("cloudletId must be that of the policy being cloned")
		}
		kind, known = typeByCode(source.code)
		rules = a.viewVersion(source, v).rules.unlocated()
		if !body.has("groupId") {
			group = source.group
		}
	} else if !body.has("cloudletId") {
		known = false
	}
	switch {
	case !known:
		return nil, invalid("cloudletId %s is not known", body.get("cloudletId"))
	case group != 0 && group != -1 && !a.hasGroup(group) || slices.Contains(s.opt.DeniedGroups, group):
		return nil, denied("You don't have edit capability for the Cloudlet %s in group %d", kind.code, group)
	}
	if other := a.legacy.named(body.text("name")); other != nil {
		return nil, nameTaken(a.view(other).doc)
	}
	p := a.createLegacy(kind, group, body.text("name"), body.get("description"), rules)
	return &reply{status: http.StatusCreated, body: chunks{a.view(p).doc.bytes()}}, nil
}

func (s *Server) cloneSource(c *call, id string) (*policy, *version, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	p := s.account.legacy.byID[n]
	if err != nil || p == nil || p.deleted {
		return nil, nil, notFound("Policy with id %s not found", id)
	}
	v := p.newest()
	if text := c.query.Get("version"); text != "" {
		n, _ = strconv.ParseInt(text, 10, 64)
		v = p.version(n)
	}
	if v == nil {
		return nil, nil, notFound("Policy Version %s not found in Policy %d", c.query.Get("version"), p.id)
	}
	return p, v, nil
}

func (a *Account) createLegacy(kind cloudletType, group int64, name string, description []byte, rules ruleList) *policy {
	now := a.clock()
	p := &policy{id: a.nextPolicy, name: name, code: kind.code, group: group}
	if description == nil {
		description = []byte("null")
	}
	p.held = &heldPolicy{doc: template(`{"location":"/cloudlets/api/v2/policies/%d","serviceVersion":null,"apiVersion":"2.0",`+
		`"policyId":%d,"cloudletId":%d,"cloudletCode":%q,"groupId":%d,"name":%s,"description":%s,"deleted":false,"propertyName":null,`+
		`"createdBy":%s,"createDate":%d,"lastModifiedBy":%s,"lastModifiedDate":%d,"activations":[]}`,
		p.id, p.id, kind.id, kind.code, group, quote(name), description, quote(a.user), now.UnixMilli(), quote(a.user), now.UnixMilli())}
	a.addPolicy(p)
	a.addLegacyVersion(p, []byte("null"), rules)
	return p
}

func (a *Account) addLegacyVersion(p *policy, description []byte, rules ruleList) *version {
	now := a.clock().UnixMilli()
	n := p.next()
	doc := template(`{"location":"/cloudlets/api/v2/policies/%d/versions/%d","revisionId":%d,"policyId":%d,"version":%d,"description":%s,`+
		`"createdBy":%s,"createDate":%d,"lastModifiedBy":%s,"lastModifiedDate":%d,"activations":[],"matchRuleFormat":"1.0","matchRules":0,`+
		`"rulesLocked":false,"deleted":false}`, p.id, n, a.revision(), p.id, n, description, quote(a.user), now, quote(a.user), now)
	p.versions = append(p.versions, version{number: n, held: &heldVersion{doc: doc.set("matchRules", nil), rules: rules}})
	return &p.versions[len(p.versions)-1]
}

// updateLegacy changes description, group and name, and takes a deletion back (Cloudlets API v2, Update a policy).
func (s *Server) updateLegacy(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	a := s.account
	if err := checkDescription(body); err != nil {
		return nil, err
	}
	name, deleted := p.name, p.deleted
	if !body.null("name") && body.text("name") != p.name {
		if err := checkName(body); err != nil {
			return nil, err
		}
		if len(a.view(p).properties) > 0 {
			return nil, conflict("Policy %d is associated with a property; its name cannot change", p.id)
		}
		name = body.text("name")
	}
	if !body.null("deleted") {
		deleted = body.is("deleted")
	}
	if other := a.legacy.named(name); other != nil && other != p && !deleted {
		return nil, nameTaken(a.view(other).doc)
	}
	group, hasGroup := body.number("groupId")
	if hasGroup && group > 0 && !a.hasGroup(group) {
		return nil, denied("You don't have edit capability for the Cloudlet %s in group %d", p.code, group)
	}
	held := a.hold(p)
	doc := held.doc.copied().set("name", quote(name)).set("deleted", truth(deleted))
	if body.has("description") {
		doc = doc.set("description", body.get("description"))
	}
	if hasGroup {
		p.group = group
		doc = doc.set("groupId", number(group))
	}
	p.name, p.deleted = name, deleted
	held.doc = doc.set("lastModifiedBy", quote(a.user)).set("lastModifiedDate", number(c.now.UnixMilli()))
	return ok(held.doc.bytes()), nil
}

// deleteLegacy hides a policy, unless a property version in use refers to it (Cloudlets API v2, Remove a policy).
func (s *Server) deleteLegacy(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	a := s.account
	if p.deleted {
		return nil, notFound("Policy with id %d not found", p.id)
	}
	inUse := a.isLive(p)
	for _, m := range a.view(p).properties {
		if len(m.value) > 0 && m.value[0] == '{' {
			o := splitObject(m.value)
			inUse = inUse || !o.null("production") || !o.null("staging")
		}
	}
	if inUse {
		return nil, conflict("Policy %d is in use by an active property version", p.id)
	}
	a.deleteLegacy(p, true)
	return &reply{status: http.StatusNoContent}, nil
}

func (a *Account) deleteLegacy(p *policy, deleted bool) {
	p.deleted = deleted
	held := a.hold(p)
	held.doc = held.doc.copied().set("deleted", truth(deleted))
}
