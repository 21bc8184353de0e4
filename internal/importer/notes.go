package importer

import (
	"maps"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// unneeded is why an origin is skipped that is not in the way of anything.
const unneeded = "no policy that is brought in needs it"

// LeftDiffering reports whether the policy is present, is not as it is wanted, and is left so.
func (p Planned) LeftDiffering() bool { return p.Action == Skip && p.Why != unneeded }

// leaveOrigins leaves out origins that no policy needs which is brought in.
func (p *Plan) leaveOrigins() {
	needed := map[string]bool{}
	for _, x := range p.Policies {
		if x.IsOrigin() || x.Action != Create && x.Action != Append && x.Action != Same {
			continue
		}
		for _, id := range x.Origins {
			needed[id] = true
		}
	}
	for i := range p.Policies {
		if x := &p.Policies[i]; x.IsOrigin() && !needed[x.Name] && (x.Action == Create || x.Action == Append || x.Action == Same) {
			x.Action, x.Why, x.Add, x.Activate = Skip, unneeded, nil, nil
		}
	}
}

// unlisted notes the origins that rules of a plan's policies forward to and that no property of the account defines. Such
// a policy can be brought in all the same.
func unlisted(plan Plan, present Present) []Note {
	if present.Origins == nil {
		return nil
	}
	users := map[string][]string{}
	for _, p := range plan.Policies {
		for _, id := range p.Forwards {
			if present.Origins[id] == "" && (p.Action == Create || p.Action == Append) {
				users[id] = append(users[id], p.String())
			}
		}
	}
	var notes []Note
	for _, id := range slices.Sorted(maps.Keys(users)) {
		notes = append(notes, Note{"origin " + cloudlet.Printable(id), strings.Join(users[id], ", ") +
			" would forward to it, and no property of the account defines it; that is done in Property Manager, before they are active"})
	}
	return notes
}

// unknownProperties notes the properties that legacy policies are to be active for and that no group names.
func unknownProperties(plan Plan, present Present) []Note {
	if present.Properties == nil {
		return nil
	}
	users := map[string][]string{}
	for _, p := range plan.Policies {
		for _, name := range p.properties() {
			if p.API == cloudlet.V2 && !present.Properties[name] && len(p.Activations()) > 0 {
				users[name] = append(users[name], p.String())
			}
		}
	}
	var notes []Note
	for _, name := range slices.Sorted(maps.Keys(users)) {
		notes = append(notes, Note{"property " + cloudlet.Printable(name), "is not in the account as far as these credentials see it, and " +
			strings.Join(users[name], ", ") + " would be activated for it"})
	}
	return notes
}
