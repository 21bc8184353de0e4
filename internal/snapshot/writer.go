package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"path"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
)

// Writer fills a snapshot's folder. Every file appears whole or not at all. Safe for concurrent use, as long as no two
// calls speak of one path.
type Writer struct {
	folder *durable.Folder
	pretty bool
}

// NewWriter writes into folder: documents with two-space indent when pretty, else byte for byte as they came. Either
// way key order, number literals and escapes stay as sent.
func NewWriter(folder *durable.Folder, pretty bool) *Writer {
	return &Writer{folder: folder, pretty: pretty}
}

// text writes doc in the snapshot's format.
func (w *Writer) text(to io.Writer, doc []byte) error {
	if !w.pretty {
		_, err := to.Write(doc)
		return err
	}
	if err := cloudlet.WritePretty(to, doc); err != nil {
		return err
	}
	_, err := io.WriteString(to, "\n")
	return err
}

// Put stores doc, which must be valid JSON, under f.Path, and gives f with size and hash. Where earlier is that very
// file already, nothing is written. The file is durable only after Sync.
func (w *Writer) Put(f, earlier File, doc []byte) (stored File, changed bool, err error) {
	if f.Path == earlier.Path && f.Path != "" {
		sum := sha256.New()
		if err := w.text(sum, doc); err != nil {
			return f, false, err
		}
		if hex.EncodeToString(sum.Sum(nil)) == earlier.SHA256 && w.Holds(earlier) {
			f.Size, f.SHA256 = earlier.Size, earlier.SHA256
			return f, false, nil
		}
	}
	size, sum, err := w.folder.Write(f.Path, func(to io.Writer) error { return w.text(to, doc) })
	f.Size, f.SHA256 = size, hex.EncodeToString(sum[:])
	return f, true, err
}

// Holds reports whether f is there with the size and the hash that f says.
func (w *Writer) Holds(f File) bool {
	text, err := w.folder.ReadFile(f.Path)
	return err == nil && f.fits(text)
}

func (f File) fits(text []byte) bool {
	if int64(len(text)) != f.Size {
		return false
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]) == f.SHA256
}

// Sync makes the files durable that Put stored under these paths.
func (w *Writer) Sync(paths ...string) error { return w.folder.Sync(paths...) }

// Finish removes every file that is not wanted, writes the index and, last of all, the manifest, whose counts and
// files it takes from files. It gives the manifest as written, its Files left out.
func (w *Writer) Finish(m Manifest, rows []Row, files func() iter.Seq2[File, error]) (Manifest, error) {
	seed := maphash.MakeSeed()
	wanted := map[uint64]struct{}{maphash.String(seed, IndexFile): {}} // hashes, since paths are many
	m.Format, m.Counts = FormatNumber, Counts{}
	for f, err := range files() {
		if err != nil {
			return m, err
		}
		wanted[maphash.String(seed, f.Path)] = struct{}{}
		m.Counts.add(f)
	}
	isWanted := func(name string) bool {
		_, ok := wanted[maphash.String(seed, name)]
		return ok
	}
	if err := w.sweep(isWanted); err != nil {
		return m, err
	}
	size, sum, err := w.folder.Write(IndexFile, func(to io.Writer) error { return writeIndex(to, rows) })
	if err != nil {
		return m, err
	}
	index := File{Path: IndexFile, Size: size, SHA256: hex.EncodeToString(sum[:])}
	m.Counts.add(index)
	m.Counts.Policies = len(rows)
	all := func(yield func(File, error) bool) {
		for f, err := range files() {
			if !yield(f, err) {
				return
			}
		}
		yield(index, nil)
	}
	if _, _, err := w.folder.Write(ManifestFile, func(to io.Writer) error { return writeManifest(to, m, all) }); err != nil {
		return m, err
	}
	return m, w.folder.Sync(IndexFile, ManifestFile)
}

func (c *Counts) add(f File) {
	c.Files++
	c.Bytes += f.Size
	c.Rules += f.Rules
	switch fromOrigin := strings.HasPrefix(f.Path, lbal+"/"); {
	case fromOrigin && f.Listed != "":
		c.OriginVersions++
	case fromOrigin && path.Base(f.Path) == OriginFile:
		c.Origins++
	case f.Listed != "":
		c.Versions++
	}
}

// sweep removes leftovers: temporary files, and files of policies that are gone or have another name by now.
func (w *Writer) sweep(wanted func(name string) bool) error {
	if _, err := w.folder.Sweep(); err != nil {
		return err
	}
	for name, err := range w.folder.Files() {
		if err != nil && !errors.Is(err, durable.ErrNotRegular) {
			return err
		}
		if !wanted(name) {
			if err := w.folder.Remove(name); err != nil {
				return err
			}
		}
	}
	return w.folder.SweepFolders()
}

// Clear removes what an export leaves in a folder, and nothing else.
func Clear(folder *durable.Folder) error {
	for _, name := range []string{ManifestFile, IndexFile, "account", legacy, shared, lbal} {
		if err := folder.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}
