// Package durable writes files that appear whole or not at all and never outside their folder.
//
// A file is written beside its target, synced, and renamed over it; the name itself becomes durable with Sync, which
// callers can put off and do once for many files. Names are relative, with slashes; os.Root keeps them inside, symbolic
// links included.
package durable

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// ErrNotRegular is what Open and Files say of a name that is there and is no regular file: a link, a pipe, a device.
var ErrNotRegular = errors.New("not a regular file")

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".tmp-"

// IsTemp says whether name is one that Write uses for a file under way.
func IsTemp(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }

// Op names a step that can fail on its own; a fault hook is asked before each.
type Op string

// The steps, in the order in which Write, Sync and Rename come to them.
const (
	OpMkdir   Op = "mkdir"   // make a missing folder
	OpCreate  Op = "create"  // create the temp file
	OpWrite   Op = "write"   // one block of content; half of it is written when the hook fails it
	OpSync    Op = "sync"    // fsync of the temp file
	OpClose   Op = "close"   // close of the temp file
	OpRename  Op = "rename"  // the temp file over its target, or a whole folder
	OpSyncDir Op = "syncdir" // fsync of a folder; its name is "." for the top and ".." for what is above it
	OpRemove  Op = "remove"  // Remove, RemoveAll and Sweep
)

// Option changes how a Folder works.
type Option func(*options)

type options struct {
	file, dir fs.FileMode
	faults    func(op Op, name string) error
}

// Private makes files and folders that only their owner can read (0600 and 0700 instead of 0644 and 0755, less the umask).
func Private() Option {
	return func(o *options) { o.file, o.dir = 0o600, 0o700 }
}

// WithFaults asks hook before each step; what it returns is that step's error. It is for tests: a disk that is full.
func WithFaults(hook func(op Op, name string) error) Option {
	return func(o *options) { o.faults = hook }
}

func newOptions(opts []Option) options {
	o := options{file: 0o644, dir: 0o755, faults: func(Op, string) error { return nil }}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func (o *options) fault(op Op, name string) error {
	if err := o.faults(op, name); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return nil
}

// Folder is one folder and what is below it. It is safe for concurrent use; of writers of one name the last wins.
type Folder struct {
	options
	path    string
	root    *os.Root
	buffers sync.Pool // of *bufio.Writer

	mu      sync.Mutex
	settled map[string]bool // folders whose own name is known to be durable; "." is the top
	above   []string        // folders outside that got a new entry when the top was made
}

// Open gives the folder at path, which must be there.
func Open(path string, opts ...Option) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	return &Folder{options: newOptions(opts), path: path, root: root, settled: map[string]bool{}}, nil
}

// Create gives the folder at path and makes it, with the folders above it, where it is missing.
func Create(path string, opts ...Option) (*Folder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	var above []string
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		above = append(above, filepath.Dir(at))
	}
	if len(above) > 0 {
		o := newOptions(opts)
		if err := o.fault(OpMkdir, "."); err != nil {
			return nil, fmt.Errorf("create folder: %w", err)
		}
		if err := os.MkdirAll(path, o.dir); err != nil {
			return nil, fmt.Errorf("create folder: %w", err)
		}
	}
	f, err := Open(path, opts...)
	if err != nil {
		return nil, err
	}
	f.above = above
	return f, nil
}

// Path is the absolute path that the folder was opened with.
func (f *Folder) Path() string { return f.path }

// Close lets go of the folder. Files that were opened from it stay open.
func (f *Folder) Close() error { return f.root.Close() }

// check refuses names that are not plain relative paths, before os.Root would refuse those that leave.
func check(op, name string) error {
	if name == "." || !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("%s %q: not a plain path below the folder: %w", op, name, fs.ErrInvalid)
	}
	return nil
}

// Open opens a regular file for reading. Anything else that has the name is ErrNotRegular, so that no pipe can block.
func (f *Folder) Open(name string) (*os.File, error) {
	if err := check("open", name); err != nil {
		return nil, err
	}
	info, err := f.root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: %w", name, ErrNotRegular)
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	return file, nil
}

// ReadFile gives the content of a regular file.
func (f *Folder) ReadFile(name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return data, nil
}

// Sum reads a regular file and gives its size and SHA-256.
func (f *Folder) Sum(name string) (size int64, sum [sha256.Size]byte, err error) {
	file, err := f.Open(name)
	if err != nil {
		return 0, sum, err
	}
	defer func() { _ = file.Close() }()
	h := sha256.New()
	size, err = io.Copy(h, file)
	if err != nil {
		return 0, sum, fmt.Errorf("read file: %w", err)
	}
	return size, [sha256.Size]byte(h.Sum(nil)), nil
}

// Stat describes the file or folder of that name; of a link inside the folder, what it leads to.
func (f *Folder) Stat(name string) (fs.FileInfo, error) {
	if err := check("stat", name); err != nil {
		return nil, err
	}
	return f.root.Stat(name)
}

// Remove removes a file or an empty folder.
func (f *Folder) Remove(name string) error {
	if err := check("remove", name); err != nil {
		return err
	}
	if err := f.fault(OpRemove, name); err != nil {
		return err
	}
	f.unsettle(name)
	return f.root.Remove(name)
}

// RemoveAll removes name and all below it. A name that is not there is no error.
func (f *Folder) RemoveAll(name string) error {
	if err := check("remove", name); err != nil {
		return err
	}
	if err := f.fault(OpRemove, name); err != nil {
		return err
	}
	defer f.unsettle(name)
	return f.root.RemoveAll(name)
}
