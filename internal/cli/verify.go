package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/report"
	"cloudletmig/internal/snapshot"
)

func (a *app) verifyCommand() *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check that a snapshot is whole and unchanged, or compare it with the account",
		Long: `verify reads every file of the snapshot in DIR and compares it with the manifest: each file present and unchanged,
nothing extra, all JSON sound, nothing that had failed. With --live it also reads the account again, every version in
full, and names what is added, removed or changed since. The exit code is 4 when anything differs.`,
		Example: `  cloudletmig verify backup
  cloudletmig verify backup --live`,
		Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), args[0], live) },
	}
	cmd.Flags().BoolVar(&live, "live", false, "compare with the account as it is now")
	return cmd
}

func (a *app) verify(ctx context.Context, dir string, live bool) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if err == nil {
			err = fmt.Errorf("%s is a file, not a folder", dir)
		}
		return &usageError{text: "verify: " + err.Error(), hint: "name the folder of a snapshot"}
	}
	begun := time.Now()
	m, problems, err := snapshot.Verify(ctx, dir, a.global.Workers)
	if errors.Is(err, snapshot.ErrNewer) {
		return &usageError{text: err.Error(), hint: "use a newer version of cloudletmig"}
	}
	if err != nil {
		return err
	}
	facts := []report.Fact{
		{Name: "policies", Value: report.Number(m.Counts.Policies)},
		{Name: "versions", Value: report.Number(m.Counts.Versions)},
		{Name: "rules", Value: report.Number(m.Counts.Rules)},
		{Name: "files", Value: report.Number(m.Counts.Files) + ", " + report.Bytes(m.Counts.Bytes)},
	}
	var unread error
	if live && m.Format != 0 {
		var differences []snapshot.Problem
		if differences, unread = a.compareLive(ctx, dir); unread != nil && !errors.Is(unread, job.ErrIncomplete) {
			return unread
		}
		problems = append(problems, differences...)
	}
	if m.Format != 0 && !m.Consistent {
		facts = append(facts, report.Fact{Name: "consistent", Value: "NO: the account was changing while it was exported"})
	}
	facts = append(facts, report.Fact{Name: "time", Value: report.Duration(time.Since(begun))})
	a.document = map[string]any{
		"command": "verify", "dir": dir, "live": live, "counts": m.Counts, "problems": list(problems),
		"classes": map[string]int{"differences": len(problems)},
	}
	if a.global.Output == "text" {
		if err := a.verdict(dir, live, problems, unread, facts); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return errors.Join(unread, errDifferences)
	}
	return unread
}

// verdict prints what verify found, for people.
func (a *app) verdict(dir string, live bool, problems []snapshot.Problem, unread error, facts []report.Fact) error {
	for _, p := range problems {
		fmt.Fprintln(a.out, p)
	}
	headline := dir + ": sound, every file is what the manifest says"
	switch {
	case len(problems) > 0:
		headline = fmt.Sprintf("%s: DIFFERENCES: %d", dir, len(problems))
	case unread != nil:
		headline = dir + ": not all of the account could be read"
	case live:
		headline += ", and so is the account"
	}
	return report.Summary{Headline: headline, Facts: facts}.Text(a.out)
}

// compareLive reads what the snapshot holds from the account again and holds each document against the snapshot.
func (a *app) compareLive(ctx context.Context, dir string) ([]snapshot.Problem, error) {
	s, err := snapshot.Open(dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	client, creds, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if s.Manifest.Host != creds.Host || s.Manifest.Account != accountHash(creds) {
		return nil, &usageError{text: fmt.Sprintf("%s is a snapshot of another account (host %s)", dir, s.Manifest.Host)}
	}
	var options export.Options
	if err := json.Unmarshal(s.Manifest.Options, &options); err != nil {
		return nil, fmt.Errorf("read the options of the snapshot: %w", err)
	}
	comparer := snapshot.NewComparer(s)
	progress := a.showProgress("verify --live", slowed(client))
	defer progress.Stop()
	e := export.Export{
		Source: client, Store: comparer, Options: options, MayMiss: true, Log: a.log, Now: time.Now,
		Pool: job.Pool{Workers: a.global.Workers, Journal: &job.Memory{}, Watch: progress.Watch},
	}
	result, err := e.Run(ctx, snapshot.Manifest{})
	for _, f := range result.Manifest.Failed {
		a.log.Error("could not be compared", "item", f.Item, "error", f.Error)
	}
	if errors.Is(err, job.ErrIncomplete) {
		err = incomplete{len(result.Manifest.Failed), err}
	}
	return comparer.Differences(), err
}
