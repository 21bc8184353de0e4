package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// Files gives the names of all regular files, temp files of a killed writer included, in ascending byte order. A name
// that is neither file nor folder comes with ErrNotRegular, and the walk goes on; after any other error it ends.
func (f *Folder) Files() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { f.walk(".", yield) }
}

func (f *Folder) walk(dir string, yield func(string, error) bool) bool {
	entries, err := f.entries(dir)
	if err != nil {
		yield(dir, err)
		return false
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		goOn := false
		switch {
		case e.IsDir():
			goOn = f.walk(name, yield)
		case e.Type().IsRegular():
			goOn = yield(name, nil)
		default:
			goOn = yield(name, fmt.Errorf("%s: %w", name, ErrNotRegular))
		}
		if !goOn {
			return false
		}
	}
	return true
}

// entries are those of one folder, ordered so that the whole paths of a walk come out in byte order: a folder sorts
// with the slash that follows its name.
func (f *Folder) entries(dir string) ([]fs.DirEntry, error) {
	d, err := f.root.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	defer func() { _ = d.Close() }()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("list folder: %w", err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	return entries, nil
}

func sortKey(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

// Sweep removes the temp files that killed writers left and says how many there were. No Write may be under way.
func (f *Folder) Sweep() (int, error) {
	removed := 0
	for name, err := range f.Files() {
		if errors.Is(err, ErrNotRegular) {
			continue
		}
		if err != nil {
			return removed, err
		}
		if !IsTemp(name) {
			continue
		}
		if err := f.fault(OpRemove, name); err != nil {
			return removed, err
		}
		if err := f.root.Remove(name); err != nil {
			return removed, fmt.Errorf("sweep: %w", err)
		}
		removed++
	}
	return removed, nil
}

// SweepFolders removes, of the folders named and those below them, the ones in which there is no file. No Write may be
// under way.
func (f *Folder) SweepFolders(names ...string) error {
	var dirs []string
	for _, top := range names {
		err := fs.WalkDir(f.root.FS(), top, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == top {
				return nil
			}
			if err == nil && d.IsDir() {
				dirs = append(dirs, name)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep folders: %w", err)
		}
	}
	for _, dir := range slices.Backward(dirs) { // deepest first
		entries, err := f.entries(dir)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			continue
		}
		if err := f.Remove(dir); err != nil {
			return fmt.Errorf("sweep folders: %w", err)
		}
	}
	return nil
}
