package redirect

import (
	"regexp"
	"strings"
)

// location is the Location header of the rule's answer to a request that it applies to.
func (r *Rule) location(regexes []*regexp.Regexp, q *Request) string {
	target := r.RedirectURL
	if strings.IndexByte(target, '\\') >= 0 {
		target = r.fillGroups(target, regexes, q)
	}
	if strings.IndexByte(target, '*') >= 0 {
		if tail, ok := r.tail(q); ok {
			target = strings.ReplaceAll(target, "*", tail)
		}
	}
	if r.UseRelativeURL == CopySchemeHostname || r.UseIncomingSchemeAndHost && r.UseRelativeURL != RelativeURL {
		target = origin(q) + pathOf(target)
	}
	if r.UseIncomingQueryString && q.Query != "" {
		target = addQuery(target, q.Query)
	}
	return target
}

// origin is the request's scheme and host. What is not known is left out, so that the Location is a reference which
// the visitor's browser resolves to the same (D).
func origin(q *Request) string {
	switch {
	case q.Host == "":
		return ""
	case q.Scheme == "":
		return "//" + q.Host
	default:
		return q.Scheme + "://" + q.Host
	}
}

// pathOf is a target's path, query and fragment.
func pathOf(target string) string {
	if strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//") {
		return target
	}
	rest, ok := strings.CutPrefix(target, "//")
	if scheme, behind, found := strings.Cut(target, "://"); !ok && found && isScheme(scheme) {
		rest, ok = behind, true
	}
	if !ok {
		return "/" + target
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		return "/"
	}
	if rest[end] != '/' {
		return "/" + rest[end:]
	}
	return rest[end:]
}

func addQuery(target, query string) string {
	target, fragment, hasFragment := strings.Cut(target, "#")
	separator := "?"
	if strings.IndexByte(target, '?') >= 0 {
		separator = "&"
		if strings.HasSuffix(target, "?") || strings.HasSuffix(target, "&") {
			separator = ""
		}
	}
	target += separator + query
	if hasFragment {
		target += "#" + fragment
	}
	return target
}

// fillGroups puts the groups of the first regex match that is not negated in the place of \1 to \9. A group that took
// no part is empty; a number that the expression does not have stays as it is (D).
func (r *Rule) fillGroups(target string, regexes []*regexp.Regexp, q *Request) string {
	for i := range r.Matches {
		m := &r.Matches[i]
		if m.Type != typeRegex || m.Negate {
			continue
		}
		var re *regexp.Regexp
		if i < len(regexes) {
			re = regexes[i]
		}
		if re == nil {
			var err error
			if re, err = m.compile(); err != nil {
				return target
			}
		}
		return fill(target, re.FindStringSubmatch(q.URL()))
	}
	return target
}

func fill(target string, groups []string) string {
	var b strings.Builder
	for i := 0; i < len(target); i++ {
		if target[i] == '\\' && i+1 < len(target) {
			if n := int(target[i+1]) - '0'; n >= 1 && n <= 9 && n < len(groups) {
				b.WriteString(groups[n])
				i++
				continue
			}
		}
		b.WriteByte(target[i])
	}
	return b.String()
}

// tail is what takes the place of * in the target: what the last * of the matchURL stands for; else, for a path match
// with contains, what its * stands for, up to the end of the path where the value ends with it (D).
func (r *Rule) tail(q *Request) (string, bool) {
	if strings.IndexByte(r.MatchURL, '*') >= 0 {
		return matchURLTail(r.MatchURL, q)
	}
	for i := range r.Matches {
		m := &r.Matches[i]
		if m.Type != typePath || m.Operator != opContains || m.Negate {
			continue
		}
		c := m.textComparison()
		for value := range m.values() {
			if !c.star || strings.IndexByte(value, '*') < 0 || !c.match(value, q.Path) {
				continue
			}
			toEnd := c
			toEnd.floatEnd = false
			if s, ok := toEnd.find(value, q.Path); ok {
				return q.Path[s.from:s.to], true
			}
			s, _ := c.find(value, q.Path)
			return q.Path[s.from:s.to], true
		}
	}
	return "", false
}

func matchURLTail(text string, q *Request) (string, bool) {
	u := splitMatchURL(text)
	c := comparison{fold: true, star: true}
	parts := [...]struct{ value, have string }{{u.query, q.Query}, {u.path, q.Path}, {u.host, q.Host}, {u.scheme, q.Scheme}}
	for _, part := range parts {
		if strings.IndexByte(part.value, '*') >= 0 {
			s, ok := c.find(part.value, part.have)
			return part.have[s.from:s.to], ok
		}
	}
	return "", false
}
