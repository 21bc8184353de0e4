package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/report"
)

// globalOptions are the flags that every command takes.
type globalOptions struct {
	EdgeRC, Section, AccountKey, CAFile string
	Workers, Retries                    int
	RPS                                 float64
	Timeout, Settle                     time.Duration
	Checkpoint                          string
	Fresh, Yes                          bool
	Output, Progress                    string
	LogLevel, LogFormat, LogFile        string

	edgeRCGiven bool
}

func (o *globalOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.EdgeRC, "edgerc", "", "credentials `FILE` (AKAMAI_EDGERC; default ~/.edgerc)")
	f.StringVar(&o.Section, "section", "", "section of the credentials file (AKAMAI_EDGERC_SECTION; default \"default\")")
	f.StringVar(&o.AccountKey, "account-key", "", "account switch `KEY` (AKAMAI_EDGERC_ACCOUNT_KEY; default from the file)")
	f.StringVar(&o.CAFile, "ca-file", "", "one more certificate authority to trust, as `PEM` file (CLOUDLETMIG_CA_FILE)")
	f.IntVar(&o.Workers, "workers", 8, "requests in flight, all kinds together")
	f.Float64Var(&o.RPS, "rps", 0, "cap on requests per second; 0: only the server's limits")
	f.IntVar(&o.Retries, "retries", 8, "attempts per read")
	f.DurationVar(&o.Timeout, "timeout", time.Minute, "for one attempt, headers and body")
	f.DurationVar(&o.Settle, "settle", 0, "how long an unanswered write may still take effect (default 2 x timeout)")
	f.StringVar(&o.Checkpoint, "checkpoint", "", "the journal's `FILE` (CLOUDLETMIG_CHECKPOINT; default beside the run's folder)")
	f.BoolVar(&o.Fresh, "fresh", false, "ignore an unfinished run of the same command and start again")
	f.StringVar(&o.Output, "output", "text", "what standard output carries: text or json")
	f.StringVar(&o.Progress, "progress", "auto", "auto, always or never: a bar on a terminal, plain lines elsewhere")
	f.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.LogFormat, "log-format", "text", "text or json; json also makes progress JSON lines")
	f.StringVar(&o.LogFile, "log-file", "", "write the log to `FILE` instead of standard error")
	f.BoolVar(&o.Yes, "yes", false, "do not ask before changing an account")
}

// complete takes from the environment what no flag has set, and checks all values.
func (o *globalOptions) complete(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	for name, to := range map[string]*string{
		"AKAMAI_EDGERC": &o.EdgeRC, "AKAMAI_EDGERC_SECTION": &o.Section, "AKAMAI_EDGERC_ACCOUNT_KEY": &o.AccountKey,
		"CLOUDLETMIG_CA_FILE": &o.CAFile, "CLOUDLETMIG_CHECKPOINT": &o.Checkpoint,
	} {
		if value, ok := lookup(name); ok && *to == "" {
			*to = value
		}
	}
	o.edgeRCGiven = o.EdgeRC != ""
	for _, check := range []error{
		atLeast("workers", o.Workers, 1), atLeast("retries", o.Retries, 1), positive("timeout", o.Timeout),
		oneOf("progress", o.Progress, "auto", "always", "never"), oneOf("log-format", o.LogFormat, "text", "json"),
	} {
		if check != nil {
			return check
		}
	}
	if o.RPS < 0 || o.Settle < 0 {
		return &usageError{text: "--rps and --settle cannot be negative"}
	}
	outputs := []string{"text", "json"}
	if cmd.Annotations["csv"] != "" {
		outputs = append(outputs, "csv")
	}
	return oneOf("output", o.Output, outputs...)
}

func atLeast(flag string, value, least int) error {
	if value >= least {
		return nil
	}
	return &usageError{text: fmt.Sprintf("--%s %d: give at least %d", flag, value, least)}
}

func positive(flag string, value time.Duration) error {
	if value > 0 {
		return nil
	}
	return &usageError{text: fmt.Sprintf("--%s %s: give more than 0", flag, value)}
}

func (o *globalOptions) level() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		return 0, oneOf("log-level", o.LogLevel, "debug", "info", "warn", "error")
	}
	return level, nil
}

// connect finds the credentials and makes a client for their account.
func (a *app) connect() (*akamai.Client, akamai.Credentials, error) {
	home, _ := a.lookup("HOME")
	creds, warnings, err := akamai.LoadCredentials(akamai.CredentialOptions{
		File: expand(a.global.EdgeRC, home), FileGiven: a.global.edgeRCGiven, Section: a.global.Section,
		AccountKey: a.global.AccountKey, Env: a.lookup, Home: home,
	})
	if err != nil {
		return nil, creds, err
	}
	for _, warning := range warnings {
		a.log.Warn(warning)
	}
	client, err := akamai.New(creds, akamai.Options{
		Workers: a.global.Workers, RPS: a.global.RPS, Retries: a.global.Retries, Timeout: a.global.Timeout,
		CAFile: a.global.CAFile, UserAgent: "cloudletmig/" + version, Log: a.log, Valid: cloudlet.ValidJSON,
	})
	return client, creds, err
}

func expand(path, home string) string {
	if len(path) > 1 && path[:2] == "~/" {
		return filepath.Join(home, path[2:])
	}
	return path
}

// accountHash tells accounts apart without naming the account switch key; empty without one.
func accountHash(creds akamai.Credentials) string {
	if creds.AccountKey.Empty() {
		return ""
	}
	sum := sha256.Sum256([]byte(creds.AccountKey.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// showProgress starts to show the progress of what; the caller stops it.
func (a *app) showProgress(what string, slowed func() string) *report.Progress {
	mode := report.Lines
	switch {
	case a.global.Progress == "never":
		mode = report.Silent
	case a.global.LogFormat == "json":
		mode = report.Events
	case terminal(a.err):
		mode = report.Bar
	case a.global.Progress == "auto" && a.global.Output == "json":
		mode = report.Silent
	}
	a.progress = report.Start(report.Options{Out: a.err, Mode: mode, What: what, Slowed: slowed})
	return a.progress
}
