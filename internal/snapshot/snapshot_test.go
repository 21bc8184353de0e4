package snapshot_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/snapshot"
)

// write makes a small snapshot and gives its folder.
func write(t *testing.T, pretty bool) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snapshot")
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	w := snapshot.NewWriter(folder, pretty)
	var items []snapshot.Item
	put := func(path, listed, doc string, row *snapshot.Row) {
		f, changed, err := w.Put(snapshot.File{Path: path, Request: "/x/" + path, Listed: listed, Rules: cloudlet.CountRules([]byte(doc))}, snapshot.File{}, []byte(doc))
		if err != nil || !changed {
			t.Fatalf("Put(%s): changed %v, %v", path, changed, err)
		}
		items = append(items, snapshot.Item{Row: row, Files: []snapshot.File{f}})
	}
	put(snapshot.GroupsFile, "", `[{"groupId":1}]`, nil)
	for id := int64(1); id <= 3; id++ {
		p := cloudlet.Policy{API: cloudlet.V2, ID: id, Name: fmt.Sprintf("=policy %d", id)}
		at := snapshot.PolicyFolder(p)
		put(at+"/policy.json", "", fmt.Sprintf(`{"policyId":%d,"name":"x","big":12345678901234567890}`, id), &snapshot.Row{API: cloudlet.V2, ID: 4 - id, Name: p.Name})
		for n := int64(1); n <= 3; n++ {
			put(snapshot.VersionFile(at, n), "listed", fmt.Sprintf(`{"version":%d,"matchRules":[{"a":1.0e2},{"b":"\u003c"}]}`, n), nil)
		}
	}
	put("origins/a/origin.json", "", `{}`, nil)
	put("origins/a/versions/1.json", "listed", `{}`, nil)
	all := func(yield func(snapshot.Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
	m, err := w.Finish(snapshot.Manifest{Complete: true, Options: json.RawMessage(`{"format":"pretty"}`)}, all)
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Counts; c.Policies != 3 || c.Versions != 9 || c.Rules != 18 || c.Origins != 1 || c.OriginVersions != 1 || c.Files != len(items)+1 {
		t.Errorf("counts %+v", c)
	}
	return dir
}

func problems(t *testing.T, dir string) []snapshot.Problem {
	t.Helper()
	_, found, err := snapshot.Verify(t.Context(), dir, 4)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestWhatIsWrittenIsSound(t *testing.T) {
	dir := write(t, true)
	if found := problems(t, dir); len(found) > 0 {
		t.Errorf("a new snapshot has problems: %v", found)
	}
	text, err := os.ReadFile(filepath.Join(dir, "legacy/1_=policy_1/versions/1.json"))
	if err == nil {
		t.Errorf("unsafe folder name holds %s", text)
	}
	text, err = os.ReadFile(filepath.Join(dir, "legacy/1__policy_1/versions/1.json"))
	if want := "{\n  \"version\": 1,\n  \"matchRules\": [\n    {\n      \"a\": 1.0e2\n    },\n    {\n      \"b\": \"\\u003c\"\n    }\n  ]\n}\n"; err != nil || string(text) != want {
		t.Errorf("version file %q, %v", text, err)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(index), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[1], "v2,1,'=policy 3,") || !strings.HasPrefix(lines[3], "v2,3,'=policy 1,") || !strings.Contains(lines[1], ",6,") {
		t.Errorf("index %q", index)
	}
	raw := write(t, false)
	if text, err := os.ReadFile(filepath.Join(raw, "legacy/1__policy_1/versions/1.json")); err != nil || string(text) != `{"version":1,"matchRules":[{"a":1.0e2},{"b":"\u003c"}]}` {
		t.Errorf("raw version file %q, %v", text, err)
	}
}

// TestVerifyFindsDamage is promise P11: every flipped bit, every missing, extra, renamed and shortened file is found.
func TestVerifyFindsDamage(t *testing.T) {
	rounds := 200
	if os.Getenv("SOAK") != "" {
		rounds = 5000
	}
	dir := write(t, true)
	files := tree(t, dir)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		path := files[random.IntN(len(files))]
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		what := ""
		switch round % 5 {
		case 0, 1:
			what = "flipped bit"
			damaged := slices.Clone(text)
			damaged[random.IntN(len(text))] ^= 1 << random.IntN(8)
			err = os.WriteFile(path, damaged, 0o600)
		case 2:
			what = "missing file"
			err = os.Remove(path)
		case 3:
			what = "shortened file"
			err = os.Truncate(path, int64(random.IntN(len(text))))
		case 4:
			what = "renamed file"
			err = os.Rename(path, path+"x")
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(problems(t, dir)) == 0 {
			t.Fatalf("%s %s was not found", what, path)
		}
		if what == "renamed file" {
			err = os.Remove(path + "x")
		}
		if err2 := os.WriteFile(path, text, 0o600); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
	}
	if found := problems(t, dir); len(found) > 0 {
		t.Errorf("mended, it still has problems: %v", found)
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	version := "legacy/2__policy_2/versions/2.json"
	for name, c := range map[string]struct {
		damage func(dir string) error
		kind   string
		path   string
	}{
		"missing":  {func(dir string) error { return os.Remove(filepath.Join(dir, version)) }, "missing", version},
		"extra":    {func(dir string) error { return os.WriteFile(filepath.Join(dir, "legacy/new.json"), nil, 0o600) }, "extra", "legacy/new.json"},
		"leftover": {func(dir string) error { return os.WriteFile(filepath.Join(dir, ".tmp-x"), nil, 0o600) }, "extra", ".tmp-x"},
		"link":     {func(dir string) error { return os.Symlink("/etc/hosts", filepath.Join(dir, "link")) }, "extra", "link"},
		"renamed": {func(dir string) error {
			return os.Rename(filepath.Join(dir, version), filepath.Join(dir, "other.json"))
		}, "renamed", version},
		"longer":     {func(dir string) error { return appendTo(filepath.Join(dir, version), " ") }, "changed", version},
		"manifest":   {func(dir string) error { return appendTo(filepath.Join(dir, "manifest.json"), " ") }, "damaged", "manifest.json"},
		"unfinished": {func(dir string) error { return os.Remove(filepath.Join(dir, "manifest.json")) }, "damaged", "manifest.json"},
		"index":      {func(dir string) error { return os.Remove(filepath.Join(dir, "index.csv")) }, "missing", "index.csv"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, true)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			found := problems(t, dir)
			if len(found) != 1 || found[0].Kind != c.kind || found[0].Path != c.path {
				t.Errorf("found %v, want one %s of %s", found, c.kind, c.path)
			}
		})
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	return f.Close()
}

// TestHostileNames is promise P12: whatever a policy or an origin is called, its folder is unique and inside.
func TestHostileNames(t *testing.T) {
	names := []string{
		"", ".", "..", "../../etc/passwd", `..\..\x`, "/abs", "C:\\x", "CON", "nul", "com1.txt", "a\nb", "a\x00b", "\u202egnp.exe", "\xff\xfe",
		"name", "NAME", "Name", "name.", "name ", " name", strings.Repeat("x", 300), strings.Repeat("x", 299) + "y", "ä", "日本", "a:b", "a*?", "~", "%2e%2e",
	}
	folders := snapshot.OriginFolders(names)
	seen := map[string]string{}
	for _, name := range names {
		folder := folders[name]
		checkName(t, name, folder)
		if other, ok := seen[strings.ToLower(folder)]; ok {
			t.Errorf("%q and %q share %s", name, other, folder)
		}
		seen[strings.ToLower(folder)] = name
		checkName(t, name, snapshot.PolicyFolder(cloudlet.Policy{API: cloudlet.V3, ID: 7, Name: name}))
	}
	if got := snapshot.OriginFolders([]string{"ALBOrigin_1", "other"})["ALBOrigin_1"]; got != "origins/ALBOrigin_1" {
		t.Errorf("a plain origin is in %s", got)
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{"a", "../x", "CON", "\u202e"} {
		f.Add(name, int64(1))
	}
	f.Fuzz(func(t *testing.T, name string, id int64) {
		checkName(t, name, snapshot.PolicyFolder(cloudlet.Policy{API: cloudlet.V2, ID: id, Name: name}))
		checkName(t, name, snapshot.OriginFolders([]string{name})[name])
	})
}

func checkName(t *testing.T, name, folder string) {
	t.Helper()
	top, last, ok := strings.Cut(folder, "/")
	if !ok || !slices.Contains([]string{"legacy", "shared", "origins"}, top) || !filepath.IsLocal(folder) {
		t.Errorf("%q gives %q, which is not inside", name, folder)
	}
	if strings.ContainsAny(last, "/\\:*?\"<>|\x00\n") || !utf8.ValidString(last) || len(last) > 120 || last == "" || strings.HasSuffix(last, ".") || strings.HasSuffix(last, " ") {
		t.Errorf("%q gives %q, which a file system may refuse", name, last)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	if _, err := snapshot.Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no manifest.json") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestKeyOf(t *testing.T) {
	for path, want := range map[string]string{
		"legacy/1001_a_b/versions/3.json": "legacy/1001/versions/3",
		"shared/7_/policy.json":           "shared/7/policy",
		"origins/a_b/versions/1.json":     "origins/a_b/versions/1",
		"account/groups.json":             "account/groups",
	} {
		if got := snapshot.KeyOf(path); got != want {
			t.Errorf("KeyOf(%s) = %s, want %s", path, got, want)
		}
	}
}
