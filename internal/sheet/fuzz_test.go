package sheet_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"cloudletmig/internal/sheet"
)

// FuzzReader: nothing panics, rows come in order of their lines, and what holds something gives something.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"from,to\n/a,/b\n", "/a;/b\r\n/c;\"/d\"\r\n", "ruleName\tmatchURL\tresult.redirectURL\n\"r\"\t/a\"\t/b\n", "# x\n\"# y\n\",\nold|new|\n|||\n",
		"from,to\n\"/a\n/b\",\"c\n\"d\n#,\"\n", "\xff\xfef\x00", "\ufefffrom,to,x\r/a,/b,\r", "from,to\n\"\"\"\n\"\"\n", "PK\x05\x06", "sep=;\na;b\n",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, content string, policy bool) {
		o := sheet.Options{Stdin: strings.NewReader(content), TempDir: t.TempDir()}
		if policy {
			o.Dialect = sheet.PolicyManager
		}
		r, err := sheet.Open(t.Context(), "-", o)
		var whole *sheet.Error
		if err != nil {
			if !errors.As(err, &whole) || whole.Text == "" || whole.Code == "" {
				t.Fatalf("error is %v", err)
			}
			return
		}
		seen, last := 0, 0
		for {
			var row sheet.Row
			err := r.Next(&row)
			if errors.Is(err, io.EOF) {
				break
			}
			seen++
			if errors.As(err, &whole) {
				break
			}
			if bad, ok := errors.AsType[*sheet.RowError](err); ok {
				if row = bad.Cells; bad.Line != row.Line {
					t.Errorf("row of line %d is said to be on %d", row.Line, bad.Line)
				}
				err = nil
			}
			if err != nil {
				t.Fatalf("error is %v", err)
			}
			if row.Line <= last {
				t.Errorf("line %d after line %d", row.Line, last)
			}
			last = row.Line
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if seen == 0 && r.Header() == nil {
			t.Errorf("%q gave nothing", content)
		}
		if whole == nil && strings.IndexByte(content, '"') < 0 && strings.IndexByte(content, '\n') >= 0 && !strings.ContainsRune(content, '\x00') && !strings.HasPrefix(content, "PK") {
			lines := strings.Count(strings.TrimSuffix(content, "\n"), "\n") + 1
			got := seen + r.Comments() + r.Blank()
			if r.Header() != nil {
				got++
			}
			if got != lines && !strings.HasPrefix(content, "\xff\xfe") && !strings.HasPrefix(content, "\xfe\xff") {
				t.Errorf("%q: %d lines became %d", content, lines, got)
			}
		}
	})
}

// BenchmarkRead reads rows of three columns, about 80 bytes each, beside a bare loop of encoding/csv.
func BenchmarkRead(b *testing.B) {
	const rows = 200_000
	var text, tabs bytes.Buffer
	text.WriteString("source,target,status\n")
	tabs.WriteString("source\ttarget\tstatus\n")
	for i := range rows {
		fmt.Fprintf(&text, "/shop/category/old-product-%08d,https://www.example.com/products/new-%08d,301\n", i, i)
		fmt.Fprintf(&tabs, "/shop/category/old-product-%08d\thttps://www.example.com/products/new-%08d\t301\n", i, i)
	}
	report := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
	}
	read := func(b *testing.B, content []byte) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			r, err := sheet.Open(b.Context(), "-", sheet.Options{Stdin: bytes.NewReader(content)})
			if err != nil {
				b.Fatal(err)
			}
			var row sheet.Row
			n := 0
			for ; err == nil; n++ {
				err = r.Next(&row)
			}
			if !errors.Is(err, io.EOF) || n != rows+1 {
				b.Fatal(n, err)
			}
		}
		report(b)
	}
	b.Run("csv", func(b *testing.B) { read(b, text.Bytes()) })
	b.Run("tabs", func(b *testing.B) { read(b, tabs.Bytes()) })
	b.Run("bare", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := csv.NewReader(bytes.NewReader(text.Bytes()))
			for {
				if _, err := r.Read(); err != nil {
					break
				}
			}
		}
		report(b)
	})
}
