package cloudlet

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMembers(t *testing.T) {
	type member struct{ Name, Value string }
	tests := []struct {
		doc  string
		want []member
	}{
		{`{}`, nil},
		{` { } `, nil},
		{`[1]`, nil},
		{`"{}"`, nil},
		{`7`, nil},
		{``, nil},
		{`{"a":1}`, []member{{"a", "1"}}},
		{" {\n\"a\" : [1, {\"b\":\"}\"}] , \"a\":null\t}", []member{{"a", `[1, {"b":"}"}]`}, {"a", "null"}}},
		{`{"":"","\u0041\"":-1.5e3,"x":true ,"y":{}}`, []member{{"", `""`}, {`A"`, "-1.5e3"}, {"x", "true"}, {"y", "{}"}}},
		{`{"\ud83d\ude00":[]}`, []member{{"😀", "[]"}}},
	}
	for _, tt := range tests {
		var got []member
		for name, value := range Members([]byte(tt.doc)) {
			got = append(got, member{name, string(value)})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Members(%s): %s", tt.doc, diff)
		}
	}
}

func TestMembersStop(t *testing.T) {
	n := 0
	for range Members([]byte(`{"a":1,"b":2}`)) {
		n++
		break
	}
	for range Elements([]byte(`[1,2]`)) {
		n++
		break
	}
	if n != 2 {
		t.Errorf("walked over %d values, want one each", n)
	}
}

func TestElements(t *testing.T) {
	tests := []struct {
		doc  string
		want []string
	}{
		{`[]`, nil},
		{` [ ] `, nil},
		{`{"a":1}`, nil},
		{`[1]`, []string{"1"}},
		{` [ 1 , "a]", [2,[3]],{"a":[]} ,null ] `, []string{"1", `"a]"`, "[2,[3]]", `{"a":[]}`, "null"}},
	}
	for _, tt := range tests {
		var got []string
		for value := range Elements([]byte(tt.doc)) {
			got = append(got, string(value))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Elements(%s): %s", tt.doc, diff)
		}
	}
}

func TestText(t *testing.T) {
	for value, want := range map[string]string{
		`""`: "", `"a b"`: "a b", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00e9é"`: "éé",
		`"\ud83d\ude00"`: "😀", `"\ud83dx"`: "\ufffdx", `"\ud83d\ud83d\ude00"`: "\ufffd😀", `"\ude00"`: "\ufffd",
		"\"a\xffb\"": "a\ufffdb",
	} {
		if got, ok := Text([]byte(value)); !ok || got != want {
			t.Errorf("Text(%s) = %q, %v; want %q", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "1", "null", "true", "{}", "[]"} {
		if got, ok := Text([]byte(value)); ok || got != "" {
			t.Errorf("Text(%s) = %q, %v; want none", value, got, ok)
		}
	}
}

func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[2,"x"]}`, `[{"a":null}, "\ud800"]`, ` "a\nb" `, `{"\u0061":{"b":{}}}`, "7", "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !ValidJSON(doc) {
			return
		}
		sameAsEncodingJSON(t, doc)
	})
}

// sameAsEncodingJSON compares what the three functions say of doc and of all that it holds with encoding/json.
func sameAsEncodingJSON(t *testing.T, doc []byte) {
	t.Helper()
	var object map[string]json.RawMessage
	_ = json.Unmarshal(doc, &object)
	got := map[string]json.RawMessage{}
	for name, value := range Members(doc) {
		got[name] = value
		sameAsEncodingJSON(t, value)
	}
	if len(got) != len(object) {
		t.Fatalf("%d members in %q, want %d", len(got), doc, len(object))
	}
	for name, value := range object {
		if !bytes.Equal(got[name], value) {
			t.Fatalf("member %q of %q is %q, want %q", name, doc, got[name], value)
		}
	}
	var array []json.RawMessage
	_ = json.Unmarshal(doc, &array)
	elements := slices.Collect(Elements(doc))
	if !slices.EqualFunc(elements, array, func(a []byte, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Fatalf("elements of %q are %q, want %q", doc, elements, array)
	}
	for _, value := range elements {
		sameAsEncodingJSON(t, value)
	}
	var text *string
	trimmed := bytes.TrimSpace(doc)
	isText := json.Unmarshal(trimmed, &text) == nil && text != nil
	if value, ok := Text(trimmed); ok != isText || ok && value != *text {
		t.Fatalf("Text(%q) = %q, %v", trimmed, value, ok)
	}
}
