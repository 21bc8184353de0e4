package durable

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
)

// blockSize is how much is handed to the file and the hash at once.
const blockSize = 64 << 10

// Write makes name a file with what fill writes, and gives its size and SHA-256. Missing folders are made. The content
// is on disk when Write returns; the name survives a power failure only after Sync. On any error, and when fill panics,
// name is what it was before and no other file is left.
func (f *Folder) Write(name string, fill func(io.Writer) error) (size int64, sum [sha256.Size]byte, err error) {
	if err := check("write", name); err != nil {
		return 0, sum, err
	}
	if IsTemp(name) {
		return 0, sum, fmt.Errorf("write %q: names that begin with %s are taken: %w", name, tempPrefix, fs.ErrInvalid)
	}
	dir, err := f.parent(name)
	if err != nil {
		return 0, sum, fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { _ = dir.Close() }() // nothing is written through it
	temp, file, err := f.createTemp(dir, name)
	if err != nil {
		return 0, sum, fmt.Errorf("write %s: %w", name, err)
	}
	renamed := false
	defer func() {
		if renamed {
			return
		}
		_ = file.Close() // a second close does no harm
		if rm := dir.Remove(temp); rm != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", temp, rm))
		}
	}()
	b := &block{f: f, name: name, file: file, hash: sha256.New()}
	if err := f.fillBlocks(b, fill); err != nil {
		return 0, sum, fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.finish(dir, name, temp, file); err != nil {
		return 0, sum, fmt.Errorf("write %s: %w", name, err)
	}
	renamed = true
	return b.size, [sha256.Size]byte(b.hash.Sum(nil)), nil
}

// WriteFile makes name a file with that content, as Write does.
func (f *Folder) WriteFile(name string, data []byte) error {
	_, _, err := f.Write(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return err
}

// parent opens the folder that name is to be in, and makes it where it is missing. Opening it once is cheaper than
// finding the way to it again for every step of a write.
func (f *Folder) parent(name string) (*os.Root, error) {
	at := path.Dir(name)
	dir, err := f.root.OpenRoot(at)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := f.fault(OpMkdir, at); err != nil {
		return nil, err
	}
	if err := f.root.MkdirAll(at, f.dir); err != nil {
		return nil, err
	}
	return f.root.OpenRoot(at)
}

// createTemp opens a new file in dir, in which name is to be.
func (f *Folder) createTemp(dir *os.Root, name string) (string, *os.File, error) {
	for {
		temp := tempPrefix + strconv.FormatUint(rand.Uint64(), 36)
		if err := f.fault(OpCreate, name); err != nil {
			return "", nil, err
		}
		file, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.file)
		if !errors.Is(err, fs.ErrExist) { // another writer may have taken the name
			return temp, file, err
		}
	}
}

func (f *Folder) fillBlocks(b *block, fill func(io.Writer) error) error {
	w, ok := f.buffers.Get().(*bufio.Writer)
	if !ok {
		w = bufio.NewWriterSize(nil, blockSize)
	}
	w.Reset(b)
	defer func() {
		w.Reset(nil)
		f.buffers.Put(w)
	}()
	if err := fill(w); err != nil {
		return err
	}
	return w.Flush()
}

func (f *Folder) finish(dir *os.Root, name, temp string, file *os.File) error {
	if err := f.fault(OpSync, name); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := f.fault(OpClose, name); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := f.fault(OpRename, name); err != nil {
		return err
	}
	return dir.Rename(temp, path.Base(name))
}

// block is the file under the buffer: it hashes and counts what goes through.
type block struct {
	f    *Folder
	name string
	file *os.File
	hash hash.Hash
	size int64
}

func (b *block) Write(p []byte) (int, error) {
	if err := b.f.fault(OpWrite, b.name); err != nil {
		n, _ := b.file.Write(p[:len(p)/2]) // a full disk takes a part
		return n, err
	}
	n, err := b.file.Write(p)
	b.hash.Write(p[:n])
	b.size += int64(n)
	return n, err
}
