package redirect

import (
	"fmt"
	"strings"
)

// criterion is one criterion of a property's rule.
type criterion interface {
	holds(e *execution) (bool, error)
}

// matchVariable compares a variable with values: the criterion of that name.
type matchVariable struct {
	have    expression
	values  []expression
	compare comparison
	// empty: the variable must be empty, and there are no values.
	empty, negate bool
}

func (c *matchVariable) holds(e *execution) (bool, error) {
	have, err := c.have.value(e)
	if err != nil {
		return false, err
	}
	if c.empty {
		return (have == "") != c.negate, nil
	}
	for _, x := range c.values {
		value, err := x.value(e)
		if err != nil {
			return false, err
		}
		if c.compare.match(value, have) {
			return !c.negate, nil
		}
	}
	return c.negate, nil
}

// matchHost is the criterion hostname. Case does not matter, * and ? are wildcards.
type matchHost struct {
	literal map[string]bool // in lower case
	pattern []string
	negate  bool
}

func newMatchHost(values []string, negate bool) *matchHost {
	c := &matchHost{literal: map[string]bool{}, negate: negate}
	for _, value := range values {
		if strings.ContainsAny(value, "*?") {
			c.pattern = append(c.pattern, value)
		} else {
			c.literal[lowerText(value)] = true
		}
	}
	return c
}

func (c *matchHost) holds(e *execution) (bool, error) {
	host, err := e.lowerHost()
	if err != nil {
		return false, err
	}
	found := c.literal[host] || anyMatches(comparison{fold: true, star: true, question: true}, c.pattern, host)
	return found != c.negate, nil
}

func (e *execution) lowerHost() (string, error) {
	if e.q.Host == "" {
		return "", fmt.Errorf("criterion hostname: %s is not known", builtinHost)
	}
	if e.host == "" {
		e.host = lowerText(e.q.Host)
	}
	return e.host, nil
}

// matchPath is the criterion path; * and ? are wildcards. The path is compared as sent (D).
type matchPath struct {
	values  []string
	compare comparison
	negate  bool
}

func (c *matchPath) holds(e *execution) (bool, error) {
	return anyMatches(c.compare, c.values, e.q.Path) != c.negate, nil
}

func anyMatches(c comparison, values []string, text string) bool {
	for _, value := range values {
		if c.match(value, text) {
			return true
		}
	}
	return false
}

// matchProtocol is the criterion requestProtocol.
type matchProtocol struct{ scheme string }

func (c *matchProtocol) holds(e *execution) (bool, error) {
	if e.q.Scheme == "" {
		return false, fmt.Errorf("criterion requestProtocol: %s is not known", builtinScheme)
	}
	return strings.EqualFold(c.scheme, e.q.Scheme), nil
}

// simple tells whether the criterion is a variable that has one of some plain values, and gives what a map needs.
func (c *matchVariable) simple() (variable int, values []string, ok bool) {
	if c.empty || c.negate || c.compare.star || len(c.have) != 1 || c.have[0].text != "" || c.have[0].builtin != "" {
		return 0, nil, false
	}
	for _, x := range c.values {
		if len(x) == 0 {
			values = append(values, "")
			continue
		}
		if len(x) != 1 || x[0].text == "" {
			return 0, nil, false
		}
		values = append(values, x[0].text)
	}
	return c.have[0].variable, values, true
}
