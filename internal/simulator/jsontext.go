package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// member is one member of a JSON object: the key as a string for look-ups, key and value as the text that was sent.
type member struct {
	key   string
	name  []byte // the key as sent, with its quotes and escapes
	value []byte
}

// object is a JSON object whose member order, number literals and escapes are those of the text it came from.
type object []member

// parseObject splits the text of one JSON object. White space between tokens is dropped, nothing else changes.
func parseObject(text []byte) (object, error) {
	flat, err := compact(text)
	if err != nil {
		return nil, err
	}
	if flat[0] != '{' {
		return nil, fmt.Errorf("expected a JSON object, but got %s", kindOf(flat))
	}
	return splitObject(flat), nil
}

// parseArray splits the text of one JSON array into the texts of its elements.
func parseArray(text []byte) ([][]byte, error) {
	flat, err := compact(text)
	if err != nil {
		return nil, err
	}
	if flat[0] != '[' {
		return nil, fmt.Errorf("expected a JSON array, but got %s", kindOf(flat))
	}
	return splitArray(flat), nil
}

func compact(text []byte) ([]byte, error) {
	var flat bytes.Buffer
	flat.Grow(len(text))
	if err := json.Compact(&flat, text); err != nil {
		return nil, err
	}
	if flat.Len() == 0 {
		return nil, errors.New("no JSON value")
	}
	return flat.Bytes(), nil
}

// splitObject is parseObject for text that is known to be a sound JSON object without white space.
func splitObject(flat []byte) object {
	var o object
	for i := 1; flat[i] != '}'; {
		end := stringEnd(flat, i)
		name := flat[i:end]
		stop := valueEnd(flat, end+1)
		o = append(o, member{key: unquote(name), name: name, value: flat[end+1 : stop]})
		i = stop
		if flat[i] == ',' {
			i++
		}
	}
	return o
}

func splitArray(flat []byte) [][]byte {
	var elements [][]byte
	for i := 1; flat[i] != ']'; {
		stop := valueEnd(flat, i)
		elements = append(elements, flat[i:stop:stop])
		i = stop
		if flat[i] == ',' {
			i++
		}
	}
	return elements
}

// stringEnd is the index after the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is the index after the value that begins at i, in sound JSON without white space.
func valueEnd(text []byte, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return i
}

func unquote(name []byte) string {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name[1 : len(name)-1])
	}
	var s string
	if err := json.Unmarshal(name, &s); err != nil {
		return string(name)
	}
	return s
}

// quote is s as JSON text, with nothing escaped that need not be.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return []byte(`""`)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func number(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

func truth(b bool) []byte { return strconv.AppendBool(nil, b) }

// kindOf names the type of a JSON value in the words of the API's messages.
func kindOf(flat []byte) string {
	if len(flat) == 0 {
		return "nothing"
	}
	switch flat[0] {
	case '{':
		return "OBJECT"
	case '[':
		return "ARRAY"
	case '"':
		return "STRING"
	case 't', 'f':
		return "BOOLEAN"
	case 'n':
		return "NULL"
	default:
		return "NUMBER"
	}
}

// get is the value of a member as JSON text, or nil.
func (o object) get(key string) []byte {
	for i := range o {
		if o[i].key == key {
			return o[i].value
		}
	}
	return nil
}

// has says whether the member is there at all, be it null.
func (o object) has(key string) bool {
	for i := range o {
		if o[i].key == key {
			return true
		}
	}
	return false
}

// text is the value of a member that is a string, else empty.
func (o object) text(key string) string {
	value := o.get(key)
	if len(value) == 0 || value[0] != '"' {
		return ""
	}
	return unquote(value)
}

// number is the value of a member that is an integer, and whether it is one.
func (o object) number(key string) (int64, bool) {
	n, err := strconv.ParseInt(string(o.get(key)), 10, 64)
	return n, err == nil
}

// is says whether the member is true, as a boolean or as the string that the old documents print.
func (o object) is(key string) bool {
	value := string(o.get(key))
	return value == "true" || value == `"true"`
}

// null says whether the member is absent or null.
func (o object) null(key string) bool {
	value := o.get(key)
	return value == nil || string(value) == "null"
}

// set gives the member a new value, in its place or at the end.
func (o object) set(key string, value []byte) object {
	for i := range o {
		if o[i].key == key {
			o[i].value = value
			return o
		}
	}
	return append(o, member{key: key, name: quote(key), value: value})
}

// copied is a copy whose members can be set without touching o.
func (o object) copied() object { return append(make(object, 0, len(o)+2), o...) }

// without is a copy that lacks the members named.
func (o object) without(keys ...string) object {
	rest := make(object, 0, len(o)+2)
next:
	for _, m := range o {
		for _, key := range keys {
			if m.key == key {
				continue next
			}
		}
		rest = append(rest, m)
	}
	return rest
}

// appendTo writes the object as JSON text without white space.
func (o object) appendTo(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m.name...)
		dst = append(dst, ':')
		dst = append(dst, m.value...)
	}
	return append(dst, '}')
}

func (o object) bytes() []byte { return o.appendTo(nil) }

// template is the object that a format and its arguments spell. The text is ours, so that it is sound JSON.
func template(format string, args ...any) object {
	return splitObject(fmt.Appendf(nil, format, args...))
}

// chunks is a JSON text in pieces, many of which are shared with other answers: they are never written to.
type chunks [][]byte

func (c chunks) size() int64 {
	var n int64
	for _, piece := range c {
		n += int64(len(piece))
	}
	return n
}

func (c chunks) writeTo(w io.Writer) error {
	for _, piece := range c {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// joined is the whole text in one piece.
func (c chunks) joined() []byte { return bytes.Join(c, nil) }

// list is a JSON array of the texts given.
func list(elements [][]byte) chunks {
	out := make(chunks, 0, 2*len(elements)+2)
	out = append(out, []byte("["))
	for i, element := range elements {
		if i > 0 {
			out = append(out, []byte(","))
		}
		out = append(out, element)
	}
	return append(out, []byte("]"))
}
