package redirect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// minRun is how many rules alike are worth a map.
const minRun = 4

func (c *compiler) criterion(f featureDoc) (criterion, error) {
	switch f.Name {
	case nameMatchVariable:
		return c.matchVariable(f.Options)
	case "hostname":
		negate, err := f.Options.oneOf("IS_ONE_OF", "IS_NOT_ONE_OF")
		if err != nil {
			return nil, err
		}
		values, err := f.Options.texts("values")
		return newMatchHost(values, negate), err
	case typePath:
		return pathCriterion(f.Options)
	case "requestProtocol":
		value, err := f.Options.text("value")
		if err == nil && value != "HTTP" && value != "HTTPS" {
			err = fmt.Errorf("unknown value %q", value)
		}
		return &matchProtocol{scheme: value}, err
	default:
		return nil, errors.New("unknown criterion")
	}
}

func pathCriterion(o optionsDoc) (criterion, error) {
	negate, err := o.oneOf("MATCHES_ONE_OF", "DOES_NOT_MATCH_ONE_OF")
	if err != nil {
		return nil, err
	}
	values, err := o.texts("values")
	if err != nil {
		return nil, err
	}
	normalize, err1 := o.boolean("normalize")
	sensitive, err2 := o.boolean("matchCaseSensitive")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if normalize {
		return nil, errors.New("unknown option normalize")
	}
	return &matchPath{values: values, negate: negate, compare: comparison{fold: !sensitive, star: true, question: true}}, nil
}

// oneOf is false for the first operator and true for the second.
func (o optionsDoc) oneOf(is, isNot string) (bool, error) {
	operator, err := o.text("matchOperator")
	if err == nil && operator != is && operator != isNot {
		err = fmt.Errorf("unknown operator %q", operator)
	}
	return operator == isNot, err
}

// matchVariable reads the criterion. Where they are missing, matchCaseSensitive is on and matchWildcard is off, as the
// samples of Akamai's Terraform provider give the defaults.
func (c *compiler) matchVariable(o optionsDoc) (criterion, error) {
	name, err := o.text("variableName")
	if err != nil {
		return nil, err
	}
	m := &matchVariable{}
	if m.have, err = c.variable(name); err != nil {
		return nil, err
	}
	operator, err := o.text("matchOperator")
	if err != nil {
		return nil, err
	}
	m.negate = strings.HasPrefix(operator, "IS_NOT")
	switch operator {
	case "IS_EMPTY", "IS_NOT_EMPTY":
		m.empty = true
		return m, nil
	case "IS", "IS_NOT":
		text, err := o.text("variableExpression")
		if err != nil {
			return nil, err
		}
		x, err := c.expression(text)
		if err != nil {
			return nil, err
		}
		m.values = []expression{x}
	case "IS_ONE_OF", "IS_NOT_ONE_OF":
		texts, err := o.texts("variableValues")
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			x, err := c.expression(text)
			if err != nil {
				return nil, err
			}
			m.values = append(m.values, x)
		}
	default:
		return nil, fmt.Errorf("unknown operator %q", operator)
	}
	sensitive := true
	if o.has("matchCaseSensitive") {
		sensitive, err = o.boolean("matchCaseSensitive")
	}
	wildcard, err2 := o.boolean("matchWildcard")
	m.compare = comparison{fold: !sensitive, star: wildcard, question: wildcard, plain: true}
	return m, errors.Join(err, err2)
}

// variable is the expression of a criterion's variableName: one of the property's own, or a builtin one.
func (c *compiler) variable(name string) (expression, error) {
	full := name
	if _, ok := c.slots[variableName(name)]; ok {
		full = "user." + variableName(name)
	} else if strings.HasPrefix(name, "AK_") {
		full = "builtin." + name
	}
	p, err := c.part(full)
	return expression{p}, err
}

// group puts runs of rules that are alike together. Either their only criterion is that one variable has one of some
// values, and none of them sets that variable; or their first criterion is that the host is one of some, and none of the
// others is enough without it. So one look at the variable or the host tells which of them need looking at.
func group(nodes []node) []child {
	var children []child
	for len(nodes) > 0 {
		n, r := runLength(nodes)
		if n < minRun {
			n, r = 1, nil
		}
		children = append(children, child{nodes: nodes[:n], run: r})
		nodes = nodes[n:]
	}
	return children
}

// runLength is how many of the first nodes are of one run, and that run.
func runLength(nodes []node) (int, *run) {
	first, _, ok := nodes[0].key()
	if !ok {
		return 1, nil
	}
	r := &run{runKey: first, places: map[string][]int{}}
	for i := range nodes {
		key, values, ok := nodes[i].key()
		if !ok || key != first {
			return i, r
		}
		r.add(i, values)
	}
	return len(nodes), r
}

// key is what a rule may be found by, and the values. It is false for a rule that must always be looked at.
func (n *node) key() (runKey, []string, bool) {
	if len(n.criteria) == 0 || n.anyOf && len(n.criteria) > 1 {
		return runKey{}, nil, false
	}
	switch c := n.criteria[0].(type) {
	case *matchHost:
		return runKey{host: true, fold: true}, slices.Collect(maps.Keys(c.literal)), !c.negate && len(c.pattern) == 0
	case *matchVariable:
		variable, values, ok := c.simple()
		return runKey{variable: variable, fold: c.compare.fold}, values, ok && len(n.criteria) == 1 && !n.sets(variable)
	default:
		return runKey{}, nil, false
	}
}

func (r *run) add(place int, values []string) {
	for _, value := range values {
		if r.fold {
			value = lowerText(value)
		}
		if !slices.Contains(r.places[value], place) {
			r.places[value] = append(r.places[value], place)
		}
	}
}

// sets reports whether a rule or one below it sets a variable.
func (n *node) sets(variable int) bool {
	for _, b := range n.behaviors {
		if b.set != nil && b.set.variable == variable {
			return true
		}
	}
	for _, c := range n.children {
		if slices.ContainsFunc(c.nodes, func(n node) bool { return n.sets(variable) }) {
			return true
		}
	}
	return false
}
