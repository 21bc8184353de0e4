package chunkset_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
)

// list gives rules as a writer takes them.
func list(rules ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, rule := range rules {
			if !yield([]byte(rule), nil) {
				return
			}
		}
	}
}

// fill writes a whole folder: a hash set of n chunks, whose rules say text.
func fill(w *chunkset.Writer, n int, text string) error {
	d := chunkset.Dispatch{Kind: chunkset.Hash, Name: "shop", N: n, Key: chunkset.PathKey, Fill: 0.8}
	for i := range n {
		c := chunk(i+1, i, n, false)
		if _, err := w.Chunk(c.File, "made for a test", list(`{"name":"`+text+`"}`)); err != nil {
			return err
		}
		d.Chunks = append(d.Chunks, c)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(w.TempDir(), "spooled"), []byte("x"), 0o600),
		w.JSON(chunkset.DispatchFile, d),
		w.JSON(chunkset.ReportFile, chunkset.Report{}),
		w.File(chunkset.PropertyFile, func(to io.Writer) error {
			_, err := to.Write(chunkset.PropertyRules(d, cloudlet.V3))
			return err
		}),
	)
}

// convert makes a folder in the place of dir.
func convert(dir string, force bool, text string, opts ...durable.Option) error {
	w, err := chunkset.Create(dir, force, opts...)
	if err != nil {
		return err
	}
	if err := fill(w, 2, text); err != nil {
		return errors.Join(err, w.Abort())
	}
	err = w.Finish()
	if again := w.Abort(); again != nil {
		return again
	}
	return err
}

// tree is all that is below dir: files with their content, folders.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[name] = "a folder"
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			all[name] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "too", "out")
	w, err := chunkset.Create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(w, 2, "a<&>b"); err != nil {
		t.Fatal(err)
	}
	written, err := w.Chunk("shop_001.json", `say "<hi>"`, list("{\n \"a\" : [1, 2.50] }", `{"b":" "}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Chunk("shop_002.json", "", list()); err != nil {
		t.Fatal(err)
	}
	text, err := w.Read("shop_001.json")
	if want := "{\"description\":\"say \\\"<hi>\\\"\",\"matchRules\":[\n{\"a\":[1,2.50]},\n{\"b\":\" \"}\n]}\n"; err != nil || string(text) != want {
		t.Errorf("chunk is %s, %v; want %s", text, err, want)
	}
	sum := sha256.Sum256(text)
	want := chunkset.Written{Rules: 2, Bytes: int64(chunkset.BodyOverhead + len(`{"a":[1,2.50]},{"b":" "}`)), SHA256: hex.EncodeToString(sum[:])}
	if written != want {
		t.Errorf("written %+v, want %+v", written, want)
	}
	if empty, err := w.Read("shop_002.json"); err != nil || string(empty) != `{"description":"","matchRules":[]}`+"\n" {
		t.Errorf("empty chunk is %s, %v", empty, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there before Finish: %v", err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if err := w.Finish(); err == nil {
		t.Error("finished twice")
	}
	names := slices.Sorted(maps.Keys(tree(t, filepath.Dir(dir))))
	if got := strings.Join(names, " "); got != ". out out/dispatch.json out/property-rules.json out/report.json out/shop_001.json out/shop_002.json" {
		t.Errorf("there is %s", got)
	}
	set, err := chunkset.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = set.Close() }()
	body, err := set.Chunk(set.Dispatch.Chunks[0])
	if got := string(body.Append(nil)); err != nil || got != `{"description":"say \"<hi>\"","matchRules":[{"a":[1,2.50]},{"b":" "}]}` {
		t.Errorf("body is %s, %v", got, err)
	}
	rules, err := set.Property()
	if err != nil || string(rules) != string(chunkset.PropertyRules(set.Dispatch, cloudlet.V3)) {
		t.Errorf("property rules: %v, or others than of the dispatch that was read", err)
	}
}

// TestFaults fails every step in turn: until the new folder has its place, dir is what it was, and nothing is beside it.
func TestFaults(t *testing.T) {
	starts := map[string]func(dir string) error{
		"absent":    func(string) error { return nil },
		"empty":     func(dir string) error { return os.Mkdir(dir, 0o750) },
		"converted": func(dir string) error { return convert(dir, false, "old") },
	}
	full := errors.New("disk is full")
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			seen := map[durable.Op]bool{}
			for failing := 0; ; failing++ {
				parent := t.TempDir()
				dir := filepath.Join(parent, "new", "out")
				if name != "absent" {
					dir = filepath.Join(parent, "out")
				}
				if err := start(dir); err != nil {
					t.Fatal(err)
				}
				before := tree(t, parent)
				step, last := 0, ""
				err := convert(dir, name == "converted", "new", durable.WithFaults(func(op durable.Op, at string) error {
					step++
					if step-1 != failing {
						return nil
					}
					seen[op] = true
					last = fmt.Sprint(op, " ", at)
					return full
				}))
				after := tree(t, parent)
				if err == nil {
					if step > failing {
						t.Fatalf("%s failed, and Finish says nothing", last)
					}
					break
				}
				if !errors.Is(err, full) {
					t.Fatalf("%s: %v", last, err)
				}
				if strings.HasPrefix(last, "remove out.old-") {
					if !strings.Contains(err.Error(), "is complete") || !strings.Contains(after["out/shop_001.json"], "new") {
						t.Errorf("%s: %v, and there is %v", last, err, after)
					}
				} else if !maps.Equal(before, after) {
					t.Errorf("%s: before %v, after %v", last, before, after)
				}
			}
			for _, op := range []durable.Op{durable.OpMkdir, durable.OpCreate, durable.OpWrite, durable.OpSync, durable.OpClose, durable.OpRename, durable.OpSyncDir, durable.OpRemove} {
				if !seen[op] {
					t.Errorf("no %s was failed", op)
				}
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	write := func(t *testing.T, name string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("mine"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name  string
		files []string
		force bool
		want  error
	}{
		{"not empty", []string{"dispatch.json"}, false, chunkset.ErrNotEmpty},
		{"foreign", []string{"letter.txt"}, true, chunkset.ErrForeign},
		{"holds a folder", []string{"dispatch.json", ".git/config"}, true, chunkset.ErrForeign},
		{"dispatch is a folder", []string{"dispatch.json/x"}, true, chunkset.ErrForeign},
		{"forced", []string{"dispatch.json", "shop_009.json"}, true, nil},
		{"forced and absent", nil, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			for _, file := range tt.files {
				write(t, filepath.Join(dir, file))
			}
			before := tree(t, parent)
			err := convert(dir, tt.force, "new")
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			after := tree(t, parent)
			if err != nil && !maps.Equal(before, after) {
				t.Errorf("before %v, after %v", before, after)
			}
			if err == nil && len(after) != 7 {
				t.Errorf("there is %v", after)
			}

			// The same, found only at Finish.
			dir = filepath.Join(parent, "later")
			w, err := chunkset.Create(dir, tt.force)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range tt.files {
				write(t, filepath.Join(dir, file))
			}
			if err := errors.Join(fill(w, 2, "new"), w.Finish()); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want != nil && len(tree(t, dir)) < len(tt.files) {
				t.Errorf("there is %v", tree(t, dir))
			}
			if left, _ := filepath.Glob(dir + ".*"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
	t.Run("a file", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "out")
		write(t, name)
		if _, err := chunkset.Create(name, true); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a link", func(t *testing.T) {
		parent := t.TempDir()
		dir, link := filepath.Join(parent, "out"), filepath.Join(parent, "link")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(dir, link), convert(link, false, "new")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 || len(tree(t, dir)) != 6 {
			t.Errorf("%v, %v, %v", info, err, tree(t, dir))
		}
	})
	t.Run("the current folder", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := convert(".", true, "new"); err == nil || !strings.Contains(err.Error(), "current folder") {
			t.Error(err)
		}
		if err := convert("new", false, "new"); err != nil {
			t.Error(err)
		}
	})
	t.Run("aborted", func(t *testing.T) {
		parent := t.TempDir()
		w, err := chunkset.Create(filepath.Join(parent, "a", "b", "out"), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fill(w, 2, "new"), w.Abort(), w.Abort()); err != nil {
			t.Error(err)
		}
		if left := tree(t, parent); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestIncomplete(t *testing.T) {
	for want, last := range map[string]func(w *chunkset.Writer) error{
		"no dispatch.json": func(w *chunkset.Writer) error { return nil },
		"names shop_001.json, which was not": func(w *chunkset.Writer) error {
			return w.JSON(chunkset.DispatchFile, dispatches()["single"])
		},
		"n is 2, and there are 1": func(w *chunkset.Writer) error {
			d := dispatches()["single"]
			d.N = 2
			return w.JSON(chunkset.DispatchFile, d)
		},
		"shop_003.json was written, and": func(w *chunkset.Writer) error {
			_, err := w.Chunk("shop_003.json", "", list())
			return errors.Join(fill(w, 2, "new"), err)
		},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		w, err := chunkset.Create(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := last(w); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if left := tree(t, filepath.Dir(dir)); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestLimits(t *testing.T) {
	w, err := chunkset.Create(filepath.Join(t.TempDir(), "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}()
	longest := strings.Repeat("😀", 255)
	sized := func(n int) string { return `{"a":"` + strings.Repeat("x", n-len(`{"a":""}`)) + `"}` }
	many := slices.Repeat([]string{"{}"}, chunkset.MaxRules)
	room := chunkset.MaxBytes - chunkset.BodyOverhead
	gone := errors.New("gone")
	for _, tt := range []struct {
		name, description string
		rules             iter.Seq2[[]byte, error]
		bytes             int
		want              string
	}{
		{"all bytes", longest, list(sized(room)), chunkset.MaxBytes, ""},
		{"all bytes in three rules", longest, list("{}", sized(room-6), "{}"), chunkset.MaxBytes, ""},
		{"all bytes but a description", "", list(sized(room)), chunkset.MaxBytes, ""},
		{"one byte more", longest, list(sized(room + 1)), 0, "5242881 bytes in one policy"},
		{"one byte more, and no description", "", list(sized(room-5), "{ }", "{}"), 0, "5242881 bytes in one policy"},
		{"all rules", "", list(many...), 0, ""},
		{"one rule more", "", list(append(many, "{}")...), 0, "more than 5000 rules"},
		{"long description", longest + "x", list(), 0, "description has 256 characters"},
		{"description longer in JSON", strings.Repeat("\x01", 255), list(), 0, "255 characters and 1530 bytes"},
		{"broken description", "\xff", list(), 0, "not UTF-8"},
		{"broken rule", "", list(`{}`, `{"a":}`), 0, "match rule 2 is not JSON"},
		{"no rule", "", list(`[]`), 0, "match rule 1 is no object"},
		{"failing list", "", func(yield func([]byte, error) bool) { yield(nil, gone) }, 0, "gone"},
	} {
		written, err := w.Chunk("shop_001.json", tt.description, tt.rules)
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "shop_001.json") {
				t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
			}
			continue
		}
		if err != nil || tt.bytes != 0 && written.Bytes != int64(tt.bytes) {
			t.Errorf("%s: %+v, %v", tt.name, written, err)
			continue
		}
		text, err := w.Read("shop_001.json")
		if err != nil {
			t.Fatal(err)
		}
		body, err := chunkset.ReadBody(text)
		if err != nil {
			t.Fatal(err)
		}
		body.Description = longest
		if n := len(body.Append(nil)); int64(n) != written.Bytes || len(body.Rules) != written.Rules {
			t.Errorf("%s: the body has %d bytes, and %+v was written", tt.name, n, written)
		}
	}
	for _, name := range []string{"", "..", ".spool", "../x", "a/b", `a\b`, "/x", "a b"} {
		if err := w.File(name, func(io.Writer) error { return nil }); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	parent := t.TempDir()
	for _, dir := range []string{"a", "b"} {
		w, err := chunkset.Create(filepath.Join(parent, dir), false)
		if err != nil {
			t.Fatal(err)
		}
		d := chunkset.Dispatch{Kind: chunkset.Hash, Name: "shop", N: 16, Key: chunkset.PathKey, Fill: 0.8}
		var all sync.WaitGroup
		for i := range d.N {
			c := chunk(i+1, i, d.N, false)
			d.Chunks = append(d.Chunks, c)
			all.Go(func() {
				if _, err := w.Chunk(c.File, c.Policy, list(`{"n":1}`, `{"n":2}`)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := errors.Join(w.JSON(chunkset.DispatchFile, d), w.Finish()); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := tree(t, filepath.Join(parent, "a")), tree(t, filepath.Join(parent, "b")); !maps.Equal(a, b) {
		t.Errorf("%v and %v differ", a, b)
	}
}
