package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode"
	"unicode/utf8"
)

// sampled is how many records are looked at to find the delimiter.
const sampled = 20

// newParser makes the parser of a sheet. Tabs have become commas in front of it.
func newParser(from io.Reader, delimiter rune) *csv.Reader {
	r := csv.NewReader(from)
	r.Comma = delimiter
	if delimiter == '\t' {
		r.Comma = ','
	}
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = !unicode.IsSpace(r.Comma)
	return r
}

func validDelimiter(d rune) bool {
	return d != '"' && d != '#' && d != '\r' && d != '\n' && utf8.ValidRune(d) && d != utf8.RuneError
}

// findDelimiter looks at the beginning of a text: what makes it a known header, else what makes the first record a
// redirect, else what gives all records the same number of cells.
func findDelimiter(sample []byte) rune {
	first, _, _ := bytes.Cut(sample, []byte("\n"))
	if d := delimiterLine(first); d != 0 && validDelimiter(d) {
		return d
	}
	known := aliases(Simple)
	best, bestNames, bestScore := ',', 0, 0
	for _, d := range []rune{',', ';', '\t', '|'} {
		names, score := rate(sample, d, known)
		if names > bestNames || names == bestNames && score > bestScore {
			best, bestNames, bestScore = d, names, score
		}
	}
	return best
}

// rate gives how many known names a delimiter makes of the first record, and how well it splits the others.
func rate(sample []byte, d rune, known map[string]Column) (names, score int) {
	records := split(sample, d)
	if len(records) == 0 || len(records[0]) < 2 {
		return 0, 0
	}
	for _, name := range records[0] {
		if _, ok := known[key(name)]; ok {
			names++
		}
	}
	for _, r := range records {
		if len(r) == len(records[0]) {
			score++
		}
	}
	if score == len(records) {
		score += sampled
	}
	if looksLikeData(records[0]) {
		score += 3 * sampled
	}
	return names, score
}

// split gives the first records of a sample as a delimiter would have them; nil for one with broken quotes.
func split(sample []byte, d rune) [][]string {
	f := &feed{from: &textLines{from: bufio.NewReader(bytes.NewReader(sample))}, comma: d}
	parser := newParser(f, d)
	var records [][]string
	for len(records) < sampled {
		f.begin()
		record, err := parser.Read()
		switch {
		case errors.Is(err, io.EOF):
			return records
		case len(record) > 0 && isComment(trim(record[0])):
		case err != nil:
			records = append(records, nil)
		case !blank(record):
			records = append(records, record)
		}
	}
	return records
}
