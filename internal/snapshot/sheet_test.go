package snapshot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/snapshot"
)

const (
	sheetPath = "legacy/7_er/versions/2.csv"
	sheetText = "ruleName,matchURL\r\n\"a\nb\",/x\r\n"
)

// writeSheets makes a snapshot of one policy with versions that have sheets, so many of them lossy.
func writeSheets(t *testing.T, versions, lossy int) (string, snapshot.Manifest) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snapshot")
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	w := snapshot.NewWriter(folder, true)
	p := cloudlet.Policy{API: cloudlet.V2, ID: 7, Name: "er"}
	at := snapshot.PolicyFolder(p)
	put := func(f snapshot.File, doc string) snapshot.File {
		f, _, err := w.Put(f, snapshot.File{}, []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	items := []snapshot.Item{{
		Row:   &snapshot.Row{API: cloudlet.V2, ID: 7, Name: "er", Type: "ER"},
		Files: []snapshot.File{put(snapshot.File{Path: at + "/policy.json"}, `{"policyId":7}`)},
	}}
	for n := 1; n <= versions; n++ {
		doc := put(snapshot.File{
			Path: snapshot.VersionFile(at, int64(n)), Request: fmt.Sprintf("/cloudlets/api/v2/policies/7/versions/%d", n), Listed: "l", Rules: 1,
		}, fmt.Sprintf(`{"version":%d,"matchRules":[{}]}`, n))
		f, err := w.PutSheet(snapshot.File{Path: snapshot.SheetFile(at, int64(n))}, []byte(sheetText))
		if err != nil || f.Size != int64(len(sheetText)) {
			t.Fatalf("PutSheet: %+v, %v", f, err)
		}
		item := snapshot.Item{Files: []snapshot.File{doc, f}}
		if n <= lossy {
			item.Lossy = &snapshot.Lossy{Item: fmt.Sprint("version ", n), Count: 3, Lost: []string{"a <b>", `c"`}}
		}
		items = append(items, item)
	}
	m, err := w.Finish(snapshot.Manifest{Complete: true, Options: json.RawMessage(`{"csv":true}`)}, func(yield func(snapshot.Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func TestSheets(t *testing.T) {
	dir, m := writeSheets(t, 3, 0)
	if c := m.Counts; c.Policies != 1 || c.Versions != 3 || c.Rules != 3 || c.Sheets != 3 || c.Files != 8 || c.Lossy != 0 || m.Lossy != nil {
		t.Errorf("counts %+v, lossy %v", c, m.Lossy)
	}
	if found := problems(t, dir); len(found) > 0 {
		t.Errorf("a new snapshot has problems: %v", found)
	}
	s, err := snapshot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text, err := s.Read(sheetPath); err != nil || string(text) != sheetText {
		t.Errorf("the sheet is %q, %v", text, err)
	}
	for key, f := range s.Versions() {
		if !strings.HasSuffix(f.Path, ".json") {
			t.Errorf("version %s is %s", key, f.Path)
		}
	}
	list, err := s.Get(t.Context(), cloudlet.V2.Versions(7, true))
	var elements []struct{ Version int }
	if jsonErr := json.Unmarshal(list, &elements); err != nil || jsonErr != nil || len(elements) != 3 || elements[2].Version != 3 {
		t.Errorf("the list of versions is %s, %v", list, errors.Join(err, jsonErr))
	}
	if manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json")); err != nil || strings.Contains(string(manifest), "lossy") {
		t.Errorf("manifest %s, %v", manifest, err)
	}
	if got := snapshot.KeyOf(sheetPath); got != "legacy/7/versions/2" {
		t.Errorf("KeyOf(%s) = %s", sheetPath, got)
	}
}

// TestSheetDamage: every bit of a sheet counts, and one that is missing, extra or renamed is named.
func TestSheetDamage(t *testing.T) {
	dir, _ := writeSheets(t, 2, 1)
	path := filepath.Join(dir, sheetPath)
	for at := range sheetText {
		for bit := range 8 {
			damaged := []byte(sheetText)
			damaged[at] ^= 1 << bit
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if found := problems(t, dir); len(found) != 1 || found[0].Kind != "changed" || found[0].Path != sheetPath {
				t.Fatalf("bit %d of byte %d: %v", bit, at, found)
			}
		}
	}
	extra := "legacy/7_er/versions/3.csv"
	for _, c := range []struct {
		damage     func() error
		kind, path string
	}{
		{func() error { return os.Remove(path) }, "missing", sheetPath},
		{func() error { return os.WriteFile(filepath.Join(dir, extra), []byte("x"), 0o600) }, "extra", extra},
	} {
		if err := os.WriteFile(path, []byte(sheetText), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		if found := problems(t, dir); len(found) != 1 || found[0].Kind != c.kind || found[0].Path != c.path {
			t.Errorf("found %v, want one %s of %s", found, c.kind, c.path)
		}
	}
}

func TestLossyInTheManifest(t *testing.T) {
	const versions, lossy = 40, 30
	dir, m := writeSheets(t, versions, lossy)
	if m.Counts.Lossy != lossy || m.Counts.Lost != 3*lossy || len(m.Lossy) != snapshot.LossyShown {
		t.Errorf("counts %+v, %d lossy", m.Counts, len(m.Lossy))
	}
	s, err := snapshot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Manifest.Counts != m.Counts || len(s.Manifest.Lossy) != lossy || len(s.Manifest.Files) != 2*versions+2 {
		t.Errorf("read back: counts %+v, %d lossy", s.Manifest.Counts, len(s.Manifest.Lossy))
	}
	for i, l := range s.Manifest.Lossy {
		if l.Item != fmt.Sprint("version ", i+1) || l.Count != 3 || !slices.Equal(l.Lost, []string{"a <b>", `c"`}) {
			t.Errorf("lossy %d is %+v", i, l)
		}
	}
}

// TestSheetsAreSwept: sheets that no item names go when a snapshot is finished or cleared; files of others stay.
func TestSheetsAreSwept(t *testing.T) {
	dir, _ := writeSheets(t, 2, 0)
	for _, name := range []string{"legacy/7_er/versions/mine.csv", "mine.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := durable.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	none := func(func(snapshot.Item, error) bool) {}
	if _, err := snapshot.NewWriter(folder, true).Finish(snapshot.Manifest{Complete: true}, none); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, sheetPath)); !os.IsNotExist(err) {
		t.Errorf("the sheet stays: %v", err)
	}
	again, _ := writeSheets(t, 2, 0)
	other, err := durable.Open(again)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := snapshot.Clear(other); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, again); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if left := tree(t, dir); len(left) != 4 { // manifest, index and the two that are not ours
		t.Errorf("left: %v", left)
	}
}
