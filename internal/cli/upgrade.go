package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/akamai"
	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/upgrade"
)

// upgradeOptions are the flags of upgrade. Those that decide the work are what a run that goes on must have again.
type upgradeOptions struct {
	All      bool            `json:"all,omitempty"`
	Policies []string        `json:"policies,omitempty"`
	Types    []string        `json:"types,omitempty"`
	Name     string          `json:"name_template"`
	Group    int64           `json:"group,omitempty"`
	Groups   map[int64]int64 `json:"group_map,omitempty"`
	Versions string          `json:"versions"`
	Method   string          `json:"method"`
	Activate string          `json:"activate"`
	Force    bool            `json:"force_group,omitempty"`
	Sync     bool            `json:"sync,omitempty"`
	PlanHash string          `json:"plan,omitempty"` // of what a plan file says that is carried out

	groupMap, planFile, report string
	edited                     *upgrade.Edited // the plan file that is carried out; nil: there is none
	dryRun                     bool
	perMinute                  int
	deadline                   deadline
	follow                     bool // names and groups of a plan file are taken, and what has changed since is looked at
}

func (a *app) upgradeCommand() *cobra.Command {
	var o upgradeOptions
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Make legacy policies shared ones: clone, prove equal, activate, report",
		Long: `upgrade makes a shared policy (v3) of each legacy policy (v2) that is chosen with --all or --policy, by the API's own clone operation,
and proves it: every version that is carried has a version with equal rules and description in the shared policy, and nothing else is
there. With --activate same, the versions that are live on staging and production go live there on the shared policy, production only
after the proof. The legacy policy is never changed or deleted; properties keep using it until they are edited in Property Manager, and
the report says what to edit there (docs/upgrade.md is the way from the plan to the cutover and back).

Carried are the versions that clone takes by itself: those live on a network and the one modified last; --versions all carries every
one. What stands in the way of a policy is named in the plan, and that policy is left out.

--dry-run prints the plan; with --all, --policy or --type, --plan FILE is written too, as JSON or CSV, to be edited: names, groups,
methods, activations, lines taken out. --plan FILE alone carries out that file, and nothing that is not in it; with --dry-run it shows
what it would do. A legacy policy that was changed since the file was written is left out (exit code 15).

The same command again does only what is left. A legacy policy that was edited since is behind: --sync carries over what its shared
policy lacks, and repeats the activations. upgrade status says how all of them stand, and changes nothing. Both take --plan FILE for
the names and groups that it gave.

The API takes 10 activations a minute: 600 policies on two networks are two hours. An interrupted run goes on with the same command.`,
		Example: `  cloudletmig upgrade --all --activate same --dry-run --plan plan.csv
  cloudletmig upgrade --plan plan.csv --report upgrade --yes
  cloudletmig upgrade --policy 'shop_*' --activate same --report upgrade
  cloudletmig upgrade status --all
  cloudletmig upgrade --sync --all --activate same --yes`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.follow = o.Sync
			if err := o.decidedByPlan(cmd.Flags()); err != nil {
				return err
			}
			return a.upgrade(cmd.Context(), o)
		},
	}
	o.register(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Method, "method", upgrade.MethodAuto, "clone, copy (make the policy and its versions), or auto: copy where the API refuses to clone")
	f.StringVar(&o.Activate, "activate", "none", "same (what is live, on both networks), staging or production (only there) or none")
	f.BoolVar(&o.Force, "force-group", false, "take a group although a property that uses the policy cannot use shared policies of it")
	f.BoolVar(&o.Sync, "sync", false, "only carry over what shared policies lack of their legacy policies")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and send nothing")
	f.IntVar(&o.perMinute, "activations-per-minute", 10, "lower the cap on activations, or raise it for an account that is allowed more; the API's own word lowers it")
	o.deadline.register(f)
	cmd.AddCommand(a.upgradeStatusCommand())
	return cmd
}

// register adds the flags that upgrade and upgrade status share.
func (o *upgradeOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.All, "all", false, "every legacy policy")
	f.StringArrayVar(&o.Policies, "policy", nil, "only legacy policies with this `ID|GLOB` (repeatable)")
	f.StringSliceVar(&o.Types, "type", nil, "only policies of these cloudlet `CODES`, such as ER,FR")
	f.StringVar(&o.Name, "name-template", "{name}_shared", "names of the shared policies; {name} and {id} are those of the legacy one")
	f.Int64Var(&o.Group, "group", 0, "`ID` of the group for policies without one")
	f.StringVar(&o.groupMap, "group-map", "", "CSV `FILE` with two columns, the group of the legacy policy and that of the shared one")
	f.StringVar(&o.Versions, "versions", upgrade.ActiveVersions, "active (those live and the one modified last) or all")
	f.StringVar(&o.planFile, "plan", "", "the plan as `FILE`, as above (.csv: CSV, else JSON)")
	f.StringVar(&o.report, "report", "", "write report.json, report.csv and report.html into the folder `DIR`")
}

// chosen reports whether flags say which policies are meant.
func (o *upgradeOptions) chosen() bool { return o.All || len(o.Policies)+len(o.Types) > 0 }

// decidedByPlan refuses flags that say what a plan file says already.
func (o *upgradeOptions) decidedByPlan(f *pflag.FlagSet) error {
	if o.planFile == "" || o.dryRun && o.chosen() {
		return nil
	}
	decided := []string{"all", "policy", "type", "name-template", "group", "group-map", "method"}
	if !o.follow {
		decided = append(decided, "versions", "activate")
	}
	for _, name := range decided {
		if f.Changed(name) {
			return &usageError{
				text: fmt.Sprintf("--%s does not go with --plan %s, which decides that", name, o.planFile),
				hint: "edit the plan, or write it anew: --dry-run --plan FILE with --all, --policy or --type",
			}
		}
	}
	return nil
}

// complete checks the flags and reads the files that they name.
func (o *upgradeOptions) complete() (*diffFilter, error) {
	if o.groupMap != "" {
		var err error
		if o.Groups, err = readGroupMap(o.groupMap); err != nil {
			return nil, err
		}
	}
	if !strings.Contains(o.Name, "{name}") && !strings.Contains(o.Name, "{id}") {
		return nil, &usageError{text: fmt.Sprintf("--name-template %q: it must hold {name} or {id}, or all policies would have one name", o.Name)}
	}
	if err := errors.Join(
		oneOf("versions", o.Versions, upgrade.ActiveVersions, upgrade.AllVersions),
		oneOf("method", o.Method, upgrade.MethodAuto, upgrade.MethodClone, upgrade.MethodCopy),
		oneOf("activate", o.Activate, "same", "staging", "production", "none"),
	); err != nil {
		return nil, err
	}
	if o.perMinute < 1 {
		return nil, &usageError{text: fmt.Sprintf("--activations-per-minute %d: give 1 or more", o.perMinute)}
	}
	if err := o.readPlan(); err != nil {
		return nil, err
	}
	if o.report != "" {
		if err := checkFolder("--report", o.report, upgrade.ReportJSON, upgrade.ReportCSV, upgrade.ReportHTML); err != nil {
			return nil, err
		}
	}
	return newDiffFilter(diffOptions{APIs: []string{"v2"}, Types: o.Types, Policies: o.Policies, Match: "auto"})
}

// readPlan reads the plan file that is carried out or followed. One that is to be written must have a place, which is asked
// before the account is read.
func (o *upgradeOptions) readPlan() error {
	switch {
	case o.chosen() && o.planFile != "":
		if info, err := os.Stat(filepath.Dir(o.planFile)); err != nil || !info.IsDir() {
			return &usageError{text: fmt.Sprintf("--plan %s: there is no folder %s", o.planFile, filepath.Dir(o.planFile)), hint: "make the folder first, or name another file"}
		}
	case o.chosen():
	case o.planFile == "":
		return &usageError{text: "upgrade: no policy is chosen", hint: "give --all, --policy ID|GLOB or --type CODES; or --plan FILE with a plan that was written before"}
	default:
		text, err := os.ReadFile(o.planFile)
		if err != nil {
			return &usageError{text: "--plan: " + err.Error(), hint: "--all --dry-run --plan FILE writes one"}
		}
		edited, err := upgrade.ReadPlan(text)
		if err != nil {
			return &usageError{text: fmt.Sprintf("--plan %s: %s", o.planFile, err)}
		}
		o.edited, o.PlanHash = &edited, edited.Hash()
	}
	return nil
}

// upgrade checks its input and runs.
func (a *app) upgrade(ctx context.Context, o upgradeOptions) error {
	filter, err := o.complete()
	if err != nil {
		return err
	}
	return runPlanned(ctx, a, planned[upgrade.Plan]{
		kind: "upgrade", target: o.target(), journal: a.loneCheckpoint(), options: o, dryRun: o.dryRun, deadline: o.deadline.d,
		limits: activate.Limits{Shared: o.perMinute},
		make: func(ctx context.Context, client *akamai.Client) (upgrade.Plan, error) {
			return a.planUpgrade(ctx, o, filter, client)
		},
		dry: func(ctx context.Context, plan upgrade.Plan) (err error) {
			if o.planFile != "" && o.edited == nil {
				err = writePlan(o.planFile, plan)
			}
			if err == nil && o.report != "" {
				err = a.reportDry(ctx, o, plan)
			}
			return err
		},
		show: func(plan upgrade.Plan) error { return a.showUpgradePlan(plan, o.perMinute) }, question: upgradeQuestion,
		refuse: func(upgrade.Plan) error { return nil },
		leaves: leftOfUpgrade,
		apply: func(ctx context.Context, w work, plan upgrade.Plan) error {
			return upgrade.Apply(ctx, w.client, plan, w.pool, w.applyOptions())
		},
		finish: func(ctx context.Context, w work, plan upgrade.Plan, err error) error {
			return a.finishUpgrade(ctx, w, plan, o.report, err)
		},
	})
}

// target is what names a run in the journal: the policies that are meant, or the plan file.
func (o upgradeOptions) target() string {
	if o.planFile != "" && !o.chosen() {
		return "plan " + absolute(o.planFile)
	}
	words := slices.Concat(o.Policies, o.Types)
	if o.All {
		words = append(words, "all")
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// loneCheckpoint is the journal of a run that has no folder of its own.
func (a *app) loneCheckpoint() string {
	if a.global.Checkpoint != "" {
		return a.global.Checkpoint
	}
	return defaultCheckpoint
}

// planUpgrade reads the account and makes the plan. What is wrong with a plan file is told here, before anything is sent.
func (a *app) planUpgrade(ctx context.Context, o upgradeOptions, filter *diffFilter, client *akamai.Client) (upgrade.Plan, error) {
	account := fingerprint(a.creds)
	selection := upgrade.Selection{Wants: filter.wants, Versions: o.Versions}
	options := o.planOptions()
	if o.edited != nil {
		if o.edited.Account != account && len(o.edited.Edits) > 0 {
			return upgrade.Plan{}, &otherAccount{o.planFile}
		}
		selection.Edits, options.Edits = o.edited.Edits, o.edited.Edits
	}
	estate, err := upgrade.Look(ctx, client, selection, a.global.Workers)
	if err != nil {
		return upgrade.Plan{}, err
	}
	if err := filter.missed(); err != nil && o.edited == nil {
		return upgrade.Plan{}, err
	}
	names := upgrade.Names(estate, options)
	if err := estate.Complete(ctx, client, names, a.global.Workers); err != nil {
		return upgrade.Plan{}, err
	}
	plan := upgrade.Make(estate, names, options)
	plan.Account = account
	if o.edited != nil {
		if err := checkEdited(o.planFile, *o.edited, plan, o.follow); err != nil {
			return upgrade.Plan{}, err
		}
	}
	return plan, nil
}

func (o upgradeOptions) planOptions() upgrade.Options {
	return upgrade.Options{
		Name: o.Name, Method: o.Method, Activate: networksOf(o.Activate), Force: o.Force, SyncOnly: o.Sync, Follow: o.follow,
		Group: func(old int64) int64 {
			if to, ok := o.Groups[old]; ok {
				return to
			}
			if old == 0 {
				return o.Group
			}
			return old
		},
	}
}

// checkEdited holds a plan file against what the account says now. Where it is only followed, for its names, what is in the
// way is no fault of the file.
func checkEdited(file string, edited upgrade.Edited, plan upgrade.Plan, follow bool) error {
	planned := map[int64]upgrade.Planned{}
	for _, p := range plan.Policies {
		planned[p.ID] = p
	}
	ids := make([]int64, 0, len(edited.Edits))
	for id := range edited.Edits {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	seen := map[string]int64{}
	var wrong []string
	for _, id := range ids {
		p, ok := planned[id]
		edit := edited.Edits[id]
		leftOut := p.Action == upgrade.Blocked && (p.Passing || edited.Actions[id] == upgrade.Blocked)
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("there is no legacy policy %d (%s)", id, cloudlet.Printable(edited.Names[id])))
		case leftOut:
			continue
		case seen[edit.NewName] != 0:
			wrong = append(wrong, fmt.Sprintf("policies %d and %d are both to become %s", seen[edit.NewName], id, cloudlet.Printable(edit.NewName)))
		case p.Action == upgrade.Blocked && !follow:
			wrong = append(wrong, fmt.Sprintf("policy %d (%s) is blocked: %s", id, cloudlet.Printable(p.Name), p.Why))
		}
		seen[edit.NewName] = id
	}
	if len(wrong) == 0 {
		return nil
	}
	text := fmt.Sprintf("--plan %s: %s", file, wrong[0])
	if len(wrong) > 1 {
		text = fmt.Sprintf("--plan %s: %d problems: %s", file, len(wrong), strings.Join(wrong, "; "))
	}
	return &usageError{text: text, hint: "nothing was sent; mend the file, or write it anew with --dry-run"}
}

// otherAccount is a plan that was made for another account.
type otherAccount struct{ file string }

func (e *otherAccount) Error() string {
	return "--plan " + e.file + " was made for another account or host"
}

func (e *otherAccount) Hint() string {
	return "nothing was sent; use the credentials that it was made with, or write the plan anew with --dry-run"
}
func (e *otherAccount) Is(target error) bool { return target == checkpoint.ErrChanged }

// writePlan writes the plan file, which may be one that was written before.
func writePlan(file string, plan upgrade.Plan) error {
	folder, err := durable.Open(filepath.Dir(file))
	if err != nil {
		return unwritable(err)
	}
	name := filepath.Base(file)
	_, _, err = folder.Write(name, func(to io.Writer) error {
		if strings.EqualFold(filepath.Ext(file), ".csv") {
			return plan.WriteCSV(to)
		}
		text, err := cloudlet.Marshal(plan, "  ")
		if err != nil {
			return err
		}
		_, err = to.Write(append(text, '\n'))
		return err
	})
	return errors.Join(err, folder.Sync(name), folder.Close())
}

// leftOfUpgrade is the error of a plan that leaves policies out: conflicts need a human, blocked ones something else first.
func leftOfUpgrade(plan upgrade.Plan) error {
	var conflicts, names []string
	lags := 0
	for _, p := range plan.Policies {
		switch p.Action { //nolint:exhaustive // the others are done
		case upgrade.Conflict:
			conflicts = append(conflicts, p.String()+": "+p.Why)
		case upgrade.Blocked:
			names = append(names, p.String()+": "+p.Why)
		case upgrade.Sync:
			lags += min(len(p.Lags), 1)
		}
	}
	var left error
	if len(conflicts) > 0 {
		left = &upgradeConflicts{conflicts}
	}
	if len(names) > 0 {
		left = errors.Join(left, &upgradeBlocked{names})
	}
	if lags > 0 {
		left = errors.Join(left, &lagging{lags})
	}
	return left
}

type upgradeConflicts struct{ what []string }

func (e *upgradeConflicts) Error() string {
	return fmt.Sprintf("%s in conflict and left out, the first: %s", policiesAre(len(e.what)), e.what[0])
}

func (e *upgradeConflicts) Hint() string {
	return "the plan names them all; decide which of the two policies is to stay, or choose another name with --name-template or a plan file"
}

type upgradeBlocked struct{ what []string }

func (e *upgradeBlocked) Error() string {
	return fmt.Sprintf("%s blocked, the first: %s", policiesAre(len(e.what)), e.what[0])
}

func (e *upgradeBlocked) Hint() string {
	return "the plan names them all; when that is mended the same command upgrades them"
}

func (e *upgradeBlocked) leftOut() {}

func (e *upgradeBlocked) Is(target error) bool { return target == job.ErrIncomplete }

// lagging are shared policies that have all versions, and still another one live than their legacy policies. The results
// name them.
type lagging struct{ n int }

func (e *lagging) Error() string {
	return policiesAre(e.n) + " behind still: activations lag, another version is live on the legacy policy than on the shared one"
}

func (e *lagging) leftOut() {}

func (e *lagging) Is(target error) bool { return target == errDifferences }

func policiesAre(n int) string {
	if n == 1 {
		return "1 policy is"
	}
	return fmt.Sprintf("%d policies are", n)
}

func (e *upgradeConflicts) leftOut() {}

func (e *upgradeConflicts) Is(target error) bool { return target == once.ErrConflict }

// finishUpgrade prints and writes what came of a plan.
func (a *app) finishUpgrade(ctx context.Context, w work, plan upgrade.Plan, report string, err error) error {
	doc, reportErr := a.reportUpgrade(ctx, w.run.journal.ID(), w.run.journal, plan, report)
	if reportErr != nil || a.global.Output != "text" {
		return reportErr
	}
	return a.showUpgrade(w, doc, report, err)
}

// reportDry writes the report of a dry run: during an unfinished run, with what that has done already.
func (a *app) reportDry(ctx context.Context, o upgradeOptions, plan upgrade.Plan) error {
	run, kept, err := a.doneSoFar(ctx, o)
	if err != nil {
		return err
	}
	_, err = a.reportUpgrade(ctx, run, kept, plan, o.report)
	return err
}

// doneSoFar gives the records of the unfinished run that the command would go on with, and its id; none where there is none.
func (a *app) doneSoFar(ctx context.Context, o upgradeOptions) (run string, kept *job.Memory, err error) {
	kept = &job.Memory{}
	file := a.loneCheckpoint()
	if _, err := os.Stat(file); err != nil || a.global.Fresh {
		return "", kept, nil //nolint:nilerr // no journal, no run
	}
	err = a.inJournal(ctx, file, func(ctx context.Context, db *checkpoint.DB) error {
		info, found, err := db.Unfinished(ctx, checkpoint.RunInfo{
			Kind: "upgrade", Target: o.target(), Options: canonical(o), Fingerprint: fingerprint(a.creds),
		})
		if err != nil || !found {
			return err
		}
		run = info.ID
		for rec, err := range db.Items(ctx, info.ID, false) {
			if err != nil {
				return err
			}
			if err := kept.Put(ctx, rec); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, checkpoint.ErrChanged) { // the plan is a new one
		err = nil
	}
	return run, kept, err
}

// reportUpgrade sums up how far the policies of a plan have come, and writes the report, if one is wanted.
func (a *app) reportUpgrade(ctx context.Context, run string, journal job.Journal, plan upgrade.Plan, dir string) (upgrade.Report, error) {
	results := make([]upgrade.Result, 0, len(plan.Policies))
	for _, p := range plan.Policies {
		r, err := upgrade.ResultOf(ctx, journal, p)
		if err != nil {
			return upgrade.Report{}, err
		}
		results = append(results, r)
	}
	doc := upgrade.NewReport(a.creds.Host, run, time.Now(), results)
	a.document["results"], a.document["counts"], a.document["property_manager"] = results, doc.Counts, doc.Cutovers
	if dir == "" {
		return doc, nil
	}
	folder, err := durable.Create(dir)
	if err != nil {
		return doc, unwritable(err)
	}
	return doc, errors.Join(doc.Write(folder), folder.Close())
}
