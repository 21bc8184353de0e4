package convert

import (
	"regexp"
	"strings"

	"cloudletmig/internal/redirect"
)

// Methods of requests. The API is behind an interface, and net/http with it.
const (
	get  = "GET"
	head = "HEAD"
)

// hop is the request that follows an answer; it is false where the answer leads off the site.
func (c *conversion) hop(q *redirect.Request, status int, location string) (redirect.Request, bool) {
	next, err := redirect.ParseURL(location)
	if err != nil {
		return next, false
	}
	path, query := withoutDots(next.Path), next.Query
	scheme, host := next.Scheme, redirect.WithoutPort(next.Scheme, next.Host)
	next = *q
	if status != 307 && status != 308 && q.Method != head { // as browsers go on after all others
		next.Method = get
	}
	next.Path, next.Query = path, query
	if host != "" {
		next.Scheme, next.Host = scheme, host
	}
	return next, host == "" || sameFold(host, q.Host) || c.sites.has(lower(host))
}

// withoutDots is a path as a browser asks for it, its . and .. segments resolved (RFC 3986, Remove Dot Segments).
func withoutDots(path string) string {
	if strings.IndexByte(path, '.') < 0 || !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	segments := strings.Split(path, "/")[1:]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		case ".":
		default:
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// endOf is a redirect's end as a target: a path where it stays on its scheme and host.
func endOf(from, to *redirect.Request, location string) string {
	end := to.URL()
	if to.Host == from.Host && to.Scheme == from.Scheme {
		if end = to.Path; to.Query != "" {
			end += "?" + to.Query
		}
	}
	if _, fragment, found := strings.Cut(location, "#"); found {
		end += "#" + fragment
	}
	return end
}

// sameURL reports whether two requests of one visitor are for the same.
func sameURL(a, b *redirect.Request) bool {
	return a.Path == b.Path && a.Host == b.Host && a.Scheme == b.Scheme && a.Query == b.Query && a.Method == b.Method
}

// sites are the hosts that the property serves, as far as is known: those that sources name, and --site. All are in lower
// case; a * stands for any run of characters.
type sites struct {
	names    map[string]bool // and, with their dot in front, what follows the * of such as *.example.com
	patterns map[string]*regexp.Regexp
}

func newSites() *sites {
	return &sites{names: map[string]bool{}, patterns: map[string]*regexp.Regexp{}}
}

// add takes one more host. A * alone names none.
func (s *sites) add(host string) {
	behind, star := strings.CutPrefix(host, "*")
	switch {
	case strings.Trim(host, "*") == "" || s.patterns[host] != nil:
	case !strings.Contains(host, "*"), star && behind[0] == '.' && !strings.Contains(behind, "*"):
		s.names[behind] = true
	default:
		s.patterns[host] = regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(host), `\*`, ".*") + "$")
	}
}

// addWildcards takes the hosts with wildcards that a row asks for; those without are taken where rules are indexed.
func (s *sites) addWildcards(e *entry) {
	if strings.Contains(e.src.host, "*") {
		s.add(e.src.host)
	}
	for i := range e.asked {
		m := &e.asked[i]
		if m.Type != typeHostname || m.Negate {
			continue
		}
		for value := range strings.FieldsSeq(lower(m.Value)) {
			if m.Operator == opContains {
				value = "*" + value + "*"
			}
			if strings.Contains(value, "*") {
				s.add(value)
			}
		}
	}
}

func (s *sites) has(host string) bool {
	if s.names[host] {
		return true
	}
	for i := 0; i < len(host); i++ {
		if host[i] == '.' && s.names[host[i:]] {
			return true
		}
	}
	for _, p := range s.patterns {
		if p.MatchString(host) {
			return true
		}
	}
	return false
}
