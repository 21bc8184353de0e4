package convert

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"cloudletmig/internal/sheet"
)

// late is why a row is rejected, or dropped, for what another row says.
type late struct {
	code  string
	other uint32
}

// member is a row of which another asks for the same, but for case and scheme.
type member struct {
	row      uint32
	criteria []byte // exact, without scheme
	scheme   string // of a simple source, where it is dropped
	counts   string // the scheme where it counts in any case
	outcome  []byte
	sensible bool
	own      treatment // that the row's own target asks for
}

// settle decides what becomes of rows that ask for the same, but for case and scheme: which are dropped, which are
// rejected, and where case or scheme is what tells them apart.
func (c *conversion) settle(context.Context) error {
	var r rowReader
	for _, first := range slices.Sorted(maps.Keys(c.alike)) {
		groups := map[string][]member{} // by the scheme that counts in any case
		seen := map[string]uint32{}     // exact repeats need no second look
		rows := c.alike[first]
		if c.options.Duplicates == DuplicatesLast {
			slices.Reverse(rows)
		}
		for _, n := range rows {
			m, err := c.member(n, &r)
			if err != nil {
				return err
			}
			key := m.counts + m.scheme + string(m.criteria) + "\n" + string(m.outcome)
			if earlier, again := seen[key]; again {
				c.drop(n, earlier)
				continue
			}
			seen[key] = n
			groups[m.counts] = append(groups[m.counts], m)
		}
		for _, counts := range slices.Sorted(maps.Keys(groups)) {
			if err := c.settleGroup(groups[counts]); err != nil {
				return err
			}
		}
	}
	c.first, c.alike = nil, nil
	return nil
}

// rowReader is scratch memory for reading rows again.
type rowReader struct {
	entry entry
	row   sheet.Row
	buf   []byte
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
	m := member{row: n, sensible: e.src.sensible(), own: c.maker.forOwnTarget(e), criteria: appendCriteria(nil, e, false), outcome: appendOutcome(nil, &e.rule)}
	if c.maker.dialect == sheet.Simple && c.options.Scheme == SchemeDrop {
		m.scheme = e.src.scheme
	} else {
		m.counts = e.src.scheme
	}
	return m, nil
}

// settleGroup settles rows of which no two are the same in everything.
func (c *conversion) settleGroup(group []member) error {
	variants := map[string][]member{} // by exact criteria: they differ in case
	var order []string
	for _, m := range group {
		key := string(m.criteria)
		if variants[key] == nil {
			order = append(order, key)
		}
		variants[key] = append(variants[key], m)
	}
	kept := make([][]member, 0, len(order))
	for _, key := range order {
		left, err := c.settleVariant(variants[key])
		if err != nil {
			return err
		}
		kept = append(kept, left)
	}
	if len(kept) < 2 {
		return nil
	}
	all := slices.Concat(kept...)
	slices.SortFunc(all, func(a, b member) int { return int(a.row) - int(b.row) })
	different := slices.ContainsFunc(all, func(m member) bool { return !bytes.Equal(m.outcome, all[0].outcome) })
	// Of rows with one target, one that differs from it in case alone does not answer for the others.
	caseOnly := !different && slices.ContainsFunc(all, func(m member) bool { return m.own&caseSensitive != 0 })
	for i, m := range all {
		switch {
		case caseOnly:
			c.marks[m.row] |= markSensitive
		case different && m.sensible:
			c.marks[m.row] |= markSensitive
			other := all[(i+1)%len(all)].row
			c.collect(m.row, codeCaseTwin, SeverityWarning, sheet.SourceColumn, func() string {
				return "differs from " + c.place(other) + " in case alone and leads elsewhere, so the case counts in both rules"
			})
		case !different && i > 0:
			c.drop(m.row, all[0].row)
		}
	}
	return nil
}

// settleVariant settles rows with the very same criteria, and gives those that are kept.
func (c *conversion) settleVariant(rows []member) ([]member, error) {
	if len(rows) == 1 {
		return rows, nil
	}
	schemes := map[string][]byte{}
	pin := false
	for _, m := range rows {
		if m.scheme == "" {
			continue
		}
		if schemes[m.scheme] == nil {
			schemes[m.scheme] = m.outcome
		}
		for other, outcome := range schemes {
			pin = pin || other != m.scheme && !bytes.Equal(outcome, m.outcome)
		}
	}
	pin = pin || ownScheme(rows)
	var kept []member
	for _, m := range rows {
		at := slices.IndexFunc(kept, func(k member) bool { return !pin || k.scheme == m.scheme })
		switch {
		case at < 0:
			if pin && m.scheme != "" {
				c.marks[m.row] |= markScheme
			}
			kept = append(kept, m)
		case bytes.Equal(kept[at].outcome, m.outcome):
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
	return slices.ContainsFunc(rows, func(m member) bool {
		return m.own&keepScheme != 0 && slices.ContainsFunc(rows, func(o member) bool {
			return o.scheme != m.scheme && bytes.Equal(o.outcome, m.outcome)
		})
	})
}

// drop marks a row as saying what an earlier one says.
func (c *conversion) drop(row, earlier uint32) {
	c.marks[row] |= markDuplicate
	c.collect(row, codeDuplicate, SeverityInfo, sheet.SourceColumn, func() string {
		return "says what " + c.place(earlier) + " says; dropped"
	})
}

func (c *conversion) rejectLate(row uint32, code string, other uint32) {
	c.marks[row] |= markRejected | markLate
	c.late[row] = late{code, other}
}
