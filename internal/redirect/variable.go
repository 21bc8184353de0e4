package redirect

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// The builtin variables that an expression may name.
const (
	builtinPath   = "AK_PATH"
	builtinHost   = "AK_HOST"
	builtinScheme = "AK_SCHEME"
	builtinQuery  = "AK_QUERY"
	builtinMethod = "AK_METHOD"
)

// expression is a text with variables in it.
type expression []part

// part is plain text, a builtin variable, or one of the property's own.
type part struct {
	text     string
	builtin  string
	variable int // when text and builtin are empty
}

func (x expression) value(e *execution) (string, error) {
	if len(x) == 1 {
		return x[0].value(e)
	}
	var b strings.Builder
	for i := range x {
		value, err := x[i].value(e)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

func (p *part) value(e *execution) (string, error) {
	switch {
	case p.text != "":
		return p.text, nil
	case p.builtin == "":
		return e.variables[p.variable], nil
	case p.builtin == builtinPath && e.reading.PathDecoded:
		return decodeOnce(e.q.Path, false), nil
	case p.builtin == builtinPath:
		return e.q.Path, nil
	case p.builtin == builtinQuery:
		return e.q.Query, nil
	}
	value := e.q.Method
	switch p.builtin {
	case builtinHost:
		value = e.q.Host
	case builtinScheme:
		value = e.q.Scheme
	}
	if value == "" {
		return "", fmt.Errorf("%s is not known", p.builtin)
	}
	return value, nil
}

// setVariable sets a variable to what a transform makes of an expression.
type setVariable struct {
	rule      string // for messages
	variable  int
	from      expression
	transform transform
}

func (s *setVariable) run(e *execution) error {
	value, err := s.from.value(e)
	if err == nil {
		value, err = s.transform.apply(value, e.reading)
	}
	if err != nil {
		return fmt.Errorf("rule %q: set variable: %w", s.rule, err)
	}
	e.variables[s.variable] = value
	return nil
}

// transform is a transform of setVariable with its operands.
type transform struct {
	name       string
	start, end int   // SUBSTRING
	operand    int64 // ADD, MODULO
}

// The transforms that this package knows; an empty name is NONE.
const (
	transformNone      = "NONE"
	transformURLDecode = "URL_DECODE"
	transformLower     = "LOWER"
	transformUpper     = "UPPER"
	transformMD5       = "MD5"
	transformSubstring = "SUBSTRING"
	transformHex       = "HEX_TO_DECIMAL"
	transformModulo    = "MODULO"
	transformAdd       = "ADD"
)

// apply gives an error where a transform cannot be applied to the value, for no document says what happens then.
func (t *transform) apply(value string, r Reading) (string, error) {
	switch t.name {
	case transformURLDecode:
		return decodeOnce(value, r.PlusIsSpace), nil
	case transformLower: // ASCII only (D)
		return lowerText(value), nil
	case transformUpper:
		return upperText(value), nil
	case transformMD5:
		return md5Hex(value), nil
	case transformSubstring: // bytes (D)
		if t.end > len(value) {
			return "", fmt.Errorf("SUBSTRING to %d of %q: too short", t.end, value)
		}
		return value[t.start:t.end], nil
	case transformHex:
		n, err := strconv.ParseInt(value, 16, 64)
		if err != nil || n < 0 || value[0] == '+' {
			return "", fmt.Errorf("HEX_TO_DECIMAL of %q: not a hexadecimal number", value)
		}
		return strconv.FormatInt(n, 10), nil
	case transformModulo, transformAdd:
		return t.reckon(value)
	default:
		return value, nil
	}
}

func (t *transform) reckon(value string) (string, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return "", fmt.Errorf("%s of %q: not a whole number", t.name, value)
	}
	if t.name == transformModulo {
		if n < 0 {
			return "", fmt.Errorf("MODULO of %d: negative", n)
		}
		return strconv.FormatInt(n%t.operand, 10), nil
	}
	sum := n + t.operand
	if (sum > n) != (t.operand > 0) && t.operand != 0 {
		return "", fmt.Errorf("ADD %d to %d: out of range", t.operand, n)
	}
	return strconv.FormatInt(sum, 10), nil
}

func md5Hex(value string) string {
	var room [256]byte
	sum := md5.Sum(append(room[:0], value...))
	var text [2 * md5.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}

func upperText(text string) string {
	out := []byte(text)
	for i, c := range out {
		if c >= 'a' && c <= 'z' {
			out[i] = c - ('a' - 'A')
		}
	}
	return string(out)
}

// decodeOnce decodes every valid %XX once and leaves all else as it is.
func decodeOnce(text string, plusIsSpace bool) string {
	if strings.IndexByte(text, '%') < 0 && (!plusIsSpace || strings.IndexByte(text, '+') < 0) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			c = hexDigit(text[i+1])<<4 | hexDigit(text[i+2])
			i += 2
		case c == '+' && plusIsSpace:
			c = ' '
		}
		out = append(out, c)
	}
	return string(out)
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20 - 'a') + 10
}
