package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// siteCommand makes a tab-separated sheet, without a header, such as a documentation site has gathered over the years:
// most rows are renamed pages; some have spaces, quotes, * and ? in their paths, characters outside ASCII, a % that
// begins no escape, or a twin in the other case. The same N always gives the same sheet, and every row converts, but for
// repeats.
func siteCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: site FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	s := site{rand: rand.New(rand.NewPCG(1, 2)), number: 0}
	var text bytes.Buffer
	for s.number < n {
		source, target := s.row()
		text.WriteString(source + "\t" + target + "\n")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text.Bytes(), 0o600))
}

type site struct {
	rand   *rand.Rand
	number int
	before string // the source of the row before
	led    string // and where it leads
}

func (s *site) pick(of ...string) string { return of[s.rand.IntN(len(of))] }

// row makes the next row. Targets are below /now, where nothing is redirected, so that there are neither chains nor loops.
func (s *site) row() (source, target string) {
	s.number++
	page := s.pick("Array", "Map", "Promise", "Guide", "Tutorial", "Using_files", "Writing a plug-in", "Events", "Tables") + strconv.Itoa(s.number)
	section := s.pick("/en/Docs", "/en/docs/Web", "/en/docs/Server/API", "/en/How to", "/en/docs/Archive/2009")
	source, target = section+"/"+page, "/en/now/"+strconv.Itoa(s.number)
	switch s.rand.IntN(40) {
	case 0:
		source = section + "/operators/*" + strings.Repeat("*", s.rand.IntN(2)) + "n" + strconv.Itoa(s.number)
	case 1:
		source += "?"
	case 2:
		source = section + `/the "` + page + `" page`
	case 3:
		source = section + "/página-" + strconv.Itoa(s.number)
	case 4:
		source += "_100%"
	case 5:
		source = section + "/caf%C3%A9/" + page
	case 6:
		target += "#section_" + strconv.Itoa(s.number)
	case 7:
		source += "/"
	case 8:
		target = "https://www.example.org/archive/" + strconv.Itoa(s.number)
	case 9:
		source += ",_a;b|c"
	case 10:
		source = fmt.Sprintf("/en/view?id=%d&lang=%s", s.number, s.pick("en", "fr", "de"))
	case 11:
		source = section + "/" + s.pick("操作", "函数", "Ссылка") + strconv.Itoa(s.number)
	case 12:
		source = section + "/operator<<" + page + ">"
	case 13:
		if s.before != "" && strings.ToUpper(s.before) != s.before && !strings.Contains(s.before, "?") {
			source = strings.ToUpper(s.before)
		}
	case 14:
		if s.before != "" {
			source, target = s.before, s.led
		}
	case 15:
		source = section + "/C++ {" + page + "}"
	}
	s.before, s.led = source, target
	return source, target
}
