package chunkset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"cloudletmig/internal/cloudlet"
)

// Body is what a policy's version is made of. The rules are as they stand in the file.
type Body struct {
	Description string
	Rules       []json.RawMessage
}

// Append appends the body to POST: compact JSON, with all rules in their order.
func (b Body) Append(dst []byte) []byte {
	description, _ := cloudlet.Marshal(b.Description, "") // a string has no error
	dst = append(dst, bodyStart...)
	dst = append(dst, description...)
	dst = append(dst, bodyMiddle...)
	for i, rule := range b.Rules {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = cloudlet.AppendCompact(dst, rule)
	}
	return append(dst, bodyEnd...)
}

// ReadBody reads description and rules of any document that has match rules: a chunk, a version as the API gives it. Of
// its other members it takes no notice. A matchRules of null, as of a version without rules, is an empty list.
func ReadBody(doc []byte) (Body, error) {
	if !cloudlet.ValidJSON(doc) {
		return Body{}, errors.New("read rules: not JSON")
	}
	of, err := members(part{text: doc}, "description", "matchRules")
	if err != nil {
		return Body{}, fmt.Errorf("read rules: %w", err)
	}
	if of["matchRules"].text == nil {
		return Body{}, errors.New("read rules: no matchRules")
	}
	b := Body{Rules: []json.RawMessage{}}
	if text := of["description"].text; text != nil {
		if err := json.Unmarshal(text, &b.Description); err != nil {
			return Body{}, errors.New("read rules: the description is no text")
		}
	}
	if err := json.Unmarshal(of["matchRules"].text, &b.Rules); err != nil {
		return Body{}, errors.New("read rules: matchRules is no list")
	}
	if b.Rules == nil { // null
		b.Rules = []json.RawMessage{}
	}
	for i, rule := range b.Rules {
		if rule[0] != '{' {
			return Body{}, fmt.Errorf("read rules: match rule %d is no object", i+1)
		}
	}
	return b, nil
}

// describe is the description as JSON, if it leaves a body within BodyOverhead.
func describe(description string) ([]byte, error) {
	if !utf8.ValidString(description) {
		return nil, errors.New("description is not UTF-8")
	}
	text, err := cloudlet.Marshal(description, "")
	if err != nil {
		return nil, fmt.Errorf("encode description: %w", err)
	}
	if n := utf8.RuneCountInString(description); n > maxDescription || len(text) > maxDescriptionText {
		return nil, fmt.Errorf("description has %d characters and %d bytes, and at most %d and %d are allowed",
			n, len(text)-len(`""`), maxDescription, 4*maxDescription)
	}
	return text, nil
}

// writeChunk writes a chunk's file, one rule a line, and gives the number of its rules and their bytes. It ends with an
// error before the limits of a policy are passed.
func writeChunk(to io.Writer, description []byte, rules iter.Seq2[[]byte, error]) (count int, size int64, err error) {
	var line []byte
	line = append(append(append(line, bodyStart...), description...), bodyMiddle...)
	for rule, err := range rules {
		if err != nil {
			return count, size, err
		}
		valid, compact := cloudlet.CheckJSON(rule)
		if !valid {
			return count, size, fmt.Errorf("match rule %d is not JSON", count+1)
		}
		if count > 0 {
			line = append(line, ',')
		}
		line = append(line, '\n')
		start := len(line)
		if compact {
			line = append(line, rule...)
		} else {
			line = cloudlet.AppendCompact(line, rule)
		}
		if line[start] != '{' {
			return count, size, fmt.Errorf("match rule %d is no object", count+1)
		}
		count++
		size += int64(len(line) - start)
		if count > MaxRules {
			return count, size, fmt.Errorf("more than %d rules in one policy", MaxRules)
		}
		if n := BodyBytes(count, size); n > MaxBytes {
			return count, size, fmt.Errorf("%d bytes in one policy, and at most %d are allowed", n, MaxBytes)
		}
		if _, err := to.Write(line); err != nil {
			return count, size, err
		}
		line = line[:0]
	}
	if count > 0 {
		line = append(line, '\n')
	}
	_, err = to.Write(append(append(line, bodyEnd...), '\n'))
	return count, size, err
}
