package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash/maphash"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
)

// Writer fills a snapshot's folder. Every file appears whole or not at all. Safe for concurrent use, as long as no two
// calls speak of one path.
type Writer struct {
	folder *durable.Folder
	pretty bool
	fresh  bool // the folder was empty at first
}

// NewWriter writes into folder: documents with two-space indent when pretty, else byte for byte as they came. Either
// way key order, number literals and escapes stay as sent.
func NewWriter(folder *durable.Folder, pretty bool) *Writer {
	w := &Writer{folder: folder, pretty: pretty, fresh: true}
	for _, err := range folder.Files() {
		w.fresh = false
		_ = err // Finish meets it again
		break
	}
	return w
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

// PutSheet stores a sheet under f.Path, byte for byte, and gives f with size and hash. It is durable only after Sync.
func (w *Writer) PutSheet(f File, sheet []byte) (File, error) {
	size, sum, err := w.folder.Write(f.Path, func(to io.Writer) error {
		_, err := to.Write(sheet)
		return err
	})
	f.Size, f.SHA256 = size, hex.EncodeToString(sum[:])
	return f, err
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

// Item is what a snapshot holds of one thing: the line of a policy in the index, or none, the files, and what the sheet
// of a version cannot say, or nil.
type Item struct {
	Row   *Row
	Files []File
	Lossy *Lossy
}

// LossyShown is how many lossy versions Finish gives back, whose manifest holds them all.
const LossyShown = 10

// Finish writes the index and, last of all, the manifest, whose files, lossy versions and counts it takes from items, and
// removes every file that no item names. A policy comes before its versions; items may be gone through twice. It gives the
// manifest as written, its Files and all but the first LossyShown of its Lossy left out.
func (w *Writer) Finish(m Manifest, items iter.Seq2[Item, error]) (Manifest, error) {
	m.Format, m.Counts = FormatNumber, Counts{}
	t := &tally{seed: maphash.MakeSeed(), wanted: map[uint64]struct{}{}, rows: map[string]*Row{}}
	files := func(yield func(File, error) bool) {
		for item, err := range items {
			if err != nil {
				yield(File{}, err)
				return
			}
			for _, f := range t.take(item) {
				if !yield(f, nil) {
					return
				}
			}
		}
		yield(w.closeFolder(t))
	}
	if !w.fresh { // a killed writer may have left temporary files
		if _, err := w.folder.Sweep(); err != nil {
			return m, err
		}
	}
	_, _, err := w.folder.Write(ManifestFile, func(to io.Writer) error {
		return writeManifest(to, m, files, t.allLossy(items), func() Counts { return t.counts })
	})
	m.Counts, m.Lossy = t.counts, t.lossy
	if err != nil {
		return m, err
	}
	return m, w.folder.Sync(IndexFile, ManifestFile)
}

// closeFolder removes what no item names, and writes the index.
func (w *Writer) closeFolder(t *tally) (File, error) {
	if err := w.sweep(t); err != nil {
		return File{}, err
	}
	rows := slices.Collect(maps.Values(t.rows))
	size, sum, err := w.folder.Write(IndexFile, func(to io.Writer) error { return writeIndex(to, rows) })
	index := File{Path: IndexFile, Size: size, SHA256: hex.EncodeToString(sum[:])}
	t.counts.add(index)
	return index, err
}

// tally is what is known of the items of a snapshot when it is finished.
type tally struct {
	seed   maphash.Seed
	wanted map[uint64]struct{} // hashes of paths, since paths are many
	rows   map[string]*Row     // by key of the policy
	lossy  []Lossy             // the first of them
	counts Counts
}

// allLossy are the lossy versions of items. It must not be gone through before all items were taken.
func (t *tally) allLossy(items iter.Seq2[Item, error]) iter.Seq2[Lossy, error] {
	return func(yield func(Lossy, error) bool) {
		if t.counts.Lossy == 0 { // as without sheets
			return
		}
		for item, err := range items {
			if err != nil {
				yield(Lossy{}, err)
				return
			}
			if item.Lossy != nil && !yield(*item.Lossy, nil) {
				return
			}
		}
	}
}

func (t *tally) take(item Item) []File {
	if l := item.Lossy; l != nil {
		t.counts.Lossy++
		t.counts.Lost += l.Count
		if len(t.lossy) < LossyShown {
			t.lossy = append(t.lossy, *l)
		}
	}
	for _, f := range item.Files {
		t.wanted[maphash.String(t.seed, f.Path)] = struct{}{}
		t.counts.add(f)
		policy := strings.Join(strings.SplitN(KeyOf(f.Path), "/", 3)[:2], "/")
		if item.Row != nil && t.rows[policy] == nil {
			t.rows[policy] = item.Row
			t.counts.Policies++
		}
		if row := t.rows[policy]; row != nil {
			row.Rules += f.Rules
			row.Bytes += f.Size
		}
	}
	return item.Files
}

func (t *tally) wants(name string) bool {
	_, ok := t.wanted[maphash.String(t.seed, name)]
	return ok || name == IndexFile
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
	case isSheet(f.Path):
		c.Sheets++
	}
}

// sweep removes leftovers: temporary files, and files and folders of policies that are gone or have another name by now.
func (w *Writer) sweep(t *tally) error {
	removed := false
	for name, err := range w.folder.Files() {
		if err != nil && !errors.Is(err, durable.ErrNotRegular) {
			return err
		}
		if exported(name) && !t.wants(name) && !durable.IsTemp(name) { // the manifest is under way
			if err := w.folder.Remove(name); err != nil {
				return err
			}
			removed = true
		}
	}
	if removed || !w.fresh {
		return w.folder.SweepFolders(folders()...)
	}
	return nil
}

// folders are those at the top of a snapshot.
func folders() []string { return []string{"account", legacy, shared, lbal} }

// Clear removes what an export leaves in a folder, and nothing else.
func Clear(folder *durable.Folder) error {
	for name, err := range folder.Files() {
		if err != nil && !errors.Is(err, durable.ErrNotRegular) {
			return err
		}
		if err == nil && exported(name) {
			if err := folder.Remove(name); err != nil {
				return err
			}
		}
	}
	return folder.SweepFolders(folders()...)
}
