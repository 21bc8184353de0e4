package simulator_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

const sample = "../../samples/account"

// documents are all files of a folder by their slash-separated paths.
func documents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		files[name] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// served is the answer that must be equal to a file of the layout; lists are given as one array.
func served(t *testing.T, a *api, file string) string {
	t.Helper()
	whole := func(path string) string { return string(a.get(path)) }
	content := func(path string) string {
		var page struct{ Content json.RawMessage }
		if err := json.Unmarshal(a.get(path), &page); err != nil {
			t.Fatal(err)
		}
		return string(page.Content)
	}
	parts := strings.Split(strings.TrimSuffix(file, ".json"), "/")
	id, _, _ := strings.Cut(parts[1], "_")
	switch {
	case file == "account/groups.json":
		return whole(v2 + "/group-info")
	case file == "account/cloudlets.json":
		return whole(v2 + "/cloudlet-info")
	case file == "account/shared-cloudlets.json":
		return whole(v3 + "/cloudlet-info")
	case file == "account/properties.json":
		return whole(v2 + "/properties")
	case parts[0] == "origins":
		rest := strings.TrimPrefix(path.Join(parts[2:]...), "origin")
		return whole(path.Join(v2, "origins", parts[1], rest))
	case parts[0] == "legacy":
		return whole(path.Join(v2, "policies", id, strings.TrimPrefix(path.Join(parts[2:]...), "policy")))
	case parts[2] == "activations" || parts[2] == "properties":
		return content(path.Join(v3, "policies", id, parts[2]))
	default:
		return whole(path.Join(v3, "policies", id, strings.TrimPrefix(path.Join(parts[2:]...), "policy")))
	}
}

func TestSampleIsServedAsItStands(t *testing.T) {
	t.Parallel()
	account, err := simulator.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	a := start(t, simulator.Options{Account: account})
	files := documents(t, sample)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !json.Valid(files[file]) {
			t.Errorf("%s is no JSON", file)
			continue
		}
		if got, want := served(t, a, file), compacted(t, files[file]); got != want {
			t.Errorf("%s is served as\n%s\nwant\n%s", file, got, want)
		}
	}
	types := map[string]bool{}
	for _, p := range account.Policies() {
		types[p.Type+strconv.FormatBool(p.Shared)] = true
	}
	for code := range strings.FieldsSeq("ALB AP AS CD ER FR IG IV VP MMA MMB") {
		if !types[code+"false"] {
			t.Errorf("no policy of cloudlet %s", code)
		}
	}
	if !types["ERtrue"] || len(types) < 14 {
		t.Errorf("policies have the types %v", types)
	}
}

func TestLoadedAccountCanBeChanged(t *testing.T) {
	t.Parallel()
	account, err := simulator.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	a := start(t, simulator.Options{Account: account, ActivationTime: -1})
	made := a.post(201, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"new"}`)
	if id := str(t, made, "policyId"); id != "2963" {
		t.Errorf("the new policy has id %s", id)
	}
	copied := a.post(201, v2+"/policies/1002/versions?cloneVersion=2", `{"description":"copy"}`)
	aka := str(t, copied, "matchRules", 0, "akaRuleId")
	if str(t, copied, "version") != "4" || str(t, copied, "matchRules", 0, "location") != v2+"/policies/1002/versions/4/rules/"+aka {
		t.Errorf("copied version is %s", copied)
	}
	clone := a.post(200, v3+"/policies/1002/clone", `{"newName":"shared_er","groupId":5}`)
	if text := a.get(v3 + "/policies/" + str(t, clone, "id") + "/versions/2"); strings.Contains(string(text), "location") {
		t.Errorf("cloned version is %s", text)
	}
	started := a.post(202, v3+"/policies/101/activations", `{"network":"PRODUCTION","operation":"ACTIVATION","policyVersion":3}`)
	if id, _ := strconv.Atoi(str(t, started, "id")); id != 300005 {
		t.Errorf("the new activation has id %d", id)
	}
	a.post(200, v2+"/policies/1007/versions/1/activations", `{"network":"staging"}`)
	if v := a.get(v2 + "/policies/1007/versions/2"); str(t, v, "activations", 1, "policyInfo", "status") != "DEACTIVATED" {
		t.Errorf("version 2 is %s", v)
	}
}

func TestLoadFromOneFile(t *testing.T) {
	t.Parallel()
	bundle := map[string]json.RawMessage{"manifest.json": []byte(`{"format":1}`)}
	for file, text := range documents(t, sample) {
		bundle[file] = text
	}
	text, err := json.Marshal(bundle)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	account, err := simulator.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	other, err := simulator.Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	if account.Counts() != other.Counts() || account.Counts().Policies != 15 {
		t.Errorf("counts are %+v, want %+v", account.Counts(), other.Counts())
	}
}

func TestLoadNamesTheBadFile(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"legacy/7_x/policy.json":     `{"policyId":7,"cloudletCode":"ER","name":"x"}`,
		"legacy/7_x/versions/1.json": `{"version":1,"matchRules":[]}`,
		"legacy/7_x/versions.json":   `[not read`,
		"manifest.json":              `[not read`,
		"index.csv":                  `id`,
	}
	for _, c := range []struct{ file, text, message string }{
		{"legacy/7_x/policy.json", `{"policyId":7`, "legacy/7_x/policy.json: unexpected end"},
		{"legacy/7_x/policy.json", `{"name":"x"}`, "legacy/7_x/policy.json: policyId is missing"},
		{"legacy/7_x/activations.json", `{}`, "legacy/7_x/activations.json: expected a JSON array, but got OBJECT"},
		{"legacy/7_x/activations.json", `[1]`, "legacy/7_x/activations.json: element 0 is NUMBER"},
		{"legacy/7_x/versions/2.json", `{"version":1}`, "legacy/7_x/versions/: version 1 is there twice"},
		{"legacy/7_x/versions/two.json", `{}`, "legacy/7_x/versions/two.json: version is missing"},
		{"legacy/7_x/versions/1.json", `{"version":1,"matchRules":{}}`, "legacy/7_x/versions/1.json: matchRules: expected a JSON array"},
		{"legacy/7_y/policy.json", `{"policyId":7}`, "legacy/7_y/policy.json: policyId 7 is that of another policy"},
		{"shared/8/versions/1.json", `{}`, "shared/8/policy.json: the file is missing"},
		{"origins/a/origin.json", `[]`, "origins/a/origin.json: expected a JSON object"},
		{"account/groups.json", ``, "account/groups.json: "},
		{"", "", ""},
	} {
		dir := t.TempDir()
		for file, text := range good {
			write(t, dir, file, text)
		}
		if c.file != "" {
			write(t, dir, c.file, c.text)
		}
		_, err := simulator.Load(dir)
		if c.file == "" && err != nil || c.file != "" && (err == nil || !strings.Contains(err.Error(), c.message)) {
			t.Errorf("%s %s: error is %v, want %s", c.file, c.text, err, c.message)
		}
	}
	for _, name := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := simulator.Load(name); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
}

func write(t *testing.T, dir, file, text string) {
	t.Helper()
	name := filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFromRedirects(t *testing.T) {
	t.Parallel()
	lines := "# FROM-URL\tTO-URL\n\n/a \"b\"*?\t/new/a\r\n/b\thttps://www.example.com/b\n"
	for i := range 9 {
		lines += fmt.Sprintf("/c%d\t/d\n", i)
	}
	account, err := simulator.FromRedirects(strings.NewReader(lines), "mdn", 5)
	if err != nil {
		t.Fatal(err)
	}
	if c := account.Counts(); c.Policies != 4 || c.Rules != 16 {
		t.Errorf("counts are %+v", c)
	}
	a := start(t, simulator.Options{Account: account})
	v := a.get(v2 + "/policies/1001/versions/1")
	if str(t, v, "matchRules", 0, "matchURL") != `/a "b"*?` || str(t, v, "matchRules", 0, "useRelativeUrl") != "relative_url" ||
		str(t, v, "matchRules", 1, "useRelativeUrl") != "none" {
		t.Errorf("rules are %s", v)
	}
	for _, bad := range []string{"/a", "/a\t", "/a\tb\tc"} {
		if _, err := simulator.FromRedirects(strings.NewReader("# x\n"+bad+"\n"), "mdn", 5); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: error is %v", bad, err)
		}
	}
	if _, err := simulator.FromRedirects(strings.NewReader(lines), "mdn", 5001); err == nil {
		t.Error("5001 rules a policy were taken")
	}
}
