package convert

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"

	"cloudletmig/internal/sheet"
)

// late is why a row is rejected for what another row says.
type late struct {
	code  string
	other uint32
}

// digest stands for a text of which only sameness counts.
type digest [16]byte

func digestOf(text []byte) digest {
	sum := sha256.Sum256(text)
	return digest(sum[:16])
}

// member is a row of which another asks for the same, but for case and scheme.
type member struct {
	row      uint32
	scheme   string // of a simple source, where it is dropped
	counts   string // the scheme where it counts in any case
	criteria digest // exact, without scheme
	outcome  digest
	sensible bool
	own      treatment // that the row's own target asks for
}

// settle decides what becomes of rows that ask for the same, but for case and scheme: which are dropped, which are
// rejected, and where case or scheme is what tells them apart.
func (c *conversion) settle(context.Context) error {
	var r rowReader
	for _, first := range slices.Sorted(maps.Keys(c.alike)) {
		c.groups = append(c.groups, c.alike[first])
	}
	c.first, c.alike = nil, nil
	c.dropped, c.twins = map[uint32]uint32{}, map[uint32]uint32{}
	for _, rows := range c.groups {
		if err := c.settleRows(rows, &r); err != nil {
			return err
		}
	}
	return nil
}

// settleAgain settles the groups of rows that have been rejected for where they lead, or pinned: such a row wins over no
// other, or over none with another scheme. It reports whether that changed anything.
func (c *conversion) settleAgain(gone []step) (bool, error) {
	lost := map[uint32]bool{}
	for _, st := range gone {
		lost[st.row] = true
	}
	var r rowReader
	changed := false
	for _, rows := range c.groups {
		if !slices.ContainsFunc(rows, func(n uint32) bool { return lost[n] }) {
			continue
		}
		changed = true
		if err := c.settleRows(rows, &r); err != nil {
			return false, err
		}
		for _, n := range rows {
			if c.marks[n]&markSkip == 0 {
				if err := c.remeasure(n, &r); err != nil {
					return false, err
				}
			}
		}
	}
	return changed, nil
}

// outlived reports whether a row was rejected for more than that another asks for the same.
func (c *conversion) outlived(n uint32) bool {
	return c.marks[n]&markRejected != 0 && (c.marks[n]&markLate == 0 || c.late[n].code != codeConflict)
}

// settleRows settles the rows of one group, as if none had been settled before.
func (c *conversion) settleRows(rows []uint32, r *rowReader) error {
	groups := map[string][]member{} // by the scheme that counts in any case
	seen := map[digest]uint32{}     // exact repeats need no second look
	order := slices.Values(rows)
	if c.options.Duplicates == DuplicatesLast {
		order = func(yield func(uint32) bool) {
			for _, n := range slices.Backward(rows) {
				if !yield(n) {
					return
				}
			}
		}
	}
	var key []byte
	for n := range order {
		if c.outlived(n) {
			continue
		}
		c.marks[n] &^= markSkip | markLate | markSensitive | markScheme
		delete(c.late, n)
		delete(c.dropped, n)
		delete(c.twins, n)
		m, err := c.member(n, r)
		if err != nil {
			return err
		}
		key = append(append(append(key[:0], m.counts+" "+m.scheme+" "...), m.criteria[:]...), m.outcome[:]...)
		if earlier, again := seen[digestOf(key)]; again {
			c.drop(n, earlier)
			continue
		}
		seen[digestOf(key)] = n
		groups[m.counts] = append(groups[m.counts], m)
	}
	for _, counts := range slices.Sorted(maps.Keys(groups)) {
		if err := c.settleGroup(groups[counts]); err != nil {
			return err
		}
	}
	return nil
}

// rowReader is scratch memory for reading rows again.
type rowReader struct {
	entry entry
	row   sheet.Row
	buf   []byte
	text  []byte
}

// member reads a row as a member of a group.
func (c *conversion) member(n uint32, r *rowReader) (member, error) {
	var err error
	if r.buf, err = c.spool.row(int(n), &r.row, r.buf); err != nil {
		return member{}, err
	}
	if bad := c.maker.make(&r.row, asWritten, &r.entry); bad != nil {
		return member{}, errRecord
	}
	e := &r.entry
	m := member{row: n, sensible: e.src.sensible(), own: c.maker.forOwnTarget(e)}
	r.text = appendCriteria(r.text[:0], e, false)
	m.criteria = digestOf(r.text)
	r.text = appendOutcome(r.text[:0], &e.rule)
	m.outcome = digestOf(r.text)
	scheme := map[string]string{"http": "http", "https": "https"}[e.src.scheme] // no part of the row's text
	if c.maker.dialect == sheet.Simple && c.options.Scheme == SchemeDrop {
		m.scheme = scheme
	} else {
		m.counts = scheme
	}
	return m, nil
}

// settleGroup settles rows of which no two are the same in everything.
func (c *conversion) settleGroup(group []member) error {
	variants := map[digest][]member{} // by exact criteria: they differ in case
	var order []digest
	for _, m := range group {
		if variants[m.criteria] == nil {
			order = append(order, m.criteria)
		}
		variants[m.criteria] = append(variants[m.criteria], m)
	}
	kept := make([][]member, 0, len(order))
	for _, key := range order {
		left, err := c.settleVariant(variants[key])
		if err != nil {
			return err
		}
		kept = append(kept, left)
	}
	if len(kept) > 1 {
		c.settleTwins(slices.Concat(kept...))
	}
	return nil
}

// settleTwins settles rows that differ in case alone.
func (c *conversion) settleTwins(all []member) {
	slices.SortFunc(all, func(a, b member) int { return int(a.row) - int(b.row) })
	different := slices.ContainsFunc(all, func(m member) bool { return m.outcome != all[0].outcome })
	// Of rows with one target, one that differs from it in case alone does not answer for the others.
	caseOnly := !different && slices.ContainsFunc(all, func(m member) bool { return m.own&caseSensitive != 0 })
	for i, m := range all {
		switch {
		case caseOnly:
			c.marks[m.row] |= markSensitive
		case different && m.sensible:
			c.marks[m.row] |= markSensitive
			c.twins[m.row] = all[(i+1)%len(all)].row
		case !different && i > 0 && !slices.ContainsFunc(all, c.isPinned):
			c.drop(m.row, all[0].row)
		}
	}
}

// settleVariant settles rows with the very same criteria, and gives those that are kept.
func (c *conversion) settleVariant(rows []member) ([]member, error) {
	pinned := slices.ContainsFunc(rows, c.isPinned)
	if len(rows) == 1 && !pinned {
		return rows, nil
	}
	schemes := map[string]digest{} // where the first row with each leads
	pin := false
	for _, m := range rows {
		if m.scheme == "" {
			continue
		}
		if _, ok := schemes[m.scheme]; !ok {
			schemes[m.scheme] = m.outcome
		}
		for other, outcome := range schemes {
			pin = pin || other != m.scheme && outcome != m.outcome
		}
	}
	pin = pin || pinned || ownScheme(rows)
	var kept []member
	for _, m := range rows {
		at := slices.IndexFunc(kept, func(k member) bool { return !pin || k.scheme == m.scheme })
		switch {
		case at < 0:
			if pin && m.scheme != "" {
				c.marks[m.row] |= markScheme
			}
			kept = append(kept, m)
		case kept[at].outcome == m.outcome:
			c.drop(m.row, kept[at].row)
		case c.options.Duplicates == DuplicatesError:
			return nil, unusable("mend the sheet, or let --duplicates first or last decide",
				"%s and %s ask for the same and lead to different places", c.place(kept[at].row), c.place(m.row))
		default:
			c.rejectLate(m.row, codeConflict, kept[at].row)
		}
	}
	return kept, nil
}

// ownScheme reports whether a row leads to its own URL with another scheme, and so does not answer for another row that
// leads there too.
func ownScheme(rows []member) bool {
	for _, m := range rows {
		if m.own&keepScheme == 0 {
			continue
		}
		if slices.ContainsFunc(rows, func(o member) bool { return o.scheme != m.scheme && o.outcome == m.outcome }) {
			return true
		}
	}
	return false
}

func (c *conversion) isPinned(m member) bool { return c.pinned[m.row] }

// drop marks a row as saying what another one says.
func (c *conversion) drop(row, other uint32) {
	c.marks[row] |= markDuplicate
	c.dropped[row] = other
}

func (c *conversion) rejectLate(row uint32, code string, other uint32) {
	c.marks[row] |= markRejected | markLate
	c.late[row] = late{code, other}
}
