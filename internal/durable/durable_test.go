package durable_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cloudletmig/internal/durable"
)

func create(t *testing.T, opts ...durable.Option) *durable.Folder {
	t.Helper()
	f, err := durable.Create(filepath.Join(t.TempDir(), "top"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func names(t *testing.T, f *durable.Folder) []string {
	t.Helper()
	var list []string
	for name, err := range f.Files() {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
	return list
}

func TestWrite(t *testing.T) {
	f := create(t)
	big := strings.Repeat("0123456789", 50_000)
	for _, content := range []string{"first", "", big, "x" + big, "last"} {
		size, sum, err := f.Write("a/b/c.json", text(content))
		if err != nil {
			t.Fatal(err)
		}
		if size != int64(len(content)) || sum != sha256.Sum256([]byte(content)) {
			t.Errorf("Write of %d bytes gave size %d, sum %x", len(content), size, sum)
		}
		got, err := f.ReadFile("a/b/c.json")
		if err != nil || string(got) != content {
			t.Errorf("read back %d bytes of %d, error %v", len(got), len(content), err)
		}
		size, again, err := f.Sum("a/b/c.json")
		if err != nil || size != int64(len(content)) || again != sum {
			t.Errorf("Sum is %d, %x, %v", size, again, err)
		}
	}
	if got := names(t, f); !slices.Equal(got, []string{"a/b/c.json"}) {
		t.Errorf("files are %q", got)
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		opts      []durable.Option
		file, dir fs.FileMode
	}{{nil, 0o644, 0o755}, {[]durable.Option{durable.Private()}, 0o600, 0o700}} {
		f := create(t, c.opts...)
		if err := f.WriteFile("sub/file", []byte("x")); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{"sub": c.dir, "sub/file": c.file} {
			info, err := f.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got&^want != 0 || got&0o700 != want&0o700 {
				t.Errorf("%s has mode %o, want %o less the umask", name, got, want)
			}
		}
	}
}

// TestFaults fails every step of a write in turn. What the name had before is there after, and nothing else.
func TestFaults(t *testing.T) {
	for _, op := range []durable.Op{durable.OpMkdir, durable.OpCreate, durable.OpWrite, durable.OpSync, durable.OpClose, durable.OpRename} {
		for _, before := range []string{"", "what was there"} {
			for nth := 1; nth <= 2; nth++ {
				if nth == 2 && op != durable.OpWrite {
					continue
				}
				t.Run(fmt.Sprintf("%s %d over %q", op, nth, before), func(t *testing.T) {
					failing, left := false, nth
					f := create(t, durable.WithFaults(func(at durable.Op, _ string) error {
						if !failing || at != op {
							return nil
						}
						if left--; left == 0 {
							return syscall.ENOSPC
						}
						return nil
					}))
					name := "a/file"
					if op == durable.OpMkdir {
						name = "new/file"
					}
					var want []string
					if before != "" && op != durable.OpMkdir {
						if err := f.WriteFile(name, []byte(before)); err != nil {
							t.Fatal(err)
						}
						want = []string{name}
					}
					failing = true
					_, _, err := f.Write(name, text(strings.Repeat("x", 200_000)))
					if !errors.Is(err, syscall.ENOSPC) {
						t.Errorf("error is %v, want a full disk", err)
					}
					failing = false
					if got := names(t, f); !slices.Equal(got, want) {
						t.Errorf("files are %q, want %q", got, want)
					}
					if want != nil {
						if got, err := f.ReadFile(name); err != nil || string(got) != before {
							t.Errorf("%s is now %q, error %v", name, got, err)
						}
					}
					if err := f.WriteFile(name, []byte("after")); err != nil {
						t.Errorf("write once there is room again: %v", err)
					}
				})
			}
		}
	}
}

func TestFillFails(t *testing.T) {
	f := create(t)
	broken := errors.New("connection reset")
	_, _, err := f.Write("file", func(w io.Writer) error {
		if err := text(strings.Repeat("x", 100_000))(w); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic got lost")
			}
		}()
		_, _, _ = f.Write("file", func(io.Writer) error { panic("in fill") })
	}()
	if got := names(t, f); got != nil {
		t.Errorf("files are %q", got)
	}
}

func TestNamesStayInside(t *testing.T) {
	f := create(t)
	outside := filepath.Dir(f.Path())
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"up": "..", "abs": outside, "file": "../secret"} {
		if err := os.Symlink(to, filepath.Join(f.Path(), link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"", ".", "..", "../x", "a/../../x", "a/../b", "/etc/x", "a//b", "./a", "a/", "up/x", "up/secret", "abs/x", "abs/secret",
		"bad\x00name", "not\xffutf8", ".tmp-mine", "a/.tmp-mine",
	} {
		if _, _, err := f.Write(name, text("x")); err == nil {
			t.Errorf("Write(%q) was let through", name)
		}
	}
	for _, name := range []string{"../secret", "up/secret", "abs/secret", "file", "up", "/etc/passwd"} {
		if _, err := f.ReadFile(name); err == nil {
			t.Errorf("ReadFile(%q) was let through", name)
		}
	}
	for _, name := range []string{"../secret", "up/secret", "abs/secret", "."} {
		if err := errors.Join(f.RemoveAll(name), f.Remove(name)); err == nil {
			t.Errorf("removing %q was let through", name)
		}
	}
	if got, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(got) != "s" {
		t.Errorf("the file outside is %q, %v", got, err)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 2 {
		t.Errorf("outside are now %v, %v", entries, err)
	}
	// A link that is the target itself is replaced, not followed.
	if err := f.WriteFile("file", []byte("mine")); err != nil {
		t.Error(err)
	}
	if got, err := f.ReadFile("file"); err != nil || string(got) != "mine" {
		t.Errorf("file is %q, %v", got, err)
	}
}

// recorder counts the folders synced.
type recorder struct {
	mu   sync.Mutex
	dirs []string
	fail string
}

func (r *recorder) hook(op durable.Op, name string) error {
	if op != durable.OpSyncDir {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if name == r.fail {
		return syscall.EIO
	}
	r.dirs = append(r.dirs, name)
	return nil
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	dirs := r.dirs
	r.dirs = nil
	return dirs
}

func TestSyncEachFolderOnce(t *testing.T) {
	var r recorder
	f := create(t, durable.WithFaults(r.hook))
	write := func(list ...string) []string {
		for _, name := range list {
			if err := f.WriteFile(name, []byte(name)); err != nil {
				t.Fatal(err)
			}
		}
		return list
	}
	sync := func(want []string, list ...string) {
		t.Helper()
		err := f.Sync(write(list...)...)
		if got := r.take(); err != nil || !slices.Equal(got, want) {
			t.Errorf("synced %q, want %q, error %v", got, want, err)
		}
	}
	if got := r.take(); got != nil {
		t.Errorf("a write alone synced %q", got)
	}
	sync([]string{"a/b", "a", ".", ".."}, "a/b/1", "a/b/2", "a/3") // new folders: all that lead there
	sync([]string{"a/b"}, "a/b/4")                                 // known ones: only the folder itself
	sync([]string{"a/c", "a"}, "a/c/1", "a/c/2")
	sync([]string{"."}, "top")
	sync(nil)
	r.fail = "n"
	if err := f.Sync(write("n/m/1")...); !errors.Is(err, syscall.EIO) {
		t.Errorf("error is %v", err)
	}
	r.take()
	r.fail = ""
	sync([]string{"n/m", "n", "."}, "n/m/1") // what failed is not taken for done
	if err := f.RemoveAll("a"); err != nil {
		t.Fatal(err)
	}
	sync([]string{"a/b", "a", "."}, "a/b/1") // made anew
	if err := f.Sync("../x"); err == nil {
		t.Error("Sync of a name outside was let through")
	}
}

func TestFilesInByteOrder(t *testing.T) {
	f := create(t)
	want := []string{"A", "a-b", "a.json", "a/b", "a/b.c/d", "a/b/c", "a0", "é"}
	want = slices.Sorted(slices.Values(slices.DeleteFunc(want, func(s string) bool { return s == "a/b" })))
	for _, name := range want {
		if err := f.WriteFile(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, f); !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
	for name, err := range f.Files() {
		if err != nil || name == "a.json" {
			break // the walk can be left
		}
	}
	if err := os.Symlink("A", filepath.Join(f.Path(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(f.Path(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	strange := 0
	for name, err := range f.Files() {
		if errors.Is(err, durable.ErrNotRegular) {
			strange++
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strange != 2 {
		t.Errorf("%d names are said to be no regular files, want 2", strange)
	}
	if _, err := f.Open("pipe"); !errors.Is(err, durable.ErrNotRegular) { // and does not wait for a writer
		t.Errorf("Open of a pipe: %v", err)
	}
}

func TestSweep(t *testing.T) {
	f := create(t)
	if err := f.WriteFile("a/keep", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".tmp-1", "a/.tmp-zz"} { // as a killed writer leaves them
		if err := os.WriteFile(filepath.Join(f.Path(), name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.Sweep(); n != 2 || err != nil {
		t.Errorf("Sweep removed %d, %v", n, err)
	}
	if got := names(t, f); !slices.Equal(got, []string{"a/keep"}) {
		t.Errorf("files are %q", got)
	}
}

func TestConcurrentWriters(t *testing.T) {
	f := create(t)
	contents := make([][]byte, 8)
	for i := range contents {
		contents[i] = bytes.Repeat([]byte{byte('a' + i)}, 100_000)
	}
	var wg sync.WaitGroup
	for i, content := range contents {
		wg.Go(func() {
			for k := range 5 {
				own := fmt.Sprintf("dir%d/%d/own", k, i)
				for _, name := range []string{"shared/one", own} {
					if err := f.WriteFile(name, content); err != nil {
						t.Error(err)
					}
				}
				if err := f.Sync("shared/one", own); err != nil {
					t.Error(err)
				}
				got, err := f.ReadFile("shared/one")
				if err != nil || len(got) != 100_000 || bytes.Count(got, got[:1]) != len(got) {
					t.Errorf("a reader saw %d bytes of several writers, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if got := names(t, f); len(got) != 41 {
		t.Errorf("%d files, want 41: %q", len(got), got)
	}
}

func TestRename(t *testing.T) {
	top := t.TempDir()
	from, to := filepath.Join(top, "run.partial"), filepath.Join(top, "run")
	f, err := durable.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.WriteFile("a/file", []byte("x")); err != nil {
		t.Fatal(err)
	}
	full := durable.WithFaults(func(op durable.Op, _ string) error {
		if op == durable.OpRename {
			return syscall.ENOSPC
		}
		return nil
	})
	if err := durable.Rename(from, to, full); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error is %v", err)
	}
	for _, taken := range []string{"empty", "file"} {
		path := filepath.Join(top, taken)
		if taken == "empty" {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := durable.Rename(from, path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("rename onto %s: %v", taken, err)
		}
	}
	if err := durable.Rename(filepath.Join(top, "file"), to); err == nil {
		t.Error("a file was renamed as a folder")
	}
	if err := durable.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(to, "a", "file")); err != nil || string(got) != "x" {
		t.Errorf("after the rename: %q, %v", got, err)
	}
	if _, err := os.Lstat(from); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
	if err := f.WriteFile("later", []byte("y")); err != nil { // the Folder goes with it
		t.Error(err)
	}
}

func TestOpenAndCreate(t *testing.T) {
	top := t.TempDir()
	if _, err := durable.Open(filepath.Join(top, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of a missing folder: %v", err)
	}
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if _, err := durable.Create(path); err == nil {
			t.Errorf("create of %s over a file was let through", path)
		}
	}
	var r recorder
	f, err := durable.Create(filepath.Join(top, "x", "y", "z"), durable.WithFaults(r.hook))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := errors.Join(f.WriteFile("one", nil), f.Sync("one"), f.Remove("one"), f.Sync("one")); err != nil {
		t.Error(err)
	}
	if got := r.take(); !slices.Equal(got, []string{".", "..", "."}) {
		t.Errorf("synced %q", got)
	}
	if err := f.Remove("one"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove of what is gone: %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{4 << 10, 256 << 10} {
		content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		for _, writers := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%dKiB/%dwriters", size>>10, writers), func(b *testing.B) {
				f, err := durable.Create(filepath.Join(b.TempDir(), "top"))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				var wg sync.WaitGroup
				b.ResetTimer()
				for w := range writers {
					wg.Go(func() {
						for i := w; i < b.N; i += writers {
							if err := f.WriteFile(fmt.Sprintf("policy%d/%d.json", i/10%200, i), content); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
			})
		}
	}
}
