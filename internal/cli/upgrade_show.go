package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/report"
	"cloudletmig/internal/upgrade"
)

// showUpgradePlan prints what upgrade will do.
func (a *app) showUpgradePlan(plan upgrade.Plan, perMinute int) error {
	var rows [][]string
	for _, p := range plan.Policies {
		rows = append(rows, []string{
			string(p.Action), p.String(), p.Type, cloudlet.Printable(p.NewName), idText(p.NewGroup), carried(p), goesLive(p), cloudlet.Printable(p.Why),
		})
	}
	if err := report.Table(a.out, []string{"ACTION", "LEGACY POLICY", "TYPE", "NEW NAME", "GROUP", "CARRY", "ACTIVATE", ""}, rows); err != nil {
		return err
	}
	summary := report.Summary{Headline: fmt.Sprintf("Plan: %d to clone, %d to copy, %d to bring up to date; %d done already, %d blocked, %d conflicts",
		plan.Count(upgrade.Clone), plan.Count(upgrade.Copy), plan.Count(upgrade.Sync), plan.Count(upgrade.Done),
		plan.Count(upgrade.Blocked), plan.Count(upgrade.Conflict))}
	if n := plan.Count(upgrade.Left); n > 0 {
		summary.Headline += fmt.Sprintf(", %d not upgraded yet", n)
	}
	if n := plan.Activations(); n > 0 {
		text := fmt.Sprintf("%s, %s a minute", report.Number(n), report.Number(perMinute))
		if least := time.Duration((n-1)/perMinute) * time.Minute; least > 0 {
			text += ": " + strings.TrimSuffix(report.Duration(least), "0s") + " at least"
		}
		summary.Facts = append(summary.Facts, report.Fact{Name: "activations", Value: text})
	}
	if slices.ContainsFunc(plan.Policies, func(p upgrade.Planned) bool { return p.Action == upgrade.Clone && p.Method == upgrade.MethodAuto }) {
		summary.Facts = append(summary.Facts, report.Fact{Name: "method", Value: "clone; copy where the API refuses to clone (auto)"})
	}
	for _, n := range plan.Notes {
		summary.Notes = append(summary.Notes, report.Item{Name: n.Item, Text: n.Text})
	}
	return summary.Text(a.out)
}

// carried names the versions that a policy's shared one is to have, or those that are added.
func carried(p upgrade.Planned) string {
	all := p.Carry
	if p.Action == upgrade.Sync {
		all = p.Add
	}
	numbers := make([]int64, 0, len(all))
	for _, v := range all {
		numbers = append(numbers, v.Number)
	}
	return ranges(numbers)
}

func goesLive(p upgrade.Planned) string {
	if p.Action == upgrade.Blocked || p.Action == upgrade.Conflict || p.Action == upgrade.Left {
		return ""
	}
	var parts []string
	for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
		if n := p.Activate[on]; n != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", on, n))
		}
	}
	return strings.Join(parts, ", ")
}

// upgradeQuestion is what a human is asked; empty where nothing would be sent.
func upgradeQuestion(plan upgrade.Plan) string {
	made := plan.Count(upgrade.Clone) + plan.Count(upgrade.Copy)
	synced := 0
	for _, p := range plan.Policies {
		if p.Action == upgrade.Sync && len(p.Add)+len(p.Activate) > 0 {
			synced++
		}
	}
	activations := plan.Activations()
	if made+synced+activations == 0 {
		return ""
	}
	return fmt.Sprintf("Make %s shared policies, bring %s up to date, and activate %s versions?",
		report.Number(made), report.Number(synced), report.Number(activations))
}

// showUpgrade prints how an upgrade ended.
func (a *app) showUpgrade(w work, doc upgrade.Report, folder string, err error) error {
	var rows [][]string
	for _, r := range doc.Policies {
		rows = append(rows, []string{string(r.Stage), r.String(), cloudlet.Printable(r.NewName), idText(r.Shared), r.PairText(), r.ActiveText(), cloudlet.Printable(strings.Join(r.Notes(), "; "))})
	}
	fmt.Fprintln(a.out)
	if err := report.Table(a.out, []string{"STAGE", "LEGACY POLICY", "SHARED POLICY", "ID", "VERSIONS", "LIVE", ""}, rows); err != nil {
		return err
	}
	headline := "Upgraded"
	if err != nil {
		headline = "Upgraded, INCOMPLETE"
	}
	stats := w.client.Stats()
	summary := report.Summary{Headline: headline, Failed: w.tally.Failed, Conflicts: w.tally.Conflicts, Pending: w.tally.Pending}
	for _, c := range doc.Counts {
		summary.Facts = append(summary.Facts, report.Fact{Name: string(c.Name), Value: report.Number(c.N)})
	}
	summary.Facts = append(summary.Facts,
		report.Fact{Name: "property edits", Value: fmt.Sprintf("%s to make in Property Manager", report.Number(len(doc.Cutovers)))},
		report.Fact{Name: "requests", Value: fmt.Sprintf("%s, %s retries", report.Number(stats.Requests), report.Number(stats.Retries))},
		report.Fact{Name: "time", Value: report.Duration(time.Since(w.run.begun))})
	if slices.ContainsFunc(doc.Policies, func(r upgrade.Result) bool { return len(r.Differences) > 0 }) {
		summary.Notes = append(summary.Notes, report.Item{Name: "not equal", Text: (&upgrade.UnprovedError{}).Hint()})
	}
	if folder != "" {
		summary.Facts = append(summary.Facts, report.Fact{Name: "report", Value: folder + "/" + upgrade.ReportHTML})
	} else if len(doc.Cutovers) > 0 {
		summary.Notes = append(summary.Notes, report.Item{Name: "Property Manager", Text: "--report DIR writes the options of every behavior to edit"})
	}
	return summary.Text(a.out)
}

func (a *app) upgradeStatusCommand() *cobra.Command {
	o := upgradeOptions{Method: upgrade.MethodAuto, Activate: "none", perMinute: 1, follow: true}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how legacy policies and the shared ones that they became stand to each other",
		Long: `status compares each legacy policy that is chosen with the shared policy of its new name, and changes nothing.

  absent    there is no shared policy of that name yet
  same      the shared policy has all that is carried, and nothing of its own
  behind    the legacy policy was edited or activated since: upgrade --sync carries it over
  ahead     the shared policy went on by itself: it has versions of its own, or others live, and lacks none
  diverged  each has versions that the other has not: a human must decide
  stranger  a shared policy of that name has nothing in common with it
  unknown   one of the two cannot be read

The exit code is 4 when any is behind, 3 when any is unknown (5 when these credentials may read none), and 15 when any is diverged or
a stranger.`,
		Example: `  cloudletmig upgrade status --all
  cloudletmig upgrade status --plan plan.csv --report upgrade
  cloudletmig upgrade status --policy 'shop_*' --output json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.decidedByPlan(cmd.Flags()); err != nil {
				return err
			}
			return a.upgradeStatus(cmd.Context(), o)
		},
	}
	o.register(cmd)
	return cmd
}

func (a *app) upgradeStatus(ctx context.Context, o upgradeOptions) error {
	filter, err := o.complete()
	if err != nil {
		return err
	}
	client, creds, err := a.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	a.creds = creds
	plan, err := a.planUpgrade(ctx, o, filter, client)
	if err != nil {
		return err
	}
	statuses := upgrade.Statuses(plan)
	counts := map[upgrade.State]int{}
	var rows [][]string
	for _, s := range statuses {
		counts[s.State]++
		rows = append(rows, []string{string(s.State), s.Legacy, s.NewName, idText(s.Shared), cloudlet.Printable(s.Why)})
	}
	a.document = map[string]any{"command": "upgrade status"}
	if _, err := a.reportUpgrade(ctx, "", &job.Memory{}, plan, o.report); err != nil {
		return err
	}
	a.document["policies"], a.document["counts"] = list(statuses), counts
	if a.global.Output == "text" {
		if err := report.Table(a.out, []string{"STATE", "LEGACY POLICY", "SHARED POLICY", "ID", ""}, rows); err != nil {
			return err
		}
		var parts []string
		for _, state := range []upgrade.State{upgrade.Same, upgrade.Behind, upgrade.Ahead, upgrade.Diverged, upgrade.Stranger, upgrade.Unknown, upgrade.Absent} {
			if n := counts[state]; n > 0 {
				parts = append(parts, strconv.Itoa(n)+" "+string(state))
			}
		}
		fmt.Fprintln(a.out, strings.Join(parts, ", "))
	}
	return statusError(plan)
}

// statusError is the error of what status found: conflicts, what could not be read, and policies that are behind.
func statusError(plan upgrade.Plan) error {
	var conflicts, names []string
	denied, behind := true, false
	for _, p := range plan.Policies {
		denied = denied && p.Denied
		behind = behind || p.State == upgrade.Behind
		switch p.State { //nolint:exhaustive // the others need nobody
		case upgrade.Diverged, upgrade.Stranger:
			conflicts = append(conflicts, p.String()+": "+p.Why)
		case upgrade.Unknown:
			names = append(names, p.Why)
		}
	}
	var err error
	if len(conflicts) > 0 {
		err = &upgradeConflicts{conflicts}
	}
	if len(names) > 0 {
		err = errors.Join(err, &unknown{names, denied})
	}
	if err == nil && behind {
		err = errDifferences
	}
	return err
}

// unknown are policies that could not be read.
type unknown struct {
	what []string
	all  bool // for want of a permission, and there is no other
}

func (e *unknown) Error() string {
	return fmt.Sprintf("%s unknown, the first: %s", policiesAre(len(e.what)), e.what[0])
}

func (e *unknown) Is(target error) bool {
	return target == job.ErrIncomplete || e.all && target == errRefused
}
