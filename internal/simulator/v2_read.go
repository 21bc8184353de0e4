package simulator

import (
	"fmt"
	"strconv"
	"strings"
)

func (s *Server) legacyTypes(*call) (*reply, error) { return ok(list(s.account.cloudlets)...), nil }

func (s *Server) legacyType(c *call) (*reply, error) {
	for _, text := range s.account.cloudlets {
		if string(splitObject(text).get("cloudletId")) == c.args[0] {
			return ok(text), nil
		}
	}
	return nil, notFound("Cloudlet with id %s not found", c.args[0])
}

func (s *Server) listGroups(*call) (*reply, error) {
	texts := make([][]byte, len(s.account.groups))
	for i, g := range s.account.groups {
		texts[i] = g.bytes()
	}
	return ok(list(texts)...), nil
}

// getGroup answers an array of one (Cloudlets API v2, Get a group).
func (s *Server) getGroup(c *call) (*reply, error) {
	for _, g := range s.account.groups {
		if string(g.get("groupId")) == c.args[0] {
			return ok(list([][]byte{g.bytes()})...), nil
		}
	}
	return nil, notFound("Group with id %s not found", c.args[0])
}

func (s *Server) accountProperties(*call) (*reply, error) {
	return ok(s.account.properties.bytes()), nil
}

func (s *Server) listLegacy(c *call) (*reply, error) {
	deleted, cloudlet, group := c.flag("includeDeleted"), c.query.Get("cloudletId"), c.query.Get("gid")
	code := ""
	if cloudlet != "" {
		id, err := strconv.ParseInt(cloudlet, 10, 64)
		t, known := typeByID(id)
		if err != nil {
			return nil, invalid("cloudletId must be an integer")
		}
		if code = t.code; !known {
			code = "none of the known"
		}
	}
	var shown []*policy
	for _, p := range s.account.legacy.list {
		if p.deleted && !deleted || code != "" && p.code != code ||
			group != "" && group != "0" && strconv.FormatInt(p.group, 10) != group {
			continue
		}
		shown = append(shown, p)
	}
	return s.legacyPage(c, len(shown), true, func(i int) []byte { return s.account.view(shown[i]).doc.bytes() })
}

func (s *Server) legacyPolicy(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	return ok(s.account.view(p).doc.bytes()), nil
}

func (s *Server) legacyProperties(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	return ok(s.account.view(p).properties.bytes()), nil
}

// legacyActivations lists the newest first, by network and property on demand (Cloudlets API v2, List policy activations).
func (s *Server) legacyActivations(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	network, property := legacyNetwork(c.query.Get("network")), c.query.Get("propertyName")
	var rows []object
	for _, row := range s.account.view(p).rows {
		r := readRow(row)
		if network != "" && r.network != network || property != "" && r.property != property {
			continue
		}
		rows = append(rows, row)
	}
	return s.legacyPage(c, len(rows), false, func(i int) []byte { return rows[i].bytes() })
}

// legacyNetwork is the spelling of v2's rows for what a caller may write; unknown words stay as they are.
func legacyNetwork(name string) string {
	switch strings.ToLower(name) {
	case "prod", "production":
		return "prod"
	case "staging":
		return "staging"
	default:
		return name
	}
}

// legacyVersions lists versions without rules, which includeRules no longer changes, and with their activations on
// demand (Cloudlets API v2, List policy versions, as changed since).
func (s *Server) legacyVersions(c *call) (*reply, error) {
	p, err := s.legacyOf(c)
	if err != nil {
		return nil, err
	}
	deleted, activations := c.flag("includeDeleted"), c.flag("includeActivations")
	var shown []*version
	for i := range p.versions {
		if deleted || !p.versions[i].deleted {
			shown = append(shown, &p.versions[i])
		}
	}
	return s.legacyPage(c, len(shown), false, func(i int) []byte {
		doc := s.account.viewVersion(p, shown[i]).doc.copied().set("matchRules", []byte("[]"))
		if !activations {
			doc = doc.set("activations", []byte("[]"))
		}
		return doc.bytes()
	})
}

func (s *Server) legacyVersion(c *call) (*reply, error) {
	p, v, err := s.versionOf(c, &s.account.legacy)
	if err != nil {
		return nil, err
	}
	return ok(s.renderVersion(c, p, v)...), nil
}

// renderVersion is the version as the call wants it.
func (s *Server) renderVersion(c *call, p *policy, v *version) chunks {
	return s.account.renderVersion(p, v, c.flag("omitRules") && !p.shared)
}

// renderVersion is the version with its rules, or null for them, where its matchRules stand.
func (a *Account) renderVersion(p *policy, v *version, omit bool) chunks {
	held := a.viewVersion(p, v)
	prefix := ""
	if !p.shared {
		prefix = locationOf(p.id, v.number)
	}
	head := []byte{'{'}
	for i, m := range held.doc {
		if i > 0 {
			head = append(head, ',')
		}
		head = append(append(head, m.name...), ':')
		if m.key != "matchRules" {
			head = append(head, m.value...)
			continue
		}
		out := chunks{head}
		if omit {
			out = append(out, []byte("null"))
		} else {
			out = held.rules.appendTo(out, prefix)
		}
		var tail []byte
		for _, m := range held.doc[i+1:] {
			tail = append(append(append(append(tail, ','), m.name...), ':'), m.value...)
		}
		return append(out, append(tail, '}'))
	}
	return chunks{append(head, '}')}
}

// locationOf is what stands before the akaRuleId in a v2 rule's location.
func locationOf(policy, number int64) string {
	return fmt.Sprintf("/cloudlets/api/v2/policies/%d/versions/%d/rules/", policy, number)
}
