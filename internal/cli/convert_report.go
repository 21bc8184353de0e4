package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/job"
	"cloudletmig/internal/report"
)

const (
	shownChunks   = 20 // of the table, for people
	shownProblems = 3  // of each code
)

// rejectedRows is what the user reads when some rows were rejected.
type rejectedRows struct {
	rows, of int
	where    string
}

func (e rejectedRows) Error() string {
	return fmt.Sprintf("%s of %s rows were rejected; %s names them all", report.Number(e.rows), report.Number(e.of), e.where)
}

func (e rejectedRows) Is(target error) bool { return target == job.ErrIncomplete }

func (e rejectedRows) Hint() string {
	return "mend them in the sheet, or in a copy of that file, and convert it together with the sheet (--previous keeps all else where it is)"
}

// convertSummary prints how a conversion ended, and gives the error that decides the exit code.
func (a *app) convertSummary(o convertOptions, result convert.Result, incomplete bool, err error) error {
	r := result.Report
	if incomplete && err == nil {
		e := rejectedRows{rows: r.Rows.Rejected, of: r.Rows.Read, where: filepath.Join(o.Out, chunkset.RejectedFile)}
		if o.DryRun {
			e.where = "without --dry-run, " + chunkset.RejectedFile
		}
		err = e
	}
	if rows := r.Rows; rows.Read == 0 || rows.Read != rows.Converted+rows.Duplicates+rows.Rejected { // it did not come so far
		return err
	}
	a.document = map[string]any{
		"command": "convert", "out": o.Out, "dry_run": o.DryRun, "name": o.Name, "kind": result.Dispatch.Kind, "n": result.Dispatch.N,
		"key": result.Dispatch.Key, "rows": r.Rows, "chunks": list(r.Chunks), "counts": r.Counts, "problems": list(r.Problems), "proof": r.Proof,
		"changes": r.Changes, "missing_twins": r.Slash, "notes": list(result.Notes),
		"classes": map[string]int{"rejected": r.Rows.Rejected},
	}
	if a.global.Output != "text" {
		return err
	}
	if len(r.Chunks) > 0 {
		if err := a.chunkTable(r.Chunks); err != nil {
			return err
		}
	}
	headline := "Converted to " + o.Out
	switch {
	case err != nil && !errors.Is(err, job.ErrIncomplete):
		headline = "NOT converted; nothing was written"
	case o.DryRun:
		headline = "Dry run; nothing was written"
	}
	return errors.Join(err, report.Summary{Headline: headline, Facts: convertFacts(result), Notes: problemNotes(result)}.Text(a.out))
}

// chunkTable prints the chunks, for people.
func (a *app) chunkTable(chunks []chunkset.ReportChunk) error {
	var rows [][]string
	for i, c := range chunks {
		if i == shownChunks && len(chunks) > shownChunks+1 {
			rows = append(rows, []string{fmt.Sprintf("and %d more", len(chunks)-i), "", "", "", "", ""})
			break
		}
		rows = append(rows, []string{
			c.Policy, report.Number(c.Rules), report.Number(c.Own), report.Number(c.Repeated), report.Number(c.Existing), report.Number(c.Bytes),
		})
	}
	return report.Table(a.out, []string{"POLICY", "RULES", "OWN", "REPEATED", "EXISTING", "BYTES"}, rows)
}

func convertFacts(result convert.Result) []report.Fact {
	r := result.Report
	rows := r.Rows
	facts := []report.Fact{
		{Name: "rows", Value: fmt.Sprintf("%s read = %s converted + %s duplicates + %s rejected (comments: %s)",
			report.Number(rows.Read), report.Number(rows.Converted), report.Number(rows.Duplicates), report.Number(rows.Rejected), report.Number(rows.Comments))},
	}
	if len(r.Chunks) > 0 {
		facts = append(facts,
			report.Fact{Name: "policies", Value: strconv.Itoa(len(r.Chunks)) + ", " + chosenBy(result.Dispatch)},
			report.Fact{Name: "rules", Value: fmt.Sprintf("%s in one policy each, %s repeated in every one, %s taken over",
				report.Number(r.Spread), report.Number(r.Repeated), report.Number(r.Existing))},
			report.Fact{Name: "slash", Value: report.Number(r.Slash) + " sources whose twin with the other slash at the end is not redirected"})
	}
	switch p := r.Proof; {
	case p != nil:
		facts = append(facts, report.Fact{Name: "proof", Value: fmt.Sprintf("%s proved, %s shadowed, %s inactive, %s undecided, %s failed",
			report.Number(p.Proved), report.Number(p.Shadowed), report.Number(p.Inactive), report.Number(p.Undecided), report.Number(p.Failed))})
	case len(r.Chunks) > 0:
		facts = append(facts, report.Fact{Name: "proof", Value: "none was made"})
	}
	for _, n := range result.Notes {
		facts = append(facts, report.Fact{Name: "note", Value: n})
	}
	return facts
}

// chosenBy says in words what leads a request to its policy.
func chosenBy(d chunkset.Dispatch) string {
	switch d.Kind {
	case chunkset.Hash:
		return "chosen by a hash of the " + strings.ReplaceAll(string(d.Key), "+", " and ")
	case chunkset.Host:
		if slices.ContainsFunc(d.Chunks, func(c chunkset.Chunk) bool { return c.Of > 1 }) {
			return "chosen by host, and some hosts' by a hash of the path"
		}
		return "chosen by host"
	case chunkset.Sequence:
		return "between which the property must choose itself"
	case chunkset.Single:
	}
	return "for all requests"
}

// problemNotes are the first problems of each code, the worst first, and how many more there are.
func problemNotes(result convert.Result) []report.Item {
	var notes []report.Item
	for _, severity := range []string{convert.SeverityError, convert.SeverityWarning, convert.SeverityInfo} {
		shown := map[string]int{}
		for _, p := range result.Report.Problems {
			if p.Severity != severity {
				continue
			}
			shown[p.Code]++
			if shown[p.Code] > shownProblems {
				continue
			}
			notes = append(notes, report.Item{Name: severity + " " + p.Code, Text: problemText(p)})
			if more := result.Report.Counts[p.Code] - shownProblems; shown[p.Code] == shownProblems && more > 0 {
				notes = append(notes, report.Item{Name: severity + " " + p.Code, Text: "and " + report.Number(more) + " more (" + chunkset.ReportFile + ")"})
			}
		}
	}
	return notes
}

func problemText(p chunkset.Problem) string {
	if p.Line == 0 {
		return p.Message
	}
	place := fmt.Sprintf("%s, line %d", p.Sheet, p.Line)
	if p.Column != "" {
		column := p.Column
		if !strings.HasPrefix(column, "column ") && !strings.HasPrefix(column, "character ") {
			column = "column " + column
		}
		place += ", " + column
	}
	return place + ": " + p.Message
}
