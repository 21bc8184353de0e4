package convert_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
)

// runs makes folders for the conversions of one test.
type runs struct {
	t    *testing.T
	root string
}

func newRuns(t *testing.T) *runs {
	t.Helper()
	return &runs{t, t.TempDir()}
}

// run converts; what cannot be converted is an outcome with an ErrInput, and any other error the end of the test.
func (r *runs) run(t *rapid.T, o convert.Options, sheets ...string) outcome {
	t.Helper()
	dir, err := os.MkdirTemp(r.root, "")
	if err != nil {
		t.Fatal(err)
	}
	out := attempt(r.t.Context(), t, filepath.Join(dir, "out"), func(to *convert.Options) { *to = o }, sheets...)
	if out.Err != nil && !errors.Is(out.Err, convert.ErrInput) && !errors.Is(out.Err, convert.ErrUnproved) {
		t.Fatalf("%v\n%s", out.Err, strings.Join(sheets, "---\n"))
	}
	return out
}

// clean removes what was written so far.
func (r *runs) clean(t *rapid.T) {
	entries, err := os.ReadDir(r.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(r.root, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryRequestGetsTheAnswerOfTheUnsplitList: what the dispatcher and the chunks do to a request is what one list of all
// rules would do, whatever the sheet, the options and the way to split.
func TestEveryRequestGetsTheAnswerOfTheUnsplitList(t *testing.T) {
	for _, split := range []string{convert.SplitHash, convert.SplitHost, convert.SplitSequence} {
		t.Run(split, func(t *testing.T) { checkSplit(t, split) })
	}
}

func checkSplit(t *testing.T, split string) {
	t.Helper()
	r := newRuns(t)
	several := 0 // conversions that gave more than one chunk
	refusals := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		defer r.clean(t)
		d := drawSheet(t, drawnColumns)
		o := drawOptions(t)
		if o.Split != convert.SplitAuto || split != convert.SplitHash {
			o.Split = split
		}
		o.Before, o.After = drawExisting(t, "before"), drawExisting(t, "after")
		out := r.run(t, o, d.String())
		if errors.Is(out.Err, convert.ErrUnproved) {
			t.Fatalf("%s%v", d, out.Err)
		}
		if out.Err != nil {
			words := strings.Fields(out.Err.Error())
			refusals[strings.Join(words[:min(6, len(words))], " ")]++
			return
		}
		if len(out.Dispatch.Chunks) > 1 {
			several++
		}
		wantSums(t, d, out)
		wantWithin(t, o, out)
		unsplit := o
		unsplit.Split, unsplit.NoProof = convert.SplitSequence, true
		whole := r.run(t, unsplit, d.String())
		if whole.Err != nil {
			t.Fatalf("%s: converted, and by sequence refused: %v", d, whole.Err)
		}
		if out.Dispatch.Kind != chunkset.Sequence {
			wantSameAnswers(t, d, whole, out)
		}
	})
	t.Log(several, refusals)
	if several == 0 {
		t.Error("no conversion gave more than one chunk")
	}
}

// wantSums checks that every row is in one place.
func wantSums(t *rapid.T, d drawn, out outcome) {
	rows := out.Report.Rows
	if rows.Read != len(d.rows) || rows.Read != rows.Converted+rows.Duplicates+rows.Rejected {
		t.Fatalf("%s: %d rows, and %+v", d, len(d.rows), rows)
	}
	p := out.Report.Proof
	if sum := p.Proved + p.Shadowed + p.Inactive + p.Undecided + p.Failed; sum != rows.Converted || p.Failed != 0 {
		t.Fatalf("%s: %d converted, proof %+v", d, rows.Converted, *p)
	}
	if out.Report.Spread+out.Report.Repeated != rows.Converted {
		t.Fatalf("%s: %d converted, %d spread and %d repeated", d, rows.Converted, out.Report.Spread, out.Report.Repeated)
	}
	for _, p := range out.Report.Problems {
		if p.Severity == "error" && p.Line < 2 {
			t.Fatalf("%s: a problem without a line: %+v", d, p)
		}
	}
	wantRejected(t, d, out)
}

// wantRejected checks that rejected.csv holds the rejected rows and their cells.
func wantRejected(t *rapid.T, d drawn, out outcome) {
	text := out.rejected(t)
	if out.Report.Rows.Rejected == 0 {
		if text != "" {
			t.Fatalf("%s: nothing rejected, and %s", d, text)
		}
		return
	}
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != out.Report.Rows.Rejected+1 {
		t.Fatalf("%s: %d rejected, and %d records: %v", d, out.Report.Rows.Rejected, len(records)-1, err)
	}
	at := slices.Index(records[0], "cmig_line")
	earlier := 0
	for _, record := range records[1:] {
		line := 0
		if _, err := fmt.Sscan(record[at], &line); err != nil || line <= earlier || line-2 >= len(d.rows) {
			t.Fatalf("%s: rejected line %q", d, record[at])
		}
		earlier = line
		for i, name := range d.header {
			to := slices.IndexFunc(records[0], func(s string) bool { return strings.EqualFold(s, name) })
			if want := strings.TrimSpace(d.rows[line-2][i]); to < 0 || record[to] != want {
				t.Fatalf("%s: rejected line %d has %q for %s", d, line, record, name)
			}
		}
	}
}

// wantWithin checks the limits of every chunk, as its policy will have it, and what the report says of it.
func wantWithin(t *rapid.T, o convert.Options, out outcome) {
	description := strings.Repeat("\U0001F600", 255)
	existing := len(o.Before) + len(o.After)
	own, taken := 0, 0
	for i, body := range out.bodies(t) {
		r := out.Report.Chunks[i]
		body.Description = description
		size := int64(len(body.Append(nil)))
		if len(body.Rules) > o.MaxRules || size > o.MaxBytes || size != r.Bytes || len(body.Rules) != r.Rules || r.Rules != r.Own+r.Repeated+r.Existing {
			t.Fatalf("chunk %d: %d rules in %d bytes of %d and %d; reported %+v", i, len(body.Rules), size, o.MaxRules, o.MaxBytes, r)
		}
		own += r.Own
		taken += r.Existing
	}
	if own < out.Report.Spread && out.Dispatch.Kind == chunkset.Hash || taken < existing {
		t.Fatalf("%d spread rules and %d of their own in chunks; %d existing and %d", out.Report.Spread, own, existing, taken)
	}
}

// wantSameAnswers asks both for everything that the sheet and the rules suggest.
func wantSameAnswers(t *rapid.T, d drawn, whole, split outcome) {
	var rules []redirect.Rule
	for _, raw := range whole.rules(t) {
		rules = append(rules, mustParse(t, raw))
	}
	list := mustList(t, rules)
	chunks := map[string]*redirect.List{}
	for i, body := range split.bodies(t) {
		var rules []redirect.Rule
		for _, raw := range body.Rules {
			rules = append(rules, mustParse(t, raw))
		}
		chunks[split.Dispatch.Chunks[i].Policy] = mustList(t, rules)
	}
	set := split.open(t)
	defer func() { _ = set.Close() }()
	doc, err := set.Property()
	if err != nil {
		t.Fatal(err)
	}
	property, err := redirect.ParseProperty(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range requests(t, rules) {
		want, err := list.Evaluate(&q)
		if err != nil || len(want.Unsure) > 0 {
			t.Fatalf("%+v: %+v %v", q, want, err)
		}
		for _, reading := range []redirect.Reading{{}, {PathDecoded: true}, {PlusIsSpace: true}, {PathDecoded: true, PlusIsSpace: true}} {
			chosen, found, err := property.Choose(&q, reading)
			if err != nil {
				t.Fatal(err)
			}
			var got redirect.Answer
			if found {
				if chunks[chosen.Rule] == nil || !chosen.Enabled {
					t.Fatalf("chosen: %+v", chosen)
				}
				if got, err = chunks[chosen.Rule].Evaluate(&q); err != nil {
					t.Fatal(err)
				}
			}
			if got.Found != want.Found || got.Status != want.Status || got.Location != want.Location {
				t.Fatalf("%s\n%+v %+v\nunsplit: %+v\n%s: %+v", d, q, reading, want, chosen.Rule, got)
			}
		}
	}
}

func mustParse(t *rapid.T, raw []byte) redirect.Rule {
	rule, err := redirect.Parse(raw)
	if err != nil || len(rule.Unknown) > 0 {
		t.Fatalf("%s: %v %v", raw, rule.Unknown, err)
	}
	return rule
}

func mustList(t *rapid.T, rules []redirect.Rule) *redirect.List {
	list, err := redirect.NewList(rules)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
