package convert

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// unsafeURL are the ASCII characters that Akamai wants percent-encoded in source and redirect URLs, besides controls and
// everything that is not ASCII (Cloudlets guide, "General rules considerations").
const unsafeURL = ` <>@"\[]^{|}` + "`"

// mustEncode says of every byte of a URL whether it has to be percent-encoded, or looked at more closely.
var mustEncode = func() (table [256]bool) { //nolint:gochecknoglobals // a table that is only read
	for c := range table {
		table[c] = c <= ' ' || c >= 0x7f || c == '%' || strings.IndexByte(unsafeURL, byte(c)) >= 0
	}
	return table
}()

const upperHex = "0123456789ABCDEF"

// encode percent-encodes what Akamai wants encoded. What is encoded stays as it is; a % that begins no escape becomes
// %25. Characters of keep are left alone. It says whether anything changed.
func encode(text, keep string) (string, bool) {
	first := -1
	for i := 0; i < len(text); i++ {
		if mustEncode[text[i]] && needsEncoding(text, i, keep) {
			first = i
			break
		}
	}
	if first < 0 {
		return text, false
	}
	out := append(make([]byte, 0, len(text)+16), text[:first]...)
	for i := first; i < len(text); i++ {
		if needsEncoding(text, i, keep) {
			out = append(out, '%', upperHex[text[i]>>4], upperHex[text[i]&15])
		} else {
			out = append(out, text[i])
		}
	}
	return string(out), true
}

// encodedWords names the first character that encode changes.
func encodedWords(text, keep string) string {
	for i, r := range text {
		if !mustEncode[text[i]] || !needsEncoding(text, i, keep) {
			continue
		}
		if r > ' ' && r < 0x7f {
			return fmt.Sprintf("characters that Akamai wants percent-encoded were encoded, the first is %q", r)
		}
		return fmt.Sprintf("characters that Akamai wants percent-encoded were encoded, the first is %U", r)
	}
	return "characters that Akamai wants percent-encoded were encoded"
}

func needsEncoding(text string, i int, keep string) bool {
	c := text[i]
	if c == '%' {
		return !isEscape(text[i:])
	}
	return mustEncode[c] && (keep == "" || strings.IndexByte(keep, c) < 0)
}

// isEscape reports whether text begins with %XX.
func isEscape(text string) bool {
	return len(text) >= 3 && text[0] == '%' && isHex(text[1]) && isHex(text[2])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// decodeOnce appends text to dst with every %XX turned into the byte that it stands for, once.
func decodeOnce(dst []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && isEscape(text[i:]) {
			dst = append(dst, unhex(text[i+1])<<4|unhex(text[i+2]))
			i += 2
			continue
		}
		dst = append(dst, text[i])
	}
	return dst
}

// control finds a control character; it is false where there is none.
func control(text string) (rune, bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < ' ' || c == 0x7f {
			return rune(c), true
		}
		if c == 0xc2 && i+1 < len(text) && text[i+1] < 0xa0 { // U+0080 to U+009F
			r, _ := utf8.DecodeRuneInString(text[i:])
			return r, true
		}
	}
	return 0, false
}

// unescape undoes `\ `, the only escape that names, source and redirect URLs know.
func unescape(text string) string {
	if !strings.Contains(text, `\ `) {
		return text
	}
	return strings.ReplaceAll(text, `\ `, " ")
}

// lower is ASCII lower case.
func lower(text string) string {
	for i := 0; i < len(text); i++ {
		if 'A' <= text[i] && text[i] <= 'Z' {
			low := []byte(text)
			lowerInPlace(low)
			return string(low)
		}
	}
	return text
}

// lowerInPlace puts A-Z into lower case.
func lowerInPlace(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c | 0x20
		}
	}
}

// sameFold reports whether two texts are the same but for ASCII case.
func sameFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x |= 0x20
		}
		if 'A' <= y && y <= 'Z' {
			y |= 0x20
		}
		if x != y {
			return false
		}
	}
	return true
}

// characters counts the characters of a text; where it cannot be over the limit it gives its bytes, which is cheaper.
func characters(text string) int {
	if len(text) <= maxText {
		return len(text)
	}
	return utf8.RuneCountInString(text)
}
