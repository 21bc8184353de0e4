package sheet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"
)

// maxRows is how many rows a sheet of a workbook can have.
const maxRows = 1 << 20

// book gives the rows of a sheet of a workbook as CSV. A cell's text is what the sheet shows.
type book struct {
	ctx    context.Context
	rows   *excelize.Rows
	number int
	width  int // of the header, once it is known
	out    bytes.Buffer
	csv    *csv.Writer
}

// book opens a sheet of a workbook. Parts that are too big for memory go to the temp folder.
func (s *source) book(ctx context.Context, file io.Reader) (_ lines, wrongBook *Error) {
	defer func() {
		if p := recover(); p != nil { // broken workbooks make excelize panic
			wrongBook = wrong(CodeKind, "the workbook is broken: %v", p)
		}
	}()
	f, err := excelize.OpenReader(file, excelize.Options{TmpDir: s.options.TempDir})
	if err != nil {
		return nil, unreadable(err)
	}
	s.closers = append(s.closers, f.Close)
	names := f.GetSheetList()
	if len(names) == 0 {
		return nil, wrong(CodeKind, "the workbook has no sheet")
	}
	name := names[0]
	if want := s.options.Sheet; want != "" {
		i := slices.IndexFunc(names, func(has string) bool { return strings.EqualFold(has, want) })
		if i < 0 {
			return nil, wrong(CodeOption, "the workbook has no sheet %q; it has %s", want, quoted(names))
		}
		name = names[i]
	}
	rows, err := f.Rows(name)
	if err != nil {
		return nil, unreadable(err)
	}
	s.closers = append(s.closers, rows.Close)
	b := &book{ctx: ctx, rows: rows}
	b.csv = csv.NewWriter(&b.out)
	return b, nil
}

func (b *book) next() (line []byte, number int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = wrong(CodeKind, "the workbook is broken: %v", p)
		}
	}()
	b.number++
	switch err := b.ctx.Err(); {
	case err != nil:
		return nil, b.number, err
	case !b.rows.Next():
		return nil, b.number, cmp.Or(b.rows.Error(), io.EOF)
	case b.number > maxRows:
		return nil, b.number, wrong(CodeKind, "the workbook is broken: more than %d rows", maxRows)
	}
	cells, err := b.rows.Columns()
	if err != nil {
		return nil, b.number, err
	}
	b.out.Reset()
	if blank(cells) {
		return []byte("\n"), b.number, nil
	}
	for len(cells) > 0 && len(cells) > b.width && trim(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	for len(cells) < b.width {
		cells = append(cells, "")
	}
	if err := b.csv.Write(cells); err != nil {
		return nil, b.number, err
	}
	b.csv.Flush()
	return b.out.Bytes(), b.number, b.csv.Error()
}
