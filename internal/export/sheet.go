package export

import (
	"unicode/utf8"

	"cloudletmig/internal/snapshot"
)

// edgeRedirector is the type of the policies whose versions have sheets.
const edgeRedirector = "ER"

// What is kept of what a sheet cannot say: the first so many things of each version, each cut to so many bytes.
const (
	lostKept = 20
	lostText = 300
)

// makesSheets reports whether Edge Redirector versions have sheets in this export.
func (e *Export) makesSheets() bool { return e.Options.CSV && e.Sheet != nil }

// putSheet stores the sheet of a version and adds to its record what the sheet lacks. A version that is no sheet at all
// is still exported: its document is whole.
func (s *state) putSheet(now *record, e edition, doc []byte) error {
	sheet, lost, err := s.export.Sheet(doc)
	if err != nil {
		now.Lossy = lossy(e.name, []string{"no sheet: " + err.Error()})
		return nil //nolint:nilerr // it is listed
	}
	f, err := s.export.Store.PutSheet(snapshot.File{Path: e.sheet}, sheet)
	if err != nil {
		return err
	}
	s.wrote(e.key, f.Path)
	now.Files = append(now.Files, f)
	now.Lossy = lossy(e.name, lost)
	return nil
}

// lossy is nil where nothing is lost.
func lossy(name string, lost []string) *snapshot.Lossy {
	if len(lost) == 0 {
		return nil
	}
	l := &snapshot.Lossy{Item: name, Count: len(lost)}
	for _, text := range lost[:min(len(lost), lostKept)] {
		l.Lost = append(l.Lost, clip(text))
	}
	return l
}

// clip cuts a long text between two characters.
func clip(text string) string {
	if len(text) <= lostText {
		return text
	}
	end := lostText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
