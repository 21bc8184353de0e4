package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/report"
	"cloudletmig/internal/snapshot"
)

// exportDocument are the facts of an export as --output json prints them and the journal keeps them.
func exportDocument(dir string, r export.Result, s akamai.Stats) map[string]any {
	m := r.Manifest
	return map[string]any{
		"command": "export", "dir": dir, "complete": m.Complete, "consistent": m.Consistent, "counts": m.Counts,
		"versions": map[string]int{"fetched": r.Fetched, "kept": r.Kept, "from_base": r.Taken}, "rounds": r.Rounds,
		"requests": map[string]any{
			"sent": s.Requests, "retries": s.Retries, "throttled": s.Throttled, "bytes": s.Bytes,
			"waited_seconds": s.Waited.Seconds(),
		},
		"classes": map[string]int{"failed": len(m.Failed), "gone": len(m.Gone), "absent": len(m.Absent), "lossy": m.Counts.Lossy},
		"failed":  list(m.Failed), "gone": list(m.Gone), "absent": list(m.Absent), "lossy": list(firstLossy(m)),
	}
}

// firstLossy are as many of the versions that a sheet does not say everything of as a summary names.
func firstLossy(m snapshot.Manifest) []snapshot.Lossy {
	return m.Lossy[:min(len(m.Lossy), snapshot.LossyShown)]
}

// list is s, or an empty list instead of none.
func list[T any](s []T) []T { return append([]T{}, s...) }

// exportSummary prints how an export ended, for people, and adds to the error what to do next.
func (a *app) exportSummary(dir string, r export.Result, s akamai.Stats, begun time.Time, err error) error {
	m := r.Manifest
	if m.Format == 0 { // there is no manifest: the run did not come to its end
		return err
	}
	summary := report.Summary{Headline: "Exported to " + dir, Facts: []report.Fact{
		{Name: "policies", Value: report.Number(m.Counts.Policies)},
		{Name: "versions", Value: report.Number(m.Counts.Versions)},
		{Name: "rules", Value: report.Number(m.Counts.Rules)},
		{Name: "origins", Value: fmt.Sprintf("%d with %s load-balancing versions", m.Counts.Origins, report.Number(m.Counts.OriginVersions))},
		{Name: "of all versions", Value: fmt.Sprintf("%s fetched, %s kept from an earlier run, %s from the base",
			report.Number(r.Fetched), report.Number(r.Kept), report.Number(r.Taken))},
		{Name: "files", Value: report.Number(m.Counts.Files) + ", " + report.Bytes(m.Counts.Bytes)},
		{Name: "requests", Value: fmt.Sprintf("%s, %s retries", report.Number(s.Requests), report.Number(s.Retries))},
		{Name: "waited for limits", Value: report.Duration(s.Waited)},
		{Name: "time", Value: report.Duration(time.Since(begun))},
		{Name: "consistent", Value: consistency(m, r.Rounds)},
	}}
	if c := m.Counts; c.Sheets > 0 || c.Lossy > 0 {
		summary.Facts = append(summary.Facts, report.Fact{Name: "sheets", Value: sheetsMade(c)})
		summary.Notes = lossyNotes(m)
	}
	if !m.Complete {
		summary.Headline = "Exported to " + dir + ", INCOMPLETE"
	}
	for _, f := range m.Failed {
		summary.Failed = append(summary.Failed, report.Item{Name: f.Item, Text: f.Error})
	}
	for _, n := range m.Absent {
		summary.Notes = append(summary.Notes, report.Item{Name: n.What + " absent", Text: n.Reason})
	}
	for _, name := range m.Gone {
		summary.Notes = append(summary.Notes, report.Item{Name: "gone meanwhile", Text: name})
	}
	if a.global.Output == "text" {
		err = errors.Join(err, summary.Text(a.out))
	}
	if errors.Is(err, job.ErrIncomplete) {
		return incomplete{len(m.Failed), err}
	}
	return err
}

// sheetsMade says how many sheets there are, and whether they say everything.
func sheetsMade(c snapshot.Counts) string {
	if c.Lossy == 0 {
		return report.Number(c.Sheets) + ", nothing left out"
	}
	return fmt.Sprintf("%s; %s versions say what a sheet cannot, %s things in all", report.Number(c.Sheets), report.Number(c.Lossy), report.Number(c.Lost))
}

// lossyNotes name what sheets cannot say, the first thing of each version.
func lossyNotes(m snapshot.Manifest) []report.Item {
	var notes []report.Item
	for _, l := range firstLossy(m) {
		text := l.Item + ": " + strings.Join(l.Lost[:min(len(l.Lost), 1)], "")
		if l.Count > 1 {
			text += fmt.Sprintf(" (and %s more)", report.Number(l.Count-1))
		}
		notes = append(notes, report.Item{Name: "not in a sheet", Text: text})
	}
	if more := m.Counts.Lossy - len(notes); more > 0 {
		notes = append(notes, report.Item{Name: "not in a sheet", Text: fmt.Sprintf("something of %s more versions; the manifest names them all", report.Number(more))})
	}
	return notes
}

// incomplete is what the user reads when some items failed. The summary and the manifest name them.
type incomplete struct {
	items int
	error
}

func (e incomplete) Error() string {
	return fmt.Sprintf("%d of the account's items could not be exported; the summary and the manifest name them all", e.items)
}

func (e incomplete) Unwrap() error { return e.error }

func consistency(m snapshot.Manifest, rounds int) string {
	if m.Consistent {
		return fmt.Sprintf("yes: nothing had changed when the lists were read again (%d times in all)", rounds)
	}
	return fmt.Sprintf("NO: the account was still changing after the lists were read %d times", rounds)
}
