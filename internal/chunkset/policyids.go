package chunkset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// SetPolicyIDs fills the ids of policies, by their names, into property-rules.json: of an edgeRedirector behavior for a
// shared policy the name is that of its rule, else it is in the behavior. No other byte changes. Where an id is null and
// ids has none above 0 for it, the error names all such policies; an id that is there and that ids does not know stays.
func SetPolicyIDs(propertyRules []byte, ids map[string]int64) ([]byte, error) {
	places, err := findIDs(propertyRules)
	if err != nil {
		return nil, fmt.Errorf("set policy ids in %s: %w", PropertyFile, err)
	}
	slices.SortFunc(places, func(a, b idPlace) int { return a.start - b.start })
	var out []byte
	var missing []string
	at := 0
	for _, p := range places {
		id := ids[p.policy]
		if id <= 0 {
			if name := strconv.Quote(p.policy); p.null && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
			continue
		}
		out = strconv.AppendInt(append(out, propertyRules[at:p.start]...), id, 10)
		at = p.end
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("set policy ids in %s: no id for %s", PropertyFile, strings.Join(missing, ", "))
	}
	return append(out, propertyRules[at:]...), nil
}

// idPlace is where the id of a policy stands.
type idPlace struct {
	policy     string
	start, end int
	null       bool
}

func findIDs(propertyRules []byte) ([]idPlace, error) {
	if !cloudlet.ValidJSON(propertyRules) {
		return nil, errors.New("not JSON")
	}
	top, err := members(part{text: propertyRules}, "rule")
	if err != nil {
		return nil, err
	}
	if top["rule"].text == nil {
		return nil, errors.New("there is no rule")
	}
	return ruleIDs(top["rule"], nil)
}

func ruleIDs(rule part, places []idPlace) ([]idPlace, error) {
	of, err := members(rule, "name", "behaviors", "children")
	if err != nil {
		return nil, err
	}
	name := of["name"].words()
	behaviors, err := elements(of["behaviors"])
	if err != nil {
		return nil, err
	}
	for _, b := range behaviors {
		if places, err = behaviorIDs(b, name, places); err != nil {
			return nil, fmt.Errorf("rule %q: %w", name, err)
		}
	}
	children, err := elements(of["children"])
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		if places, err = ruleIDs(child, places); err != nil {
			return nil, err
		}
	}
	return places, nil
}

func behaviorIDs(behavior part, rule string, places []idPlace) ([]idPlace, error) {
	of, err := members(behavior, "name", "options")
	if err != nil || of["name"].words() != "edgeRedirector" {
		return places, err
	}
	options, err := members(of["options"], "cloudletSharedPolicy", "cloudletPolicy")
	if err != nil {
		return nil, err
	}
	id, policy := options["cloudletSharedPolicy"], rule
	if legacy := options["cloudletPolicy"]; id.text == nil && legacy.text != nil {
		if of, err = members(legacy, "id", "name"); err != nil {
			return nil, err
		}
		id, policy = of["id"], of["name"].words()
	}
	if id.text == nil {
		return nil, errors.New("its edgeRedirector behavior has no place for a policy's id")
	}
	null := string(id.text) == "null"
	if !null && !isNumber(id.text) {
		return nil, fmt.Errorf("its edgeRedirector behavior has the id %.40s", id.text)
	}
	return append(places, idPlace{policy: policy, start: id.at, end: id.at + len(id.text), null: null}), nil
}

func isNumber(text []byte) bool {
	return text[0] == '-' || '0' <= text[0] && text[0] <= '9'
}
