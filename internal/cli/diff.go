package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// liveSide is what an argument says that means the account.
const liveSide = "live"

// diffOptions are the flags of diff.
type diffOptions struct {
	APIs, Types, Policies []string
	Match                 string
}

func (a *app) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Name what differs between two snapshots, a snapshot and the account, or two lists of rules",
		Long: `diff compares two snapshots and names the policies, versions and rules that only one has, that are changed or moved, and
what is live on each network. Either side, but not both, may be the word live: the account is then exported into a temporary
folder, with the options of the other side, and what that side has already is not fetched again. Both may be files instead: JSON
with matchRules, or SNAPSHOT:POLICY@VERSION; then their rules are compared.

Policies of one account are matched by id, of two accounts by API, type and name (--match); versions by number; rules by what
they say, then by name. Rules are the same when they mean the same, whatever members the API has added. Compared is what people
set: not who did it when, ids, links and locks, nor the lists of groups and properties. Files whose hashes agree are not read:
verify finds damage.

With --output json each changed version has a patch (RFC 6902) that turns A's document into one with B's rules, with numbers and
strings as they were written. Rules are counted from 1 (a_rule, b_rule), in paths of patches from 0. The exit code is 4 when
anything differs.`,
		Example: `  cloudletmig diff monday tuesday
  cloudletmig diff backup live --policy 'shop_*'
  cloudletmig diff backup:1002@2 backup:1002@3 --output json`,
		Args: exactly("A", "B"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.diff(cmd.Context(), args[0], args[1], o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.APIs, "api", []string{"v2", "v3"}, "v2 (legacy policies), v3 (shared policies) or both")
	f.StringSliceVar(&o.Types, "type", nil, "only policies of these cloudlet `CODES`, such as ER,FR")
	f.StringArrayVar(&o.Policies, "policy", nil, "only policies with this `ID|GLOB`, v2: or v3: in front or not (repeatable)")
	f.StringVar(&o.Match, "match", "auto", "what makes two policies the same: id, name, or auto (id within one account)")
	return cmd
}

func (a *app) diff(ctx context.Context, left, right string, o diffOptions) error {
	filter, err := newDiffFilter(o)
	if err != nil {
		return err
	}
	switch whole, other := isSide(left), isSide(right); {
	case left == liveSide && right == liveSide:
		return &usageError{text: "diff: both sides are the account", hint: "name a snapshot on one side"}
	case whole && other:
		return a.diffSnapshots(ctx, left, right, filter)
	case whole || other:
		return mismatch(left, right, whole)
	case !filter.everything():
		return &usageError{text: "diff: --api, --type and --policy choose among the policies of snapshots, not of files"}
	}
	return a.diffFiles(ctx, left, right)
}

// isSide reports whether an argument means a snapshot or the account.
func isSide(name string) bool {
	info, err := os.Stat(name)
	return name == liveSide || err == nil && info.IsDir()
}

// mismatch says why a snapshot cannot be compared with what the other argument is.
func mismatch(left, right string, whole bool) error {
	folder, file := left, right
	if !whole {
		folder, file = right, left
	}
	if _, err := os.Stat(file); err != nil {
		if _, _, _, ok := cutVersion(file); !ok {
			return &usageError{text: "diff: " + err.Error(), hint: "name the folders of two snapshots, or a snapshot and the word live"}
		}
	}
	return &usageError{
		text: fmt.Sprintf("diff: %s is a list of rules and %s is not", cloudlet.Printable(file), cloudlet.Printable(folder)),
		hint: "SNAPSHOT:POLICY@VERSION names the rules of one version",
	}
}

// diffFilter says which policies are compared, and remembers which wish was never met.
type diffFilter struct {
	apis, types []string
	refs        []cloudlet.Ref
	met         map[cloudlet.Ref]bool
	match       string
}

func newDiffFilter(o diffOptions) (*diffFilter, error) {
	checked, err := exportOptions{APIs: o.APIs, Types: o.Types, Policies: o.Policies, Versions: "all", Format: "pretty"}.validate()
	if err != nil {
		return nil, err
	}
	f := &diffFilter{types: checked.Types, met: map[cloudlet.Ref]bool{}, match: o.Match}
	for _, api := range checked.APIs {
		f.apis = append(f.apis, string(api))
	}
	for _, text := range o.Policies {
		ref, err := cloudlet.ParseRef(text)
		if err != nil {
			return nil, &usageError{text: "--policy: " + err.Error()}
		}
		f.refs = append(f.refs, ref)
	}
	return f, oneOf("match", o.Match, "auto", "id", "name")
}

// everything reports whether nothing is left out.
func (f *diffFilter) everything() bool { return len(f.apis) == 2 && len(f.types)+len(f.refs) == 0 }

// wants reports whether a policy is to be compared.
func (f *diffFilter) wants(p cloudlet.Policy) bool {
	if !slices.Contains(f.apis, string(p.API)) || len(f.types) > 0 && !slices.Contains(f.types, p.Type) {
		return false
	}
	wanted := len(f.refs) == 0
	for _, ref := range f.refs {
		glob, _ := path.Match(ref.Text, p.Name) // validate has tried the pattern
		if ref.Names(p) || glob && (ref.API == "" || ref.API == p.API) {
			f.met[ref], wanted = true, true
		}
	}
	return wanted
}

// origins reports whether load-balancing origins are compared: as with export, not where policies were named, and with
// API v2 and type ALB.
func (f *diffFilter) origins() bool {
	return len(f.refs) == 0 && slices.Contains(f.apis, string(cloudlet.V2)) && (len(f.types) == 0 || slices.Contains(f.types, "ALB"))
}

// missed is an error that names the policies that neither side has.
func (f *diffFilter) missed() error {
	var missed []string
	for _, ref := range f.refs {
		if !f.met[ref] {
			missed = append(missed, "policy "+cloudlet.Printable(ref.String()))
		}
	}
	if len(missed) == 0 {
		return nil
	}
	return &usageError{text: "nothing matches " + strings.Join(missed, ", "), hint: "cloudletmig list policies --from SNAPSHOT shows those there are"}
}

// diffSnapshots compares two snapshots, one of which may be the account.
func (a *app) diffSnapshots(ctx context.Context, left, right string, f *diffFilter) (err error) {
	defer func() {
		if errors.Is(err, context.Canceled) {
			err = fmt.Errorf("interrupted before the comparison was done: %w", err)
		}
	}()
	sides, done, err := a.diffSides(ctx, left, right, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	same := snapshot.SameAccount(sides[0], sides[1])
	o := snapshot.DiffOptions{
		ByName: f.match == "name" || f.match == "auto" && !same,
		Want:   f.wants, Origins: f.origins(), Patch: a.global.Output == "json",
	}
	d, err := snapshot.NewDiff(sides[0], sides[1], o)
	if err != nil {
		return damagedSide(err)
	}
	if err := f.missed(); err != nil {
		return err
	}
	a.warnOfOptions(sides[0], sides[1])
	show := diffShower{a: a, out: bufio.NewWriter(a.out), left: left, right: right}
	show.begin(o.ByName)
	counts, err := d.Run(ctx, show.policy)
	err = damagedSide(errors.Join(err, show.end(counts, err == nil)))
	if err != nil {
		return err
	}
	lacking := 0
	for _, s := range sides {
		if !s.Manifest.Complete {
			lacking += max(len(s.Manifest.Failed), 1)
		}
	}
	return show.verdict(counts, lacking)
}

func damagedSide(err error) error {
	if errors.Is(err, snapshot.ErrDamaged) {
		return withHint(err, "cloudletmig verify names all that is wrong with a snapshot")
	}
	return err
}

// uncompared is what the user reads when a side is incomplete.
type uncompared int

func (n uncompared) Error() string {
	return fmt.Sprintf("not everything could be compared: %d items could not be exported, and what may be among them is not called a difference", int(n))
}

func (uncompared) Unwrap() error { return job.ErrIncomplete }
