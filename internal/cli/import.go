package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/report"
	"cloudletmig/internal/snapshot"
)

// importOptions are the flags of import. Those that decide the work are what a run that goes on must have again.
type importOptions struct {
	Inputs     []importInput `json:"inputs"`
	API        string        `json:"api"`
	Group      int64         `json:"group"`
	OnExisting string        `json:"on_existing"`
	Adopt      bool          `json:"adopt"`
	Activate   []string      `json:"activate,omitempty"`
	Properties []string      `json:"properties,omitempty"`

	out      string
	dryRun   bool
	deadline deadline
}

// importInput is one document that is imported.
type importInput struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

func (a *app) importCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import DIR | import FILE...",
		Short: "Make policies of a converted folder, or of JSON files with match rules",
		Long: `import makes a policy of each chunk of a folder that convert wrote, or of each JSON file with matchRules, which is then named after the
file. Where a policy of that name is there already and came from this set of chunks, it gets a new version, unless its newest version
has equal rules. A policy of that name that is not of this set is a stranger's: nothing at all is sent, unless --adopt takes it over.

The input is never written. --out (DIR.imported when not given) gets imported.json, which says what became of each chunk, and
property-rules.json with the ids of the policies, to be pasted into Property Manager.

With --activate the versions go live: staging first, and production only when every chunk is live on staging. At most 10 activations
a minute are sent (v2: 30). A legacy policy needs a property; --property associates it for good.`,
		Example: `  cloudletmig convert redirects.csv --out redirects --name shop
  cloudletmig import redirects --group 1234 --dry-run
  cloudletmig import redirects --group 1234 --activate staging --yes
  cloudletmig import redirects --group 1234 --activate staging,production --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{text: "cloudletmig import needs DIR or FILE", hint: "name the folder that convert wrote"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.importAll(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "the folder for the results (default DIR.imported)")
	f.StringVar(&o.API, "api", "v3", "v3 (shared policies) or v2 (legacy policies)")
	f.Int64Var(&o.Group, "group", 0, "`ID` of the group for policies that are made")
	f.StringVar(&o.OnExisting, "on-existing", importer.OnExistingVersion, "what to do with our policies that differ: version (add one), skip or fail")
	f.BoolVar(&o.Adopt, "adopt", false, "take over policies of these names that somebody else made")
	f.StringSliceVar(&o.Activate, "activate", nil, "activate on these networks: staging, or staging,production; production alone means both, for staging comes first")
	f.StringArrayVar(&o.Properties, "property", nil, "v2: associate the policies with the property `NAME`, for good (repeatable)")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan and send nothing")
	o.deadline.register(f)
	return cmd
}

// complete checks the flags, and gives the networks to activate on: staging comes first in any case.
func (o *importOptions) complete() ([]cloudlet.Network, error) {
	err := errors.Join(
		oneOf("api", o.API, "v3", "v2"),
		oneOf("on-existing", o.OnExisting, importer.OnExistingVersion, importer.OnExistingSkip, importer.OnExistingFail),
	)
	var networks []cloudlet.Network
	for _, name := range o.Activate {
		err = errors.Join(err, oneOf("activate", name, "staging", "production"))
		networks = []cloudlet.Network{cloudlet.Staging}
	}
	for _, name := range o.Activate {
		if name == "production" {
			networks = append(networks[:1], cloudlet.Production)
		}
	}
	if len(o.Properties) > 0 && o.API != "v2" {
		err = errors.Join(err, &usageError{text: "--property goes with --api v2: a shared policy is used by whichever property names it"})
	}
	return networks, err
}

// importAll checks its input and runs.
func (a *app) importAll(ctx context.Context, args []string, o importOptions) error {
	networks, err := o.complete()
	if err != nil {
		return err
	}
	in, err := openChunks(args)
	if err != nil {
		return err
	}
	defer in.close()
	out := o.out
	if out == "" {
		out = strings.TrimSuffix(filepath.Clean(args[0]), ".json") + ".imported"
	}
	for _, c := range in.chunks {
		doc, err := in.Document(c.Ref)
		if err != nil {
			return &usageError{text: err.Error()}
		}
		sum := sha256.Sum256(doc)
		o.Inputs = append(o.Inputs, importInput{c.Ref, hex.EncodeToString(sum[:])})
	}
	earlier, err := readImported(out)
	if err != nil {
		return err
	}
	return runPlanned(ctx, a, planned[importer.Plan]{
		kind: "import", target: absolute(out), journal: a.checkpointFor(out), options: o, dryRun: o.dryRun, deadline: o.deadline.d,
		make: func(ctx context.Context, client *akamai.Client) (importer.Plan, error) {
			return a.planImport(ctx, in, o, networks, earlier, client)
		},
		show: a.showImportPlan, refuse: refusePlan, leaves: blockedIn, question: importQuestion,
		apply: func(ctx context.Context, w work, plan importer.Plan) error {
			options := w.applyOptions()
			options.Together = true
			return importer.Apply(ctx, w.client, in, plan, w.pool, options)
		},
		finish: func(end context.Context, w work, plan importer.Plan, err error) error {
			notes, usersErr := a.usersOf(ctx, end, w, plan)
			results, finishErr := a.finishImport(end, w, plan, err, importEnd{headline: "Imported, see " + out, notes: notes})
			if results == nil {
				return errors.Join(usersErr, finishErr)
			}
			return errors.Join(usersErr, finishErr, in.write(out, o, plan, results, earlier))
		},
	})
}

func (a *app) planImport(ctx context.Context, in *chunkInput, o importOptions, networks []cloudlet.Network, earlier imported, client *akamai.Client) (importer.Plan, error) {
	var doubts []importer.Note
	wanted, err := importer.FromChunks(in, in.chunks, importer.ChunkOptions{
		API: cloudlet.API(o.API), Group: o.Group, Live: networks, Properties: o.Properties,
		Check: func(c importer.Chunk, kind string, doc []byte) error {
			if kind != "ER" {
				return nil
			}
			err := akamai.CheckRedirects(doc)
			if err != nil && in.set == nil { // the API takes more than the SDK knows; rules that we made are known to it
				doubts = append(doubts, importer.Note{Item: cloudlet.Printable(c.Ref), Text: "is sent as it is, although the SDK's check finds: " + cloudlet.Printable(err.Error())})
				return nil
			}
			return err
		},
	})
	if err != nil {
		return importer.Plan{}, err
	}
	present, err := importer.Look(ctx, client, wanted, in, a.global.Workers)
	if err != nil {
		return importer.Plan{}, err
	}
	plan := importer.Make(wanted, present, importer.PlanOptions{
		OnExisting: o.OnExisting, Newest: true, Adopt: o.Adopt, Owned: true, OurIDs: earlier.ids(cloudlet.API(o.API)),
	})
	for _, p := range plan.Policies { // a sheet is brought in whole or not at all
		if p.Action == importer.Blocked {
			plan.Problems = append(plan.Problems, importer.Problem{Item: p.Source, Text: p.Why})
		}
	}
	plan.Notes = append(plan.Notes, doubts...)
	importer.Compare(&plan, present)
	return plan, nil
}

// usersTime is how long a run looks, at its end, for properties that use policies of the same groups.
const usersTime = 30 * time.Second

// usersOf notes which properties use a policy of the same groups already, behind a plan that has sent something. It is
// only for people to know: an error is a note too, and the end of ctx ends it. end is for the journal.
func (a *app) usersOf(ctx, end context.Context, w work, plan importer.Plan) ([]report.Item, error) {
	ours, groups, sent := map[int64]bool{}, map[int64]bool{}, false
	for _, p := range plan.Policies {
		r, err := importer.ResultOf(end, w.run.journal, p)
		if err != nil {
			return nil, err
		}
		ours[r.ID] = true
		sent = sent || r.Made || r.Added > 0 || slices.ContainsFunc(p.Activate, func(on cloudlet.Network) bool { return r.Active[on] != 0 })
		if p.Type == "ER" && p.Group != 0 {
			groups[p.Group] = true
		}
	}
	if len(groups) == 0 || !sent || ctx.Err() != nil {
		return nil, nil
	}
	ctx, stop := context.WithTimeout(ctx, usersTime)
	defer stop()
	users, err := importer.Users(ctx, w.client, groups, ours, a.global.Workers)
	if err != nil {
		users = append(users, importer.Note{Item: "properties", Text: "those that use a policy of the same groups could not be looked up: " + cloudlet.Printable(err.Error())})
	}
	a.document["properties"] = users
	var notes []report.Item
	for _, u := range users {
		notes = append(notes, report.Item{Name: u.Item, Text: u.Text})
	}
	return notes, nil
}

// chunkInput is what is imported: a converted folder, or files.
type chunkInput struct {
	set    *chunkset.Set // nil: files
	chunks []importer.Chunk
}

func openChunks(args []string) (*chunkInput, error) {
	info, err := os.Stat(args[0])
	if err != nil {
		return nil, &usageError{text: "import: " + err.Error(), hint: "name a folder that convert wrote, or JSON files with matchRules"}
	}
	if info.IsDir() {
		if len(args) > 1 {
			return nil, &usageError{text: "import: a folder is imported alone", hint: "give one command for each folder"}
		}
		return openSet(args[0])
	}
	in := &chunkInput{}
	for _, file := range args {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			return nil, &usageError{text: fmt.Sprintf("import: %s is no file", cloudlet.Printable(file)), hint: "give one folder, or JSON files"}
		}
		if slices.Contains([]string{".csv", ".tsv", ".xlsx", ".zip"}, strings.ToLower(filepath.Ext(file))) {
			return nil, &usageError{text: fmt.Sprintf("import: %s is a sheet, not JSON with match rules", cloudlet.Printable(file)), hint: "cloudletmig convert makes a folder of it that can be imported"}
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		in.chunks = append(in.chunks, importer.Chunk{Policy: name, Ref: file, Owner: name})
	}
	return in, nil
}

func openSet(dir string) (*chunkInput, error) {
	set, err := chunkset.Open(dir)
	if _, noManifest := os.Stat(filepath.Join(dir, snapshot.ManifestFile)); err != nil && noManifest == nil {
		return nil, &usageError{text: "import: " + dir + " is a snapshot, not a converted folder", hint: "cloudletmig restore " + dir + " brings it into an account"}
	}
	if err != nil {
		return nil, &usageError{text: "import: " + err.Error(), hint: "name a folder that convert wrote, or JSON files with matchRules"}
	}
	in := &chunkInput{set: set}
	for _, c := range set.Dispatch.Chunks {
		in.chunks = append(in.chunks, importer.Chunk{Policy: c.Policy, Ref: c.File, Owner: set.Dispatch.Name})
	}
	return in, nil
}

func (in *chunkInput) close() {
	if in.set != nil {
		_ = in.set.Close() // it was only read
	}
}

// Document gives a chunk as JSON.
func (in *chunkInput) Document(ref string) ([]byte, error) {
	if in.set == nil {
		return os.ReadFile(ref)
	}
	body, err := in.set.Chunk(chunkset.Chunk{File: ref})
	if err != nil {
		return nil, err
	}
	return body.Append(nil), nil
}
