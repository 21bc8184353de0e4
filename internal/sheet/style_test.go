package sheet_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"cloudletmig/internal/sheet"
)

// opened opens a text as a sheet, and gives its rows.
func opened(t *testing.T, text string) (*sheet.Reader, []sheet.Row) {
	t.Helper()
	r, err := sheet.Open(t.Context(), file(t, []byte(text)), sheet.Options{})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	t.Cleanup(func() { _ = r.Close() })
	var rows []sheet.Row
	for {
		var row sheet.Row
		err := r.Next(&row)
		if errors.Is(err, io.EOF) {
			return r, rows
		}
		if err != nil && !errors.As(err, new(*sheet.RowError)) {
			t.Fatalf("%q: %v", text, err)
		}
		rows = append(rows, row)
	}
}

// TestCommentedRows: a comment behind the header that has the cells of a row and a target is noticed, and no other is.
func TestCommentedRows(t *testing.T) {
	for _, c := range []struct {
		sheet       string
		count, line int
	}{
		{"name,source,target\n#1 deal,/a,/b\nx,/c,/d\n#2,/e,/f\n", 2, 2},
		{"name,source,target\nx,/c,/d\n\"#1 deal\",/a,/b\n", 1, 3},
		{"name,source,target\n\n#1,/a,/b,more\n", 1, 3},
		{"name;source;target\n#1 \"deal\";/a;/b\n", 1, 2},
		{"name\tsource\ttarget\n#1, \"deal\t/a\t/b\nx\t/c\t/d\n", 1, 2},
		{"\ufeff#1,/a,/b\nname,source,target\nx,/c,/d\n", 0, 0},
		{"name,source,target\n# a note, of two cells\n#,,\n# ,/a, \nx,/c,/d\n", 0, 0},
		{"/a,/b\n#/c,/d\n# note\n", 1, 2},
		{"ruleName,matchURL,result.redirectURL,result.statusCode\n#1,/a,/b,301\n#2,/a,,301\n", 1, 2},
	} {
		r, _ := opened(t, c.sheet)
		if count, line := r.CommentedRows(); count != c.count || line != c.line {
			t.Errorf("%q: %d from line %d, want %d from line %d", c.sheet, count, line, c.count, c.line)
		}
	}
}

// TestWriterStyle: what is written with the delimiter and the mark of a sheet is such a sheet, cell for cell.
func TestWriterStyle(t *testing.T) {
	cells := []string{"", "a", `say "so"`, `"quoted"`, `"a"b"`, `"`, "a,b", "a;b", "a|b", `\.`, "a b", `x\ y`, "#x", "é"}
	for _, head := range []string{"name,source,target\n", "name;source;target\n", "name\tsource\ttarget\n", "name|source|target\n"} {
		for _, mark := range []string{"", "\ufeff"} {
			from, _ := opened(t, mark+head+strings.ReplaceAll("x,/a,/b\n", ",", string(head[4])))
			if from.Delimiter() != rune(head[4]) || from.BOM() != (mark != "") {
				t.Errorf("%q: %q, %v", mark+head, from.Delimiter(), from.BOM())
			}
			var out bytes.Buffer
			w := sheet.NewWriter(&out, sheet.Simple, []sheet.Column{sheet.NameColumn, sheet.SourceColumn, sheet.TargetColumn}, "cmig_code")
			w.Style(from.Delimiter(), from.BOM())
			var want []sheet.Row
			for i, cell := range cells {
				row := sheet.Row{Line: i + 2, Name: "n", Source: "/" + cell, Target: cell}
				if err := w.Write(&row, "why, "+cell); err != nil {
					t.Fatal(err)
				}
				want = append(want, row)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			back, got := opened(t, out.String())
			if back.Delimiter() != from.Delimiter() || back.BOM() != from.BOM() || len(got) != len(want) {
				t.Fatalf("%q: %q, %v, %d rows:\n%s", mark+head, back.Delimiter(), back.BOM(), len(got), out.String())
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%q: %+v, want %+v", mark+head, got[i], want[i])
				}
			}
		}
	}
	wide := "\xff\xfe"
	for _, c := range "source,target\n/a,/b\n" {
		wide += string(c) + "\x00"
	}
	if r, rows := opened(t, wide); !r.BOM() || len(rows) != 1 {
		t.Errorf("UTF-16: %v, %d rows", r.BOM(), len(rows))
	}
}
