package importer

import (
	"errors"
	"fmt"
	"slices"

	"cloudletmig/internal/cloudlet"
)

// versionBody is what is sent to make a version of a policy: the description, the match rules (split) as they stand in the
// document but without what the API refuses, and the configuration of a waiting room. Rules that are null are sent as [].
//
// Refused are location, in any rule, and what today's schemas lack: matchURL of FR and AS and disabled of FR in v3
// (Cloudlets API v3, match rules). Where such a member says something its rule is an error; null and false say nothing.
func versionBody(p Policy, description string, rules, rest []byte) ([]byte, error) {
	text, err := cloudlet.Marshal(description, "")
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, len(rules)+len(rest)+len(text)+64)
	body = append(append(body, `{"description":`...), text...)
	if p.API == cloudlet.V2 {
		body = append(body, `,"matchRuleFormat":"1.0"`...)
	}
	if p.API == cloudlet.V3 && rest != nil {
		body = append(append(body, `,"configuration":`...), rest...)
	}
	body = append(body, `,"matchRules":[`...)
	number := 0
	for rule := range cloudlet.Elements(rules) {
		if number++; number > 1 {
			body = append(body, ',')
		}
		if body, err = appendRule(body, p, rule); err != nil {
			return nil, fmt.Errorf("match rule %d: %w", number, err)
		}
	}
	return append(body, `]}`...), nil
}

// split gives the match rules of a version's document and its configuration, where it has one.
func split(doc []byte) (rules, configuration []byte, err error) {
	if !cloudlet.ValidJSON(doc) {
		return nil, nil, errors.New("not valid JSON")
	}
	found := false
	for name, value := range cloudlet.Members(doc) {
		switch name {
		case "matchRules":
			if found {
				return nil, nil, errors.New("matchRules is there twice")
			}
			rules, found = value, true
		case "configuration":
			if string(value) != "null" {
				configuration = value
			}
		}
	}
	switch {
	case !found:
		return nil, nil, errors.New("there are no matchRules")
	case rules[0] != '[' && rules[0] != 'n':
		return nil, nil, errors.New("matchRules is no list")
	}
	return rules, configuration, nil
}

// refusedMembers are those of a rule that the API does not take.
func (p Policy) refusedMembers() []string {
	refused := []string{"location"}
	if p.API == cloudlet.V3 {
		switch p.Type {
		case "FR":
			refused = append(refused, "matchURL", "disabled")
		case "AS":
			refused = append(refused, "matchURL")
		}
	}
	return refused
}

// appendRule appends a rule as it is, but for what the API refuses.
func appendRule(body []byte, p Policy, rule []byte) ([]byte, error) {
	if rule[0] != '{' {
		return nil, errors.New("no object")
	}
	refused := p.refusedMembers()
	start := len(body)
	body = append(body, '{')
	for name, value := range cloudlet.Members(rule) {
		if slices.Contains(refused, name) {
			if text := string(value); name != "location" && text != "null" && text != "false" && text != `"false"` {
				return nil, fmt.Errorf("%s policies of v3 have no %s, and here it says %.60s", p.Type, name, text)
			}
			continue
		}
		var err error
		if body, err = appendMember(body, start, name, value); err != nil {
			return nil, err
		}
	}
	return append(body, '}'), nil
}

// appendMember appends a member to the object that begins at start and has no end yet; its value is written without white
// space.
func appendMember(body []byte, start int, name string, value []byte) ([]byte, error) {
	if len(body) > start+1 {
		body = append(body, ',')
	}
	key, err := cloudlet.Marshal(name, "")
	if err != nil {
		return nil, err
	}
	return cloudlet.AppendCompact(append(append(body, key...), ':'), value), nil
}

// balancingBody is what is sent to make a load-balancing version: the document without what the API itself writes.
func balancingBody(doc []byte) ([]byte, error) {
	if !cloudlet.ValidJSON(doc) {
		return nil, errors.New("not valid JSON")
	}
	body := []byte{'{'}
	for name, value := range cloudlet.Members(doc) {
		if slices.Contains(balancingOwn(), name) {
			continue
		}
		var err error
		if body, err = appendMember(body, 0, name, value); err != nil {
			return nil, err
		}
	}
	return append(body, '}'), nil
}

// balancingOwn are the members that the API writes into a load-balancing version (Cloudlets API v2, load balancing
// version members).
func balancingOwn() []string {
	return []string{
		"createdBy", "createdDate", "deleted", "immutable", "lastModifiedBy", "lastModifiedDate", "originId", "originID",
		"version", "warnings", "location", "serviceVersion", "apiVersion",
	}
}

// Body is what is sent to make a version of p with the rules of a document: the API gets what it takes, and nothing that
// says something is left out silently.
func Body(p Policy, description string, doc []byte) ([]byte, error) {
	rules, rest, err := split(doc)
	if err != nil {
		return nil, err
	}
	return versionBody(p, description, rules, rest)
}

// Hash is the hash by which the document of a version of p is compared with others of its kind (cloudlet.CanonicalHash).
func Hash(p Policy, doc []byte) (string, error) {
	if p.IsOrigin() {
		body, err := balancingBody(doc)
		if err != nil {
			return "", err
		}
		return hashOfObject(body)
	}
	rules, configuration, err := split(doc)
	if err != nil {
		return "", err
	}
	return hashOfParts(rules, configuration)
}

func hashOfParts(rules, configuration []byte) (string, error) {
	hash, err := cloudlet.CanonicalHash(rules)
	if err != nil || configuration == nil {
		return hash, err
	}
	rest, err := hashOfObject(configuration)
	return hash + "+" + rest, err
}

// hashOfObject is for what is no list of rules.
func hashOfObject(object []byte) (string, error) {
	return cloudlet.CanonicalHash(slices.Concat([]byte("["), object, []byte("]")))
}

// bodyOf is what is sent to make a version of either kind.
func bodyOf(p Policy, v Version, doc []byte) ([]byte, error) {
	if p.IsOrigin() {
		return balancingBody(doc)
	}
	rules, rest, err := split(doc)
	if err != nil {
		return nil, err
	}
	return versionBody(p, v.Description, rules, rest)
}

// weigh gives the hash and the body of a version's document.
func weigh(p Policy, v Version, doc []byte) (hash string, body []byte, err error) {
	if p.IsOrigin() {
		if body, err = balancingBody(doc); err != nil {
			return "", nil, err
		}
		hash, err = hashOfObject(body)
		return hash, body, err
	}
	rules, rest, err := split(doc)
	if err != nil {
		return "", nil, err
	}
	if hash, err = hashOfParts(rules, rest); err != nil {
		return "", nil, err
	}
	body, err = versionBody(p, v.Description, rules, rest)
	return hash, body, err
}
