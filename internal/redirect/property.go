package redirect

// Property interprets that part of a Property Manager rule tree which decides on the edgeRedirector behavior: rules run
// from the top down, a rule's criteria first, then its behaviors, then its children; a variable keeps what was set
// last; of several edgeRedirector behaviors that a request gets, the last one counts. It is safe for concurrent use.
type Property struct {
	root     node
	initial  []string // what each variable holds at first
	policies []Chosen
	runs     bool // walk runs of like rules by their map
}

// Reading says how to read two things that no document of Akamai says.
type Reading struct {
	// PathDecoded: AK_PATH arrives with its percent-encodings decoded once.
	PathDecoded bool
	// PlusIsSpace: URL_DECODE turns a plus into a space.
	PlusIsSpace bool
}

// Chosen is an edgeRedirector behavior.
type Chosen struct {
	Rule       string // the name of the rule it stands in
	Shared     bool
	PolicyID   int64 // 0: null, not yet known
	PolicyName string
	Enabled    bool
}

// Policy is the name of the policy that the behavior asks: of API v2 it names it, of v3 it has a number for it, and its rule
// has the name.
func (c *Chosen) Policy() string {
	if !c.Shared && c.PolicyName != "" {
		return c.PolicyName
	}
	return c.Rule
}

// node is a rule, with all that cannot matter left out.
type node struct {
	anyOf     bool // one criterion is enough
	criteria  []criterion
	behaviors []behavior
	children  []child
}

// child is one rule, or a run of rules that are found by the value of one variable or by host.
type child struct {
	nodes []node
	run   *run
}

// run finds the rules of a run that may apply.
type run struct {
	runKey
	places map[string][]int // ascending
}

// runKey says by what: a variable, or the host.
type runKey struct {
	host     bool
	variable int
	fold     bool
}

// behavior sets a variable or chooses a policy.
type behavior struct {
	set    *setVariable
	choose int // a place in Property.policies, when set is nil
}

// Policies gives every edgeRedirector behavior in the order of the document, those of rules that never apply too. The
// caller must not change the list.
func (p *Property) Policies() []Chosen { return p.policies }

// Choose tells which edgeRedirector behavior a request gets; it is false where there is none. An error names what the
// request leaves unknown, or the transform that its variables do not fit.
func (p *Property) Choose(q *Request, r Reading) (Chosen, bool, error) {
	e := execution{property: p, q: q, reading: r, chosen: -1}
	e.variables = append(e.room[:0], p.initial...)
	if err := e.rule(&p.root); err != nil {
		return Chosen{}, false, err
	}
	if e.chosen < 0 {
		return Chosen{}, false, nil
	}
	return p.policies[e.chosen], true, nil
}

// execution is one request's way through a property.
type execution struct {
	property  *Property
	q         *Request
	reading   Reading
	variables []string
	room      [4]string
	host      string // in lower case; empty before it is asked for
	chosen    int
}

func (e *execution) rule(n *node) error {
	ok, err := e.applies(n)
	if err != nil || !ok {
		return err
	}
	return e.body(n)
}

// applies tells whether a rule's criteria hold. A rule without any always applies.
func (e *execution) applies(n *node) (bool, error) {
	for _, c := range n.criteria {
		ok, err := c.holds(e)
		if err != nil {
			return false, err
		}
		if ok == n.anyOf {
			return ok, nil
		}
	}
	return !n.anyOf || len(n.criteria) == 0, nil
}

func (e *execution) body(n *node) error {
	for _, b := range n.behaviors {
		if b.set == nil {
			e.chosen = b.choose
			continue
		}
		if err := b.set.run(e); err != nil {
			return err
		}
	}
	for i := range n.children {
		if err := e.child(&n.children[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *execution) child(c *child) error {
	if c.run == nil || !e.property.runs {
		for i := range c.nodes {
			if err := e.rule(&c.nodes[i]); err != nil {
				return err
			}
		}
		return nil
	}
	value, err := e.runValue(c.run)
	if err != nil {
		return err
	}
	for _, i := range c.run.places[value] {
		if err := e.rule(&c.nodes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *execution) runValue(r *run) (string, error) {
	if r.host {
		return e.lowerHost()
	}
	value := e.variables[r.variable]
	if r.fold {
		value = lowerText(value)
	}
	return value, nil
}
