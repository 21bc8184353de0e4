package cloudlet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Group is one group of the account as far as these credentials see it (Cloudlets API v2, List groups).
type Group struct {
	ID, ParentID int64
	Name         string
	// Capabilities says what may be done with which cloudlets: ER,FR: View Edit Activate; IG: View.
	Capabilities string
	// Properties are the names of those that may be associated with policies of the group.
	Properties []string
	can        map[string][]string // by cloudlet code
	Depth      int                 // below the top of the tree; set by GroupTree
	Raw        json.RawMessage
}

// ParseGroup reads an element of the list of groups.
func ParseGroup(raw json.RawMessage) (Group, error) {
	var doc struct {
		GroupID      int64  `json:"groupId"`
		GroupName    string `json:"groupName"`
		ParentID     int64  `json:"parentId"`
		Capabilities []struct {
			Code         string   `json:"cloudletCode"`
			Capabilities []string `json:"capabilities"`
		} `json:"capabilities"`
		Properties []string `json:"properties"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return Group{}, fmt.Errorf("read group: %w", err)
	}
	var sets []string
	can := map[string][]string{}
	cloudlets := map[string][]string{} // that may be used alike, by what may be done with them
	for _, c := range doc.Capabilities {
		can[c.Code] = append(can[c.Code], c.Capabilities...)
		set := strings.Join(c.Capabilities, " ")
		if cloudlets[set] == nil {
			sets = append(sets, set)
		}
		cloudlets[set] = append(cloudlets[set], c.Code)
	}
	for i, set := range sets {
		sets[i] = strings.Join(cloudlets[set], ",") + ": " + set
	}
	return Group{ID: doc.GroupID, ParentID: doc.ParentID, Name: doc.GroupName, Capabilities: strings.Join(sets, "; "), Properties: doc.Properties, can: can, Raw: raw}, nil
}

// Knows reports whether the group says anything of policies of a type.
func (g Group) Knows(kind string) bool { return len(g.can[kind]) > 0 }

// May reports whether a capability, such as Edit or Activate, is given for policies of a type in the group.
func (g Group) May(capability, kind string) bool {
	return slices.ContainsFunc(g.can[kind], func(c string) bool { return strings.EqualFold(c, capability) })
}

// GroupTree puts every group behind its parent, and sets its depth. A group whose parent is not in the list, or that is
// its own ancestor, is a top.
func GroupTree(groups []Group) []Group {
	children := map[int64][]Group{}
	known := map[int64]bool{}
	for _, g := range groups {
		known[g.ID] = true
	}
	for _, g := range groups {
		if !known[g.ParentID] || g.ParentID == g.ID {
			g.ParentID = 0
		}
		children[g.ParentID] = append(children[g.ParentID], g)
	}
	var tree []Group
	placed := map[int64]bool{}
	var place func(g Group, depth int)
	place = func(g Group, depth int) {
		if placed[g.ID] {
			return
		}
		placed[g.ID] = true
		g.Depth = depth
		tree = append(tree, g)
		for _, child := range children[g.ID] {
			place(child, depth+1)
		}
	}
	for _, g := range children[0] {
		place(g, 0)
	}
	for _, g := range groups { // what is left are circles
		place(g, 0)
	}
	return slices.Clip(tree)
}
