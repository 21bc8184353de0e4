package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/snapshot"
)

// restoreOptions are the flags of restore. Those that decide the work are what a run that goes on must have again.
type restoreOptions struct {
	Snapshot   string          `json:"snapshot"` // hash of its manifest
	Group      string          `json:"group"`
	Groups     map[int64]int64 `json:"group_map,omitempty"`
	Policies   []string        `json:"policies,omitempty"`
	Versions   string          `json:"versions"`
	Name       string          `json:"name_template"`
	As         string          `json:"as"`
	OnExisting string          `json:"on_existing"`
	Activate   string          `json:"activate"`
	dryRun     bool
	groupMap   string
	report     string
	deadline   deadline
}

func (a *app) restoreCommand() *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT",
		Short: "Bring the policies and versions of a snapshot into an account",
		Long: `restore brings the policies of a snapshot with their versions into an account, the same or another: onto nothing, onto what is
there, into other groups, under other names, legacy policies also as shared ones. Versions are made in ascending order; numbers are
given by the API, and the table of old and new ones is printed.

A policy that is there already is left as it is when the versions of the snapshot are, in their order, among its versions with equal
rules. Where some are missing, --on-existing decides: fail (nothing at all is sent), append (the missing ones are added behind), skip.

Before anything is sent the snapshot is verified, the plan is printed, and all that would be refused is named at once. Not restored, as
the API does not take them: associations with properties, who made what when, ids, origins of type CUSTOMER. An ALB policy needs the
origins that it names: they are listed where a property must define them first.

The same command again sends nothing that is there already; a run that was interrupted goes on where it was.`,
		Example: `  cloudletmig restore backup --dry-run
  cloudletmig restore backup --group-map groups.csv --yes
  cloudletmig restore backup --policy shop_redirects --versions active --on-existing append --activate recorded`,
		Args: exactly("SNAPSHOT"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.restore(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Group, "group", "keep", "`ID` of the group for all policies, or keep: the group that each has in the snapshot")
	f.StringVar(&o.groupMap, "group-map", "", "CSV `FILE` with two columns, the group in the snapshot and the group in the account")
	f.StringArrayVar(&o.Policies, "policy", nil, "only policies with this `ID|GLOB`, v2: or v3: in front or not (repeatable)")
	f.StringVar(&o.Versions, "versions", importer.AllVersions, "all, active (effective or pending when the snapshot was made), latest or a number")
	f.StringVar(&o.Name, "name-template", "{name}", "names of the policies; {name} and {id} are those in the snapshot")
	f.StringVar(&o.As, "as", "same", "same, or shared: legacy policies become shared ones")
	f.StringVar(&o.OnExisting, "on-existing", importer.OnExistingFail, "what to do with a policy that is there and lacks versions: fail, append or skip")
	f.StringVar(&o.Activate, "activate", "none", "recorded (what was live in the snapshot, on both networks), staging or production (only there) or none")
	f.StringVar(&o.report, "report", "", "write report.json and versions.csv into the folder `DIR`")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and send nothing")
	o.deadline.register(f)
	return cmd
}

// restore checks its input and runs.
func (a *app) restore(ctx context.Context, dir string, o restoreOptions) error {
	filter, err := o.complete()
	if err != nil {
		return err
	}
	s, err := a.soundSnapshot(ctx, dir)
	if err != nil {
		return err
	}
	defer s.Close()
	manifest, err := os.ReadFile(filepath.Join(dir, snapshot.ManifestFile))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(manifest)
	o.Snapshot = hex.EncodeToString(sum[:])
	if !s.Manifest.Complete {
		a.log.Warn("the snapshot is incomplete: what failed to be exported is not restored", "failed", len(s.Manifest.Failed))
	}
	if o.report != "" {
		if err := checkFolder("--report", o.report, reportFile, versionsFile); err != nil {
			return err
		}
	}
	source := snapshotSource{s}
	return runPlanned(ctx, a, planned[importer.Plan]{
		kind: "restore", target: absolute(dir), journal: a.checkpointFor(dir), options: o, dryRun: o.dryRun, deadline: o.deadline.d,
		make: func(ctx context.Context, client *akamai.Client) (importer.Plan, error) {
			return a.planRestore(ctx, s, o, filter, client)
		},
		show: a.showImportPlan, refuse: refusePlan, leaves: blockedIn, question: importQuestion,
		apply: func(ctx context.Context, w work, plan importer.Plan) error {
			return importer.Apply(ctx, w.client, source, plan, w.pool, w.applyOptions())
		},
		finish: func(ctx context.Context, w work, plan importer.Plan, err error) error {
			_, err = a.finishImport(ctx, w, plan, err, importEnd{headline: "Restored " + dir, report: o.report})
			return err
		},
	})
}

// complete checks the flags and reads the map of groups.
func (o *restoreOptions) complete() (*diffFilter, error) {
	if id, err := strconv.ParseInt(o.Group, 10, 64); (err != nil || id < 1) && o.Group != "keep" {
		return nil, &usageError{text: fmt.Sprintf("--group %q: give the id of a group, or keep", o.Group)}
	}
	if o.groupMap != "" {
		var err error
		if o.Groups, err = readGroupMap(o.groupMap); err != nil {
			return nil, err
		}
	}
	if n, err := strconv.ParseInt(o.Versions, 10, 64); err != nil || n < 1 {
		if err := oneOf("versions", o.Versions, importer.AllVersions, importer.ActiveVersions, importer.LatestVersion); err != nil {
			return nil, &usageError{text: fmt.Sprintf("--versions %q: give one of all, active, latest, or the number of a version", o.Versions)}
		}
	}
	if !strings.Contains(o.Name, "{name}") && !strings.Contains(o.Name, "{id}") {
		return nil, &usageError{text: fmt.Sprintf("--name-template %q: it must hold {name} or {id}, or all policies would have one name", o.Name)}
	}
	if err := errors.Join(
		oneOf("as", o.As, "same", "shared"), oneOf("activate", o.Activate, "recorded", "staging", "production", "none"),
		oneOf("on-existing", o.OnExisting, importer.OnExistingFail, importer.OnExistingAppend, importer.OnExistingSkip),
	); err != nil {
		return nil, err
	}
	return newDiffFilter(diffOptions{APIs: []string{"v2", "v3"}, Policies: o.Policies, Match: "auto"})
}

// networksOf are those that a flag --activate names.
func networksOf(flag string) []cloudlet.Network {
	switch flag {
	case "recorded", "same":
		return []cloudlet.Network{cloudlet.Staging, cloudlet.Production}
	case "staging":
		return []cloudlet.Network{cloudlet.Staging}
	case "production":
		return []cloudlet.Network{cloudlet.Production}
	}
	return nil
}

// soundSnapshot verifies a snapshot and opens it.
func (a *app) soundSnapshot(ctx context.Context, dir string) (*snapshot.Snapshot, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, &usageError{text: fmt.Sprintf("%s is no folder", dir), hint: "name the folder of a snapshot"}
	}
	s, err := snapshot.Open(dir)
	if err != nil {
		return nil, unreadable("restore", dir, err)
	}
	_, problems, err := snapshot.Verify(ctx, dir, a.global.Workers)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	problems = slices.DeleteFunc(problems, func(p snapshot.Problem) bool { return p.Kind == "incomplete" }) // that is no damage
	if len(problems) > 0 {
		err := fmt.Errorf("%w: %s has %s, the first: %s", snapshot.ErrDamaged, dir, plural(len(problems), "problem", "problems"), problems[0])
		return nil, errors.Join(withHint(err, "nothing was sent; cloudletmig verify "+dir+" names all that is wrong with it"), s.Close())
	}
	return s, nil
}

func (a *app) planRestore(ctx context.Context, s *snapshot.Snapshot, o restoreOptions, filter *diffFilter, client *akamai.Client) (importer.Plan, error) {
	fixed, _ := strconv.ParseInt(o.Group, 10, 64) // 0 for keep
	wanted, notes, err := importer.FromSnapshot(ctx, s, importer.SnapshotOptions{
		Wants: filter.wants, Versions: o.Versions, Name: o.Name, Shared: o.As == "shared", Live: networksOf(o.Activate),
		Group: func(old int64) int64 {
			if to, ok := o.Groups[old]; ok {
				return to
			}
			if fixed != 0 {
				return fixed
			}
			return old
		},
	})
	if err != nil {
		return importer.Plan{}, damagedSide(err)
	}
	if err := filter.missed(); err != nil {
		return importer.Plan{}, err
	}
	present, err := importer.Look(ctx, client, wanted, nil, a.global.Workers)
	if err != nil {
		return importer.Plan{}, err
	}
	plan := importer.Make(wanted, present, importer.PlanOptions{OnExisting: o.OnExisting})
	plan.Notes = append(plan.Notes, notes...)
	if policies, versions := plan.Changes(); policies+versions > 0 {
		plan.Notes = append(plan.Notes, importer.Note{Item: "history", Text: "who made what and when, ids, and the activations that were are not restored; versions are numbered anew"})
	}
	return plan, nil
}

// snapshotSource reads documents out of a snapshot; each is held against the manifest.
type snapshotSource struct{ s *snapshot.Snapshot }

func (s snapshotSource) Document(ref string) ([]byte, error) { return s.s.Read(ref) }

// readGroupMap reads pairs of groups, a line each: the group that was, a comma, the group that is to be.
func readGroupMap(file string) (map[int64]int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{text: "--group-map: " + err.Error()}
	}
	groups := map[int64]int64{}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		from, to, _ := strings.Cut(line, ",")
		old, errOld := strconv.ParseInt(strings.TrimSpace(from), 10, 64)
		now, errNow := strconv.ParseInt(strings.TrimSpace(to), 10, 64)
		if errOld != nil && errNow != nil && number == 1 && to != "" && !strings.ContainsAny(line, "0123456789") { // a header
			continue
		}
		if errOld != nil || errNow != nil || now < 1 {
			return nil, &usageError{text: fmt.Sprintf("--group-map %s, line %d: %q is not OLD,NEW with two ids of groups", file, number, cloudlet.Printable(line))}
		}
		if before, ok := groups[old]; ok && before != now {
			return nil, &usageError{text: fmt.Sprintf("--group-map %s, line %d: group %d is mapped to %d already", file, number, old, before)}
		}
		groups[old] = now
	}
	if len(groups) == 0 {
		return nil, &usageError{text: fmt.Sprintf("--group-map %s maps no group", file), hint: "give a line OLD,NEW for each group: the id in the snapshot, a comma, the id in the account"}
	}
	return groups, nil
}

// checkFolder refuses a folder that holds anything but the files that are to be written into it.
func checkFolder(flag, dir string, ours ...string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &usageError{text: flag + ": " + err.Error(), hint: "name a new or empty folder"}
	}
	for _, e := range entries {
		if !slices.Contains(ours, e.Name()) && !durable.IsTemp(e.Name()) {
			return &usageError{text: fmt.Sprintf("%s %s: the folder holds %s, which is not ours", flag, dir, cloudlet.Printable(e.Name())), hint: "name a new or empty folder"}
		}
	}
	return nil
}
