package redirect

import "testing"

func TestLocation(t *testing.T) {
	regex := []Match{{Type: "regex", Value: "nothing", Negate: true}, {Type: "regex", Value: `/(a)/(\d+)(x)?`}}
	tests := []struct {
		name string
		rule Rule
		url  string
		want string
	}{
		{"as is", Rule{RedirectURL: "https://x/y?z"}, "https://h/a?q=1", "https://x/y?z"},
		{"relative", Rule{RedirectURL: "/y", UseRelativeURL: RelativeURL}, "https://h/a", "/y"},
		{"relative beats host", Rule{RedirectURL: "/y", UseRelativeURL: RelativeURL, UseIncomingSchemeAndHost: true}, "https://h/a", "/y"},
		{"copy", Rule{RedirectURL: "/y?z", UseRelativeURL: CopySchemeHostname}, "https://h:8/a", "https://h:8/y?z"},
		{"copy absolute", Rule{RedirectURL: "http://x/y?z#f", UseRelativeURL: CopySchemeHostname}, "https://h/a", "https://h/y?z#f"},
		{"copy host alone", Rule{RedirectURL: "http://x", UseRelativeURL: CopySchemeHostname}, "https://h/a", "https://h/"},
		{"copy host and query", Rule{RedirectURL: "http://x?y", UseRelativeURL: CopySchemeHostname}, "https://h/a", "https://h/?y"},
		{"copy without slash", Rule{RedirectURL: "y?u=a://b", UseRelativeURL: CopySchemeHostname}, "https://h/a", "https://h/y?u=a://b"},
		{"incoming", Rule{RedirectURL: "//x/y", UseIncomingSchemeAndHost: true}, "https://h/a", "https://h/y"},
		{"incoming, none", Rule{RedirectURL: "/y", UseRelativeURL: "none", UseIncomingSchemeAndHost: true}, "https://h/a", "https://h/y"},
		{"scheme unknown", Rule{RedirectURL: "/y", UseIncomingSchemeAndHost: true}, "h/a", "//h/y"},
		{"host unknown", Rule{RedirectURL: "/y", UseIncomingSchemeAndHost: true}, "/a", "/y"},
		{"groups", Rule{RedirectURL: `/\2/\1\3\4\x\`, Matches: regex}, "https://h/a/12", `/12/a\4\x\`},
		{"groups optional", Rule{RedirectURL: `/\3`, Matches: regex}, "https://h/a/12x", `/x`},
		{"no groups", Rule{RedirectURL: `/\1`}, "https://h/a", `/\1`},
		{"star", Rule{MatchURL: "/images/*", RedirectURL: "/static/images/*"}, "/Images/A/b.png?q", "/static/images/A/b.png"},
		{"star empty", Rule{MatchURL: "/images*", RedirectURL: "/static*"}, "/images", "/static"},
		{"star in the middle", Rule{MatchURL: "/a/*/z", RedirectURL: "/b/*"}, "/a/x/y/z", "/b/x/y"},
		{"last star", Rule{MatchURL: "*.h/a/*/b/*", RedirectURL: "/*"}, "x.h/a/1/b/2/b/3", "/2/b/3"},
		{"star of the host", Rule{MatchURL: "*.h.com/a", RedirectURL: "https://n.com/*"}, "www.h.com/a", "https://n.com/www"},
		{"star of the query", Rule{MatchURL: "/a?id=*", RedirectURL: "/b/*"}, "/a?id=7", "/b/7"},
		{"host with star", Rule{MatchURL: "h*", RedirectURL: "https://n*"}, "h/a/b", "https://n/a/b"},
		{"star without matchURL star", Rule{MatchURL: "/a", RedirectURL: "/b*"}, "/a", "/b*"},
		{"path star", Rule{RedirectURL: "/b/*", Matches: []Match{contains("path", "/x /a/*")}}, "/y/a/b/c", "/b/b/c"},
		{"path star, suffix", Rule{RedirectURL: "/b/*", Matches: []Match{contains("path", "/a/*.htm")}}, "/a/b.htm/c.htm", "/b/b.htm/c"},
		{"path star, more", Rule{RedirectURL: "/b/*", Matches: []Match{contains("path", "/a/*.htm")}}, "/a/b.html", "/b/b"},
		{"query", Rule{RedirectURL: "/b", UseIncomingQueryString: true}, "/a?q=1", "/b?q=1"},
		{"query none", Rule{RedirectURL: "/b", UseIncomingQueryString: true}, "/a", "/b"},
		{"query added", Rule{RedirectURL: "/b?x=1#f", UseIncomingQueryString: true}, "/a?q=1", "/b?x=1&q=1#f"},
		{"query after mark", Rule{RedirectURL: "/b?", UseIncomingQueryString: true}, "/a?q=1", "/b?q=1"},
		{"query before fragment", Rule{RedirectURL: "/b#f?", UseIncomingQueryString: true}, "/a?q=1", "/b?q=1#f?"},
		{"query dropped", Rule{RedirectURL: "/b"}, "/a?q=1", "/b"},
	}
	for _, tt := range tests {
		l, err := NewList([]Rule{tt.rule})
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.Evaluate(ask(t, tt.url))
		if err != nil || !a.Found || a.Location != tt.want {
			t.Errorf("%s: %+v, %v; want %s", tt.name, a, err, tt.want)
		}
	}
}

func TestFind(t *testing.T) {
	anchored := comparison{fold: true, star: true, question: true}
	floating := comparison{star: true, question: true, floatStart: true, floatEnd: true}
	tests := []struct {
		c           comparison
		value, text string
		ok          bool
		star        string
	}{
		{anchored, "", "", true, ""},
		{anchored, "*", "", true, ""},
		{anchored, "a", "", false, ""},
		{anchored, "a*b*c", "aXbYbZc", true, "YbZ"},
		{anchored, "a*", "Abc", true, "bc"},
		{anchored, "*a", "bcA", true, "bc"},
		{anchored, "**", "ab", true, "ab"},
		{anchored, "a?c", "abc", true, ""},
		{anchored, "a?c", "ac", false, ""},
		{anchored, "a*?", "a", false, ""},
		{floating, "", "x", true, ""},
		{floating, "b", "abc", true, ""},
		{floating, "b*", "abcd", true, "cd"},
		{floating, "b*d", "abcdd", true, "c"},
		{floating, "ab", "aab", true, ""},
		{floating, "abd", "abcabd", true, ""},
		{floating, "B", "abc", false, ""},
		{floating, "c*a", "abc", false, ""},
	}
	for _, tt := range tests {
		s, ok := tt.c.find(tt.value, tt.text)
		if ok != tt.ok || ok && tt.text[s.from:s.to] != tt.star {
			t.Errorf("find(%q, %q) = %v, %v; want %v %q", tt.value, tt.text, s, ok, tt.ok, tt.star)
		}
	}
}
