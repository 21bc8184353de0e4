package cloudlet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"cloudletmig/internal/cloudlet"
)

// grade compares both ways round, and asks the hash as well: all must agree.
func grade(t interface {
	Helper()
	Errorf(format string, args ...any)
}, a, b string,
) (cloudlet.Grade, string) {
	t.Helper()
	got, why := cloudlet.CompareRules(json.RawMessage(a), json.RawMessage(b))
	back, yhw := cloudlet.CompareRules(json.RawMessage(b), json.RawMessage(a))
	if got != back || (why == "") != (got != cloudlet.Different) || (yhw == "") != (why == "") || strings.Contains(why, "\n") {
		t.Errorf("CompareRules(%s, %s) = %d %q, the other way round %d %q", a, b, got, why, back, yhw)
	}
	hashA, errA := cloudlet.CanonicalHash(json.RawMessage(a))
	hashB, errB := cloudlet.CanonicalHash(json.RawMessage(b))
	if same := errA == nil && errB == nil && hashA == hashB; same != (got != cloudlet.Different) {
		t.Errorf("CompareRules(%s, %s) = %d %q, hashes %s and %s, %v, %v", a, b, got, why, hashA, hashB, errA, errB)
	}
	return got, why
}

// TestForgiveness has a line for all that is forgiven, and beside it the neighbour that is not.
func TestForgiveness(t *testing.T) {
	match := func(members string) string { return `[{"matches":[{` + members + `}]}]` }
	value := func(members string) string { return match(`"objectMatchValue":{` + members + `}`) }
	for _, c := range []struct{ what, a, b, nearA, nearB, where string }{
		{"no list", ``, `[]`, ``, `[{}]`, `/0: nothing against {}`},
		{"null list", ` null `, `[]`, `null`, `[null]`, `/0: nothing against null`},
		{"white space", `[{"name":"a b"}]`, "[ {\"name\" :\t\"a b\"}\n]", `[{"name":"a b"}]`, `[{"name":"a  b"}]`, `/0/name: "a b" against "a  b"`},
		{"member order", `[{"name":"a","x":1}]`, `[{"x":1,"name":"a"}]`, `[{"name":"a","x":1}]`, `[{"name":"a"}]`, `/0/x: 1 against nothing`},
		{"escapes", `[{"name":"a\u002f\n\b\f\r\t"}]`, `[{"n\u0061me":"a\/\u000A\u0008\u000c\u000d\u0009"}]`, `[{"name":"\\n"}]`, `[{"name":"\n"}]`, `/0/name: "\\n" against "\n"`},
		{"pair", `[{"name":"\ud83d\ude00"}]`, `[{"name":"😀"}]`, `[{"name":"\ud83d"}]`, `[{"name":"\ufffd"}]`, `/0/name: "\ud83d" against "\ufffd"`},
		{"half a pair", `[{"name":"\ud83d"}]`, `[{"name":"\uD83D"}]`, `[{"name":"\ud83d"}]`, `[{"name":"\\ud83d"}]`, `/0/name: "\ud83d" against "\\ud83d"`},
		{"decimals", `[{"percent":12.5}]`, `[{"percent":1.250e+1}]`, `[{"percent":12.5}]`, `[{"percent":12.50000000000000000001}]`, `/0/percent: 12.5 against 12.50000000000000000001`},
		{"integers", `[{"x":9007199254740993}]`, `[{"x":9007199254740993.0}]`, `[{"x":9007199254740993}]`, `[{"x":9007199254740992}]`, `/0/x: 9007199254740993 against 9007199254740992`},
		{"negative", `[{"x":-15.0}]`, `[{"x":-1.5e1}]`, `[{"x":-15}]`, `[{"x":-15e1}]`, `/0/x: -15 against -15e1`},
		{"minus zero", `[{"x":-0.0}]`, `[{"x":0e9}]`, `[{"x":-1}]`, `[{"x":1}]`, `/0/x: -1 against 1`},
		{"huge powers", `[{"x":10e999999999999999999}]`, `[{"x":1e1000000000000000000}]`, `[{"x":1e1000000000000000000}]`, `[{"x":1e1000000000000000001}]`, `/0/x: 1e1000000000000000000 against 1e1000000000000000001`},
		{"tiny powers", `[{"x":0.1e-999999999999999999}]`, `[{"x":1e-1000000000000000000}]`, `[{"x":1e-1000000000000000000}]`, `[{"x":1e1000000000000000000}]`, `/0/x: 1e-1000000000000000000 against 1e1000000000000000000`},
		{"akaRuleId", `[{"akaRuleId":"a"}]`, `[{"akaRuleId":"b"}]`, match(`"akaRuleId":"a"`), match(`"akaRuleId":"b"`), `/0/matches/0/akaRuleId: "a" against "b"`},
		{"location", `[{"location":"/a"}]`, `[{}]`, `[{"x":{"location":"/a"}}]`, `[{"x":{}}]`, `/0/x/location: "/a" against nothing`},
		{"id", `[{"id":1}]`, `[{"id":2}]`, `[{"forwardSettings":{"id":1}}]`, `[{"forwardSettings":{"id":2}}]`, `/0/forwardSettings/id: 1 against 2`},
		{"null member", `[{"matchURL":null}]`, `[{}]`, `[{"matchURL":""}]`, `[{}]`, `/0/matchURL: "" against nothing`},
		{"null member below", value(`"name":null`), value(``), match(`"objectMatchValue":{}`), match(``), `/0/matches/0/objectMatchValue: {} against nothing`},
		{"null member of the unknown", `[{"x":{"a":null}}]`, `[{"x":{}}]`, `[{"x":null}]`, `[{"x":{}}]`, `/0/x: nothing against {}`},
		{"null matches", `[{"matches":null}]`, `[{"matches":[]}]`, `[{"x":[null]}]`, `[{"x":[]}]`, `/0/x/0: null against nothing`},
		{"start", `[{"start":0}]`, `[{}]`, `[{"start":"0"}]`, `[{}]`, `/0/start: "0" against nothing`},
		{"start of a rule", `[{"start":"1","end":-0}]`, `[{"start":"1"}]`, `[{"x":{"start":0}}]`, `[{"x":{}}]`, `/0/x/start: 0 against nothing`},
		{"end", `[{"end":0.00}]`, `[{}]`, `[{"end":1}]`, `[{}]`, `/0/end: 1 against nothing`},
		{"disabled", `[{"disabled":false}]`, `[{}]`, `[{"disabled":true}]`, `[{}]`, `/0/disabled: true against nothing`},
		{"matchesAlways", `[{"matchesAlways":false}]`, `[{}]`, match(`"matchesAlways":false`), match(``), `/0/matches/0/matchesAlways: false against nothing`},
		{"query string", `[{"useIncomingQueryString":false}]`, `[{}]`, `[{"forwardSettings":{"useIncomingQueryString":false}}]`, `[{"forwardSettings":{}}]`, `/0/forwardSettings/useIncomingQueryString: false against nothing`},
		{"scheme and host", `[{"useIncomingSchemeAndHost":false}]`, `[{}]`, `[{"useIncomingSchemeAndHost":0}]`, `[{}]`, `/0/useIncomingSchemeAndHost: 0 against nothing`},
		{"relative URL", `[{"useRelativeUrl":"none"}]`, `[{}]`, `[{"useRelativeUrl":""}]`, `[{}]`, `/0/useRelativeUrl: "" against nothing`},
		{"relative URL of a rule", `[{"useRelativeUrl":"n\u006fne"}]`, `[{}]`, `[{"forwardSettings":{"useRelativeUrl":"none"}}]`, `[{"forwardSettings":{}}]`, `/0/forwardSettings/useRelativeUrl: "none" against nothing`},
		{"matches", `[{"matches":[]}]`, `[{}]`, `[{"matches":[{}]}]`, `[{}]`, `/0/matches: [{}] against nothing`},
		{"negate", match(`"negate":false`), match(``), `[{"negate":false}]`, `[{}]`, `/0/negate: false against nothing`},
		{"caseSensitive", match(`"caseSensitive":false`), match(``), value(`"caseSensitive":false`), value(``), `/0/matches/0/objectMatchValue/caseSensitive: false against nothing`},
		{"no other default", `[{"jsInsertion":null}]`, `[{}]`, `[{"jsInsertion":false}]`, `[{}]`, `/0/jsInsertion: false against nothing`},
		{"string default", `[{"disabled":"false"}]`, `[{}]`, `[{"disabled":"no"}]`, `[{}]`, `/0/disabled: "no" against nothing`},
		{"Boolean of a rule", `[{"disabled":"true"}]`, `[{"disabled":true}]`, `[{"disabled":"TRUE"}]`, `[{"disabled":true}]`, `/0/disabled: "TRUE" against true`},
		{"Boolean of settings", `[{"forwardSettings":{"useIncomingQueryString":"false"}}]`, `[{"forwardSettings":{"useIncomingQueryString":false}}]`, `[{"forwardSettings":{"disabled":"true"}}]`, `[{"forwardSettings":{"disabled":true}}]`, `/0/forwardSettings/disabled: "true" against true`},
		{"Boolean of a match", match(`"negate":"true"`), match(`"negate":true`), `[{"negate":"true"}]`, `[{"negate":true}]`, `/0/negate: "true" against true`},
		{"Boolean of a value", value(`"nameHasWildcard":"true"`), value(`"nameHasWildcard":true`), match(`"nameHasWildcard":"true"`), match(`"nameHasWildcard":true`), `/0/matches/0/nameHasWildcard: "true" against true`},
		{"Boolean of options", value(`"options":{"valueHasWildcard":"false"}`), value(`"options":{"valueHasWildcard":false}`), value(`"options":{"valueHasWildcard":false}`), value(`"options":{}`), `/0/matches/0/objectMatchValue/options/valueHasWildcard: false against nothing`},
		{"no other string", `[{"jsInsertion":"true"}]`, `[{"jsInsertion":true}]`, `[{"matchURL":"true"}]`, `[{"matchURL":true}]`, `/0/matchURL: "true" against true`},
		{"no other number", `[{"statusCode":301.0}]`, `[{"statusCode":301}]`, `[{"statusCode":"301"}]`, `[{"statusCode":301}]`, `/0/statusCode: "301" against 301`},
	} {
		t.Run(c.what, func(t *testing.T) {
			want := cloudlet.Equal
			if c.what == "white space" {
				want = cloudlet.Identical
			}
			if got, why := grade(t, c.a, c.b); got != want {
				t.Errorf("%s and %s: grade %d, want %d: %s", c.a, c.b, got, want, why)
			}
			if got, why := grade(t, c.nearA, c.nearB); got != cloudlet.Different || why != c.where && why != c.where+" (rules in all: 0 against 1)" {
				t.Errorf("%s and %s: grade %d, %q, want %q", c.nearA, c.nearB, got, why, c.where)
			}
		})
	}
}

func TestDifferent(t *testing.T) {
	long := strings.Repeat("é", 200)
	for _, c := range []struct{ what, a, b, where string }{
		{"rules swapped", `[{"name":"a"},{"name":"b"}]`, `[{"name":"b"},{"name":"a"}]`, `/0/name: "a" against "b"`},
		{"matches swapped", `[{"matches":[{"x":1},{"x":2}]}]`, `[{"matches":[{"x":2},{"x":1}]}]`, `/0/matches/0/x: 1 against 2`},
		{"rule dropped", `[{"name":"a"},{"name":"b"}]`, `[{"name":"b"}]`, `/0/name: "a" against "b" (rules in all: 2 against 1)`},
		{"last rule dropped", `[{"name":"a"}, { "name": "b" }]`, `[{"name":"a"}]`, `/1: {"name":"b"} against nothing (rules in all: 2 against 1)`},
		{"rule added", `[]`, `[{}]`, `/0: nothing against {} (rules in all: 0 against 1)`},
		{"unknown member", `[{"new":{"a":[1]}}]`, `[{"new":{"a":[2]}}]`, `/0/new/a/0: 1 against 2`},
		{"case of a name", `[{"Disabled":false}]`, `[{}]`, `/0/Disabled: false against nothing`},
		{"no rules", `[1,"id"]`, `[1,"Id"]`, `/1: "id" against "Id"`},
		{"rule for null", `[null]`, `[{}]`, `/0: null against {}`},
		{"matches no array", `[{"matches":{"negate":"true"}}]`, `[{"matches":{"negate":true}}]`, `/0/matches/negate: "true" against true`},
		{"pointer", `[{"a/b~c":{"\n":1}}]`, `[{"a/b~c":{"\n":2}}]`, `/0/a~1b~0c/\n: 1 against 2`},
		{"bidi", "[{\"x\":\"\u202e1\"}]", `[{"x":1}]`, `/0/x: "\u202e1" against 1`},
		{"far in", `[{"x":"` + long + `aa"}]`, `[{"x":"` + long + `b` + long + `"}]`, `/0/x: ...` + long[:58] + `aa" against ...` + long[:20] + `b` + long[:40] + `...`},
		{"broken characters", "[\"" + strings.Repeat("\x80", 999) + `"]`, `[1]`, `/0: "` + strings.Repeat(`\x80`, 62) + `... against 1`},
		{"long name", `[{"` + long + `":1}]`, `[{}]`, `/0/` + long[:238] + `...: 1 against nothing`},
		{"twice, other order", `[{"x":1,"x":2}]`, `[{"x":2,"x":1}]`, `/0/x: 1 against 2 (a name given more than once)`},
		{"twice, once", `[{"x":1,"x":2}]`, `[{"x":1}]`, `/0/x: 2 against nothing (a name given more than once)`},
		{"twice, last", `[{"x":1,"\u0078":2}]`, `[{"x":2}]`, `/0/x: 1 against 2 (a name given more than once)`},
		{"twice, null", `[{"x":null,"x":2}]`, `[{"x":2}]`, `/0/x: null against 2 (a name given more than once)`},
		{"twice, taken away", `[{"id":1,"id":2}]`, `[{}]`, `/0/id: 1 against nothing (a name given more than once)`},
		{"twice, default", `[{"start":0,"start":0}]`, `[{"start":0}]`, `/0/start: 0 against nothing (a name given more than once)`},
		{"broken", `[{"a":1,}]`, `[]`, `first list: not valid JSON: invalid character '}' looking for beginning of object key string`},
		{"cut short", `[]`, `[{"a":1`, `second list: not valid JSON: unexpected end of JSON input`},
		{"broken alike", `[01]`, `[01]`, `first list: not valid JSON: invalid character '1' after array element`},
		{"no array", `{"matchRules":[]}`, `{"matchRules":[]}`, `first list: not an array of match rules: {"matchRules":[]}`},
		{"too deep", strings.Repeat("[", 10001) + strings.Repeat("]", 10001), `[]`, `first list: not valid JSON: invalid character '[' exceeded max depth`},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, why := grade(t, c.a, c.b)
			if got != cloudlet.Different || why != c.where {
				t.Errorf("grade %d, %q, want %q", got, why, c.where)
			}
		})
	}
}

// TestManyOfOneName: sorting members by name must not shuffle those that share one.
func TestManyOfOneName(t *testing.T) {
	var xs, ys []string
	for i := range 50 {
		xs, ys = append(xs, fmt.Sprintf(`"x":%d`, i)), append(ys, fmt.Sprintf(`"y%d":0`, i))
	}
	var mixed []string
	for i := range xs {
		mixed = append(mixed, ys[len(ys)-1-i], xs[i])
	}
	apart := slices.Concat(xs, ys)
	if got, why := grade(t, `[{`+strings.Join(apart, ",")+`}]`, `[{`+strings.Join(mixed, ",")+`}]`); got != cloudlet.Equal {
		t.Errorf("grade %d %s", got, why)
	}
	apart[30], apart[31] = apart[31], apart[30]
	want := `/0/x: 31 against 30 (a name given more than once)`
	if _, why := grade(t, `[{`+strings.Join(apart, ",")+`}]`, `[{`+strings.Join(mixed, ",")+`}]`); why != want {
		t.Errorf("got %q, want %q", why, want)
	}
}

// object draws a JSON object whose members have tempting names and values; below are members that hold more than scalars.
func object(below map[string]*rapid.Generator[any], names ...string) *rapid.Generator[any] {
	scalars := rapid.SampledFrom([]any{
		nil, true, false, "true", "false", "none", "", "0", "é\\\"/\n\u2028", "\U0001F600", json.Number("0"), json.Number("301"),
		json.Number("-1.5"), json.Number("90071992547409930"), json.Number("0.0001"),
		[]any{},
		map[string]any{},
		[]any{nil, json.Number("0")},
	})
	return rapid.Custom(func(t *rapid.T) any {
		members := map[string]any{}
		for range rapid.IntRange(0, 5).Draw(t, "members") {
			name := rapid.SampledFrom(append(slices.Sorted(maps.Keys(below)), names...)).Draw(t, "name")
			if below[name] != nil && rapid.IntRange(0, 4).Draw(t, "kind") > 0 {
				members[name] = below[name].Draw(t, name)
			} else {
				members[name] = scalars.Draw(t, name)
			}
		}
		return members
	})
}

func list(of *rapid.Generator[any]) *rapid.Generator[any] {
	return rapid.Map(rapid.SliceOfN(of, 0, 3), func(elements []any) any { return elements })
}

func ruleLists() *rapid.Generator[any] {
	nested := object(nil, "id", "location", "disabled", "negate", "useIncomingQueryString", "start", "x")
	options := object(nil, "valueHasWildcard", "valueCaseSensitive", "value", "nameHasWildcard")
	value := object(map[string]*rapid.Generator[any]{"options": options}, "nameHasRegex", "valueHasRegex", "caseSensitive", "type")
	match := object(map[string]*rapid.Generator[any]{"objectMatchValue": value}, "negate", "caseSensitive", "id", "disabled", "matchValue")
	return list(object(map[string]*rapid.Generator[any]{"matches": list(match), "forwardSettings": nested, "unknown": nested},
		"akaRuleId", "location", "id", "start", "end", "disabled", "matchesAlways", "useIncomingQueryString",
		"useIncomingSchemeAndHost", "useRelativeUrl", "jsInsertion", "negate", "name", "statusCode"))
}

// spelling is how to write JSON: each value in one of the many ways that mean the same.
type spelling struct{ *rand.Rand }

func spell(t *rapid.T, v any) string {
	return spelling{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "spelling"), 0))}.value(v)
}

func (s spelling) pick(ways ...string) string { return ways[s.IntN(len(ways))] }

func (s spelling) spaced(text string) string {
	return s.pick("", "", " ", "\n\t") + text + s.pick("", "", " ", "\r")
}

func (s spelling) value(v any) string {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		s.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for i, name := range names {
			names[i] = s.spaced(s.value(name)) + ":" + s.spaced(s.value(v[name]))
		}
		return "{" + s.spaced(strings.Join(names, ",")) + "}"
	case []any:
		var elements []string
		for _, e := range v {
			elements = append(elements, s.spaced(s.value(e)))
		}
		return "[" + s.spaced(strings.Join(elements, ",")) + "]"
	case string:
		return s.text(v)
	case json.Number:
		text := v.String()
		switch {
		case text == "0":
			return s.pick("0", "-0", "0.0", "0e7", "-0.00E-9")
		case strings.Contains(text, "."):
			return s.pick(text, text+"0", text+"e0", text+"00E-0")
		default:
			return s.pick(text, text+".0", text+"0e-1", text+"00000.0E-005", text+"e+000")
		}
	case nil:
		return "null"
	default:
		return strconv.FormatBool(v == true)
	}
}

func (s spelling) text(v string) string {
	var out strings.Builder
	for _, r := range v {
		var ways []string
		if r != '"' && r != '\\' && r >= ' ' {
			ways = append(ways, string(r), string(r), string(r))
		}
		if strings.ContainsRune(`"\/`, r) {
			ways = append(ways, `\`+string(r))
		}
		if r == '\n' {
			ways = append(ways, `\n`)
		}
		escaped := ""
		for _, unit := range utf16.Encode([]rune{r}) {
			escaped += fmt.Sprintf(s.pick(`\u%04x`, `\u%04X`), unit)
		}
		out.WriteString(s.pick(append(ways, escaped)...))
	}
	return `"` + out.String() + `"`
}

// reference says the same as the rules of equality in another way: on decoded values, with rational numbers.
func reference(v any, where string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			value = reference(value, where+"/"+name)
			if s, ok := value.(string); ok && (s == "true" || s == "false") && booleans()[where+"/"+name] {
				value = s == "true"
			}
			standard, known := defaults()[where+"/"+name]
			if value != nil && standard != "any" && (!known || !reflect.DeepEqual(value, standard)) {
				out[name] = value
			}
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, reference(e, where+"/*"))
		}
		return out
	case json.Number:
		r, _ := new(big.Rat).SetString(v.String())
		return [1]string{r.String()}
	default:
		return v
	}
}

func defaults() map[string]any {
	zero := [1]string{"0/1"}
	return map[string]any{
		"/*/akaRuleId": "any", "/*/location": "any", "/*/id": "any", "/*/start": zero, "/*/end": zero, "/*/disabled": false,
		"/*/matchesAlways": false, "/*/useIncomingQueryString": false, "/*/useIncomingSchemeAndHost": false,
		"/*/useRelativeUrl": "none", "/*/matches": []any{}, "/*/matches/*/negate": false, "/*/matches/*/caseSensitive": false,
	}
}

func booleans() map[string]bool {
	value := "/*/matches/*/objectMatchValue"
	return map[string]bool{
		"/*/disabled": true, "/*/matchesAlways": true, "/*/useIncomingQueryString": true, "/*/useIncomingSchemeAndHost": true,
		"/*/jsInsertion": true, "/*/forwardSettings/useIncomingQueryString": true, "/*/matches/*/negate": true,
		"/*/matches/*/caseSensitive": true, value + "/nameHasRegex": true, value + "/valueHasRegex": true,
		value + "/options/valueHasWildcard": true, value + "/options/valueCaseSensitive": true,
	}
}

func TestEqualAsDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lists := ruleLists()
		a, b := lists.Draw(t, "a"), lists.Draw(t, "b")
		if rapid.Bool().Draw(t, "near") { // two lists drawn apart are seldom equal: change one member instead
			b = clone(a)
			if objects := objectsIn(b); len(objects) > 0 {
				o := rapid.SampledFrom(objects).Draw(t, "object")
				other := rapid.SampledFrom([]any{nil, false, "false", "true", true, "none", json.Number("0"), "0", []any{}, map[string]any{}})
				o[rapid.SampledFrom(append(slices.Sorted(maps.Keys(o)), "start", "negate", "disabled")).Draw(t, "name")] = other.Draw(t, "other")
			}
		}
		got, why := grade(t, spell(t, a), spell(t, b))
		if want := reflect.DeepEqual(reference(a, ""), reference(b, "")); want != (got != cloudlet.Different) {
			t.Errorf("grade %d %s, equal: %v\n%v\n%v", got, why, want, a, b)
		}
	})
}

func TestSpellingIsForgiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := ruleLists().Draw(t, "rules")
		text := spell(t, rules)
		if got, why := grade(t, text, spell(t, rules)); got == cloudlet.Different {
			t.Errorf("another spelling: %s", why)
		}
		if got, why := grade(t, text, string(pretty(t, []byte(text)))); got != cloudlet.Identical {
			t.Errorf("pretty: grade %d %s", got, why)
		}
	})
}

// TestEveryLeafCounts changes one value that is not taken away, to one that is nobody's default.
func TestEveryLeafCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := ruleLists().Filter(func(v any) bool { return len(leaves(v, "")) > 0 }).Draw(t, "rules")
		before := spell(t, rules)
		set := rapid.SampledFrom(leaves(rules, "")).Draw(t, "leaf")
		set(rapid.SampledFrom([]any{"changed", json.Number("7"), json.Number("1e-400")}).Draw(t, "changed"))
		if got, _ := grade(t, before, spell(t, rules)); got != cloudlet.Different {
			t.Errorf("%s changed to %v is not seen", before, rules)
		}
	})
}

// leaves gives a way to set each scalar and each empty object or array in v that counts.
func leaves(v any, where string) (set []func(any)) {
	each := func(value any, where string, change func(any)) {
		switch {
		case defaults()[where] == "any":
		case full(value):
			set = append(set, leaves(value, where)...)
		default:
			set = append(set, change)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			each(v[name], where+"/"+name, func(other any) { v[name] = other })
		}
	case []any:
		for i := range v {
			each(v[i], where+"/*", func(other any) { v[i] = other })
		}
	}
	return set
}

func full(v any) bool {
	value := reflect.ValueOf(v)
	return v != nil && (value.Kind() == reflect.Map || value.Kind() == reflect.Slice) && value.Len() > 0
}

func objectsIn(v any) (found []map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		found = append(found, v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = append(found, objectsIn(v[name])...)
		}
	case []any:
		for _, e := range v {
			found = append(found, objectsIn(e)...)
		}
	}
	return found
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			out[name] = clone(value)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, clone(e))
		}
		return out
	default:
		return v
	}
}

// TestNumbersOfAnySize: neither an exponent of very many digits nor one that stands for very many digits costs more than
// reading it.
func TestNumbersOfAnySize(t *testing.T) {
	const size = 50_000
	nines, zeros := strings.Repeat("9", size), strings.Repeat("0", size)
	for _, c := range []struct {
		a, b string
		want cloudlet.Grade
	}{
		{`1e999999999`, `10e999999998`, cloudlet.Equal},
		{`1e999999999`, `1e999999998`, cloudlet.Different},
		{`10e` + nines, `1e1` + zeros, cloudlet.Equal},
		{`0.1e-` + nines, `1e-1` + zeros, cloudlet.Equal},
		{`0.1e1` + zeros, `1e` + nines, cloudlet.Equal},
		{`1e` + nines, `1e-` + nines, cloudlet.Different},
		{`1e20000000000000000000`, `1e30000000000000000000`, cloudlet.Different},
		{`0.01e20`, `1e18`, cloudlet.Equal},
		{`0.1e0001000000000000000000`, `1e999999999999999999`, cloudlet.Equal},
		{`0.1e` + nines, `1e1` + zeros[1:] + `0`, cloudlet.Different},
		{`1` + zeros, `1e50000`, cloudlet.Equal},
		{`-1e5`, `-100000.000`, cloudlet.Equal},
		{`0e` + nines, `-0`, cloudlet.Equal},
	} {
		if got, why := grade(t, `[{"x":`+c.a+`}]`, `[{"x":`+c.b+`}]`); got != c.want {
			t.Errorf("%.30s and %.30s: grade %d %s", c.a, c.b, got, why)
		}
	}
}

func FuzzCompareRules(f *testing.F) {
	for _, doc := range awkward() {
		f.Add([]byte(doc), []byte(`[{"a":1}]`))
		f.Add([]byte("["+doc+"]"), []byte(doc))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		grade(t, string(a), string(b))
		if got, why := grade(t, string(a), string(a)); got != cloudlet.Identical && !strings.HasPrefix(why, "first list: not ") {
			t.Errorf("%q and itself: grade %d %s", a, got, why)
		}
	})
}

func BenchmarkCompareRules(b *testing.B) {
	var doc struct {
		MatchRules json.RawMessage `json:"matchRules"`
	}
	if err := json.Unmarshal(version(5000), &doc); err != nil {
		b.Fatal(err)
	}
	// What the API answers: other ids, null members, defaults left out.
	answer := json.RawMessage(strings.NewReplacer(`"id":0`, `"id":77,"matchURL2":null`, `"start":0,"end":0,`, ``).Replace(string(doc.MatchRules)))
	for what, other := range map[string]json.RawMessage{"identical": slices.Clone(doc.MatchRules), "equal": answer} {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(int64(len(doc.MatchRules)))
			b.ReportAllocs()
			for b.Loop() {
				if got, why := cloudlet.CompareRules(doc.MatchRules, other); got == cloudlet.Different {
					b.Fatal(why)
				}
			}
		})
	}
	b.Run("hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cloudlet.CanonicalHash(doc.MatchRules); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// pretty is doc with two-space indent.
func pretty(t interface{ Fatal(...any) }, doc []byte) []byte {
	var b bytes.Buffer
	if err := cloudlet.WritePretty(&b, doc); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
