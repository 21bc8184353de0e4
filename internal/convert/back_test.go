package convert_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/convert"
)

// TestSheetToRulesToSheetToRules: the second rules are the first, byte for byte.
func TestSheetToRulesToSheetToRules(t *testing.T) {
	r := newRuns(t)
	done := 0
	rapid.Check(t, func(t *rapid.T) {
		defer r.clean(t)
		d := drawSheet(t, drawnColumns)
		o := drawOptions(t)
		o.Split, o.MaxRules, o.MaxBytes, o.NoProof = convert.SplitAuto, 5000, 1<<20, true
		there := r.run(t, o, d.String())
		if there.Err != nil {
			return
		}
		rules := there.rules(t)
		if len(rules) == 0 {
			return
		}
		var text bytes.Buffer
		lost, err := convert.WriteSheet(&text, rules)
		if len(lost) > 0 && !slices.ContainsFunc(lost, func(u convert.Unsayable) bool { return !strings.Contains(u.What, "type protocol") }) {
			return // a source that keeps its scheme beside a column that asks for another is two matches, and the cell is one
		}
		if err != nil || len(lost) > 0 {
			t.Fatalf("%s: lost %v, %v", d, lost, err)
		}
		plain := options()
		plain.NoProof, plain.Sites = true, o.Sites
		back := r.run(t, plain, text.String())
		if back.Err != nil {
			t.Fatalf("%s\n%s\n%v", d, text.String(), back.Err)
		}
		if n := back.Report.Counts; n["duplicate"]+n["conflict"] > 0 {
			return // a source that became matches may say what a column of another row says, which shows only now
		}
		again := back.rules(t)
		if one, two := joined(rules), joined(again); one != two {
			t.Fatalf("%s\n%s\nfirst:\n%s\nthen:\n%s\n%q", d, text.String(), one, two, back.codes())
		}
		done++
	})
	if done == 0 {
		t.Error("no sheet came that far")
	}
}

func joined(rules []json.RawMessage) string {
	var b strings.Builder
	for _, r := range rules {
		b.Write(r)
		b.WriteByte('\n')
	}
	return b.String()
}

// TestWriteSheetTellsWhatASheetCannotSay, by the rule's place and name, and of the rules beside it nothing.
func TestWriteSheetTellsWhatASheetCannotSay(t *testing.T) {
	const good = `{"type":"erMatchRule","name":"good","matchURL":"/a","statusCode":301,"redirectURL":"/b","useRelativeUrl":"relative_url"}`
	for _, c := range []struct{ rule, what string }{
		{`{"type":"erMatchRule","name":"bad","matchURL":"/a","statusCode":301,"redirectURL":"/b","percent":5}`, "percent"},
		{`{"type":"erMatchRule","name":"# bad","matchURL":"/a","statusCode":301,"redirectURL":"/b"}`, "#"},
		{`{"type":"erMatchRule","name":"bad","matchURL":"/a b","statusCode":301,"redirectURL":"/b"}`, "match URL"},
		{`{"type":"erMatchRule","name":"bad","matchURL":"/a","statusCode":301,"redirectURL":"/ü"}`, "redirect URL"},
		{`{"type":"erMatchRule","name":"bad","matchURL":"/a","statusCode":301,"redirectURL":"b"}`, "neither a path"},
		{`{"type":"erMatchRule","name":"bad","matches":[{"matchType":"method","matchOperator":"equals","matchValue":"GET"},{"matchType":"method","matchOperator":"equals","matchValue":"POST"}],"statusCode":301,"redirectURL":"/b"}`, "method"},
		{`{"type":"erMatchRule","name":"bad","matches":[{"matchType":"regex","matchOperator":"equals","matchValue":"/a","negate":true}],"statusCode":301,"redirectURL":"/b"}`, "regex"},
		{`{"type":"erMatchRule","name":"bad","matches":[{"matchType":"header","matchOperator":"equals","objectMatchValue":{"type":"object","name":"X","nameCaseSensitive":true,"options":{"value":["1"]}}}],"statusCode":301,"redirectURL":"/b"}`, "header"},
		{`{"type":"erMatchRule","name":"bad","matches":[{"matchType":"cookie","matchOperator":"equals","objectMatchValue":{"type":"object","name":"X","nameHasWildcard":true,"options":{"value":["1"]}}}],"statusCode":301,"redirectURL":"/b"}`, "cookie"},
		{`{"type":"erMatchRule","name":"bad","matches":[{"matchType":"new","matchOperator":"equals","matchValue":"1"}],"statusCode":301,"redirectURL":"/b"}`, "new"},
		{`{"type":"erMatchRule","name":"bad","matchURL":"/a","statusCode":300,"redirectURL":"/b"}`, "300"},
	} {
		var text bytes.Buffer
		lost, err := convert.WriteSheet(&text, []json.RawMessage{json.RawMessage(good), json.RawMessage(c.rule), json.RawMessage(good)})
		if err != nil || len(lost) != 1 {
			t.Errorf("%s: lost %v, %v", c.rule, lost, err)
			continue
		}
		if s := lost[0].String(); lost[0].Rule != 2 || !strings.Contains(s, "bad") || !strings.Contains(s, c.what) {
			t.Errorf("%s: %s", c.rule, s)
		}
	}
}

// TestWriteSheetRefusesOtherCloudlets: and says which rule it was.
func TestWriteSheetRefusesOtherCloudlets(t *testing.T) {
	var text bytes.Buffer
	_, err := convert.WriteSheet(&text, []json.RawMessage{json.RawMessage(`{"type":"frMatchRule","name":"x","matchURL":"/a"}`)})
	if err == nil || !strings.Contains(err.Error(), "rule 1") || errors.Is(err, convert.ErrInput) {
		t.Errorf("%v", err)
	}
}
