package convert

import (
	"strings"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// source is what a row's source cell asks for.
type source struct {
	scheme, host, path string   // scheme and host may be empty; path is encoded and begins with "/"
	params             []string // name=value, or name, in the row's order
	query              string   // of a matchURL that is taken as written; it must be the whole query
	asked              bool     // such a matchURL has a question mark, be there nothing behind it
	written            string   // such a matchURL itself; host and path above are what it comes to
	wildcard           bool     // the * in host and path are wildcards
	literal            bool     // path must be a path match, equals: a * in it is no wildcard
}

// matchURL is the source as a match URL: as it was written where that counts, else without scheme unless it is to be
// kept.
func (s *source) matchURL(keepScheme bool) string {
	switch {
	case s.written != "":
		return s.written
	case keepScheme && s.scheme != "":
		return s.scheme + "://" + s.host + s.path
	default:
		return s.host + s.path
	}
}

// matches is the source as matches, for what a match URL cannot say.
func (s *source) matches(keepScheme, caseSensitive, bothSlashes bool, to []redirect.Match) []redirect.Match {
	if keepScheme && s.scheme != "" {
		to = append(to, redirect.Match{Type: typeProtocol, Operator: opEquals, Value: s.scheme})
	}
	if s.host != "" {
		to = append(to, redirect.Match{Type: typeHostname, Operator: opEquals, Value: s.host})
	}
	path := s.path
	if bothSlashes {
		path += " " + slashTwin(s.path)
	}
	to = append(to, redirect.Match{Type: typePath, Operator: opEquals, Value: path, CaseSensitive: caseSensitive})
	for _, p := range s.params {
		to = append(to, redirect.Match{Type: typeQuery, Operator: opEquals, Value: p, CaseSensitive: caseSensitive})
	}
	return to
}

// slashTwin is the path with the slash at its end that it lacks, or without the one that it has.
func slashTwin(path string) string {
	if short, ok := strings.CutSuffix(path, "/"); ok && short != "" {
		return short
	}
	return path + "/"
}

// parseSource reads a source cell, and notes what was changed on the way.
func (m *maker) parseSource(cell string, e *entry) *finding {
	text := unescape(cell)
	before, _, found := strings.Cut(text, "#")
	if found && m.options.Fragment != FragmentDrop {
		return reject(codeFragment, sheet.SourceColumn, "%s has a fragment, which no browser sends: cut it off, or give --fragment drop", shown(cell))
	}
	text = before
	if m.dialect == sheet.PolicyManager {
		return m.parseMatchURL(text, cell, e)
	}
	if bad := e.src.cutHost(text, cell); bad != nil {
		return bad
	}
	return m.parseSimple(cell, e)
}

// cutHost takes scheme and host off a source. What is left is the path and the query, in s.path.
func (s *source) cutHost(text, cell string) *finding {
	rest := text
	if scheme, behind, found := strings.Cut(text, "://"); found && !strings.ContainsAny(scheme, "/?*") {
		s.scheme = lower(scheme)
		if s.scheme != "http" && s.scheme != "https" {
			return reject(codeBadURL, sheet.SourceColumn, "%s: only http and https requests can be redirected", shown(cell))
		}
		rest = behind
	} else if strings.HasPrefix(text, "//") {
		rest = text[2:]
	} else if strings.HasPrefix(text, "/") {
		s.path = text
		return nil
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	s.host, s.path = lower(rest[:end]), rest[end:]
	if s.path == "" || s.path[0] == '?' {
		s.path = "/" + s.path
	}
	s.host = redirect.WithoutPort(s.scheme, s.host)
	return s.checkHost(cell)
}

// checkHost refuses what is no host name. Without a scheme in front it must look like one.
func (s *source) checkHost(cell string) *finding {
	if s.scheme == "" && !strings.Contains(s.host, ".") && s.host != "localhost" && s.host != "*" {
		return reject(codeBadURL, sheet.SourceColumn, "%s is neither a path, which begins with /, nor does it name a host", shown(cell))
	}
	if strings.Trim(s.host, ".") == "" {
		return reject(codeBadHost, sheet.SourceColumn, "%s names no host", shown(cell))
	}
	at := badHostByte(s.host)
	if at < 0 {
		return nil
	}
	switch c := s.host[at]; {
	case c >= 0x80:
		return reject(codeBadHost, sheet.SourceColumn, "%s: write the host in its ASCII form (xn--...)", shown(cell))
	case c == ':':
		return reject(codeBadHost, sheet.SourceColumn, "%s: rules match no port, leave it out", shown(cell))
	default:
		return reject(codeBadHost, sheet.SourceColumn, "%s: %q is not possible in a host name", shown(cell), c)
	}
}

// badHostByte is the place of the first byte that no host in lower case has, * being a wildcard; -1 where there is none.
func badHostByte(host string) int {
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '*':
		default:
			return i
		}
	}
	return -1
}

// parseMatchURL reads a source of the policy-manager dialect: it is taken as written, but for what must be encoded and a
// port that says nothing, and any * is a wildcard.
func (m *maker) parseMatchURL(text, cell string, e *entry) *finding {
	s := &e.src
	tail := text // path and query as they are written
	if strings.HasPrefix(text, "/") {
		s.path = text
	} else {
		if bad := s.cutHost(text, cell); bad != nil {
			return bad
		}
		if tail = s.path; !strings.HasSuffix(text, tail) {
			tail = tail[1:] // the slash was put in front
		}
	}
	head := text[:len(text)-len(tail)]
	s.written = text
	if strings.HasSuffix(head, ":80") || strings.HasSuffix(head, ":443") { // of the scheme's own; any other is refused
		head = head[:strings.LastIndexByte(head, ':')]
		s.written = head + tail
	}
	before := tail
	if m.encodeInto(&tail, e); tail != before {
		s.written = head + tail
	}
	s.path, s.query, s.asked = strings.Cut(tail, "?")
	if s.path == "" {
		s.path = "/"
		if strings.HasSuffix(s.host, "*") { // such a host alone is followed by any path
			s.path = "/*"
		}
	}
	s.wildcard = strings.Contains(s.written, "*")
	return nil
}

// parseSimple completes a source of the simple dialect: a trailing /* is a wildcard, any other * or ? is itself.
func (m *maker) parseSimple(cell string, e *entry) *finding {
	s := &e.src
	path, query, asked := strings.Cut(s.path, "?")
	if asked && query == "" { // a question mark with nothing behind it belongs to the name
		path += "%3F"
		e.note(codeLiteral, sheet.SourceColumn, "the ? at the end is taken as a part of the path")
		s.literal = true
	}
	m.encodeInto(&path, e)
	s.path = path
	if bad := m.chooseWildcards(cell, e); bad != nil {
		return bad
	}
	if query == "" {
		return nil
	}
	if s.wildcard {
		return reject(codeMixed, sheet.SourceColumn, "%s has a wildcard and a query, which no match says together: use the column query", shown(cell))
	}
	m.encodeInto(&query, e)
	s.literal = true
	return s.parseParams(query, cell)
}

// chooseWildcards decides which * of a path are wildcards.
func (m *maker) chooseWildcards(cell string, e *entry) *finding {
	s := &e.src
	s.wildcard = strings.Contains(s.host, "*")
	stars := strings.Count(s.path, "*")
	if stars == 0 {
		return nil
	}
	tail := strings.HasSuffix(s.path, "/*")
	switch {
	case m.options.Wildcards == WildcardsAll, m.options.Wildcards == WildcardsTrailing && tail && stars == 1:
		s.wildcard, s.literal = true, false // a ? at the end is encoded, and no obstacle
	case m.options.Wildcards == WildcardsTrailing && tail, s.wildcard:
		return reject(codeMixed, sheet.SourceColumn,
			"%s: one * would be a wildcard and another not, which no rule can say: give --wildcards all, or write the other as %%2A", shown(cell))
	default:
		s.literal = true
		e.note(codeLiteral, sheet.SourceColumn, "the * is taken as itself, not as a wildcard")
	}
	return nil
}

// parseParams reads name=value&name=value.
func (s *source) parseParams(query, cell string) *finding {
	given := 0
	for param := range strings.SplitSeq(query, "&") {
		if param == "" {
			continue
		}
		if given++; given > maxConditions { // so the loop below is short
			return tooMany(sheet.SourceColumn)
		}
		name, _, _ := strings.Cut(param, "=")
		if name == "" {
			return reject(codeBadURL, sheet.SourceColumn, "%s: a parameter of the query has no name", shown(cell))
		}
		repeated := false
		for _, earlier := range s.params {
			if before, _, _ := strings.Cut(earlier, "="); before != name {
				continue
			}
			if earlier != param {
				return reject(codeQueryRepeats, sheet.SourceColumn, "%s asks for two values of the parameter %s, and a match has one", shown(cell), shown(name))
			}
			repeated = true
		}
		if !repeated {
			s.params = append(s.params, param)
		}
	}
	return nil
}

// encodeInto percent-encodes a part of a source in place, and notes it.
func (m *maker) encodeInto(text *string, e *entry) {
	before := *text
	if encoded, changed := encode(before, ""); changed {
		*text = encoded
		e.note(codeEncoded, sheet.SourceColumn, encodedWords(before, ""))
	}
}
