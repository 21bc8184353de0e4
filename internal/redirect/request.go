package redirect

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Request is what a visitor asks for and what is known of him. What is not known makes a rule that asks for it unsure.
type Request struct {
	// Scheme and Host are empty when unknown. A port belongs to the host.
	Scheme, Host string
	// Path is as sent, percent-encoded, and begins with a slash. Query is as sent, without the question mark.
	Path, Query string
	Method      string              // empty: unknown
	Header      map[string][]string // nil: unknown; names in any case
	Cookie      map[string]string   // nil: unknown
	ClientIP    string              // empty: unknown; the address that a rule's checkIPs selects (D)
	Continent   string              // empty: unknown
	Country     string              // empty: unknown
	Region      string              // empty: unknown
	Proxy       string              // empty: unknown; else anonymous, transparent or none
	Device      map[string]string   // what is known of the device; a name that is not in it is unknown
	Time        time.Time           // zero: unknown
}

// ParseURL reads "https://h/p?q", "h/p?q" or "/p?q": text that begins with a slash is a path, else what stands before
// the first slash is a host. Scheme and host stay empty where they are not given; a host alone has the path "/"; a
// fragment is cut off, for no visitor sends it. White space and control characters are an error.
func ParseURL(text string) (Request, error) {
	text, _, _ = strings.Cut(text, "#")
	if text == "" {
		return Request{}, errors.New("URL is empty")
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }); i >= 0 {
		return Request{}, fmt.Errorf("URL %q has a space or control character at byte %d", text, i)
	}
	u := splitURL(text)
	q := Request{Scheme: strings.ToLower(u.scheme), Host: u.host, Path: u.path, Query: u.query}
	if u.hasScheme && !isScheme(u.scheme) {
		return Request{}, fmt.Errorf("URL %q has no valid scheme", text)
	}
	if u.hasHost && !isHost(u.host) {
		return Request{}, fmt.Errorf("URL %q has no valid host", text)
	}
	return q, nil
}

func isScheme(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return lower(byte(r)) < 'a' || lower(byte(r)) > 'z' || r > 'z'
	})
}

func isHost(s string) bool { return s != "" && !strings.ContainsAny(s, `*@"<>\^`+"`{|}") }

// WithoutPort is a host without the port that its scheme implies, as a browser sends it. The scheme is in lower case.
func WithoutPort(scheme, host string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

// URL is the request's URL as ParseURL reads it; without a host, the scheme is left out too.
func (r *Request) URL() string {
	var b strings.Builder
	if r.Host != "" {
		if r.Scheme != "" {
			b.WriteString(r.Scheme)
			b.WriteString("://")
		}
		b.WriteString(r.Host)
	}
	b.WriteString(r.Path)
	if r.Query != "" {
		b.WriteByte('?')
		b.WriteString(r.Query)
	}
	return b.String()
}

// urlParts are the parts of a URL or of a matchURL.
type urlParts struct {
	scheme, host, path, query    string
	hasScheme, hasHost, hasQuery bool
	// hostAlone: no path stands in the text.
	hostAlone bool
}

// splitURL splits a URL, a matchURL or a redirectURL. Text beginning with a slash is a path; a question mark ends host
// or path.
func splitURL(text string) urlParts {
	var u urlParts
	text, u.query, u.hasQuery = strings.Cut(text, "?")
	if !strings.HasPrefix(text, "/") {
		if scheme, rest, ok := strings.Cut(text, "://"); ok {
			u.scheme, u.hasScheme, text = scheme, true, rest
		}
		u.hasHost = true
		slash := strings.IndexByte(text, '/')
		if slash < 0 {
			u.host, u.path, u.hostAlone = text, "/", true
			return u
		}
		u.host, text = text[:slash], text[slash:]
	}
	u.path = text
	return u
}
