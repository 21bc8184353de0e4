package upgrade

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"cloudletmig/internal/cloudlet"
)

// behavior is how Property Manager names a cloudlet.
type behavior struct {
	Name   string // of the behavior
	Source string // where the names of its options come from
}

// behaviors are those of the cloudlets that can be shared. Each takes a legacy policy as cloudletPolicy {id, name} with
// isSharedPolicy false, and a shared one as cloudletSharedPolicy with isSharedPolicy true. One table, so that a name that
// has to be mended is mended in one place.
func behaviors() map[string]behavior {
	const pm = "Property Manager API, behaviors of rule format v2023-05-30"
	return map[string]behavior{
		"ER": {"edgeRedirector", "Property Manager API, edgeRedirector behavior v4.0"},
		"FR": {"forwardRewrite", pm},
		"AS": {"audienceSegmentation", pm},
		"AP": {"apiPrioritization", pm},
		"CD": {"phasedRelease", pm},
		"IG": {"requestControl", pm},
	}
}

// Cutover is what remains to be done in Property Manager for one property and network: point the behavior at the shared
// policy. Behaviors with this legacy policy may stand in several rules of the property.
type Cutover struct {
	Property string           `json:"property"`
	Network  cloudlet.Network `json:"network,omitempty"` // empty: in its newest version only
	Version  int64            `json:"version"`           // of the property
	Group    int64            `json:"group"`
	Policies []string         `json:"referenced_policies,omitempty"` // all that this version of the property refers to
	Policy   string           `json:"policy"`                        // the legacy one
	Shared   int64            `json:"shared"`
	NewName  string           `json:"new_name"`
	Behavior string           `json:"behavior"`
	Source   string           `json:"source"`
	Before   json.RawMessage  `json:"before"`
	After    json.RawMessage  `json:"after"`
	Ready    bool             `json:"ready"` // the shared policy is live there as the legacy one is
}

// Cutovers lists what remains to be done in Property Manager, by property.
func Cutovers(results []Result) []Cutover {
	cutovers := []Cutover{}
	for _, r := range results {
		b, ok := behaviors()[r.Type]
		if r.Shared == 0 || !ok {
			continue
		}
		for _, u := range r.Uses {
			if u.Former {
				continue
			}
			cutovers = append(cutovers, Cutover{
				Property: u.Property, Network: u.Network, Version: u.Version, Group: u.Group, Policies: u.Policies, Policy: r.String(), Shared: r.Shared, NewName: r.NewName,
				Behavior: b.Name, Source: b.Source,
				Before: options(behaviorOptions{Enabled: true, Legacy: &legacyOption{r.ID, r.Name}}),
				After:  options(behaviorOptions{Enabled: true, IsShared: true, Shared: r.Shared}),
				Ready:  r.ready(u.Network),
			})
		}
	}
	slices.SortStableFunc(cutovers, func(a, b Cutover) int {
		return cmp.Or(cmp.Compare(a.Property, b.Property), -cmp.Compare(a.Network, b.Network), cmp.Compare(a.Policy, b.Policy))
	})
	return cutovers
}

// ready reports whether a property can be pointed at the shared policy: it is proved, and live wherever the property needs
// it: on the property's network, or where it is live on none, wherever the legacy policy is live.
func (r Result) ready(on cloudlet.Network) bool {
	switch r.Stage { //nolint:exhaustive // the others are not proved
	case StageProved, StageStaged, StageLive:
		if on == "" {
			return !r.Waits()
		}
		return r.Active[on] != 0 || r.Live[on] == 0
	}
	return false
}

// behaviorOptions are those of all behaviors of the table.
type behaviorOptions struct {
	Enabled  bool          `json:"enabled"`
	IsShared bool          `json:"isSharedPolicy"`
	Legacy   *legacyOption `json:"cloudletPolicy,omitempty"`
	Shared   int64         `json:"cloudletSharedPolicy,omitempty"`
}

type legacyOption struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func options(o behaviorOptions) json.RawMessage {
	text, _ := cloudlet.Marshal(o, "") // names, numbers and Booleans always have one
	return text
}

// Indented is a JSON text on lines of its own, for people.
func (c Cutover) Indented(text json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

// ByHand is what only Property Manager could tell, once for all properties.
func ByHand() []string {
	return []string{
		"Rule format: edgeRedirector, forwardRewrite and audienceSegmentation know shared policies from rule format v2023-01-05 on, the others from v2023-05-30 on; a property frozen at an older one must be moved up first.",
		"Place: the same legacy policy may be named by behaviors in several rules of one property; search the whole rule tree for its id.",
		"Includes: edgeRedirector is not allowed in includes; other behaviors may be there.",
		"Roll-back: point the behavior back at the legacy policy; it stays as it was and live. Do not delete it while an active property version refers to it.",
	}
}
