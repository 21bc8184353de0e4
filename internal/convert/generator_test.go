package convert_test

import (
	"encoding/csv"
	"strings"

	"pgregory.net/rapid"

	"cloudletmig/internal/convert"
)

// drawn is a sheet made by chance, of small alphabets, so that its rows meet each other.
type drawn struct {
	header []string
	rows   [][]string
}

func (d drawn) String() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(d.header) // a Builder takes everything
	_ = w.WriteAll(d.rows)
	return b.String()
}

func pick[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

// often draws the first value in most cases.
func often[T any](t *rapid.T, label string, usual T, others ...T) T {
	if rapid.IntRange(0, 3).Draw(t, label+"?") > 0 {
		return usual
	}
	return pick(t, label, others...)
}

var (
	drawnHosts = []string{"", "h.com", "http://h.com", "https://h.com", "H.com", "www.h.com", "https://www.h.com", "*.h.com"}
	drawnNames = []string{"a", "A", "b", "aB", "c.html", "%C3%a9", "ü", "x y", "a+b", "%25", "%2525", "~", "a%2fb", "a%2Bb", "a*b", "(", "'"}
	drawnTails = []string{"", "", "", "", "/", "/*", "*", "?x=1", "?x=2", "?X=1", "?x=1&y=2", "?y=2&x=1", "?x", "?x=a b", "?", "#f"}
	drawnEnds  = []string{
		"/t", "/T", "/a", "/b", "/A", "/a/b", "/a/", "/t/*", "/a/*", "/ü", "/t?q=1", "/t#f", "https://h.com/a", "https://h.com/t",
		"http://h.com/a", "https://www.h.com/a", "https://www.h.com/a/*", "https://o.example/x", "https://o.example", "//o.example/y", "ftp://o.example/", "",
	}
	drawnStatus = []string{"", "302", "303", "307", "308", "010", "301.9"}
)

func drawPath(t *rapid.T) string {
	path := ""
	for range rapid.IntRange(0, 2).Draw(t, "depth") {
		path += "/" + pick(t, "segment", drawnNames...)
	}
	if path == "" {
		return "/"
	}
	return path
}

func drawSource(t *rapid.T) string {
	source := often(t, "host", "", drawnHosts...) + drawPath(t) + often(t, "tail", "", drawnTails...)
	if strings.HasPrefix(source, "#") { // which would be a comment
		return "/" + source
	}
	return source
}

// drawnCells are cells of columns that ask for something.
var drawnCells = map[string][]string{
	"host":   {"h.com", "www.h.com", "h.com www.h.com", "!h.com", "*.h.com", "H.COM", "!*.invalid", "!*"},
	"scheme": {"http", "https", "!http"},
	"path":   {"/a", "/A", ":/a", "/a /b", "!/a", "/a*", "*b*", "/x\\ y", "/a\\*b", "/*/b", "!/a*", "/a+b", ":/aB /b", "!/cmig*", "!:/cmig-witness /other", "!*"},
	"query":  {"x=1", "x=1 2", ":x=a", "!x=1", "x=*", "x", "x=1 & y=2", "x=1\\*"},
	"regex":  {"/a(.*)", "^https?://h.com/(a|b)$", ".*\\.html", "/b", "old-page", "h.com/a", "^[^x]+$"},
	"cookie": {"c=1", "!c=1", "c"}, "header": {"X-A=1", "!X-A=1", "X-A"}, "extension": {"html", "!html", "html txt"},
	"method": {"GET", "POST", "!GET"}, "countryCode": {"DE", "!DE", "DE FR;XFF_HEADERS", "!AQ", "!AQ US CH"}, "clientIP": {"10.0.0.0/8", "!192.0.2.1", "!0.0.0.0/1 192.0.0.0/8"},
	"continentCode": {"EU", "!AN", "!AN NA"}, "regionCode": {"CA", "!ZZ"}, "proxy": {"both", "!both", "!anonymous", "transparent"},
	"disabled": {"1", "0"}, "start": {"1000"}, "end": {"2000"}, "matchesAlways": {"1"},
	"result.useIncomingQueryString": {"1", "0"},
	"result.useRelativeUrl":         {"none", "relative_url", "copy_scheme_hostname"},
}

// drawnColumns are those of drawnCells but useIncomingSchemeAndHost: beside relative_url it is one thing for the evaluator
// and another for the witness.
var drawnColumns = []string{
	"host", "scheme", "path", "query", "regex", "cookie", "header", "extension", "method", "countryCode", "clientIP",
	"continentCode", "regionCode", "proxy", "disabled",
	"start", "end", "matchesAlways", "result.useIncomingQueryString", "result.useRelativeUrl",
}

// drawSheet draws a sheet of either dialect, with some of the columns named.
func drawSheet(t *rapid.T, columns []string) drawn {
	d := drawn{header: []string{"source", "target", "status"}}
	if manager := rapid.Bool().Draw(t, "policy-manager"); manager {
		d.header = []string{"matchURL", "result.redirectURL", "result.statusCode"}
	}
	if rapid.Bool().Draw(t, "names") {
		d.header = append(d.header, map[bool]string{true: "name", false: "ruleName"}[d.header[0] == "source"])
	}
	more := []string{}
	if rapid.Bool().Draw(t, "criteria") {
		more = rapid.SliceOfNDistinct(rapid.SampledFrom(columns), 1, 3, rapid.ID[string]).Draw(t, "columns")
	}
	names := len(d.header) > 3
	d.header = append(d.header, more...)
	for range rapid.IntRange(1, pick(t, "at most", 5, 20, 45)).Draw(t, "rows") {
		if len(d.rows) > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0 {
			row := append([]string{}, pick(t, "which", d.rows...)...)
			if rapid.Bool().Draw(t, "elsewhere") {
				row[1] = pick(t, "target", drawnEnds[:len(drawnEnds)-1]...)
			}
			d.rows = append(d.rows, row)
			continue
		}
		row := []string{drawSource(t), often(t, "target", "https://o.example/x", drawnEnds...), often(t, "status", "", drawnStatus...)}
		if rapid.Bool().Draw(t, "onward") { // so that there are chains and loops
			row[1] = drawPath(t)
		}
		if names {
			row = append(row, pick(t, "name", "", "n", "m", "n-2", "line 3", "é"))
		}
		asks := false
		for _, column := range more {
			cell := often(t, column, "", drawnCells[column]...)
			asks = asks || cell != ""
			row = append(row, cell)
		}
		if asks && rapid.Bool().Draw(t, "sourceless") {
			row[0] = ""
		}
		if strings.Join(row, "") == "" { // which would be no row
			row[1] = "/t"
		}
		d.rows = append(d.rows, row)
	}
	return d
}

// drawOptions draws options under which rules and chunks differ, with limits so low that there are many chunks.
func drawOptions(t *rapid.T) convert.Options {
	o := options()
	o.Scheme = often(t, "scheme", o.Scheme, convert.SchemeKeep)
	o.Wildcards = often(t, "wildcards", o.Wildcards, convert.WildcardsAll, convert.WildcardsNone)
	o.Fragment = often(t, "fragment", o.Fragment, convert.FragmentDrop)
	o.Slash = often(t, "slash", o.Slash, convert.SlashBoth)
	o.Query = often(t, "query", o.Query, convert.QueryKeep)
	o.Relative = often(t, "relative", o.Relative, convert.CopySchemeHost)
	o.Duplicates = often(t, "duplicates", o.Duplicates, convert.DuplicatesLast)
	o.Collapse = rapid.Bool().Draw(t, "collapse")
	o.Order = often(t, "order", o.Order, convert.OrderSpecific)
	o.Sites = often(t, "sites", nil, []string{"o.example"})
	o.Split = pick(t, "split", convert.SplitAuto, convert.SplitHash, convert.SplitHost, convert.SplitSequence)
	if o.Split == convert.SplitSequence { // the proof takes a row's chunk from row numbers, which do not ascend then (proof.go)
		o.Order = convert.OrderSheet
	}
	o.Fill = pick(t, "fill", 0.8, 1, 0.5)
	o.MaxRules = pick(t, "max rules", 5000, 30, 18, 10, 6)
	o.MaxBytes = pick(t, "max bytes", int64(5242880), 5242880, 12000, 5000)
	if o.Collapse {
		o.MaxBytes = 5242880 // what a rule weighs is not what its new target makes of it (walk.go)
	}
	return o
}
