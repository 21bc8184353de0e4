package redirect

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type (
	doc  = map[string]any
	docs = []any
)

func feature(name string, options doc) doc { return doc{"name": name, "options": options} }

func setVar(name, value, transform string, more ...string) doc {
	options := doc{"variableName": name, "valueSource": "EXPRESSION", "variableValue": value, "transform": transform}
	for i := 0; i < len(more); i += 2 {
		options[more[i]] = more[i+1]
	}
	return feature("setVariable", options)
}

func choose(id int) doc {
	return feature("edgeRedirector", doc{"enabled": true, "isSharedPolicy": true, "cloudletSharedPolicy": id})
}

func isOneOf(name string, values ...string) doc {
	return feature("matchVariable", doc{"variableName": name, "matchOperator": "IS_ONE_OF", "variableValues": values})
}

func when(criteria docs, behaviors docs, children ...any) doc {
	return doc{"name": "r", "criteria": criteria, "behaviors": behaviors, "children": children}
}

func parseDoc(tb testing.TB, root doc) (*Property, error) {
	tb.Helper()
	var variables docs
	for _, name := range []string{"A", "B", "C"} {
		variables = append(variables, doc{"name": name, "value": "start" + name, "hidden": false, "sensitive": false, "description": ""})
	}
	raw, err := json.Marshal(doc{"variables": variables, "rule": root})
	if err != nil {
		tb.Fatal(err)
	}
	return ParseProperty(raw)
}

// chosen gives the policy's number, "none", or the error.
func chosen(t *testing.T, root doc, q *Request, r Reading) string {
	t.Helper()
	p, err := parseDoc(t, root)
	if err != nil {
		return err.Error()
	}
	return chooseText(p, q, r)
}

func chooseText(p *Property, q *Request, r Reading) string {
	c, ok, err := p.Choose(q, r)
	switch {
	case err != nil:
		return err.Error()
	case !ok:
		return "none"
	default:
		return fmt.Sprint(c.PolicyID)
	}
}

func TestTransforms(t *testing.T) {
	tests := []struct {
		value, transform string
		more             []string
		reading          Reading
		want             string
	}{
		{"a{{builtin.AK_PATH}}b", "NONE", nil, Reading{}, "a/P%41%2fé%zz+%b"},
		{"{{builtin.AK_PATH}}", "NONE", nil, Reading{PathDecoded: true}, "/PA/é%zz+%"},
		{"{{builtin.AK_PATH}}", "URL_DECODE", nil, Reading{}, "/PA/é%zz+%"},
		{"{{builtin.AK_PATH}}", "URL_DECODE", nil, Reading{PlusIsSpace: true}, "/PA/é%zz %"},
		{"%2541%4", "URL_DECODE", nil, Reading{}, "%41%4"},
		{"ABCÉ", "LOWER", nil, Reading{}, "abcÉ"},
		{"abcé", "UPPER", nil, Reading{}, "ABCé"},
		{"abc", "MD5", nil, Reading{}, "900150983cd24fb0d6963f7d28e17f72"},
		{"{{user.B}}", "SUBSTRING", []string{"startIndex", "1", "endIndex", "4"}, Reading{}, "tar"},
		{"ffff", "HEX_TO_DECIMAL", nil, Reading{}, "65535"},
		{"65535", "MODULO", []string{"operandOne", "7"}, Reading{}, "1"},
		{"-3", "ADD", []string{"operandOne", "5"}, Reading{}, "2"},
		{"{{builtin.AK_SCHEME}}://{{builtin.AK_HOST}}?{{builtin.AK_QUERY}}{{user.A}}", "NONE", nil, Reading{}, "https://h.com?q=1startA"},
		{"", "NONE", nil, Reading{}, ""},

		{"abc", "SUBSTRING", []string{"startIndex", "1", "endIndex", "4"}, Reading{}, "too short"},
		{"xyz", "HEX_TO_DECIMAL", nil, Reading{}, "not a hexadecimal number"},
		{"", "HEX_TO_DECIMAL", nil, Reading{}, "not a hexadecimal number"},
		{"1.5", "MODULO", []string{"operandOne", "7"}, Reading{}, "not a whole number"},
		{"-1", "MODULO", []string{"operandOne", "7"}, Reading{}, "negative"},
		{"9223372036854775807", "ADD", []string{"operandOne", "1"}, Reading{}, "out of range"},
		{"{{builtin.AK_METHOD}}", "NONE", nil, Reading{}, "AK_METHOD is not known"},
		{"1", "MODULO", []string{"operandOne", "0"}, Reading{}, "MODULO 0"},
		{"1", "MODULO", []string{"operandOne", "{{user.B}}"}, Reading{}, "operandOne is not a whole number"},
		{"1", "MODULO", nil, Reading{}, "operandOne is not a whole number"},
		{"1", "SUBSTRING", []string{"startIndex", "-1", "endIndex", "0"}, Reading{}, "SUBSTRING from -1"},
		{"1", "SHA1", nil, Reading{}, `unknown transform "SHA1"`},
		{"{{builtin.AK_URL}}", "NONE", nil, Reading{}, "unknown variable"},
		{"{{user.D}}", "NONE", nil, Reading{}, "variable D is not declared"},
		{"{{user.A", "NONE", nil, Reading{}, "does not end"},
	}
	q := &Request{Scheme: "https", Host: "h.com", Path: "/P%41%2fé%zz+%", Query: "q=1"}
	for _, tt := range tests {
		root := when(nil, docs{setVar("A", tt.value, tt.transform, tt.more...)}, when(docs{isOneOf("A", tt.want)}, docs{choose(7)}))
		if got := chosen(t, root, q, tt.reading); got != "7" && !strings.Contains(got, tt.want) || tt.want == "" && got != "7" {
			t.Errorf("%s of %q %v %v: %s, want %q", tt.transform, tt.value, tt.more, tt.reading, got, tt.want)
		}
	}
}

func TestCriteria(t *testing.T) {
	variable := func(operator string, more doc) doc {
		options := doc{"variableName": "A", "matchOperator": operator}
		maps.Copy(options, more)
		return feature("matchVariable", options)
	}
	q := &Request{Scheme: "https", Host: "www.H.com", Path: "/a/B.htm"}
	tests := []struct {
		criterion doc
		want      bool
		err       string
	}{
		{isOneOf("A", "x", "startA"), true, ""},
		{isOneOf("A", "starta"), false, ""},
		{variable("IS_ONE_OF", doc{"variableValues": docs{"starta"}, "matchCaseSensitive": false}), true, ""},
		{variable("IS_ONE_OF", doc{"variableValues": docs{"s*A"}, "matchWildcard": true}), true, ""},
		{variable("IS_ONE_OF", doc{"variableValues": docs{"s*A"}, "matchWildcard": false}), false, ""},
		{variable("IS_ONE_OF", doc{"variableValues": docs{"{{user.A}}"}}), true, ""},
		{variable("IS_NOT_ONE_OF", doc{"variableValues": docs{"x", "y"}}), true, ""},
		{variable("IS_NOT_ONE_OF", doc{"variableValues": docs{"x", "startA"}}), false, ""},
		{variable("IS", doc{"variableExpression": "start{{user.A}}"}), false, ""},
		{variable("IS", doc{"variableExpression": "startA"}), true, ""},
		{variable("IS_NOT", doc{"variableExpression": "startA"}), false, ""},
		{variable("IS_EMPTY", nil), false, ""},
		{variable("IS_NOT_EMPTY", nil), true, ""},
		{variable("IS_BETWEEN", nil), false, `criterion matchVariable: unknown operator "IS_BETWEEN"`},
		{variable("IS_ONE_OF", nil), false, "variableValues is missing"},
		{isOneOf("D", "x"), false, `unknown variable "D"`},
		{isOneOf("AK_PATH", "/a/B.htm"), true, ""},
		{feature("hostname", doc{"matchOperator": "IS_ONE_OF", "values": docs{"x", "WWW.h.com"}}), true, ""},
		{feature("hostname", doc{"matchOperator": "IS_ONE_OF", "values": docs{"*.h.?om"}}), true, ""},
		{feature("hostname", doc{"matchOperator": "IS_NOT_ONE_OF", "values": docs{"*.h.com"}}), false, ""},
		{feature("hostname", doc{"matchOperator": "IS", "values": docs{"*.h.com"}}), false, `criterion hostname: unknown operator "IS"`},
		{feature("path", doc{"matchOperator": "MATCHES_ONE_OF", "values": docs{"/x", "/A/*"}}), true, ""},
		{feature("path", doc{"matchOperator": "MATCHES_ONE_OF", "values": docs{"/A/*"}, "matchCaseSensitive": true}), false, ""},
		{feature("path", doc{"matchOperator": "DOES_NOT_MATCH_ONE_OF", "values": docs{"/a/?.htm"}}), false, ""},
		{feature("path", doc{"matchOperator": "MATCHES_ONE_OF", "values": docs{"/x"}, "normalize": true}), false, "normalize"},
		{feature("requestProtocol", doc{"value": "HTTPS"}), true, ""},
		{feature("requestProtocol", doc{"value": "HTTP"}), false, ""},
		{feature("requestProtocol", doc{"value": "FTP"}), false, `unknown value "FTP"`},
		{feature("random", doc{"bucket": 5}), false, `rule "r": criterion random: unknown criterion`},
	}
	for _, tt := range tests {
		got := chosen(t, when(docs{tt.criterion}, docs{choose(7)}), q, Reading{})
		want := map[bool]string{true: "7", false: "none"}[tt.want]
		if tt.err != "" && !strings.Contains(got, tt.err) || tt.err == "" && got != want {
			t.Errorf("%v: %s, want %s %s", tt.criterion, got, want, tt.err)
		}
	}
	for _, c := range []doc{tests[17].criterion, tests[25].criterion} {
		if got := chosen(t, when(docs{c}, docs{choose(7)}), &Request{Path: "/"}, Reading{}); !strings.Contains(got, "is not known") {
			t.Errorf("%v on a request without scheme and host: %s", c, got)
		}
	}
}

func TestPropertyOrder(t *testing.T) {
	yes, no := isOneOf("B", "startB"), isOneOf("B", "x")
	anyOf := when(docs{no, yes}, docs{choose(1)})
	anyOf["criteriaMustSatisfy"] = "any"
	noneOf := when(docs{no, no}, docs{choose(1)})
	noneOf["criteriaMustSatisfy"] = "any"
	empty := when(nil, docs{choose(1)})
	empty["criteriaMustSatisfy"] = "any"
	odd := when(nil, docs{choose(1)})
	odd["criteriaMustSatisfy"] = "some"
	strange := when(docs{feature("random", nil)}, docs{feature("caching", nil), setVar("C", "x", "STRANGE")})
	tests := []struct {
		name string
		root doc
		want string
	}{
		{"last wins", when(nil, docs{choose(1), choose(2)}), "2"},
		{"child wins", when(nil, docs{choose(1)}, when(docs{yes}, docs{choose(2)}), when(docs{no}, docs{choose(3)})), "2"},
		{"all", when(docs{yes, no}, docs{choose(1)}), "none"},
		{"any", anyOf, "1"},
		{"any of none", noneOf, "none"},
		{"no criteria", empty, "1"},
		{"unknown satisfy", odd, `read property rules: rule "r": unknown criteriaMustSatisfy "some"`},
		{"what cannot matter is not read", when(nil, docs{choose(1), feature("caching", doc{"x": 1})}, strange), "1"},
		{"set before seen", when(nil, nil, when(nil, docs{setVar("A", "1", "NONE")}), when(docs{isOneOf("A", "1")}, docs{choose(1)})), "1"},
		{"set after", when(nil, nil, when(docs{isOneOf("A", "1")}, docs{choose(1)}), when(nil, docs{setVar("A", "1", "NONE")})), "none"},
		{"made of another", when(nil, docs{setVar("C", "1", "NONE"), setVar("A", "{{user.C}}", "NONE")}, when(docs{isOneOf("A", "1")}, docs{choose(1)})), "1"},
		{"criterion above a set", when(nil, docs{setVar("C", "1", "NONE")}, when(docs{isOneOf("C", "1")}, docs{setVar("A", "1", "NONE")}), when(docs{isOneOf("A", "1")}, docs{choose(1)})), "1"},
		{"run changed by its own", when(nil, nil, when(docs{isOneOf("A", "startA")}, docs{setVar("A", "2", "NONE")}), when(docs{isOneOf("A", "startA")}, docs{choose(1)}), when(docs{isOneOf("A", "2")}, docs{choose(2)}), when(docs{isOneOf("A", "3")}, docs{choose(3)})), "2"},
	}
	for _, tt := range tests {
		if got := chosen(t, tt.root, &Request{Path: "/"}, Reading{}); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestParseProperty(t *testing.T) {
	p, err := ParseProperty([]byte(`{"rules":{"name":"default","variables":[{"name":"A","value":null}],"behaviors":[
		{"name":"origin","options":{"hostname":5}},{"name":"edgeRedirector","options":{"enabled":false,"isSharedPolicy":false,"cloudletPolicy":{"id":5,"name":"p"}}}],
		"children":[{"name":"c","behaviors":[{"name":"edgeRedirector","options":{"isSharedPolicy":true,"cloudletSharedPolicy":null}}]},
		{"name":"d","behaviors":[{"name":"edgeRedirector","options":{"cloudletPolicy":{"id":null}}}]}]},"ruleFormat":"v2025-10-16"}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Chosen{{"default", false, 5, "p", false}, {"c", true, 0, "", true}, {"d", false, 0, "", true}}
	got := p.Policies()
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%+v", got)
	}
	for raw, want := range map[string]string{
		`{`:                      "read property rules",
		`{}`:                     "no member rule",
		`{"rule":{},"rules":{}}`: "both",
		`{"variables":[{"name":"A"},{"name":"A"}],"rule":{}}`:                                                                 "declared twice",
		`{"rule":{"behaviors":[{"name":"edgeRedirector","options":{"isSharedPolicy":true,"cloudletSharedPolicy":1.5}}]}}`:     "cloudletSharedPolicy is not a whole number",
		`{"rule":{"behaviors":[{"name":"edgeRedirector","options":{"isSharedPolicy":1}}]}}`:                                   "isSharedPolicy is not true or false",
		`{"rule":{"behaviors":[{"name":"edgeRedirector","options":{"cloudletPolicy":7}}]}}`:                                   "option cloudletPolicy",
		`{"rule":{"criteria":[{"name":"matchVariable","options":{}}],"behaviors":[{"name":"edgeRedirector"}]}}`:               "variableName is missing",
		`{"rule":{"children":[{"name":"x","criteria":[{"name":"y"}],"behaviors":[{"name":"edgeRedirector","options":{}}]}]}}`: `rule "x": criterion y: unknown criterion`,
	} {
		if _, err := ParseProperty([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseProperty(%s): %v, want %q", raw, err, want)
		}
	}
}

// chain is the set of rules that finds a request's bucket among n by the MD5 of its path, and one child for each.
func chain(n int) doc {
	behaviors := docs{
		setVar("A", "{{builtin.AK_PATH}}", "URL_DECODE"), setVar("A", "{{user.A}}", "LOWER"), setVar("A", "{{user.A}}", "MD5"),
		setVar("A", "{{user.A}}", "SUBSTRING", "startIndex", "0", "endIndex", "4"), setVar("A", "{{user.A}}", "HEX_TO_DECIMAL"),
		setVar("A", "{{user.A}}", "MODULO", "operandOne", strconv.Itoa(n)),
	}
	var children docs
	for i := range n {
		children = append(children, when(docs{isOneOf("A", strconv.Itoa(i))}, docs{choose(i + 1)}))
	}
	return when(nil, behaviors, children...)
}

func TestHashChain(t *testing.T) {
	p, err := parseDoc(t, chain(300))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		path := fmt.Sprintf("/Some%%2fPath/%d", i)
		sum := md5.Sum([]byte(fmt.Sprintf("/some/path/%d", i)))
		want := (int(sum[0])<<8|int(sum[1]))%300 + 1
		if got := chooseText(p, &Request{Path: path}, Reading{PathDecoded: i%2 == 0}); got != strconv.Itoa(want) {
			t.Fatalf("%s: policy %s, want %d", path, got, want)
		}
	}
}

// randomRule draws a rule; a plain one may stand in a run.
func randomRule(t *rapid.T, depth int, id *int, plain, hosts bool) doc {
	name := func() string { return oneOf(t, "name", "A", "A", "A", "B", "C") }
	value := func() string { return oneOf(t, "value", "startA", "startB", "STARTA", "1", "2", "") }
	var criteria, behaviors, children docs
	counts := []int{0, 1, 1, 1, 1, 2}
	if plain {
		counts = []int{0}
		criteria = docs{isOneOf("A", value(), value())}
		if hosts {
			criteria = docs{feature("hostname", doc{"matchOperator": "IS_ONE_OF", "values": docs{oneOf(t, "host", "h", "H", "g"), "i"}})}
			counts = []int{0, 0, 1}
		}
	}
	for range rapid.SampledFrom(counts).Draw(t, "criteria") {
		c := isOneOf(name(), value(), value())
		options, ok := c["options"].(doc)
		if !ok {
			t.Fatal("a criterion without options")
		}
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0:
			options["matchOperator"] = "IS_NOT_ONE_OF"
		case 1:
			options["matchCaseSensitive"] = false
		case 2:
			options["matchOperator"], options["variableExpression"] = "IS", value()
		case 3:
			options["variableValues"] = docs{"{{user.B}}"}
		}
		criteria = append(criteria, c)
	}
	for range rapid.SampledFrom([]int{0, 1, 1, 1, 2}).Draw(t, "behaviors") {
		if rapid.IntRange(0, 4).Draw(t, "set") == 0 {
			behaviors = append(behaviors, setVar(name(), oneOf(t, "set", "1", "2", "{{user.A}}", "startA"), "NONE"))
			continue
		}
		*id++
		behaviors = append(behaviors, choose(*id))
	}
	if depth > 0 {
		plain, hosts := rapid.Bool().Draw(t, "plain"), rapid.Bool().Draw(t, "hosts")
		for range rapid.IntRange(0, 12).Draw(t, "children") {
			children = append(children, randomRule(t, depth-1, id, plain && rapid.IntRange(0, 9).Draw(t, "odd") > 0, hosts))
		}
	}
	r := when(criteria, behaviors, children...)
	r["criteriaMustSatisfy"] = oneOf(t, "satisfy", "all", "any")
	return r
}

func TestRunsAgreeWithWalk(t *testing.T) {
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		id := 0
		p, err := parseDoc(t, randomRule(rt, 2, &id, false, false))
		if err != nil {
			rt.Fatal(err)
		}
		for _, c := range p.root.children {
			if c.run != nil {
				runs++
			}
		}
		walk := *p
		walk.runs = false
		q := &Request{Host: oneOf(rt, "asked", "", "h", "H", "g", "x"), Path: "/"}
		if got, want := chooseText(p, q, Reading{}), chooseText(&walk, q, Reading{}); got != want {
			rt.Fatalf("by runs %s, by walking %s", got, want)
		}
	})
	if runs == 0 {
		t.Error("no rule tree had a run")
	}
}

// hostSets is a rule with one child for each of n sets of ten hosts.
func hostSets(n int) doc {
	var children docs
	for i := range n {
		var hosts docs
		for j := range 10 {
			hosts = append(hosts, fmt.Sprintf("www%d.example.com", 10*i+j))
		}
		children = append(children, when(docs{feature("hostname", doc{"matchOperator": "IS_ONE_OF", "values": hosts})}, docs{choose(i + 1)}))
	}
	return when(nil, nil, children...)
}

func BenchmarkChoose(b *testing.B) {
	for name, root := range map[string]doc{"md5": chain(300), "hosts": hostSets(800)} {
		b.Run(name, func(b *testing.B) {
			p, err := parseDoc(b, root)
			if err != nil {
				b.Fatal(err)
			}
			q := &Request{Host: "www4321.example.com", Path: "/products/category-7/old-name-12345.html"}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := p.Choose(q, Reading{}); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

func FuzzParseProperty(f *testing.F) {
	for _, root := range []doc{chain(5), hostSets(5), when(docs{isOneOf("A", "x")}, docs{choose(1), setVar("A", "{{user.B}}", "NONE")})} {
		raw, err := json.Marshal(doc{"variables": docs{doc{"name": "A"}, doc{"name": "B"}}, "rule": root})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(_ *testing.T, raw []byte) {
		p, err := ParseProperty(raw)
		if err != nil {
			return
		}
		_, _, _ = p.Choose(&Request{Path: "/a%41"}, Reading{PathDecoded: true})
		_, _, _ = p.Choose(&Request{Scheme: "http", Host: "h", Path: "/"}, Reading{PlusIsSpace: true})
	})
}
