package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cloudletmig/internal/cloudlet"
)

// obstacle says what stands in the way of an upgrade; empty where nothing does.
func obstacle(e Estate, l Legacy, p Planned, o Options) string {
	if l.Refused != "" {
		return l.Refused
	}
	if len(l.Carried) == 0 {
		return "it has no version that could be carried"
	}
	if !cloudlet.ValidName(p.NewName) {
		return fmt.Sprintf("the new name %q must have 1 to %d characters, of letters a to z, digits and underscores", cloudlet.Printable(p.NewName), cloudlet.MaxName)
	}
	if n := utf8.RuneCountInString(l.Description); n > cloudlet.MaxDescription {
		return fmt.Sprintf("its description has %d characters, and at most %d are allowed", n, cloudlet.MaxDescription)
	}
	for _, v := range carriedOf(l) {
		if v.Rules > cloudlet.MaxRules {
			return fmt.Sprintf("version %d has %d rules, and at most %d are allowed", v.Number, v.Rules, cloudlet.MaxRules)
		}
	}
	if l.Bytes > cloudlet.MaxBytes {
		return fmt.Sprintf("a version of it would be sent as %d bytes, and at most %d are allowed", l.Bytes, cloudlet.MaxBytes)
	}
	return groupObstacle(e, l, p, o)
}

// pending says which activation of the legacy policy has to end first.
func pending(l Legacy) string {
	for _, on := range networks() {
		if n := l.Live[on].Pending; n != 0 {
			return fmt.Sprintf("an activation of version %d on %s is pending; wait for its end", n, on)
		}
	}
	return ""
}

// groupObstacle looks at the group of the shared policy.
func groupObstacle(e Estate, l Legacy, p Planned, o Options) string {
	if p.NewGroup <= 0 {
		return "it has no group, and a shared policy needs one: give --group or --group-map"
	}
	if e.Groups == nil {
		return ""
	}
	i := slices.IndexFunc(e.Groups, func(g cloudlet.Group) bool { return g.ID == p.NewGroup })
	if i < 0 {
		return fmt.Sprintf("group %d is not in the account, or these credentials do not see it", p.NewGroup)
	}
	for _, capability := range capabilities(p) {
		if !e.Groups[i].May(capability, l.Type) {
			return fmt.Sprintf("these credentials have no capability %s for %s policies in group %d (%s)", capability, l.Type, p.NewGroup, cloudlet.Printable(e.Groups[i].Name))
		}
	}
	if o.Force {
		return ""
	}
	return unfit(e.Groups, l, p.NewGroup)
}

func capabilities(p Planned) []string {
	if len(p.Activate) > 0 {
		return []string{"Edit", "Activate"}
	}
	return []string{"Edit"}
}

// unfit says which properties could not use a shared policy of that group: those that are neither in the group nor in one
// above it (a policy may be used by properties in its group and in groups above).
func unfit(groups []cloudlet.Group, l Legacy, group int64) string {
	above := ancestors(groups, group)
	var outside []string
	for _, u := range l.Properties {
		if !u.Former && u.Group > 0 && !slices.Contains(above, u.Group) && !slices.Contains(outside, u.Property) {
			outside = append(outside, u.Property)
		}
	}
	if len(outside) == 0 {
		return ""
	}
	text := fmt.Sprintf("group-unfit: group %d does not fit %s: a property can use shared policies of its own group and of groups below it", group, strings.Join(outside, ", "))
	if fit := fitting(groups, l); fit != 0 {
		return text + fmt.Sprintf("; group %d would fit all (--group-map, or --force-group)", fit)
	}
	return text + "; no group would fit all (--force-group takes it all the same)"
}

// ancestors are the group and all above it.
func ancestors(groups []cloudlet.Group, group int64) []int64 {
	var up []int64
	for group != 0 && !slices.Contains(up, group) {
		up = append(up, group)
		i := slices.IndexFunc(groups, func(g cloudlet.Group) bool { return g.ID == group })
		if i < 0 {
			break
		}
		group = groups[i].ParentID
	}
	return up
}

// fitting is the group whose shared policies all properties of the policy could use: one of theirs, with the others above
// it; 0 where there is none.
func fitting(groups []cloudlet.Group, l Legacy) int64 {
	for _, candidate := range l.Properties {
		above := ancestors(groups, candidate.Group)
		fits := candidate.Group > 0 && !candidate.Former
		for _, u := range l.Properties {
			fits = fits && (u.Former || u.Group <= 0 || slices.Contains(above, u.Group))
		}
		if fits {
			return candidate.Group
		}
	}
	return 0
}
