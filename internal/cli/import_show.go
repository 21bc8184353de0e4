package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/report"
)

// showImportPlan prints what import and restore will do.
func (a *app) showImportPlan(plan importer.Plan) error {
	var rows [][]string
	for _, p := range plan.Policies {
		id := ""
		if p.ID != 0 {
			id = strconv.FormatInt(p.ID, 10)
		}
		group := ""
		if p.Group != 0 {
			group = strconv.FormatInt(p.Group, 10)
		}
		rows = append(rows, []string{string(p.Action), p.String(), p.Type, group, id, planVersions(p), planNetworks(p), planWhy(p)})
	}
	if err := report.Table(a.out, []string{"ACTION", "POLICY", "TYPE", "GROUP", "ID", "VERSIONS", "ACTIVATE", ""}, rows); err != nil {
		return err
	}
	summary := report.Summary{Headline: "Plan: " + planSums(plan)}
	for _, n := range plan.Notes {
		summary.Notes = append(summary.Notes, report.Item{Name: n.Item, Text: n.Text})
	}
	for _, p := range plan.Problems {
		summary.Problems = append(summary.Problems, report.Item{Name: p.Item, Text: p.Text})
	}
	return summary.Text(a.out)
}

// planSums says in a line what a plan comes to; what there is none of is left out.
func planSums(plan importer.Plan) string {
	parts := []string{"nothing to make"}
	policies, versions := plan.Changes()
	if policies+versions > 0 {
		parts[0] = changesText(policies, versions) + " to make"
	}
	for _, p := range []struct {
		action importer.Action
		text   string
	}{
		{importer.Same, "the same already"}, {importer.Skip, "skipped"}, {importer.Blocked, "blocked"}, {importer.Conflict, "in conflict"},
	} {
		if n := plan.Count(p.action); n > 0 {
			parts = append(parts, report.Number(n)+" "+p.text)
		}
	}
	if n := plan.Descriptions(); n > 0 {
		parts = append(parts, plural(n, "description", "descriptions")+" to put back")
	}
	if n := activationsOf(plan); n > 0 {
		parts = append(parts, plural(n, "activation", "activations")+" to send")
	}
	return strings.Join(parts, ", ")
}

func changesText(policies, versions int) string {
	switch text := plural(versions, "version", "versions"); {
	case policies == 0:
		return text
	case versions == 0:
		return plural(policies, "policy", "policies")
	default:
		return plural(policies, "policy", "policies") + " and " + text
	}
}

func activationsOf(plan importer.Plan) int {
	n := 0
	for _, p := range plan.Policies {
		n += len(p.Activate)
	}
	return n
}

// planVersions says which versions are added and how many are there.
func planVersions(p importer.Planned) string {
	var parts []string
	if n := len(p.Add); n > 0 {
		var numbers []int64
		rules := 0
		for _, v := range p.Add {
			numbers = append(numbers, v.Number)
			rules += v.Rules
		}
		text := "add " + ranges(numbers)
		if !p.IsOrigin() {
			text += " (" + plural(rules, "rule", "rules") + ")"
		}
		parts = append(parts, text)
	}
	if n := len(p.Have); n > 0 {
		parts = append(parts, fmt.Sprintf("%d there", n))
	}
	return strings.Join(parts, ", ")
}

func planNetworks(p importer.Planned) string {
	var parts []string
	for _, on := range p.Activations() {
		text := fmt.Sprintf("%s %d", on, p.Live[on].Version)
		switch over := p.Over[on]; {
		case !slices.Contains(p.Activate, on):
			text += " (live)"
		case len(over) == 2 && over[1] != 0:
			text += fmt.Sprintf(" (when version %d, whose activation is under way, is live)", over[1])
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// planWhy gives the reason for an action, or how what is added differs from what is there.
func planWhy(p importer.Planned) string {
	if p.Why != "" {
		return cloudlet.Printable(p.Why)
	}
	var parts []string
	if p.Describe {
		parts = append(parts, "its description has the mark of a run that was cut off, and is put back")
	}
	for _, c := range p.Compared {
		parts = append(parts, fmt.Sprintf("against %s version %d: %d rules added, %d removed, %d changed, %d moved", c.With, c.Version, c.Added, c.Removed, c.Changed, c.Moved))
	}
	return strings.Join(parts, "; ")
}

// ranges writes ascending numbers as 1-3,5.
func ranges(numbers []int64) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := strconv.FormatInt(numbers[i], 10)
		if j > i {
			part += "-" + strconv.FormatInt(numbers[j], 10)
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// importQuestion is what a human is asked; empty where nothing would be sent.
func importQuestion(plan importer.Plan) string {
	var parts []string
	if policies, versions := plan.Changes(); policies+versions > 0 {
		parts = append(parts, "make "+changesText(policies, versions))
	}
	if n := plan.Descriptions(); n > 0 {
		parts = append(parts, "put "+plural(n, "description", "descriptions")+" back")
	}
	if n := activationsOf(plan); n > 0 {
		parts = append(parts, "send "+plural(n, "activation", "activations")+" (v3 takes 10 a minute)")
	}
	if len(parts) == 0 {
		return ""
	}
	text := strings.Join(parts, ", ")
	return strings.ToUpper(text[:1]) + text[1:] + "?"
}

// refusePlan is the error of a plan that must not be carried out: what must be mended first, or what a human must decide.
func refusePlan(plan importer.Plan) error {
	if len(plan.Problems) > 0 {
		return &planProblems{plan.Problems}
	}
	var conflicts []string
	for _, p := range plan.Policies {
		if p.Action == importer.Conflict {
			conflicts = append(conflicts, p.String()+": "+p.Why)
		}
	}
	if len(conflicts) == 0 {
		return nil
	}
	return &planConflicts{conflicts}
}

// blockedIn is the error of a plan that leaves policies out because they cannot be brought in.
func blockedIn(plan importer.Plan) error {
	var names []string
	for _, p := range plan.Policies {
		if p.Action == importer.Blocked {
			names = append(names, p.String()+": "+p.Why)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &blocked{names}
}

// blocked are policies that cannot be brought in, each with the reason. All others are done when it is an error.
type blocked struct{ names []string }

func (e *blocked) Error() string {
	if len(e.names) == 1 {
		return "one policy or origin cannot be brought in: " + e.names[0]
	}
	return fmt.Sprintf("%s cannot be brought in, the first: %s", report.Number(len(e.names))+" policies or origins", e.names[0])
}

func (e *blocked) Hint() string {
	return "the plan names them all; when that is mended the same command brings them in"
}

func (e *blocked) leftOut() {}

func (e *blocked) Is(target error) bool { return target == job.ErrIncomplete }

// planProblems is what must be mended before anything is sent. The plan names all of it.
type planProblems struct{ problems []importer.Problem }

func (e *planProblems) Error() string {
	p := e.problems[0]
	if len(e.problems) == 1 {
		return fmt.Sprintf("nothing was sent: %s: %s", p.Item, p.Text)
	}
	return fmt.Sprintf("nothing was sent: the plan has %d problems, the first: %s: %s", len(e.problems), p.Item, p.Text)
}

func (e *planProblems) Hint() string {
	if e.of("group") {
		return "cloudletmig list groups shows the groups and what may be done in each; --group ID puts policies into another"
	}
	return "the plan names all that must be mended"
}

// of reports whether all problems have to do with something.
func (e *planProblems) of(word string) bool {
	return !slices.ContainsFunc(e.problems, func(p importer.Problem) bool { return !strings.Contains(p.Text, word) })
}

// Is tells what these credentials may not do from what is wrong with the input.
func (e *planProblems) Is(target error) bool {
	permission := !slices.ContainsFunc(e.problems, func(p importer.Problem) bool { return !p.Permission })
	return target == errUsage && !permission || target == errRefused && permission
}

// planConflicts is what a human must decide before anything is sent.
type planConflicts struct{ what []string }

func (e *planConflicts) Error() string {
	if len(e.what) == 1 {
		return "nothing was sent: " + e.what[0]
	}
	return fmt.Sprintf("nothing was sent: %d policies are in the way, the first: %s", len(e.what), e.what[0])
}

func (e *planConflicts) Hint() string {
	return "the plan names each; decide what is to stay, nothing of others was touched"
}

func (e *planConflicts) Is(target error) bool { return target == once.ErrConflict }

// The files of a report.
const (
	reportFile   = "report.json"
	versionsFile = "versions.csv"
)

// importEnd is what differs between import and restore when they end.
type importEnd struct {
	headline string
	report   string // the folder for the report; empty for none
	notes    []report.Item
}

// importResults reads what came of each policy of a plan, and makes a row of it for people.
func importResults(ctx context.Context, w work, plan importer.Plan) (results []importer.Result, rows [][]string, err error) {
	late := map[string]bool{} // origins that are not done; they come first
	for _, p := range plan.Policies {
		r, err := importer.ResultOf(ctx, w.run.journal, p)
		if err != nil {
			return nil, nil, err
		}
		text := doneText(r)
		if i := slices.IndexFunc(p.Origins, func(id string) bool { return late[id] }); i >= 0 && r.Why == "" && !r.Done {
			text += ": it waits for origin " + cloudlet.Printable(p.Origins[i])
		}
		late[p.Name] = late[p.Name] || p.IsOrigin() && !r.Done && p.Action != importer.Skip
		results = append(results, r)
		rows = append(rows, []string{string(r.Action), p.String(), idText(r.ID), versionPairs(r.Versions), activeText(r), text})
	}
	return list(results), rows, nil
}

// finishImport prints and writes what came of a plan.
func (a *app) finishImport(ctx context.Context, w work, plan importer.Plan, err error, end importEnd) ([]importer.Result, error) {
	results, rows, readErr := importResults(ctx, w, plan)
	if readErr != nil {
		return nil, readErr
	}
	made, versions, done, skipped := 0, 0, 0, 0
	for i, r := range results {
		if plan.Policies[i].LeftDiffering() {
			skipped++
		}
		versions += r.Added
		if r.Made {
			made++
		}
		if r.Done {
			done++
		}
	}
	a.document["results"] = results
	stats := w.client.Stats()
	a.document["requests"] = map[string]any{"sent": stats.Requests, "retries": stats.Retries, "throttled": stats.Throttled, "waited_seconds": stats.Waited.Seconds()}
	if end.report != "" {
		if err := writeReport(end.report, map[string]any{"run": w.run.journal.ID(), "results": results, "notes": list(plan.Notes)}, results); err != nil {
			return results, err
		}
	}
	if a.global.Output != "text" {
		return results, nil
	}
	fmt.Fprintln(a.out)
	if err := report.Table(a.out, []string{"ACTION", "POLICY", "ID", "VERSIONS", "ACTIVE", ""}, rows); err != nil {
		return results, err
	}
	headline := end.headline
	if err != nil || done+skipped < len(results) {
		headline += ", INCOMPLETE"
	}
	summary := report.Summary{Headline: headline, Facts: []report.Fact{
		{Name: whatOf(plan), Value: policiesText(done, len(results), skipped, made)},
		{Name: "versions made", Value: report.Number(versions)},
		{Name: "requests", Value: fmt.Sprintf("%s, %s retries, %s answers of status 429", report.Number(stats.Requests), report.Number(stats.Retries), report.Number(stats.Throttled))},
		{Name: "waited for limits", Value: report.Duration(stats.Waited)},
		{Name: "time", Value: report.Duration(time.Since(w.run.begun))},
	}, Failed: w.tally.Failed, Conflicts: w.tally.Conflicts, Pending: w.tally.Pending, Notes: end.notes}
	for _, r := range results {
		if r.Action == importer.Blocked {
			summary.Failed = append(summary.Failed, report.Item{Name: r.Key, Text: r.Why})
		}
	}
	return results, summary.Text(a.out)
}

// whatOf is what a plan is about.
func whatOf(plan importer.Plan) string {
	for _, p := range plan.Policies {
		if p.IsOrigin() {
			return "policies and origins"
		}
	}
	return "policies"
}

// policiesText counts apart what was left as it is, as --on-existing skip says.
func policiesText(done, all, skipped, made int) string {
	text := fmt.Sprintf("%s of %s as wanted, ", report.Number(done), report.Number(all))
	if skipped > 0 {
		text += report.Number(skipped) + " skipped, "
	}
	return text + report.Number(made) + " made"
}

func idText(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// versionPairs writes versions as old -> new; consecutive ones that keep their distance as ranges.
func versionPairs(all []importer.Pair) string {
	var parts []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1].From == all[j].From+1 && all[j+1].To == all[j].To+1 {
			j++
		}
		from, to := []int64{}, []int64{}
		for _, p := range all[i : j+1] {
			from, to = append(from, p.From), append(to, p.To)
		}
		parts = append(parts, ranges(from)+" -> "+ranges(to))
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func activeText(r importer.Result) string {
	var parts []string
	for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		if n := r.Active[on]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", on, n))
		}
	}
	return strings.Join(parts, ", ")
}

func doneText(r importer.Result) string {
	switch {
	case r.Why != "":
		return cloudlet.Printable(r.Why)
	case !r.Done:
		return "not finished"
	}
	return ""
}

// writeReport writes report.json and versions.csv into a folder.
func writeReport(dir string, doc map[string]any, results []importer.Result) (err error) {
	folder, err := durable.Create(dir)
	if err != nil {
		return unwritable(err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	text, err := cloudlet.Marshal(doc, "  ")
	if err != nil {
		return err
	}
	var sheet bytes.Buffer
	w := csv.NewWriter(&sheet)
	rows := [][]string{{"api", "policy", "id", "source", "action", "old version", "new version"}}
	for _, r := range results {
		for _, p := range r.Versions {
			rows = append(rows, []string{string(r.API), r.Name, idText(r.ID), r.Source, string(r.Action), strconv.FormatInt(p.From, 10), strconv.FormatInt(p.To, 10)})
		}
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	for name, content := range map[string][]byte{reportFile: append(text, '\n'), versionsFile: sheet.Bytes()} {
		if err := putFile(folder, name, content); err != nil {
			return err
		}
	}
	return folder.Sync(reportFile, versionsFile)
}
