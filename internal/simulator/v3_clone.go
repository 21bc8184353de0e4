package simulator

import (
	"cmp"
	"net/http"
	"slices"
)

// clonePolicy copies versions of a v2 or v3 policy into a new shared one: those active or being activated on a network,
// the last modified one, and additionalVersions (Cloudlets API v3, Clone a policy). Activations are not carried over.
func (s *Server) clonePolicy(c *call) (*reply, error) {
	a := s.account
	p, err := s.policyOf(c, &a.shared)
	if p == nil {
		p, err = s.policyOf(c, &a.legacy)
	}
	if err != nil {
		return nil, err
	}
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	kind, _ := typeByCode(p.code)
	renamed := object{}.set("name", body.get("newName"))
	if err := s.checkClone(p, kind, body, renamed); err != nil {
		return nil, err
	}
	group := p.group
	if !p.shared || !body.null("groupId") {
		if group, err = s.groupOf(body, p.code); err != nil {
			return nil, err
		}
	}
	numbers, err := s.carried(p, body.get("additionalVersions"))
	if err != nil {
		return nil, err
	}
	name := renamed.text("name")
	if other := a.shared.named(name); other != nil {
		return nil, nameTaken(a.view(other).doc)
	}
	clone := a.createShared(kind, group, name, a.view(p).doc.get("description"))
	s.copyVersions(p, clone, numbers)
	return ok(a.view(clone).doc.bytes()), nil
}

// checkClone says why a policy is not cloned.
func (s *Server) checkClone(p *policy, kind cloudletType, body, renamed object) error {
	refused := 0
	if s.opt.CloneRefused != nil {
		refused = s.opt.CloneRefused(p.id)
	}
	switch {
	case p.deleted || refused == http.StatusNotFound:
		return notFound("Policy with id %d not found", p.id)
	case kind.shared == "" || refused != 0:
		return invalid("Policies of type %s cannot be shared", p.code)
	case body.null("newName") || checkName(renamed) != nil:
		return invalidField("newName", body.get("newName"), "newName must match %s and have at most %d characters", policyName, nameLength)
	}
	return nil
}

// copyVersions copies versions of a policy to its clone.
func (s *Server) copyVersions(p, clone *policy, numbers []int64) {
	a := s.account
	damage := CloneDamage("")
	if s.opt.CloneDamage != nil {
		damage = s.opt.CloneDamage(p.id)
	}
	if damage == LoseVersion && len(numbers) > 1 {
		numbers = numbers[:len(numbers)-1]
	}
	for i, n := range numbers {
		held := a.viewVersion(p, p.version(n))
		if s.opt.CloneRenumbers {
			n = clone.next()
		}
		description := held.doc.get("description")
		if description == nil {
			description = []byte("null")
		}
		rules := held.rules.unlocated()
		if rules == nil {
			rules = ruleList{{}}
		}
		if i == len(numbers)-1 {
			rules = damage.done(rules)
		}
		a.addSharedVersion(clone, n, description, rules)
	}
}

// done is rules with the damage, where there are enough of them.
func (d CloneDamage) done(rules ruleList) ruleList {
	all := rules.all()
	last := len(all) - 1
	switch {
	case d == ReorderRules && len(all) > 1:
		all[0], all[1] = all[1], all[0]
	case d == DropMember && last >= 0:
		o := splitObject(all[last].text).without("redirectURL", "forwardSettings", "passThroughPercent", "allowDeny")
		all[last] = rule{text: o.bytes(), aka: all[last].aka}
	}
	return ruleList{all}
}

// carried is the numbers of the versions that a clone copies, ascending.
func (s *Server) carried(p *policy, additional []byte) ([]int64, error) {
	a := s.account
	var numbers []int64
	if additional != nil && additional[0] == '[' {
		for _, text := range splitArray(additional) {
			n, isNumber := object{}.set("n", text).number("n")
			if !isNumber || p.version(n) == nil {
				return nil, notFound("Policy Version %s not found in Policy %d", text, p.id)
			}
			numbers = append(numbers, n)
		}
	} else if additional != nil && string(additional) != "null" {
		return nil, invalidField("additionalVersions", additional, "Expected array, but got %s", kindOf(additional))
	}
	numbers = append(numbers, s.live(p)...)
	if n := a.lastModified(p); n != 0 {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// live is the versions in use on a network, and those on their way there unless CloneActiveOnly.
func (s *Server) live(p *policy) []int64 {
	a := s.account
	var numbers []int64
	add := func(n int64) {
		if v := p.version(n); v != nil && !v.deleted {
			numbers = append(numbers, n)
		}
	}
	for _, o := range a.view(p).rows {
		if p.shared {
			if n, _ := o.number("policyVersion"); o.text("status") == inProgress && !s.opt.CloneActiveOnly {
				add(n)
			}
			continue
		}
		r := readRow(o)
		if r.status == "ACTIVE" || r.status == "PENDING" && !s.opt.CloneActiveOnly {
			add(r.version)
		}
	}
	if p.shared {
		add(a.effective(p, "STAGING"))
		add(a.effective(p, "PRODUCTION"))
	}
	return numbers
}

// lastModified is the version with the newest date that is not deleted, the higher number among equals, or 0.
func (a *Account) lastModified(p *policy) int64 {
	var best int64
	var newest string
	for i := range p.versions {
		v := &p.versions[i]
		if v.deleted {
			continue
		}
		doc := a.viewVersion(p, v).doc
		date := doc.text("modifiedDate")
		if !p.shared {
			date = string(doc.get("lastModifiedDate"))
		}
		if cmp.Or(cmp.Compare(len(date), len(newest)), cmp.Compare(date, newest)) >= 0 {
			best, newest = v.number, date
		}
	}
	return best
}
