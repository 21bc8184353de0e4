package convert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/convert"
)

// TestWhereRedirectsLead: rows that lead to themselves are rejected, chains are told.
func TestWhereRedirectsLead(t *testing.T) {
	site := func(o *convert.Options) { o.Sites = []string{"WWW.h.com"} }
	keep := func(o *convert.Options) { o.Query = convert.QueryKeep }
	kept := func(o *convert.Options) { o.Scheme = convert.SchemeKeep }
	for _, c := range []struct {
		name   string
		mutate func(*convert.Options)
		sheet  string
		codes  []string
	}{
		{"nothing", nothing, simple("/a,/b", "/c,/d"), []string{}},
		{"self", nothing, simple("/a,/a", "/ok,/x"), []string{"2 self-redirect"}},
		{"self, by its host", nothing, simple("h.com/a,https://h.com/a", "/ok,/x"), []string{"2 self-redirect"}},
		{"self but for the query", nothing, simple("/a,/a?x=1", "/ok,/x"), []string{"2 loop"}},
		{"self with the query that it asks for", nothing, simple("/a?x=1,/a?x=1", "/ok,/x"), []string{"2 self-redirect"}},
		{"another query", nothing, simple("/a?x=1,/a?x=2", "/ok,/x"), []string{}},
		{"the query is dropped", nothing, simple("/a?x=1,/a"), []string{}},
		{"the query is kept", keep, simple("/a?x=1,/a", "/ok,/x"), []string{"2 self-redirect"}},
		{"the slash", nothing, simple("/a,/a/"), []string{}},
		{"both slashes", func(o *convert.Options) { o.Slash = convert.SlashBoth }, simple("/a,/a/", "/ok,/x"), []string{"2 loop"}},
		{"a fragment is no other URL", nothing, simple("/a,/a#f", "/ok,/x"), []string{"2 self-redirect"}},
		{"two", nothing, simple("/a,/b", "/b,/a", "/ok,/x"), []string{"2 loop", "3 loop"}},
		{"into a loop", nothing, simple("/in,/a", "/a,/b", "/b,/a"), []string{"3 loop", "4 loop"}},
		{"chain", nothing, simple("/a,/b", "/b,/c", "/c,https://o.example/"), []string{"2 chain", "3 chain"}},
		{"chain by full URLs", nothing, simple("h.com/a,https://h.com/b", "h.com/b,/c"), []string{"2 chain"}},
		{"another host's", nothing, simple("h.com/a,https://o.example/b", "h.com/b,/c"), []string{}},
		{"chain over hosts", nothing, simple("h.com/a,https://www.h.com/b", "www.h.com/b,/c"), []string{"2 chain"}},
		{"wildcard onto itself", nothing, simple("/blog/*,/blog/archive/*", "/ok,/x"), []string{"2 loop"}},
		{"wildcard elsewhere", nothing, simple("/blog/*,/archive/*"), []string{}},
		{"wildcard to its index", nothing, simple("/blog/*,/blog/", "/ok,/x"), []string{"2 loop"}},
		{"shadowed", nothing, simple("/blog/*,/x/*", "/blog/hello,/y"), []string{"3 shadowed"}},
		{"not shadowed before it", nothing, simple("/blog/hello,/y", "/blog/*,/x/*"), []string{}},
		{"shadowed by what is rejected", nothing, simple("/blog/*,/blog/x/*", "/blog/hello,/y"), []string{"2 loop"}},
		{"loop behind a loop", nothing, simple("/a/*,/a/x/*", "/a/b/*,/a/b/y/*", "/ok,/x"), []string{"2 loop", "3 loop"}},
		{"http to https", nothing, simple("http://h.com/a,https://h.com/a"), []string{"2 scheme-pinned"}},
		{"http to https, kept", kept, simple("http://h.com/a,https://h.com/a"), []string{"2 scheme-pinned"}},
		{"http to https, as written", nothing, manager("http://h.com/a,https://h.com/a,301"), []string{}},
		{"http to https by wildcard", nothing, simple("http://h.com/*,https://h.com/*"), []string{"2 scheme-pinned"}},
		{"http to https with a query", nothing, simple("http://h.com/a?x=1&y=2,https://h.com/a?x=1&y=2"), []string{"2 scheme-pinned"}},
		{"http to https, the query kept", keep, simple("http://h.com/a?x=1,https://h.com/a"), []string{"2 scheme-pinned"}},
		{"http to https with a fragment", nothing, simple("http://h.com/a*b,https://h.com/a*b#f"), []string{"2 literal-wildcard", "2 scheme-pinned"}},
		{"https to http and back", nothing, simple("http://h.com/a,https://h.com/a", "https://h.com/a,http://h.com/a", "/ok,/x"), []string{"2 loop", "3 loop"}},
		{"to www", nothing, simple("h.com/a,https://www.h.com/a"), []string{}},
		{"to www by wildcard", nothing, simple("h.com/*,https://www.h.com/*"), []string{}},
		{"wildcard host to www", nothing, simple("*.h.com/a,https://www.h.com/a", "www.h.com/b,/c"), []string{"2 loop"}},
		{"no host, same path", nothing, simple("/a,https://www.h.com/a"), []string{"2 possible-loop"}},
		{"no host, same path, our site", site, simple("/a,https://www.h.com/a", "/ok,/x"), []string{"2 loop"}},
		{"no host, same path, another site", site, simple("/a,https://h.com/a"), []string{"2 possible-loop"}},
		{"no host, other path, our site", site, simple("/a,https://www.h.com/b"), []string{}},
		{"case apart", nothing, simple("/Foo,/foo"), []string{"2 case-only"}},
		{"case apart with a query", nothing, simple("/Foo?x=1,/foo?x=1"), []string{"2 case-only"}},
		{"case apart in a query", nothing, simple("/foo?x=V,/foo?x=v"), []string{"2 case-only"}},
		{"case apart and back", nothing, simple("/Foo,/foo", "/foo,/Foo", "/ok,/x"), []string{"2 case-only", "2 loop", "3 case-only", "3 loop"}},
		{"self where others do not answer for it", nothing, "source,target,scheme\n/,https://o.example/x,http\nhttp://h.com/,/,\n", []string{"3 scheme-pinned", "3 shadowed"}},
		{"disabled", nothing, managerHead + ",disabled\n/a,/a,301,1\n/b,/c,301,\n", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := converted(t, c.mutate, c.sheet)
			got := out.codes()
			switch c.name { // a note of a row that is rejected in the end may be there or not
			case "https to http and back", "case apart and back":
				got = only(got, "loop")
				c.codes = only(c.codes, "loop")
			}
			if strings.Join(got, ", ") != strings.Join(c.codes, ", ") {
				t.Errorf("%s: %q, want %q", c.sheet, got, c.codes)
			}
		})
	}
}

func only(codes []string, code string) []string {
	var left []string
	for _, c := range codes {
		if strings.HasSuffix(c, " "+code) {
			left = append(left, c)
		}
	}
	return left
}

// TestLoopsOfManyRows: all rows of a loop are rejected, up to as many as are followed, and no other.
func TestLoopsOfManyRows(t *testing.T) {
	for n := 2; n <= 12; n++ {
		rows := []string{"/in,/r0"}
		for i := range n {
			rows = append(rows, fmt.Sprintf("/r%d,/r%d", i, (i+1)%n))
		}
		out := converted(t, nothing, simple(rows...))
		if n <= 10 {
			wantRows(t, out, 1, 0, n)
		} else if got := only(out.codes(), "chain"); len(got) != n+1 {
			t.Errorf("a loop of %d rows, longer than what is followed: %q", n, got)
		}
	}
}

// TestCollapsedChains: every row of a chain leads to its end, and where requests of one row end apart, it stays.
func TestCollapsedChains(t *testing.T) {
	collapse := func(o *convert.Options) { o.Collapse = true }
	out := converted(t, collapse, simple("/a,/b", "/b,https://h.com/x", "h.com/c,/d", "h.com/d,https://www.h.com/e", "www.h.com/e,/f", "/w/*,/a"))
	for url, want := range map[string]string{
		"https://o.example/a": "301 https://h.com/x", "https://o.example/b": "301 https://h.com/x", "https://h.com/c": "301 https://www.h.com/f",
		"https://h.com/d": "301 https://www.h.com/f", "https://www.h.com/e": "301 /f", "https://o.example/w/1": "301 /a",
	} {
		if got := out.ask(t, url); got != want {
			t.Errorf("%s gets %q, want %q", url, got, want)
		}
	}
	if p := out.Report.Proof; p.Proved != 6 {
		t.Errorf("%+v", *p)
	}
}

// TestManyWildcardsBesideManyLiterals: 3,000 wildcards and 30,000 literals take seconds, not minutes.
func TestManyWildcardsBesideManyLiterals(t *testing.T) {
	const limit = 60 * time.Second
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 33_000 {
		if i%11 == 0 {
			fmt.Fprintf(&b, "/w%d/*,https://o.example/w%d/*\n", i, i)
		} else {
			fmt.Fprintf(&b, "/w%d/l%d,https://o.example/l%d\n", i/22*22+11, i, i)
		}
	}
	begun := time.Now()
	out := converted(t, func(o *convert.Options) { o.Fill = 1 }, b.String())
	wantRows(t, out, 33_000, 0, 0)
	spent := time.Since(begun)
	t.Log(spent, len(out.Dispatch.Chunks), *out.Report.Proof)
	if spent > limit {
		t.Errorf("%v", spent)
	}
	if out.Report.Repeated != 3000 || out.Report.Proof.Failed != 0 {
		t.Errorf("%+v", out.Report.Proof)
	}
}
