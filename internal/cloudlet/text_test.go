package cloudlet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
)

func awkward() []string {
	return []string{
		``, ` `, `{}`, `[]`, ` { } `, `[ ]`, `[[],{}]`, `{"a":1}`, `{"a":1,}`, `{"a"}`, `{a:1}`, `[1,]`, `[,1]`, `1`, `-0`,
		`01`, `-`, `1.`, `.5`, `1.5e+10`, `1e`, `1E-2`, `12345678901234567890`, `true`, `tru`, `nul`, `null `, `"a`, `"\u12g4"`,
		`"\uD83D\uDE00"`, `"\x"`, `"\\"`, `"\\\""`, "\"a\nb\"", "\"\u2028\"", `{"a":{"b":[1,{"c":null}]}} `, `{"a":1}x`, `[1 2]`,
		`{"matchRules":[{"a":[1,2]},{"b":","}],"x":[1,2,3]}`, "\xff", "\"\xff\"", `{"a":"b" "c":1}`, `[{"a":"\"},{"}]`,
		strings.Repeat("[", 100) + strings.Repeat("]", 100), strings.Repeat(`{"a":[`, 60) + "1" + strings.Repeat(`]}`, 60),
		strings.Repeat("[", 10001) + strings.Repeat("]", 10001), strings.Repeat("[", 10000) + strings.Repeat("]", 10000),
	}
}

func FuzzText(f *testing.F) {
	for _, doc := range awkward() {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		valid := cloudlet.ValidJSON(doc)
		if want := json.Valid(doc); valid != want {
			t.Fatalf("ValidJSON(%q) = %v, json.Valid says %v", doc, valid, want)
		}
		if !valid {
			return
		}
		if bytes.Count(doc, []byte("["))+bytes.Count(doc, []byte("{")) > 1000 {
			return // what is nested deeply is indented by as much
		}
		var pretty, compact bytes.Buffer
		if err := json.Indent(&pretty, doc, "", "  "); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := cloudlet.WritePretty(&got, doc); err != nil {
			t.Fatal(err)
		}
		if want := bytes.TrimSpace(pretty.Bytes()); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("WritePretty(%q) writes %q, json.Indent says %q", doc, got.Bytes(), want)
		}
		if err := json.Compact(&compact, doc); err != nil {
			t.Fatal(err)
		}
		if got := cloudlet.AppendCompact(nil, doc); !bytes.Equal(got, compact.Bytes()) {
			t.Errorf("AppendCompact(%q) = %q, json.Compact says %q", doc, got, compact.Bytes())
		}
		cloudlet.CountRules(doc) // must not panic
	})
}

func TestPrettyInPieces(t *testing.T) {
	doc := version(1000)
	var got, want bytes.Buffer
	if err := cloudlet.WritePretty(&got, doc); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&want, doc, "", "  "); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("a long document is written otherwise than json.Indent does")
	}
}

func TestCountRules(t *testing.T) {
	for doc, want := range map[string]int{
		`{"matchRules":[]}`:             0,
		`{"matchRules":null,"x":[1,2]}`: 0,
		`{"a":["x",{"matchRules":[1,2]}],"matchRules" : [ {"m":[1,2,3]},2 ]}`: 2,
		`{"description":"matchRules","x":[1,2,3]}`:                            0,
		`{"x":"\"matchRules\":[1,2]","matchRules":[{"matchRules":[1,2]}]}`:    1,
		`[{"matchRules":[1,2]}]`:                                              0,
		`{"matchRules":{"a":[1,2]},"b":[3,4]}`:                                0,
	} {
		if got := cloudlet.CountRules([]byte(doc)); got != want {
			t.Errorf("CountRules(%s) = %d, want %d", doc, got, want)
		}
	}
}

func version(rules int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"revisionId":1,"description":"bench","matchRules":[`)
	for i := range rules {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"erMatchRule","id":0,"name":"Redirect %d","start":0,"end":0,"matchURL":"/images/section/%d/*",`+
			`"akaRuleId":"ac0ca0af44f57683","statusCode":302,"redirectURL":"/static/images/%d/*","useIncomingQueryString":true,`+
			`"useRelativeUrl":"relative_url","matches":[{"matchType":"hostname","matchValue":"www.example.com","matchOperator":"equals",`+
			`"negate":false,"caseSensitive":false}]}`, i, i, i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkText(b *testing.B) {
	doc := version(200)
	buf := make([]byte, 0, 4*len(doc))
	for name, f := range map[string]func(){
		"json.Valid":    func() { json.Valid(doc) },
		"ValidJSON":     func() { cloudlet.ValidJSON(doc) },
		"json.Indent":   func() { w := bytes.NewBuffer(buf[:0]); _ = json.Indent(w, doc, "", "  ") },
		"WritePretty":   func() { _ = cloudlet.WritePretty(io.Discard, doc) },
		"AppendCompact": func() { cloudlet.AppendCompact(buf[:0], doc) },
		"CountRules":    func() { cloudlet.CountRules(doc) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				f()
			}
		})
	}
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string][2]bool{
		`{"a":[1,"b c",{}]}`: {true, true}, `{"a": 1}`: {true, false}, "{\"a\":1}\n": {true, false}, `[1,2 ]`: {true, false},
		`{"a":1`: {false, false}, ``: {false, false}, `"a b"`: {true, true},
	} {
		valid, compact := cloudlet.CheckJSON([]byte(doc))
		if valid != want[0] || valid && compact != want[1] {
			t.Errorf("%s: valid %v, compact %v", doc, valid, compact)
		}
		if valid != cloudlet.ValidJSON([]byte(doc)) {
			t.Errorf("%s: ValidJSON disagrees", doc)
		}
	}
}
