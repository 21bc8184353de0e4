package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
)

// ragged is a record with another number of cells than the header.
func (r *Reader) ragged(row *Row) (bool, error) {
	cells := r.cells()
	*row = Row{Line: r.feed.line}
	switch {
	case len(cells) > 0 && isComment(trim(cells[0])):
		r.feed.comments++
		r.commented(r.feed.line, cells)
		return false, nil
	case blank(cells):
		r.feed.blank++
		return false, nil
	}
	want := len(r.head.columns)
	for i, cell := range cells[:min(len(cells), want)] {
		if c := r.head.columns[i]; c != none {
			row.SetCell(c, trim(cell))
		}
	}
	whose := "the header"
	if r.head.names == nil {
		whose = "the first row"
	}
	return true, &RowError{
		Line: row.Line, Column: r.head.name(min(len(cells), want)), Code: CodeRagged, Cells: *row,
		Text: fmt.Sprintf("the row has %s, but %s has %d", count(len(cells)), whose, want),
	}
}

func count(cells int) string {
	if cells == 1 {
		return "1 cell"
	}
	return fmt.Sprintf("%d cells", cells)
}

// quote is a record with broken quotes. Where they have swallowed further lines, those are read again.
func (r *Reader) quote(row *Row) (bool, error) {
	at := r.broken()
	if at.unclosed {
		return false, r.end(&Error{Line: at.line, Column: at.column, Offset: -1, Code: CodeQuote, Text: at.text})
	}
	r.feed.retry()
	*row = Row{Line: r.feed.line, Source: string(bytes.TrimRight(r.feed.record, "\r\n"))}
	if at.line != r.feed.line {
		at.text = fmt.Sprintf("%s (line %d)", at.text, at.line)
	}
	return true, &RowError{Line: r.feed.line, Column: at.column, Code: CodeQuote, Text: at.text, Cells: *row}
}

// quotedComment tells whether the record, which err says is broken, is a comment in quotes, and counts it.
func (r *Reader) quotedComment(err error) bool {
	var broken *csv.ParseError
	if !errors.As(err, &broken) && !errors.Is(err, errLong) {
		return false
	}
	inner, ok := bytes.CutPrefix(bytes.TrimLeft(r.feed.record, " \t"), []byte(`"`))
	if !ok || !isComment(bytes.TrimSpace(inner)) {
		return false
	}
	r.feed.retry()
	r.feed.comments++
	return true
}

// trouble is what an error of the parser's source is to us.
func (r *Reader) trouble(err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if errors.Is(err, errLong) {
		if at := r.broken(); at.unclosed {
			return &Error{Line: at.line, Column: at.column, Offset: -1, Code: CodeQuote, Text: "a quote opens here and is not closed within 1 MiB"}
		}
		line := r.feed.line
		if len(r.feed.record) == 0 {
			line = r.feed.last
		}
		return &Error{Line: line, Offset: -1, Code: CodeLong, Text: "the row is longer than 1 MiB"}
	}
	e := unreadable(err)
	e.Line = r.feed.last
	return e
}
