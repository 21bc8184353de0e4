package cloudlet

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// exactText is a string's value, given without its quotes. So that different strings stay different, a backslash is two,
// and half a surrogate pair remains an escape; encoding/json would make all such halves the same character.
func exactText(raw []byte) []byte {
	at := bytes.IndexByte(raw, '\\')
	if at < 0 {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:at]...)
	for at < len(raw) {
		c := raw[at]
		if c != '\\' {
			out = append(out, c)
			at++
			continue
		}
		r := codeUnit(raw[at:])
		at += 1 + escape(raw[at+1:])
		if utf16.IsSurrogate(r) && bytes.HasPrefix(raw[at:], []byte(`\u`)) {
			if whole := utf16.DecodeRune(r, codeUnit(raw[at:])); whole != utf8.RuneError {
				r = whole
				at += 1 + escape(raw[at+1:])
			}
		}
		switch {
		case r == '\\':
			out = append(out, `\\`...)
		case utf16.IsSurrogate(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// codeUnit is what the escape sequence at the start of b stands for.
func codeUnit(b []byte) rune {
	switch c := b[1]; c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'u':
		var unit [2]byte
		_, _ = hex.Decode(unit[:], b[2:6]) // four hexadecimal digits, or the text were not valid
		return rune(unit[0])<<8 | rune(unit[1])
	default:
		return rune(c)
	}
}

// exactNumber is a number's value: sign, digits without zeros at either end, and the power of ten if it is not 0. It
// takes no more room than the text, whatever the exponent.
func exactNumber(raw []byte) []byte {
	mantissa, exponent := raw, []byte(nil)
	if e := bytes.IndexAny(raw, "eE"); e >= 0 {
		mantissa, exponent = raw[:e], raw[e+1:]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits, negative := bytes.CutPrefix(whole, []byte("-"))
	if len(fraction) > 0 {
		digits = slices.Concat(digits, fraction)
	}
	digits = bytes.TrimLeft(digits, "0")
	zeros := len(digits)
	digits = bytes.TrimRight(digits, "0")
	if len(digits) == 0 {
		return []byte("0") // and so is -0
	}
	zeros -= len(digits)
	power := addDecimal(exponent, zeros-len(fraction))
	if power == "0" && !negative {
		return digits
	}
	out := make([]byte, 0, len(digits)+len(power)+2)
	if negative {
		out = append(out, '-')
	}
	out = append(out, digits...)
	if power != "0" {
		out = append(append(out, 'e'), power...)
	}
	return out
}

// addDecimal is the sum of an exponent of any length and a number of digits, in decimal.
func addDecimal(exponent []byte, n int) string {
	digits := bytes.TrimLeft(exponent, "+-0")
	negative := bytes.HasPrefix(exponent, []byte("-"))
	if negative {
		n = -n
	}
	// From here on it is the absolute value that n is added to.
	if len(digits) > 18 { // more than surely fits, and more than n, so that the sign stays
		digits = bytes.Clone(digits)
		for i := len(digits) - 1; i >= 0 && n != 0; i-- {
			n += int(digits[i] - '0')
			digit := (n%10 + 10) % 10
			digits[i] = byte('0' + digit)
			n = (n - digit) / 10
		}
		sum := strings.TrimLeft(strconv.Itoa(n)+string(digits), "0")
		if negative {
			return "-" + sum
		}
		return sum
	}
	value := int64(n)
	if len(digits) > 0 {
		power, _ := strconv.ParseInt(string(digits), 10, 64) // 18 digits fit
		value += power
	}
	if negative {
		value = -value
	}
	return strconv.FormatInt(value, 10)
}
