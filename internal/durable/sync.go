package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Sync makes the names durable: it syncs the folder that each is in, every folder once, and where this Folder has not
// done so before, the folders above, up to the one that holds the top. A name that was removed is one too.
func (f *Folder) Sync(names ...string) error {
	if len(names) == 0 {
		return nil
	}
	dirs := map[string]bool{}
	var settle []string
	f.mu.Lock()
	for _, name := range names {
		if err := check("sync", name); err != nil {
			f.mu.Unlock()
			return err
		}
		dir := path.Dir(name)
		if dirs[dir] && dir != "." {
			continue // it and what is above are in already, or above is settled
		}
		dirs[dir] = true
		for ; dir != "." && !f.settled[dir]; dir = path.Dir(dir) {
			dirs[path.Dir(dir)] = true
			settle = append(settle, dir)
		}
	}
	above := f.above
	top := f.settled["."]
	f.mu.Unlock()

	for _, dir := range deepestFirst(dirs) {
		if err := f.syncDir(dir); err != nil {
			return err
		}
	}
	if !top {
		if err := f.syncAbove(above); err != nil {
			return err
		}
		settle = append(settle, ".")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, dir := range settle {
		f.settled[dir] = true
	}
	return nil
}

// deepestFirst orders folders so that each is durable before the name that leads to it.
func deepestFirst(dirs map[string]bool) []string {
	list := make([]string, 0, len(dirs))
	for dir := range dirs {
		list = append(list, dir)
	}
	slices.SortFunc(list, func(a, b string) int {
		if d := depth(b) - depth(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return list
}

func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

func (f *Folder) syncDir(dir string) error {
	if err := f.fault(OpSyncDir, dir); err != nil {
		return err
	}
	d, err := f.root.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return syncAndClose(d)
}

// syncAbove makes the top's own name durable. A top that was there before may have been made by a run that was killed,
// so the folder that holds it is synced in any case, if we may.
func (f *Folder) syncAbove(made []string) error {
	if err := f.fault(OpSyncDir, ".."); err != nil {
		return err
	}
	for _, dir := range made {
		if err := syncPath(dir); err != nil {
			return err
		}
	}
	if len(made) > 0 {
		return nil
	}
	if err := syncPath(filepath.Dir(f.path)); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unsettle forgets what was known of name and the folders below it.
func (f *Folder) unsettle(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := range f.settled {
		if dir == name || strings.HasPrefix(dir, name+"/") {
			delete(f.settled, dir)
		}
	}
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return syncAndClose(d)
}

func syncAndClose(d *os.File) error {
	defer func() { _ = d.Close() }()
	if runtime.GOOS == "windows" { // no fsync of folders there
		return nil
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// Rename gives the folder at from the path to, durably. It refuses a to that is there (fs.ErrExist). Sync what is in
// the folder before. A Folder that is open on from stays on it.
func Rename(from, to string, opts ...Option) error {
	info, err := os.Lstat(from)
	if err != nil {
		return fmt.Errorf("rename folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("rename %s: not a folder", from)
	}
	// Should to appear after this look, rename(2) still refuses anything but an empty folder.
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("rename %s: %s is there already: %w", from, to, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rename folder: %w", err)
	}
	o := newOptions(opts)
	if err := o.fault(OpRename, to); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename folder: %w", err)
	}
	dirs := []string{filepath.Dir(to), filepath.Dir(from)}
	for _, dir := range slices.Compact(dirs) {
		if err := o.fault(OpSyncDir, dir); err != nil {
			return err
		}
		if err := syncPath(dir); err != nil {
			return err
		}
	}
	return nil
}
