package chunkset

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sync"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
)

// spool is the folder for files that the folder is made from and that do not stay.
const spool = ".spool"

// Writer makes a converted folder beside the place that it is to have. Safe for concurrent use, as long as no two calls
// speak of one file, until Finish or Abort.
type Writer struct {
	dir    string // where the folder is to be
	temp   string // where it is
	force  bool
	opts   []durable.Option
	folder *durable.Folder
	made   []string // folders above dir that were missing, the lowest first
	ended  bool     // Finish or Abort was called

	mu    sync.Mutex
	names map[string]bool
}

// Written is what became of a chunk: its rules, the size of its body to POST with the longest description, and the
// SHA-256 of its file in hexadecimal.
type Written struct {
	Rules  int
	Bytes  int64
	SHA256 string
}

// Create begins a folder that takes the place of dir when Finish is called; until then it is beside dir, under the name
// dir.partial- and a random end. dir must be absent or an empty folder (ErrNotEmpty), or force must be set: then a
// converted folder is replaced as a whole, and any other stays (ErrForeign). The options are for tests.
func Create(dir string, force bool, opts ...durable.Option) (*Writer, error) {
	dir, err := place(dir)
	if err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	there, err := look(dir, force)
	if err != nil {
		return nil, err
	}
	if there && mounted(dir) {
		return nil, fmt.Errorf("create folder: %s is a mount point, which nothing can take the place of: name a folder in it", dir)
	}
	w := &Writer{dir: dir, temp: aside(dir, "partial"), force: force, opts: opts, made: missingAbove(dir), names: map[string]bool{}}
	w.folder, err = durable.Create(w.temp, opts...)
	if err == nil {
		err = os.Mkdir(w.TempDir(), 0o700)
	}
	if err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// TempDir is a folder for files of the caller. Finish and Abort remove it.
func (w *Writer) TempDir() string { return filepath.Join(w.temp, spool) }

// Chunk writes the file of a chunk, one rule a line, from rules as they come; white space between their tokens goes. It
// is an error when rule count, size or description pass the limits of a policy, or rules brings one.
func (w *Writer) Chunk(file, description string, rules iter.Seq2[[]byte, error]) (Written, error) {
	text, err := describe(description)
	if err != nil {
		return Written{}, fmt.Errorf("write %s: %w", file, err)
	}
	var count int
	var size int64
	sum, err := w.write(file, func(to io.Writer) (err error) {
		count, size, err = writeChunk(to, text, rules)
		return err
	})
	if err != nil {
		return Written{}, err
	}
	return Written{Rules: count, Bytes: BodyBytes(count, size), SHA256: sum}, nil
}

// File writes a file with what fill writes.
func (w *Writer) File(name string, fill func(io.Writer) error) error {
	_, err := w.write(name, fill)
	return err
}

// JSON writes v with two-space indent and a line break at the end; <, > and & stay as they are.
func (w *Writer) JSON(name string, v any) error {
	text, err := cloudlet.Marshal(v, "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return w.File(name, func(to io.Writer) error {
		_, err := to.Write(append(text, '\n'))
		return err
	})
}

// Read gives a file that was written.
func (w *Writer) Read(file string) ([]byte, error) { return w.folder.ReadFile(file) }

func (w *Writer) write(name string, fill func(io.Writer) error) (sum string, err error) {
	if name == "" || name[0] == '.' || !plain(name, "_-.") {
		return "", fmt.Errorf("write %q: not a plain name", name)
	}
	_, hash, err := w.folder.Write(name, fill)
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = true
	return hex.EncodeToString(hash[:]), nil
}
