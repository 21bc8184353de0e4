package chunkset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// part is a value inside a JSON text, and its place there. What is not there has no text.
type part struct {
	text []byte
	at   int
}

// words is the value of a JSON string; of anything else it is empty.
func (p part) words() string {
	var s string
	if json.Unmarshal(p.text, &s) != nil {
		return ""
	}
	return s
}

// members are those of an object, of a name that it has twice the last. Those named in once must not be there twice:
// readers of JSON disagree on which one counts.
func members(object part, once ...string) (map[string]part, error) {
	dec := json.NewDecoder(bytes.NewReader(object.text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("at byte %d: no object", object.at)
	}
	of := map[string]part{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(t)
		if of[name].text != nil && slices.Contains(once, name) {
			return nil, fmt.Errorf("%s is there twice", name)
		}
		value, err := object.next(dec)
		if err != nil {
			return nil, err
		}
		of[name] = value
	}
	return of, nil
}

// elements are those of an array; what is not there has none.
func elements(array part) ([]part, error) {
	if array.text == nil {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(array.text))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("at byte %d: no list", array.at)
	}
	var all []part
	for dec.More() {
		value, err := array.next(dec)
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

// next reads the next value from dec, which reads p.
func (p part) next(dec *json.Decoder) (part, error) {
	var text json.RawMessage
	if err := dec.Decode(&text); err != nil {
		return part{}, err
	}
	return part{text: text, at: p.at + int(dec.InputOffset()) - len(text)}, nil
}
