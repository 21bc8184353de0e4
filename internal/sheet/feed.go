package sheet

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode"
)

// maxRecord is how long a record may be: a quote that nobody closes must not swallow a million rows into memory.
const maxRecord = 1 << 20

// errLong is a record longer than maxRecord.
var errLong = errors.New("record too long")

// lines gives one line with its newline at a time, or one whole record where the source has records, and io.EOF at the
// end. The line is good until the next call.
type lines interface {
	next() (line []byte, number int, err error)
}

// textLines are the lines of a text.
type textLines struct {
	from   *bufio.Reader
	number int
	long   []byte
}

func (t *textLines) next() ([]byte, int, error) {
	line, err := t.from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		t.long = t.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) && len(t.long) <= maxRecord {
			t.long = append(t.long, line...)
			line, err = t.from.ReadSlice('\n')
		}
		t.long = append(t.long, line...)
		line = t.long
		if len(line) > maxRecord {
			return nil, t.number + 1, errLong
		}
	}
	if len(line) > 0 && errors.Is(err, io.EOF) {
		err = nil // it comes again; but a line that another error cuts off is none
	}
	if err != nil {
		return nil, t.number + 1, err
	}
	t.number++
	return line, t.number, nil
}

// feed hands the lines of a sheet to a csv.Reader, one with each Read, so that the parser never gets more than the record
// that it is asked for. So it is known, before the parser sees it, whether a line begins a record: comments and blank
// lines are left out there, whatever quotes they hold, and counted; line numbers and the raw text of the record are exact;
// and the lines that an unclosed quote has swallowed can be fed again.
type feed struct {
	from     lines
	comma    rune // of the sheet; the parser gets commas in place of tabs
	start    bool // the next line begins a record
	pending  []byte
	record   []byte // the lines of the record, as the parser got them
	line     int    // on which it begins
	last     int    // the line that was taken last
	pushed   []byte // lines to be fed again
	pushedAt int    // number of the first of them
	tabs     []byte
	comments int
	blank    int
	comment  func(line []byte) // is shown every comment line; nil: nobody looks
}

// begin must be called before each record.
func (f *feed) begin() {
	f.start, f.record, f.pending = true, f.record[:0], nil
}

func (f *feed) Read(p []byte) (int, error) {
	for len(f.pending) == 0 {
		if len(f.record) > maxRecord {
			return 0, errLong
		}
		line, again, err := f.take()
		if err != nil {
			return 0, err
		}
		if f.start {
			if f.skips(line) {
				continue
			}
			f.start, f.line = false, f.last
		}
		if f.comma == '\t' && !again {
			line = f.untab(line)
		}
		f.record = append(f.record, line...)
		f.pending = line
	}
	n := copy(p, f.pending)
	f.pending = f.pending[n:]
	return n, nil
}

// take gives the next line, and whether it was fed before, so that it is CSV already.
func (f *feed) take() (line []byte, again bool, err error) {
	if len(f.pushed) == 0 {
		line, f.last, err = f.from.next()
		return line, false, err
	}
	f.last = f.pushedAt
	f.pushedAt++
	end := len(f.pushed)
	if i := bytes.IndexByte(f.pushed, '\n'); i >= 0 {
		end = i + 1
	}
	line, f.pushed = f.pushed[:end], f.pushed[end:]
	return line, true, nil
}

// skips tells whether a line that would begin a record is none.
func (f *feed) skips(line []byte) bool {
	if plain(line[0]) && line[0] != '#' && f.last > 1 {
		return false
	}
	rest := bytes.TrimLeftFunc(line, func(c rune) bool { return c != f.comma && unicode.IsSpace(c) })
	switch {
	case len(bytes.TrimSpace(rest)) == 0:
		f.blank++
		return true
	case isComment(rest):
		f.comments++
		if f.comment != nil {
			f.comment(line)
		}
		return true
	case f.last == 1 && delimiterLine(line) != 0:
		f.comments++
		return true
	}
	return false
}

// isComment tells whether the text of a line or a first cell is a comment. What a formula gives that went wrong is none.
func isComment[T string | []byte](cell T) bool {
	if len(cell) == 0 || cell[0] != '#' {
		return false
	}
	for _, failed := range []string{"#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!"} {
		if len(cell) >= len(failed) && string(cell[:len(failed)]) == failed {
			return false
		}
	}
	return true
}

// delimiterLine gives the delimiter of a line such as sep=; which spreadsheets write in front, else 0.
func delimiterLine(line []byte) rune {
	line = bytes.Trim(bytes.TrimRight(line, "\r\n"), `"`)
	if d, ok := bytes.CutPrefix(line, []byte("sep=")); ok && len(d) == 1 && d[0] < 0x7f {
		return rune(d[0])
	}
	return 0
}

// retry has all lines of the record but the first fed again: a quote in the first has swallowed them.
func (f *feed) retry() {
	i := bytes.IndexByte(f.record, '\n')
	if i < 0 || i+1 == len(f.record) {
		return
	}
	f.push(f.record[i+1:], f.line+1)
	f.record = f.record[:i+1]
}

// push has lines fed before all others.
func (f *feed) push(lines []byte, number int) {
	f.pushed = append(bytes.Clone(lines), f.pushed...)
	f.pushedAt = number
}

// untab makes a line of tab-separated cells a line of CSV. A cell is quoted where it begins and ends with a quote and all
// quotes inside are doubled; any other is taken as it is, quotes and all.
func (f *feed) untab(line []byte) []byte {
	out := f.tabs[:0]
	cells := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	for {
		cell, rest, more := bytes.Cut(cells, []byte("\t"))
		trimmed := bytes.TrimSpace(cell)
		switch {
		case !bytes.ContainsAny(cell, "\",\r"):
			out = append(out, cell...)
		case isQuoted(trimmed):
			out = append(out, trimmed...)
		default:
			out = append(out, '"')
			out = append(out, bytes.ReplaceAll(cell, []byte(`"`), []byte(`""`))...)
			out = append(out, '"')
		}
		if !more {
			break
		}
		out = append(out, ',')
		cells = rest
	}
	out = append(out, '\n')
	f.tabs = out
	return out
}

func isQuoted(cell []byte) bool {
	if len(cell) < 2 || cell[0] != '"' || cell[len(cell)-1] != '"' {
		return false
	}
	inner := bytes.ReplaceAll(cell[1:len(cell)-1], []byte(`""`), nil)
	return bytes.IndexByte(inner, '"') < 0
}
