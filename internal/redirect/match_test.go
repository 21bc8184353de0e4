package redirect

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// ask makes a request of a URL and of "name=value" facts.
func ask(t *testing.T, url string, known ...string) *Request {
	t.Helper()
	q, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range known {
		name, value, _ := strings.Cut(fact, "=")
		switch name {
		case "method":
			q.Method = value
		case "cookie":
			if q.Cookie = map[string]string{}; value != "" {
				name, value, _ := strings.Cut(value, "=")
				q.Cookie[name] = value
			}
		case "header":
			if q.Header = map[string][]string{}; value != "" {
				name, value, _ := strings.Cut(value, "=")
				q.Header[name] = strings.Split(value, "|")
			}
		case "ip":
			q.ClientIP = value
		case "continent":
			q.Continent = value
		case "country":
			q.Country = value
		case "region":
			q.Region = value
		case "proxy":
			q.Proxy = value
		case "device":
			name, value, _ := strings.Cut(value, "=")
			q.Device = map[string]string{name: value}
		case "time":
			when, err := time.Parse(time.RFC3339, value)
			if err != nil {
				t.Fatal(err)
			}
			q.Time = when
		default:
			t.Fatalf("unknown fact %q", fact)
		}
	}
	return &q
}

// evaluateOne gives "yes", "no", or what is needed.
func evaluateOne(t *testing.T, r *Rule, q *Request) string {
	t.Helper()
	l, err := NewList([]Rule{*r})
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Evaluate(q)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case a.Found:
		return "yes"
	case len(a.Unsure) > 0:
		return strings.Join(a.Unsure[0].Needed, ",")
	default:
		return "no"
	}
}

func eq(kind, value string) Match { return Match{Type: kind, Operator: opEquals, Value: value} }

func contains(kind, value string) Match { return Match{Type: kind, Operator: opContains, Value: value} }

func exists(kind, value string) Match { return Match{Type: kind, Operator: opExists, Value: value} }

func sensitive(m Match) Match {
	m.CaseSensitive = true
	return m
}

func object(kind, operator string, o Object) Match {
	if o.Type == "" {
		o.Type = typeObject
	}
	return Match{Type: kind, Operator: operator, Object: &o}
}

type matchCase struct {
	match Match
	url   string
	known []string
	want  string
}

func matchCases() []matchCase {
	accept := Object{Name: "Accept", Values: []string{"text/html*", "x"}, ValueHasWildcard: true}
	return []matchCase{
		{Match{Type: "all"}, "/a", nil, "yes"},

		{eq("hostname", "www.a.com b.com"), "https://B.COM/", nil, "yes"},
		{eq("hostname", "www.a.com"), "https://a.com/", nil, "no"},
		{eq("hostname", "*.a.com"), "https://www.a.com/", nil, "yes"},
		{eq("hostname", "*.a.com"), "https://a.com/", nil, "no"},
		{eq("hostname", "w?w.a.com"), "https://www.a.com/", nil, "no"},
		{sensitive(eq("hostname", "A.com")), "https://a.com/", nil, "yes"},
		{eq("hostname", "a.com"), "/", nil, "host"},
		{contains("hostname", "a.com"), "https://www.a.com.org/", nil, "yes"},
		{contains("hostname", "b?com"), "https://www.a.com/", nil, "no"},
		{contains("hostname", "a?com"), "https://www.a.com/", nil, "yes"},

		{eq("path", "/a /b"), "/B", nil, "yes"},
		{eq("path", "/a"), "/a/", nil, "no"},
		{eq("path", "/a*"), "/abc", nil, "no"},
		{eq("path", "/a*"), "/a*", nil, "yes"},
		{sensitive(eq("path", "/A")), "/a", nil, "no"},
		{sensitive(eq("path", "/A%2f")), "/A%2F", nil, "yes"},
		{sensitive(eq("path", "/A%2fx")), "/A%2FX", nil, "no"},
		{sensitive(eq("path", "/%%AB")), "/%%ab", nil, "yes"},
		{sensitive(eq("path", "/%AG")), "/%aG", nil, "no"},
		{eq("path", "/a%20b"), "/a b"[:2] + "%20b", nil, "yes"},
		{eq("path", `/a\ b /c`), "/c", nil, "yes"},
		{contains("path", "/a/*"), "/x/A/", nil, "yes"},
		{contains("path", "/a/*"), "/x/a", nil, "no"},
		{contains("path", "/p/*.jpg"), "/p/q/r.jpg.bak", nil, "yes"},
		{contains("path", "/p/*.jpg"), "/p/q/r.jpeg", nil, "no"},
		{contains("path", "/p?/"), "/p1/", nil, "yes"},
		{contains("path", "/p?/"), "/p12/", nil, "no"},
		{sensitive(contains("path", "/P")), "/x/p", nil, "no"},
		{exists("path", ""), "/", nil, "yes"},
		{object("path", opEquals, Object{Type: typeSimple, Values: []string{"/a b", "/c"}}), "/c", nil, "yes"},
		{object("path", opEquals, Object{Type: typeSimple, Values: []string{"/c*"}}), "/cd", nil, "no"},
		{object("path", opEquals, Object{Values: []string{"/c*"}, ValueHasWildcard: true}), "/cd", nil, "yes"},
		{object("path", opEquals, Object{Values: []string{"/C*"}, ValueHasWildcard: true, ValueCaseSensitive: true}), "/cd", nil, "no"},
		{eq("path", ""), "/a", nil, "match value"},
		{object("path", opEquals, Object{Values: []string{"/%61"}, ValueEscaped: true}), "/a", nil, "valueEscaped"},
		{object("path", opEquals, Object{Values: []string{"/a"}, ValueEscaped: true}), "/a", nil, "yes"},

		{eq("extension", "jpg png"), "/a/b.c.PNG", nil, "yes"},
		{eq("extension", "jpg png"), "/a.png/b", nil, "no"},
		{eq("extension", "pn"), "/b.png", nil, "no"},
		{contains("extension", "htm*"), "/b.html", nil, "yes"},
		{exists("extension", ""), "/b.", nil, "no"},

		{eq("query", "a=1"), "/?b=2&a=1", nil, "yes"},
		{eq("query", "a=1 2"), "/?A=2", nil, "yes"},
		{eq("query", "a=1"), "/?a=12", nil, "no"},
		{eq("query", "a=1"), "/?xa=1", nil, "no"},
		{eq("query", "a=1"), "/?b=0;a=1", nil, "no"},
		{sensitive(eq("query", "a=X")), "/?a=x", nil, "no"},
		{eq("query", "a=x%20y"), "/?a=x+y", nil, "no"},
		{eq("query", "a"), "/?a=7", nil, "yes"},
		{eq("query", "a"), "/?a", nil, "yes"},
		{eq("query", "a"), "/?ab=7", nil, "no"},
		{eq("query", "a="), "/?a=", nil, "yes"},
		{eq("query", "a="), "/?a", nil, "yes"},
		{eq("query", "a="), "/?a=7", nil, "no"},
		{eq("query", "a=1=2"), "/?a=1=2", nil, "yes"},
		{eq("query", "a b"), "/?a=7", nil, "match value a b"},
		{eq("query", "a=1*"), "/?a=12", nil, "no"},
		{contains("query", "a=1*3"), "/?a=0123", nil, "yes"},
		{contains("query", "a=4"), "/?a=0123", nil, "no"},
		{contains("query", "a="), "/?a=1", nil, "no"},
		{exists("query", "a=5"), "/?a=1", nil, "yes"},
		{exists("query", ""), "/", nil, "no"},
		{object("query", opEquals, Object{Name: "a", Values: []string{"1"}}), "/?a=1", nil, "yes"},
		{object("query", opEquals, Object{Type: typeSimple, Values: []string{"1"}}), "/?a=1", nil, "match value of type simple"},

		{Match{Type: "regex", Value: `/a/(\d+)$`}, "https://h/A/12", nil, "yes"},
		{Match{Type: "regex", Value: `/a/(\d+)$`}, "https://h/a/12?x", nil, "no"},
		{Match{Type: "regex", Value: `^http://h/a\?x$`}, "http://h/a?x", nil, "yes"},
		{sensitive(Match{Type: "regex", Value: `/A`}), "https://h/a", nil, "no"},
		{Match{Type: "regex", Value: `/a`}, "/a", nil, "scheme,host"},
		{Match{Type: "regex", Value: `/a`}, "h/a", nil, "scheme"},

		{contains("protocol", "http"), "http://h/", nil, "yes"},
		{contains("protocol", "http"), "https://h/", nil, "no"},
		{eq("protocol", "HTTPS"), "https://h/", nil, "yes"},
		{eq("protocol", "https"), "h/", nil, "scheme"},

		{eq("method", "GET POST"), "/", []string{"method=POST"}, "yes"},
		{eq("method", "GET"), "/", []string{"method=PUT"}, "no"},
		{eq("method", "GET"), "/", nil, "method"},
		{object("method", opEquals, Object{Type: typeSimple, Values: []string{"PUT", "GET"}}), "/", []string{"method=GET"}, "yes"},

		{eq("cookie", "c=1 2"), "/", []string{"cookie=c=2"}, "yes"},
		{eq("cookie", "c=1"), "/", []string{"cookie=c=12"}, "no"},
		{eq("cookie", "c=1"), "/", []string{"cookie="}, "no"},
		{eq("cookie", "c=1"), "/", nil, "cookie"},
		{exists("cookie", "c"), "/", []string{"cookie=c=12"}, "yes"},
		{contains("cookie", "c=m*er"), "/", []string{"cookie=c=a monster x"}, "yes"},
		{object("cookie", opEquals, Object{Name: "C*", NameHasWildcard: true, Values: []string{"1"}}), "/", []string{"cookie=cat=1"}, "yes"},
		{object("cookie", opEquals, Object{Name: "C", NameCaseSensitive: true, Values: []string{"1"}}), "/", []string{"cookie=c=1"}, "no"},

		{object("header", opContains, accept), "/", []string{"header=accept=a|text/html;q=1"}, "yes"},
		{object("header", opEquals, accept), "/", []string{"header=accept=text/css"}, "no"},
		{object("header", opContains, accept), "/", nil, "header"},
		{object("header", opExists, Object{Name: "Cache-Control"}), "/", []string{"header=cache-control=no"}, "yes"},
		{object("header", opExists, Object{Name: "Cache-Control"}), "/", []string{"header=cache=no"}, "no"},
		{eq("header", "X=1"), "/", []string{"header=x=1"}, "yes"},

		{eq("clientip", "10.0.0.0/8 192.168.1.1"), "/", []string{"ip=10.2.3.4"}, "yes"},
		{eq("clientip", "10.0.0.0/8 192.168.1.1"), "/", []string{"ip=192.168.1.2"}, "no"},
		{eq("clientip", "10.0.0.1"), "/", []string{"ip=::ffff:10.0.0.1"}, "yes"},
		{eq("clientip", "10.0.0.1"), "/", nil, "clientip"},
		{eq("clientip", "10.0.0.1 x"), "/", []string{"ip=10.0.0.2"}, "match value x"},
		{eq("clientip", "10.0.0.1"), "/", []string{"ip=here"}, "clientip here"},
		{eq("clientipv6", "2001:db8::/32"), "/", []string{"ip=2001:db8::1"}, "yes"},
		{eq("clientipv6", "2001:db8::/32"), "/", []string{"ip=2001:db9::1"}, "no"},
		{eq("clientipv6", "::ffff:182.1.0.0/112"), "/", []string{"ip=182.1.3.4"}, "yes"},

		{eq("continent", "EU SA"), "/", []string{"continent=EU"}, "yes"},
		{eq("continent", "EU"), "/", []string{"continent=NA"}, "no"},
		{eq("continent", "EU"), "/", nil, "continent"},
		{eq("countrycode", "US"), "/", []string{"country=us"}, "yes"},
		{contains("countrycode", "U"), "/", []string{"country=US"}, "no"},
		{eq("countrycode", "US"), "/", nil, "country"},
		{eq("regioncode", "MA"), "/", []string{"region=MA"}, "yes"},
		{eq("regioncode", "MA"), "/", []string{"region=NY"}, "no"},
		{eq("regioncode", "MA"), "/", nil, "region"},
		{eq("proxy", "anonymous"), "/", []string{"proxy=anonymous"}, "yes"},
		{eq("proxy", "both"), "/", []string{"proxy=transparent"}, "yes"},
		{eq("proxy", "both"), "/", []string{"proxy=none"}, "no"},
		{eq("proxy", "anonymous"), "/", nil, "proxy"},
		{eq("deviceCharacteristics", "is_mobile=true"), "/", []string{"device=is_mobile=true"}, "yes"},
		{eq("deviceCharacteristics", "is_mobile=true"), "/", []string{"device=is_mobile=false"}, "no"},
		{eq("deviceCharacteristics", "is_mobile=true"), "/", []string{"device=is_tablet=true"}, "device"},

		{eq("range", "1"), "/", nil, "match type range"},
		{Match{Type: "path", Operator: "begins", Value: "/"}, "/", nil, "operator begins"},
		{object("range", opEquals, Object{Type: "range"}), "/", nil, "match type range"},
		{object("path", opEquals, Object{Type: "range"}), "/", nil, "match value of type range"},
	}
}

func TestMatch(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range matchCases() {
		q := ask(t, tt.url, tt.known...)
		r := Rule{Matches: []Match{tt.match}}
		if got := evaluateOne(t, &r, q); got != tt.want {
			t.Errorf("%+v on %s %v: %s, want %s", tt.match, tt.url, tt.known, got, tt.want)
		}
		negated := map[string]string{"yes": "no", "no": "yes"}[tt.want]
		if negated == "" {
			negated = tt.want
		}
		r.Matches[0].Negate = true
		if got := evaluateOne(t, &r, q); got != negated {
			t.Errorf("not %+v on %s %v: %s, want %s", tt.match, tt.url, tt.known, got, negated)
		}
		seen[tt.match.Type+" "+tt.want] = true
	}
	for _, kind := range []string{
		typeHostname, typePath, typeExtension, typeQuery, typeRegex, typeProtocol, typeMethod, typeCookie, typeHeader,
		typeClientIP, typeClientIP6, typeContinent, typeCountry, typeRegion, typeProxy, typeDevice,
	} {
		if !seen[kind+" yes"] || !seen[kind+" no"] {
			t.Errorf("no case for %s that holds or none that does not", kind)
		}
	}
}

func TestMatchURL(t *testing.T) {
	tests := []struct{ matchURL, url, want string }{
		{"/a", "/A", "yes"},
		{"/a", "https://h/a?x=1", "yes"},
		{"/a", "/a/", "no"},
		{"/a?x=1", "/a?X=1", "yes"},
		{"/a?x=1", "/a?x=1&y=2", "no"},
		{"/a?x=1", "/a", "no"},
		{"/a?", "/a", "yes"},
		{"/a?", "/a?x", "no"},
		{"www.h.com/a", "http://WWW.h.com/a", "yes"},
		{"www.h.com/a", "http://h.com/a", "no"},
		{"www.h.com/a", "/a", "host"},
		{"www.h.com/a", "/b", "no"},
		{"https://h/a", "https://h/a", "yes"},
		{"https://h/a", "http://h/a", "no"},
		{"https://h/a", "h/a", "scheme"},
		{"https://h/a", "/a", "scheme,host"},
		{"h", "https://h/", "yes"},
		{"h", "https://h/a", "no"},
		{"https://h", "https://h/", "yes"},
		{"h?x", "https://h/?x", "yes"},
		{"/a*", "/a", "yes"},
		{"/a*", "/b", "no"},
		{"/a/*/z", "/a/b/c/z", "yes"},
		{"/a/*/z", "/a/b/c/zz", "no"},
		{"*.h.com/a", "https://x.h.com/a", "yes"},
		{"*.h.com/a", "/a", "host"},
		{"*/a", "/a", "yes"},
		{"h*", "https://h/any/thing", "yes"},
		{"*", "/any/thing", "yes"},
		{"http*://h/a", "https://h/a", "yes"},
		{"/a?x=*", "/a?x=5", "yes"},
		{"/a?x=*", "/a?y=5", "no"},
	}
	for _, tt := range tests {
		if got := evaluateOne(t, &Rule{MatchURL: tt.matchURL}, ask(t, tt.url)); got != tt.want {
			t.Errorf("matchURL %s on %s: %s, want %s", tt.matchURL, tt.url, got, tt.want)
		}
	}
}

func TestRuleApplies(t *testing.T) {
	const at10, at20, at30 = "time=1970-01-01T00:00:10Z", "time=1970-01-01T00:00:20Z", "time=1970-01-01T00:00:30Z"
	tests := []struct {
		name  string
		rule  Rule
		url   string
		known string
		want  string
	}{
		{"no condition", Rule{}, "/a", "", "yes"},
		{"disabled", Rule{Disabled: true}, "/a", "", "no"},
		{"before its start", Rule{Start: 11, End: 30}, "/a", at10, "no"},
		{"at its start", Rule{Start: 20}, "/a", at20, "yes"},
		{"at its end", Rule{End: 20}, "/a", at20, "yes"},
		{"after its end", Rule{Start: 1, End: 29}, "/a", at30, "no"},
		{"time unknown", Rule{Start: 1}, "/a", "", "time"},
		{"always", Rule{Start: 11, MatchesAlways: true}, "/a", at10, "yes"},
		{"all hold", Rule{MatchURL: "/a", Matches: []Match{eq("query", "x=1"), eq("query", "y=1")}}, "/a?x=1&y=1", "", "yes"},
		{"one does not", Rule{MatchURL: "/a", Matches: []Match{eq("query", "x=1"), eq("query", "y=1")}}, "/a?x=1", "", "no"},
		{"no beats unsure", Rule{Matches: []Match{eq("countrycode", "US"), eq("path", "/b")}}, "/a", "", "no"},
		{"two unknown", Rule{Matches: []Match{eq("countrycode", "US"), eq("hostname", "h")}}, "/a", "", "host,country"},
		{"unknown member", Rule{MatchURL: "/a", Unknown: []string{"matches[0].x"}}, "/a", "", "member matches[0].x"},
		{"unknown member elsewhere", Rule{MatchURL: "/a", Unknown: []string{"matches[0].x"}}, "/b", "", "no"},
	}
	for _, tt := range tests {
		var known []string
		if tt.known != "" {
			known = []string{tt.known}
		}
		if got := evaluateOne(t, &tt.rule, ask(t, tt.url, known...)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestParseURL(t *testing.T) {
	tests := []struct {
		text string
		want Request
		url  string
	}{
		{"https://h/p?q", Request{Scheme: "https", Host: "h", Path: "/p", Query: "q"}, "https://h/p?q"},
		{"HTTP://h:81?q#f?", Request{Scheme: "http", Host: "h:81", Path: "/", Query: "q"}, "http://h:81/?q"},
		{"h/p", Request{Host: "h", Path: "/p"}, "h/p"},
		{"h", Request{Host: "h", Path: "/"}, "h/"},
		{"/p", Request{Path: "/p"}, "/p"},
		{"/p?a=http://x/", Request{Path: "/p", Query: "a=http://x/"}, "/p?a=http://x/"},
		{"//h/p", Request{Path: "//h/p"}, "//h/p"},
	}
	for _, tt := range tests {
		got, err := ParseURL(tt.text)
		if err != nil || got.Scheme != tt.want.Scheme || got.Host != tt.want.Host || got.Path != tt.want.Path || got.Query != tt.want.Query {
			t.Errorf("ParseURL(%s) = %+v, %v", tt.text, got, err)
		}
		if url := got.URL(); url != tt.url {
			t.Errorf("URL of %s is %s, want %s", tt.text, url, tt.url)
		}
	}
	for _, text := range []string{"", "#f", "?q", "https://", "https:///p", "h p", "/a b", "/a\n", "://h", "u@h/", "1x://h/", "*.h/"} {
		if got, err := ParseURL(text); err == nil {
			t.Errorf("ParseURL(%q) = %+v, want an error", text, got)
		}
	}
}

func TestLiteralsAndHosts(t *testing.T) {
	tests := []struct {
		rule         Rule
		paths, hosts []string
	}{
		{Rule{MatchURL: "/a?x"}, []string{"/a"}, nil},
		{Rule{MatchURL: "https://h.com"}, []string{"/"}, []string{"h.com"}},
		{Rule{MatchURL: "h.com/a*"}, nil, []string{"h.com"}},
		{Rule{MatchURL: "*.h.com/a"}, nil, nil},
		{Rule{MatchURL: "/a*", Matches: []Match{eq("path", "/a /ab")}}, []string{"/a", "/ab"}, nil},
		{Rule{Matches: []Match{eq("path", "/a*"), eq("hostname", "a b")}}, []string{"/a*"}, []string{"a", "b"}},
		{Rule{Matches: []Match{contains("path", "/a"), contains("hostname", "a")}}, nil, nil},
		{Rule{Matches: []Match{{Type: "path", Operator: opEquals, Value: "/a", Negate: true}, eq("hostname", "a *b")}}, nil, nil},
		{Rule{Matches: []Match{eq("path", " ")}}, nil, nil},
		{Rule{Matches: []Match{object("path", opEquals, Object{Type: typeSimple, Values: []string{"/a b"}})}}, []string{"/a b"}, nil},
		{Rule{Matches: []Match{object("path", opEquals, Object{Values: []string{"/a*"}, ValueHasWildcard: true})}}, nil, nil},
		{Rule{}, nil, nil},
	}
	for _, tt := range tests {
		if paths, ok := tt.rule.Literals(); ok != (tt.paths != nil) || !slices.Equal(paths, tt.paths) {
			t.Errorf("Literals of %+v: %q, %v", tt.rule, paths, ok)
		}
		if hosts, ok := tt.rule.Hosts(); ok != (tt.hosts != nil) || !slices.Equal(hosts, tt.hosts) {
			t.Errorf("Hosts of %+v: %q, %v", tt.rule, hosts, ok)
		}
	}
}
