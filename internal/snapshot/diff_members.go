package snapshot

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// noted reports whether a member of a document is not what somebody set there, or is compared elsewhere.
func (d *Diff) noted(name string) bool {
	switch name {
	case "createdBy", "createDate", "createdDate", "modifiedBy", "modifiedDate", "lastModifiedBy", "lastModifiedDate", "revisionId",
		"id", "policyId", "cloudletId", "location", "links", "apiVersion", "serviceVersion", "checksum",
		"rulesLocked", "immutable", "matchRulesWarnings", "propertyName": // what follows from something else
		return true
	case "activations", "currentActivations", "matchRules", "version":
		return true
	case "groupId":
		return !d.groups
	}
	return false
}

// members compares the members of two documents by name.
func (d *Diff) members(a, b []byte) []MemberDiff {
	left, right := membersOf(a), membersOf(b)
	var found []MemberDiff
	for _, name := range unionOf(left, right) {
		if d.noted(name) || unsaid(name, left[name]) && unsaid(name, right[name]) {
			continue
		}
		if m, differs := diffMember(name, left[name], right[name], `{"x":`, "}", "/0/x/"); differs {
			found = append(found, m)
		}
	}
	return found
}

// unsaid reports whether a member of a policy or version says nothing: it is absent or null, an empty description, or says
// that it is not deleted. What is sent without one comes back with one of the others.
func unsaid(name string, values [][]byte) bool {
	if len(values) != 1 {
		return len(values) == 0
	}
	switch text := string(values[0]); name {
	case "description":
		return text == "null" || text == `""`
	case "deleted":
		return text == "null" || text == "false"
	default:
		return text == "null"
	}
}

// membersOf are the values of a JSON object's members by name: one each, unless a name stands there more than once.
func membersOf(doc []byte) map[string][][]byte {
	members := map[string][][]byte{}
	for name, value := range cloudlet.Members(doc) {
		members[name] = append(members[name], value)
	}
	return members
}

func unionOf(a, b map[string][][]byte) []string {
	names := map[string]bool{}
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// diffMember compares the values of one member, which it sets into otherwise empty rules between before and after;
// pointer is what begins the place where they part.
func diffMember(name string, a, b [][]byte, before, after, pointer string) (MemberDiff, bool) {
	rule := func(values [][]byte) []byte {
		text := []byte("[" + before + "{")
		for i, value := range values {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(append(text, quoted(name)...), ':')
			text = append(text, value...)
		}
		return append(text, "}"+after+"]"...)
	}
	grade, where := cloudlet.CompareRules(rule(a), rule(b))
	if grade != cloudlet.Different {
		return MemberDiff{}, false
	}
	return MemberDiff{Name: name, A: valueOf(a), B: valueOf(b), Where: strings.TrimPrefix(where, pointer)}, true
}

// quoted is a name as JSON.
func quoted(name string) []byte {
	text, _ := cloudlet.Marshal(name, "") // a string has no error
	return text
}

// valueOf is the value of a member in compact form: an array of all where its name stands there more than once, nil
// where it is absent.
func valueOf(values [][]byte) json.RawMessage {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return cloudlet.AppendCompact(nil, values[0])
	}
	return cloudlet.AppendCompact(nil, slices.Concat([]byte("["), bytes.Join(values, []byte(",")), []byte("]")))
}
