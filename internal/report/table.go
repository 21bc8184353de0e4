package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table writes rows in columns for people.
func Table(to io.Writer, header []string, rows [][]string) error {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Name: "plain", Box: table.BoxStyle{PaddingRight: "  "}, Format: table.FormatOptions{Header: text.FormatDefault},
		Options: table.OptionsNoBordersAndSeparators,
	})
	t.AppendHeader(cells(header))
	for _, row := range rows {
		t.AppendRow(cells(row))
	}
	for line := range strings.Lines(t.Render() + "\n") {
		if _, err := fmt.Fprintln(to, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func cells(texts []string) table.Row {
	row := make(table.Row, len(texts))
	for i, cell := range texts {
		row[i] = cell
	}
	return row
}

// CSV writes a header and rows as CSV, for programs.
func CSV(to io.Writer, header []string, rows [][]string) error {
	w := csv.NewWriter(to)
	if err := w.WriteAll(append([][]string{header}, rows...)); err != nil {
		return err
	}
	return w.Error()
}
