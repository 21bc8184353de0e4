package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// exportOptions are the flags of export.
type exportOptions struct {
	APIs, Types, Policies []string
	Groups                []int64
	Versions, Format      string
	Deleted, CSV          bool
	Base, Into            string
	Keep                  int
}

func (a *app) exportCommand() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export DIR | export --into PARENT",
		Short: "Write every policy, version and rule of the account into a snapshot",
		Long: `export reads the account's Cloudlets policies of API v2 (legacy) and v3 (shared) with all their versions, rules,
activations and properties, and the load-balancing origins, into the folder DIR (docs/snapshot.md).

A run that was interrupted or killed goes on when the same command is given again. Items that fail are named at the end
and in the manifest, and the exit code is 3; the same command then does only what is left.`,
		Example: `  cloudletmig export backup
  cloudletmig export er-only --type ER --policy 'shop_*' --versions active
  cloudletmig export tonight --base last-night
  cloudletmig export backup --csv
  cloudletmig export --into backups --keep 14`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.Into != "" {
				return exactly()(cmd, args)
			}
			return exactly("DIR")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := o.validate()
			if err != nil {
				return err
			}
			if o.Into != "" {
				return a.exportInto(cmd.Context(), o, options)
			}
			return a.exportTo(cmd.Context(), args[0], o.Base, options)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.APIs, "api", []string{"v2", "v3"}, "v2 (legacy policies), v3 (shared policies) or both")
	f.StringSliceVar(&o.Types, "type", nil, "only policies of these cloudlet `CODES`, such as ER,FR")
	f.StringArrayVar(&o.Policies, "policy", nil, "only policies with this `ID|GLOB`, v2: or v3: in front or not (repeatable)")
	f.Int64SliceVar(&o.Groups, "group", nil, "only policies in the group with this `ID` (repeatable)")
	f.StringVar(&o.Versions, "versions", export.AllVersions, "all, active (effective or pending on a network) or latest")
	f.BoolVar(&o.Deleted, "include-deleted", false, "deleted policies and versions too (v2 keeps them)")
	f.StringVar(&o.Format, "format", export.Pretty, "pretty (two-space indent) or raw (byte for byte as sent)")
	f.BoolVar(&o.CSV, "csv", false, "a CSV sheet beside every Edge Redirector version; what a sheet cannot say is counted and listed")
	f.StringVar(&o.Base, "base", "", "take versions that have not changed since over from this `SNAPSHOT`")
	f.StringVar(&o.Into, "into", "", "make a snapshot named after the time in `PARENT`, with the newest one there as base")
	f.IntVar(&o.Keep, "keep", 0, "with --into: keep the newest `N` snapshots and remove older ones; 0 keeps all")
	return cmd
}

func (o exportOptions) validate() (export.Options, error) {
	options := export.Options{
		Policies: o.Policies, Groups: o.Groups, Versions: o.Versions, Deleted: o.Deleted, Format: o.Format, CSV: o.CSV,
	}
	for _, api := range o.APIs {
		if err := oneOf("api", api, "v2", "v3"); err != nil {
			return options, err
		}
		if !slices.Contains(options.APIs, cloudlet.API(api)) {
			options.APIs = append(options.APIs, cloudlet.API(api))
		}
	}
	for _, code := range o.Types {
		code = strings.ToUpper(strings.TrimSpace(code))
		if err := oneOf("type", code, cloudlet.Types()...); err != nil {
			return options, err
		}
		options.Types = append(options.Types, code)
	}
	if len(options.APIs) == 0 {
		return options, &usageError{text: "--api names no API: give v2, v3 or both"}
	}
	if o.Keep < 0 || o.Keep > 0 && o.Into == "" {
		return options, &usageError{text: "--keep goes with --into and a number from 1"}
	}
	if err := oneOf("versions", o.Versions, export.AllVersions, export.ActiveVersions, export.LatestVersion); err != nil {
		return options, err
	}
	if err := oneOf("format", o.Format, export.Pretty, export.Raw); err != nil {
		return options, err
	}
	if err := export.Check(options); err != nil {
		return options, &usageError{text: "--policy: " + err.Error()}
	}
	return options, nil
}

// exportTo exports into one folder.
func (a *app) exportTo(ctx context.Context, dir, base string, options export.Options) error {
	client, creds, err := a.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	complete, err := a.checkTarget(dir, a.checkpointFor(dir))
	if err != nil {
		return err
	}
	if complete != nil {
		return a.settle(ctx, dir, *complete, options, creds)
	}
	from, err := openBase(base, creds)
	if err != nil {
		return err
	}
	defer from.close()
	r, err := a.beginRun(ctx, "export", dir, a.checkpointFor(dir), options, creds)
	if err != nil {
		return err
	}
	err = r.claim(dir)
	var result export.Result
	if err == nil {
		result, err = a.runExport(ctx, client, creds, r, exportPlan{dir: dir, base: from, options: options})
	}
	a.document = exportDocument(dir, result, client.Stats())
	err = r.end(ctx, err, a.document)
	return a.exportSummary(dir, result, client.Stats(), r.begun, err)
}

// writers is how many files are written at a time. More write hardly faster, and each holds a document in memory.
const writers = 8

// exportPlan is what one run of export does.
type exportPlan struct {
	dir     string
	base    base
	options export.Options
}

// base is the snapshot that an export is based on, or none.
type base struct{ *snapshot.Snapshot }

func (b base) close() {
	if b.Snapshot != nil {
		_ = b.Close() // it was only read
	}
}

// openBase opens the snapshot that --base names; the zero base where it names none.
func openBase(dir string, creds akamai.Credentials) (base, error) {
	if dir == "" {
		return base{}, nil
	}
	s, err := snapshot.Open(dir)
	if err != nil {
		return base{}, unreadable("--base", dir, err)
	}
	b := base{s}
	if m := s.Manifest; m.Host != creds.Host || m.Account != accountHash(creds) {
		b.close()
		return base{}, &usageError{text: fmt.Sprintf("--base %s is a snapshot of another account (host %s)", dir, m.Host)}
	}
	return b, nil
}

func (a *app) runExport(ctx context.Context, client *akamai.Client, creds akamai.Credentials, r *run, plan exportPlan) (result export.Result, err error) {
	_, missing := os.Stat(plan.dir)
	folder, err := durable.Create(plan.dir)
	if err != nil {
		return result, unwritable(err)
	}
	defer func() {
		if exitOf(err) == exitUsage && !r.resumed { // nothing of what was asked for is there: leave nothing behind
			err = errors.Join(err, snapshot.Clear(folder))
		}
		if err = errors.Join(err, folder.Close()); err != nil && missing != nil {
			_ = os.Remove(plan.dir) // made for nothing, unless it holds something
		}
	}()
	e := export.Export{
		Source: client, Store: snapshot.NewWriter(folder, plan.options.Format == export.Pretty),
		Pool: job.Pool{Workers: a.global.Workers, Writers: writers, Queue: 2, Journal: r.journal},
		Base: plan.base.Snapshot, Options: plan.options, Sheet: versionSheet, Log: a.log, Now: time.Now,
	}
	progress := a.showProgress("export", slowed(client))
	e.Pool.Watch = progress.Watch
	defer progress.Stop()
	return e.Run(ctx, snapshot.Manifest{
		Tool: "cloudletmig " + version, Run: r.journal.ID(), Host: creds.Host, Account: accountHash(creds), Started: r.since.UTC(),
	})
}

// versionSheet turns the document of an Edge Redirector version into a sheet, and names what a sheet cannot say of it.
func versionSheet(doc []byte) (text []byte, lost []string, err error) {
	body, err := chunkset.ReadBody(doc)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	unsayable, err := convert.WriteSheet(&b, body.Rules)
	for _, u := range unsayable {
		lost = append(lost, u.String())
	}
	return b.Bytes(), lost, err
}

// slowed says in a few words that the server holds requests back.
func slowed(client *akamai.Client) func() string {
	return func() string {
		switch s := client.Stats(); {
		case s.Paused >= time.Second:
			return fmt.Sprintf("the server asks to wait %s", s.Paused.Round(time.Second))
		case s.InFlight > 0 && s.Throttled > 0:
			return fmt.Sprintf("at most %d in flight for the server's sake", s.InFlight)
		default:
			return ""
		}
	}
}

// canonical is a text that is the same for the same options.
func canonical(options any) string {
	text, err := json.Marshal(options)
	if err != nil {
		return fmt.Sprint(options)
	}
	return string(text)
}
