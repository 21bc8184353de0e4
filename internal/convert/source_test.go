package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// brief writes what a rule asks for: its matchURL, then its matches as [!][:]type operator value[;IPs].
func brief(t tester, raw []byte) string {
	t.Helper()
	r, err := redirect.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{}
	if r.MatchURL != "" {
		parts = append(parts, r.MatchURL)
	}
	for _, m := range r.Matches {
		text := m.Type + " " + m.Operator
		if m.CaseSensitive {
			text = ":" + text
		}
		if m.Negate {
			text = "!" + text
		}
		if m.Value != "" {
			text += " " + m.Value
		}
		if o := m.Object; o != nil {
			text += fmt.Sprintf(" {%s %s %q", o.Type, o.Name, o.Values)
			if o.ValueHasWildcard {
				text += " wildcard"
			}
			if o.ValueCaseSensitive {
				text += " case"
			}
			text += "}"
		}
		if m.CheckIPs != "" {
			text += ";" + m.CheckIPs
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " | ")
}

// lone converts a sheet of one row and gives its rule, or the code and the column for which it is rejected.
func lone(t *testing.T, mutate func(*convert.Options), sheet string) (rule []byte, rejected string, codes []string) {
	t.Helper()
	out := converted(t, mutate, sheet)
	rules := out.rules(t)
	if len(rules) > 2 || len(rules) == 0 {
		t.Fatalf("%q gives %d rules", sheet, len(rules))
	}
	for _, p := range out.Report.Problems {
		if p.Severity == "error" {
			rejected = p.Code + " " + p.Column
		} else if p.Line == 2 && p.Code != "possible-loop" {
			codes = append(codes, p.Code)
		}
	}
	return rules[0], rejected, codes
}

// TestSources: from a source cell to what its rule asks for, each beside a neighbor that must be another one.
func TestSources(t *testing.T) {
	set := func(name string) func(*convert.Options) {
		return func(o *convert.Options) {
			switch name {
			case "keep":
				o.Scheme = convert.SchemeKeep
			case "all":
				o.Wildcards = convert.WildcardsAll
			case "none":
				o.Wildcards = convert.WildcardsNone
			case "fragment":
				o.Fragment = convert.FragmentDrop
			case "slash":
				o.Slash = convert.SlashBoth
			}
		}
	}
	for _, c := range []struct{ dialect, option, source, want, code string }{
		{"simple", "", "/old", "/old", ""},
		{"simple", "", "/old/", "/old/", ""},
		{"simple", "", "/Old", "/Old", ""},
		{"simple", "", "https://www.example.com/old", "www.example.com/old", ""},
		{"simple", "", "HTTPS://WWW.example.com/Old", "www.example.com/Old", ""},
		{"simple", "", "//www.example.com/old", "www.example.com/old", ""},
		{"simple", "", "www.example.com/old", "www.example.com/old", ""},
		{"simple", "", "www.example.com", "www.example.com/", ""},
		{"simple", "", "http://example.com:80/a", "example.com/a", ""},
		{"simple", "", "https://example.com:443/a", "example.com/a", ""},
		{"simple", "", "localhost/a", "localhost/a", ""},
		{"simple", "keep", "http://www.example.com/old", "http://www.example.com/old", "scheme-pinned"},
		{"simple", "keep", "www.example.com/old", "www.example.com/old", ""},
		{"simple", "keep", "http://h.com/a?x=1", "protocol equals http | hostname equals h.com | path equals /a | query equals x=1", "scheme-pinned"},
		{"manager", "", "http://www.example.com/old", "http://www.example.com/old", ""},
		{"manager", "", "www.example.com/old", "www.example.com/old", ""},
		{"simple", "", "/old/*", "/old/*", ""},
		{"simple", "", "/old*", "path equals /old*", "literal-wildcard"},
		{"simple", "", "/old*/x", "path equals /old*/x", "literal-wildcard"},
		{"simple", "", "h.com/old*", "hostname equals h.com | path equals /old*", "literal-wildcard"},
		{"simple", "", "*.h.com/old", "*.h.com/old", ""},
		{"simple", "all", "/old*/x", "/old*/x", ""},
		{"simple", "all", "/old*/x?", "/old*/x%3F", "literal-wildcard"},
		{"simple", "none", "/old/*", "path equals /old/*", "literal-wildcard"},
		{"manager", "", "/old*/x", "/old*/x", ""},
		{"manager", "none", "/old*/x", "/old*/x", ""},
		{"simple", "", "/old?", "path equals /old%3F", "literal-wildcard"},
		{"simple", "", "/old?a=1&b=2", "path equals /old | query equals a=1 | query equals b=2", ""},
		{"simple", "", "/old?b=2&a=1", "path equals /old | query equals b=2 | query equals a=1", ""},
		{"simple", "", "h.com/old?a=x y", "hostname equals h.com | path equals /old | query equals a=x%20y", "encoded"},
		{"simple", "", "/old?a", "path equals /old | query equals a", ""},
		{"simple", "", "/old?a=", "path equals /old | query equals a=", ""},
		{"simple", "", "/old?a=1&a=1", "path equals /old | query equals a=1", ""},
		{"simple", "", "/old?a=1?b=2", "path equals /old | query equals a=1?b=2", ""},
		{"manager", "", "/old?a=1&b=2", "/old?a=1&b=2", ""},
		{"manager", "", "/old?a=*", "/old?a=*", ""},
		{"simple", "fragment", "/old#part", "/old", ""},
		{"simple", "slash", "/old", "path equals /old /old/", ""},
		{"simple", "slash", "h.com/old/", "hostname equals h.com | path equals /old/ /old", ""},
		{"simple", "slash", "/", "/", ""},
		{"simple", "slash", "/old/*", "/old/*", ""},
		{"manager", "slash", "/old", "/old", ""},
		{"simple", "", "/a b", "/a%20b", "encoded"},
		{"simple", "", `/a\ b`, "/a%20b", "encoded"},
		{"simple", "", "/a%20b", "/a%20b", ""},
		{"simple", "", "/a%2", "/a%252", "encoded"},
		{"simple", "", "/a%zz", "/a%25zz", "encoded"},
		{"simple", "", "/é", "/%C3%A9", "encoded"},
		{"simple", "", "/%c3%a9", "/%c3%a9", ""},
		{"simple", "", `/<>@"[]^{|}` + "`" + `\x`, "/%3C%3E%40%22%5B%5D%5E%7B%7C%7D%60%5Cx", "encoded"},
		{"simple", "", "/a'(b)!$&,;=+~:", "/a'(b)!$&,;=+~:", ""},
		{"manager", "", "/a b", "/a%20b", "encoded"},
		{"simple", "", "/x.html?q=*", "path equals /x.html | query equals q=*", ""},
	} {
		t.Run(c.dialect+" "+c.option+" "+c.source, func(t *testing.T) {
			head := "source,target\n"
			if c.dialect == "manager" {
				head = "matchURL,result.redirectURL\n"
			}
			rule, rejected, codes := lone(t, set(c.option), head+quoted(c.source)+",https://o.example/t\n")
			if got := brief(t, rule); got != c.want || rejected != "" || strings.Join(codes, " ") != c.code {
				t.Errorf("%q %q %q, want %q %q", got, rejected, codes, c.want, c.code)
			}
		})
	}
}

func quoted(cell string) string { return `"` + strings.ReplaceAll(cell, `"`, `""`) + `"` }

// TestSourcesThatAreRejected: with the column, and the row behind converts.
func TestSourcesThatAreRejected(t *testing.T) {
	for source, code := range map[string]string{
		"/old#part": "fragment", "old": "bad-url", "ftp://h.com/a": "bad-url", "mailto:x@h.com": "bad-host", "mailto:x": "bad-url", "h.com:8080/a": "bad-host",
		"https://h.com:80/a": "bad-host", "https://bücher.de/a": "bad-host", "https:///a": "bad-host", "https://h com/a": "bad-host",
		"https://u@h.com/": "bad-host", "/old?a=1&a=2": "query-repeats", "/old?=1": "bad-url", "/a*b/*": "mixed-wildcard",
		"*.h.com/a*b": "mixed-wildcard", "/a/*?x=1": "mixed-wildcard", "/a\tb": "control", "/a\u0085b": "control", "": "no-source",
		"https://": "bad-host", "...": "bad-host",
	} {
		_, rejected, _ := lone(t, nothing, "source,target\n"+quoted(source)+",/t\n/ok,/t\n")
		if rejected != code+" source" {
			t.Errorf("%q: %q, want %s", source, rejected, code)
		}
	}
}

// TestLengths: 8,192 characters are taken, whatever they take in bytes, and one more is not.
func TestLengths(t *testing.T) {
	pad := func(text string, to int) string { return text + strings.Repeat("a", to-len([]rune(text))) }
	for _, c := range []struct{ column, head, row, rejected string }{
		{"name", "source,target,name\n", "/a,/b," + pad("ü", 8192), ""},
		{"name", "source,target,name\n", "/a,/b," + pad("ü", 8193), "too-long name"},
		{"source", "source,target\n", pad("/", 8192) + ",/b", ""},
		{"source", "source,target\n", pad("/", 8193) + ",/b", "too-long source"},
		{"source with a host", "source,target\n", "h.com" + pad("/", 8188) + ",/b", "too-long source"},
		{"source that grows", "source,target\n", pad("/ü", 8188) + ",/b", "too-long source"},
		{"source that grows as far as it may", "source,target\n", pad("/ü", 8187) + ",/b", ""},
		{"path", "source,target\n", pad("/x*", 8192) + ",/b", ""},
		{"path", "source,target\n", pad("/x*", 8193) + ",/b", "too-long source"},
		{"target", "source,target\n", "/a," + pad("/", 8192), ""},
		{"target", "source,target\n", "/a," + pad("/", 8193), "too-long target"},
		{"criterion", "source,target,cookie\n", "/a,/b," + pad("c=é", 8192), ""},
		{"criterion", "source,target,cookie\n", "/a,/b," + pad("c=é", 8193), "too-long cookie"},
		{"value of an object", "source,target,header\n", "/a,/b," + pad("h=é", 8194), ""},
		{"value of an object", "source,target,header\n", "/a,/b," + pad("h=é", 8195), "too-long header"},
	} {
		ok := "/ok,/t" + strings.Repeat(",", strings.Count(c.head, ",")-1) + "\n"
		_, rejected, _ := lone(t, nothing, c.head+c.row+"\n"+ok)
		if rejected != c.rejected {
			t.Errorf("%s of %d bytes: %q, want %q", c.column, len(c.row), rejected, c.rejected)
		}
	}
}
