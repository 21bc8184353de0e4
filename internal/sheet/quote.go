package sheet

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// fault is where the quotes of a record are broken.
type fault struct {
	line     int
	column   string
	text     string
	unclosed bool // the quote that opens there goes to the end of what was read
}

// broken finds out what the parser would not say: which quote is to blame. The parser's position is where it gave up.
func (r *Reader) broken() fault {
	record := r.feed.record
	s := scanner{text: record, comma: string(r.parser.Comma), trims: r.parser.TrimLeadingSpace}
	found := s.scan()
	at := found.at
	begin := bytes.LastIndexByte(record[:at], '\n') + 1
	f := fault{
		line:     r.feed.line + bytes.Count(record[:at], []byte{'\n'}),
		column:   fmt.Sprintf("character %d", utf8.RuneCount(record[begin:at])+1),
		unclosed: found.kind == unclosed,
	}
	switch found.kind {
	case unclosed:
		f.text = "a quote opens here and is not closed"
	case misplaced:
		f.text = "a cell that opens with a quote here has a quote inside that is not doubled"
	case bare, fine:
		f.text = "a quote stands in a cell that does not begin with one; a cell with quotes must be quoted and its quotes doubled"
	}
	return f
}

type scanKind int

const (
	fine      scanKind = iota
	bare               // a quote in a cell that does not begin with one
	misplaced          // a quote in a quoted cell, neither doubled nor at the end
	unclosed           // no quote closes the cell
)

type scanned struct {
	kind scanKind
	at   int // the bare quote, else the quote that opens the cell
}

// scanner reads one record as encoding/csv does.
type scanner struct {
	text  []byte
	comma string
	trims bool
	pos   int
}

func (s *scanner) scan() scanned {
	for {
		if s.trims {
			for s.pos < len(s.text) && s.text[s.pos] != '\n' {
				c, n := utf8.DecodeRune(s.text[s.pos:])
				if !unicode.IsSpace(c) {
					break
				}
				s.pos += n
			}
		}
		var got scanned
		var more bool
		if s.pos < len(s.text) && s.text[s.pos] == '"' {
			got, more = s.quoted()
		} else {
			got, more = s.plain()
		}
		if !more {
			return got
		}
	}
}

// plain reads a cell without quotes; more tells that another follows.
func (s *scanner) plain() (got scanned, more bool) {
	rest := s.text[s.pos:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	cell, _, more := bytes.Cut(rest, []byte(s.comma))
	if i := bytes.IndexByte(cell, '"'); i >= 0 {
		return scanned{kind: bare, at: s.pos + i}, false
	}
	s.pos += len(cell) + len(s.comma)
	return scanned{at: min(s.pos, len(s.text))}, more
}

// quoted reads a quoted cell; more tells that another follows.
func (s *scanner) quoted() (got scanned, more bool) {
	open := s.pos
	s.pos++
	for {
		i := bytes.IndexByte(s.text[s.pos:], '"')
		if i < 0 {
			return scanned{kind: unclosed, at: open}, false
		}
		s.pos += i + 1
		switch rest := s.text[s.pos:]; {
		case bytes.HasPrefix(rest, []byte{'"'}):
			s.pos++
		case bytes.HasPrefix(rest, []byte(s.comma)):
			s.pos += len(s.comma)
			return scanned{at: open}, true
		case len(bytes.TrimRight(rest, "\r\n")) == 0, rest[0] == '\n', bytes.HasPrefix(rest, []byte("\r\n")):
			return scanned{at: open}, false
		default:
			return scanned{kind: misplaced, at: open}, false
		}
	}
}
