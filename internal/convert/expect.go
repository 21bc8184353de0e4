package convert

import (
	"regexp"
	"strings"

	"cloudletmig/internal/redirect"
)

// expect is the Location that the row says the witness gets. Like the witness it shares no code with the evaluator.
func (w *witness) expect(e *entry) string {
	r := &e.rule
	target := r.RedirectURL
	for i := range r.Matches {
		if m := &r.Matches[i]; m.Type == typeRegex && !m.Negate {
			target = w.substitute(m, target)
			break
		}
	}
	if strings.Contains(target, "*") {
		if text, received := w.star(e); received {
			target = strings.ReplaceAll(target, "*", text)
		}
	}
	if r.UseRelativeURL == copySchema || r.UseIncomingSchemeAndHost && r.UseRelativeURL != relativeURL {
		target = w.req.Scheme + "://" + w.req.Host + withoutHost(target)
	}
	if !r.UseIncomingQueryString || w.req.Query == "" {
		return target
	}
	before, fragment, cut := strings.Cut(target, "#")
	switch {
	case !strings.Contains(before, "?"):
		before += "?"
	case strings.HasSuffix(before, "?"), strings.HasSuffix(before, "&"):
	default:
		before += "&"
	}
	if before += w.req.Query; cut {
		before += "#" + fragment
	}
	return before
}

// withoutHost is what stands behind scheme and host of a target: a path, which may be followed by a query and a fragment.
func withoutHost(target string) string {
	rest := target
	scheme, behind, absolute := strings.Cut(target, "://")
	switch {
	case strings.HasPrefix(target, "//"):
		rest = target[2:]
	case strings.HasPrefix(target, "/"):
		return target
	case absolute && scheme != "" && strings.Trim(lower(scheme), "abcdefghijklmnopqrstuvwxyz") == "":
		rest = behind
	default:
		return "/" + target
	}
	at := strings.IndexAny(rest, "/?#")
	if at < 0 {
		return "/"
	}
	return "/" + strings.TrimPrefix(rest[at:], "/")
}

// star is what takes the place of a * in the target; it is false where nothing does. The witness is vague afterwards
// where the row's words do not say what it is.
func (w *witness) star(e *entry) (string, bool) {
	if strings.Contains(e.rule.MatchURL, "*") {
		for _, part := range [...]struct{ asked, have string }{{e.src.query, w.req.Query}, {e.src.path, w.req.Path}, {e.src.host, w.req.Host}} {
			if strings.Contains(part.asked, "*") {
				w.vague = !plainStars(part.asked) || part.have != strings.ReplaceAll(part.asked, "*", anyText)
				return anyText, true
			}
		}
		w.vague = true
		return "", false
	}
	var asked *redirect.Match
	for i := range e.asked {
		m := &e.asked[i]
		switch {
		case m.Type != typePath || m.Negate:
		case asked == nil && m.Operator == opContains && strings.Contains(m.Value, "*"):
			asked = m
		default: // the path must have more than that
			w.vague = true
		}
	}
	if asked == nil {
		w.vague = false // nothing has a * to give
		return "", false
	}
	// Where the path is the sample of the first value and nothing else, the value covers it from end to end.
	first, _, _ := strings.Cut(asked.Value, " ")
	w.vague = w.vague || !strings.HasPrefix(first, "/") || !strings.Contains(first, "*") || !plainStars(first) || w.req.Path != sample(asked)
	return anyText, true
}

// plainStars reports whether the stars of a pattern, the sample of which is being matched, can only stand for what the
// sample has in their places: of several, none can end early, nor begin where another does.
func plainStars(pattern string) bool {
	pieces := strings.Split(lower(strings.ReplaceAll(pattern, "?", "x")), "*")
	for _, piece := range pieces[1 : len(pieces)-1] {
		if piece == "" || strings.Index(anyText+piece, piece) != len(anyText) {
			return false
		}
	}
	return true
}

// substitute puts what the groups of an expression matched into a target.
func (w *witness) substitute(m *redirect.Match, target string) string {
	pattern := m.Value
	if !m.CaseSensitive {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return target
	}
	var pairs []string
	for i, group := range re.FindStringSubmatch(w.req.URL()) {
		if 0 < i && i <= maxGroups {
			pairs = append(pairs, `\`+string(rune('0'+i)), group)
		}
	}
	return strings.NewReplacer(pairs...).Replace(target)
}
