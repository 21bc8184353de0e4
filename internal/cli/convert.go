package cli

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/sheet"
)

// convertOptions are the flags of convert.
type convertOptions struct {
	Out, Name, To, API                 string
	Force, DryRun, Lossy, Collapse     bool
	Dialect, Delimiter, Encoding, Book string
	Ignore, Sites                      []string
	Previous                           string
	With, WithAfter                    []string
	rules                              convert.Options
	apiGiven                           bool
}

func (a *app) convertCommand() *cobra.Command {
	var o convertOptions
	cmd := &cobra.Command{
		Use:   "convert SHEET... --out DIR --name NAME | convert --to csv RULES|SNAPSHOT... --out FILE|DIR",
		Short: "Turn redirect sheets into Edge Redirector policies' rules, proved; or rules into sheets",
		Long: `convert reads redirect sheets (CSV, also zipped as Control Center delivers it, or .xlsx; - is standard input) and writes
chunks, each of which fits one Edge Redirector policy, with the property rules that lead every request to the right one
(docs/csv.md). Before anything is written, a request for every row is sent through what the property would do. A bad row
never stops a sheet: it goes to rejected.csv, which converts once it is mended, and the exit code is 3.

With --to csv it goes the other way: a chunk, a version file, or every Edge Redirector version of a snapshot becomes a
sheet of the policy-manager dialect.`,
		Example: `  cloudletmig convert redirects.csv --out redirects --name shop
  cloudletmig convert redirects.xlsx --out redirects --name shop --dry-run
  cloudletmig convert new.csv --out next --previous redirects
  cloudletmig convert redirects.csv --out redirects --name shop --with backup:1001@7
  cloudletmig convert --to csv backup --out sheets`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return exactly("SHEET")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.apiGiven = cmd.Flags().Changed("api")
			if err := o.validate(); err != nil {
				return err
			}
			if o.To != "" {
				return a.convertBack(cmd.Context(), args, o)
			}
			return a.convert(cmd.Context(), args, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Out, "out", "", "the folder to write, absent or empty; with --to csv a file, a folder, or - (`DIR`)")
	f.StringVar(&o.Name, "name", "", "of the policies: `NAME`_001 and so on (default: that of --previous)")
	f.StringVar(&o.To, "to", "", "csv: turn rules into sheets")
	f.BoolVar(&o.Lossy, "lossy", false, "with --to csv: leave out what a sheet cannot say, and count it")
	f.StringVar(&o.API, "api", "v3", "of the policies in property-rules.json: v3 (shared) or v2 (legacy)")
	f.BoolVar(&o.Force, "force", false, "replace the converted folder that is there")
	f.BoolVar(&o.DryRun, "dry-run", false, "print the report and the chunks, and write nothing")
	f.BoolVar(&o.rules.Strict, "strict", false, "no output at all when a row is rejected (exit code 2)")
	f.BoolVar(&o.rules.NoProof, "no-proof", false, "leave out the proof")
	o.sheetFlags(cmd)
	o.ruleFlags(cmd)
	o.chunkFlags(cmd)
	return cmd
}

// sheetFlags say how sheets are read.
func (o *convertOptions) sheetFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Dialect, "dialect", "", "simple or policy-manager (default: found by looking)")
	f.StringVar(&o.Delimiter, "delimiter", "", "one character, or tab (default: found by looking)")
	f.StringVar(&o.Encoding, "encoding", "", "of a sheet that is neither UTF-8 nor UTF-16, such as windows-1252")
	f.StringVar(&o.Book, "sheet", "", "of an .xlsx: its `NAME` (default: the first)")
	f.StringArrayVar(&o.Ignore, "ignore-column", nil, "leave out an unknown column with this `NAME` although it holds data (repeatable)")
}

// ruleFlags say how rows become rules.
func (o *convertOptions) ruleFlags(cmd *cobra.Command) {
	f, r := cmd.Flags(), &o.rules
	f.IntVar(&r.Status, "status", 301, "of rows that name none: 301, 302, 303, 307 or 308")
	f.StringVar(&r.Scheme, "scheme", convert.SchemeDrop, "of simple sources: drop (http and https alike) or keep")
	f.StringVar(&r.Wildcards, "wildcards", convert.WildcardsTrailing, "in simple sources: trailing (a /* at the end), all or none")
	f.StringVar(&r.Fragment, "fragment", convert.FragmentReject, "of sources: reject or drop")
	f.StringVar(&r.Slash, "slash", convert.SlashExact, "at the end of simple sources: exact, or both with and without")
	f.StringVar(&r.Query, "query", convert.QueryDrop, "the visitor's query string: drop, or keep it for the target")
	f.StringVar(&r.Relative, "relative", convert.RelativeURL, "targets that are paths: relative_url or copy_scheme_hostname")
	f.StringVar(&r.Duplicates, "duplicates", convert.DuplicatesFirst, "of rows that ask for the same and lead elsewhere: first or last wins, or error")
	f.StringArrayVar(&o.Sites, "site", nil, "a `HOST` that the property serves, so that loops over it are found (repeatable)")
	f.BoolVar(&o.Collapse, "collapse-chains", false, "let a row whose target is redirected again lead to the end")
	f.StringVar(&r.Order, "order", convert.OrderSheet, "of the rules: sheet, or specific (literals before wildcards, longer prefixes first)")
}

// chunkFlags say how rules become chunks.
func (o *convertOptions) chunkFlags(cmd *cobra.Command) {
	f, r := cmd.Flags(), &o.rules
	f.StringVar(&r.Split, "split", convert.SplitAuto, "auto (one chunk where it fits, else hash), hash, host or sequence")
	f.IntVar(&r.Buckets, "buckets", 0, "of the hash: `N` (default: as few as will do)")
	f.Float64Var(&r.Fill, "fill", 0.8, "how full a chunk is made at most, of both limits")
	f.IntVar(&r.MaxRules, "max-rules", chunkset.MaxRules, "rules in a policy at most")
	f.Int64Var(&r.MaxBytes, "max-bytes", chunkset.MaxBytes, "bytes in a policy version's body at most")
	f.StringVar(&o.Previous, "previous", "", "stay close to this earlier conversion (`DIR`): unchanged rows stay where they were")
	f.StringArrayVar(&o.With, "with", nil, "put the `RULES` that the property uses today in front: a version file, a chunk, or SNAPSHOT:POLICY@VERSION (repeatable)")
	f.StringArrayVar(&o.WithAfter, "with-after", nil, "the same, behind the sheets' (`RULES`, repeatable)")
}

// validate checks the flags that stand alone.
func (o *convertOptions) validate() error {
	r := &o.rules
	r.Name, r.API, r.Sites, r.Collapse = o.Name, cloudlet.API(o.API), o.Sites, o.Collapse
	for _, err := range []error{
		notOnlyCSV(o.To), oneOf("api", o.API, "v3", "v2"), dialectOf(o.Dialect),
		oneOf("scheme", r.Scheme, convert.SchemeDrop, convert.SchemeKeep),
		oneOf("wildcards", r.Wildcards, convert.WildcardsTrailing, convert.WildcardsAll, convert.WildcardsNone),
		oneOf("fragment", r.Fragment, convert.FragmentReject, convert.FragmentDrop), oneOf("slash", r.Slash, convert.SlashExact, convert.SlashBoth),
		oneOf("query", r.Query, convert.QueryDrop, convert.QueryKeep), oneOf("relative", r.Relative, convert.RelativeURL, convert.CopySchemeHost),
		oneOf("duplicates", r.Duplicates, convert.DuplicatesFirst, convert.DuplicatesLast, convert.DuplicatesError),
		oneOf("order", r.Order, convert.OrderSheet, convert.OrderSpecific),
		oneOf("split", r.Split, convert.SplitAuto, convert.SplitHash, convert.SplitHost, convert.SplitSequence),
	} {
		if err != nil {
			return err
		}
	}
	if !convert.IsStatus(r.Status) {
		return &usageError{text: "--status: give 301, 302, 303, 307 or 308"}
	}
	if r.Fill <= 0 || r.Fill > 1 || math.IsNaN(r.Fill) {
		return &usageError{text: "--fill: give a number above 0 and up to 1"}
	}
	if r.MaxRules < 1 || r.MaxRules > chunkset.MaxRules || r.MaxBytes < int64(chunkset.BodyOverhead)+1 || r.MaxBytes > chunkset.MaxBytes {
		return &usageError{text: fmt.Sprintf("--max-rules goes from 1 to %d, and --max-bytes from %d to %d, which is what the API takes",
			chunkset.MaxRules, chunkset.BodyOverhead+1, chunkset.MaxBytes)}
	}
	if r.Buckets < 0 || r.Buckets > 1000 || r.Buckets > 0 && (r.Split == convert.SplitHost || r.Split == convert.SplitSequence) {
		return &usageError{text: "--buckets goes with a hash, from 1 up to 1000"}
	}
	for _, host := range o.Sites {
		if host == "" || strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
			return &usageError{text: fmt.Sprintf("--site %q: give a host alone, such as www.example.com", host)}
		}
	}
	if o.Lossy && o.To == "" {
		return &usageError{text: "--lossy goes with --to csv"}
	}
	_, err := o.delimiter()
	return err
}

func notOnlyCSV(to string) error {
	if to == "" {
		return nil
	}
	return oneOf("to", to, "csv")
}

func dialectOf(dialect string) error {
	if dialect == "" {
		return nil
	}
	return oneOf("dialect", dialect, string(sheet.Simple), string(sheet.PolicyManager))
}

// delimiter reads --delimiter.
func (o *convertOptions) delimiter() (rune, error) {
	switch text := strings.ToLower(o.Delimiter); text {
	case "":
		return 0, nil
	case "tab", `\t`:
		return '\t', nil
	default:
		r, size := utf8.DecodeRuneInString(text)
		if size != len(text) || strings.ContainsRune("\"\r\n", r) || r == utf8.RuneError {
			return 0, &usageError{text: "--delimiter: give one character, or tab"}
		}
		return r, nil
	}
}
