package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// answer writes what a rule answers: status, target, how it is completed.
func answer(t tester, raw []byte) string {
	t.Helper()
	r, err := redirect.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(r.StatusCode, " ", r.RedirectURL, " ", r.UseRelativeURL)
	if r.UseIncomingQueryString {
		text += " query"
	}
	if r.UseIncomingSchemeAndHost {
		text += " host"
	}
	return text
}

// TestTargets: from target, status and the columns beside them to what the rule answers.
func TestTargets(t *testing.T) {
	copied := func(o *convert.Options) { o.Relative = convert.CopySchemeHost }
	keep := func(o *convert.Options) { o.Query = convert.QueryKeep }
	status := func(o *convert.Options) { o.Status = 302 }
	for _, c := range []struct {
		name        string
		mutate      func(*convert.Options)
		head, row   string
		want, codes string
	}{
		{"path", nothing, "", "/t", "301 /t relative_url", ""},
		{"path, copied", copied, "", "/t", "301 /t copy_scheme_hostname host", ""},
		{"URL", nothing, "", "https://o.example/t", "301 https://o.example/t none", ""},
		{"URL, copied", copied, "", "https://o.example/t", "301 https://o.example/t none", ""},
		{"URL in capitals", nothing, "", "HTTPS://O.example/T", "301 HTTPS://O.example/T none", ""},
		{"URL without path", nothing, "", "https://o.example", "301 https://o.example none", ""},
		{"no scheme", nothing, "", "//o.example/t", "301 https://o.example/t none", "target-scheme"},
		{"port", nothing, "", "https://o.example:8443/t", "301 https://o.example:8443/t none", ""},
		{"encoded", nothing, "", "/t%20t", "301 /t%20t relative_url", ""},
		{"to be encoded", nothing, "", `/t ü\ "`, "301 /t%20%C3%BC%20%22 relative_url", "encoded"},
		{"backslash", nothing, "", `/t\1`, "301 /t%5C1 relative_url", "encoded"},
		{"query and fragment", nothing, "", "/t?a=b#c", "301 /t?a=b#c relative_url", ""},
		{"query kept", keep, "", "/t?a=b", "301 /t?a=b relative_url query", ""},
		{"query kept before a fragment", keep, "", "/t#c", "301 /t#c relative_url query", "query-after-fragment"},
		{"query kept by the row", nothing, ",useIncomingQueryString", "/t,1", "301 /t relative_url query", ""},
		{"query dropped by the row", keep, ",useIncomingQueryString", "/t,0", "301 /t relative_url", ""},
		{"host by the row", nothing, ",useIncomingSchemeAndHost,useRelativeUrl", "/t,1,copy_scheme_hostname", "301 /t copy_scheme_hostname host", ""},
		{"relative by the row", copied, ",useRelativeUrl", "/t,Relative_URL", "301 /t relative_url", ""},
		{"status", nothing, ",status", "/t,307", "307 /t relative_url", ""},
		{"status of the option", status, ",status", "/t,", "302 /t relative_url", ""},
		{"status of the row", status, ",status", "/t,308", "308 /t relative_url", ""},
	} {
		row := c.row
		if c.head == "" {
			row = quoted(row)
		}
		rule, rejected, codes := lone(t, c.mutate, "source,target"+c.head+"\n/a,"+row+"\n")
		if got := answer(t, rule); got != c.want || rejected != "" || strings.Join(codes, " ") != c.codes {
			t.Errorf("%s: %q %q %q, want %q %q", c.name, got, rejected, codes, c.want, c.codes)
		}
	}
}

// TestTargetsThatAreRejected, with statuses that are none.
func TestTargetsThatAreRejected(t *testing.T) {
	for row, want := range map[string]string{
		"/a,,301": "no-target target", "/a,t,301": "bad-target target", "/a,ftp://o.example/,301": "bad-target target", "/a,https://,301": "bad-target target",
		"/a,https:///x,301": "bad-target target", "/a,www.o.example/x,301": "bad-target target", "/a/*,/t/*/*,301": "bad-target target",
		"/a,/t,010": "bad-status status", "/a,/t,301.9": "bad-status status", "/a,/t,0x12D": "bad-status status", "/a,/t,300": "bad-status status",
		"/a,/t,+301": "bad-status status", "/a,/t,3O1": "bad-status status", "/a,/t,200": "bad-status status", "/a,/t,304": "bad-status status",
	} {
		_, rejected, _ := lone(t, nothing, "source,target,status\n"+row+"\n/ok,/t,\n")
		if rejected != want {
			t.Errorf("%q: %q, want %q", row, rejected, want)
		}
	}
}

// TestGroupsOfARegex: a target takes what its expression has, and no more.
func TestGroupsOfARegex(t *testing.T) {
	for _, c := range []struct{ regex, target, want string }{
		{"/(a)/(b)$", `/t/\2-\1`, `301 /t/\2-\1 relative_url`},
		{"/(a)/(b)$", `/t/\3`, "bad-regex target"},
		{"/(a)/(b)$", `/t/\0`, "bad-regex target"},
		{"/a/b$", `/t/\1`, "bad-regex target"},
		{"/(a)/b$", `/t/\10`, `301 /t/\10 relative_url`},
		{"/(a)/b(1)(2)(3)(4)(5)(6)(7)(8)(9)", `/t/\10`, "bad-regex target"},
		{"/(a)/b(1)(2)(3)(4)(5)(6)(7)(8)(9)", `/t/\9`, `301 /t/\9 relative_url`},
		{"^https://h.com/old(/x.*)$", `\1/t`, `301 \1/t relative_url`},
		{"/(?:a)/b", `/t/\1`, "bad-regex target"},
	} {
		rule, rejected, _ := lone(t, func(o *convert.Options) { o.NoProof = true }, "source,target,regex\n,"+c.target+","+quoted(c.regex)+"\n/ok,/t,\n")
		if got := answer(t, rule); rejected != "" && rejected != c.want || rejected == "" && got != c.want {
			t.Errorf("%q with %q: %q %q, want %q", c.target, c.regex, got, rejected, c.want)
		}
	}
}

// TestNumbersOfTime are epoch seconds or moments with a zone.
func TestNumbersOfTime(t *testing.T) {
	rule, _, _ := lone(t, nothing, "source,target,start,end\n/a,/t,2027-01-31T18:00:00Z,1801425601\n")
	r, err := redirect.Parse(rule)
	if err != nil || r.Start != 1801418400 || r.End != 1801425601 {
		t.Errorf("%s: %v", rule, err)
	}
	for _, row := range []string{"/a,/t,100,100", "/a,/t,100,99"} {
		if _, rejected, _ := lone(t, nothing, "source,target,start,end\n"+row+"\n/ok,/t,,\n"); rejected != "bad-time end" {
			t.Errorf("%s: %q", row, rejected)
		}
	}
}
