package sheet

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
)

// blockSize is how much is decoded at once, and how much is looked at to find out newlines and delimiter.
const blockSize = 64 << 10

// unit says how many bytes of the file a decoded character was.
type unit int

const (
	utf8Units unit = iota
	utf16Units
	oneByte
	unknownUnits
)

// text is the characters of a file: valid UTF-8 without BOM and NUL, newlines LF or CRLF. What is no text ends it with
// an *Error after the last good character.
type text struct {
	ctx      context.Context // an io.Reader has no other way to watch it
	from     io.Reader
	unit     unit
	encoding string
	buf      []byte
	left     []byte // checked, not yet read
	carry    []byte // the beginning of a character, for the next block
	offset   int64  // in the file, of the next block
	newlines int    // before the next block
	begun    bool
	oldMac   bool // a CR is a newline
	err      error
}

// newText decodes a file. A BOM wins over the name of an encoding.
func newText(ctx context.Context, file *bufio.Reader, name string) (*text, *Error) {
	t := &text{ctx: ctx, from: file, encoding: "UTF-8", buf: make([]byte, blockSize)}
	head, _ := file.Peek(3) // an error comes again with the first block
	var decoding encoding.Encoding
	switch {
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		t.offset = 3
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		t.offset, t.encoding, decoding = 2, "UTF-16", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		t.offset, t.encoding, decoding = 2, "UTF-16", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case name != "":
		var err *Error
		if decoding, err = encodingNamed(name); err != nil {
			return nil, err
		}
		t.encoding = name
	}
	if _, err := file.Discard(int(t.offset)); err != nil {
		return nil, unreadable(err)
	}
	if decoding != nil && decoding != unicode.UTF8 {
		t.from, t.unit = decoding.NewDecoder().Reader(file), unitOf(decoding)
	}
	return t, nil
}

func encodingNamed(name string) (encoding.Encoding, *Error) {
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e, nil
	}
	if e, err := ianaindex.IANA.Encoding(name); err == nil && e != nil {
		return e, nil
	}
	return nil, wrong(CodeOption, "there is no encoding %q; names are utf-8, utf-16le, windows-1252, iso-8859-15 ...", name)
}

func unitOf(e encoding.Encoding) unit {
	if _, ok := e.(*charmap.Charmap); ok {
		return oneByte
	}
	for _, order := range []unicode.Endianness{unicode.LittleEndian, unicode.BigEndian} {
		if e == unicode.UTF16(order, unicode.IgnoreBOM) {
			return utf16Units
		}
	}
	return unknownUnits
}

func (t *text) Read(p []byte) (int, error) {
	for len(t.left) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := copy(p, t.left)
	t.left = t.left[n:]
	return n, nil
}

// fill decodes and checks one block.
func (t *text) fill() {
	if t.err = t.ctx.Err(); t.err != nil {
		return
	}
	n := copy(t.buf, t.carry)
	m, err := io.ReadFull(t.from, t.buf[n:])
	block := t.buf[:n+m]
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if !t.begun {
		t.begun = true
		t.oldMac = bytes.IndexByte(block, '\r') >= 0 && bytes.IndexByte(block, '\n') < 0
	}
	whole := len(block)
	if !errors.Is(err, io.EOF) {
		whole -= unfinished(block)
	}
	if t.oldMac {
		for i := range block[:whole] {
			if block[i] == '\r' {
				block[i] = '\n'
			}
		}
	}
	good, bad := t.check(block[:whole])
	t.left, t.carry = block[:good], append(t.carry[:0], block[whole:]...)
	if bad != nil {
		t.err = bad
		return
	}
	t.err = err
	t.offset += t.bytes(block[:good])
	t.newlines += bytes.Count(block[:good], []byte{'\n'})
}

// unfinished is how many bytes at the end begin a character that does not end there.
func unfinished(block []byte) int {
	for n := 1; n <= min(len(block), utf8.UTFMax-1); n++ {
		if tail := block[len(block)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// check gives how much of a block is text and, unless it is all, why.
func (t *text) check(block []byte) (int, *Error) {
	end := len(block)
	if i := bytes.IndexByte(block, 0); i >= 0 {
		end = i
	}
	broken := -1
	if t.unit != utf8Units {
		broken = bytes.Index(block[:end], []byte("\uFFFD")) // what decoders make of bytes that are no character
	} else if !utf8.Valid(block[:end]) {
		broken = firstInvalid(block[:end])
	}
	switch {
	case broken >= 0 && t.unit == utf8Units:
		return broken, t.wrongAt(block[:broken], CodeEncoding, fmt.Sprintf("the byte 0x%02X is not UTF-8; if the file is from Windows, "+
			"--encoding windows-1252 reads it", block[broken]))
	case broken >= 0:
		return broken, t.wrongAt(block[:broken], CodeEncoding, "here is no character of "+t.encoding+"; --encoding NAME reads another encoding")
	case end < len(block):
		return end, t.wrongAt(block[:end], CodeNUL, "a NUL character is no text; if the file is UTF-16 without a BOM, --encoding utf-16le reads it")
	}
	return end, nil
}

func firstInvalid(block []byte) int {
	for i := 0; i < len(block); {
		r, n := utf8.DecodeRune(block[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// wrongAt is an Error behind the good part of a block.
func (t *text) wrongAt(good []byte, code, sentence string) *Error {
	e := &Error{Offset: -1, Line: t.newlines + bytes.Count(good, []byte{'\n'}) + 1, Code: code, Text: sentence}
	if t.unit != unknownUnits {
		e.Offset = t.offset + t.bytes(good)
	}
	return e
}

// bytes is how long decoded characters are in the file.
func (t *text) bytes(block []byte) int64 {
	switch t.unit {
	case utf16Units:
		n := 2 * utf8.RuneCount(block)
		for _, b := range block {
			if b >= 0xf0 { // the first of four bytes of UTF-8: two units of UTF-16
				n += 2
			}
		}
		return int64(n)
	case oneByte:
		return int64(utf8.RuneCount(block))
	case utf8Units, unknownUnits:
	}
	return int64(len(block))
}
