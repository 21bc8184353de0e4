package convert_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// asWritten are match URLs that Control Center takes.
var asWritten = []string{
	"abc.com", "https://x.com", "https://WWW.X.com/a", "HTTP://x.com/A?B=c", "http://x.com?a=1", "x.com/", "/A/b", "/a?", "//x.com/a", "*.X.com/*",
	"x.c*", "https://x.com/*?q=*", "/a%20b", "*",
}

// TestMatchURLsAreTakenAsWritten: into rules, out of them as a sheet, and into the same rules again; and each is proved.
func TestMatchURLsAreTakenAsWritten(t *testing.T) {
	for i, text := range asWritten {
		out := converted(t, nothing, manager(text+fmt.Sprintf(",https://o.example/%d,301", i)))
		if out.Report.Proof.Proved != 1 {
			t.Errorf("%s: %+v %v", text, out.Report.Proof, out.codes())
		}
		rules := out.rules(t)
		if r, err := redirect.Parse(rules[0]); err != nil || r.MatchURL != text || len(r.Matches) > 0 {
			t.Errorf("%s becomes %q, %v", text, r.MatchURL, err)
		}
		var sheet bytes.Buffer
		lost, err := convert.WriteSheet(&sheet, rules)
		if err != nil || len(lost) > 0 {
			t.Errorf("%s: lost %v, %v", text, lost, err)
			continue
		}
		if one, two := joined(rules), joined(converted(t, nothing, sheet.String()).rules(t)); one != two {
			t.Errorf("%s: first %s, then %s", text, one, two)
		}
	}
}

// TestWrittenApartAndStillTheSame: what counts for repeats, hosts and buckets is what a match URL comes to.
func TestWrittenApartAndStillTheSame(t *testing.T) {
	out := converted(t, nothing, manager("x.com,/y,301", "X.com/,/y,301", "https://w.com,/y,301", "https://w.com/,/y,301", "http://w.com,/y,301"))
	wantRows(t, out, 3, 2, 0)
	wantCodes(t, out, "3 duplicate", "5 duplicate")
	out = converted(t, func(o *convert.Options) { o.Split = convert.SplitHost }, manager("http://X.com/a,/y,301", "x.com/b,/y,301", "w.com,/z,301"))
	if c := out.Dispatch.Chunks; len(c) != 1 || fmt.Sprint(c[0].Hosts) != "[x.com w.com]" {
		t.Errorf("%+v", c)
	}
	out = converted(t, func(o *convert.Options) { o.Buckets = 7 }, manager("http://X.com/A,/y,301", "W.com?q=1,/q,302", "w.com,/z,301"))
	if out.Report.Proof.Proved != 3 {
		t.Errorf("%+v", out.Report.Proof)
	}
}

// TestTooManyConditions are refused, however many there are, and soon.
func TestTooManyConditions(t *testing.T) {
	long := func(n int, format, between string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(parts, between)
	}
	ok := "/ok,https://o.example/ok"
	for _, c := range []struct {
		sheet string
		want  string
	}{
		{simple(ok, "/a?"+long(100, "p%d=1", "&")+",/b"), ""},
		{simple(ok, "/a?"+long(101, "p%d=1", "&")+",/b"), "3 too-long"},
		{simple(ok, "/a?"+long(60_000, "p%d=1", "&")+",/b"), "3 too-long"},
		{managerHead + ",query\n/a,/b,301," + long(101, "p%d=1", " & ") + "\n/ok,/x,301,\n", "2 too-long"},
		{managerHead + ",query,cookie\n/a,/b,301," + long(51, "p%d=1", " & ") + "," + long(50, "c%d=1", " & ") + "\n/ok,/x,301,,\n", "2 too-long"},
		{managerHead + ",query,cookie\n/a,/b,301," + long(50, "p%d=1", " & ") + "," + long(50, "c%d=1", " & ") + "\n/ok,/x,301,,\n", ""},
		{managerHead + ",cookie\n/a,/b,301," + long(80_000, "c%d=1", " & ") + "\n/ok,/x,301,\n", "2 too-long"},
	} {
		out := converted(t, func(o *convert.Options) { o.NoProof = true }, c.sheet)
		if got := strings.Join(out.codes(), " "); !strings.Contains(got, c.want) || c.want == "" && out.Report.Rows.Rejected > 0 {
			t.Errorf("%s: %s, want %q", short(c.sheet)[:80], got, c.want)
		}
		for _, p := range out.Report.Problems {
			if p.Code == "too-long" && !strings.Contains(p.Message, "more than 100 conditions") {
				t.Error(p.Message)
			}
		}
	}
}

// TestWhatCanNeverBe: a path that does not begin with a slash, and two places for one text; and what looks like that.
func TestWhatCanNeverBe(t *testing.T) {
	for _, c := range []struct{ path, target, want string }{
		{"a", "/x", "bad-cell path"},
		{"!a", "/x", "bad-cell path"},
		{"/a b", "/x", "bad-cell path"},
		{`\*a`, "/x", "bad-cell path"},
		{"*a*", "/x", ""},
		{"a*", "/x", ""},
		{`/a\ b /c\*`, "/x", ""},
		{"/a*", "/x/*", ""},
		{"/a*", "/x/*/*", "bad-target result.redirectURL"},
		{"!/b & /a*", "/x/*/*", "bad-target result.redirectURL"},
		{`/a\*`, "/x/*/*", ""},
		{"/a", "/x/*/*", ""},
	} {
		_, rejected, _ := lone(t, func(o *convert.Options) { o.NoProof = true },
			managerHead+",path\n,"+c.target+",301,"+c.path+"\n/ok,/okay,301,\n")
		if rejected != c.want {
			t.Errorf("%s to %s: %q, want %q", c.path, c.target, rejected, c.want)
		}
	}
	rule, rejected, _ := lone(t, nothing, managerHead+",result.useRelativeUrl,result.useIncomingSchemeAndHost\n/a,/b,301,relative_url,1\n")
	var members map[string]any
	if err := json.Unmarshal(rule, &members); err != nil || rejected != "" || members["useRelativeUrl"] != "relative_url" || members["useIncomingSchemeAndHost"] != true {
		t.Errorf("%s %s %v", rule, rejected, err)
	}
}
