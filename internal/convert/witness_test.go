package convert_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/convert"
)

// TestWitnessesKnowWhereTheyAreSent: what a row says of its target is what its rule does, or it is said to be undecided,
// whatever the flags, the sources and the targets.
func TestWitnessesKnowWhereTheyAreSent(t *testing.T) {
	r := newRuns(t)
	proved := 0
	rapid.Check(t, func(t *rapid.T) {
		defer r.clean(t)
		d := drawn{header: []string{"matchURL", "result.redirectURL", "path", "regex", "query", "extension", "host", "result.useRelativeUrl", "result.useIncomingQueryString", "result.useIncomingSchemeAndHost"}}
		if rapid.Bool().Draw(t, "simple") {
			d.header[0], d.header[1] = "source", "target"
		}
		source := pick(t, "source", "/a", "/a?x=1", "/a?x=1&y=2", "https://h.com/a", "h.com/a?x=1", "/a/*", "/a*b*", "/*c*", "/a**", "*.h.com/a", "*.h.com/*", "/a*?x=1", "/a?x=*", "/a?", "*.h.com/a?", "h.com", "")
		path := often(t, "path", "", "/a", "/a*", "*/a", "*b*", "/*/b*", "/*m*", "/a /b*", "/b* /a", "/a?b*", "!/a*", "/a* & /*b", "/**", "/\\*a*")
		regex := often(t, "regex", "", "/a(.*)", "^https?://[^/]*/(a|b)(/.*)?$", "(h)ttps", "/b(x)?")
		if source+path+regex == "" {
			source = "/a"
		}
		target := pick(t, "target", "/b", "/b?", "/b?x=2", "/b?x=2&", "/b#f", "/b?#f", "/b/*", "/b/*?y=*", "/go/https://h.com/x", "/b//c", "https://o.example", "https://o.example?x=1", "https://o.example#f",
			"https://o.example/c/*", "https://o.example/c?q=*", "HTTPS://o.example/*", "http://o.example//d", "https://*.o.example/", "//o.example/y?x")
		if regex != "" {
			target = often(t, "groups", target, `/c\1`, `\1`, `/\1/\2`, `https://o.example\1?x`)
		}
		d.rows = [][]string{{
			source, target, path, regex, often(t, "query", "", "z=1", "x=1", "z=*"), often(t, "extension", "", "html"), often(t, "host", "", "h.com", "*.h.com"),
			pick(t, "relative", "", "none", "relative_url", "copy_scheme_hostname"), pick(t, "keep", "", "0", "1"), pick(t, "scheme and host", "", "0", "1"),
		}, {"/zz", "/elsewhere", "", "", "", "", "", "", "", ""}}
		o := options()
		o.Wildcards = pick(t, "wildcards", convert.WildcardsTrailing, convert.WildcardsAll, convert.WildcardsNone)
		o.Slash = often(t, "slash", o.Slash, convert.SlashBoth)
		o.Query = pick(t, "query", convert.QueryDrop, convert.QueryKeep)
		o.Relative = pick(t, "relative", convert.RelativeURL, convert.CopySchemeHost)
		out := r.run(t, o, d.String())
		if errors.Is(out.Err, convert.ErrUnproved) {
			t.Fatalf("%s%v", d, out.Err)
		}
		if out.Err == nil && out.Report.Proof.Proved == 2 {
			proved++
		}
	})
	if proved == 0 {
		t.Error("no row was proved")
	}
	t.Log(proved)
}

// TestTargetsThatWitnessesKnow: these are proved, and not merely undecided.
func TestTargetsThatWitnessesKnow(t *testing.T) {
	keep := func(o *convert.Options) { o.Query = convert.QueryKeep }
	all := func(o *convert.Options) { o.Wildcards = convert.WildcardsAll }
	copied := func(o *convert.Options) { o.Relative = convert.CopySchemeHost }
	for _, c := range []struct {
		name   string
		mutate func(*convert.Options)
		sheet  string
	}{
		{"a target that ends in ?", keep, simple("/a?x=1,/b?")},
		{"a target that ends in &", keep, simple("/a?x=1,/b?y=2&")},
		{"a target with a fragment", keep, simple("/a?x=1,/b?#f")},
		{"relative_url is stronger", nothing, "matchURL,result.redirectURL,result.useRelativeUrl,result.useIncomingSchemeAndHost\n/a,/b,relative_url,1\n"},
		{"scheme and host", nothing, "matchURL,result.redirectURL,result.useRelativeUrl,result.useIncomingSchemeAndHost\n/a,https://o.example/b,none,1\n"},
		{"a URL without a path", nothing, "matchURL,result.redirectURL,result.useRelativeUrl\n/a,https://o.example?x=1,copy_scheme_hostname\n"},
		{"a path with a URL in it", copied, simple("/a,/go/https://h.com/x")},
		{"the star of a source", nothing, simple("/a/*,/b/*")},
		{"two stars of a source", all, simple("/x*y*,/b/*")},
		{"the star of a host", nothing, simple("*.h.com/a,https://o.example/*")},
		{"a star that nothing fills", nothing, simple("/a,/b/*")},
		{"the star of a path", nothing, "source,target,path\n,/b/*,/a*\n"},
		{"the inner star of a path", nothing, "source,target,path\n,/b/*,/*/a\n"},
	} {
		if out := converted(t, c.mutate, c.sheet); out.Report.Proof.Proved != 1 {
			t.Errorf("%s: %+v", c.name, *out.Report.Proof)
		}
	}
	for _, sheet := range []string{"source,target,path\n,/b/*,*/a\n", "source,target,path\n/a/x,/b/*,/a*\n"} {
		if out := converted(t, nothing, sheet); out.Report.Proof.Undecided != 1 {
			t.Errorf("%s: %+v", sheet, *out.Report.Proof)
		}
	}
}

// TestAnotherFaceOfTheWitness: an earlier rule for some visitors alone shadows no row.
func TestAnotherFaceOfTheWitness(t *testing.T) {
	for _, c := range []struct {
		header, first, second string
		proved                bool
	}{
		{"country", "AQ", "", true},
		{"country", "AQ", "AQ", false}, // to another target, it is rejected
		{"country", "!US", "", true},
		{"country", "!US", "AQ", false},
		{"country", "US", "", true},
		{"method", "GET", "", true},
		{"method", "GET", "GET HEAD", false},
		{"end", "1000", "", true},
		{"start", "4000000000", "", true},
		{"clientIP", "192.0.2.0/24", "", true},
		{"continent", "AN", "", true},
		{"region", "ZZ", "", true},
		{"query", "x=1", "", true},
		{"scheme", "https", "", false},
	} {
		column := map[string]string{"country": "countryCode", "region": "regionCode"}[c.header]
		if column == "" {
			column = c.header
		}
		out := converted(t, nothing, "source,target,"+column+"\n/a,/x,"+c.first+"\n/a,/y,"+c.second+"\n")
		p := out.Report.Proof
		if got := p.Proved == 2; got != c.proved || p.Failed > 0 {
			t.Errorf("%s %s before %q: %+v", c.header, c.first, c.second, *p)
		}
	}
}
