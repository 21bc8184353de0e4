package redirect

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"regexp"
	"slices"
)

// Answer is what a list of rules does to a request.
type Answer struct {
	Found bool
	// ID is that of the rule that answers, as given to Add.
	ID       uint32
	Status   int
	Location string
	// Unsure are the rules before it, or all where none was found, that would have answered if what is not known were so.
	Unsure []Unsure
}

// Unsure is a rule that may or may not apply, and what would have to be known: "scheme", "host", "time", "method",
// "header", "cookie", "clientip", "continent", "country", "region", "proxy", "device", or what this package cannot
// judge: "match type X", "operator X", "match value X", "member X", "valueEscaped".
type Unsure struct {
	ID     uint32
	Needed []string
}

// Set is a list of rules of any length. A rule that can match only literal paths is found by an index and loaded when
// it is needed, so that the set holds neither its text nor its view (unless it has a regex); the other rules it keeps.
// It is safe for concurrent use once all rules are in.
type Set struct {
	index index
	kept  []keptRule
	last  int64
}

type keptRule struct {
	id      uint32
	rule    Rule
	regexes []*regexp.Regexp // at the places of their matches; nil where the rule has none
}

// NewSet makes an empty set.
func NewSet() *Set { return &Set{index: index{seed: maphash.MakeSeed()}, last: -1} }

// Add puts a rule at the end of the list. IDs must ascend. The error names a regex that is not RE2; the rule is then
// not in the set. The set keeps r's texts, but not r.
func (s *Set) Add(id uint32, r *Rule) error {
	if int64(id) <= s.last {
		return fmt.Errorf("add rule %d behind rule %d", id, s.last)
	}
	regexes, err := r.regexes()
	if err != nil {
		return err
	}
	s.last = int64(id)
	if r.Disabled {
		return nil
	}
	if paths, ok := r.Literals(); ok && regexes == nil {
		s.index.addLiteral(id, r, paths)
		return nil
	}
	k := keptRule{id: id, rule: *r, regexes: regexes}
	k.rule.Matches = slices.Clone(r.Matches)
	s.kept = append(s.kept, k)
	s.index.addKept(uint32(len(s.kept)-1), &k.rule)
	return nil
}

func (r *Rule) regexes() ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for i := range r.Matches {
		m := &r.Matches[i]
		if m.Type != typeRegex || m.Object != nil || m.Value == "" {
			continue
		}
		re, err := m.compile()
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = make([]*regexp.Regexp, len(r.Matches))
		}
		all[i] = re
	}
	return all, nil
}

// Evaluate gives the answer of the first rule, in the order of the ids, that applies. Load is asked for some of the
// rules with literal paths and must give them as they were when added; its error ends the evaluation.
func (s *Set) Evaluate(q *Request, load func(id uint32) (*Rule, error)) (Answer, error) {
	return s.EvaluateSkipping(q, load, nil)
}

// EvaluateSkipping is Evaluate without the rules for which skip, unless it is nil, says true.
func (s *Set) EvaluateSkipping(q *Request, load func(id uint32) (*Rule, error), skip func(id uint32) bool) (Answer, error) {
	var room, keptRoom [32]uint32
	c := s.candidates(q, room[:0], keptRoom[:0])
	var a Answer
	for id, k := c.next(); id >= 0; id, k = c.next() {
		if skip != nil && skip(uint32(id)) {
			continue
		}
		var r *Rule
		var regexes []*regexp.Regexp
		if k != nil {
			r, regexes = &k.rule, k.regexes
		} else {
			var err error
			if r, err = load(uint32(id)); err != nil {
				return Answer{}, fmt.Errorf("load rule %d: %w", id, err)
			}
			if r == nil {
				return Answer{}, fmt.Errorf("load rule %d: %w", id, errNoRule)
			}
		}
		var n needs
		switch r.holds(regexes, q, &n) {
		case yes:
			a.Found, a.ID, a.Status, a.Location = true, uint32(id), r.StatusCode, r.location(regexes, q)
			return a, nil
		case unsure:
			a.Unsure = append(a.Unsure, Unsure{ID: uint32(id), Needed: n.list()})
		case no:
		}
	}
	return a, nil
}

var errNoRule = errors.New("there is none")

// candidates are the rules that may apply to a request, in order: the merger of three lists.
type candidates struct {
	set      *Set
	literals []uint32 // ids
	prefixes []uint32 // places in the list of kept rules
	always   []uint32 // the same
	last     int64
}

func (s *Set) candidates(q *Request, ids, places []uint32) candidates {
	ids, places = s.index.candidates(q, ids, places)
	sortFew(ids)
	sortFew(places)
	return candidates{set: s, literals: ids, prefixes: places, always: s.index.always, last: -1}
}

// sortFew sorts what is mostly no more than a handful.
func sortFew(list []uint32) {
	if len(list) > 16 {
		slices.SortFunc(list, cmp.Compare[uint32])
		return
	}
	for i := 1; i < len(list); i++ {
		for j := i; j > 0 && list[j] < list[j-1]; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

// next is the id of the next rule, and the rule if it is kept; -1 behind the last one.
func (c *candidates) next() (int64, *keptRule) {
	for {
		from, id := (*[]uint32)(nil), int64(math.MaxInt64)
		if len(c.literals) > 0 {
			from, id = &c.literals, int64(c.literals[0])
		}
		var k *keptRule
		for _, list := range [...]*[]uint32{&c.prefixes, &c.always} {
			if len(*list) > 0 {
				if kept := &c.set.kept[(*list)[0]]; int64(kept.id) < id {
					from, id, k = list, int64(kept.id), kept
				}
			}
		}
		if from == nil {
			return -1, nil
		}
		*from = (*from)[1:]
		if id != c.last {
			c.last = id
			return id, k
		}
	}
}

// List is a Set that holds its rules. Their ids are their places, from 0 on. It is safe for concurrent use.
type List struct {
	set   *Set
	rules []Rule
}

// NewList makes a list of rules, which must not change from then on. The error names the rule whose regex is not RE2.
func NewList(rules []Rule) (*List, error) {
	l := &List{set: NewSet(), rules: rules}
	for i := range rules {
		if err := l.set.Add(uint32(i), &rules[i]); err != nil {
			return nil, fmt.Errorf("rule %d (%s): %w", i+1, rules[i].Name, err)
		}
	}
	return l, nil
}

// Evaluate gives the answer of the first rule that applies.
func (l *List) Evaluate(q *Request) (Answer, error) { return l.set.Evaluate(q, l.load) }

func (l *List) load(id uint32) (*Rule, error) { return &l.rules[id], nil }

// Rule is the rule of an id; nil where there is none. It must not be changed.
func (l *List) Rule(id uint32) *Rule {
	if int(id) >= len(l.rules) {
		return nil
	}
	return &l.rules[id]
}
