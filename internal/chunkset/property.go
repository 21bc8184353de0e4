package chunkset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// bucketVariable holds the number of the bucket while a request goes through the property.
const bucketVariable = "PMUSER_CMIG_BUCKET"

// The parts of property-rules.json, in Property Manager's names (rule format v2025-10-16).
type (
	propertyRules struct {
		Variables []variable `json:"variables"`
		Rule      rule       `json:"rule"`
	}
	variable struct {
		Name        string `json:"name"`
		Value       string `json:"value"`
		Description string `json:"description"`
		Hidden      bool   `json:"hidden"`
		Sensitive   bool   `json:"sensitive"`
	}
	rule struct {
		Name      string    `json:"name"`
		Comments  string    `json:"comments"`
		Criteria  []feature `json:"criteria"`
		Must      string    `json:"criteriaMustSatisfy"`
		Behaviors []feature `json:"behaviors"`
		Children  []rule    `json:"children"`
	}
	feature struct {
		Name    string `json:"name"`
		Options any    `json:"options"`
	}
	setVariable struct {
		VariableName  string `json:"variableName"`
		ValueSource   string `json:"valueSource"`
		VariableValue string `json:"variableValue"`
		Transform     string `json:"transform"`
		StartIndex    string `json:"startIndex,omitempty"`
		EndIndex      string `json:"endIndex,omitempty"`
		OperandOne    string `json:"operandOne,omitempty"`
	}
	matchVariable struct {
		VariableName       string   `json:"variableName"`
		MatchOperator      string   `json:"matchOperator"`
		VariableValues     []string `json:"variableValues"`
		MatchWildcard      bool     `json:"matchWildcard"`
		MatchCaseSensitive bool     `json:"matchCaseSensitive"`
	}
	hostname struct {
		MatchOperator string   `json:"matchOperator"`
		Values        []string `json:"values"`
	}
	sharedRedirector struct {
		Enabled        bool   `json:"enabled"`
		IsSharedPolicy bool   `json:"isSharedPolicy"`
		SharedPolicy   *int64 `json:"cloudletSharedPolicy"`
	}
	legacyRedirector struct {
		Enabled        bool         `json:"enabled"`
		IsSharedPolicy bool         `json:"isSharedPolicy"`
		Policy         legacyPolicy `json:"cloudletPolicy"`
	}
	legacyPolicy struct {
		ID   *int64 `json:"id"`
		Name string `json:"name"`
	}
)

// PropertyRules is property-rules.json for d, which Check agrees to, and policies of that API: the variables that a
// property must declare, and one rule to put into its tree, with a child for every chunk. The policies' ids are null.
func PropertyRules(d Dispatch, api cloudlet.API) []byte {
	p := propertyRules{Variables: []variable{}, Rule: rule{
		Name: d.Name + " redirects", Comments: topComments(d), Criteria: []feature{}, Must: "all",
		Behaviors: []feature{}, Children: make([]rule, 0, len(d.Chunks)),
	}}
	for _, n := range d.moduli() {
		name := d.variable(n)
		p.Variables = append(p.Variables, variable{Name: name, Description: fmt.Sprintf("Bucket, 0 to %d, of the request's %s among the redirects %s.", n-1, keyWords(d.Key), d.Name)})
		p.Rule.Behaviors = append(p.Rule.Behaviors, hashChain(name, d.Key, n)...)
	}
	hosts := d.hosts()
	for _, c := range d.Chunks {
		p.Rule.Children = append(p.Rule.Children, d.child(c, hosts, api))
	}
	text, err := cloudlet.Marshal(p, "  ")
	if err != nil {
		panic(err) // strings, numbers and Booleans alone
	}
	return append(text, '\n')
}

// moduli are the sizes of all hash sets, ascending.
func (d Dispatch) moduli() []int {
	var all []int
	for _, c := range d.Chunks {
		if d.hashed(c) {
			all = append(all, c.Of)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// variable is the name of the variable of hash sets of that size.
func (d Dispatch) variable(n int) string {
	if d.Kind == Hash {
		return bucketVariable
	}
	return bucketVariable + "_" + strconv.Itoa(n)
}

// hosts are all hosts that chunks are for, in order of first appearance.
func (d Dispatch) hosts() []string {
	all := []string{}
	seen := map[string]bool{}
	for _, c := range d.Chunks {
		for _, host := range c.Hosts {
			if !seen[host] {
				seen[host] = true
				all = append(all, host)
			}
		}
	}
	return all
}

// hashChain sets the variable to the bucket among n: (the first four hex digits of MD5(lower(decode(key))), as a number)
// mod n. One behavior does one transform.
func hashChain(name string, key Key, n int) []feature {
	first := "{{builtin.AK_PATH}}"
	if key == HostPathKey {
		first = "{{builtin.AK_HOST}}{{builtin.AK_PATH}}"
	}
	steps := []setVariable{
		{Transform: "URL_DECODE"},
		{Transform: "LOWER"},
		{Transform: "MD5"},
		{Transform: "SUBSTRING", StartIndex: "0", EndIndex: "4"},
		{Transform: "HEX_TO_DECIMAL"},
		{Transform: "MODULO", OperandOne: strconv.Itoa(n)},
	}
	chain := make([]feature, 0, len(steps))
	for i, step := range steps {
		step.VariableName, step.ValueSource, step.VariableValue = name, "EXPRESSION", "{{user."+name+"}}"
		if i == 0 {
			step.VariableValue = first
		}
		chain = append(chain, feature{Name: "setVariable", Options: step})
	}
	return chain
}

// child is the rule that sends a chunk's requests to its policy.
func (d Dispatch) child(c Chunk, hosts []string, api cloudlet.API) rule {
	r := rule{Name: c.Policy, Comments: d.childComments(c), Criteria: []feature{}, Must: "all", Children: []rule{}}
	switch {
	case c.OtherHosts && len(hosts) > 0:
		r.Criteria = append(r.Criteria, feature{"hostname", hostname{"IS_NOT_ONE_OF", hosts}})
	case !c.OtherHosts && len(c.Hosts) > 0:
		r.Criteria = append(r.Criteria, feature{"hostname", hostname{"IS_ONE_OF", c.Hosts}})
	}
	if d.hashed(c) {
		r.Criteria = append(r.Criteria, feature{"matchVariable", matchVariable{
			VariableName: d.variable(c.Of), MatchOperator: "IS_ONE_OF", VariableValues: []string{strconv.Itoa(c.Bucket)},
			MatchCaseSensitive: true,
		}})
	}
	enabled := d.Kind != Sequence
	var options any = sharedRedirector{Enabled: enabled, IsSharedPolicy: true}
	if api == cloudlet.V2 {
		options = legacyRedirector{Enabled: enabled, Policy: legacyPolicy{Name: c.Policy}}
	}
	r.Behaviors = []feature{{"edgeRedirector", options}}
	return r
}

func topComments(d Dispatch) string {
	var b strings.Builder
	switch d.Kind {
	case Hash:
		fmt.Fprintf(&b, "Computes the bucket of each request from its %s and asks the one of %d Edge Redirector policies that holds it. ", keyWords(d.Key), d.N)
	case Host:
		fmt.Fprintf(&b, "Asks the one of %d Edge Redirector policies that holds the redirects of the request's host. ", d.N)
		if len(d.moduli()) > 0 {
			fmt.Fprintf(&b, "Where a host has several policies, a bucket computed from the request's %s decides. ", keyWords(d.Key))
		}
	case Sequence:
		fmt.Fprintf(&b, "These %d Edge Redirector policies hold consecutive rows, and nothing here chooses between them: the property must choose "+
			"between the policies itself, by criteria that you add to each rule below, and then enable its behavior. As they stand, all are off. ", d.N)
	case Single:
		b.WriteString("Asks the Edge Redirector policy that holds all redirects. ")
	}
	b.WriteString("An Edge Redirector behavior that the property has already on the same requests must be removed, or fenced off with criteria: " +
		"two edgeRedirector behaviors on one request exclude each other.")
	return b.String()
}

func (d Dispatch) childComments(c Chunk) string {
	var who string
	switch {
	case c.OtherHosts:
		who = "Requests to every host that no other rule here names"
	case len(c.Hosts) > 0:
		who = "Requests to the hosts of this policy"
	case d.Kind == Hash:
		who = "Requests"
	case d.Kind == Sequence:
		return fmt.Sprintf("Rows %d to %d. Off: the property must choose between the policies itself; add criteria, then enable the behavior.", c.Rows[0], c.Rows[1])
	default:
		return "All requests."
	}
	if d.hashed(c) {
		return fmt.Sprintf("%s whose %s falls into bucket %d of %d.", who, keyWords(d.Key), c.Bucket, c.Of)
	}
	return who + "."
}

func keyWords(k Key) string {
	if k == HostPathKey {
		return "host and path"
	}
	return "path"
}
