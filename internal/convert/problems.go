package convert

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/sheet"
)

// shownOfCode is how many problems of each code the report lists; it counts all of them.
const shownOfCode = 1000

// problems collects what is worth knowing of rows.
type problems struct {
	counts map[string]int
	list   []located
}

type located struct {
	row int
	chunkset.Problem
}

// collect counts a problem of a row, and keeps it if it is among the first of its code. Rows must come in an order that
// does not depend on chance.
func (c *conversion) collect(row uint32, code, severity string, column sheet.Column, text func() string) {
	in, line := c.lookUp(row, code)
	if in == nil {
		return
	}
	if column == sheet.SourceColumn {
		column = in.subject()
	}
	c.problems.list = append(c.problems.list, located{int(row), chunkset.Problem{
		Sheet: in.name, Line: line, Column: in.reader.HeaderOf(column), Code: code, Severity: severity, Message: text(),
	}})
}

// subject is the column that says best what a sheet's rows ask for.
func (s *input) subject() sheet.Column {
	for _, c := range []sheet.Column{sheet.SourceColumn, sheet.PathColumn, sheet.RegexColumn, sheet.HostColumn, sheet.QueryColumn} {
		if s.reader.Has(c) {
			return c
		}
	}
	return sheet.SourceColumn
}

// lookUp counts a problem; it gives no sheet when enough of its code are listed.
func (c *conversion) lookUp(row uint32, code string) (*input, int) {
	if c.problems.counts == nil {
		c.problems.counts = map[string]int{}
	}
	c.problems.counts[code]++
	if c.problems.counts[code] > shownOfCode {
		return nil, 0
	}
	return c.sheetOf(row), c.lineOf(row)
}

func (c *conversion) sheetOf(row uint32) *input {
	for _, s := range slices.Backward(c.sheets) {
		if s.rows > 0 && int(row) >= s.first {
			return s
		}
	}
	return c.sheets[0]
}

// lineOf is the line of a row in its sheet; 0 should it not be readable any more.
func (c *conversion) lineOf(row uint32) int {
	var r sheet.Row
	if _, err := c.spool.row(int(row), &r, nil); err != nil {
		return 0
	}
	return r.Line
}

// place names a row: its line, and its sheet where there are several.
func (c *conversion) place(row uint32) string {
	line := "line " + strconv.Itoa(c.lineOf(row))
	if len(c.sheets) > 1 {
		return c.sheetOf(row).name + ", " + line
	}
	return line
}

// why says in a sentence why a row was rejected.
func (c *conversion) why(row uint32) string {
	_, column, text := c.rejection(row)
	return fmt.Sprintf("%s, %s: %s", c.place(row), columnWords(column), text)
}

func columnWords(column string) string {
	if column == "" {
		return "row"
	}
	return "column " + column
}

// rejection gives code, column and sentence of a rejected row.
func (c *conversion) rejection(row uint32) (code, column, text string) {
	in := c.sheetOf(row)
	if l, ok := c.late[row]; ok {
		return l.code, in.reader.HeaderOf(in.subject()), c.lateText(row, l)
	}
	record, err := c.spool.read(int(row), int(row)+1, nil)
	if err != nil {
		return "", "", err.Error()
	}
	var r sheet.Row
	_, bad, err := decodeRow(string(record), &r)
	if err != nil {
		return "", "", err.Error()
	}
	if bad != nil {
		return bad.Code, bad.Column, bad.Text
	}
	var e entry
	if f := c.maker.make(&r, asWritten, &e); f != nil {
		return f.code, in.reader.HeaderOf(f.column), f.text
	}
	return "", "", errRecord.Error()
}

// lateText says why a row is rejected for what other rows say.
func (c *conversion) lateText(row uint32, l late) string {
	switch l.code {
	case codeConflict:
		return "asks for what " + c.place(l.other) + " asks for and leads elsewhere; that row wins"
	case codeSelf:
		return "leads to itself"
	case codeLoop:
		if l.other == row {
			return "leads back to itself without end"
		}
		return "is part of a loop with " + c.place(l.other)
	case codeTooBig:
		return fmt.Sprintf("its rule takes %d bytes, and a policy has room for %d", c.sizes[row], c.room())
	}
	return l.code
}

// noteRejected lists the rejected rows among the problems, in their order.
func (c *conversion) noteRejected() error {
	for n, k := range c.marks {
		if k&markRejected == 0 {
			continue
		}
		row := uint32(n)
		code, column, text := c.rejection(row)
		if code == "" {
			return errRecord
		}
		if in, line := c.lookUp(row, code); in != nil {
			c.problems.list = append(c.problems.list, located{n, chunkset.Problem{
				Sheet: in.name, Line: line, Column: column, Code: code, Severity: SeverityError, Message: text,
			}})
		}
	}
	return nil
}

// sorted gives the problems in the order of rows, those about whole sheets first.
func (p *problems) sorted() []chunkset.Problem {
	slices.SortStableFunc(p.list, func(a, b located) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.Code, b.Code)) })
	list := make([]chunkset.Problem, 0, len(p.list))
	for _, l := range p.list {
		list = append(list, l.Problem)
	}
	return list
}

// whole adds a problem that is about no row in particular.
func (p *problems) whole(code, severity, text string) {
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	p.counts[code]++
	p.list = append(p.list, located{-1, chunkset.Problem{Code: code, Severity: severity, Message: text}})
}
