package sheet_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/sheet"
)

// read reads a sheet to its end: one line for each row and each row error, in order.
func read(t *testing.T, content string, o sheet.Options) (*sheet.Reader, []string, error) {
	t.Helper()
	o.Stdin, o.TempDir = strings.NewReader(content), t.TempDir()
	r, err := sheet.Open(t.Context(), "-", o)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	lines, err := drain(r)
	return r, lines, err
}

func drain(r *sheet.Reader) ([]string, error) {
	var lines []string
	for {
		var row sheet.Row
		err := r.Next(&row)
		var bad *sheet.RowError
		switch {
		case errors.Is(err, io.EOF):
			return lines, nil
		case errors.As(err, &bad):
			lines = append(lines, fmt.Sprintf("%d %s: %s at %s", bad.Line, bad.Code, cells(&bad.Cells), bad.Column))
		case err != nil:
			return lines, err
		default:
			lines = append(lines, fmt.Sprintf("%d %s", row.Line, cells(&row)))
		}
	}
}

// cells shows the cells that hold something.
func cells(row *sheet.Row) string {
	var list []string
	for c := range sheet.Column(sheet.Columns) {
		if cell := row.Cell(c); cell != "" {
			list = append(list, strings.TrimPrefix(c.String(), "result.")+"="+cell)
		}
	}
	return strings.Join(list, " ")
}

func TestRead(t *testing.T) {
	const ab = "2 matchURL=/a redirectURL=/b"
	for name, c := range map[string]struct {
		content  string
		options  sheet.Options
		want     []string
		comments int
		blank    int
	}{
		"comma":         {content: "from,to\n/a,/b\n", want: []string{ab}},
		"semicolon":     {content: "from;to\n/a;/b\n", want: []string{ab}},
		"tab":           {content: "from\tto\n/a\t/b\n", want: []string{ab}},
		"pipe":          {content: "from|to\n/a|/b\n", want: []string{ab}},
		"given":         {content: "from:to\n/a:/b\n", options: sheet.Options{Delimiter: ':'}, want: []string{ab}},
		"sep":           {content: "sep=:\nfrom:to\n/a:/b\n", want: []string{"3 matchURL=/a redirectURL=/b"}, comments: 1},
		"no newline":    {content: "from,to\n/a,/b", want: []string{ab}},
		"BOM":           {content: "\ufefffrom,to\n/a,/b\n", want: []string{ab}},
		"quoted header": {content: "\ufeff\"from\",\"to\"\n/a,/b\n", want: []string{ab}},
		"UTF-16 LE":     {content: utf16("from,to\n/a,/ü😀\n", false), want: []string{"2 matchURL=/a redirectURL=/ü😀"}},
		"UTF-16 BE":     {content: utf16("from,to\n/a,/ü😀\n", true), want: []string{"2 matchURL=/a redirectURL=/ü😀"}},
		"UTF-16 named":  {content: utf16("from,to\n/a,/b\n", false)[2:], options: sheet.Options{Encoding: "utf-16le"}, want: []string{ab}},
		"windows-1252":  {content: "from,to\n/\xe4,/\x80\n", options: sheet.Options{Encoding: "windows-1252"}, want: []string{"2 matchURL=/ä redirectURL=/€"}},
		"iana name":     {content: "from,to\n/\xe1,/b\n", options: sheet.Options{Encoding: "IBM437"}, want: []string{"2 matchURL=/ß redirectURL=/b"}},
		"CR only":       {content: "from,to\r# x\r/a,/b\r\"/c\",/d", want: []string{"3 matchURL=/a redirectURL=/b", "4 matchURL=/c redirectURL=/d"}, comments: 1},
		"CRLF":          {content: "from,to\r\n\r\n/a,/b\r\n/c,/d\r\n", want: []string{"3 matchURL=/a redirectURL=/b", "4 matchURL=/c redirectURL=/d"}, blank: 1},
		"CRLF tab":      {content: "from\tto\r\n/a\t/b\r\n", want: []string{ab}},
		"text":          {content: "from,to,code\n/a,/b,010\n/a,/b,301.9\n/a,/b,0x12D\n", want: []string{"2 matchURL=/a redirectURL=/b statusCode=010", "3 matchURL=/a redirectURL=/b statusCode=301.9", "4 matchURL=/a redirectURL=/b statusCode=0x12D"}},
		"blanks": {
			content: " ruleName , matchURL, result.redirectURL ,path\nrule 1 , /a,  /b ,/x\\ \nrule 2,\" /a \",\u00a0/b,/y\\  \n",
			want:    []string{"2 ruleName=rule 1 matchURL=/a redirectURL=/b path=/x\\ ", "3 ruleName=rule 2 matchURL=/a redirectURL=/b path=/y\\ "},
		},
		"blank rows": {content: "\n  \nfrom,to\n,\n/a,/b\n , \"\"\n\n", want: []string{"5 matchURL=/a redirectURL=/b"}, blank: 5},
		"comments": {
			content: "# Policy: x,,\n#,,,,,\n\"# Description: a, b\",,\n  # stray \"quote, \"here\nfrom,to\n# it's 5\" wide, \"open\n/a,/b\n" +
				"\"# say \"hi\"\",\n\"# two\nlines\",\n\t# tab\n/c,/d\n#last",
			want: []string{"7 matchURL=/a redirectURL=/b", "12 matchURL=/c redirectURL=/d"}, comments: 9,
		},
		"comment in a cell": {content: "from,to,name\n/a,/b,\"x\n# no comment\n\ny\"\n/c,/d,\n", want: []string{
			"2 ruleName=x\n# no comment\n\ny matchURL=/a redirectURL=/b", "6 matchURL=/c redirectURL=/d",
		}},
		"open comment":   {content: "from,to\n\"# Description: open,,\n/a,/b\n", want: []string{"3 matchURL=/a redirectURL=/b"}, comments: 1},
		"failed formula": {content: "from,to\n#REF!,/b\n", want: []string{"2 matchURL=#REF! redirectURL=/b"}},
		"headerless":     {content: "/a,/b\n/c,/d\n", want: []string{"1 matchURL=/a redirectURL=/b", "2 matchURL=/c redirectURL=/d"}},
		"headerless 3":   {content: "# x\nwww.example.com/old;https://example.com/a,b;302\n", want: []string{"2 matchURL=www.example.com/old redirectURL=https://example.com/a,b statusCode=302"}, comments: 1},
		"headerless 4":   {content: "\"/a\nb\"|/b|301|n\n/c|/d||\n", want: []string{"1 ruleName=n matchURL=/a\nb redirectURL=/b statusCode=301", "3 matchURL=/c redirectURL=/d"}},
		"headerless tab": {content: "/a,\"b\"\t/b\n\"/c\"\"d\"\t/d\n", want: []string{"1 matchURL=/a,\"b\" redirectURL=/b", "2 matchURL=/c\"d redirectURL=/d"}},
		"tab and quotes": {
			content: "from\tto\tname\n/docs/\"Mozilla-JSS\"_x\t/y\t\"open\n\"/q\"\"q\"\t \"/z, z\" \t\n\t\t\n#\t\"\n\"a\"b\"\t/x\t\"\n",
			want: []string{
				"2 ruleName=\"open matchURL=/docs/\"Mozilla-JSS\"_x redirectURL=/y", "3 matchURL=/q\"q redirectURL=/z, z",
				"6 ruleName=\" matchURL=\"a\"b\" redirectURL=/x",
			}, comments: 1, blank: 1,
		},
		"tab and empty cells": {content: "name\tfrom\tto\n\t/a\t/b\n", want: []string{ab}},
		"bare quote": {
			content: "from,to\n/a\"x,/b\n/c,/d\n/e,\"f\"g\n/h,/i\n",
			want:    []string{"2 quote: matchURL=/a\"x,/b at character 3", "3 matchURL=/c redirectURL=/d", "4 quote: matchURL=/e,\"f\"g at character 4", "5 matchURL=/h redirectURL=/i"},
		},
		"quote that swallows": {
			content: "from,to\n/ä,\"b\n/c,/d\n# x\n/e,\"/f\"\n\"m\n\",/g\n",
			want: []string{
				"2 quote: matchURL=/ä,\"b at character 4", "3 matchURL=/c redirectURL=/d", "5 matchURL=/e redirectURL=/f",
				"6 matchURL=m redirectURL=/g",
			}, comments: 1,
		},
		"broken behind a multi-line cell": {
			content: "from,to\n\"m\nn\",\"o\n\n p\" \n/a,/b\n",
			want: []string{
				"2 quote: matchURL=\"m at character 4", "3 quote: matchURL=n\",\"o at character 2",
				"5 quote: matchURL= p\"  at character 3", "6 matchURL=/a redirectURL=/b",
			}, blank: 1,
		},
		"after a multi-line cell": {content: "from,to\n\"/a\r\n/b\",/c\n\n/d,/e\n", want: []string{"2 matchURL=/a\n/b redirectURL=/c", "5 matchURL=/d redirectURL=/e"}, blank: 1},
		"ragged": {
			content: "name,from,to\nx,/a\n/c,/d,/e,/f\n,\n#,\nx,/a,/b\n,,,\n/z\n",
			want: []string{
				"2 ragged: ruleName=x matchURL=/a at to", "3 ragged: ruleName=/c matchURL=/d redirectURL=/e at column 4",
				"6 ruleName=x matchURL=/a redirectURL=/b", "8 ragged: ruleName=/z at from",
			}, comments: 1, blank: 2,
		},
		"unknown column without data": {content: "from,note,to,\n/a, ,/b,\n", want: []string{ab}},
		"unknown column ignored":      {content: "Note,from,to\nx,/a,/b\n", options: sheet.Options{Ignore: []string{"NOTE"}}, want: []string{ab}},
		"unnamed column ignored":      {content: "from,to,\n/a,/b,x\n", options: sheet.Options{Ignore: []string{"column 3"}}, want: []string{ab}},
		"only ignored data":           {content: "note,from,to\nx,,\n#,,\n", options: sheet.Options{Ignore: []string{"note"}}, want: []string{"2 "}, comments: 1},
		"2019": {
			content: "ruleName,matchURL,scheme,host,path,query,disabled,result.useIncomingQueryString,result.useIncomingSchemeAndHost,result.useRelativeUrl,result.redirectURL,result.statusCode\n" +
				"r,/m,https,h,/p,q=1,1,1,1,none,/t,301\n",
			want: []string{"2 ruleName=r matchURL=/m redirectURL=/t statusCode=301 scheme=https host=h path=/p query=q=1 disabled=1 useIncomingQueryString=1 useIncomingSchemeAndHost=1 useRelativeUrl=none"},
		},
		"2026": {
			content: "ruleName,host,path,query,scheme,matchURL,regex,result.useIncomingQueryString,result.redirectURL,result.statusCode\nr,h,/p,q=1,http,/m,^x$,1,/t,302\n",
			want:    []string{"2 ruleName=r matchURL=/m redirectURL=/t statusCode=302 scheme=http host=h path=/p query=q=1 regex=^x$ useIncomingQueryString=1"},
		},
		"bare names": {
			content: "RULENAME,matchurl,UseRelativeUrl,redirectURL,Result.StatusCode,hostname,Protocol,match_always,country,region-code,device,clientip\nr,/m,none,/t,301,h,http,1,DE,BY,d,1.2.3.4\n",
			want:    []string{"2 ruleName=r matchURL=/m redirectURL=/t statusCode=301 scheme=http host=h clientIP=1.2.3.4 deviceCharacteristics=d countryCode=DE regionCode=BY matchesAlways=1 useRelativeUrl=none"},
		},
		"simple with criteria": {content: "Rule Name,Old URL,New URL,Status Code,host,query\nr,/a,/b,301,h,x=1\n", want: []string{"2 ruleName=r matchURL=/a redirectURL=/b statusCode=301 host=h query=x=1"}},
		"header only":          {content: "from,to\n"},
		"semicolons in URLs":   {content: "/a;b=1,/c\n/d,/e\n", want: []string{"1 matchURL=/a;b=1 redirectURL=/c", "2 matchURL=/d redirectURL=/e"}},
		"commas in URLs":       {content: "/a,b;/c,d\n/e;/f\n", want: []string{"1 matchURL=/a,b redirectURL=/c,d", "2 matchURL=/e redirectURL=/f"}},
		"long line":            {content: "from,to\n/" + strings.Repeat("a", 100_000) + ",/b\n/c,/d\n", want: []string{"2 matchURL=/" + strings.Repeat("a", 100_000) + " redirectURL=/b", "3 matchURL=/c redirectURL=/d"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, got, err := read(t, c.content, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("rows are\n%q, want\n%q", got, c.want)
			}
			if r.Comments() != c.comments || r.Blank() != c.blank {
				t.Errorf("%d comments and %d blank rows, want %d and %d", r.Comments(), r.Blank(), c.comments, c.blank)
			}
		})
	}
}

func utf16(text string, bigEndian bool) string {
	var b strings.Builder
	put := func(u rune) {
		high, low := byte(u>>8), byte(u)
		if !bigEndian {
			high, low = low, high
		}
		b.Write([]byte{high, low})
	}
	put(0xfeff)
	for _, c := range text {
		if c > 0xffff {
			put(0xd800 + (c-0x10000)>>10)
			c = 0xdc00 + (c-0x10000)&0x3ff
		}
		put(c)
	}
	return b.String()
}

func TestErrors(t *testing.T) {
	long := strings.Repeat("/a,/b\n", 200_000)
	for name, c := range map[string]struct {
		content string
		options sheet.Options
		code    string
		want    string // the whole sentence without the sheet's name, or its beginning before *
		rows    int    // read before
	}{
		"empty":               {"", sheet.Options{}, sheet.CodeEmpty, ": the sheet is empty", 0},
		"BOM only":            {"\ufeff", sheet.Options{}, sheet.CodeEmpty, ": the sheet is empty", 0},
		"blank":               {"\n \n,,\n", sheet.Options{}, sheet.CodeEmpty, ": the sheet is empty", 0},
		"comments only":       {"# a\n#b", sheet.Options{}, sheet.CodeEmpty, ": the sheet holds nothing but comments", 0},
		"xls":                 {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", sheet.Options{}, sheet.CodeKind, ": is an old .xls or a workbook with a password; save it as .xlsx *", 0},
		"NUL":                 {"from,to\n/a,/b\n/c\x00,/d\n", sheet.Options{}, sheet.CodeNUL, ", line 3, byte 16: a NUL character is no text; *", 1},
		"NUL in UTF-16":       {utf16("from,to\n/😀\x00,/d\n", false), sheet.Options{}, sheet.CodeNUL, ", line 2, byte 24: *", 0},
		"UTF-16, no BOM":      {utf16("from,to\n", false)[2:], sheet.Options{}, sheet.CodeNUL, ", line 1, byte 1: a NUL character is no text; if the file is UTF-16 without a BOM, --encoding utf-16le reads it", 0},
		"half UTF-16":         {utf16("from,to\n/a,/b", false) + "x", sheet.Options{}, sheet.CodeEncoding, ", line 2, byte 28: here is no character of UTF-16; *", 0},
		"not UTF-8":           {"\ufefffrom,to\n/a,/b\n/\xe4,/d\n", sheet.Options{}, sheet.CodeEncoding, ", line 3, byte 18: the byte 0xE4 is not UTF-8; if the file is from Windows, --encoding windows-1252 reads it", 1},
		"cut off UTF-8":       {"from,to\n/a,/b\n/a,/\xc3", sheet.Options{}, sheet.CodeEncoding, ", line 3, byte 18: *", 1},
		"late":                {"from,to\n" + long + "\xff\n", sheet.Options{}, sheet.CodeEncoding, ", line 200002, byte 1200008: *", 200_000},
		"not windows-1252":    {"from,to\n/ä\x81,/b\n", sheet.Options{Encoding: "ascii-no"}, sheet.CodeOption, ": there is no encoding \"ascii-no\"; *", 0},
		"not big5":            {"from,to\n/\xff,/b\n", sheet.Options{Encoding: "big5"}, sheet.CodeEncoding, ", line 2: here is no character of big5; *", 0},
		"duplicate":           {"host,from,to,hostname\n", sheet.Options{}, sheet.CodeDuplicate, `, line 1, column "hostname": columns 1 (host) and 4 (hostname) are the same column`, 0},
		"unknown twice":       {"# x\nfrom,note,to,Note\n", sheet.Options{}, sheet.CodeDuplicate, `, line 2, column "Note": columns 2 (note) and 4 (Note) are the same column`, 0},
		"unknown":             {"from,to,note\n/a,/b,\n/c,/d,x\n", sheet.Options{}, sheet.CodeUnknown, `, line 3, column "note": holds data ("x"), but what the column means is not known; --ignore-column leaves it out`, 1},
		"unknown unnamed":     {"from,to,\n/c,/d,x\n", sheet.Options{}, sheet.CodeUnknown, `, line 2, column 3: holds data *`, 0},
		"ignore":              {"from,to\n", sheet.Options{Ignore: []string{"note"}}, sheet.CodeIgnore, `, line 1: there is no column "note" to ignore; the header is "from", "to"`, 0},
		"ignore known":        {"from,to,host\n", sheet.Options{Ignore: []string{"Host"}}, sheet.CodeIgnore, `, line 1: the column "Host" cannot be ignored, because its meaning is known`, 0},
		"ignore nowhere":      {"/a,/b\n", sheet.Options{Ignore: []string{"note"}}, sheet.CodeIgnore, `, line 1: there is no column "note" to ignore, because the sheet has no header`, 0},
		"missing both":        {"alt,neu\n/a,/b\n", sheet.Options{}, sheet.CodeMissing, `, line 1: there is no column for source and target; what was read as the header (simple) is "alt", "neu"`, 0},
		"missing target":      {"from,neu\n/a,/b\n", sheet.Options{}, sheet.CodeMissing, `, line 1: there is no column for target; *`, 0},
		"missing redirect":    {"ruleName,matchURL\nr,/a\n", sheet.Options{}, sheet.CodeMissing, `, line 1: there is no column for result.redirectURL; what was read as the header (policy-manager) is *`, 0},
		"one column":          {"/a\n/b\n", sheet.Options{}, sheet.CodeMissing, `, line 1: there is no column for source and target; *`, 0},
		"five columns":        {"/a,/b,301,n,x\n", sheet.Options{}, sheet.CodeHeader, `, line 1: 5 columns without a header: *`, 0},
		"dialect":             {"from,to\n", sheet.Options{Dialect: "x"}, sheet.CodeOption, `: there is no dialect "x"; *`, 0},
		"delimiter":           {"from,to\n", sheet.Options{Delimiter: '"'}, sheet.CodeOption, `: '"' cannot be a delimiter`, 0},
		"unclosed":            {"from,to\n/a,/b\n/c,\"/d\n/e,/f\n", sheet.Options{}, sheet.CodeQuote, `, line 3, character 4: a quote opens here and is not closed`, 1},
		"unclosed last":       {"from,to\n\"m\n\nn\",\"open\n/e,/f\n", sheet.Options{}, sheet.CodeQuote, `, line 4, character 4: a quote opens here and is not closed`, 0},
		"unclosed far":        {"from,to\n/x,\"y\n" + long + "\"\n", sheet.Options{}, sheet.CodeQuote, `, line 2, character 4: a quote opens here and is not closed within 1 MiB`, 0},
		"unclosed header":     {"from,\"to\n/a,/b\n", sheet.Options{}, sheet.CodeQuote, `, line 1, character 6: a quote opens here and is not closed`, 0},
		"bare in the header":  {"from,t\"o\n/a,/b\n", sheet.Options{}, sheet.CodeQuote, `, line 1, character 7: a quote stands in a cell *`, 0},
		"endless line":        {"from,to\n/a,/b\n" + strings.Repeat("x", 3<<20), sheet.Options{}, sheet.CodeLong, `, line 3: the row is longer than 1 MiB`, 1},
		"not a zip":           {"PK\x03\x04 and then nothing", sheet.Options{}, sheet.CodeRead, ": cannot be read: zip: not a valid zip file", 0},
		"forced":              {"/a,/b\n", sheet.Options{Dialect: sheet.PolicyManager}, sheet.CodeMissing, `, line 1: there is no column for result.redirectURL; *`, 0},
		"policy, simple word": {"ruleName,from,result.redirectURL\nr,/a,/b\n", sheet.Options{}, sheet.CodeUnknown, `, line 2, column "from": holds data *`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, rows, err := read(t, c.content, c.options)
			var e *sheet.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v after %q", err, rows)
			}
			want, cut := strings.CutSuffix("standard input"+c.want, "*")
			if got := e.Error(); got != want && (!cut || !strings.HasPrefix(got, want)) {
				t.Errorf("error is\n%s, want\n%s", got, want)
			}
			if e.Code != c.code || len(rows) != c.rows {
				t.Errorf("code %s after %d rows, want %s after %d", e.Code, len(rows), c.code, c.rows)
			}
		})
	}
}

func TestNames(t *testing.T) {
	r, _, err := read(t, "Old URL , to\n/a,/b\n", sheet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(r.Dialect()), strings.Join(r.Header(), "|"), r.HeaderOf(sheet.SourceColumn), r.HeaderOf(sheet.StatusColumn), r.HeaderOf(sheet.UseRelativeURLColumn)}
	if want := []string{"simple", "Old URL|to", "Old URL", "status", "result.useRelativeUrl"}; !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
	if !r.Has(sheet.TargetColumn) || r.Has(sheet.StatusColumn) {
		t.Error("Has is wrong")
	}
	r, _, err = read(t, "/a,/b\n", sheet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Header() != nil || r.HeaderOf(sheet.TargetColumn) != "column 2" || r.HeaderOf(sheet.StatusColumn) != "status" {
		t.Errorf("header %q, target is %q", r.Header(), r.HeaderOf(sheet.TargetColumn))
	}
	if r, _, err = read(t, "ruleName,redirectURL\n", sheet.Options{}); err != nil || r.Dialect() != sheet.PolicyManager {
		t.Fatal(err)
	}
	if got := r.HeaderOf(sheet.StatusColumn); got != "result.statusCode" {
		t.Errorf("status is %q", got)
	}
}

func TestColumns(t *testing.T) {
	var row sheet.Row
	for c := range sheet.Column(sheet.Columns) {
		row.SetCell(c, c.String())
	}
	seen := map[string]bool{}
	for c := range sheet.Column(sheet.Columns) {
		if row.Cell(c) != c.String() || seen[c.String()] || c.String() == "" {
			t.Errorf("column %d is %q and holds %q", c, c, row.Cell(c))
		}
		seen[c.String()] = true
	}
	if row.UseRelativeURL != "result.useRelativeUrl" || row.Name != "ruleName" || row.Device != "deviceCharacteristics" {
		t.Errorf("row is %+v", row)
	}
}

// TestEveryColumn reads back what a Writer wrote, every column of both dialects.
func TestEveryColumn(t *testing.T) {
	var columns []sheet.Column
	row := sheet.Row{Line: 2}
	for c := range sheet.Column(sheet.Columns) {
		columns = append(columns, c)
		row.SetCell(c, "a \"b\", of\n"+c.String()+`\ `)
	}
	for _, d := range []sheet.Dialect{sheet.Simple, sheet.PolicyManager} {
		var out strings.Builder
		w := sheet.NewWriter(&out, d, columns)
		if err := errors.Join(w.Write(&row), w.Flush()); err != nil {
			t.Fatal(err)
		}
		r, err := sheet.Open(t.Context(), "-", sheet.Options{Stdin: strings.NewReader(out.String())})
		if err != nil {
			t.Fatal(err)
		}
		var got sheet.Row
		if err := r.Next(&got); err != nil || got != row {
			t.Errorf("%s: %v: got %+v", d, err, got)
		}
		if r.Dialect() != d {
			t.Errorf("%s was read as %s", d, r.Dialect())
		}
	}
}

func TestRejected(t *testing.T) {
	_, rows, err := read(t, "from,to,code\n/a\"x,/b\n/c,/d\n/e,/f,=1+1\n", sheet.Options{})
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	r, err := sheet.Open(t.Context(), "-", sheet.Options{Stdin: strings.NewReader("from,to,code\n/a\"x,/b\n/c,/d\n/e,/f,=1+1\n")})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	w := sheet.NewWriter(&out, sheet.Simple, []sheet.Column{sheet.SourceColumn, sheet.TargetColumn, sheet.StatusColumn}, "cmig_line", "cmig_column", "cmig_code", "cmig_reason")
	for {
		var row sheet.Row
		err := r.Next(&row)
		if errors.Is(err, io.EOF) {
			break
		}
		if bad, ok := errors.AsType[*sheet.RowError](err); ok {
			err = w.Write(&bad.Cells, fmt.Sprint(bad.Line), bad.Column, bad.Code, bad.Text)
		} else {
			err = errors.Join(err, w.Write(&row, fmt.Sprint(row.Line), "code", "status", "no number, \"really\""))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "source,target,status,cmig_line,cmig_column,cmig_code,cmig_reason\n" +
		"\"/a\"\"x,/b\",,,2,character 3,quote,a quote stands in a cell that does not begin with one; a cell with quotes must be quoted and its quotes doubled\n" +
		"/c,/d,,3,code,ragged,\"the row has 2 cells, but the header has 3\"\n" +
		"/e,/f,=1+1,4,code,status,\"no number, \"\"really\"\"\"\n"
	if out.String() != want {
		t.Errorf("rejected.csv is\n%s, want\n%s", out.String(), want)
	}
	_, rows, err = read(t, out.String(), sheet.Options{})
	back := []string{"2 matchURL=/a\"x,/b", "3 matchURL=/c redirectURL=/d", "4 matchURL=/e redirectURL=/f statusCode==1+1"}
	if err != nil || !slices.Equal(rows, back) {
		t.Errorf("read back %q, %v", rows, err)
	}
	if err := w.Write(&sheet.Row{}); err == nil {
		t.Error("a row without its extra cells was let through")
	}
}

func TestWriterHeader(t *testing.T) {
	var out strings.Builder
	w := sheet.NewWriter(&out, sheet.PolicyManager, []sheet.Column{sheet.NameColumn, sheet.TargetColumn})
	if err := w.Flush(); err != nil || out.String() != "ruleName,result.redirectURL\n" {
		t.Errorf("no rows: %q, %v", out.String(), err)
	}
	w = sheet.NewWriter(full{}, sheet.Simple, []sheet.Column{sheet.SourceColumn})
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("error is %v", err)
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
