package convert_test

import (
	"strings"
	"testing"

	"cloudletmig/internal/convert"
)

// TestCriteria: from a cell of a column to matches.
func TestCriteria(t *testing.T) {
	for _, c := range []struct{ column, cell, want string }{
		{"query", "p=1", "query equals p=1"},
		{"query", "p=1 2", "query equals p=1 2"},
		{"query", `p=Q1\ Sales\ Site`, "query equals p=Q1%20Sales%20Site"},
		{"query", "!product=ER FR", "!query equals product=ER FR"},
		{"query", ":product=ER VP", ":query equals product=ER VP"},
		{"query", "!:product=ER", "!:query equals product=ER"},
		{"query", ":!product=ER", "!:query equals product=ER"},
		{"query", "!!p=1", "!query equals !p=1"},
		{"query", "product=E* FR", "query contains product=E* FR"},
		{"query", "product=E?", "query contains product=E?"},
		{"query", `product=E\*`, "query equals product=E*"},
		{"query", `product=E\?`, "query equals product=E?"},
		{"query", "a=1 & b=2", "query equals a=1 | query equals b=2"},
		{"query", "!a=1 & :b=2", "!query equals a=1 | :query equals b=2"},
		{"query", "a=1&b=2", "query equals a=1&b=2"},
		{"query", "name", "query equals name"},
		{"path", "/a", "path equals /a"},
		{"path", "/a /b", "path equals /a /b"},
		{"path", `/a\ b`, "path equals /a%20b"},
		{"path", "*v1* *v2*", "path contains v1 v2"},
		{"path", "!*v1* *v2*", "!path contains v1 v2"},
		{"path", "*v1* v2*", "path contains *v1* v2*"},
		{"path", "/a*", "path contains /a*"},
		{"path", "/a & !/b", "path equals /a | !path equals /b"},
		{"path", `/a\*b`, "path equals /a*b"},
		{"path", `/a\b`, `path equals /a\b`},
		{"host", "h.com www.h.com", "hostname equals h.com www.h.com"},
		{"host", "*.h.com", "hostname equals *.h.com"},
		{"host", "*h*", "hostname contains h"},
		{"hostname", "!h.com", "!hostname equals h.com"},
		{"scheme", "https", "protocol equals https"},
		{"scheme", "HTTP", "protocol equals http"},
		{"protocol", "!http", "!protocol equals http"},
		{"extension", ".html jpg", "extension equals html jpg"},
		{"extension", "j*", "extension contains j*"},
		{"method", "get", "method equals GET"},
		{"method", "get post", `method equals {simple  ["GET" "POST"]}`},
		{"cookie", "c=1", "cookie equals c=1"},
		{"cookie", "!c=1 2", "!cookie equals c=1 2"},
		{"cookie", `c=a\ b d`, `cookie equals {object c ["a b" "d"]}`},
		{"header", "Accept=a b", `header equals {object Accept ["a" "b"]}`},
		{"header", ":Accept=a*", `:header contains {object Accept ["a*"] wildcard case}`},
		{"header", "!Accept", "!header exists {object Accept []}"},
		{"header", "A=1 & B=2", `header equals {object A ["1"]} | header equals {object B ["2"]}`},
		{"countryCode", "US", "countrycode equals US"},
		{"countryCode", "US DE;CONNECTING_IP XFF_HEADERS", "countrycode equals US DE;CONNECTING_IP XFF_HEADERS"},
		{"countryCode", "!US;XFF_HEADERS", "!countrycode equals US;XFF_HEADERS"},
		{"continent", "EU;CONNECTING_IP", "continent equals EU;CONNECTING_IP"},
		{"region", "BY", "regioncode equals BY"},
		{"clientIP", "10.0.0.0/8 192.0.2.1;XFF_HEADERS", "clientip equals 10.0.0.0/8 192.0.2.1;XFF_HEADERS"},
		{"clientIPv6", "2001:db8::1", "clientipv6 equals 2001:db8::1"},
		{"proxy", "anonymous", "proxy equals anonymous"},
		{"regex", "^https?://h/(.*)$", "regex equals ^https?://h/(.*)$"},
		{"regex", `\.html & !x`, `regex equals \.html & !x`},
	} {
		out := converted(t, func(o *convert.Options) { o.NoProof = true }, "matchURL,redirectURL,"+c.column+"\n,https://o.example/,"+quoted(c.cell)+"\n")
		if got := brief(t, out.rules(t)[0]); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.column, c.cell, got, c.want)
		}
	}
}

// TestMatchesStandInOneOrder, wherever they come from.
func TestMatchesStandInOneOrder(t *testing.T) {
	rule, _, _ := lone(t, nothing, "source,target,regex,countryCode,query,path,host,scheme\nh.com/a?x=1,/t,h,DE,y=2,/a*,h.*,https\n")
	const want = "protocol equals https | hostname equals h.com | hostname equals h.* | path equals /a | path contains /a* | " +
		"query equals x=1 | query equals y=2 | countrycode equals DE | regex equals h"
	if got := brief(t, rule); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestCellsThatAreRejected: by code and column, as the sheet calls it.
func TestCellsThatAreRejected(t *testing.T) {
	for _, c := range []struct{ column, cell, want string }{
		{"query", "=1", "bad-cell query"},
		{"query", "!", "bad-cell query"},
		{"query", "!:", "bad-cell query"},
		{"query", "a=1 & ", "bad-cell query"},
		{"query", `a=* b\*`, "bad-cell query"},
		{"cookie", "=1", "bad-cell cookie"},
		{"header", "=1", "bad-cell header"},
		{"header", "a b", "bad-cell header"},
		{"scheme", "ftp", "bad-cell scheme"},
		{"scheme", "http https", "bad-cell scheme"},
		{"countryCode", "DE;HOME", "bad-cell countryCode"},
		{"countryCode", ";XFF_HEADERS", "bad-cell countryCode"},
		{"regex", "(", "bad-regex regex"},
		{"regex", "(?=a)", "bad-regex regex"},
		{"regex", strings.Repeat("a", 257), "bad-regex regex"},
		{"disabled", "maybe", "bad-flag disabled"},
		{"matchesAlways", "2", "bad-flag matchesAlways"},
		{"matchesAlways", "1", "always-and-matches matchesAlways"},
		{"start", "yesterday", "bad-time start"},
		{"start", "-1", "bad-time start"},
		{"start", "01", "bad-time start"},
		{"end", "1e9", "bad-time end"},
		{"result.useIncomingQueryString", "x", "bad-flag result.useIncomingQueryString"},
		{"useIncomingSchemeAndHost", "x", "bad-flag useIncomingSchemeAndHost"},
		{"useRelativeUrl", "maybe", "bad-cell useRelativeUrl"},
		{"cookie", "c=a\x01", "control cookie"},
	} {
		_, rejected, _ := lone(t, nothing, "matchURL,redirectURL,"+c.column+"\n/a,/t,"+quoted(c.cell)+"\n/ok,/t,\n")
		if rejected != c.want {
			t.Errorf("%s %q: %q, want %q", c.column, c.cell, rejected, c.want)
		}
	}
}

// TestRegexLimitCountsCharacters: 256 are taken, also of more than a byte each.
func TestRegexLimitCountsCharacters(t *testing.T) {
	for _, c := range []struct {
		cell, want string
	}{{"/" + strings.Repeat("a", 255), ""}, {"/" + strings.Repeat("é", 255), ""}, {"/" + strings.Repeat("é", 256), "bad-regex regex"}} {
		_, rejected, _ := lone(t, func(o *convert.Options) { o.NoProof = true }, "matchURL,redirectURL,regex\n,/t,"+c.cell+"\n/ok,/t,\n")
		if rejected != c.want {
			t.Errorf("%d bytes: %q, want %q", len(c.cell), rejected, c.want)
		}
	}
}
