package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// requests are those that rules suggest, and near them.
func requests(t *rapid.T, rules []redirect.Rule) []redirect.Request {
	all := []redirect.Request{}
	for i := range rules {
		r := &rules[i]
		paths, _ := r.Literals()
		paths = append(slices.Clone(paths), "/a", "/a/b", "/")
		if text := strings.ReplaceAll(r.MatchURL, "*", pick(t, "stands for", "", "a", "b/c", "%25", "a+b")); text != "" {
			if q, err := redirect.ParseURL(text); err == nil {
				paths = append(paths, q.Path)
			}
		}
		for range 4 {
			q := redirect.Request{
				Scheme: pick(t, "scheme", "http", "https"), Host: pick(t, "host", "h.com", "www.h.com", "H.COM", "x.h.com", "o.example"),
				Path: near(t, pick(t, "path", paths...)), Query: pick(t, "query", "", "x=1", "x=2", "X=1", "x=1&y=2", "y=2&x=1&z=3", "x", "x=a%20b", "x=a&u=1"),
				Method: pick(t, "method", "GET", "POST"), Header: map[string][]string{}, Cookie: map[string]string{}, Device: map[string]string{},
				ClientIP: pick(t, "ip", "10.1.2.3", "192.0.2.1"), Continent: "EU", Country: pick(t, "country", "DE", "FR", "US"), Region: "BY", Proxy: "none",
				Time: time.Unix(pick(t, "time", int64(1500), 999, 3000), 0),
			}
			if rapid.Bool().Draw(t, "with cookie") {
				q.Cookie["c"], q.Header["X-A"] = pick(t, "cookie", "1", "2"), []string{"1"}
			}
			if hosts, ok := r.Hosts(); ok && rapid.Bool().Draw(t, "own host") {
				q.Host = strings.ReplaceAll(hosts[0], "*", "x")
			}
			all = append(all, q)
		}
	}
	return all
}

// near is a path or one like it.
func near(t *rapid.T, path string) string {
	switch rapid.IntRange(0, 6).Draw(t, "near") {
	case 1:
		return strings.ToUpper(path)
	case 2:
		return strings.ToLower(path)
	case 3:
		return path + "/"
	case 4:
		if len(path) > 1 {
			at := rapid.IntRange(1, len(path)-1).Draw(t, "at")
			return path[:at] + fmt.Sprintf("%%%02X", path[at]) + path[at+1:]
		}
	case 5:
		return strings.NewReplacer("+", "%20", "%20", "+", "%25", "%", "%2B", "+").Replace(path)
	}
	return path
}

// drawExisting draws rules that the property has already.
func drawExisting(t *rapid.T, where string) []convert.Existing {
	if rapid.IntRange(0, 4).Draw(t, where) > 0 {
		return nil
	}
	var all []convert.Existing
	for _, raw := range rapid.SliceOfN(rapid.SampledFrom([]string{
		`{"type":"erMatchRule","name":"one","matchURL":"/a","statusCode":302,"redirectURL":"/existing","useRelativeUrl":"relative_url"}`,
		`{"type":"erMatchRule","name":"two","matchURL":"https://h.com/b","statusCode":301,"redirectURL":"https://o.example/e","location":"/x"}`,
		`{"type":"erMatchRule","name":"three","matchURL":"/e/*","statusCode":301,"redirectURL":"https://o.example/*"}`,
		`{"type":"erMatchRule","name":"four","matches":[{"matchType":"hostname","matchValue":"www.h.com h.com","matchOperator":"equals"},{"matchType":"path","matchValue":"/a /a+b","matchOperator":"equals"}],"statusCode":301,"redirectURL":"https://o.example/4"}`,
		`{"type":"erMatchRule","name":"five","matches":[{"matchType":"regex","matchValue":"/b/(.*)","matchOperator":"equals"}],"statusCode":301,"redirectURL":"https://o.example/\\1"}`,
	}), 1, 3).Draw(t, "rules") {
		e, err := convert.NewExisting([]byte(raw), "v2:1@1")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
