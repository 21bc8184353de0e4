package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/report"
	"cloudletmig/internal/simulator"
)

// simulateOptions are the flags of simulate.
type simulateOptions struct {
	Listen, Dir, Account, Redirects string
	Generate                        simulator.GenerateOptions
	Latency                         time.Duration
	Faults                          []string
	Seed                            uint64
	Stall                           int
	DeniedGroups                    []int64
	Absent                          []string
	AccessLog                       string
}

func (a *app) simulateCommand() *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a simulated Cloudlets API, for trying out and testing",
		Long: `simulate serves an in-memory Cloudlets API v2 and v3 on this machine over TLS until it is interrupted, and writes
ca.pem and edgerc into --dir, with which every command works against it. Nothing leaves this machine.

--fault KIND[:PROBABILITY][,name=value...] makes requests go wrong (repeatable). Kinds: latency, 429, 5xx, reset-before,
reset-after, cut-body, cut-json, stall-header, slow-body, stall-body, html, late-effect, redirect, 401. Names: method
(GET|POST), path (a part of it), skip, max, delay, jitter, status, location, advice (retry-after or none).`,
		Example: `  cloudletmig simulate --dir sim --policies 200 --versions 10
  cloudletmig export backup --edgerc sim/edgerc --ca-file sim/ca.pem
  cloudletmig simulate --dir sim --account backup        serve a snapshot again, on a host of its own
  cloudletmig simulate --fault 5xx:0.1 --fault 429:0.1,delay=1s --fault cut-body:0.05`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8443", "`HOST:PORT` to listen on; port 0 takes a free one")
	f.StringVar(&o.Dir, "dir", ".", "where ca.pem and edgerc are written")
	f.StringVar(&o.Account, "account", "", "serve this account: a folder in the layout of a snapshot, or one JSON `FILE`")
	f.StringVar(&o.Redirects, "redirects", "", "serve Edge Redirector policies made of this tab-separated `FILE` of sources and targets")
	f.IntVar(&o.Generate.Policies, "policies", 0, "make up an account with so many policies (default 24)")
	f.IntVar(&o.Generate.Versions, "versions", 0, "of each policy (default 3)")
	f.IntVar(&o.Generate.Rules, "rules", 0, "of each version (default 5)")
	f.IntVar(&o.Generate.RuleBytes, "rule-bytes", 0, "at least so many bytes a rule")
	f.BoolVar(&o.Generate.Plain, "plain", false, "leave out what makes a made-up account awkward on top of its size")
	f.BoolVar(&o.Generate.Hostile, "hostile", false, "add policies and origins with names no API would take")
	f.Uint64Var(&o.Seed, "seed", 1, "of the made-up account and of the faults")
	f.DurationVar(&o.Latency, "latency", 0, "of every answer")
	f.StringArrayVar(&o.Faults, "fault", nil, "a `FAULT`, as above (repeatable)")
	f.IntVar(&o.Stall, "stall-handshakes", 0, "leave the TLS handshake of the first `N` connections unanswered")
	f.Int64SliceVar(&o.DeniedGroups, "deny-group", nil, "policies of this group answer 403 (repeatable)")
	f.StringSliceVar(&o.Absent, "absent", nil, "parts that answer 403: v2, v3, origins")
	f.StringVar(&o.AccessLog, "access-log", "", "append a line per answered request to `FILE`: method, path, status, bytes, fault")
	return cmd
}

func (a *app) simulate(ctx context.Context, o simulateOptions) (err error) {
	options, err := o.server()
	if err != nil {
		return err
	}
	if o.AccessLog != "" {
		file, err := os.OpenFile(o.AccessLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return &usageError{text: "--access-log: " + err.Error()}
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		options.Access = func(r simulator.Request) { // one write a line keeps lines whole
			fmt.Fprintf(file, "%s %s %d %d %s\n", r.Method, r.Path, r.Status, r.Bytes, r.Fault)
		}
	}
	server := simulator.New(options)
	defer server.Close()
	if err := onlySimulated(filepath.Join(o.Dir, "edgerc")); err != nil {
		return err
	}
	_, statErr := os.Stat(o.Dir)
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return &usageError{text: "--dir: " + err.Error()}
	}
	listener, err := simulator.Listen(ctx, server, simulator.ListenOptions{Addr: o.Listen, Dir: o.Dir, StallHandshakes: o.Stall})
	if err != nil {
		if statErr != nil {
			_ = os.Remove(o.Dir) // made for nothing
		}
		return &usageError{text: "--listen: " + err.Error()}
	}
	counts := options.Account.Counts()
	fmt.Fprintf(a.err, "simulated account: %s policies, %s versions\nserving https://%s until interrupted; use it with\n"+
		"  --edgerc %s --ca-file %s\n", report.Number(counts.Policies), report.Number(counts.Versions), listener.Host,
		filepath.Join(o.Dir, "edgerc"), filepath.Join(o.Dir, "ca.pem"))
	<-ctx.Done()
	return listener.Close()
}

// onlySimulated refuses to write over credentials that are not a simulator's.
func onlySimulated(edgerc string) error {
	text, err := os.ReadFile(edgerc)
	if err == nil && !strings.Contains(string(text), "host = 127.0.0.1:") && !strings.Contains(string(text), "host = [::1]:") {
		return &usageError{text: edgerc + " is there already and is not a simulator's", hint: "name another folder with --dir"}
	}
	return nil
}

// server turns the flags into a server's options.
func (o simulateOptions) server() (simulator.Options, error) {
	options := simulator.Options{Credentials: simulator.NewCredentials(), Seed: o.Seed, DeniedGroups: o.DeniedGroups, Absent: map[string]int{}}
	if o.Latency > 0 {
		options.Faults = append(options.Faults, simulator.Fault{Kind: simulator.FaultLatency, Delay: o.Latency})
	}
	for _, text := range o.Faults {
		fault, err := simulator.ParseFault(text)
		if err != nil {
			return options, &usageError{text: "--fault: " + err.Error()}
		}
		options.Faults = append(options.Faults, fault)
	}
	for _, part := range o.Absent {
		if err := oneOf("absent", part, "v2", "v3", "origins"); err != nil {
			return options, err
		}
		options.Absent[part] = 403
	}
	account, err := o.account()
	options.Account = account
	return options, err
}

func (o simulateOptions) account() (*simulator.Account, error) {
	if o.Generate.Policies < 0 || o.Generate.Versions < 0 || o.Generate.Rules < 0 || o.Generate.RuleBytes < 0 {
		return nil, &usageError{text: "--policies, --versions, --rules and --rule-bytes cannot be negative"}
	}
	switch {
	case o.Account != "" && o.Redirects != "":
		return nil, &usageError{text: "--account and --redirects do not go together"}
	case o.Account != "":
		account, err := simulator.Load(o.Account)
		if err != nil {
			return nil, &usageError{text: "--account: " + err.Error()}
		}
		return account, nil
	case o.Redirects != "":
		return redirectAccount(o.Redirects)
	default:
		o.Generate.Seed = o.Seed
		return simulator.Generate(o.Generate), nil
	}
}

// rulesPerPolicy is how many rules a policy can hold.
const rulesPerPolicy = 5000

func redirectAccount(file string) (account *simulator.Account, err error) {
	sheet, err := os.Open(file)
	if err != nil {
		return nil, &usageError{text: "--redirects: " + err.Error()}
	}
	defer func() { err = errors.Join(err, sheet.Close()) }()
	account, err = simulator.FromRedirects(sheet, "redirects", rulesPerPolicy)
	if err != nil {
		return nil, &usageError{text: "--redirects: " + err.Error()}
	}
	return account, nil
}
