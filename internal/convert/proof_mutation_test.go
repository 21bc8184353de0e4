package convert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// mutant is a conversion that has come as far as its files, and may be proved as often as its files are changed.
type mutant struct {
	*conversion
	t *testing.T
}

func newMutant(t *testing.T, text string, mutate func(*Options)) *mutant {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "sheet.csv")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := sheet.Open(t.Context(), name, sheet.Options{TempDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	out, err := chunkset.Create(filepath.Join(dir, "out"), false)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Name: "test", API: "v3", Status: 301, Scheme: SchemeDrop, Wildcards: WildcardsTrailing, Fragment: FragmentReject,
		Slash: SlashExact, Query: QueryDrop, Relative: RelativeURL, Duplicates: DuplicatesFirst, Order: OrderSheet,
		Split: SplitHash, Fill: 1, MaxRules: 12, MaxBytes: chunkset.MaxBytes, Workers: 2,
	}
	mutate(&o)
	c := &conversion{
		options: &o, maker: &maker{options: &o}, out: out, seed: maphash.MakeSeed(), first: map[uint64]uint32{},
		alike: map[uint32][]uint32{}, late: map[uint32]late{}, dropped: map[uint32]uint32{}, twins: map[uint32]uint32{},
		set: redirect.NewSet(), sites: newSites(), pinned: map[uint32]bool{}, target: map[uint32]string{},
	}
	if err := c.open([]Sheet{{"sheet.csv", reader}}); err != nil {
		t.Fatal(err)
	}
	if c.spool, err = newSpool(out.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(reader.Close(), c.spool.Close(), out.Abort()); err != nil {
			t.Error(err)
		}
	})
	for _, stage := range []func(context.Context) error{
		c.scan, c.checkRead, c.settle, c.arrange, c.index, c.walk, c.label, c.checkConverted, c.choose, c.write,
	} {
		if err := stage(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	m := &mutant{c, t}
	m.wantProved("as written")
	if p := m.report.Proof; p.Proved != m.report.Rows.Converted {
		t.Fatalf("not every row of the sheet for mutations is proved: %+v", *p)
	}
	return m
}

func (m *mutant) wantProved(what string) {
	m.t.Helper()
	if err := m.prove(m.t.Context()); err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
}

// with proves once with another text in a file, which must fail, and puts the file back.
func (m *mutant) with(what, file string, change func(string) string) {
	m.t.Helper()
	doc, err := m.out.Read(file)
	if err != nil {
		m.t.Fatal(err)
	}
	changed := change(string(doc))
	if changed == string(doc) {
		m.t.Fatalf("%s: nothing was changed in %s", what, file)
	}
	m.write(file, changed)
	if err := m.prove(m.t.Context()); !errors.Is(err, ErrUnproved) {
		m.t.Errorf("%s: %v, want ErrUnproved", what, err)
	} else if m.report.Proof.Failed == 0 {
		m.t.Errorf("%s: unproved, and %+v", what, *m.report.Proof)
	}
	m.write(file, string(doc))
}

func (m *mutant) write(file, text string) {
	m.t.Helper()
	if err := os.Remove(filepath.Join(filepath.Dir(m.out.TempDir()), file)); err != nil {
		m.t.Fatal(err)
	}
	if err := m.out.File(file, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
		m.t.Fatal(err)
	}
}

// edit is a change of a document as a tree.
func edit(t *testing.T, change func(map[string]any)) func(string) string {
	t.Helper()
	return func(text string) string {
		var doc map[string]any
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		change(doc)
		out, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
}

func replace(from, to string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, from, to) }
}

func list(of any, name string) []any { return of.(map[string]any)[name].([]any) } //nolint:forcetypeassert,errcheck // a test

// without takes the behavior with a transform out of the chain.
func without(t *testing.T, transform string) func(string) string {
	t.Helper()
	return edit(t, func(doc map[string]any) {
		rule := doc["rule"].(map[string]any) //nolint:forcetypeassert,errcheck // a test
		rule["behaviors"] = slices.DeleteFunc(list(rule, "behaviors"), func(b any) bool {
			return b.(map[string]any)["options"].(map[string]any)["transform"] == transform //nolint:forcetypeassert,errcheck // a test
		})
	})
}

// nasty is a sheet of which every part of the chain matters to some row.
func nasty() string {
	var b strings.Builder
	b.WriteString("source,target,status,name\n")
	for i := range 30 {
		fmt.Fprintf(&b, "/p/Item-%d,https://o.example/%d,301,\n", i, i)
	}
	b.WriteString("/blog/hello,https://o.example/h,302,\n/blog/*,https://o.example/b/*,301,\n/twin,https://o.example/t1,,\n/TWIN,https://o.example/t2,,\n")
	b.WriteString("/q?x=1,https://o.example/q1,,\n/q,https://o.example/q,,\n/a%20b,https://o.example/s,308,\n/a+b,https://o.example/plus,,\n/100%25,https://o.example/c,,\n")
	return b.String()
}

func TestTheProofFindsWrongPropertyRules(t *testing.T) {
	m := newMutant(t, nasty(), func(*Options) {})
	n := m.dispatch.N
	if n < 4 {
		t.Fatalf("%d buckets", n)
	}
	for _, c := range []struct {
		name   string
		change func(string) string
	}{
		{"wrong modulus", replace(fmt.Sprintf(`"operandOne": "%d"`, n), fmt.Sprintf(`"operandOne": "%d"`, n+1))},
		{"wrong end of the substring", replace(`"endIndex": "4"`, `"endIndex": "3"`)},
		{"wrong start of the substring", replace(`"startIndex": "0"`, `"startIndex": "1"`)},
		{"no LOWER", without(t, "LOWER")},
		{"no URL_DECODE", without(t, "URL_DECODE")},
		{"host in the key", replace("{{builtin.AK_PATH}}", "{{builtin.AK_HOST}}{{builtin.AK_PATH}}")},
		{"the host as the key", replace("{{builtin.AK_PATH}}", "{{builtin.AK_HOST}}")},
		{"swapped policies", func(s string) string {
			return strings.NewReplacer("test_001", "test_002", "test_002", "test_001").Replace(s)
		}},
		{"a policy that is not there", replace("test_003", "test_999")},
		{"a child missing", edit(t, func(doc map[string]any) {
			rule := doc["rule"].(map[string]any) //nolint:forcetypeassert,errcheck // a test
			rule["children"] = list(rule, "children")[1:]
		})},
		{"a child twice, for another bucket", replace(`"3"`, `"2"`)},
		{"switched off", replace(`"enabled": true`, `"enabled": false`)},
		{"no bucket is right", replace("IS_ONE_OF", "IS_NOT_ONE_OF")},
	} {
		m.with(c.name, chunkset.PropertyFile, c.change)
	}
	m.wantProved("put back")
}

func TestTheProofFindsWrongHostRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("source,target\n")
	for i := range 40 {
		fmt.Fprintf(&b, "h%d.example/Page-%d,https://o.example/%d\n", i/10, i, i)
	}
	b.WriteString("/all,https://o.example/all\n")
	m := newMutant(t, b.String(), func(o *Options) { o.Split, o.MaxRules = SplitHost, 12 })
	if n := len(m.dispatch.Chunks); n != 5 {
		t.Fatalf("%d chunks", n)
	}
	m.with("another host", chunkset.PropertyFile, replace(`"h2.example"`, `"h9.example"`))
	m.with("no other hosts", chunkset.PropertyFile, replace("IS_NOT_ONE_OF", "IS_ONE_OF"))
	m.with("swapped policies", chunkset.PropertyFile, func(s string) string {
		return strings.NewReplacer("test_001", "test_002", "test_002", "test_001").Replace(s)
	})
	m.with("the last child missing", chunkset.PropertyFile, edit(t, func(doc map[string]any) {
		rule := doc["rule"].(map[string]any) //nolint:forcetypeassert,errcheck // a test
		children := list(rule, "children")
		rule["children"] = children[:len(children)-1]
	}))
	m.wantProved("put back")
}

// rulesOf changes one rule of a chunk, or the list of them.
func rulesOf(t *testing.T, change func([]string) []string) func(string) string {
	t.Helper()
	return func(text string) string {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		var rules []string
		for _, l := range lines[1 : len(lines)-1] {
			rules = append(rules, strings.TrimSuffix(l, ","))
		}
		rules = change(rules)
		if _, err := chunkset.ReadBody([]byte(lines[0] + strings.Join(rules, ",") + lines[len(lines)-1])); err != nil {
			t.Fatalf("the changed chunk is none: %v", err)
		}
		return lines[0] + "\n" + strings.Join(rules, ",\n") + "\n" + lines[len(lines)-1] + "\n"
	}
}

func TestTheProofFindsWrongRules(t *testing.T) {
	m := newMutant(t, nasty(), func(*Options) {})
	tried := 0
	for _, chunk := range m.dispatch.Chunks {
		doc, err := m.out.Read(chunk.File)
		if err != nil {
			t.Fatal(err)
		}
		body, err := chunkset.ReadBody(doc)
		if err != nil {
			t.Fatal(err)
		}
		for i, raw := range body.Rules {
			one := func(from, to string) func(string) string {
				return rulesOf(t, func(rules []string) []string {
					rules[i] = strings.Replace(rules[i], from, to, 1)
					return rules
				})
			}
			tried++
			what := func(s string) string { return fmt.Sprintf("%s, rule %d (%s): %s", chunk.File, i+1, raw, s) }
			m.with(what("another target"), chunk.File, one("https://o.example/", "https://o.example/-"))
			m.with(what("another name"), chunk.File, one(`"name":"`, `"name":"-`))
			m.with(what("another status"), chunk.File, rulesOf(t, func(rules []string) []string {
				rules[i] = regexp.MustCompile(`"statusCode":30.`).ReplaceAllString(rules[i], `"statusCode":303`)
				return rules
			}))
			m.with(what("off"), chunk.File, one(`"type":"erMatchRule"`, `"type":"erMatchRule","disabled":true`))
			m.with(what("not yet"), chunk.File, one(`"start":0`, `"start":4000000000`))
			m.with(what("missing"), chunk.File, rulesOf(t, func(rules []string) []string { return slices.Delete(rules, i, i+1) }))
			if strings.Contains(string(raw), "caseSensitive\":true") {
				m.with(what("case"), chunk.File, one(`"caseSensitive":true`, `"caseSensitive":false`))
			} else {
				m.with(what("another path"), chunk.File, one(`/`, `/-`))
			}
			if strings.Contains(string(raw), "matchType\":\"query") {
				m.with(what("another query"), chunk.File, one(`x=1`, `x=2`))
				m.with(what("negated"), chunk.File, one(`"matchType":"query","matchValue":"x=1","negate":false`, `"matchType":"query","matchValue":"x=1","negate":true`))
			}
		}
	}
	if tried < 30 {
		t.Errorf("%d rules were changed", tried)
	}
	m.wantProved("put back")
}

func TestTheProofFindsRulesOutOfOrder(t *testing.T) {
	m := newMutant(t, nasty(), func(*Options) {})
	swapped := map[string]bool{}
	for _, chunk := range m.dispatch.Chunks {
		doc, err := m.out.Read(chunk.File)
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]string{{`"/blog/hello"`, `"/blog/*"`}, {`"x=1"`, `"/q"`}} {
			if !strings.Contains(string(doc), pair[0]) {
				continue
			}
			swapped[pair[0]] = true
			m.with(pair[1]+" first", chunk.File, rulesOf(t, func(rules []string) []string {
				at := func(text string) int {
					return slices.IndexFunc(rules, func(r string) bool {
						return strings.Contains(r, `"matchURL":`+text) || text == pair[0] && strings.Contains(r, text)
					})
				}
				i, j := at(pair[0]), at(pair[1])
				rules[i], rules[j] = rules[j], rules[i]
				return rules
			}))
		}
	}
	if len(swapped) != 2 {
		t.Errorf("swapped: %v", swapped)
	}
}

// planned proves once with other rules in the chunks: they are planned, written and proved as they stand.
func (m *mutant) planned(what string, change func([]planned)) {
	m.t.Helper()
	before := make([]planned, len(m.plan.chunks))
	for i, p := range m.plan.chunks {
		before[i] = p
		before[i].ids = slices.Clone(p.ids)
	}
	change(m.plan.chunks)
	m.again()
	if err := m.prove(m.t.Context()); !errors.Is(err, ErrUnproved) {
		m.t.Errorf("%s: %v, want ErrUnproved", what, err)
	}
	m.plan.chunks = before
	m.again()
	m.wantProved(what + ", put back")
}

// again writes all files once more.
func (m *mutant) again() {
	m.t.Helper()
	files := []string{chunkset.DispatchFile, chunkset.PropertyFile}
	for _, c := range m.dispatch.Chunks {
		files = append(files, c.File)
	}
	for _, file := range files {
		if err := os.Remove(filepath.Join(filepath.Dir(m.out.TempDir()), file)); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := m.conversion.write(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// named is the id of the rule of a row that has the name.
func (m *mutant) named(name string) uint32 {
	m.t.Helper()
	var l looker
	l.c = m.conversion
	for id := range m.ids {
		rule, err := l.load(id)
		if err != nil {
			m.t.Fatal(err)
		}
		if rule.Name == name {
			return id
		}
	}
	m.t.Fatalf("no rule is called %s", name)
	return 0
}

// chunksOf are the chunks of a rule.
func (m *mutant) chunksOf(id uint32) []int {
	var at []int
	for i, p := range m.plan.chunks {
		if slices.Contains(p.ids, id) {
			at = append(at, i)
		}
	}
	return at
}

// wantEverywhere checks that a rule is needed in all chunks that it is in, and that it is in some number of them.
func (m *mutant) wantEverywhere(name string, chunks int) {
	m.t.Helper()
	id := m.named(name)
	homes := m.chunksOf(id)
	if len(homes) < chunks {
		m.t.Errorf("rule %s is in %d chunks", name, len(homes))
	}
	for _, at := range homes {
		m.planned(fmt.Sprintf("%s is missing from %s", name, m.dispatch.Chunks[at].Policy), func(p []planned) {
			p[at].ids = slices.DeleteFunc(p[at].ids, func(other uint32) bool { return other == id })
		})
	}
}

func TestTheProofLooksIntoEveryChunk(t *testing.T) {
	existing := func(raw string) Existing {
		e, err := NewExisting([]byte(raw), "before.json")
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	taken := func(o *Options) {
		o.Before = []Existing{existing(`{"type":"erMatchRule","name":"literal","matches":[{"matchType":"path","matchValue":"/x /y /z /zz","matchOperator":"equals"}],"statusCode":301,"redirectURL":"https://o.example/1"}`)}
		o.After = []Existing{existing(`{"type":"erMatchRule","name":"wild","matchURL":"/e/*","statusCode":301,"redirectURL":"https://o.example/*"}`)}
	}
	var b strings.Builder
	b.WriteString("source,target,name,path,host\n/blog/*,https://o.example/b/*,blog,,\n,https://o.example/several,several,/a /b /c /d,\n" +
		"/a+b,https://o.example/plus,plus,,\n/a%2bB,https://o.example/plus,escaped,,\n/c%252b,https://o.example/plus,twice,,\n" +
		",https://o.example/regional,elsewhere,/r,!r.example\n")
	for i := range 30 {
		fmt.Fprintf(&b, "/p/Item-%d,https://o.example/%d,,,\n", i, i)
	}
	m := newMutant(t, b.String(), taken)
	for name, chunks := range map[string]int{"blog": len(m.dispatch.Chunks), "several": 2, "plus": 2, "escaped": 2, "twice": 2, "elsewhere": 1, "literal": 2, "wild": len(m.dispatch.Chunks)} {
		m.wantEverywhere(name, chunks)
	}
	m.planned("out of order", func(p []planned) { p[0].ids[0], p[0].ids[1] = p[0].ids[1], p[0].ids[0] })

	b.Reset()
	b.WriteString("source,target,name,path,host\n")
	for i := range 60 {
		fmt.Fprintf(&b, "h%d.example/Page-%d,https://o.example/%d,,,\n", i/20, i, i)
	}
	b.WriteString("/all,https://o.example/all,all,,\n/every/*,https://o.example/every,every,,\nh1.example/wild/*,https://o.example/w,hosted,,\n" +
		",https://o.example/two,two,/two,h0.example h2.example\n,https://o.example/two/,tails,/two/*,h0.example h2.example\n")
	m = newMutant(t, b.String(), func(o *Options) { taken(o); o.Split, o.MaxRules = SplitHost, 18 })
	if n := len(m.dispatch.Chunks); n < 7 {
		t.Fatalf("%d chunks", n)
	}
	for name, chunks := range map[string]int{"all": 4, "every": len(m.dispatch.Chunks), "hosted": 2, "two": 2, "tails": 4, "literal": 4, "wild": len(m.dispatch.Chunks)} {
		m.wantEverywhere(name, chunks)
	}

	sequence := strings.Replace(nasty(), "/1,301,", "/1,301,one", 1)
	m = newMutant(t, sequence, func(o *Options) { o.Split = SplitSequence })
	m.wantEverywhere("one", 1)
	m = newMutant(t, sequence, func(o *Options) { o.Split, o.Order = SplitSequence, OrderSpecific })
	m.wantEverywhere("one", 1)
}

func TestTheProofGoesByThePolicyOfAPIv2(t *testing.T) {
	m := newMutant(t, nasty(), func(o *Options) { o.API = "v2" })
	m.with("swapped policies", chunkset.PropertyFile, func(s string) string {
		const name = `"name": "test_00`
		var lines []string
		for line := range strings.SplitSeq(s, "\n") {
			if strings.HasPrefix(line, strings.Repeat(" ", 14)) { // of cloudletPolicy, and not of a rule
				line = strings.NewReplacer(name+`1"`, name+`2"`, name+`2"`, name+`1"`).Replace(line)
			}
			lines = append(lines, line)
		}
		return strings.Join(lines, "\n")
	})
	m.wantProved("put back")
}

// TestTheProofReadsRules: a rule's text says what was meant, in every member, or the proof fails.
func TestTheProofReadsRules(t *testing.T) {
	object := redirect.Object{Type: "object", Name: "X-A", Values: []string{"1", "2"}, ValueHasWildcard: true, ValueCaseSensitive: true}
	meant := redirect.Rule{
		Name: "n", Start: 1, End: 2, Disabled: true, MatchesAlways: true, MatchURL: "/a", StatusCode: 301, RedirectURL: "/b",
		UseRelativeURL: relativeURL, UseIncomingQueryString: true, UseIncomingSchemeAndHost: true,
		Matches: []redirect.Match{
			{Type: typePath, Operator: opEquals, Value: "/p", CheckIPs: "CONNECTING_IP", CaseSensitive: true, Negate: true},
			{Type: typeHeader, Operator: opContains, Object: &object},
		},
	}
	text := string(meant.AppendJSON(nil))
	if words := misread(&meant, []byte(text)); words != "" {
		t.Fatal(words)
	}
	for _, pair := range [][2]string{
		{`"name":"n"`, `"name":"m"`},
		{`"start":1`, `"start":2`},
		{`"end":2`, `"end":3`},
		{`"disabled":true`, `"disabled":false`},
		{`"matchesAlways":true`, `"matchesAlways":false`},
		{`"matchURL":"/a"`, `"matchURL":"/A"`},
		{`"statusCode":301`, `"statusCode":302`},
		{`"redirectURL":"/b"`, `"redirectURL":"/c"`},
		{relativeURL, copySchema},
		{relativeURL, relativeNone},
		{`"useIncomingQueryString":true`, `"useIncomingQueryString":false`},
		{`"useIncomingSchemeAndHost":true`, `"useIncomingSchemeAndHost":false`},
		{`"negate":true`, `"negate":false`},
		{`"negate":false`, `"negate":true`},
		{`"matchValue":"/p"`, `"matchValue":"/P"`},
		{"CONNECTING_IP", "XFF_HEADERS"},
		{`"caseSensitive":true`, `"caseSensitive":false`},
		{`"matchType":"path"`, `"matchType":"extension"`},
		{opContains, opEquals},
		{`"name":"X-A"`, `"name":"x-a"`},
		{`["1","2"]`, `["2","1"]`},
		{`["1","2"]`, `["1"]`},
		{`"valueHasWildcard":true`, `"valueHasWildcard":false`},
		{`"valueCaseSensitive":true`, `"valueCaseSensitive":false`},
		{`"nameCaseSensitive":false`, `"nameCaseSensitive":true`},
		{`"type":"object"`, `"type":"simple"`},
		{`"type":"erMatchRule"`, `"type":"apMatchRule"`},
		{`"start":1`, `"since":1`},
		{`}`, ``},
		{`"matchType":"path"`, `"matchType":"path","more":1`},
	} {
		changed := strings.Replace(text, pair[0], pair[1], 1)
		if changed == text || misread(&meant, []byte(changed)) == "" {
			t.Errorf("%s for %s in %s: not found", pair[1], pair[0], text)
		}
	}
	for _, r := range []redirect.Rule{
		{},
		{Name: "\xff\xfe é"},
		{Matches: []redirect.Match{}},
		{Matches: []redirect.Match{{Type: typeHeader, Operator: opExists, Object: &redirect.Object{Type: "object", Name: "X"}}}},
		{Matches: []redirect.Match{{Type: typeMethod, Operator: opEquals, Object: &redirect.Object{Type: "simple", Values: []string{"GET"}}}}},
		{Matches: []redirect.Match{{Object: &redirect.Object{Type: "object", Values: []string{}}}}},
	} {
		if words := misread(&r, r.AppendJSON(nil)); words != "" {
			t.Errorf("%+v: %s", r, words)
		}
	}
	m := newMutant(t, nasty(), func(*Options) {})
	m.placed.misread[3] = "another rule"
	if err := m.prove(t.Context()); !errors.Is(err, ErrUnproved) || !strings.Contains(err.Error(), "line 5: another rule") {
		t.Errorf("a rule that is misread: %v", err)
	}
}

// TestTooManyChunks: more chunks than can be told apart are refused, and many are written in waves.
func TestTooManyChunks(t *testing.T) {
	m := newMutant(t, nasty(), func(*Options) {})
	m.plan.chunks = make([]planned, maxChunks+1)
	if err := m.conversion.write(t.Context()); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "60001") {
		t.Errorf("%v", err)
	}
	m = newMutant(t, nasty(), func(o *Options) { o.Buckets = waveChunks * 3 / 2 })
	if n := len(m.report.Chunks); n != waveChunks*3/2 || m.report.Chunks[n-1].File == "" {
		t.Errorf("%d chunks", n)
	}
}

// TestWhatEndsTheWritingIsTold: and not what a chunk made of it.
func TestWhatEndsTheWritingIsTold(t *testing.T) {
	m := newMutant(t, nasty(), func(*Options) {})
	if err := os.Truncate(filepath.Join(m.out.TempDir(), "rows"), 10); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := m.writeWave(t.Context(), 0, len(m.plan.chunks)); err == nil || !strings.HasPrefix(err.Error(), "read the rows again: ") {
			t.Fatal(err)
		}
	}
}
