package importer

import (
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
)

func TestVersionBody(t *testing.T) {
	v3 := func(kind string) Policy { return Policy{API: cloudlet.V3, Type: kind} }
	v2 := func(kind string) Policy { return Policy{API: cloudlet.V2, Type: kind} }
	for name, c := range map[string]struct {
		p                Policy
		description, doc string
		want             string // or, behind "error: ", a part of the error
	}{
		"null rules":             {v3("ER"), "", `{"matchRules":null}`, `{"description":"","matchRules":[]}`},
		"v2 names its format":    {v2("ER"), "d", `{"matchRules":[]}`, `{"description":"d","matchRuleFormat":"1.0","matchRules":[]}`},
		"escapes in description": {v3("ER"), "a\"b\n<&>", `{"matchRules":[]}`, `{"description":"a\"b\n<&>","matchRules":[]}`},
		"only what it needs": {
			v3("ER"), "", `{"version":3,"createdBy":"x","immutable":true,"matchRules":[],"matchRulesWarnings":[]}`, `{"description":"","matchRules":[]}`,
		},
		"location goes, ids stay": {
			v2("ER"), "", `{"matchRules":[{"location":"/x","akaRuleId":"a","id":7,"name":"n"},{"name":"m","location":null}]}`,
			`{"description":"","matchRuleFormat":"1.0","matchRules":[{"akaRuleId":"a","id":7,"name":"n"},{"name":"m"}]}`,
		},
		"location of a match stays": {
			v3("ER"), "", `{"matchRules":[{"matches":[{"location":"x"}]}]}`, `{"description":"","matchRules":[{"matches":[{"location":"x"}]}]}`,
		},
		"numbers, escapes and unknown members": {
			v3("ER"), "", `{"matchRules":[ {"start": 1.0e3, "end":0.10, "name":"\u00e9\/", "new":{"a" : [ 1,2 ]}} ]}`,
			`{"description":"","matchRules":[{"start":1.0e3,"end":0.10,"name":"\u00e9\/","new":{"a":[1,2]}}]}`,
		},
		"order":              {v3("ER"), "", `{"matchRules":[{"b":1,"a":2},{"a":1}]}`, `{"description":"","matchRules":[{"b":1,"a":2},{"a":1}]}`},
		"a waiting room":     {v3("VWR"), "", `{"configuration":{"originNewVisitorLimit": 10},"matchRules":[]}`, `{"description":"","configuration":{"originNewVisitorLimit": 10},"matchRules":[]}`},
		"v2 has none":        {v2("VP"), "", `{"configuration":{"a":1},"matchRules":[]}`, `{"description":"","matchRuleFormat":"1.0","matchRules":[]}`},
		"null configuration": {v3("ER"), "", `{"configuration":null,"matchRules":[]}`, `{"description":"","matchRules":[]}`},
		"FR says nothing": {
			v3("FR"), "", `{"matchRules":[{"matchURL":null,"disabled":false,"name":"n"}]}`, `{"description":"","matchRules":[{"name":"n"}]}`,
		},
		"FR says nothing in words": {v3("FR"), "", `{"matchRules":[{"disabled":"false"}]}`, `{"description":"","matchRules":[{}]}`},
		"FR says a URL":            {v3("FR"), "", `{"matchRules":[{},{"matchURL":"/a"}]}`, `error: match rule 2: FR policies of v3 have no matchURL, and here it says "/a"`},
		"FR is disabled":           {v3("FR"), "", `{"matchRules":[{"disabled":true}]}`, `error: match rule 1: FR policies of v3 have no disabled, and here it says true`},
		"AS says a URL":            {v3("AS"), "", `{"matchRules":[{"matchURL":"/a"}]}`, `error: AS policies of v3 have no matchURL`},
		"AS may be disabled":       {v3("AS"), "", `{"matchRules":[{"disabled":true}]}`, `{"description":"","matchRules":[{"disabled":true}]}`},
		"ER has all":               {v3("ER"), "", `{"matchRules":[{"matchURL":"/a","disabled":true}]}`, `{"description":"","matchRules":[{"matchURL":"/a","disabled":true}]}`},
		"v2 FR has all": {
			v2("FR"), "", `{"matchRules":[{"matchURL":"/a","disabled":true}]}`,
			`{"description":"","matchRuleFormat":"1.0","matchRules":[{"matchURL":"/a","disabled":true}]}`,
		},
		"no rules":          {v3("ER"), "", `{"rules":[]}`, `error: there are no matchRules`},
		"rules twice":       {v3("ER"), "", `{"matchRules":[],"matchRules":[]}`, `error: matchRules is there twice`},
		"rules are text":    {v3("ER"), "", `{"matchRules":"x"}`, `error: matchRules is no list`},
		"rules are numbers": {v3("ER"), "", `{"matchRules":[1]}`, `error: match rule 1: no object`},
		"a list":            {v3("ER"), "", `[]`, `error: there are no matchRules`},
		"no JSON":           {v3("ER"), "", `{"matchRules":[}`, `error: not valid JSON`},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := Body(c.p, c.description, []byte(c.doc))
			part, wrong := strings.CutPrefix(c.want, "error: ")
			switch {
			case wrong && (err == nil || !strings.Contains(err.Error(), part)):
				t.Errorf("error %v, not %s", err, part)
			case !wrong && (err != nil || string(body) != c.want):
				t.Errorf("%s, %v\nnot %s", body, err, c.want)
			}
		})
	}
}

func TestBalancingBody(t *testing.T) {
	const doc = `{"originId":"o","version":3,"createdBy":"a","createdDate":"x","lastModifiedBy":"b","lastModifiedDate":"y","immutable":true,` +
		`"deleted":false,"warnings":[],"balancingType":"WEIGHTED","dataCenters":[{"originId":"c","percent":100.0}],"description":null,"new": 1e2}`
	const want = `{"balancingType":"WEIGHTED","dataCenters":[{"originId":"c","percent":100.0}],"description":null,"new":1e2}`
	body, err := bodyOf(Policy{Name: "o"}, Version{}, []byte(doc))
	if string(body) != want || err != nil {
		t.Errorf("%s, %v\nnot %s", body, err, want)
	}
	if _, err := balancingBody([]byte(`{`)); err == nil {
		t.Error("half an object is sent")
	}
}

// TestHashOf demands one hash of what the server makes of what it is sent, and another of everything else.
func TestHashOf(t *testing.T) {
	v3, origin := Policy{API: cloudlet.V3, Type: "VWR"}, Policy{Name: "o"}
	for name, c := range map[string]struct {
		p    Policy
		a, b string
		same bool
	}{
		"what the server adds": {v3, `{"matchRules":[{"name":"n"}]}`, `{"version":1,"matchRules":[{"name":"n","id":1,"akaRuleId":"x","matches":null}]}`, true},
		"another rule":         {v3, `{"matchRules":[{"name":"n"}]}`, `{"matchRules":[{"name":"m"}]}`, false},
		"null and empty":       {v3, `{"matchRules":null}`, `{"matchRules":[]}`, true},
		"configuration":        {v3, `{"configuration":{"limit":1},"matchRules":[]}`, `{"configuration":{"limit":2},"matchRules":[]}`, false},
		"none and null":        {v3, `{"configuration":null,"matchRules":[]}`, `{"matchRules":[]}`, true},
		"none and one":         {v3, `{"configuration":{"limit":1},"matchRules":[]}`, `{"matchRules":[]}`, false},
		"spelt otherwise":      {v3, `{"configuration":{"limit":10},"matchRules":[]}`, `{"configuration":{ "limit": 1e1 },"matchRules":[]}`, true},
		"origin's own members": {origin, `{"dataCenters":[]}`, `{"dataCenters":[],"version":4,"originId":"o","createdBy":"x"}`, true},
		"origin's centers":     {origin, `{"dataCenters":[{"percent":100.0}]}`, `{"dataCenters":[{"percent":50}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, errA := Hash(c.p, []byte(c.a))
			b, errB := Hash(c.p, []byte(c.b))
			if errA != nil || errB != nil || (a == b) != c.same {
				t.Errorf("%s and %s: %v %v", a, b, errA, errB)
			}
		})
	}
}

func TestOwnerOf(t *testing.T) {
	for description, want := range map[string]string{
		"redirects [cloudletmig shop]":                 "shop",
		"[cloudletmig a b]":                            "a b",
		"[cloudletmig old] and then [cloudletmig new]": "new",
		"redirects [cloudletmig shop] and more":        "",
		"redirects":                                    "",
		"":                                             "",
		"cloudletmig shop]":                            "",
		OwnerMark("x"):                                 "x",
	} {
		if got := ownerOf(description); got != want {
			t.Errorf("%q belongs to %q, not %q", description, got, want)
		}
	}
}

func TestTypeOf(t *testing.T) {
	for doc, want := range map[string]string{
		`{"matchRules":[{"type":"erMatchRule"}]}`:                          "ER",
		`{"matchRules":[{"type":"albMatchRule"},{"type":"albMatchRule"}]}`: "ALB",
		`{"matchRules":[]}`:                                              "ER",
		`{"matchRules":null}`:                                            "ER",
		`{"matchRules":[{"type":"erMatchRule"},{}]}`:                     `error: match rule 2: type ""`,
		`{"matchRules":[{"type":"ERMatchRule2"}]}`:                       `error: match rule 1: type "ERMatchRule2"`,
		`{"matchRules":[{"type":"frMatchRule"},{"type":"erMatchRule"}]}`: "error: match rule 2 is for ER policies, and those before it for FR",
		`{}`: "error: there are no matchRules",
	} {
		got, err := typeOf([]byte(doc))
		if part, wrong := strings.CutPrefix(want, "error: "); wrong && (err == nil || !strings.Contains(err.Error(), part)) || !wrong && got != want {
			t.Errorf("%s: %q, %v, not %q", doc, got, err, want)
		}
	}
}
