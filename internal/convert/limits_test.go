package convert_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
)

// TestFiveThousandRulesAreOneChunk, and one more are two with a dispatcher.
func TestFiveThousandRulesAreOneChunk(t *testing.T) {
	quick := func(o *convert.Options) { o.NoProof = true }
	one := converted(t, quick, many(5000))
	if one.Dispatch.Kind != chunkset.Single || len(one.Dispatch.Chunks) != 1 || one.Report.Chunks[0].Rules != 5000 {
		t.Errorf("%+v", one.Dispatch)
	}
	two := converted(t, nothing, many(5001))
	if two.Dispatch.Kind != chunkset.Hash || len(two.Dispatch.Chunks) != 2 || two.Dispatch.Key != chunkset.PathKey || two.Report.Proof.Proved != 5001 {
		t.Errorf("%+v", two.Dispatch)
	}
	if two.Report.Counts["cost"] != 1 || one.Report.Counts["cost"] != 1 {
		t.Errorf("cost: %v", two.Report.Counts)
	}
	if low := converted(t, func(o *convert.Options) { quick(o); o.MaxRules = 1000 }, many(5001)); low.Report.Counts["cost"] != 0 {
		t.Errorf("cost: %v", low.Report.Counts)
	}
}

// TestLongTargetsCutByBytes: long before there are 5,000 rules, and no body is over the limit with any description.
func TestLongTargetsCutByBytes(t *testing.T) {
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 1500 {
		fmt.Fprintf(&b, "/p%d,/%s%d\n", i, strings.Repeat("t", 8185), i)
	}
	o := func(o *convert.Options) { o.NoProof = true }
	for _, split := range []string{convert.SplitAuto, convert.SplitSequence} {
		out := converted(t, func(to *convert.Options) { o(to); to.Split = split }, b.String())
		wantRows(t, out, 1500, 0, 0)
		if n := len(out.Dispatch.Chunks); n < 3 || n > 12 {
			t.Errorf("%d chunks", n)
		}
		for i, body := range out.bodies(t) {
			body.Description = strings.Repeat("\U0001F600", 255)
			if n := len(body.Append(nil)); n > chunkset.MaxBytes || int64(n) != out.Report.Chunks[i].Bytes {
				t.Errorf("chunk %d: %d bytes, reported %d", i, n, out.Report.Chunks[i].Bytes)
			}
		}
	}
}

// TestARuleThatCannotFitIsRejected by its line, and the others convert.
func TestARuleThatCannotFitIsRejected(t *testing.T) {
	out := converted(t, func(o *convert.Options) { o.MaxBytes = 4000 }, simple("/a,/x", "/b,/"+strings.Repeat("t", 3000), "/c,/y"))
	wantRows(t, out, 2, 0, 1)
	wantCodes(t, out, "3 too-big")
}

// TestAPathWithMoreRulesThanAPolicyIsRefusedByName.
func TestAPathWithMoreRulesThanAPolicyIsRefusedByName(t *testing.T) {
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "/Product.asp?id=%d,https://o.example/%d\n", i, i)
	}
	text := refused(t, nothing, b.String())
	if !strings.Contains(strings.ToLower(text), "/product.asp") || !strings.Contains(text, "20000") {
		t.Error(text)
	}
}

// TestAPathThatDoesNotFitIsNamed, also where a policy would just hold it, and where its hashes are several.
func TestAPathThatDoesNotFitIsNamed(t *testing.T) {
	for _, path := range []string{"/p", "/p+q", "/p%2525"} {
		var b strings.Builder
		b.WriteString("source,target\n/w/*,https://o.example/w\n")
		for i := range 45 {
			fmt.Fprintf(&b, "%s?id=%d,https://o.example/%d\n/l%d,/t\n", path, i, i, i)
		}
		text := refused(t, func(o *convert.Options) { o.MaxRules = 50 }, b.String())
		for _, want := range []string{"45 rules share the path", path + `"`, "room for 39", "1 repeated"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q lacks %q", text, want)
			}
		}
	}
}

// TestTooManyRepeatedRulesAreRefusedByNumbers: spread, repeated and room.
func TestTooManyRepeatedRulesAreRefusedByNumbers(t *testing.T) {
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 25 {
		fmt.Fprintf(&b, "/w%d/*,https://o.example/%d\n", i, i)
	}
	for i := range 7 {
		fmt.Fprintf(&b, "/l%d,https://o.example/l%d\n", i, i)
	}
	text := refused(t, func(o *convert.Options) { o.MaxRules = 25 }, b.String())
	for _, want := range []string{"7 rules to spread", "25 repeated", "room for 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// TestManyHostsWithOnePathHashHostAndPath.
func TestManyHostsWithOnePathHashHostAndPath(t *testing.T) {
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 8000 {
		fmt.Fprintf(&b, "https://h%d.example/,https://o.example/%d\n", i, i)
	}
	out := converted(t, nothing, b.String())
	if out.Dispatch.Key != chunkset.HostPathKey || out.Dispatch.N != 2 && out.Dispatch.N != 3 || out.Report.Proof.Proved != 8000 {
		t.Errorf("%+v %+v", out.Dispatch, out.Report.Proof)
	}
}

// TestColumnsForHostAndPathSplitToo: a sheet without one matchURL is spread.
func TestColumnsForHostAndPathSplitToo(t *testing.T) {
	var b strings.Builder
	b.WriteString(managerHead + ",host,path\n")
	for i := range 60 {
		fmt.Fprintf(&b, ",https://o.example/%d,301,h.com,/P%d /q%d\n", i, i, i)
	}
	out := converted(t, func(o *convert.Options) { o.MaxRules = 40 }, b.String())
	if out.Report.Spread != 60 || out.Dispatch.Kind != chunkset.Hash || out.Dispatch.Key != chunkset.HostPathKey || out.Report.Proof.Proved != 60 {
		t.Errorf("%+v %+v", out.Dispatch, out.Report)
	}
}

// TestBucketsAsGiven: or a refusal that says which number would do.
func TestBucketsAsGiven(t *testing.T) {
	buckets := func(n int) func(*convert.Options) {
		return func(o *convert.Options) { o.MaxRules, o.Buckets = 20, n }
	}
	out := converted(t, buckets(17), many(50))
	if out.Dispatch.N != 17 || len(out.Dispatch.Chunks) != 17 || out.Report.Proof.Proved != 50 {
		t.Errorf("%+v", out.Dispatch)
	}
	failed := attempt(t.Context(), t, filepath.Join(t.TempDir(), "out"), buckets(2), many(50))
	var input *convert.InputError
	if !errors.As(failed.Err, &input) || !strings.HasPrefix(input.Hint(), "--buckets ") {
		t.Errorf("%v", failed.Err)
	}
}

// TestNothingToConvertIsRefused, in a sentence that says why.
func TestNothingToConvertIsRefused(t *testing.T) {
	strict := func(o *convert.Options) { o.Strict = true }
	for sheet, want := range map[string]string{
		"source,target\n":                      "no rows",
		"source,target\n/a\n/b\n":              "none of its 2 rows",
		"source,target\n/a,/a\n/b,/b\n":        "none of the 2 rows",
		"source,target\n#/a,/b\n":              "no rows",
		"matchURL,result.redirectURL\n/a,/a\n": "line 2",
	} {
		if text := refused(t, nothing, sheet); !strings.Contains(text, want) {
			t.Errorf("%q: %s", sheet, text)
		}
	}
	if text := refused(t, strict, simple("/ok,/x", "/a,/b", "/b#f,/c")); !strings.Contains(text, "line 4") || !strings.Contains(text, "1 of 3") {
		t.Error(text)
	}
	if text := refused(t, nothing, simple("/a,/b"), manager("/a,/b,301")); !strings.Contains(text, "sheet2.csv") {
		t.Error(text)
	}
}
