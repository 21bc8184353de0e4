package convert_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/sheet"
)

// tester is what *testing.T, *testing.F, *testing.B and *rapid.T share.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Fatal(args ...any)
	Errorf(format string, args ...any)
}

// outcome is what a conversion came to. Without an error, and after a failed proof, there is a folder.
type outcome struct {
	convert.Result
	Dir string
	Err error
}

func nothing(*convert.Options) {}

// converted converts sheets and must not fail.
func converted(t *testing.T, mutate func(*convert.Options), sheets ...string) outcome {
	t.Helper()
	out := attempt(t.Context(), t, filepath.Join(t.TempDir(), "out"), mutate, sheets...)
	if out.Err != nil {
		t.Fatalf("converting %q: %v", short(strings.Join(sheets, "---\n")), out.Err)
	}
	return out
}

// refused converts sheets that cannot be converted, and gives the sentence that says why.
func refused(t *testing.T, mutate func(*convert.Options), sheets ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	out := attempt(t.Context(), t, dir, mutate, sheets...)
	if !errors.Is(out.Err, convert.ErrInput) {
		t.Fatalf("converting %q: %v, want an ErrInput", short(strings.Join(sheets, "---\n")), out.Err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a refused conversion left %s: %v", dir, err)
	}
	return out.Err.Error()
}

// attempt converts sheets into the folder dir. Beside it, it leaves the sheets.
func attempt(ctx context.Context, t tester, dir string, mutate func(*convert.Options), sheets ...string) outcome {
	t.Helper()
	var open []convert.Sheet
	for i, text := range sheets {
		name := "sheet.csv"
		if len(sheets) > 1 {
			name = fmt.Sprintf("sheet%d.csv", i+1)
		}
		path := dir + "." + name
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := sheet.Open(ctx, path, sheet.Options{TempDir: filepath.Dir(dir)})
		if err != nil {
			return outcome{Err: err}
		}
		defer func() { _ = r.Close() }()
		open = append(open, convert.Sheet{Name: name, Reader: r})
	}
	out, err := chunkset.Create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	mutate(&o)
	result, err := convert.Run(ctx, open, out, o)
	if err != nil && !errors.Is(err, convert.ErrUnproved) {
		if err := out.Abort(); err != nil {
			t.Fatal(err)
		}
		return outcome{Result: result, Err: err}
	}
	if end := out.Finish(); end != nil {
		t.Fatalf("finish the folder: %v", end)
	}
	return outcome{result, dir, err}
}

// options are those of the command line where it says nothing.
func options() convert.Options {
	return convert.Options{
		Name: "test", API: "v3", Status: 301, Scheme: convert.SchemeDrop, Wildcards: convert.WildcardsTrailing,
		Fragment: convert.FragmentReject, Slash: convert.SlashExact, Query: convert.QueryDrop, Relative: convert.RelativeURL,
		Duplicates: convert.DuplicatesFirst, Order: convert.OrderSheet, Split: convert.SplitAuto, Fill: 0.8,
		MaxRules: chunkset.MaxRules, MaxBytes: chunkset.MaxBytes, Workers: 4,
	}
}

// open opens the folder.
func (o outcome) open(t tester) *chunkset.Set {
	t.Helper()
	set, err := chunkset.Open(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// bodies are the bodies of all chunks, in order.
func (o outcome) bodies(t tester) []chunkset.Body {
	t.Helper()
	set := o.open(t)
	defer func() { _ = set.Close() }()
	var all []chunkset.Body
	for _, c := range set.Dispatch.Chunks {
		b, err := set.Chunk(c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// rules are the rules of all chunks, one after another.
func (o outcome) rules(t tester) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	for _, b := range o.bodies(t) {
		all = append(all, b.Rules...)
	}
	return all
}

// rejected is rejected.csv; empty when there is none.
func (o outcome) rejected(t tester) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(o.Dir, chunkset.RejectedFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(doc)
}

// files are all files of the folder, by name.
func (o outcome) files(t tester) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		doc, err := os.ReadFile(filepath.Join(o.Dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(doc)
	}
	return all
}

// codes are the problems as "line code", in order; those of whole sheets are left out.
func (o outcome) codes() []string {
	list := []string{}
	for _, p := range o.Report.Problems {
		if p.Line > 0 {
			list = append(list, fmt.Sprintf("%d %s", p.Line, p.Code))
		}
	}
	return list
}

func wantCodes(t tester, o outcome, want ...string) {
	t.Helper()
	if got := o.codes(); !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func wantRows(t tester, o outcome, converted, duplicates, rejected int) {
	t.Helper()
	r := o.Report.Rows
	if r.Read != converted+duplicates+rejected || r.Converted != converted || r.Duplicates != duplicates || r.Rejected != rejected {
		t.Errorf("rows: %+v, want %d converted, %d duplicates, %d rejected", r, converted, duplicates, rejected)
	}
}

// wantSame compares two folders file by file.
func wantSame(t tester, what string, a, b outcome) {
	t.Helper()
	one, two := a.files(t), b.files(t)
	for _, name := range slices.Sorted(maps.Keys(one)) {
		if one[name] != two[name] {
			t.Errorf("%s: %s differs:\n%s\nand\n%s", what, name, short(one[name]), short(two[name]))
		}
	}
	if len(one) != len(two) {
		t.Errorf("%s: %d files and %d", what, len(one), len(two))
	}
}

func short(text string) string {
	if len(text) > 3000 {
		return text[:3000] + "..."
	}
	return text
}
