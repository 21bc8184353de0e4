// Package cli is the command line: flags become options, options become a wired use case, and errors become one
// sentence, a hint and an exit code. Each command has a file of its own.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/report"
)

// app is one call of the program.
type app struct {
	args   []string
	lookup func(string) (string, bool)
	in     io.Reader
	out    io.Writer
	err    io.Writer
	global globalOptions
	creds  akamai.Credentials // of the account that is changed
	target string             // resume: what the run that goes on works on

	progress *report.Progress // nil until a command shows progress
	log      *slog.Logger
	logFile  *os.File
	document map[string]any // what --output json prints beside exit and error; nil: nothing was printed yet
	begun    bool           // the first members of the JSON document are printed already
}

// Run runs the program with its arguments and gives its exit code. When ctx ends, what runs stops in order, so that it
// can be resumed.
func Run(ctx context.Context, args []string, env func(string) (string, bool), in io.Reader, out, errOut io.Writer) int {
	a := &app{args: args, lookup: env, in: in, out: out, err: errOut, log: slog.New(slog.DiscardHandler)}
	err := a.command().ExecuteContext(ctx) //nolint:contextcheck // commands take it from cobra
	exit := exitOf(err)
	if err != nil && ctx.Err() != nil {
		exit = exitInterrupted
	}
	a.complain(err)
	if err := a.printDocument(exit, err); err != nil {
		fmt.Fprintf(errOut, "cloudletmig: error: write the result: %v\n", err)
		exit = max(exit, exitFailed)
	}
	if err := a.closeLog(); err != nil {
		fmt.Fprintf(errOut, "cloudletmig: error: write the log: %v\n", err)
	}
	return exit
}

func (a *app) closeLog() error {
	if a.logFile == nil {
		return nil
	}
	return a.logFile.Close()
}

// command is the tree of commands, wired to this call.
func (a *app) command() *cobra.Command {
	root := a.root()
	root.SetArgs(a.args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	return root
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cloudletmig",
		Short: "Back up and move Akamai Cloudlets policies in bulk",
		Long: `cloudletmig moves Akamai Cloudlets policies in bulk: out of an account, whole, as a snapshot that can be verified;
killed and resumed at will.

Try it without an account: cloudletmig demo`,
		Example: `  cloudletmig export backup                     back up everything into the folder backup
  cloudletmig export --into backups --keep 14   a nightly backup that fetches only what has changed
  cloudletmig verify backup                     is every byte still there?
  cloudletmig list policies --from backup       what is in it`,
		SilenceErrors: true, SilenceUsage: true, Version: version,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return &usageError{text: fmt.Sprintf("unknown command %q", args[0]), hint: "cloudletmig --help lists the commands"}
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	a.global.register(root.PersistentFlags())
	root.SetGlobalNormalizationFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "accountkey" {
			name = "account-key"
		}
		return pflag.NormalizedName(name)
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{text: flagError(err), hint: cmd.CommandPath() + " --help lists the flags"}
	})
	root.AddCommand(a.exportCommand(), a.verifyCommand(), a.diffCommand(), a.listCommand(), a.convertCommand(), a.traceCommand(),
		a.importCommand(), a.restoreCommand(), a.upgradeCommand(), a.activateCommand(), a.runsCommand(), a.resumeCommand(),
		a.simulateCommand(), a.demoCommand(), a.versionCommand(), a.completionCommand())
	root.SetHelpCommand(a.helpCommand())
	root.CompletionOptions.DisableDefaultCmd = true
	return root
}

// flagError is the error of a flag without the names of functions that Go's own errors have.
func flagError(err error) string {
	text := err.Error()
	for _, mended := range []struct{ from, to string }{
		{`strconv\.Parse\w+: parsing "([^"]*)": invalid syntax`, `"$1" is no number`},
		{`strconv\.Parse\w+: parsing "([^"]*)": value out of range`, `"$1" is too large`},
		{`time: missing unit in duration "([^"]*)"`, `"$1" has no unit, such as ${1}s`},
		{`time: invalid duration "([^"]*)"`, `"$1" is no duration, such as 30s or 5m`},
	} {
		text = regexp.MustCompile(mended.from).ReplaceAllString(text, mended.to)
	}
	return text
}

// prepare checks the global flags and opens the log, before any command runs.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := a.global.complete(cmd, a.lookup); err != nil {
		return err
	}
	level, err := a.global.level()
	if err != nil {
		return err
	}
	to := io.Writer(logWriter{a})
	if a.global.LogFile != "" {
		if a.logFile, err = os.OpenFile(a.global.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return &usageError{text: "open the log file: " + err.Error()}
		}
		to = a.logFile
	}
	if a.global.LogFormat == "json" {
		a.log = slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level}))
		return nil
	}
	a.log = slog.New(tint.NewTextHandler(to, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !a.colours() || a.logFile != nil}))
	return nil
}

// logWriter sends log lines to standard error, past a progress bar where there is one.
type logWriter struct{ a *app }

func (w logWriter) Write(line []byte) (int, error) {
	if w.a.progress != nil {
		return w.a.progress.Write(line)
	}
	return w.a.err.Write(line)
}

// complain prints an error as one line, and its hint as another.
func (a *app) complain(err error) {
	if err == nil || exitOf(err) == exitDifferences { // they are on standard output
		return
	}
	fmt.Fprintf(a.err, "cloudletmig: error: %s\n", oneLine(err.Error()))
	var hinted interface{ Hint() string }
	switch {
	case errors.As(err, &hinted) && hinted.Hint() != "":
		fmt.Fprintf(a.err, "cloudletmig: hint: %s\n", hinted.Hint())
	case errors.Is(err, syscall.ENOSPC):
		fmt.Fprintln(a.err, "cloudletmig: hint: free some space, then give the same command again")
	}
}

// oneLine puts the lines of joined errors behind one another.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", "; ")), " ")
}

// printDocument prints the one JSON document of --output json: the command's facts, the exit code and the error.
func (a *app) printDocument(exit int, err error) error {
	if a.global.Output != "json" || a.document == nil && err == nil {
		return nil
	}
	doc := map[string]any{"exit": exit}
	maps.Copy(doc, a.document)
	if err != nil {
		doc["error"] = oneLine(err.Error())
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	if a.begun {
		text.Bytes()[0] = ','
	}
	_, err = a.out.Write(text.Bytes())
	return err
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// colours reports whether standard error may be coloured.
func (a *app) colours() bool {
	no, _ := a.lookup("NO_COLOR")
	return no == "" && terminal(a.err)
}

// exactly is cobra.ExactArgs with an error that says what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return &usageError{text: fmt.Sprintf("%s needs %s", cmd.CommandPath(), names[len(args)]), hint: "usage: " + cmd.UseLine()}
		case len(args) > len(names):
			return &usageError{text: fmt.Sprintf("%s takes no argument %q", cmd.CommandPath(), args[len(names)]), hint: "usage: " + cmd.UseLine()}
		}
		return nil
	}
}

// oneOf checks that a flag has one of the values that it can have.
func oneOf(flag, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return &usageError{text: fmt.Sprintf("--%s %q: give one of %s", flag, value, strings.Join(values, ", "))}
}
