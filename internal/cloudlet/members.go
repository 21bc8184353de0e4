package cloudlet

import (
	"bytes"
	"encoding/binary"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// Members gives the members of a JSON object in their order: the name, with its escapes undone, and the value as it
// stands in doc, which shares doc's memory. A name that stands twice comes twice. It gives nothing when doc is another
// kind of value. Doc must be valid JSON (ValidJSON); on other input it may panic.
func Members(doc []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		w := walk{src: doc}
		for w.next('{') {
			end := w.at + textLength(doc[w.at:])
			name := doc[w.at+1 : end-1]
			w.at, _ = cutColon(doc, end)
			value := w.value()
			if !isPlain(name) {
				name = plainText(name)
			}
			if !yield(string(name), value) {
				return
			}
		}
	}
}

// Elements gives the elements of a JSON array in their order, as they stand in doc, whose memory they share. It gives
// nothing when doc is another kind of value. Doc must be valid JSON (ValidJSON); on other input it may panic.
func Elements(doc []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		w := walk{src: doc}
		for w.next('[') {
			if !yield(w.value()) {
				return
			}
		}
	}
}

// Text is the string that a JSON string stands for; half a surrogate pair and a byte that is not UTF-8 become U+FFFD,
// as in encoding/json. It is false for every other kind of value. Value must be valid JSON without white space around
// it, such as Members and Elements give.
func Text(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if value = value[1 : len(value)-1]; !isPlain(value) {
		value = plainText(value)
	}
	return string(value), true
}

// walk goes over the values of one JSON object or array.
type walk struct {
	src  []byte
	at   int
	open bool // the opening bracket is behind us
}

// next moves to the next name or element. It is false behind the last one, and where src does not begin with bracket.
func (w *walk) next(bracket byte) bool {
	if w.open {
		if w.at = afterSpace(w.src, w.at); w.src[w.at] != ',' {
			return false
		}
		w.at = afterSpace(w.src, w.at+1)
		return true
	}
	for w.at < len(w.src) && isSpace(w.src[w.at]) {
		w.at++
	}
	if w.at == len(w.src) || w.src[w.at] != bracket {
		return false
	}
	w.open = true
	w.at = afterSpace(w.src, w.at+1)
	return w.src[w.at] != bracket+2 // the closing bracket, in ASCII
}

// value is the value that begins here; w moves behind it.
func (w *walk) value() []byte {
	start := w.at
	if w.src[start] == '"' {
		w.at += textEnd(w.src[start:])
		return w.src[start:w.at:w.at]
	}
	depth := 0
	for i := start; i < len(w.src); i++ {
		switch w.src[i] {
		case '"':
			i += textLength(w.src[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 || i+1 < len(w.src) && !endsWord(w.src[i+1]) {
				continue
			}
		}
		if depth == 0 {
			w.at = i + 1
			break
		}
	}
	return w.src[start:w.at:w.at]
}

// endsWord reports whether c cannot belong to a number, true, false or null.
func endsWord(c byte) bool { return isSpace(c) || c == ',' || c == '}' || c == ']' }

// isPlain reports whether a string, given without its quotes, stands for itself.
func isPlain(raw []byte) bool {
	at := 0
	for ; at+8 <= len(raw); at += 8 {
		x := binary.LittleEndian.Uint64(raw[at:])
		if x&highBits|zeroByte(x^backslashes) != 0 {
			break
		}
	}
	for _, c := range raw[at:] {
		if c == '\\' {
			return false
		}
		if c >= utf8.RuneSelf {
			return bytes.IndexByte(raw[at:], '\\') < 0 && utf8.Valid(raw[at:])
		}
	}
	return true
}

// Eight bytes alike, to look at as many at a time.
const (
	lowBits     = 0x0101010101010101
	highBits    = 0x80 * lowBits
	quotes      = '"' * lowBits
	backslashes = '\\' * lowBits
)

// zeroByte is not 0 when one of x's bytes is.
func zeroByte(x uint64) uint64 { return (x - lowBits) &^ x & highBits }

// textEnd is textLength for strings that may be long.
func textEnd(b []byte) int {
	i := 1
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if zeroByte(x^quotes)|zeroByte(x^backslashes) != 0 {
			break
		}
	}
	return i - 1 + textLength(b[i-1:])
}

// plainText is a string's value, given without its quotes, as encoding/json reads it.
func plainText(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+8)
	for at := 0; at < len(raw); {
		switch c := raw[at]; {
		case c == '\\':
			r, n := escaped(raw[at:])
			out = utf8.AppendRune(out, r)
			at += n
		case c < utf8.RuneSelf:
			out = append(out, c)
			at++
		default:
			r, n := utf8.DecodeRune(raw[at:])
			out = utf8.AppendRune(out, r)
			at += n
		}
	}
	return out
}

// escaped is the character that the escape sequence at the start of b stands for, and the sequence's length.
func escaped(b []byte) (rune, int) {
	r, n := codeUnit(b), 1+escape(b[1:])
	if !utf16.IsSurrogate(r) {
		return r, n
	}
	if rest := b[n:]; bytes.HasPrefix(rest, []byte(`\u`)) {
		if whole := utf16.DecodeRune(r, codeUnit(rest)); whole != utf8.RuneError {
			return whole, n + 6
		}
	}
	return utf8.RuneError, n
}
