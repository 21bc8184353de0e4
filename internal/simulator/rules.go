package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

const (
	maxRules  = 5000    // rules a policy version may have (Cloudlets API v2, Match rules)
	maxBody   = 5242880 // bytes of a request body (Cloudlets API v2 and v3, NOTE)
	maxLength = 8192    // characters of a name, URL or value in a rule
)

// rule is one match rule as it is answered, without the location that v2 puts in front.
type rule struct {
	text    []byte // one JSON object
	aka     []byte // its akaRuleId
	located bool   // the text has a location of its own, as loaded
}

// ruleList is the rules of a version in order, in groups of which some are shared with other versions.
// A nil list is null.
type ruleList [][]rule

func (l ruleList) count() int {
	n := 0
	for _, group := range l {
		n += len(group)
	}
	return n
}

func (l ruleList) all() []rule { return slices.Concat(l...) }

// appendTo adds the rules as one JSON array. With a prefix every rule gets a location: the prefix and its akaRuleId
// (Cloudlets API v2, Get a version rule).
func (l ruleList) appendTo(out chunks, prefix string) chunks {
	if l == nil {
		return append(out, []byte("null"))
	}
	out = slices.Grow(out, 5*l.count()+2)
	head, end, comma := []byte(`{"location":"`+prefix), []byte(`",`), []byte(",")
	out = append(out, []byte("["))
	first := true
	for _, group := range l {
		for i := range group {
			if !first {
				out = append(out, comma)
			}
			first = false
			if prefix == "" || group[i].located {
				out = append(out, group[i].text)
				continue
			}
			out = append(out, head, group[i].aka, end, group[i].text[1:])
		}
	}
	return append(out, []byte("]"))
}

// loadRules takes rules as they were answered once: nothing is added or removed.
func loadRules(text []byte) (ruleList, error) {
	if string(text) == "null" || text == nil {
		return nil, nil
	}
	elements, err := parseArray(text)
	if err != nil {
		return nil, err
	}
	group := make([]rule, len(elements))
	for i, element := range elements {
		group[i] = rule{text: element, located: true}
		if element[0] == '{' {
			group[i].aka = []byte(splitObject(element).text("akaRuleId"))
		}
	}
	return ruleList{group}, nil
}

// unlocated is the same rules without the location that names policy and version, for a copy elsewhere.
func (l ruleList) unlocated() ruleList {
	out := make(ruleList, 0, len(l))
	for _, group := range l {
		if !slices.ContainsFunc(group, func(r rule) bool { return r.located }) {
			out = append(out, group)
			continue
		}
		plain := make([]rule, len(group))
		for i, r := range group {
			plain[i] = r
			if r.located && r.text[0] == '{' {
				plain[i] = rule{text: splitObject(r.text).without("location").bytes(), aka: r.aka}
			}
			if len(plain[i].aka) == 0 {
				plain[i] = dress(splitObject(plain[i].text), "copy", i)
			}
		}
		out = append(out, plain)
	}
	return out
}

// ruleProblem is what is wrong with the rules of a request; pointer is a JSON pointer to it.
type ruleProblem struct{ pointer, detail string }

// acceptRules takes rules from a request for a version of a policy of type code: each must be an object of that type,
// and gets what the API adds: id, akaRuleId and null members. Everything sent stays as it was.
func acceptRules(code string, text []byte, salt string, strict bool) (ruleList, *ruleProblem) {
	elements := splitArray(text)
	group := make([]rule, len(elements))
	for i, element := range elements {
		pointer := fmt.Sprintf("/matchRules/%d", i)
		if element[0] != '{' {
			return nil, &ruleProblem{pointer, "Expected object, but got " + kindOf(element)}
		}
		o := splitObject(element)
		if p := checkRule(code, o, pointer, strict); p != nil {
			return nil, p
		}
		group[i] = dress(o, salt, i)
	}
	return ruleList{group}, nil
}

// dress adds the members that the API adds to a rule.
func dress(o object, salt string, index int) rule {
	o = o.copied()
	if !o.has("id") {
		o = o.set("id", []byte("0"))
	}
	aka := o.text("akaRuleId")
	if aka == "" {
		sum := sha256.Sum256(fmt.Appendf(o.bytes(), "%s/%d", salt, index))
		aka = hex.EncodeToString(sum[:8])
		o = o.set("akaRuleId", quote(aka))
	}
	if !o.has("matchURL") {
		o = o.set("matchURL", []byte("null"))
	}
	if o.text("type") == "erMatchRule" && !o.has("useRelativeUrl") {
		o = o.set("useRelativeUrl", []byte("null"))
	}
	return rule{text: o.bytes(), aka: []byte(aka)}
}

// checkRule applies the checks that the documents name; strict adds those of the v3 schemas that older rules fail.
func checkRule(code string, o object, pointer string, strict bool) *ruleProblem {
	if o.has("location") {
		return &ruleProblem{pointer, "object instance has properties which are not allowed by the schema: [\"location\"]"}
	}
	if kind := o.text("type"); !typeFits(code, kind) {
		return &ruleProblem{pointer + "/type", fmt.Sprintf("type %q is not one of a policy of type %s", kind, code)}
	}
	for _, key := range []string{"name", "matchURL", "redirectURL"} {
		if len([]rune(o.text(key))) > maxLength {
			return &ruleProblem{pointer + "/" + key, fmt.Sprintf("%s is longer than %d characters", key, maxLength)}
		}
	}
	if strict {
		for _, key := range refusedMembers(code) {
			if o.has(key) {
				return &ruleProblem{pointer, fmt.Sprintf("object instance has properties which are not allowed by the schema: [%q]", key)}
			}
		}
	}
	if code == "ER" {
		if p := checkRedirect(o, pointer); p != nil {
			return p
		}
	}
	return checkMatches(o, pointer)
}

// typeFits says whether a rule of that type belongs into a policy of that cloudlet. The documents print mmbMatchRule for
// both marketing cloudlets (Cloudlets API v2, Cloudlet-specific match examples).
func typeFits(code, kind string) bool {
	if code == "MMA" && kind == "mmbMatchRule" {
		return true
	}
	return kind == strings.ToLower(code)+"MatchRule"
}

// refusedMembers are in v2's rules and not in v3's schemas.
func refusedMembers(code string) []string {
	switch code {
	case "FR":
		return []string{"matchURL", "disabled"}
	case "AS":
		return []string{"matchURL"}
	default:
		return nil
	}
}

func checkRedirect(o object, pointer string) *ruleProblem {
	if o.text("redirectURL") == "" {
		return &ruleProblem{pointer + "/redirectURL", "redirectURL must not be empty"}
	}
	if status := string(o.get("statusCode")); !slices.Contains([]string{"301", "302", "303", "307", "308"}, status) {
		return &ruleProblem{pointer + "/statusCode", "statusCode must be one of 301, 302, 303, 307, 308"}
	}
	if !o.null("useRelativeUrl") &&
		!slices.Contains([]string{"none", "copy_scheme_hostname", "relative_url"}, o.text("useRelativeUrl")) {
		return &ruleProblem{pointer + "/useRelativeUrl", "useRelativeUrl must be one of none, copy_scheme_hostname, relative_url"}
	}
	return nil
}

func checkMatches(o object, pointer string) *ruleProblem {
	if o.null("matches") {
		return nil
	}
	matches := o.get("matches")
	if matches[0] != '[' {
		return &ruleProblem{pointer + "/matches", "Expected array, but got " + kindOf(matches)}
	}
	for i, match := range splitArray(matches) {
		at := fmt.Sprintf("%s/matches/%d", pointer, i)
		if match[0] != '{' {
			return &ruleProblem{at, "Expected object, but got " + kindOf(match)}
		}
		m := splitObject(match)
		if m.text("matchType") == "query" && !m.null("objectMatchValue") {
			return &ruleProblem{pointer, "Encountered null value"}
		}
		if len([]rune(m.text("matchValue"))) > maxLength {
			return &ruleProblem{at + "/matchValue", fmt.Sprintf("matchValue is longer than %d characters", maxLength)}
		}
	}
	return nil
}
