package redirect

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// propertyDoc is a snippet of rules with its variables, or a whole rule tree, whose variables stand within.
type propertyDoc struct {
	Variables []variableDoc `json:"variables"`
	Rule      *ruleDoc      `json:"rule"`
	Rules     *struct {
		ruleDoc
		Variables []variableDoc `json:"variables"`
	} `json:"rules"`
}

type variableDoc struct {
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

type ruleDoc struct {
	Name      string       `json:"name"`
	Satisfy   string       `json:"criteriaMustSatisfy"`
	Criteria  []featureDoc `json:"criteria"`
	Behaviors []featureDoc `json:"behaviors"`
	Children  []ruleDoc    `json:"children"`
}

type featureDoc struct {
	Name    string     `json:"name"`
	Options optionsDoc `json:"options"`
}

const (
	nameSetVariable    = "setVariable"
	nameEdgeRedirector = "edgeRedirector"
	nameMatchVariable  = "matchVariable"
)

// ParseProperty reads a snippet {"variables": [], "rule": {}} or a whole rule tree {"rules": {}}. Rules that neither
// choose an edgeRedirector behavior nor set a variable on which the choice depends are left aside, whatever they hold.
// In the others an unknown criterion, transform, operator or variable, or a number that is none, is an error that names
// the rule and what is wrong in it.
func ParseProperty(doc []byte) (*Property, error) {
	var d propertyDoc
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("read property rules: %w", err)
	}
	root, variables := d.Rule, d.Variables
	if d.Rules != nil {
		if root != nil {
			return nil, errors.New("read property rules: there is both a member rule and a member rules")
		}
		root, variables = &d.Rules.ruleDoc, d.Rules.Variables
	}
	if root == nil {
		return nil, errors.New("read property rules: there is no member rule and no member rules")
	}
	c := &compiler{property: &Property{runs: true}, slots: map[string]int{}}
	for _, v := range variables {
		if _, ok := c.slots[v.Name]; ok || v.Name == "" {
			return nil, fmt.Errorf("read property rules: variable %q is declared twice or has no name", v.Name)
		}
		c.slots[v.Name] = len(c.property.initial)
		value := ""
		if v.Value != nil {
			value = *v.Value
		}
		c.property.initial = append(c.property.initial, value)
	}
	if err := c.need(root); err != nil {
		return nil, fmt.Errorf("read property rules: %w", err)
	}
	n, err := c.rule(root)
	if err != nil {
		return nil, fmt.Errorf("read property rules: %w", err)
	}
	c.property.root = n
	return c.property, nil
}

// compiler turns a rule tree into a Property.
type compiler struct {
	property *Property
	slots    map[string]int  // of the declared variables
	needed   map[string]bool // names of variables that the choice depends on
}

// need finds the variables that the choice depends on. A variable that one of them is made of is needed as well, and so
// is one in the criteria above a rule that sets a needed one, hence the loop.
func (c *compiler) need(root *ruleDoc) error {
	c.needed = map[string]bool{}
	for known := -1; len(c.needed) != known; {
		known = len(c.needed)
		if _, err := c.needRule(root); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) needRule(r *ruleDoc) (matters bool, err error) {
	for i := range r.Children {
		m, err := c.needRule(&r.Children[i])
		if err != nil {
			return false, err
		}
		matters = matters || m
	}
	for _, b := range r.Behaviors {
		if !c.matters(b) {
			continue
		}
		matters = true
		if b.Name == nameSetVariable {
			c.needNames(b.Options["variableValue"])
		}
	}
	if !matters {
		return false, nil
	}
	for _, f := range r.Criteria {
		if f.Name != nameMatchVariable {
			continue
		}
		name, err := f.Options.text("variableName")
		if err != nil {
			return false, inRule(r, err)
		}
		c.needed[variableName(name)] = true
		c.needNames(f.Options["variableExpression"])
		c.needNames(f.Options["variableValues"])
	}
	return true, nil
}

// needNames notes every variable that is named in an option, a text or a list of texts.
func (c *compiler) needNames(raw json.RawMessage) {
	var text string
	texts := []string{}
	if json.Unmarshal(raw, &text) != nil && json.Unmarshal(raw, &texts) != nil {
		return // reading the rule will tell
	}
	text += strings.Join(texts, "")
	for name := range c.slots {
		if strings.Contains(text, "{{user."+name+"}}") {
			c.needed[name] = true
		}
	}
}

// matters reports whether a behavior chooses a policy or sets a variable that is needed.
func (c *compiler) matters(b featureDoc) bool {
	if b.Name != nameSetVariable {
		return b.Name == nameEdgeRedirector
	}
	name, err := b.Options.text("variableName")
	return err == nil && c.needed[variableName(name)]
}

// subtreeMatters reports whether a rule or one below it holds a behavior that matters.
func (c *compiler) subtreeMatters(r *ruleDoc) bool {
	return slices.ContainsFunc(r.Behaviors, c.matters) ||
		slices.ContainsFunc(r.Children, func(child ruleDoc) bool { return c.subtreeMatters(&child) })
}

func inRule(r *ruleDoc, err error) error { return fmt.Errorf("rule %q: %w", r.Name, err) }

func (c *compiler) rule(r *ruleDoc) (node, error) {
	var n node
	switch r.Satisfy {
	case "", "all":
	case "any":
		n.anyOf = true
	default:
		return n, inRule(r, fmt.Errorf("unknown criteriaMustSatisfy %q", r.Satisfy))
	}
	for _, f := range r.Criteria {
		criterion, err := c.criterion(f)
		if err != nil {
			return n, inRule(r, fmt.Errorf("criterion %s: %w", f.Name, err))
		}
		n.criteria = append(n.criteria, criterion)
	}
	for _, f := range r.Behaviors {
		if !c.matters(f) {
			continue
		}
		b, err := c.behavior(r, f)
		if err != nil {
			return n, inRule(r, fmt.Errorf("behavior %s: %w", f.Name, err))
		}
		n.behaviors = append(n.behaviors, b)
	}
	var nodes []node
	for i := range r.Children {
		if !c.subtreeMatters(&r.Children[i]) {
			continue
		}
		child, err := c.rule(&r.Children[i])
		if err != nil {
			return n, err
		}
		nodes = append(nodes, child)
	}
	n.children = group(nodes)
	return n, nil
}

func (c *compiler) behavior(r *ruleDoc, f featureDoc) (behavior, error) {
	if f.Name == nameEdgeRedirector {
		chosen, err := edgeRedirector(r.Name, f.Options)
		c.property.policies = append(c.property.policies, chosen)
		return behavior{choose: len(c.property.policies) - 1}, err
	}
	set := &setVariable{rule: r.Name}
	name, err := f.Options.text("variableName")
	if err != nil {
		return behavior{}, err
	}
	slot, ok := c.slots[variableName(name)]
	if !ok {
		return behavior{}, fmt.Errorf("variable %s is not declared", name)
	}
	set.variable = slot
	if source, err := f.Options.text("valueSource"); err != nil || source != "EXPRESSION" {
		return behavior{}, errors.Join(err, fmt.Errorf("unknown valueSource %q of variable %s", source, name))
	}
	text, err := f.Options.text("variableValue")
	if err != nil {
		return behavior{}, err
	}
	if set.from, err = c.expression(text); err != nil {
		return behavior{}, err
	}
	set.transform, err = parseTransform(f.Options)
	return behavior{set: set}, err
}

func edgeRedirector(rule string, o optionsDoc) (Chosen, error) {
	chosen := Chosen{Rule: rule, Enabled: true} // enabled is on unless it says otherwise
	var err error
	if o.has("enabled") {
		if chosen.Enabled, err = o.boolean("enabled"); err != nil {
			return chosen, err
		}
	}
	if chosen.Shared, err = o.boolean("isSharedPolicy"); err != nil {
		return chosen, err
	}
	if chosen.Shared {
		if o.has("cloudletSharedPolicy") {
			chosen.PolicyID, err = o.number("cloudletSharedPolicy")
		}
		return chosen, err
	}
	if !o.has("cloudletPolicy") {
		return chosen, nil
	}
	var policy struct {
		ID   *int64  `json:"id"`
		Name *string `json:"name"`
	}
	if err := json.Unmarshal(o["cloudletPolicy"], &policy); err != nil {
		return chosen, fmt.Errorf("option cloudletPolicy: %w", err)
	}
	if policy.ID != nil {
		chosen.PolicyID = *policy.ID
	}
	if policy.Name != nil {
		chosen.PolicyName = *policy.Name
	}
	return chosen, nil
}

func parseTransform(o optionsDoc) (transform, error) {
	t := transform{name: transformNone}
	var err error
	if o.has("transform") {
		if t.name, err = o.text("transform"); err != nil {
			return t, err
		}
	}
	switch t.name {
	case transformNone, transformURLDecode, transformLower, transformUpper, transformMD5, transformHex:
	case transformSubstring:
		start, err1 := o.number("startIndex")
		end, err2 := o.number("endIndex")
		if err := errors.Join(err1, err2); err != nil {
			return t, err
		}
		if start < 0 || end < start || end > 1<<20 {
			return t, fmt.Errorf("SUBSTRING from %d to %d", start, end)
		}
		t.start, t.end = int(start), int(end)
	case transformAdd, transformModulo:
		if t.operand, err = o.number("operandOne"); err != nil {
			return t, err
		}
		if t.name == transformModulo && t.operand <= 0 {
			return t, fmt.Errorf("MODULO %d", t.operand)
		}
	default:
		return t, fmt.Errorf("unknown transform %q", t.name)
	}
	return t, nil
}

// variableName is the name without the prefix that it has in an expression.
func variableName(name string) string { return strings.TrimPrefix(name, "user.") }

func (c *compiler) expression(text string) (expression, error) {
	var x expression
	for text != "" {
		plain, rest, found := strings.Cut(text, "{{")
		if plain != "" {
			x = append(x, part{text: plain})
		}
		if !found {
			break
		}
		name, behind, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, fmt.Errorf("expression %q does not end", text)
		}
		p, err := c.part(name)
		if err != nil {
			return nil, err
		}
		x = append(x, p)
		text = behind
	}
	return x, nil
}

func (c *compiler) part(name string) (part, error) {
	if user, ok := strings.CutPrefix(name, "user."); ok {
		slot, ok := c.slots[user]
		if !ok {
			return part{}, fmt.Errorf("variable %s is not declared", user)
		}
		return part{variable: slot}, nil
	}
	known := []string{builtinPath, builtinHost, builtinScheme, builtinQuery, builtinMethod}
	if builtin, ok := strings.CutPrefix(name, "builtin."); ok && slices.Contains(known, builtin) {
		return part{builtin: builtin}, nil
	}
	return part{}, fmt.Errorf("unknown variable %q", name)
}
