package convert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// ask gives what a rule list of one chunk does to a URL: status and Location, or nothing.
func (o outcome) ask(t *testing.T, url string) string {
	t.Helper()
	var rules []redirect.Rule
	for _, raw := range o.rules(t) {
		r, err := redirect.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}
	list, err := redirect.NewList(rules)
	if err != nil {
		t.Fatal(err)
	}
	q, err := redirect.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	a, err := list.Evaluate(&q)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Found {
		return ""
	}
	return fmt.Sprint(a.Status, " ", a.Location)
}

const managerHead = "matchURL,result.redirectURL,result.statusCode"

func simple(rows ...string) string  { return "source,target\n" + strings.Join(rows, "\n") + "\n" }
func manager(rows ...string) string { return managerHead + "\n" + strings.Join(rows, "\n") + "\n" }

// TestRowsThatAskForTheSame: which of them are dropped, rejected or told apart, and that every URL of a row that is not
// rejected gets its target.
func TestRowsThatAskForTheSame(t *testing.T) {
	last := func(o *convert.Options) { o.Duplicates = convert.DuplicatesLast }
	keep := func(o *convert.Options) { o.Scheme = convert.SchemeKeep }
	for _, c := range []struct {
		name                            string
		mutate                          func(*convert.Options)
		sheet                           string
		converted, duplicates, rejected int
		codes                           []string
		answers                         map[string]string
	}{
		{"same target", nothing, simple("/a,/x", "/a,/x", "/a,/x"), 1, 2, 0, []string{"3 duplicate", "4 duplicate"}, map[string]string{"/a": "301 /x"}},
		{"other status", nothing, "source,target,status\n/a,/x,301\n/a,/x,302\n", 1, 0, 1, []string{"3 conflict"}, map[string]string{"/a": "301 /x"}},
		{"first", nothing, simple("/a,/x", "/a,/y", "/a,/x"), 1, 1, 1, []string{"3 conflict", "4 duplicate"}, map[string]string{"/a": "301 /x"}},
		{"last", last, simple("/a,/x", "/a,/y"), 1, 0, 1, []string{"2 conflict"}, map[string]string{"/a": "301 /y"}},
		{"last, said before", last, simple("/a,/x", "/a,/y", "/a,/x"), 1, 1, 1, []string{"2 duplicate", "3 conflict"}, map[string]string{"/a": "301 /x"}},
		{"other query", nothing, simple("/a?q=1,/x", "/a?q=2,/y", "/a,/z"), 3, 0, 0, []string{}, map[string]string{"/a?q=1": "301 /x", "/a?q=2": "301 /y", "/a?r": "301 /z"}},
		{"query in another order", nothing, simple("/a?p=1&q=2,/x", "/a?q=2&p=1,/y"), 1, 0, 1, []string{"3 conflict"}, nil},
		{"other host", nothing, simple("h.com/a,/x", "www.h.com/a,/y"), 2, 0, 0, []string{}, nil},
		{"host in another case", nothing, simple("h.com/a,/x", "H.com/a,/x"), 1, 1, 0, []string{"3 duplicate"}, nil},
		{"other criteria", nothing, managerHead + ",countryCode\n/a,/x,301,DE\n/a,/y,301,FR\n/a,/x,301,DE\n", 2, 1, 0, []string{"4 duplicate"}, nil},
		{"other end", nothing, managerHead + ",end\n/a,/x,301,1000\n/a,/x,301,2000\n", 2, 0, 0, []string{}, nil},
		{"disabled", nothing, managerHead + ",disabled\n/a,/x,301,1\n/a,/x,301,\n", 2, 0, 0, []string{}, map[string]string{"/a": "301 /x"}},
		{"wildcard and literal star", nothing, simple("/a/*,/x/*", "/a*b,/y"), 2, 0, 0, []string{"3 literal-wildcard"}, nil},

		{"case twins", nothing, simple("/ab,/x", "/AB,/y"), 2, 0, 0, []string{"2 case-twin", "3 case-twin"}, map[string]string{"/ab": "301 /x", "/AB": "301 /y", "/Ab": ""}},
		{"case twins of one target", nothing, simple("/ab,/x", "/AB,/x"), 1, 1, 0, []string{"3 duplicate"}, map[string]string{"/ab": "301 /x", "/AB": "301 /x"}},
		{"three variants of two targets", nothing, simple("/ab,/x", "/AB,/y", "/Ab,/x"), 3, 0, 0, []string{"2 case-twin", "3 case-twin", "4 case-twin"}, map[string]string{"/ab": "301 /x", "/AB": "301 /y", "/Ab": "301 /x"}},
		{"twins and repeats", nothing, simple("/ab,/x", "/AB,/y", "/ab,/x", "/AB,/z"), 2, 1, 1, []string{"2 case-twin", "3 case-twin", "4 duplicate", "5 conflict"}, nil},
		{"twins in a query value", nothing, simple("/a?q=v,/x", "/a?q=V,/y"), 2, 0, 0, []string{"2 case-twin", "3 case-twin"}, map[string]string{"/a?q=v": "301 /x", "/a?q=V": "301 /y"}},
		{"twins with another query", nothing, simple("/a?q=1,/x", "/A?q=2,/y"), 2, 0, 0, []string{}, map[string]string{"/A?q=1": "301 /x", "/a?q=2": "301 /y"}},
		{"wildcards have no case", nothing, simple("/a/*,/x/*", "/A/*,/y/*"), 1, 0, 1, []string{"3 conflict"}, nil},

		{"own target in another case", nothing, simple("/Foo,/foo"), 1, 0, 0, []string{"2 case-only"}, map[string]string{"/Foo": "301 /foo", "/foo": ""}},
		{"two of them", nothing, simple("/Foo,/foo", "/FOO,/foo"), 2, 0, 0, []string{"2 case-only", "3 case-only"}, map[string]string{"/Foo": "301 /foo", "/FOO": "301 /foo", "/foo": ""}},

		{"schemes to two places", nothing, simple("http://h.com/a,/x", "https://h.com/a,/y"), 2, 0, 0, []string{"2 scheme-pinned", "3 scheme-pinned"}, map[string]string{"http://h.com/a": "301 /x", "https://h.com/a": "301 /y"}},
		{"schemes to one place", nothing, simple("http://h.com/a,/x", "https://h.com/a,/x"), 1, 1, 0, []string{"3 duplicate"}, map[string]string{"http://h.com/a": "301 /x", "https://h.com/a": "301 /x"}},
		{"a scheme and none", nothing, simple("http://h.com/a,/x", "h.com/a,/y"), 1, 0, 1, []string{"3 conflict"}, map[string]string{"https://h.com/a": "301 /x"}},
		{"schemes kept, one place", keep, simple("http://h.com/a,/x", "https://h.com/a,/x"), 2, 0, 0, []string{"2 scheme-pinned", "3 scheme-pinned"}, map[string]string{"http://h.com/a": "301 /x", "https://h.com/a": "301 /x"}},
		{"schemes as written, one place", nothing, manager("http://h.com/a,/x,301", "https://h.com/a,/x,301"), 2, 0, 0, []string{}, map[string]string{"http://h.com/a": "301 /x", "https://h.com/a": "301 /x"}},
		{"schemes as written, two places", nothing, manager("http://h.com/aB,/x,301", "https://h.com/aB,/y,301"), 2, 0, 0, []string{}, map[string]string{"http://h.com/Ab": "301 /x", "https://h.com/ab": "301 /y"}},
		{"to https, and once more", nothing, simple("h.com/a,https://h.com/a", "http://h.com/a,https://h.com/a"), 1, 0, 1, []string{"2 self-redirect", "3 scheme-pinned"}, map[string]string{"http://h.com/a": "301 https://h.com/a", "https://h.com/a": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := converted(t, c.mutate, c.sheet)
			wantRows(t, out, c.converted, c.duplicates, c.rejected)
			wantCodes(t, out, c.codes...)
			for url, want := range c.answers {
				if got := out.ask(t, url); got != want {
					t.Errorf("%s gets %q, want %q", url, got, want)
				}
			}
		})
	}
}

func TestDuplicatesAsAnErrorNameBothRows(t *testing.T) {
	strict := func(o *convert.Options) { o.Duplicates = convert.DuplicatesError }
	text := refused(t, strict, simple("/a,/x", "/b,/y", "/a,/z"))
	if !strings.Contains(text, "line 2") || !strings.Contains(text, "line 4") {
		t.Errorf("%q does not name both lines", text)
	}
	out := converted(t, strict, simple("/a,/x", "/a,/x"))
	wantRows(t, out, 1, 1, 0)
}

func TestAConflictAcrossSheetsNamesTheOtherSheet(t *testing.T) {
	out := converted(t, nothing, simple("/a,/x", "/b,/y"), simple("/c,/z", "/a,/w", "/b,/y"))
	wantRows(t, out, 3, 1, 1)
	for _, p := range out.Report.Problems {
		if p.Sheet != "sheet2.csv" || !strings.Contains(p.Message, "sheet1.csv, line ") {
			t.Errorf("%+v", p)
		}
	}
	if rejected := out.rejected(t); !strings.Contains(rejected, "/a,/w") || !strings.Contains(rejected, "3,source,conflict,") {
		t.Errorf("rejected.csv: %s", rejected)
	}
}

// TestManyRowsThatAskForTheSame: time must not grow with the square of their number.
func TestManyRowsThatAskForTheSame(t *testing.T) {
	const limit = 20 * time.Second // a square takes minutes
	begun := time.Now()
	out := converted(t, nothing, "source,target\n"+strings.Repeat("/a,/x\n", 100_000))
	wantRows(t, out, 1, 99_999, 0)
	if out.Report.Counts["duplicate"] != 99_999 {
		t.Errorf("counts: %v", out.Report.Counts)
	}
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "/a,/x%d\n", i)
	}
	out = converted(t, nothing, b.String())
	wantRows(t, out, 1, 0, 49_999)
	if n := strings.Count(out.rejected(t), "conflict"); n != 49_999 {
		t.Errorf("rejected.csv has %d conflicts", n)
	}
	b.Reset()
	b.WriteString("source,target\n")
	for i := range 1 << 10 { // all of one path but for case
		path := []byte("abcdefghij")
		for bit := range path {
			if i>>bit&1 != 0 {
				path[bit] ^= 0x20
			}
		}
		fmt.Fprintf(&b, "/%s,/x%d\n", path, i%7)
	}
	split := func(o *convert.Options) { o.Split = convert.SplitSequence }
	out = converted(t, split, b.String())
	wantRows(t, out, 1<<10, 0, 0)
	if spent := time.Since(begun); spent > limit {
		t.Errorf("%v", spent)
	}
}
