package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/simulator"
)

func (a *app) demoCommand() *cobra.Command {
	var redirects string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole tool at work on a simulated account, in a temporary folder",
		Long: `demo starts the simulator, exports its account, interrupts the export and resumes it, verifies the snapshot, and
makes another one based on it; upgrades the legacy policies to shared ones, from the plan to the report; then it converts a redirect sheet, traces URLs through the result, and makes a sheet of
it again. It prints each command that it stands for, needs no account and leaves nothing behind.`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), redirects) },
	}
	cmd.Flags().StringVar(&redirects, "redirects", "", "use this tab-separated `FILE` of sources and targets: policies are made of it, and it is converted")
	return cmd
}

// demonstration is one run of demo: a simulator, and a folder in which commands work against it.
type demonstration struct {
	a      *app
	dir    string
	server *simulator.Server
	flags  []string
}

func (a *app) demo(ctx context.Context, redirects string) (err error) {
	account := simulator.Generate(simulator.GenerateOptions{Policies: 40, Versions: 5, Rules: 60, Seed: 1})
	if redirects != "" {
		if account, err = redirectAccount(redirects); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "cloudletmig-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server := simulator.New(simulator.Options{
		Account: account, Credentials: simulator.NewCredentials(), Seed: 1,
		ActivationTime: 300 * time.Millisecond, Limits: simulator.Limits{Shared: 600},
		Faults: []simulator.Fault{
			{Kind: simulator.FaultLatency, Delay: 5 * time.Millisecond, Jitter: 10 * time.Millisecond},
			{Kind: simulator.FaultServerError, Probability: 0.004},
			{Kind: simulator.FaultLimit, Probability: 0.002, Delay: 300 * time.Millisecond},
		},
	})
	defer server.Close()
	listener, err := simulator.Listen(ctx, server, simulator.ListenOptions{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	d := &demonstration{a: a, dir: dir, server: server, flags: []string{"--edgerc", listener.Edgerc, "--ca-file", listener.CAFile}}
	counts := account.Counts()
	d.say("A simulated account with %d policies and %d versions is being served on this machine, with some latency, errors and limits.",
		counts.Policies, counts.Versions)
	if err := d.play(ctx); err != nil {
		return err
	}
	if redirects == "" {
		if err := d.playUpgrade(ctx); err != nil {
			return err
		}
	}
	if err := d.playSheet(ctx, redirects); err != nil {
		return err
	}
	d.say("Done. The same on your account, with ~/.edgerc in place: cloudletmig export backup")
	return nil
}

// play gives the commands of the demonstration.
func (d *demonstration) play(ctx context.Context) error {
	backup := filepath.Join(d.dir, "backup")
	half, interrupt := context.WithCancel(ctx)
	defer interrupt()
	total := d.server.Account().Counts()
	d.server.Before(max(total.Versions/2, 2), "/versions/", interrupt)
	d.say("Back up everything. Half-way through, somebody presses Ctrl-C:")
	if err := d.run(half, exitInterrupted, "export", backup); err != nil {
		return err
	}
	d.say("Nothing is lost: it goes on where it was.")
	if err := d.run(ctx, exitDone, "resume", "--checkpoint", backup+".checkpoint.db"); err != nil {
		return err
	}
	d.say("Is every byte there, and is it what the account holds?")
	if err := d.run(ctx, exitDone, "verify", backup, "--live"); err != nil {
		return err
	}
	d.say("The next night, nothing has changed, so no version is fetched again:")
	if err := d.run(ctx, exitDone, "export", filepath.Join(d.dir, "tonight"), "--base", backup); err != nil {
		return err
	}
	d.say("What ran:")
	return d.run(ctx, exitDone, "runs", "--checkpoint", backup+".checkpoint.db")
}

func (d *demonstration) say(format string, args ...any) {
	fmt.Fprintf(d.a.out, "\n"+format+"\n", args...)
}

// run prints a command and runs it. An exit code other than the expected one is an error.
func (d *demonstration) run(ctx context.Context, want int, args ...string) error {
	return d.runAny(ctx, []int{want}, args...)
}

// runAny is run where several exit codes may be expected.
func (d *demonstration) runAny(ctx context.Context, want []int, args ...string) error {
	shown := strings.ReplaceAll(strings.Join(args, " "), d.dir+string(filepath.Separator), "")
	fmt.Fprintf(d.a.out, "$ cloudletmig %s\n", shown)
	exit := Run(ctx, slices.Concat(args, d.flags), d.a.lookup, d.a.in, d.a.out, d.a.err)
	if !slices.Contains(want, exit) {
		return fmt.Errorf("demo: cloudletmig %s exited %d, not %d", shown, exit, want[0])
	}
	return nil
}
