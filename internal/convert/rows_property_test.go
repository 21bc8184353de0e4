package convert_test

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// TestEveryRowThatStaysGetsItsTarget: what a row that is not rejected asks for, to the letter, leads where it says, be the
// row converted or dropped for another one. That is so of sheets without wildcards in which no row has fewer words than
// another: all of a host with its scheme, or none.
func TestEveryRowThatStaysGetsItsTarget(t *testing.T) {
	r := newRuns(t)
	stayed, gone := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		defer r.clean(t)
		hosts := pick(t, "hosts", []string{""}, []string{"http://h.com", "https://h.com", "https://H.com"})
		d := drawn{header: []string{"source", "target"}}
		query := rapid.Bool().Draw(t, "queries")
		for range rapid.IntRange(1, 12).Draw(t, "rows") {
			source := pick(t, "host", hosts...) + "/" + pick(t, "path", "ab", "AB", "aB", "c", "C", "x%20y", "+", "%2F", "%2f")
			if query {
				source += pick(t, "query", "?q=v&p=1", "?q=V&p=1", "?p=1&q=v", "?p=2&q=v")
			}
			d.rows = append(d.rows, []string{source, pick(t, "target", "https://o.example/1", "https://o.example/2", "https://h.com/ab", "/AB", "/C", "/c")})
		}
		o := options()
		o.Duplicates = pick(t, "duplicates", convert.DuplicatesFirst, convert.DuplicatesLast)
		o.Scheme = pick(t, "scheme", convert.SchemeDrop, convert.SchemeKeep)
		o.Query = pick(t, "query", convert.QueryDrop, convert.QueryKeep)
		out := r.run(t, o, d.String())
		if out.Err != nil {
			return
		}
		var rules []redirect.Rule
		for _, raw := range out.rules(t) {
			rules = append(rules, mustParse(t, raw))
		}
		list := mustList(t, rules)
		rejected := rejectedLines(t, out)
		for i, row := range d.rows {
			if rejected[i+2] {
				gone++
				continue
			}
			stayed++
			q, err := redirect.ParseURL(row[0])
			if err != nil {
				t.Fatal(err)
			}
			want := row[1]
			if _, query, asked := strings.Cut(row[0], "?"); asked && o.Query == convert.QueryKeep {
				want += "?" + query
			}
			if strings.Contains(row[0], "%2") || saysTheSame(d, i, rejected) {
				continue // %2f and %2F are alike, so that the second is shadowed
			}
			a, err := list.Evaluate(&q)
			if err != nil || a.Location != want {
				t.Fatalf("%s\n%+v\nline %d: %s gets %+v, want %s (%v)", d, o, i+2, row[0], a, want, err)
			}
		}
	})
	if stayed < gone {
		t.Errorf("%d rows stayed and %d were rejected", stayed, gone)
	}
}

// saysTheSame reports whether a row repeats one that was rejected, which it is then counted as a duplicate of.
func saysTheSame(d drawn, row int, rejected map[int]bool) bool {
	key := func(cells []string) string {
		base, query, _ := strings.Cut(strings.ToLower(cells[0]), "?")
		_, base, _ = strings.Cut(base, "/")
		params := strings.Split(query, "&")
		slices.Sort(params)
		return fmt.Sprint(base, params, cells[1])
	}
	for i := range d.rows {
		if rejected[i+2] && key(d.rows[i]) == key(d.rows[row]) {
			return true
		}
	}
	return false
}

func rejectedLines(t tester, out outcome) map[int]bool {
	t.Helper()
	lines := map[int]bool{}
	text := out.rejected(t)
	if text == "" {
		return lines
	}
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range records[0] {
		for _, r := range records[1:] {
			line := 0
			if name == "cmig_line" {
				if _, err := fmt.Sscan(r[i], &line); err != nil {
					t.Fatal(err)
				}
				lines[line] = true
			}
		}
	}
	return lines
}

// TestMendedRejectsConvert: rejected.csv is a sheet; with the cause mended, its rows convert.
func TestMendedRejectsConvert(t *testing.T) {
	out := converted(t, nothing, "matchURL,result.redirectURL,result.statusCode,ruleName,cookie\n/ok,/t,,,\n/a,/t,999,name,c=1\n"+`"/b, c#f",/t,302,"say ""x""",`+"\n")
	wantRows(t, out, 1, 0, 2)
	mended := strings.NewReplacer("999", "307", "#f", "").Replace(out.rejected(t))
	again := converted(t, nothing, mended)
	wantRows(t, again, 2, 0, 0)
	rules := again.rules(t)
	if brief(t, rules[0]) != "/a | cookie equals c=1" || answer(t, rules[0]) != "307 /t relative_url" || brief(t, rules[1]) != "/b,%20c" {
		t.Errorf("%s", rules)
	}
}
