package chunkset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cloudletmig/internal/durable"
)

// Finish gives the folder its place. The dispatch must have been written, and the chunks that it names, and no others.
// On an error dir is what it was, and what was written is gone, unless the error says that only the earlier folder,
// whose path it names, could not be removed.
func (w *Writer) Finish() error {
	if w.ended {
		return errors.New("finish folder: it has ended already")
	}
	if err := w.seal(); err != nil {
		return errors.Join(fmt.Errorf("finish folder: %w", err), w.Abort())
	}
	old, err := w.swap()
	if err != nil {
		return errors.Join(fmt.Errorf("finish folder: %w", err), w.Abort())
	}
	w.ended = true
	if old == "" {
		return nil
	}
	if err := w.removeOld(old); err != nil {
		return fmt.Errorf("%s is complete; remove the earlier folder %s: %w", w.dir, old, err)
	}
	return nil
}

// seal makes all that was written durable.
func (w *Writer) seal() error {
	if err := w.complete(); err != nil {
		return err
	}
	if err := w.folder.RemoveAll(spool); err != nil {
		return err
	}
	if err := w.folder.Sync(append(w.written(), spool)...); err != nil {
		return err
	}
	return w.folder.Close() // some systems rename no folder that is open
}

// complete sees to it that the chunks of the dispatch are those that were written.
func (w *Writer) complete() error {
	d, err := readDispatch(w.folder)
	if err != nil {
		return err
	}
	named := map[string]bool{DispatchFile: true, PropertyFile: true, ReportFile: true}
	for _, c := range d.Chunks {
		named[c.File] = true
		if !w.names[c.File] {
			return fmt.Errorf("%s names %s, which was not written", DispatchFile, c.File)
		}
	}
	for _, name := range w.written() {
		if strings.HasSuffix(name, ".json") && !named[name] {
			return fmt.Errorf("%s was written, and %s does not name it", name, DispatchFile)
		}
	}
	return nil
}

func (w *Writer) written() []string {
	names := make([]string, 0, len(w.names))
	for name := range w.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// swap puts the new folder in the place of dir and says where the earlier one is now, if there was one.
func (w *Writer) swap() (old string, err error) {
	there, err := look(w.dir, w.force)
	if err != nil {
		return "", err
	}
	if !there {
		return "", w.rename(w.temp, w.dir)
	}
	if info, err := os.Stat(w.dir); err == nil {
		_ = os.Chmod(w.temp, info.Mode().Perm()|0o700) // who could read it can, and nobody else
	}
	old = aside(w.dir, "old")
	if err := w.rename(w.dir, old); err != nil {
		return "", err
	}
	// Nobody finds it under its name any more, so that what is said of it now stays true.
	if _, err = look(old, w.force); err == nil {
		err = w.rename(w.temp, w.dir)
	}
	if err != nil {
		if back := os.Rename(old, w.dir); back != nil {
			return "", errors.Join(err, fmt.Errorf("put the earlier folder back: %w", back))
		}
		return "", err
	}
	return old, nil
}

// rename moves a folder, durably; on an error it is where it was.
func (w *Writer) rename(from, to string) error {
	err := durable.Rename(from, to, w.opts...)
	if err == nil {
		return nil
	}
	if _, gone := os.Lstat(from); errors.Is(gone, fs.ErrNotExist) { // moved, but not durably
		if back := os.Rename(to, from); back != nil {
			return errors.Join(err, fmt.Errorf("move it back: %w", back))
		}
	}
	return err
}

func (w *Writer) removeOld(old string) error {
	above, err := durable.Open(filepath.Dir(old), w.opts...)
	if err != nil {
		return err
	}
	defer func() { _ = above.Close() }() // nothing is written through it
	if !w.force {                        // it was empty, and stays if it is so no more
		return above.Remove(filepath.Base(old))
	}
	return above.RemoveAll(filepath.Base(old))
}

// Abort removes what was written; dir is what it was. After Finish, or another Abort, it does nothing.
func (w *Writer) Abort() error {
	if w.ended {
		return nil
	}
	w.ended = true
	if w.folder != nil {
		_ = w.folder.Close() // a second close does no harm
	}
	if err := os.RemoveAll(w.temp); err != nil {
		return fmt.Errorf("remove unfinished folder: %w", err)
	}
	for _, dir := range w.made {
		_ = os.Remove(dir) // unless someone else uses it
	}
	return nil
}
