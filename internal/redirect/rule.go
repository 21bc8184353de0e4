// Package redirect tells what Edge Redirector rules and a property's dispatcher do to a URL: which rule answers, and
// with which Location. It is pure: no network, files, database or clock. Where no document of Akamai says how something
// compares, the reading chosen here is marked "D" (docs/csv.md lists these for users).
package redirect

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// The values of Rule.UseRelativeURL, beside none and the empty text, which are alike.
const (
	RelativeURL        = "relative_url"
	CopySchemeHostname = "copy_scheme_hostname"
)

// The values of Match.Operator. An empty operator is read as equals (D).
const (
	opEquals   = "equals"
	opContains = "contains"
	opExists   = "exists"
)

// The values of Object.Type that this package knows.
const (
	typeObject = "object"
	typeSimple = "simple"
)

// Rule is the typed view of an Edge Redirector match rule (erMatchRule).
type Rule struct {
	Name string
	// Start and End are epoch seconds; 0 is open.
	Start, End    int64
	Disabled      bool
	MatchesAlways bool
	// MatchURL is empty where the rule has none.
	MatchURL    string
	Matches     []Match
	StatusCode  int
	RedirectURL string
	// UseRelativeURL is empty, "none", RelativeURL or CopySchemeHostname.
	UseRelativeURL           string
	UseIncomingQueryString   bool
	UseIncomingSchemeAndHost bool
	// Unknown names the members that this view does not know, as "matches[1].foo", in the order of the text. The type,
	// id, akaRuleId and location of a rule, and members that are null, are not among them.
	Unknown []string
}

// Match is one criterion of a rule. It has Value or Object.
type Match struct {
	Type, Operator, Value, CheckIPs string
	CaseSensitive, Negate           bool
	Object                          *Object
}

// Object is an objectMatchValue: type object has a name, and its values in options; type simple has values only.
type Object struct {
	Type, Name                         string
	NameCaseSensitive, NameHasWildcard bool
	Values                             []string
	ValueHasWildcard                   bool
	ValueCaseSensitive                 bool
	ValueEscaped                       bool
}

// AppendJSON appends the rule as compact JSON. Members always stand in one order, so that equal rules give equal bytes.
// Only what JSON asks for is escaped, and a byte that is not UTF-8 becomes U+FFFD. Unknown members are not written.
func (r *Rule) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"erMatchRule","name":`...)
	dst = appendText(dst, r.Name)
	dst = append(dst, `,"start":`...)
	dst = strconv.AppendInt(dst, r.Start, 10)
	dst = append(dst, `,"end":`...)
	dst = strconv.AppendInt(dst, r.End, 10)
	dst = appendTextMember(dst, `,"matchURL":`, r.MatchURL)
	for i := range r.Matches {
		if i == 0 {
			dst = append(dst, `,"matches":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = r.Matches[i].appendJSON(dst)
	}
	if len(r.Matches) > 0 {
		dst = append(dst, ']')
	}
	dst = append(dst, `,"statusCode":`...)
	dst = strconv.AppendInt(dst, int64(r.StatusCode), 10)
	dst = append(dst, `,"redirectURL":`...)
	dst = appendText(dst, r.RedirectURL)
	dst = append(dst, `,"useIncomingQueryString":`...)
	dst = strconv.AppendBool(dst, r.UseIncomingQueryString)
	if r.UseIncomingSchemeAndHost {
		dst = append(dst, `,"useIncomingSchemeAndHost":true`...)
	}
	dst = appendTextMember(dst, `,"useRelativeUrl":`, r.UseRelativeURL)
	if r.Disabled {
		dst = append(dst, `,"disabled":true`...)
	}
	if r.MatchesAlways {
		dst = append(dst, `,"matchesAlways":true`...)
	}
	return append(dst, '}')
}

func (m *Match) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"caseSensitive":`...)
	dst = strconv.AppendBool(dst, m.CaseSensitive)
	dst = appendTextMember(dst, `,"matchOperator":`, m.Operator)
	dst = append(dst, `,"matchType":`...)
	dst = appendText(dst, m.Type)
	dst = appendTextMember(dst, `,"matchValue":`, m.Value)
	if m.Object != nil {
		dst = append(dst, `,"objectMatchValue":`...)
		dst = m.Object.appendJSON(dst, m.Operator)
	}
	dst = append(dst, `,"negate":`...)
	dst = strconv.AppendBool(dst, m.Negate)
	dst = appendTextMember(dst, `,"checkIPs":`, m.CheckIPs)
	return append(dst, '}')
}

func (o *Object) appendJSON(dst []byte, operator string) []byte {
	if o.Type != typeObject {
		dst = append(dst, `{"type":`...)
		dst = appendText(dst, o.Type)
		dst = append(dst, `,"value":`...)
		return append(appendTexts(dst, o.Values), '}')
	}
	dst = append(dst, `{"name":`...)
	dst = appendText(dst, o.Name)
	dst = append(dst, `,"type":"object","nameCaseSensitive":`...)
	dst = strconv.AppendBool(dst, o.NameCaseSensitive)
	dst = append(dst, `,"nameHasWildcard":`...)
	dst = strconv.AppendBool(dst, o.NameHasWildcard)
	if operator != opExists || len(o.Values) > 0 {
		dst = append(dst, `,"options":{"value":`...)
		dst = appendTexts(dst, o.Values)
		dst = append(dst, `,"valueHasWildcard":`...)
		dst = strconv.AppendBool(dst, o.ValueHasWildcard)
		dst = append(dst, `,"valueCaseSensitive":`...)
		dst = strconv.AppendBool(dst, o.ValueCaseSensitive)
		if o.ValueEscaped {
			dst = append(dst, `,"valueEscaped":true`...)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendTextMember appends a member whose name comes with its comma and colon, unless the text is empty.
func appendTextMember(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return appendText(append(dst, name...), text)
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, text)
	}
	return append(dst, ']')
}

func appendText(dst []byte, text string) []byte {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(text[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, text[done:i]...)
		dst = appendEscape(dst, c)
		i += size
		done = i
	}
	dst = append(dst, text[done:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	if i := strings.IndexByte("\"\\\n\r\t", c); i >= 0 {
		return append(dst, '\\', `"\nrt`[i])
	}
	if c >= utf8.RuneSelf {
		return append(dst, `\ufffd`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
