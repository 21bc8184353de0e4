package convert

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"cloudletmig/internal/sheet"
)

// label gives the rules their names, now that it is known which rows stay, and collects what is worth knowing of each.
func (c *conversion) label(ctx context.Context) error {
	p := c.options.Previous
	if p != nil {
		c.before = make([]int32, len(c.marks))
	}
	if c.names.taken != nil || p != nil {
		c.labelExisting(c.options.Before)
		defer c.labelExisting(c.options.After)
	}
	if p != nil { // names that stay come first
		if err := again(ctx, c, mark.out, idle, c.keepNames); err != nil {
			return err
		}
	}
	if c.noted || c.names.taken != nil {
		if err := again(ctx, c, mark.out, idle, c.labelled); err != nil {
			return err
		}
	}
	c.tellGroups()
	c.tellComments()
	return nil
}

// idle is a worker that does nothing but let the rules be made.
func idle() func(*span[struct{}]) error { return func(*span[struct{}]) error { return nil } }

func (c *conversion) labelExisting(rules []Existing) {
	for i := range rules {
		if c.names.taken != nil {
			c.names.take(rules[i].Rule.Name)
		}
		if p := c.options.Previous; p != nil {
			_, _ = p.find(&rules[i].Rule)
		}
	}
}

// keepNames looks rows up in the earlier conversion. A row that was there keeps its name, if that was made for it, or is
// its own with or without a number.
func (c *conversion) keepNames(s *span[struct{}]) error {
	for i := range s.items {
		it := &s.items[i]
		e, ok := c.options.Previous.find(&it.entry.rule)
		c.before[it.row] = -1
		if !ok {
			continue
		}
		c.before[it.row] = int32(e.chunk)
		if e.fits(it.entry.rule.Name) && c.names.take(e.name) {
			c.names.kept[it.row] = e.name
		}
	}
	return nil
}

func (c *conversion) labelled(s *span[struct{}]) error {
	for i := range s.items {
		it := &s.items[i]
		for _, n := range it.entry.notes {
			c.collect(it.row, n.code, SeverityWarning, n.column, func() string { return n.text })
		}
		if c.names.taken == nil {
			continue
		}
		own := it.entry.rule.Name
		before := c.names.length(it.row, own, it.line)
		if _, kept := c.names.kept[it.row]; !kept && c.names.settle(it.row, c.names.of(it.row, own, it.line)) && own != "" {
			c.collect(it.row, codeRenamed, SeverityWarning, sheet.NameColumn, func() string {
				return "another rule has the name; this one is called " + shown(c.names.of(it.row, own, it.line))
			})
		}
		c.sizes[it.row] += uint32(c.names.length(it.row, own, it.line) - before)
	}
	return nil
}

// tellGroups collects what was decided of rows that ask for the same.
func (c *conversion) tellGroups() {
	for _, row := range slices.Sorted(maps.Keys(c.dropped)) {
		c.collect(row, codeDuplicate, SeverityInfo, sheet.SourceColumn, func() string {
			return "says what " + c.place(c.dropped[row]) + " says; dropped"
		})
	}
	for _, row := range slices.Sorted(maps.Keys(c.twins)) {
		if c.marks[row].out() {
			continue
		}
		c.collect(row, codeCaseTwin, SeverityWarning, sheet.SourceColumn, func() string {
			return "differs from " + c.place(c.twins[row]) + " in case alone and leads elsewhere, so the case counts in both rules"
		})
	}
}

// tellComments warns of comment lines that look like rows.
func (c *conversion) tellComments() {
	for _, s := range c.sheets {
		if n, line := s.reader.CommentedRows(); n > 0 {
			c.problems.whole(codeCommented, SeverityWarning, fmt.Sprintf(
				"%s: %d comment lines look like rows, the first is line %d; a row that is none must not begin with #", s.name, n, line))
		}
	}
}
