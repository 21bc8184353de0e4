package convert_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

func existing(t *testing.T, raws ...string) []convert.Existing {
	t.Helper()
	var all []convert.Existing
	for _, raw := range raws {
		e, err := convert.NewExisting(json.RawMessage(raw), "v2:7@3")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// TestExistingRulesAreTakenOverAsTheyAre: but for their location and white space.
func TestExistingRulesAreTakenOverAsTheyAre(t *testing.T) {
	e := existing(t, "{ \"location\": \"/x\", \"type\": \"erMatchRule\", \"akaRuleId\": \"a b\",\n \"matchURL\": \"/a\", \"newMember\": {\"location\": 1.50},\"statusCode\":301,\"redirectURL\":\"/ü\\u0041\" }")[0]
	const want = `{"type":"erMatchRule","akaRuleId":"a b","matchURL":"/a","newMember":{"location":1.50},"statusCode":301,"redirectURL":"/ü\u0041"}`
	if string(e.Raw) != want || e.From != "v2:7@3" {
		t.Errorf("%s from %s, want %s", e.Raw, e.From, want)
	}
	for _, raw := range []string{`{"type":"frMatchRule","matchURL":"/a"}`, `5`, ``, `{"location":"/x"}`} {
		if _, err := convert.NewExisting(json.RawMessage(raw), ""); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
	if _, err := convert.NewExisting(json.RawMessage(`{"type":"frMatchRule","matchURL":"/a"}`), ""); !errors.Is(err, redirect.ErrNotRedirect) {
		t.Error(err)
	}
}

// TestExistingRulesStandBeforeOrBehind: counted apart, in every chunk that their requests go to.
func TestExistingRulesStandBeforeOrBehind(t *testing.T) {
	first := existing(t, `{"type":"erMatchRule","name":"e1","matchURL":"/p1","statusCode":302,"redirectURL":"https://o.example/e1"}`)
	last := existing(t, `{"type":"erMatchRule","name":"e2","matchURL":"/p2","statusCode":302,"redirectURL":"https://o.example/e2"}`,
		`{"type":"erMatchRule","name":"e3","matchURL":"/old/*","statusCode":302,"redirectURL":"https://o.example/e3"}`)
	with := func(o *convert.Options) { o.Before, o.After = first, last }
	out := converted(t, with, many(5))
	wantRows(t, out, 5, 0, 0)
	wantCodes(t, out, "3 shadowed")
	if out.Report.Existing != 3 || out.Report.Proof.Shadowed != 1 || out.Report.Proof.Proved != 4 || out.Report.Chunks[0].Existing != 3 || out.Report.Chunks[0].Own != 5 {
		t.Errorf("%+v", out.Report)
	}
	for url, want := range map[string]string{
		"https://h.com/p1": "302 https://o.example/e1", "https://h.com/p2": "301 https://o.example/2", "https://h.com/old/x": "302 https://o.example/e3",
	} {
		if got := out.ask(t, url); got != want {
			t.Errorf("%s gets %q, want %q", url, got, want)
		}
	}
	if text := out.Report.Problems[0].Message; !strings.Contains(text, "v2:7@3") || !strings.Contains(text, "e1") {
		t.Error(text)
	}
	split := converted(t, func(o *convert.Options) { with(o); o.MaxRules = 12 }, many(30))
	for i, body := range split.bodies(t) {
		if n := len(body.Rules); !strings.Contains(string(body.Rules[n-1]), `"e3"`) {
			t.Errorf("chunk %d lacks the wildcard that is repeated: %s", i+1, body.Rules[n-1])
		}
	}
}

// TestAnExistingRuleMayHoldWhatNoSheetSays: members that nobody knows leave what they match unsure, not the conversion.
func TestAnExistingRuleMayHoldWhatNoSheetSays(t *testing.T) {
	strange := existing(t, `{"type":"erMatchRule","name":"s","matchURL":"/p1","future":1,"statusCode":302,"redirectURL":"https://o.example/s"}`)
	for _, split := range []string{convert.SplitAuto, convert.SplitHash, convert.SplitHost, convert.SplitSequence} {
		out := converted(t, func(o *convert.Options) { o.Before, o.Split = strange, split }, many(5))
		wantRows(t, out, 5, 0, 0)
	}
}

// TestNames: own, repeated, made of lines, and made of lines where somebody took that.
func TestNames(t *testing.T) {
	names := func(out outcome) string {
		var all []string
		for _, raw := range out.rules(t) {
			r, err := redirect.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r.Name)
		}
		return strings.Join(all, "|")
	}
	out := converted(t, nothing, "source,target,name\n/a,/x,n\n/b,/x,n\n/c,/x,n-2\n/d,/x,\n/e,/x,line 7\n/f,/x,\n/g,/x,n\n/h,/x,\"a\\ b, \"\"c\"\"\"\n")
	if got, want := names(out), `n|n-2|n-2-2|line 5|line 7|line 7-2|n-3|a b, "c"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if out.Report.Counts["renamed"] != 3 {
		t.Errorf("%v", out.Report.Counts)
	}
	out = converted(t, nothing, simple("/a,/x", "/b,/x"), simple("/c,/x"))
	if got, want := names(out), "sheet 1 line 2|sheet 1 line 3|sheet 2 line 2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestManyEqualNames: 20,000 do not take the square of the time, and no two rules have one name.
func TestManyEqualNames(t *testing.T) {
	const rows, limit = 20_000, 20 * time.Second
	var b strings.Builder
	b.WriteString("source,target,name\n")
	for i := range rows {
		fmt.Fprintf(&b, "/p%d,/x,same\n", i)
	}
	begun := time.Now()
	out := converted(t, func(o *convert.Options) { o.NoProof = true }, b.String())
	if spent := time.Since(begun); spent > limit {
		t.Errorf("%v", spent)
	}
	seen := map[string]bool{}
	for _, body := range out.bodies(t) {
		for _, raw := range body.Rules {
			r, err := redirect.Parse(raw)
			if err != nil || seen[r.Name] {
				t.Fatalf("%s: %v", raw, err)
			}
			seen[r.Name] = true
		}
	}
	if len(seen) != rows || !seen["same"] || !seen["same-20000"] {
		t.Errorf("%d names", len(seen))
	}
}

// TestOrderSpecific: literals before wildcards, longer prefixes first, queries before the path alone, else as it was.
func TestOrderSpecific(t *testing.T) {
	out := converted(t, func(o *convert.Options) { o.Order = convert.OrderSpecific },
		simple("/*,https://o.example/w1", "/a,/l1", "/a/*,/w2", "/a?q=1,/l2", "/a/b/*,/w3", "/a/b/c,/l3", "/c/*,/w4", "/a?q=2,/l4"))
	var got []string
	for _, raw := range out.rules(t) {
		r, err := redirect.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.RedirectURL)
	}
	if text := strings.Join(got, " "); text != "/l2 /l4 /l1 /l3 /w3 /w2 /w4 https://o.example/w1" {
		t.Error(text)
	}
	if out.Report.Counts["shadowed"] != 0 || out.Dispatch.Kind != chunkset.Single {
		t.Errorf("%v", out.Report.Counts)
	}
}
