package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/report"
	"cloudletmig/internal/snapshot"
)

// reader reads an account, or a snapshot of one.
type reader interface {
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
}

// listOptions are the flags of every list command.
type listOptions struct {
	From    string
	APIs    []string
	Deleted bool
	warn    func(msg string, args ...any)
}

// listing is what a list command shows: a table, and the documents behind its rows.
type listing struct {
	header    []string
	rows      [][]string
	documents []json.RawMessage
	tree      bool // the first column is indented to show a tree, in the table alone
}

// add appends a row and the document behind it.
func (l *listing) add(document json.RawMessage, cells ...string) {
	l.rows = append(l.rows, cells)
	l.documents = append(l.documents, document)
}

func (a *app) listCommand() *cobra.Command {
	var o listOptions
	list := &cobra.Command{
		Use:   "list",
		Short: "Look up policies, versions, activations, properties, groups and origins",
		Long: `list shows what there is, in the account or, with --from, in a snapshot. POLICY is an id or an exact name, with v2: or
v3: in front where both have it. JSON output shows the API's own documents; with --from, versions come with their rules.`,
		Example: `  cloudletmig list groups
  cloudletmig list policies --output csv
  cloudletmig list versions v3:static_assets_redirector
  cloudletmig list activations 1001 --from backup`,
		Args: func(_ *cobra.Command, args []string) error {
			what := "one of its commands"
			if len(args) > 0 {
				what += fmt.Sprintf(", not %q", args[0])
			}
			return &usageError{text: "list needs " + what, hint: "policies, versions, activations, properties, groups or origins"}
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	f := list.PersistentFlags()
	f.StringVar(&o.From, "from", "", "look into this `SNAPSHOT` instead of the account")
	f.StringSliceVar(&o.APIs, "api", []string{"v2", "v3"}, "v2, v3 or both")
	f.BoolVar(&o.Deleted, "include-deleted", false, "deleted policies and versions too (v2)")
	for _, c := range []struct {
		use, short string
		args       []string
		list       func(ctx context.Context, from reader, o listOptions, args []string) (listing, error)
	}{
		{"policies", "List policies and what is live of each", nil, listPolicies},
		{"versions POLICY", "List the versions of a policy", []string{"POLICY"}, listVersions},
		{"activations POLICY", "List the activation history of a policy", []string{"POLICY"}, listActivations},
		{"properties", "List properties and the policies that they refer to", nil, listProperties},
		{"groups", "List groups as a tree, with what may be done in each", nil, listGroups},
		{"origins", "List load-balancing origins", nil, listOrigins},
	} {
		list.AddCommand(&cobra.Command{
			Use: c.use, Short: c.short, Args: exactly(c.args...), Annotations: map[string]string{"csv": "yes"},
			RunE: func(cmd *cobra.Command, args []string) error {
				for _, api := range o.APIs {
					if err := oneOf("api", api, "v2", "v3"); err != nil {
						return err
					}
				}
				o.warn = a.log.Warn
				return a.list(cmd, o, func(ctx context.Context, from reader) (listing, error) { return c.list(ctx, from, o, args) })
			},
		})
	}
	return list
}

// list opens the account or the snapshot, and shows what look finds in it.
func (a *app) list(cmd *cobra.Command, o listOptions, look func(context.Context, reader) (listing, error)) error {
	from, closeIt, err := a.open(o.From, cmd.Name())
	if err != nil {
		return err
	}
	defer closeIt()
	l, err := look(cmd.Context(), from)
	if err != nil {
		return err
	}
	switch a.global.Output {
	case "json":
		a.document = map[string]any{"command": "list " + cmd.Name(), cmd.Name(): list(l.documents)}
		return nil
	case "csv":
		return l.csv(a.out)
	}
	return l.table(a.out)
}

// open opens the snapshot in dir, or the account where dir is empty.
func (a *app) open(dir, what string) (reader, func(), error) {
	if dir == "" {
		client, _, err := a.connect()
		if err != nil {
			return nil, nil, err
		}
		return client, client.Close, nil
	}
	s, err := snapshot.Open(dir)
	if err != nil {
		return nil, nil, unreadable("--from", dir, err)
	}
	if what == "origins" && s.Manifest.Counts.Origins == 0 {
		a.log.Warn("the snapshot holds no load-balancing origins: the account had none, or its export left them out (docs/snapshot.md)")
	}
	if !s.Manifest.Complete {
		a.log.Warn("the snapshot is incomplete: what failed to be exported is not shown", "failed", len(s.Manifest.Failed))
	}
	return s, func() { _ = s.Close() }, nil // it was only read
}

// csv writes the listing for programs.
func (l listing) csv(to io.Writer) error {
	for i := range l.header {
		l.header[i] = strings.ToLower(l.header[i])
	}
	for _, row := range l.rows {
		if l.tree {
			row[0] = strings.TrimLeft(row[0], " ")
		}
	}
	return report.CSV(to, l.header, l.rows)
}

// table writes the listing for people.
func (l listing) table(to io.Writer) error {
	for _, row := range l.rows {
		for i := range row {
			row[i] = cloudlet.Printable(row[i])
		}
	}
	return report.Table(to, l.header, l.rows)
}

// policies reads the lists of policies. An API that answers that there is none is left out while another has some.
func policies(ctx context.Context, from reader, o listOptions) ([]cloudlet.Policy, error) {
	var all []cloudlet.Policy
	var refused error
	for _, api := range o.APIs {
		text, err := from.Get(ctx, cloudlet.API(api).Policies(o.Deleted))
		if status := cloudlet.StatusOf(err); (status == cloudlet.Forbidden || status == cloudlet.NotFound) && len(o.APIs) > 1 && refused == nil {
			refused = err
			o.warn("left out, because the account does not have it or these credentials may not see it", "api", api, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := cloudlet.ParsePolicies(cloudlet.API(api), text)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, refused
	}
	return all, nil
}

// find gives the one policy that text names.
func find(ctx context.Context, from reader, o listOptions, text string) (cloudlet.Policy, error) {
	ref, err := cloudlet.ParseRef(text)
	if err != nil {
		return cloudlet.Policy{}, &usageError{text: err.Error()}
	}
	all, err := policies(ctx, from, o)
	if err != nil {
		return cloudlet.Policy{}, err
	}
	return theOne(all, ref)
}

// theOne is the one policy of all that ref is of.
func theOne(all []cloudlet.Policy, ref cloudlet.Ref) (cloudlet.Policy, error) {
	var found []cloudlet.Policy
	for _, p := range all {
		if ref.Names(p) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return cloudlet.Policy{}, &usageError{text: "there is no policy " + ref.String(), hint: "cloudletmig list policies shows those there are"}
	case 1:
		return found[0], nil
	default:
		names := make([]string, 0, len(found))
		for _, p := range found {
			names = append(names, p.String())
		}
		return cloudlet.Policy{}, &usageError{text: fmt.Sprintf("%s is more than one policy: %s", ref, strings.Join(names, ", ")), hint: "put v2: or v3: in front, or give the id"}
	}
}
