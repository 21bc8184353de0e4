package redirect

import "strings"

// lower is ASCII only (D): hosts, paths and queries are ASCII once encoded.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// lowerText is text with A-Z in lower case.
func lowerText(text string) string {
	for i := range len(text) {
		if c := text[i]; c >= 'A' && c <= 'Z' {
			out := []byte(text)
			for j := i; j < len(out); j++ {
				out[j] = lower(out[j])
			}
			return string(out)
		}
	}
	return text
}

// equalFold compares without regard to the case of A-Z.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	c |= 0x20
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
}

// inEscape reports whether s[i] is one of the two digits of a percent-encoding.
func inEscape(s string, i int) bool {
	if i >= 1 && s[i-1] == '%' {
		return i+1 < len(s) && isHex(s[i]) && isHex(s[i+1])
	}
	return i >= 2 && s[i-2] == '%' && isHex(s[i-1]) && isHex(s[i])
}

// comparison is how a value of a rule is compared with a part of the request.
type comparison struct {
	fold       bool // the case of A-Z does not matter
	star       bool // * stands for any run of characters
	question   bool // ? stands for one character
	floatStart bool // what comes before does not matter
	floatEnd   bool // what comes behind does not matter
	plain      bool // percent-encodings mean nothing
}

// same compares two characters. The case of hex digits in a percent-encoding never matters (D).
func (c comparison) same(value string, j int, text string, i int) bool {
	a, b := value[j], text[i]
	if a == b {
		return true
	}
	if lower(a) != lower(b) {
		return false
	}
	return c.fold || !c.plain && inEscape(value, j) && inEscape(text, i)
}

// match reports whether value matches text.
func (c comparison) match(value, text string) bool {
	if !c.floatStart && !c.floatEnd && (!c.star || strings.IndexByte(value, '*') < 0) && !c.question {
		if len(value) != len(text) {
			return false
		}
		if c.fold {
			return equalFold(value, text)
		}
		for i := range len(value) {
			if !c.same(value, i, text, i) {
				return false
			}
		}
		return true
	}
	_, ok := c.find(value, text)
	return ok
}

// span is a part of a text.
type span struct{ from, to int }

// find is match that also gives what the last star of value stands for; an empty span where value has no star. Stars
// before the last one stand for as little as possible.
func (c comparison) find(value, text string) (span, bool) {
	var last span
	i, j := 0, 0
	resume, mark := -1, 0 // where in value to go on behind a star, and how far that star reaches
	if c.floatStart {
		resume = 0
	}
	stars := 0
	for i < len(text) {
		switch {
		case j < len(value) && c.star && value[j] == '*':
			j++
			resume, mark = j, i
			last.from = i
			stars++
			continue
		case j < len(value) && (c.question && value[j] == '?' || c.same(value, j, text, i)):
			i++
			j++
			continue
		case j == len(value) && c.floatEnd && (j == 0 || !c.star || value[j-1] != '*'):
			last.to = mark
			return c.cut(last, stars), true
		}
		if resume < 0 {
			return span{}, false
		}
		mark++
		i, j = mark, resume
	}
	last.to = mark
	for j < len(value) && c.star && value[j] == '*' {
		j++
		stars++
		last = span{i, i}
	}
	return c.cut(last, stars), j == len(value)
}

func (c comparison) cut(last span, stars int) span {
	if stars == 0 {
		return span{}
	}
	return last
}
