package cloudlet

import "io"

// maxDepth is how deep JSON may nest; encoding/json draws the same line.
const maxDepth = 10000

// ValidJSON reports whether doc is one JSON value, white space around it allowed. It accepts what json.Valid accepts,
// several times faster: every byte of every answer goes through it.
func ValidJSON(doc []byte) bool {
	s := scanner{src: doc}
	s.space()
	if !s.value() {
		return false
	}
	s.space()
	return s.at == len(doc)
}

// CheckJSON is ValidJSON; compact reports whether, beside that, there is no white space between the tokens of doc.
func CheckJSON(doc []byte) (valid, compact bool) {
	s := scanner{src: doc}
	s.space()
	if !s.value() {
		return false, false
	}
	s.space()
	return s.at == len(doc), s.spaces == 0
}

// scanner walks over one JSON text. A method that finds what it looks for moves at behind it.
type scanner struct {
	src    []byte
	at     int
	depth  int
	spaces int // white space walked over
}

func (s *scanner) space() {
	for s.at < len(s.src) && isSpace(s.src[s.at]) {
		s.at++
		s.spaces++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (s *scanner) value() bool {
	if s.at == len(s.src) {
		return false
	}
	switch c := s.src[s.at]; c {
	case '{':
		return s.nested('}')
	case '[':
		return s.nested(']')
	case '"':
		return s.text()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

func (s *scanner) word(w string) bool {
	if len(s.src)-s.at < len(w) || string(s.src[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// nested walks over an object or an array, whose closing character it is given.
func (s *scanner) nested(closing byte) bool {
	if s.depth++; s.depth > maxDepth {
		return false
	}
	s.at++
	s.space()
	if s.at < len(s.src) && s.src[s.at] == closing {
		s.at++
		s.depth--
		return true
	}
	for {
		if closing == '}' && !s.key() {
			return false
		}
		if !s.value() {
			return false
		}
		s.space()
		if s.at == len(s.src) {
			return false
		}
		c := s.src[s.at]
		s.at++
		if c == closing {
			s.depth--
			return true
		}
		if c != ',' {
			return false
		}
		s.space()
	}
}

// key walks over a member's name and the colon behind it.
func (s *scanner) key() bool {
	if s.at == len(s.src) || s.src[s.at] != '"' || !s.text() {
		return false
	}
	s.space()
	if s.at == len(s.src) || s.src[s.at] != ':' {
		return false
	}
	s.at++
	s.space()
	return true
}

func (s *scanner) text() bool {
	src := s.src
	for i := s.at + 1; i < len(src); i++ {
		switch c := src[i]; {
		case c == '"':
			s.at = i + 1
			return true
		case c == '\\':
			n := escape(src[i+1:])
			if n == 0 {
				return false
			}
			i += n
		case c < ' ':
			return false
		}
	}
	return false
}

// escape is the length of the escape sequence at the start of b, its backslash not counted; 0 when it is none.
func escape(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
		if len(b) >= 5 && isHex(b[1]) && isHex(b[2]) && isHex(b[3]) && isHex(b[4]) {
			return 5
		}
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func (s *scanner) number() bool {
	if s.at < len(s.src) && s.src[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.src) && s.src[s.at] == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.at < len(s.src) && s.src[s.at] == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.at < len(s.src) && s.src[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.src) && (s.src[s.at] == '+' || s.src[s.at] == '-') {
			s.at++
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.src) && '0' <= s.src[s.at] && s.src[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

const spaces = "                                                                "

// prettyBuffer is about how much is handed on at a time.
const prettyBuffer = 4 << 10

// WritePretty writes doc, which must be valid JSON, with two-space indent, and nothing else changed: key order, number
// literals and escapes stay as they are. It ends without a line break, and holds no copy of doc.
func WritePretty(to io.Writer, doc []byte) error {
	dst := make([]byte, 0, prettyBuffer+len(spaces))
	depth := 0
	for i := 0; i < len(doc); i++ {
		if len(dst) >= prettyBuffer {
			if _, err := to.Write(dst); err != nil {
				return err
			}
			dst = dst[:0]
		}
		switch c := doc[i]; c {
		case ' ', '\n', '\t', '\r':
		case '"':
			end := i + textLength(doc[i:])
			dst = append(dst, doc[i:end]...)
			i = end - 1
		case '{', '[':
			dst = append(dst, c)
			if next := afterSpace(doc, i+1); doc[next] == c+2 { // the closing character, in ASCII
				dst = append(dst, c+2)
				i = next
				continue
			}
			depth++
			dst = appendBreak(dst, depth)
		case '}', ']':
			depth--
			dst = appendBreak(dst, depth)
			dst = append(dst, c)
		case ',':
			dst = append(dst, c)
			dst = appendBreak(dst, depth)
		case ':':
			dst = append(dst, ':', ' ')
		default:
			dst = append(dst, c)
		}
	}
	_, err := to.Write(dst)
	return err
}

func appendBreak(dst []byte, depth int) []byte {
	dst = append(dst, '\n')
	for n := depth * 2; n > 0; n -= len(spaces) {
		dst = append(dst, spaces[:min(n, len(spaces))]...)
	}
	return dst
}

// afterSpace is the place of the next token. There must be one.
func afterSpace(doc []byte, i int) int {
	for isSpace(doc[i]) {
		i++
	}
	return i
}

// textLength is the length of the JSON string at the start of b, quotes included. Strings are short, so that a loop
// finds the end sooner than a search for the next quote.
func textLength(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// AppendCompact appends doc, which must be valid JSON, without white space between its tokens.
func AppendCompact(dst, doc []byte) []byte {
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; c {
		case ' ', '\n', '\t', '\r':
		case '"':
			end := i + textLength(doc[i:])
			dst = append(dst, doc[i:end]...)
			i = end - 1
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// CountRules is the number of match rules of a version: the elements of the member matchRules of doc, which must be
// valid JSON. It is 0 where there is no such array.
func CountRules(doc []byte) int {
	start := memberArray(doc, `"matchRules"`)
	if start == 0 || doc[afterSpace(doc, start)] == ']' {
		return 0
	}
	depth, count := 1, 1
	for i := start; depth > 0; i++ {
		switch doc[i] {
		case '"':
			i += textLength(doc[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 1 {
				count++
			}
		}
	}
	return count
}

// memberArray finds the array that is the value of an object's own member, whose name it is given with its quotes, and
// gives the place behind the opening bracket; 0 when there is none.
func memberArray(doc []byte, name string) int {
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := i + textLength(doc[i:])
			if depth == 1 && string(doc[i:end]) == name {
				if value, ok := cutColon(doc, end); ok && doc[value] == '[' {
					return value + 1
				}
			}
			i = end - 1
		}
	}
	return 0
}

// cutColon gives the place of the value behind a member's name. It is false where no colon follows.
func cutColon(doc []byte, i int) (int, bool) {
	if i == len(doc) {
		return 0, false
	}
	if i = afterSpace(doc, i); doc[i] != ':' {
		return 0, false
	}
	return afterSpace(doc, i+1), true
}
