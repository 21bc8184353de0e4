package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
)

// activateOptions are the flags of activate, and what its arguments name.
type activateOptions struct {
	Networks   []string
	Deactivate bool
	Properties []string
	DryRun     bool     `json:"-"`
	Deadline   deadline `json:"-"`
}

func (a *app) activateCommand() *cobra.Command {
	var o activateOptions
	cmd := &cobra.Command{
		Use:   "activate POLICY@VERSION... --network staging,production",
		Short: "Put versions live, or take them off, and wait until they are",
		Long: `activate puts one version of each policy live on a network and waits for the end. POLICY is an id or an exact name, with v2:
or v3: in front where both have it; VERSION is a number or newest. origin:ID@VERSION is a load-balancing version. With two
networks staging comes first, and a policy goes to production when it is live on staging.

The plan is shown before anything is sent. What is live already is not sent again; an activation of the same version that is
under way is waited for; of another version, too, and then ours is sent. Nobody's activation is rolled back: where somebody else
put another version live since the plan was shown, that is a conflict (exit code 15).

The API takes 10 activations a minute of shared policies (v3), 30 of legacy ones (v2) and 15 of load-balancing versions: 600
shared policies take an hour for each network. A run that is interrupted goes on with the same command and sends nothing twice.
v2 activates only policies that a property uses; --property associates one, for good. v2 has no deactivation (docs/activate.md).`,
		Example: `  cloudletmig activate static_assets@newest --network staging,production
  cloudletmig activate v3:1001@3 v3:1002@7 --network production --dry-run
  cloudletmig activate v2:shop_redirects@4 --network staging --property www.example.com
  cloudletmig activate origin:origin-pool@2 --network production
  cloudletmig activate v3:1001@3 --network production --deactivate`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return exactly("POLICY@VERSION")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			wishes, err := o.validate(args)
			if err != nil {
				return err
			}
			return a.activate(cmd.Context(), wishes, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Networks, "network", nil, "staging, production or both")
	f.BoolVar(&o.Deactivate, "deactivate", false, "take the versions off instead (v3)")
	f.StringArrayVar(&o.Properties, "property", nil, "associate the v2 policies with this property `NAME`, for good (repeatable)")
	f.BoolVar(&o.DryRun, "dry-run", false, "show the plan and send nothing")
	o.Deadline.register(f)
	return cmd
}

// wish is an argument of activate: a policy or an origin, and a version of it; 0 is the newest.
type wish struct {
	text    string
	ref     cloudlet.Ref
	origin  string
	version int64
}

// validate reads the arguments and checks the flags, and puts the networks into their order.
func (o *activateOptions) validate(args []string) ([]wish, error) {
	if len(o.Networks) == 0 {
		return nil, &usageError{text: "activate needs --network", hint: "give --network staging, production, or staging,production"}
	}
	for _, n := range o.Networks {
		if err := oneOf("network", n, string(cloudlet.Staging), string(cloudlet.Production)); err != nil {
			return nil, err
		}
	}
	slices.Sort(o.Networks)
	slices.Reverse(o.Networks) // staging comes before production
	o.Networks = slices.Compact(o.Networks)
	if err := positive("deadline", o.Deadline.d); err != nil {
		return nil, err
	}
	wishes := make([]wish, 0, len(args))
	for _, text := range args {
		w, err := parseWish(text)
		if err != nil {
			return nil, err
		}
		if o.Deactivate && (w.origin != "" || w.ref.API == cloudlet.V2) {
			return nil, noDeactivation(text)
		}
		wishes = append(wishes, w)
	}
	return wishes, nil
}

func noDeactivation(what string) error {
	return &usageError{text: what + " cannot be deactivated: only shared policies (v3) can", hint: "activate another version instead"}
}

func parseWish(text string) (wish, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return wish{}, &usageError{text: fmt.Sprintf("%q names no version", text), hint: "give POLICY@VERSION, such as " + text + "@newest"}
	}
	w := wish{text: text}
	if number := text[at+1:]; number != "newest" {
		var err error
		if w.version, err = strconv.ParseInt(number, 10, 64); err != nil || w.version < 1 {
			return wish{}, &usageError{text: fmt.Sprintf("%q: version %q is neither a number from 1 nor newest", text, number)}
		}
	}
	if id, ok := strings.CutPrefix(text[:at], "origin:"); ok {
		if w.origin = id; id == "" {
			return wish{}, &usageError{text: fmt.Sprintf("%q names no origin", text), hint: "cloudletmig list origins shows those there are"}
		}
		return w, nil
	}
	ref, err := cloudlet.ParseRef(text[:at])
	if err != nil {
		return wish{}, &usageError{text: err.Error()}
	}
	w.ref = ref
	return w, nil
}

// activateTarget is what names a run of activate in the journal: the same command goes on with it.
func activateTarget(wishes []wish, o activateOptions) string {
	words := make([]string, 0, len(wishes)+3)
	for _, w := range wishes {
		words = append(words, w.text)
	}
	words = append(words, "on", strings.Join(o.Networks, ","))
	if o.Deactivate {
		words = append(words, "off")
	}
	return strings.Join(words, " ")
}

func (a *app) activate(ctx context.Context, wishes []wish, o activateOptions) error {
	return runPlanned(ctx, a, planned[activations]{
		kind: "activate", target: activateTarget(wishes, o), journal: a.loneCheckpoint(), options: o, dryRun: o.DryRun, deadline: o.Deadline.d,
		make: func(ctx context.Context, client *akamai.Client) (activations, error) {
			return (&planner{client: client, options: o, workers: a.global.Workers, warn: a.log.Warn}).plan(ctx, wishes)
		},
		show: a.showActivations, question: activations.question, idle: true,
		refuse: func(activations) error { return nil }, leaves: func(activations) error { return nil },
		apply: func(ctx context.Context, w work, plan activations) error {
			return w.pool.Run(ctx, plan.items(w.queue)...)
		},
		finish: a.activateSummary,
	})
}
