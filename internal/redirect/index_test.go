package redirect

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scan is Evaluate without an index.
func scan(rules []Rule, q *Request, skip func(uint32) bool) Answer {
	var a Answer
	for i := range rules {
		if skip != nil && skip(uint32(i)) {
			continue
		}
		var n needs
		switch r := &rules[i]; r.holds(nil, q, &n) {
		case yes:
			a.Found, a.ID, a.Status, a.Location = true, uint32(i), r.StatusCode, r.location(nil, q)
			return a
		case unsure:
			a.Unsure = append(a.Unsure, Unsure{uint32(i), n.list()})
		case no:
		}
	}
	return a
}

func oneOf(t *rapid.T, label string, values ...string) string {
	return rapid.SampledFrom(values).Draw(t, label)
}

func smallMatch(t *rapid.T) Match {
	m := Match{
		Operator: oneOf(t, "op", "", opEquals, opEquals, opEquals, opContains, opExists),
		Negate:   rapid.IntRange(0, 4).Draw(t, "negate") == 0, CaseSensitive: rapid.IntRange(0, 3).Draw(t, "case") == 0,
	}
	switch m.Type = oneOf(t, "type", typePath, typePath, typeQuery, typeQuery, typeHostname, typeRegex, typeExtension, typeCountry, "new"); m.Type {
	case typePath:
		m.Value = oneOf(t, "path", "/a", "/A/b", "/a /b /a", "/a/*", "/a/b?", "/", "/%2f /a", "", "b")
	case typeQuery:
		m.Value = oneOf(t, "query", "x=1", "x=1 2", "X=2", "x", "x=", "y=1", "x=*", "y=a%2f", "=")
	case typeHostname:
		m.Value = oneOf(t, "host", "h", "h g", "H", "*", "*h", "g")
	case typeRegex:
		m.Value = oneOf(t, "regex", "/a", "^https?://h/(.*)$", "x=(1)")
	case typeExtension:
		m.Value = oneOf(t, "ext", "htm", "jpg")
	default:
		m.Value = oneOf(t, "value", "US", "DE")
	}
	if m.Type != typeRegex && rapid.IntRange(0, 4).Draw(t, "object") == 0 {
		m.Object = &Object{
			Type: oneOf(t, "otype", typeObject, typeSimple), Name: "x", Values: strings.Fields(m.Value),
			ValueHasWildcard: rapid.Bool().Draw(t, "wild"), ValueCaseSensitive: rapid.Bool().Draw(t, "vcase"),
		}
		m.Value = ""
	}
	return m
}

func smallRule(t *rapid.T) Rule {
	r := Rule{RedirectURL: oneOf(t, "target", "/t", `/\1`, "/*"), StatusCode: 301, Disabled: rapid.IntRange(0, 9).Draw(t, "off") == 0}
	if rapid.IntRange(0, 2).Draw(t, "url") > 0 {
		r.MatchURL = oneOf(t, "scheme", "", "", "", "https://") + oneOf(t, "host", "", "", "h", "H", "g", "*h", "h*")
		r.MatchURL += oneOf(t, "path", "/a", "/a", "/A/b", "/", "/a/*", "/a*b", "/*", "") + oneOf(t, "query", "", "", "?x=1", "?", "?x=*")
	}
	for range rapid.IntRange(0, 2).Draw(t, "matches") {
		r.Matches = append(r.Matches, smallMatch(t))
	}
	if rapid.IntRange(0, 9).Draw(t, "timed") == 0 {
		r.Start = 5
	}
	return r
}

func smallRequest(t *rapid.T) *Request {
	q := &Request{
		Scheme: oneOf(t, "scheme", "", "https", "http"), Host: oneOf(t, "host", "", "h", "H", "g", "xh"),
		Path:    oneOf(t, "path", "/", "/a", "/A", "/a/b", "/a/B/c.htm", "/b", "/%2F", "/a/b?"[:4]+"x", "//a"),
		Query:   oneOf(t, "query", "", "x=1", "X=1", "x=2&y=1", "y=1&x", "&x=&", "y=A%2F&z", "x=1&x=2"),
		Country: oneOf(t, "country", "", "US"),
	}
	if rapid.Bool().Draw(t, "timed") {
		q.Time = time.Unix(7, 0)
	}
	return q
}

func TestIndexAgreesWithScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(smallRule), 0, 25).Draw(t, "rules")
		l, err := NewList(rules)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			q := smallRequest(t)
			got, err := l.Evaluate(q)
			if diff := cmp.Diff(scan(rules, q, nil), got); diff != "" || err != nil {
				t.Fatalf("%+v: %v %s", q, err, diff)
			}
			odd := func(id uint32) bool { return id%2 == 1 }
			got, err = l.set.EvaluateSkipping(q, l.load, odd)
			if diff := cmp.Diff(scan(rules, q, odd), got); diff != "" || err != nil {
				t.Fatalf("skipping %+v: %v %s", q, err, diff)
			}
		}
	})
}

// looks is how many rules the list looks at for a request.
func looks(l *List, q *Request) int {
	n := 0
	c := l.set.candidates(q, nil, nil)
	for id, _ := c.next(); id >= 0; id, _ = c.next() {
		n++
	}
	return n
}

func mustList(tb testing.TB, rules []Rule) *List {
	tb.Helper()
	l, err := NewList(rules)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func TestFewCandidates(t *testing.T) {
	byID := func(i int) Rule {
		return Rule{Matches: []Match{eq("path", "/product.asp"), eq("query", fmt.Sprintf("id=%d", i))}, RedirectURL: fmt.Sprint(i)}
	}
	byLangAndID := func(i int) Rule {
		r := byID(i)
		r.Matches = append([]Match{eq("query", "lang=en"), r.Matches[0]}, r.Matches[1:]...)
		return r
	}
	byQuery := func(i int) Rule {
		return Rule{MatchURL: fmt.Sprintf("/product.asp?id=%d", i), RedirectURL: fmt.Sprint(i)}
	}
	byHost := func(i int) Rule {
		return Rule{MatchURL: fmt.Sprintf("https://www%d.com/", i), RedirectURL: fmt.Sprint(i)}
	}
	byHostMatch := func(i int) Rule {
		return Rule{Matches: []Match{eq("hostname", fmt.Sprintf("www%d.com", i)), eq("path", "/")}, RedirectURL: fmt.Sprint(i)}
	}
	hostOnly := func(i int) Rule {
		return Rule{Matches: []Match{eq("hostname", fmt.Sprintf("www%d.com", i))}, RedirectURL: fmt.Sprint(i)}
	}
	folder := func(i int) Rule {
		return Rule{MatchURL: fmt.Sprintf("/f%d/sub/*", i), RedirectURL: fmt.Sprint(i)}
	}
	byRegex := func(i int) Rule {
		return Rule{Matches: []Match{eq("path", fmt.Sprintf("/f%d/sub/x", i)), {Type: "regex", Value: "x$"}}, RedirectURL: fmt.Sprint(i)}
	}
	tests := []struct {
		name  string
		count int
		rule  func(int) Rule
		url   string
		most  int
	}{
		{"one path, ids", 20000, byID, "https://h/product.asp?x=1&id=7777", 3},
		{"one path, shared parameter", 20000, byLangAndID, "https://h/product.asp?lang=en&id=7777", 10},
		{"one path, whole query", 20000, byQuery, "/product.asp?id=7777", 3},
		{"hosts", 8000, byHost, "https://www7777.com/", 3},
		{"host matches", 8000, byHostMatch, "https://www7777.com/", 3},
		{"hosts without path", 8000, hostOnly, "https://www7777.com/any", 3},
		{"folders", 8000, folder, "/f7777/sub/a/b/c", 3},
		{"regexes", 8000, byRegex, "https://h/f7777/sub/x", 3},
	}
	for _, tt := range tests {
		rules := make([]Rule, tt.count)
		for i := range rules {
			rules[i] = tt.rule(i)
		}
		l := mustList(t, rules)
		q := ask(t, tt.url)
		a, err := l.Evaluate(q)
		if err != nil || a.Location != "7777" {
			t.Errorf("%s: %+v, %v", tt.name, a, err)
		}
		if n := looks(l, q); n > tt.most {
			t.Errorf("%s: looks at %d rules, want at most %d", tt.name, n, tt.most)
		}
		lit := &l.set.index.literals
		if size := 8*cap(lit.slots) + 8*cap(lit.more) + 8*cap(lit.blind); size > tt.count*30 {
			t.Errorf("%s: the index takes %d bytes", tt.name, size)
		}
	}
}

func TestManyKeys(t *testing.T) {
	hosts, values := make([]string, 9), make([]string, 9)
	for i := range hosts {
		hosts[i], values[i] = fmt.Sprintf("h%d", i), fmt.Sprint(i)
	}
	rules := []Rule{{Matches: []Match{
		eq("path", "/a /b"), eq("hostname", strings.Join(hosts, " ")), eq("query", "x="+strings.Join(values, " ")),
	}, RedirectURL: "/t"}}
	l := mustList(t, rules)
	if n := l.set.index.literals.tags + len(l.set.index.literals.more); n != 2 {
		t.Errorf("%d entries for two paths", n)
	}
	for url, want := range map[string]bool{"http://h8/b?x=8": true, "http://h8/b?x=9": false, "http://h9/b?x=8": false} {
		if a, err := l.Evaluate(ask(t, url)); err != nil || a.Found != want {
			t.Errorf("%s: %+v, %v", url, a, err)
		}
	}
}

func TestSetErrors(t *testing.T) {
	s := NewSet()
	if err := s.Add(5, &Rule{MatchURL: "/a"}); err != nil {
		t.Fatal(err)
	}
	if s.Add(5, &Rule{}) == nil {
		t.Error("the same id twice is no error")
	}
	if s.Add(6, &Rule{Matches: []Match{{Type: "regex", Value: "("}}}) == nil {
		t.Error("a bad regex is no error")
	}
	broken := errors.New("disk")
	_, err := s.Evaluate(&Request{Path: "/a"}, func(uint32) (*Rule, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("load error became %v", err)
	}
	_, err = s.Evaluate(&Request{Path: "/a"}, func(uint32) (*Rule, error) { return nil, nil })
	if err == nil {
		t.Error("a rule that is not there is no error")
	}
	if _, err := NewList([]Rule{{}, {Name: "n", Matches: []Match{{Type: "regex", Value: "("}}}}); err == nil || !strings.Contains(err.Error(), "rule 2 (n)") {
		t.Errorf("NewList: %v", err)
	}
	l := mustList(t, []Rule{{Name: "n"}})
	if l.Rule(0).Name != "n" || l.Rule(1) != nil {
		t.Error("Rule gives the wrong rule")
	}
}

func TestConcurrentUse(t *testing.T) {
	l := mustList(t, []Rule{{MatchURL: "h/a"}, {MatchURL: "g/a/*"}, {MatchURL: "/a"}})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			a, err := l.Evaluate(&Request{Path: "/a"})
			if err != nil || a.ID != 2 || len(a.Unsure) != 1 {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	group.Wait()
}

func literalList(b *testing.B) (*List, map[string]int, []*Request) {
	b.Helper()
	const count = 5000
	rules := make([]Rule, count)
	paths := map[string]int{}
	var requests []*Request
	for i := range rules {
		path := fmt.Sprintf("/products/category-%d/old-name-%d.html", i%50, i)
		rules[i] = Rule{MatchURL: path, RedirectURL: "/shop/" + fmt.Sprint(i), StatusCode: 301, UseRelativeURL: RelativeURL}
		paths[path] = i
		requests = append(requests, &Request{Scheme: "https", Host: "www.example.com", Path: path})
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(count, func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return mustList(b, rules), paths, requests
}

// BenchmarkEvaluate compares an evaluation with one look into a map of the same paths, in the same run. It measures so
// many of them that one iteration says something.
func BenchmarkEvaluate(b *testing.B) {
	const count, bound = 500_000, 2 * time.Microsecond
	l, paths, requests := literalList(b)
	misses := make([]*Request, len(requests))
	for i, q := range requests {
		misses[i] = &Request{Scheme: q.Scheme, Host: q.Host, Path: q.Path + "x"}
	}
	for _, bench := range []struct {
		name     string
		requests []*Request
		found    bool
	}{{"hit", requests, true}, {"miss", misses, false}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			var each, plain time.Duration
			for b.Loop() {
				begun := time.Now()
				for n := range count {
					a, err := l.Evaluate(bench.requests[n%len(requests)])
					if err != nil || a.Found != bench.found {
						b.Fatal(a, err)
					}
				}
				each = time.Since(begun) / count
				begun = time.Now()
				hits := 0
				for n := range count {
					if _, ok := paths[bench.requests[n%len(requests)].Path]; ok {
						hits++
					}
				}
				plain = time.Since(begun) / count
				if bench.found != (hits > 0) {
					b.Fatal(hits)
				}
			}
			b.Logf("a URL against 5,000 literal rules, %s: %s, %.1f times a look into a map (%s)", bench.name, each, float64(each)/float64(plain), plain)
			b.ReportMetric(float64(each.Nanoseconds()), "ns/URL")
			b.ReportMetric(float64(each)/float64(plain), "x-map")
			if each > bound {
				b.Errorf("%s for one URL, bound %s", each, bound)
			}
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	r := &Rule{RedirectURL: "/t"}
	paths := make([]string, 1<<20)
	for i := range paths {
		paths[i] = fmt.Sprintf("www.example.com/products/old-name-%d.html", i)
	}
	b.ReportAllocs()
	var s *Set
	n := 0
	for b.Loop() {
		if n%len(paths) == 0 {
			s = NewSet()
		}
		r.MatchURL = paths[n%len(paths)]
		if err := s.Add(uint32(n%len(paths)), r); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
