package upgrade

import (
	"encoding/json"
	"fmt"
	"strings"

	"cloudletmig/internal/snapshot"
)

// Difference is one way in which a shared policy is not what it was to be.
type Difference struct {
	Text    string `json:"text"`                     // in one line, with the place where rules part first
	Version int64  `json:"version,omitempty"`        // of the legacy policy
	Shared  int64  `json:"shared_version,omitempty"` // the version that should be equal to it
	// Rules are how rules differ, from the legacy version to the shared one, and Patch leads from one to the other (RFC
	// 6902); at most mostShown of either.
	Rules []snapshot.RuleDiff  `json:"rules,omitempty"`
	Patch []snapshot.Operation `json:"patch,omitempty"`
}

// mostShown is how many rules, and operations of a patch, a difference tells of.
const mostShown = 100

// DifferenceRow is one place in which two versions differ, and what stands there in either.
type DifferenceRow struct {
	Place  string // a JSON pointer into the legacy version; into the shared one where only that has the place
	Legacy string
	Shared string
}

// Rows are the places in which the rules differ.
func (d Difference) Rows() []DifferenceRow {
	var rows []DifferenceRow
	for _, r := range d.Rules {
		switch r.Kind {
		case snapshot.Added:
			rows = append(rows, DifferenceRow{pointer(r.B), nothing, "rule " + r.Name})
		case snapshot.Removed:
			rows = append(rows, DifferenceRow{pointer(r.A), "rule " + r.Name, nothing})
		case snapshot.Moved:
			rows = append(rows, DifferenceRow{pointer(r.A), fmt.Sprintf("rule %d: %s", r.A, r.Name), fmt.Sprintf("rule %d", r.B)})
		case snapshot.Changed:
			if r.Moved {
				rows = append(rows, DifferenceRow{pointer(r.A), fmt.Sprintf("rule %d: %s", r.A, r.Name), fmt.Sprintf("rule %d", r.B)})
			}
			for _, m := range r.Members {
				rows = append(rows, DifferenceRow{pointer(r.A) + "/" + escaped(m.Name), short(m.A), short(m.B)})
			}
		}
	}
	return rows
}

// nothing stands where a side has no such place.
const nothing = "nothing"

func pointer(rule int) string { return fmt.Sprintf("/matchRules/%d", rule-1) }

// escaped is a member's name as a JSON pointer has it (RFC 6901).
func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// short is a value for people.
func short(value json.RawMessage) string {
	const most = 300
	text := string(value)
	switch runes := []rune(text); {
	case text == "":
		return nothing
	case len(runes) > most:
		return string(runes[:most]) + "…"
	}
	return text
}
