package sheet

import (
	"encoding/csv"
	"fmt"
	"io"
)

// Writer writes rows as a sheet that Open reads: a header, then the rows, comma-separated, UTF-8. Cells are written as
// they are, also those that a spreadsheet takes for formulas, because these files go back into tools. Not safe for
// concurrent use.
type Writer struct {
	csv     *csv.Writer
	dialect Dialect
	columns []Column
	extra   []string
	cells   []string
	begun   bool
}

// NewWriter makes a writer of these columns, in this order, and behind them the extra ones, such as cmig_line,
// cmig_column, cmig_code and cmig_reason, which Open passes over.
func NewWriter(to io.Writer, dialect Dialect, columns []Column, extra ...string) *Writer {
	return &Writer{csv: csv.NewWriter(to), dialect: dialect, columns: columns, extra: extra}
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
