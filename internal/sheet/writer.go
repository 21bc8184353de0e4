package sheet

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
)

// Writer writes rows as a sheet that Open reads: a header, then the rows, comma-separated, UTF-8; see Style. Cells are written as
// they are, also those that a spreadsheet takes for formulas, because these files go back into tools. Not safe for
// concurrent use.
type Writer struct {
	csv     *csv.Writer
	dialect Dialect
	columns []Column
	extra   []string
	cells   []string
	begun   bool
	to      io.Writer
	bom     bool
}

// NewWriter makes a writer of these columns, in this order, and behind them the extra ones, such as cmig_line,
// cmig_column, cmig_code and cmig_reason, which Open passes over.
func NewWriter(to io.Writer, dialect Dialect, columns []Column, extra ...string) *Writer {
	return &Writer{to: to, csv: csv.NewWriter(to), dialect: dialect, columns: columns, extra: extra}
}

// Style makes a sheet as another one is: with its delimiter, 0 being a comma, and with a byte order mark. It must be called
// before the first row is written. A cell that holds a tab or a newline does not come back from a sheet of tabs, and none
// that was read from one does.
func (w *Writer) Style(delimiter rune, bom bool) {
	w.csv.Comma, w.bom = cmp.Or(delimiter, ','), bom
}

// Write writes a row, and the cells of the extra columns in their order.
func (w *Writer) Write(row *Row, extra ...string) error {
	if len(extra) != len(w.extra) {
		return fmt.Errorf("write row: %d extra cells for %d columns", len(extra), len(w.extra))
	}
	if err := w.header(); err != nil {
		return err
	}
	w.cells = w.cells[:0]
	for _, c := range w.columns {
		w.cells = append(w.cells, row.Cell(c))
	}
	w.cells = append(w.cells, extra...)
	if err := w.csv.Write(w.cells); err != nil {
		return fmt.Errorf("write row: %w", err)
	}
	return nil
}

func (w *Writer) header() error {
	if w.begun {
		return nil
	}
	w.begun = true
	if w.bom {
		if _, err := io.WriteString(w.to, "\ufeff"); err != nil {
			return fmt.Errorf("write header: %w", err)
		}
	}
	for _, c := range w.columns {
		w.cells = append(w.cells, w.dialect.canonical(c))
	}
	w.cells = append(w.cells, w.extra...)
	if err := w.csv.Write(w.cells); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}

// Flush hands over what is not written yet: at least the header.
func (w *Writer) Flush() error {
	if err := w.header(); err != nil {
		return err
	}
	w.csv.Flush()
	if err := w.csv.Error(); err != nil {
		return fmt.Errorf("write sheet: %w", err)
	}
	return nil
}
