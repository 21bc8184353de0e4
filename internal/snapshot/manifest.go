package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"cloudletmig/internal/cloudlet"
)

// FormatNumber is the number of the layout that this package writes. It reads no newer one.
const FormatNumber = 1

// Errors that callers tell apart.
var (
	// ErrNoManifest: the folder holds no manifest, so it is no finished snapshot.
	ErrNoManifest = errors.New("no " + ManifestFile)
	// ErrDamaged: the manifest, or a file, is not what was written.
	ErrDamaged = errors.New("snapshot is damaged")
	// ErrNewer: the snapshot was written by a newer version of the tool.
	ErrNewer = errors.New("snapshot has a newer format")
)

// Manifest says what a snapshot holds and where it came from.
type Manifest struct {
	Format  int    `json:"format"`
	Tool    string `json:"tool"`
	Run     string `json:"run,omitempty"`
	Host    string `json:"host"`
	Account string `json:"account"` // hash of the account switch key; empty without one
	// Options are those that decide what is exported.
	Options json.RawMessage `json:"options"`
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended"`
	// Complete says that nothing failed; Consistent that a last look at every list found nothing changed meanwhile.
	Complete   bool      `json:"complete"`
	Consistent bool      `json:"consistent"`
	Absent     []Absent  `json:"absent"`
	Gone       []string  `json:"gone"`
	Failed     []Failure `json:"failed"`
	// Files is every file but the manifest, by its slash-separated path.
	Files map[string]File `json:"files"`
	// Lossy are the versions of which a sheet does not say everything, all of them in a manifest that was read.
	Lossy []Lossy `json:"lossy,omitempty"`
	// Counts are the sums of the files: they come last, as the files are written while they are counted.
	Counts Counts `json:"counts"`
}

// Counts are the sums of a snapshot. Bytes are those of its files, the manifest apart.
type Counts struct {
	Policies       int   `json:"policies"`
	Versions       int   `json:"versions"`
	Rules          int   `json:"rules"`
	Origins        int   `json:"origins"`
	OriginVersions int   `json:"origin_versions"`
	Files          int   `json:"files"`
	Bytes          int64 `json:"bytes"`
	// Sheets were asked for: there are so many, Lossy versions are not whole in theirs or have none, and Lost is what all
	// of them lack.
	Sheets int `json:"sheets,omitempty"`
	Lossy  int `json:"lossy,omitempty"`
	Lost   int `json:"lost,omitempty"`
}

// Absent is a part of the API that this account does not have or that these credentials may not list.
type Absent struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// Failure is an item that could not be exported.
type Failure struct {
	Item    string `json:"item"`
	Request string `json:"request,omitempty"`
	Error   string `json:"error"`
}

// Lossy is a version whose sheet does not say everything that its document says, or that has no sheet.
type Lossy struct {
	Item  string   `json:"item"`
	Count int      `json:"count"`
	Lost  []string `json:"lost"` // the first of Count, in words
}

// File is one file of a snapshot. Its path is a member in the journal and the name of the member in the manifest.
type File struct {
	Path    string `json:"path,omitempty"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	Request string `json:"request,omitempty"` // the path at which the API gives this document
	// Revision and Modified are the version's revisionId and modified date as sent.
	Revision string `json:"revision,omitempty"`
	Modified string `json:"modified,omitempty"`
	// Listed is a hash of what the lists said of this version when it was read: its entry in the list of versions and its
	// rows in the activation history. While they say the same, the version need not be read again.
	Listed string `json:"listed,omitempty"`
	Rules  int    `json:"rules,omitempty"`
}

// The end of every manifest: a hash of all bytes before it, so that damage to the manifest itself is found.
const (
	sealStart = "\"seal\": \""
	sealEnd   = "\"\n}\n"
	sealSize  = len(sealStart) + sha256.Size*2 + len(sealEnd)
)

// writeManifest writes the header, the files in the order given, one a line, then the lossy versions and the counts that
// there are when all files are written, and the seal. Only one file is held in memory at a time.
func writeManifest(to io.Writer, m Manifest, files iter.Seq2[File, error], lossy iter.Seq2[Lossy, error], counts func() Counts) error {
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(to, sum), 64<<10)
	m.Files, m.Lossy = map[string]File{}, nil
	head, err := cloudlet.Marshal(m, "  ")
	if err != nil {
		return err
	}
	head, _, found := bytes.Cut(head, []byte(`"files": {}`))
	if !found {
		return errors.New("encode manifest: it has no files")
	}
	_, _ = w.Write(append(head, `"files": `...))
	if err := writeFiles(w, files); err != nil {
		return err
	}
	if err := writeLossy(w, lossy); err != nil {
		return err
	}
	sums, err := cloudlet.Marshal(counts(), "")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, ",\n  \"counts\": %s,\n  ", sums)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = io.WriteString(to, sealStart+hex.EncodeToString(sum.Sum(nil))+sealEnd)
	return err
}

func writeFiles(w *bufio.Writer, files iter.Seq2[File, error]) error {
	separator := "{\n    "
	for f, err := range files {
		if err != nil {
			return err
		}
		name, err := cloudlet.Marshal(f.Path, "")
		if err != nil {
			return err
		}
		f.Path = ""
		entry, err := cloudlet.Marshal(f, "")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s%s: %s", separator, name, entry)
		separator = ",\n    "
	}
	if separator[0] == '{' {
		_, _ = w.WriteString("{")
	}
	_, err := w.WriteString("\n  }") // an error stays with w until it is flushed
	return err
}

// writeLossy writes nothing where there are none.
func writeLossy(w *bufio.Writer, lossy iter.Seq2[Lossy, error]) error {
	separator, end := ",\n  \"lossy\": [\n    ", ""
	for l, err := range lossy {
		if err != nil {
			return err
		}
		entry, err := cloudlet.Marshal(l, "")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s%s", separator, entry)
		separator, end = ",\n    ", "\n  ]"
	}
	_, err := w.WriteString(end)
	return err
}

// readManifest reads what writeManifest wrote, and nothing else.
func readManifest(text []byte) (Manifest, error) {
	var m Manifest
	if len(text) < sealSize {
		return m, fmt.Errorf("%w: %s is cut short", ErrDamaged, ManifestFile)
	}
	body, seal := text[:len(text)-sealSize], text[len(text)-sealSize:]
	sum := sha256.Sum256(body)
	if string(seal) != sealStart+hex.EncodeToString(sum[:])+sealEnd {
		return m, fmt.Errorf("%w: the seal of %s does not fit its content", ErrDamaged, ManifestFile)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: read %s: %w", ErrDamaged, ManifestFile, err)
	}
	if m.Format > FormatNumber {
		return m, fmt.Errorf("%w: %d, and this version of the tool reads up to %d", ErrNewer, m.Format, FormatNumber)
	}
	for name, f := range m.Files {
		f.Path = name
		m.Files[name] = f
	}
	return m, nil
}
