package importer

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"cloudletmig/internal/cloudlet"
)

// Problem is something that must be mended before anything is sent.
type Problem struct {
	Item string `json:"item"`
	Text string `json:"text"`
	// Permission says that these credentials may not do it.
	Permission bool `json:"permission,omitempty"`
}

// check finds what would be refused, so that all of it is known before the first request.
func (m *maker) check(p *Planned) {
	problem := func(permission bool, format string, args ...any) {
		m.problems = append(m.problems, Problem{p.String(), fmt.Sprintf(format, args...), permission})
	}
	if other, ok := m.seen[p.Key()]; ok {
		problem(false, "%s and %s would both become this policy", other, p.Source)
	}
	m.seen[p.Key()] = p.Source
	if _, ok := p.Live[cloudlet.Production]; ok && p.Action == Skip && m.o.Newest {
		problem(false, "it is skipped although it differs, and production would have a part of the set; "+
			"leave production out, or give another --on-existing than skip")
	}
	if p.IsOrigin() {
		return
	}
	m.checkProperties(p, problem)
	if p.Action != Create && p.Action != Append {
		if p.Action == Same && len(p.Live) > 0 {
			m.mayIn(p, p.Group, "Activate", problem)
		}
		return
	}
	checkTexts(p, problem)
	if p.Group == 0 && p.API == cloudlet.V3 {
		problem(false, "a shared policy needs a group: give --group or --group-map")
		return
	}
	m.mayIn(p, p.Group, "Edit", problem)
	if len(p.Live) > 0 {
		m.mayIn(p, p.Group, "Activate", problem)
	}
}

// checkProperties checks that a legacy policy has a property to be activated for: one that is named, or one that it is
// associated with.
func (m *maker) checkProperties(p *Planned, problem func(bool, string, ...any)) {
	if p.API != cloudlet.V2 {
		return
	}
	held, there := m.present.Policies[p.Key()]
	for _, on := range p.Activate {
		switch {
		case len(p.Live[on].Properties) > 0, there && (held.Associated == nil || len(held.Associated) > 0):
		case there:
			problem(false, "a legacy policy is activated for a property; policy %d is associated with none, and none is named for %s (import: --property)", held.ID, on)
			return
		default:
			problem(false, "a legacy policy is activated for a property, and none is named for %s (import: --property)", on)
			return
		}
	}
}

// checkTexts checks lengths and sizes of what is sent; name and description are sent for a policy that is made.
func checkTexts(p *Planned, problem func(bool, string, ...any)) {
	if p.Action == Create && !cloudlet.ValidName(p.Name) {
		problem(false, "the name has %d characters; it must have 1 to %d, of letters a to z, digits and underscores", len(p.Name), cloudlet.MaxName)
	}
	if n := utf8.RuneCountInString(p.Description); p.Action == Create && n > cloudlet.MaxDescription {
		problem(false, "the description has %d characters, and at most %d are allowed", n, cloudlet.MaxDescription)
	}
	for _, v := range p.Add {
		switch {
		case v.Rules > cloudlet.MaxRules:
			problem(false, "version %d (%s) has %d rules, and at most %d are allowed", v.Number, v.Ref, v.Rules, cloudlet.MaxRules)
		case v.Bytes > cloudlet.MaxBytes:
			problem(false, "version %d (%s) would be sent as %d bytes, and at most %d are allowed", v.Number, v.Ref, v.Bytes, cloudlet.MaxBytes)
		}
		if n := utf8.RuneCountInString(v.Description); n > cloudlet.MaxDescription {
			problem(false, "the description of version %d has %d characters, and at most %d are allowed", v.Number, n, cloudlet.MaxDescription)
		}
	}
}

// mayIn checks that the group is there and gives a capability for the policy's type. Nothing is said of a type that no
// group of the account speaks of: group-info is v2's, and some types are v3's alone.
func (m *maker) mayIn(p *Planned, group int64, capability string, problem func(bool, string, ...any)) {
	if m.present.Groups == nil || group == 0 {
		return
	}
	i := slices.IndexFunc(m.present.Groups, func(g cloudlet.Group) bool { return g.ID == group })
	switch {
	case i < 0:
		problem(false, "group %d is not in the account, or these credentials do not see it", group)
	case !slices.ContainsFunc(m.present.Groups, func(g cloudlet.Group) bool { return g.Knows(p.Type) }):
	case !m.present.Groups[i].May(capability, p.Type):
		problem(true, "these credentials have no capability %s for %s policies in group %d (%s)", capability, p.Type, group, cloudlet.Printable(m.present.Groups[i].Name))
	}
}
