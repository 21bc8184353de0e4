package redirect

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	raw := `{"type":"erMatchRule","id":0,"akaRuleId":"ab","location":"/x","name":"r\u00e9","start":1,"end":2,"disabled":"false",
		"matchURL":null,"matchesAlways":true,"statusCode":302,"redirectURL":"/t","useIncomingQueryString":"true",
		"useIncomingSchemeAndHost":false,"useRelativeUrl":"relative_url","percent":5,"nothing":null,
		"matches":[{"matchType":"path","matchOperator":"equals","matchValue":"/a /b","negate":true,"caseSensitive":true,"checkIPs":null},
		{"matchType":"header","matchOperator":"contains","checkIPs":"CONNECTING_IP","new":1,"objectMatchValue":{"type":"object","name":"Accept",
		 "nameCaseSensitive":true,"nameHasWildcard":true,"nameHasRegex":false,"other":{},"options":{"value":["a","b"],"valueHasWildcard":true,
		 "valueCaseSensitive":true,"valueEscaped":true,"valueHasRegex":true}}},
		{"matchType":"method","objectMatchValue":{"type":"simple","value":["GET"]}},
		{"matchType":"range","objectMatchValue":{"type":"range","value":[1,25]}}]}`
	want := Rule{
		Name: "ré", Start: 1, End: 2, MatchesAlways: true, StatusCode: 302, RedirectURL: "/t", UseIncomingQueryString: true,
		UseRelativeURL: RelativeURL,
		Matches: []Match{
			{Type: "path", Operator: "equals", Value: "/a /b", Negate: true, CaseSensitive: true},
			{Type: "header", Operator: "contains", CheckIPs: "CONNECTING_IP", Object: &Object{
				Type: "object", Name: "Accept", NameCaseSensitive: true,
				NameHasWildcard: true, Values: []string{"a", "b"}, ValueHasWildcard: true, ValueCaseSensitive: true, ValueEscaped: true,
			}},
			{Type: "method", Object: &Object{Type: "simple", Values: []string{"GET"}}},
			{Type: "range", Object: &Object{Type: "range"}},
		},
		Unknown: []string{
			"percent", "matches[1].new", "matches[1].objectMatchValue.other",
			"matches[1].objectMatchValue.options.valueHasRegex", "matches[3].objectMatchValue.value",
		},
	}
	got, err := Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseErrors(t *testing.T) {
	for raw, want := range map[string]string{
		``:                                       "not valid JSON",
		`{"a":}`:                                 "not valid JSON",
		`[]`:                                     "not an object",
		"\n7":                                    "not an object",
		`{"type":"frMatchRule"}`:                 "frMatchRule",
		`{"type":5}`:                             "type 5",
		`{"name":5}`:                             "name is not a text",
		`{"start":-1}`:                           "start is not a whole number",
		`{"end":9223372036854775808}`:            "end is not",
		`{"statusCode":1000}`:                    "statusCode is not",
		`{"statusCode":301.9}`:                   "statusCode is not",
		`{"statusCode":"301"}`:                   "statusCode is not",
		`{"disabled":"no"}`:                      "disabled is not true or false",
		`{"disabled":1}`:                         "disabled is not",
		`{"matches":{}}`:                         "matches is not an array",
		`{"matches":[{},7]}`:                     "matches[1] is not an object",
		`{"matches":[{},{"matchType":[]}]}`:      "matches[1].matchType is not a text",
		`{"matches":[{"objectMatchValue":"x"}]}`: "matches[0].objectMatchValue is not an object",
		`{"matches":[{"objectMatchValue":{"type":"simple","value":[1]}}]}`:           "objectMatchValue.value is not an array of texts",
		`{"matches":[{"objectMatchValue":{"type":"object","options":[]}}]}`:          "objectMatchValue.options is not an object",
		`{"matches":[{"objectMatchValue":{"type":"object","options":{"value":1}}}]}`: "options.value is not an array of texts",
	} {
		_, err := Parse([]byte(raw))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%s): %v, want %q", raw, err, want)
		}
		if errors.Is(err, ErrNotRedirect) != strings.HasPrefix(raw, `{"type`) {
			t.Errorf("Parse(%s): %v", raw, err)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	tests := []struct {
		rule Rule
		want string
	}{
		{
			Rule{Name: `a"\<&é` + "\n\x01\xff", StatusCode: 301, RedirectURL: "/t"},
			`{"type":"erMatchRule","name":"a\"\\<&é\n\u0001\ufffd","start":0,"end":0,"statusCode":301,"redirectURL":"/t","useIncomingQueryString":false}`,
		},
		{
			Rule{
				Name: "n", Start: 5, End: 6, MatchURL: "/a", StatusCode: 301, RedirectURL: "/t", UseIncomingQueryString: true,
				UseIncomingSchemeAndHost: true, UseRelativeURL: CopySchemeHostname, Disabled: true, MatchesAlways: true,
				Matches: []Match{
					{Type: "all"},
					{Type: "path", Operator: "equals", Value: "/a", CaseSensitive: true, Negate: true, CheckIPs: "X"},
					{Type: "header", Operator: "exists", Object: &Object{Type: "object", Name: "h"}},
				},
			},
			`{"type":"erMatchRule","name":"n","start":5,"end":6,"matchURL":"/a","matches":[` +
				`{"caseSensitive":false,"matchType":"all","negate":false},` +
				`{"caseSensitive":true,"matchOperator":"equals","matchType":"path","matchValue":"/a","negate":true,"checkIPs":"X"},` +
				`{"caseSensitive":false,"matchOperator":"exists","matchType":"header","objectMatchValue":{"name":"h","type":"object",` +
				`"nameCaseSensitive":false,"nameHasWildcard":false},"negate":false}],` +
				`"statusCode":301,"redirectURL":"/t","useIncomingQueryString":true,"useIncomingSchemeAndHost":true,` +
				`"useRelativeUrl":"copy_scheme_hostname","disabled":true,"matchesAlways":true}`,
		},
		{
			Rule{Matches: []Match{
				{Type: "m", Object: &Object{Type: "simple", Values: []string{"a", "b"}}},
				{Type: "h", Object: &Object{Type: "object", Name: "n", Values: []string{"v"}, ValueCaseSensitive: true}},
			}},
			`{"type":"erMatchRule","name":"","start":0,"end":0,"matches":[` +
				`{"caseSensitive":false,"matchType":"m","objectMatchValue":{"type":"simple","value":["a","b"]},"negate":false},` +
				`{"caseSensitive":false,"matchType":"h","objectMatchValue":{"name":"n","type":"object","nameCaseSensitive":false,` +
				`"nameHasWildcard":false,"options":{"value":["v"],"valueHasWildcard":false,"valueCaseSensitive":true}},"negate":false}],` +
				`"statusCode":0,"redirectURL":"","useIncomingQueryString":false}`,
		},
	}
	for _, tt := range tests {
		got := string(tt.rule.AppendJSON([]byte("x")))
		if diff := cmp.Diff("x"+tt.want, got); diff != "" {
			t.Error(diff)
		}
		if !json.Valid([]byte(got[1:])) {
			t.Errorf("not valid JSON: %s", got)
		}
	}
}

// anyRule draws rules whose every member comes back from their JSON.
func anyRule(t *rapid.T) Rule {
	text := rapid.String()
	r := Rule{
		Name: text.Draw(t, "name"), Start: rapid.Int64Min(0).Draw(t, "start"), End: rapid.Int64Min(0).Draw(t, "end"),
		Disabled: rapid.Bool().Draw(t, "disabled"), MatchesAlways: rapid.Bool().Draw(t, "always"), MatchURL: text.Draw(t, "matchURL"),
		StatusCode: rapid.IntRange(0, 999).Draw(t, "status"), RedirectURL: text.Draw(t, "redirectURL"),
		UseRelativeURL:           rapid.SampledFrom([]string{"", "none", RelativeURL, CopySchemeHostname}).Draw(t, "relative"),
		UseIncomingQueryString:   rapid.Bool().Draw(t, "query"),
		UseIncomingSchemeAndHost: rapid.Bool().Draw(t, "host"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "matches") {
		m := Match{
			Type: text.Draw(t, "type"), Operator: rapid.SampledFrom([]string{"", opEquals, opContains, opExists, "x"}).Draw(t, "op"),
			CheckIPs: text.Draw(t, "ips"), CaseSensitive: rapid.Bool().Draw(t, "case"), Negate: rapid.Bool().Draw(t, "negate"),
		}
		values := rapid.SliceOfN(text, 0, 3).Draw(t, "values")
		if len(values) == 0 {
			values = nil
		}
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			m.Value = text.Draw(t, "value")
		case 1:
			m.Object = &Object{Type: typeSimple, Values: values}
		default:
			m.Object = &Object{
				Type: typeObject, Name: text.Draw(t, "oname"), NameCaseSensitive: rapid.Bool().Draw(t, "ncase"),
				NameHasWildcard: rapid.Bool().Draw(t, "nwild"), Values: values,
			}
			if m.Operator != opExists || len(values) > 0 {
				m.Object.ValueHasWildcard = rapid.Bool().Draw(t, "vwild")
				m.Object.ValueCaseSensitive = rapid.Bool().Draw(t, "vcase")
				m.Object.ValueEscaped = rapid.Bool().Draw(t, "vesc")
			}
		}
		r.Matches = append(r.Matches, m)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyRule(t)
		got, err := Parse(want.AppendJSON(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"type":"erMatchRule","name":"a","matches":[{"matchType":"path","matchValue":"/a"}]}`,
		`{"matches":[{"objectMatchValue":{"type":"object","name":"a","options":{"value":["b"],"x":1}}},null]}`,
		`{"start":01}`, `null`, `{"disabled":"true"`, `[{"a":"\ud800"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Parse(raw)
		if err != nil {
			return
		}
		text := r.AppendJSON(nil)
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if second := again.AppendJSON(nil); string(second) != string(text) {
			t.Fatalf("%s\nbecame\n%s", text, second)
		}
		if l, err := NewList([]Rule{r}); err == nil {
			_, _ = l.Evaluate(&Request{Path: "/a"})
			_, _ = l.Evaluate(&Request{Scheme: "http", Host: "h", Path: "/a", Query: "a=b"})
		}
	})
}

const sampleRule = `{"type":"erMatchRule","name":"row_000123","start":0,"end":0,"matchURL":"/products/old/shoe-123.html",` +
	`"statusCode":301,"redirectURL":"/shop/new/shoes/123","useIncomingQueryString":false,"useRelativeUrl":"relative_url"}`

func BenchmarkParse(b *testing.B) {
	raw := []byte(sampleRule)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r, err := Parse([]byte(sampleRule))
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendJSON(dst[:0])
	}
}
