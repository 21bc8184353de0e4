package convert

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// maxHops is how far a redirect is followed.
const maxHops = 10

// step is what following a row's redirect came to.
type step struct {
	row    uint32
	code   string // empty: nothing worth knowing
	other  uint32 // the id of the rule that has to do with it
	hops   int
	end    string // where it ends; empty where that is not known
	sure   bool   // every request of the row ends there
	again  bool   // it depends on other rows: look once more when one of them is gone
	pinned bool   // it needs the scheme that was dropped
}

// walk follows the redirect of every row by evaluating, and rejects rows that lead to themselves. A row that only does so
// since its scheme was dropped gets it back. As rejected rows may have stood in the way of others, or have won over them,
// those that depend on others are followed again until nothing changes: every round rejects a row, or pins one.
func (c *conversion) walk(ctx context.Context) error {
	n := len(c.marks)
	c.twinless, c.owned = make([]bool, n), make([]bool, n)
	look := make([]bool, n) // which rows depend on others
	found := map[uint32]step{}
	for round := 0; ; round++ {
		w := walked{look: look, found: found}
		err := again(ctx, c, mark.out, func() func(*span[[]step]) error { return c.walker(round, look) }, w.take)
		if err != nil {
			return err
		}
		lost := w.pinned
		if len(lost) == 0 { // else, with schemes back, others may lead nowhere wrong any more
			lost = w.gone
			c.rejectSteps(lost)
		}
		if len(lost) == 0 {
			break
		}
		if err := c.pin(w.pinned); err != nil {
			return err
		}
		changed, err := c.settleAgain(lost)
		if err != nil {
			return err
		}
		for i := range look {
			look[i] = look[i] || changed
		}
	}
	return c.tell(found)
}

// walked is what one round of following came to.
type walked struct {
	look         []bool
	found        map[uint32]step // by row
	gone, pinned []step
}

func (w *walked) take(s *span[[]step]) error {
	for _, st := range s.result {
		w.look[st.row] = w.look[st.row] || st.again
		delete(w.found, st.row)
		switch {
		case st.pinned:
			w.pinned = append(w.pinned, st)
		case st.code == codeSelf || st.code == codeLoop:
			w.gone = append(w.gone, st)
		case st.code != "":
			w.found[st.row] = st
		}
	}
	return nil
}

func (c *conversion) rejectSteps(steps []step) {
	for _, st := range steps {
		other := st.row
		if row, ok := c.rowOf(st.other); ok {
			other = row
		}
		c.rejectLate(st.row, st.code, other)
	}
}

// pin gives rows the scheme back that their sources have. They answer for no row with another scheme any more.
func (c *conversion) pin(rows []step) error {
	var r rowReader
	for _, st := range rows {
		c.marks[st.row] |= markScheme
		c.pinned[st.row] = true
		c.noted = true
		if err := c.remeasure(st.row, &r); err != nil {
			return err
		}
	}
	return nil
}

// tell collects what walking found of rows that stay, and rewrites chains where that is asked for.
func (c *conversion) tell(found map[uint32]step) error {
	var r rowReader
	for _, row := range slices.Sorted(maps.Keys(found)) {
		st := found[row]
		if c.marks[row].out() {
			continue
		}
		if st.code == codeChain && c.options.Collapse && st.sure {
			collapsed, err := c.collapse(row, st.end, &r)
			if err != nil {
				return err
			}
			if collapsed {
				continue
			}
		}
		c.collect(row, st.code, SeverityWarning, sheet.SourceColumn, func() string { return c.stepWords(&st) })
	}
	return nil
}

// collapse lets a row lead to the end of its chain. It is false where that makes no sound rule.
func (c *conversion) collapse(row uint32, end string, r *rowReader) (bool, error) {
	c.target[row] = end
	err := c.remeasure(row, r)
	if err != nil || int64(c.sizes[row]) > c.room() {
		delete(c.target, row)
		return false, c.remeasure(row, r)
	}
	return true, nil
}

func (c *conversion) stepWords(st *step) string {
	switch st.code {
	case codeShadowed:
		if st.sure {
			return "never answers: " + c.ruleWords(st.other) + " takes its requests"
		}
		return "may never answer: " + c.ruleWords(st.other) + " takes the request that was tried"
	case codeChain:
		switch {
		case st.hops >= maxHops:
			return fmt.Sprintf("leads to more than %d redirects in a row", maxHops)
		case st.end == "":
			return "leads to another redirect"
		}
		return "leads to another redirect, and in the end to " + st.end
	default:
		return "the target has the same path: where this property serves the target's host too, it leads to itself (--site says which hosts it serves)"
	}
}

// ruleWords names a rule by its row.
func (c *conversion) ruleWords(id uint32) string {
	if row, ok := c.rowOf(id); ok {
		return c.place(row)
	}
	e := c.existing(id)
	return e.From + ", rule " + shown(e.Rule.Name)
}

// looker loads rules for one worker. What it gives is good until it gives the next.
type looker struct {
	c     *conversion
	entry entry
	buf   []byte
	own   *item // needs no loading
}

func (l *looker) load(id uint32) (*redirect.Rule, error) {
	row, ok := l.c.rowOf(id)
	if !ok {
		return &l.c.existing(id).Rule, nil
	}
	if l.own != nil && l.own.row == row {
		return &l.own.entry.rule, nil
	}
	buf, err := l.c.ruleOf(row, &l.entry, l.buf)
	l.buf = buf
	return &l.entry.rule, err
}

func (l *looker) skip(id uint32) bool {
	row, ok := l.c.rowOf(id)
	return ok && l.c.marks[row].out()
}

// evaluate asks the list of all rules, as if one policy could hold them.
func (l *looker) evaluate(q *redirect.Request) (redirect.Answer, error) {
	return l.c.set.EvaluateSkipping(q, l.load, l.skip)
}

// face evaluates a row's witness, and where another rule answers first, the same with everything else that the row leaves
// open: a rule that asks for a country or a time takes only some of its requests.
func (l *looker) face(it *item, w *witness) (redirect.Answer, error) {
	a, err := l.evaluate(&w.req)
	id := l.c.id(it.row)
	if err != nil || !a.Found || a.ID == id {
		return a, err
	}
	first := w.req
	if !w.other(&it.entry) {
		return a, nil
	}
	b, err := l.evaluate(&w.req)
	if err != nil || b.Found && b.ID == id {
		return b, err
	}
	w.req = first
	return a, nil
}

// walker is one worker of a round. The first follows all rows, and looks for their twins with the other slash too.
func (c *conversion) walker(round int, look []bool) func(*span[[]step]) error {
	l := &looker{c: c}
	var w witness
	return func(s *span[[]step]) error {
		s.result = s.result[:0]
		for i := range s.items {
			it := &s.items[i]
			if round > 0 && !look[it.row] || it.entry.rule.Disabled {
				continue
			}
			st, err := c.walkRow(l, it, &w)
			if err != nil {
				return err
			}
			if st.code != "" || st.again || round > 0 {
				s.result = append(s.result, st)
			}
		}
		return nil
	}
}

func (c *conversion) walkRow(l *looker, it *item, w *witness) (step, error) {
	c.owned[it.row], c.twinless[it.row] = false, false // as another round may have found
	if w.make(&it.entry); w.none != "" {
		return step{row: it.row}, nil
	}
	l.own = it
	st, err := c.follow(l, it, w)
	if err == nil {
		err = c.seekTwin(l, it, w)
	}
	return st, err
}

// seekTwin notes whether nothing answers for a row's path with the other slash at its end.
func (c *conversion) seekTwin(l *looker, it *item, w *witness) error {
	if c.marks[it.row]&markRepeated != 0 || w.req.Path == "/" {
		return nil
	}
	w.req.Path = slashTwin(w.req.Path)
	a, err := l.evaluate(&w.req)
	c.twinless[it.row] = err == nil && !a.Found && len(a.Unsure) == 0
	return err
}

// follow evaluates a row's witness, and then where each answer leads.
func (c *conversion) follow(l *looker, it *item, w *witness) (step, error) {
	id := c.id(it.row)
	st := step{row: it.row, other: id}
	a, err := l.face(it, w)
	if err != nil || !a.Found {
		return st, err
	}
	if a.ID != id {
		rule, err := l.load(a.ID)
		if err != nil {
			return st, err
		}
		st.code, st.other, st.again, st.sure = codeShadowed, a.ID, true, unconditional(rule)
		st.pinned, err = c.loopsElsewhere(l, it, w)
		return st, err
	}
	c.owned[it.row] = a.Status == w.status && a.Location == w.location
	if err := c.hops(l, &st, w.req, a); err != nil {
		return st, err
	}
	return c.judge(st, it, w), nil
}

// loopsElsewhere reports whether a row for which others answer leads back to itself where they do not: with the other scheme,
// for which its rule answers only since its own was dropped.
func (c *conversion) loopsElsewhere(l *looker, it *item, w *witness) (bool, error) {
	if !c.mayPin(&it.entry) {
		return false, nil
	}
	q := w.req
	if q.Scheme = "https"; w.req.Scheme == q.Scheme {
		q.Scheme = "http"
	}
	a, err := l.evaluate(&q)
	if err != nil || !a.Found || a.ID != c.id(it.row) {
		return false, err
	}
	st := step{row: it.row, other: a.ID}
	err = c.hops(l, &st, q, a)
	return st.code == codeSelf || st.code == codeLoop, err
}

// mayPin reports whether a row's scheme was dropped and can be given back.
func (c *conversion) mayPin(e *entry) bool {
	return e.src.scheme != "" && !e.pinned && c.maker.dialect == sheet.Simple && c.options.Scheme == SchemeDrop
}

// unconditional reports whether a rule asks for nothing but a URL.
func unconditional(r *redirect.Rule) bool {
	return r.Start == 0 && r.End == 0 && !slices.ContainsFunc(r.Matches, func(m redirect.Match) bool {
		return m.Negate || m.Type != typePath && m.Type != typeHostname
	})
}

// hops goes from answer to answer until one leads off the site, or to a URL without an answer, or nowhere new.
func (c *conversion) hops(l *looker, st *step, q redirect.Request, a redirect.Answer) error {
	t := trail{first: q, id: st.other}
	for st.sure, st.hops = true, 1; ; st.hops++ {
		next, stays := c.hop(&q, a.Status, a.Location)
		if !stays {
			t.end(st, &next, a.Location)
			return nil
		}
		if st.hops == 1 && sameURL(&t.first, &next) {
			st.code, st.again = codeSelf, true
			return nil
		}
		location := a.Location
		q = next
		var err error
		if a, err = l.evaluate(&q); err != nil || !a.Found {
			t.end(st, &q, location)
			return err
		}
		rule, err := l.load(a.ID)
		if err != nil {
			return err
		}
		if t.met(st, rule, a.ID, &q) {
			return nil
		}
	}
}

// trail is what a redirect was followed over.
type trail struct {
	first       redirect.Request
	id          uint32             // of the row's own rule
	seen        []redirect.Request // those behind the first that were answered
	own, others bool               // the row's own rule, or others, have answered
	timed       bool               // one of them is on for a time only
}

// end notes where the trail ends; where one hop led there, nobody asks.
func (t *trail) end(st *step, to *redirect.Request, location string) {
	if st.hops > 1 {
		st.end = endOf(&t.first, to, location)
	}
}

// met notes that one more rule has answered; it is true where that goes round, or too far.
func (t *trail) met(st *step, rule *redirect.Rule, id uint32, q *redirect.Request) bool {
	st.again = true
	st.sure = st.sure && unconditional(rule) && !rule.UseIncomingQueryString && !strings.Contains(rule.MatchURL, "://")
	t.timed = t.timed || rule.Start != 0 || rule.End != 0
	if id == t.id {
		t.own = true
	} else if !t.others {
		st.other, t.others = id, true
	}
	round := sameURL(&t.first, q) || slices.ContainsFunc(t.seen, func(s redirect.Request) bool { return sameURL(&s, q) })
	if !round && st.hops < maxHops {
		t.seen = append(t.seen, *q)
		return false
	}
	st.code, st.sure = codeChain, false
	if t.own && !t.timed {
		st.code = codeLoop
	} else if round {
		st.end = "a loop"
	}
	return true
}

// judge turns how far a redirect led into what is worth knowing.
func (c *conversion) judge(st step, it *item, w *witness) step {
	e := &it.entry
	switch {
	case st.code == codeSelf || st.code == codeLoop:
		st.pinned = c.mayPin(e)
		if !st.pinned && (e.rule.Start != 0 || e.rule.End != 0) && st.code == codeLoop && st.other != c.id(it.row) {
			st.code, st.end, st.sure = codeChain, "a loop", false // while the row is on
		}
	case st.code == "" && st.hops > 1:
		st.code = codeChain
		st.sure = st.sure && !e.src.wildcard && !e.extra && !e.rule.UseIncomingQueryString && !e.flagged
	case st.code == "" && e.src.host == "" && e.src.path != "":
		if t, err := redirect.ParseURL(w.location); err == nil && t.Host != "" && sameFold(t.Path, w.req.Path) {
			st.code = codePossibleLoop
		}
	}
	return st
}
