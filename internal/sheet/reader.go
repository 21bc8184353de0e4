package sheet

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"github.com/gocarina/gocsv"
)

// Reader gives the rows of one sheet, in order. Not safe for concurrent use.
type Reader struct {
	source *source
	feed   *feed
	parser *csv.Reader
	rows   *gocsv.Unmarshaller
	head   *header
	delim  rune
	all    bool // the parser's cells of unknown columns are wanted, too
	err    error

	likeRows, firstLikeRow int // comments that look like rows, and the line of the first
}

// Open opens a sheet and reads its header. The error is an *Error; it wraps that of the file system where there is one.
func Open(ctx context.Context, path string, o Options) (*Reader, error) {
	r := &Reader{source: &source{name: path, options: o}}
	if path == "-" {
		r.source.name = "standard input"
	}
	if err := r.open(ctx, path); err != nil {
		err.Sheet = r.source.name
		_ = r.source.close() // nothing was written
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(ctx context.Context, path string) *Error {
	o := r.source.options
	if o.Dialect != "" && o.Dialect != Simple && o.Dialect != PolicyManager {
		return wrong(CodeOption, "there is no dialect %q; there are %s and %s", o.Dialect, Simple, PolicyManager)
	}
	if o.Delimiter != 0 && !validDelimiter(o.Delimiter) {
		return wrong(CodeOption, "%q cannot be a delimiter", o.Delimiter)
	}
	if err := r.source.open(path); err != nil {
		return err
	}
	from, delim, wrongFile := r.source.lines(ctx)
	if wrongFile != nil {
		return wrongFile
	}
	r.feed, r.delim = &feed{from: from, comma: delim}, delim
	r.parser = newParser(r.feed, delim)
	first, err := r.first()
	if err != nil {
		return err
	}
	if err := r.begin(first); err != nil {
		if err.Line == 0 {
			err.Line = r.feed.line
		}
		return err
	}
	if b, ok := from.(*book); ok {
		b.width = len(first)
	}
	return nil
}

// first gives the first record: the header, or the first row.
func (r *Reader) first() ([]string, *Error) {
	for {
		r.feed.begin()
		cells, err := r.parser.Read()
		var broken *csv.ParseError
		switch {
		case errors.Is(err, io.EOF) && r.feed.comments > 0:
			return nil, wrong(CodeEmpty, "the sheet holds nothing but comments")
		case errors.Is(err, io.EOF):
			return nil, wrong(CodeEmpty, "the sheet is empty")
		case err != nil && r.quotedComment(err):
			continue
		case errors.As(err, &broken):
			at := r.broken()
			return nil, &Error{Line: at.line, Column: at.column, Offset: -1, Code: CodeQuote, Text: at.text}
		case err != nil:
			return nil, r.trouble(err)
		}
		for i := range cells {
			cells[i] = trim(cells[i])
		}
		switch {
		case isComment(cells[0]):
			r.feed.comments++
		case blank(cells):
			r.feed.blank++
		default:
			return cells, nil
		}
	}
}

// begin makes sense of the first record, and readies gocsv for the rows. It is given a header of canonical names in
// place of the sheet's.
func (r *Reader) begin(first []string) *Error {
	o := r.source.options
	var err *Error
	var row []byte
	if o.Dialect != PolicyManager && looksLikeData(first) {
		if len(o.Ignore) > 0 {
			return wrong(CodeIgnore, "there is no column %q to ignore, because the sheet has no header", o.Ignore[0])
		}
		r.head, err = headless(len(first))
		row = bytes.Clone(r.feed.record)
	} else {
		r.head, err = newHeader(first, o.Dialect, o.Ignore)
	}
	if err != nil {
		return err
	}
	names := make([]string, len(first))
	for i, c := range r.head.columns {
		names[i] = fmt.Sprintf("unknown %d", i+1)
		if c != none {
			names[i] = c.String()
		}
	}
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	w.Comma = r.parser.Comma
	if err := w.Write(names); err != nil {
		return unreadable(err)
	}
	w.Flush()
	at := r.feed.line
	if len(row) > 0 {
		r.feed.push(row, at)
		at--
	}
	r.feed.push(line.Bytes(), at)
	r.feed.begin()
	r.parser.FieldsPerRecord = len(first)
	rows, failed := gocsv.NewUnmarshaller(r.parser, &Row{})
	if failed != nil {
		return unreadable(failed)
	}
	r.feed.line = at // for who asks before the first row
	r.feed.comment = r.commentLine
	r.rows, r.parser.ReuseRecord = rows, true
	r.all = len(r.head.watched) > 0 || r.head.columns[0] == none
	return nil
}

// Next gives the next row, or io.EOF after the last. A *RowError is about this row only, and whoever calls Next again
// gets the row behind it; row then holds what could be read. After any other error, an *Error, there is no next row.
func (r *Reader) Next(row *Row) error {
	for r.err == nil {
		done, err := r.next(row)
		if done {
			return err
		}
		if err != nil {
			r.err = err
		}
	}
	return r.err
}

// next reads one record. It is not done where that was no row, and where err is the end of the sheet.
func (r *Reader) next(row *Row) (done bool, err error) {
	r.feed.begin()
	var got any
	var unknown map[string]string
	if r.all {
		got, unknown, err = r.rows.ReadUnmatched()
	} else {
		got, err = r.rows.Read()
	}
	var broken *csv.ParseError
	switch {
	case err == nil:
		if is, ok := got.(*Row); ok {
			*row = *is
		}
		return r.take(row, unknown)
	case errors.Is(err, io.EOF):
		return false, io.EOF
	case errors.Is(err, csv.ErrFieldCount):
		return r.ragged(row)
	case r.quotedComment(err):
		return false, nil
	case errors.As(err, &broken):
		return r.quote(row)
	}
	return false, r.end(r.trouble(err))
}

// end is the Error that ends the sheet.
func (r *Reader) end(e *Error) error {
	e.Sheet = r.source.name
	return e
}

// take tells whether a record is a row, and readies its cells.
func (r *Reader) take(row *Row, unknown map[string]string) (bool, error) {
	row.Line = r.feed.line
	filled := false
	for _, c := range r.head.columns {
		if c == none {
			continue
		}
		if cell := row.cell(c); *cell != "" {
			*cell = trim(*cell)
			filled = filled || *cell != ""
		}
	}
	if r.comment(row, unknown) {
		r.feed.comments++
		r.commented(r.feed.line, r.cells())
		return false, nil
	}
	for _, i := range r.head.watched {
		if data := trim(unknown[r.rows.Headers[i]]); data != "" {
			return false, r.end(&Error{
				Line: r.feed.line, Column: r.head.name(i), Offset: -1, Code: CodeUnknown,
				Text: fmt.Sprintf("holds data (%q), but what the column means is not known; --ignore-column leaves it out", clip(data)),
			})
		}
	}
	if !filled && blank(r.cells()) {
		r.feed.blank++
		return false, nil
	}
	return true, nil
}

// comment tells whether the first cell begins a comment.
func (r *Reader) comment(row *Row, unknown map[string]string) bool {
	if c := r.head.columns[0]; c != none {
		return isComment(*row.cell(c))
	}
	return isComment(trim(unknown[r.rows.Headers[0]]))
}

// commented counts a comment that looks like a row: it has the cells of one, and a target.
func (r *Reader) commented(line int, cells []string) {
	target := r.head.at[TargetColumn]
	if len(cells) < len(r.head.columns) || target < 0 || trim(cells[target]) == "" {
		return
	}
	if r.likeRows++; r.likeRows == 1 {
		r.firstLikeRow = line
	}
}

// commentLine looks at a comment line that the parser does not get.
func (r *Reader) commentLine(line []byte) {
	if r.delim == '\t' {
		line = r.feed.untab(line)
	}
	parser := newParser(bytes.NewReader(line), r.delim)
	parser.LazyQuotes = true // nobody keeps to rules behind a #
	if cells, err := parser.Read(); err == nil {
		r.commented(r.feed.last, cells)
	}
}

// cells are those of the record just read, whatever their number.
func (r *Reader) cells() []string {
	cells, err := newParser(bytes.NewReader(r.feed.record), r.delim).Read()
	if err != nil {
		return []string{string(r.feed.record)} // it was parsed once, so this is never so
	}
	return cells
}

// Dialect is the sheet's dialect, given or found.
func (r *Reader) Dialect() Dialect { return r.head.dialect }

// Header gives the header's cells as the sheet has them, without blanks at the ends; nil when it has no header.
func (r *Reader) Header() []string { return r.head.names }

// HeaderOf is what this sheet calls a column, for messages: "column 2" where the sheet has no header, the dialect's own
// name where it has no such column.
func (r *Reader) HeaderOf(c Column) string {
	if i := r.head.at[c]; i >= 0 {
		return r.head.name(i)
	}
	return r.head.dialect.canonical(c)
}

// Has tells whether the sheet has a column.
func (r *Reader) Has(c Column) bool { return r.head.at[c] >= 0 }

// Comments is the number of comment lines so far; a comment in quotes that goes over several lines is one.
func (r *Reader) Comments() int { return r.feed.comments }

// CommentedRows is how many of the comments behind the header look like rows so far, and the line of the first: they have
// as many cells as a row, and a target. A row whose first cell begins with # is such a comment.
func (r *Reader) CommentedRows() (count, firstLine int) { return r.likeRows, r.firstLikeRow }

// Delimiter is what separates the sheet's cells, given or found; a comma for a workbook.
func (r *Reader) Delimiter() rune { return r.delim }

// BOM tells whether the sheet begins with a byte order mark, be it of UTF-8 or of UTF-16.
func (r *Reader) BOM() bool { return r.source.bom }

// Blank is the number of blank rows so far.
func (r *Reader) Blank() int { return r.feed.blank }

// Close lets go of the file and removes what was spooled. It may be called twice.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = r.end(wrong(CodeRead, "the sheet is closed"))
	}
	if err := r.source.close(); err != nil {
		return fmt.Errorf("close %s: %w", r.source.name, err)
	}
	return nil
}
