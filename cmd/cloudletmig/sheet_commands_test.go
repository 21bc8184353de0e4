package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// sheetCommands are the commands of scripts that make sheets and look into converted folders:
//
//	rows FILE N TEMPLATE              appends N lines; {n} is 1 to N, {n%K} that modulo K, {x*K} the letter x K times, \t a tab
//	site FILE N                       makes a sheet of N rows as a large documentation site has them (sheet_site_test.go)
//	replace FILE OLD NEW              replaces a text that is there exactly once
//	encode HOW FILE OUT               utf-8-bom, utf-16le, utf-16be (both with a BOM), windows-1252, cr, crlf, nul (a NUL
//	                                  behind the text), xls (as an old workbook begins)
//	zip FILE MEMBER...                packs files
//	xlsx FILE SHEET.csv...            makes a workbook; a sheet is called as its file, without .csv
//	problem DIR|FILE SHEET LINE COLUMN CODE SEVERITY [RE]   demands a problem in a report; of the whole it is - 0 -; the COLUMN * is any
//	accounted DIR                     demands of a converted folder that all sums add up and that every chunk keeps the limits
//	differ DIR DIR [FILE...]          demands of two converted folders the same chunk files but for these
func sheetCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"rows": rowsCommand, "site": siteCommand, "replace": replaceCommand, "encode": encodeCommand, "zip": zipCommand,
		"xlsx": xlsxCommand, "problem": problemCommand, "accounted": accounted, "differ": differ,
	}
}

var (
	repeatedLetter = regexp.MustCompile(`\{(.)\*(\d+)\}`)
	moduloNumber   = regexp.MustCompile(`\{n%(\d+)\}`)
)

func rowsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: rows FILE N TEMPLATE")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	template := strings.ReplaceAll(args[2], `\t`, "\t")
	template = repeatedLetter.ReplaceAllStringFunc(template, func(match string) string {
		part := repeatedLetter.FindStringSubmatch(match)
		times, err := strconv.Atoi(part[2])
		ts.Check(err)
		return strings.Repeat(part[1], times)
	})
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	var text bytes.Buffer
	for i := 1; i <= n; i++ {
		line := strings.ReplaceAll(template, "{n}", strconv.Itoa(i))
		line = moduloNumber.ReplaceAllStringFunc(line, func(match string) string {
			by, err := strconv.Atoi(moduloNumber.FindStringSubmatch(match)[1])
			ts.Check(err)
			return strconv.Itoa(i % by)
		})
		text.WriteString(line + "\n")
	}
	_, err = file.Write(text.Bytes())
	ts.Check(err)
	ts.Check(file.Close())
}

func replaceCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	older, newer := strings.ReplaceAll(args[1], `\n`, "\n"), strings.ReplaceAll(args[2], `\n`, "\n")
	if n := strings.Count(text, older); n != 1 {
		ts.Fatalf("%s has %q %d times", args[0], older, n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, older, newer, 1)), 0o600))
}

func encodeCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: encode HOW FILE OUT")
	}
	text := ts.ReadFile(args[1])
	encoders := map[string]encoding.Encoding{
		"utf-8-bom": unicode.UTF8BOM, "windows-1252": charmap.Windows1252,
		"utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf-16be": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
	}
	switch how := args[0]; how {
	case "cr":
		text = strings.ReplaceAll(text, "\n", "\r")
	case "crlf":
		text = strings.ReplaceAll(text, "\n", "\r\n")
	case "xls":
		text = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + text
	case "nul":
		text += "/nul\x00,/nul\n"
	default:
		if encoders[how] == nil {
			ts.Fatalf("encode knows no %s", how)
		}
		var err error
		text, err = encoders[how].NewEncoder().String(text)
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
}

func zipCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: zip FILE MEMBER...")
	}
	var text bytes.Buffer
	archive := zip.NewWriter(&text)
	for _, name := range args[1:] {
		member, err := archive.Create(filepath.Base(name))
		ts.Check(err)
		_, err = member.Write([]byte(ts.ReadFile(name)))
		ts.Check(err)
	}
	ts.Check(archive.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text.Bytes(), 0o600))
}

func xlsxCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: xlsx FILE SHEET.csv...")
	}
	book := excelize.NewFile()
	for i, name := range args[1:] {
		title := strings.TrimSuffix(filepath.Base(name), ".csv")
		if i == 0 {
			ts.Check(book.SetSheetName(book.GetSheetName(0), title))
		} else {
			_, err := book.NewSheet(title)
			ts.Check(err)
		}
		from := csv.NewReader(strings.NewReader(ts.ReadFile(name)))
		from.FieldsPerRecord = -1
		records, err := from.ReadAll()
		ts.Check(err)
		for r, record := range records {
			for c, text := range record {
				cell, err := excelize.CoordinatesToCellName(c+1, r+1)
				ts.Check(err)
				if number, err := strconv.Atoi(text); err == nil { // as a person types it
					ts.Check(book.SetCellInt(title, cell, int64(number)))
				} else {
					ts.Check(book.SetCellStr(title, cell, text))
				}
			}
		}
	}
	ts.Check(book.SaveAs(ts.MkAbs(args[0])))
}

// converted is what scripts look at in a report.json, or in what convert prints with --output json.
type converted struct {
	Rows   struct{ Read, Converted, Duplicates, Rejected, Comments int }
	Chunks []struct {
		File, Policy                   string
		Rules, Own, Repeated, Existing int
		Bytes                          int64
		SHA256                         string
	}
	Counts   map[string]int
	Problems []struct {
		Sheet                           string
		Line                            int
		Column, Code, Severity, Message string
	}
	Proof *struct{ Proved, Shadowed, Inactive, Undecided, Failed int }
}

func readReport(ts *testscript.TestScript, name string) (r converted) {
	if info, err := os.Stat(ts.MkAbs(name)); err == nil && info.IsDir() {
		name = filepath.Join(name, "report.json")
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &r))
	return r
}

func problemCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 6 && len(args) != 7 {
		ts.Fatalf("usage: problem DIR|FILE SHEET LINE COLUMN CODE SEVERITY [RE]")
	}
	pattern := regexp.MustCompile("")
	if len(args) == 7 {
		var err error
		pattern, err = regexp.Compile(args[6])
		ts.Check(err)
	}
	plain := func(text string) string {
		if text == "-" {
			return ""
		}
		return text
	}
	want := []string{plain(args[1]), args[2], plain(args[3]), args[4], args[5]}
	r := readReport(ts, args[0])
	var near []string
	for _, p := range r.Problems {
		got := []string{p.Sheet, strconv.Itoa(p.Line), p.Column, p.Code, p.Severity}
		if want[2] == "*" {
			got[2] = "*"
		}
		if slices.Equal(got, want) && pattern.MatchString(p.Message) {
			if neg {
				ts.Fatalf("it is there: %q %s", got, p.Message)
			}
			return
		}
		if p.Code == args[4] || strconv.Itoa(p.Line) == args[2] {
			near = append(near, fmt.Sprintf("%q %s", got, p.Message))
		}
	}
	if !neg {
		ts.Fatalf("no problem %q %s among %d; near it are:\n%s", want, pattern, len(r.Problems), strings.Join(near, "\n"))
	}
}

// The limits of a policy version.
const (
	mostRules = 5000
	mostBytes = 5_242_880
)

func accounted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: accounted DIR")
	}
	r := readReport(ts, args[0])
	if sum := r.Rows.Converted + r.Rows.Duplicates + r.Rows.Rejected; sum != r.Rows.Read || sum == 0 {
		ts.Fatalf("rows do not add up: %+v", r.Rows)
	}
	if p := r.Proof; p == nil || p.Proved+p.Shadowed+p.Inactive+p.Undecided+p.Failed != r.Rows.Converted || p.Failed != 0 {
		ts.Fatalf("the proof does not add up to %d: %+v", r.Rows.Converted, p)
	}
	rejected := 0
	if _, err := os.Stat(ts.MkAbs(filepath.Join(args[0], "rejected.csv"))); err == nil {
		rejected = rowsOf(ts, filepath.Join(args[0], "rejected.csv"))
	}
	if rejected != r.Rows.Rejected {
		ts.Fatalf("rejected.csv has %d rows, not %d", rejected, r.Rows.Rejected)
	}
	if r.Counts["duplicate"] != r.Rows.Duplicates {
		ts.Fatalf("%d duplicates are problems, not %d", r.Counts["duplicate"], r.Rows.Duplicates)
	}
	own := 0
	for _, c := range r.Chunks {
		own += c.Own
		if c.Rules != c.Own+c.Repeated+c.Existing {
			ts.Fatalf("rules of a chunk do not add up: %+v", c)
		}
		text := ts.ReadFile(filepath.Join(args[0], c.File))
		if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != c.SHA256 {
			ts.Fatalf("%s is not what the report says", c.File)
		}
		var body struct {
			Description string
			MatchRules  []json.RawMessage
		}
		ts.Check(json.Unmarshal([]byte(text), &body))
		var compact bytes.Buffer
		ts.Check(json.Compact(&compact, []byte(text)))
		longest := int64(compact.Len()-len(body.Description)) + 4*255
		if len(body.MatchRules) != c.Rules || c.Rules > mostRules || longest > mostBytes || c.Bytes > mostBytes || c.Bytes < int64(compact.Len()) {
			ts.Fatalf("%s: %d rules, %d bytes, %d with the longest description; the report says %+v", c.File, len(body.MatchRules), compact.Len(), longest, c)
		}
	}
	if own > r.Rows.Converted {
		ts.Logf("%d rules of their own for %d rows: some are in several buckets", own, r.Rows.Converted)
	}
}

// rowsOf counts the rows of a sheet, without its header. The cells of a sheet with tabs hold neither tabs nor line breaks.
func rowsOf(ts *testscript.TestScript, name string) int {
	text := ts.ReadFile(name)
	if header, _, _ := strings.Cut(text, "\n"); strings.Contains(header, "\t") {
		return strings.Count(text, "\n") - 1
	}
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	ts.Check(err)
	return len(records) - 1
}

func differ(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: differ DIR DIR [FILE...]")
	}
	var files []string
	for _, c := range readReport(ts, args[1]).Chunks {
		files = append(files, c.File)
	}
	for _, c := range readReport(ts, args[0]).Chunks {
		if !slices.Contains(files, c.File) {
			files = append(files, c.File)
		}
	}
	var different []string
	for _, file := range files {
		a, errA := os.ReadFile(ts.MkAbs(filepath.Join(args[0], file)))
		b, errB := os.ReadFile(ts.MkAbs(filepath.Join(args[1], file)))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			different = append(different, file)
		}
	}
	if !slices.Equal(different, args[2:]) {
		ts.Fatalf("of %d chunk files these differ: %q", len(files), different)
	}
}
