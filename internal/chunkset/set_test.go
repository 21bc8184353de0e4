package chunkset_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloudletmig/internal/chunkset"
)

func TestOpenDamaged(t *testing.T) {
	const whole = `{"kind":"single","name":"shop","n":1,"fill":0.8,"chunks":[{"file":"shop_001.json","policy":"shop_001","bucket":0,"of":1,"hosts":[],"otherHosts":false,"rows":[1,2]}]}`
	for _, tt := range []struct{ old, new, want string }{
		{"", "", ""},
		{`"hosts":[],`, `"hosts":null,`, ""},
		{whole, "", "EOF"},
		{`]}`, "", "unexpected EOF"},
		{`]}]}`, `]}]} x`, "something follows"},
		{`]}]}`, `]}]}{}`, "something follows"},
		{`"n":1`, `"n":1,"extra":1`, `unknown field "extra"`},
		{`"bucket":0`, `"bucket":0,"extra":1`, `unknown field "extra"`},
		{`"n":1`, `"n":"1"`, "cannot unmarshal"},
		{`"n":1,`, ``, "n is 0"},
		{`"n":1`, `"n":2`, "n is 2"},
		{`"of":1,`, ``, "bucket 0 of 0"},
		{`"kind":"single"`, `"kind":"other"`, `kind "other" is not known`},
		{`"name":"shop"`, `"name":"../shop"`, `name "../shop"`},
		{`"file":"shop_001.json"`, `"file":"../../etc/passwd"`, `chunk 1: file "../../etc/passwd" of policy shop_001 is not shop_001.json in this folder`},
		{`"file":"shop_001.json"`, `"file":"/etc/passwd"`, `is not shop_001.json in this folder`},
		{`"file":"shop_001.json"`, `"file":"dispatch.json"`, `is not shop_001.json in this folder`},
		{`"policy":"shop_001"`, `"policy":"other_001"`, `policy "other_001" is not named like shop_001`},
		{`"policy":"shop_001"`, `"policy":"shop_+01"`, `policy "shop_+01" is not named like shop_001`},
	} {
		dir := t.TempDir()
		text := strings.Replace(whole, tt.old, tt.new, 1)
		if err := os.WriteFile(filepath.Join(dir, "dispatch.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		set, err := chunkset.Open(dir)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if _, err := set.Chunk(set.Dispatch.Chunks[0]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("read a chunk that is not there: %v", err)
			}
			if _, err := set.Chunk(chunkset.Chunk{File: "dispatch.json"}); err == nil {
				t.Error("read a chunk that is none")
			}
			if again, err := json.Marshal(set.Dispatch); err != nil || string(again) != whole {
				t.Errorf("%s came back as %s, %v", text, again, err)
			}
			_ = set.Close()
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", text, err, tt.want)
		}
	}
	if _, err := chunkset.Open(t.TempDir()); !errors.Is(err, chunkset.ErrNoDispatch) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := chunkset.Open(filepath.Join(t.TempDir(), "x")); errors.Is(err, chunkset.ErrNoDispatch) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestLinkOutside(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	if err := convert(dir, false, "x"); err != nil {
		t.Fatal(err)
	}
	inside, secret := filepath.Join(dir, "shop_001.json"), filepath.Join(parent, "secret.json")
	if err := errors.Join(os.Rename(inside, secret), os.Symlink(secret, inside)); err != nil {
		t.Fatal(err)
	}
	set, err := chunkset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = set.Close() }()
	if b, err := set.Chunk(set.Dispatch.Chunks[0]); err == nil {
		t.Errorf("read %v from outside", b)
	}
}

func TestReadBody(t *testing.T) {
	for doc, want := range map[string]string{
		`{"matchRules":[]}`: `{"description":"","matchRules":[]}`,
		`{"version":3,"matchRules":null,"description":null}`:                                       `{"description":"","matchRules":[]}`,
		"\n{ \"matchRules\" : [ {\"a\": 1.0e2} , {\"matchRules\":1} ], \"description\":\"x<\" }\n": `{"description":"x<","matchRules":[{"a":1.0e2},{"matchRules":1}]}`,
		`{"matchRules":[{"a":"é\u003c"}],"x":{"matchRules":2},"MATCHRULES":1,"x":[{}]}`:            `{"description":"","matchRules":[{"a":"é\u003c"}]}`,
		``:                                   "!not JSON",
		`{"matchRules":[]`:                   "!not JSON",
		`{"matchRules":[]}{}`:                "!not JSON",
		`[{"matchRules":[]}]`:                "!no object",
		`{"a":{"matchRules":[]}}`:            "!no matchRules",
		`{"MatchRules":[]}`:                  "!no matchRules",
		`{"matchRules":{}}`:                  "!matchRules is no list",
		`{"matchRules":[{},1]}`:              "!match rule 2 is no object",
		`{"matchRules":[null]}`:              "!match rule 1 is no object",
		`{"matchRules":[],"matchRules":[]}`:  "!matchRules is there twice",
		`{"matchRules":[],"description":[]}`: "!the description is no text",
	} {
		b, err := chunkset.ReadBody([]byte(doc))
		if want, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", doc, err, want)
			}
			continue
		}
		if got := string(b.Append(nil)); err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", doc, got, err, want)
		}
	}
}

func TestReportJSON(t *testing.T) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	r := chunkset.Report{Problems: []chunkset.Problem{{Sheet: "a&b.csv", Line: 3, Column: "matchURL", Code: "bad-url", Severity: "error", Message: "<"}}, Changes: &chunkset.Changes{}}
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	const want = `{"rows":{"read":0,"converted":0,"duplicates":0,"rejected":0,"comments":0},"chunks":[],"counts":{},` +
		`"problems":[{"sheet":"a&b.csv","line":3,"column":"matchURL","code":"bad-url","severity":"error","message":"<"}],` +
		`"proof":null,"spread":0,"repeated":0,"existing":0,"missingTwins":0,"changes":{"added":0,"removed":0,"changed":0,"chunks":[]}}` + "\n"
	if b.String() != want || r.Changes.Chunks != nil {
		t.Errorf("got %s", b.String())
	}
}
