package convert

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// The values of useRelativeUrl (Cloudlets API v3, erMatchRule).
const (
	relativeNone = "none"
	relativeURL  = "relative_url"
	copySchema   = "copy_scheme_hostname"
)

// statuses are those that a redirect can have (Cloudlets API v3, statusCode).
var statuses = map[string]int{"301": 301, "302": 302, "303": 303, "307": 307, "308": 308} //nolint:gochecknoglobals // a table that is only read

// fillTarget completes a rule with where it leads.
func (m *maker) fillTarget(row *sheet.Row, e *entry) *finding {
	r := &e.rule
	if row.Target == "" {
		return reject(codeNoTarget, sheet.TargetColumn, "there is no target")
	}
	r.StatusCode = m.options.Status
	if row.Status != "" {
		if r.StatusCode = statuses[row.Status]; r.StatusCode == 0 {
			return reject(codeBadStatus, sheet.StatusColumn, "%s is no status of a redirect: 301, 302, 303, 307 or 308", shown(row.Status))
		}
	}
	if bad := m.fillURL(row, e); bad != nil {
		return bad
	}
	if strings.Count(r.RedirectURL, "*") > 1 && (e.src.wildcard || starred(row.Path)) {
		return reject(codeBadTarget, sheet.TargetColumn, "%s: only one * can receive what the wildcard matched", shown(row.Target))
	}
	return m.fillFlags(row, e)
}

// fillURL sets the redirect URL, and how it is completed.
func (m *maker) fillURL(row *sheet.Row, e *entry) *finding {
	r := &e.rule
	keep := ""
	if row.Regex != "" {
		keep = `\` // \1 is what the first group matched
	}
	target, changed := encode(unescape(row.Target), keep)
	if changed {
		e.note(codeEncoded, sheet.TargetColumn, encodedWords(row.Target, keep))
	}
	r.RedirectURL = target
	switch {
	case strings.HasPrefix(target, "//"):
		r.RedirectURL, r.UseRelativeURL = "https:"+target, relativeNone
		if bad := checkTargetHost(target[2:], row); bad != nil {
			return bad
		}
		e.note(codeTargetScheme, sheet.TargetColumn, "a target that begins with // names no scheme; https was put in front")
	case strings.HasPrefix(target, "/"), row.Regex != "" && strings.HasPrefix(target, `\`):
		r.UseRelativeURL = m.options.Relative
		r.UseIncomingSchemeAndHost = m.options.Relative == copySchema
	default:
		scheme, rest, ok := strings.Cut(target, "://")
		host, _, _ := strings.Cut(rest, "/")
		if strings.Contains(host, "%40") { // an @ in the target
			return reject(codeBadTarget, sheet.TargetColumn, "%s holds a user name, which browsers warn of", shown(row.Target))
		}
		if scheme = lower(scheme); !ok || scheme != "http" && scheme != "https" || host == "" {
			return reject(codeBadTarget, sheet.TargetColumn, "%s is neither a path, which begins with /, nor a URL with http:// or https://", shown(row.Target))
		}
		if bad := checkTargetHost(rest, row); bad != nil {
			return bad
		}
		r.UseRelativeURL = relativeNone
	}
	switch given := lower(row.UseRelativeURL); given {
	case "":
	case relativeNone, relativeURL, copySchema:
		r.UseRelativeURL, r.UseIncomingSchemeAndHost = given, false
	default:
		return reject(codeBadCell, sheet.UseRelativeURLColumn, "%s: give none, relative_url or copy_scheme_hostname", shown(row.UseRelativeURL))
	}
	return nil
}

// beginsWithHost reports whether a text begins with a sound host in lower case, without a port, and a slash.
func beginsWithHost(text string) bool {
	before := byte('.')
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '/' {
			return i > 0
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (before == '.' || c != '.' && c != '-') {
			return false
		}
		before = c
	}
	return false
}

// checkTargetHost refuses a target whose host or port can be none. Rest is what follows the two slashes.
func checkTargetHost(rest string, row *sheet.Row) *finding {
	if beginsWithHost(rest) { // as most do
		return nil
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	host, port, ported := strings.Cut(rest, ":")
	if row.Regex != "" && strings.Contains(host, `\`) { // a group becomes a part of it
		return nil
	}
	if at := badHostByte(lower(host)); at >= 0 || strings.Trim(host, ".-") == "" || strings.Contains(host, "..") {
		return reject(codeBadTarget, sheet.TargetColumn, "%s: %s is no host name; one with letters outside ASCII is written xn--...", shown(row.Target), shown(host))
	}
	if n, err := strconv.ParseUint(port, 10, 16); ported && (err != nil || n == 0) {
		return reject(codeBadTarget, sheet.TargetColumn, "%s: %s is no port", shown(row.Target), shown(port))
	}
	return nil
}

// fillFlags sets what happens to the visitor's query string, scheme and host.
func (m *maker) fillFlags(row *sheet.Row, e *entry) *finding {
	r := &e.rule
	r.UseIncomingQueryString = m.options.Query == QueryKeep
	for _, f := range []struct {
		column sheet.Column
		flag   *bool
	}{{sheet.UseIncomingQueryStringColumn, &r.UseIncomingQueryString}, {sheet.UseIncomingSchemeAndHostColumn, &r.UseIncomingSchemeAndHost}} {
		cell := row.Cell(f.column)
		if cell == "" {
			continue
		}
		value, ok := flag(cell)
		if !ok {
			return reject(codeBadFlag, f.column, "%s: give 1 or nothing", shown(cell))
		}
		*f.flag = value
	}
	if r.UseIncomingQueryString && strings.Contains(r.RedirectURL, "#") {
		e.note(codeQueryFragment, sheet.TargetColumn, "the target has a fragment, and the visitor's query string is kept: see where it ends up")
	}
	return nil
}

// flag reads a cell that is on or off.
func flag(cell string) (value, ok bool) {
	switch lower(cell) {
	case "1", "true", "yes":
		return true, true
	case "", "0", "false", "no":
		return false, true
	}
	return false, false
}

// Limits of regular expressions (Cloudlets guide, "Regular expressions in rules").
const (
	maxRegex  = 256
	maxGroups = 9
)

// regexMatch turns the column regex into a match, and checks what the target takes from it.
func (m *maker) regexMatch(row *sheet.Row, e *entry, to []redirect.Match) ([]redirect.Match, *finding) {
	cell := row.Regex
	match := redirect.Match{Type: typeRegex, Operator: opEquals, Value: cell}
	if n := utf8.RuneCountInString(cell); n > maxRegex {
		return to, reject(codeBadRegex, sheet.RegexColumn, "the expression has %d characters, and %d are allowed", n, maxRegex)
	}
	re, err := regexp.Compile(cell)
	if err != nil {
		return to, reject(codeBadRegex, sheet.RegexColumn, "%s: %v", shown(cell), err.(*syntax.Error).Code) //nolint:errcheck,errorlint,forcetypeassert // Compile gives no other
	}
	groups := re.NumSubexp()
	for i := 0; i+1 < len(row.Target); i++ {
		if row.Target[i] != '\\' || row.Target[i+1] < '0' || row.Target[i+1] > '9' {
			continue
		}
		n := int(row.Target[i+1] - '0')
		if i+2 < len(row.Target) && '0' <= row.Target[i+2] && row.Target[i+2] <= '9' && n*10 <= groups {
			return to, reject(codeBadRegex, sheet.TargetColumn, "%s: there are at most %d groups", shown(row.Target[i:i+3]), maxGroups)
		}
		if n == 0 || n > groups {
			return to, reject(codeBadRegex, sheet.TargetColumn, "%s: the expression has %d groups", shown(row.Target[i:i+2]), groups)
		}
	}
	e.note(codeRegexCost, sheet.RegexColumn, "a regular expression often costs 100 times what another match does")
	return append(to, match), nil
}
