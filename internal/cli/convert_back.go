package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cloudletmig/internal/convert"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/report"
	"cloudletmig/internal/snapshot"
)

// sheetFile is one sheet that rules have become.
type sheetFile struct {
	Name  string   `json:"file"`
	Rules int      `json:"rules"`
	Lost  []string `json:"lost"`
}

// standardStream is in place of a file's name for standard input or output.
const standardStream = "-"

// convertBack turns rules into sheets: one list of rules into a file or onto standard output, several into a folder. It
// holds one sheet at a time.
func (a *app) convertBack(ctx context.Context, sources []string, o convertOptions) (err error) {
	if o.Out == "" && !o.DryRun {
		return &usageError{text: "convert --to csv needs --out, a file, or a folder for several sheets"}
	}
	if o.Out == standardStream && a.global.Output != "text" {
		return &usageError{text: "standard output takes the sheet or --output " + a.global.Output + ", not both", hint: "name a file with --out"}
	}
	b := backRun{options: o, out: sheetsOut{out: o.Out, force: o.Force, dry: o.DryRun, stdout: a.out}, from: map[string]string{}}
	if err := b.out.begin(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.out.discard()) }()
	for _, source := range sources {
		for l, err := range a.eachRules(ctx, source) {
			if err == nil {
				err = b.take(ctx, source, l)
			}
			if err != nil {
				return err
			}
		}
	}
	if len(b.files) == 0 {
		return &usageError{text: "there are no Edge Redirector rules in " + strings.Join(sources, ", ")}
	}
	if err := b.out.finish(); err != nil {
		return err
	}
	return a.backSummary(o, b.files, b.lost)
}

// backRun is one conversion of rules into sheets.
type backRun struct {
	options convertOptions
	out     sheetsOut
	files   []sheetFile
	from    map[string]string // sources by the names of their sheets, whatever the case
	lost    int
}

// take makes a sheet of a list of rules. The first thing that is lost ends the run, unless --lossy is given.
func (b *backRun) take(ctx context.Context, source string, l ruleList) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, text, err := backSheet(l)
	if err != nil {
		return &usageError{text: fmt.Sprintf("%s: %s: %v", source, l.name, err)}
	}
	if len(f.Lost) > 0 && !b.options.Lossy {
		return &usageError{
			text: fmt.Sprintf("%s: a sheet cannot say everything: %s", f.Name, f.Lost[0]),
			hint: "--lossy leaves such things out, and names them",
		}
	}
	key := strings.ToLower(f.Name)
	if earlier, taken := b.from[key]; taken {
		return &usageError{
			text: fmt.Sprintf("%s and %s would both become %s", earlier, source, f.Name), hint: "convert them apart, each with its own --out",
		}
	}
	b.from[key] = source
	b.files = append(b.files, f)
	b.lost += len(f.Lost)
	return b.out.add(f.Name, text)
}

func backSheet(l ruleList) (sheetFile, []byte, error) {
	var text bytes.Buffer
	lost, err := convert.WriteSheet(&text, l.body.Rules)
	f := sheetFile{Name: l.name + ".csv", Rules: len(l.body.Rules), Lost: []string{}}
	if l.version != 0 {
		f.Name = filepath.ToSlash(strings.TrimSuffix(snapshot.VersionFile(snapshot.PolicyFolder(l.policy), l.version), ".json") + ".csv")
	}
	for _, u := range lost {
		f.Lost = append(f.Lost, u.String())
	}
	return f, text.Bytes(), err
}

// sheetsOut is where sheets go: into a file when there is one, else into a folder, which appears with all of them or not
// at all. Into a folder that is not empty, which --force allows, they go one after another once all are made.
type sheetsOut struct {
	out        string
	force, dry bool
	stdout     io.Writer // where the sheet goes when out is standardStream
	names      []string
	only       []byte          // the one sheet, until there are two
	temp       string          // where several are made; empty: nowhere yet
	folder     *durable.Folder // that is temp
	info       fs.FileInfo     // of what is there; nil: nothing
	full       bool            // it is a folder with something in it
}

// begin looks at what is there, and refuses what must not be replaced.
func (s *sheetsOut) begin() error {
	if s.dry || s.out == standardStream {
		return nil
	}
	info, err := os.Stat(s.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &usageError{text: err.Error()}
	}
	s.info = info
	if !info.IsDir() {
		return nil // what else is wrong depends on the number of sheets
	}
	entries, err := os.ReadDir(s.out)
	if err != nil {
		return unusableOut(err)
	}
	if s.full = len(entries) > 0; s.full && !s.force {
		return &usageError{text: s.out + " is not empty", hint: "name a new folder, or write into this one with --force"}
	}
	return nil
}

// add takes one sheet more.
func (s *sheetsOut) add(name string, text []byte) error {
	s.names = append(s.names, name)
	switch {
	case s.dry:
		return nil
	case len(s.names) == 1:
		s.only = text
		return nil
	case s.out == standardStream:
		return &usageError{text: "there are several sheets to write, and standard output takes one", hint: "name a folder with --out"}
	case s.info != nil && !s.info.IsDir():
		return &usageError{text: s.out + " is a file, and there are several sheets to write", hint: "name a folder"}
	}
	if err := s.open(); err != nil {
		return err
	}
	return wrapOut(s.folder.WriteFile(name, text))
}

// open makes the folder in which several sheets are made, and puts the first into it.
func (s *sheetsOut) open() error {
	if s.temp != "" {
		return nil
	}
	out := filepath.Clean(s.out)
	above := filepath.Dir(out)
	for { // what is missing is made when all is well
		if _, err := os.Stat(above); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above = filepath.Dir(above)
	}
	var err error
	if s.temp, err = os.MkdirTemp(above, filepath.Base(out)+".partial-"); err != nil {
		return unusableOut(err)
	}
	if s.folder, err = durable.Open(s.temp); err != nil {
		return unusableOut(err)
	}
	first := s.only
	s.only = nil
	return wrapOut(s.folder.WriteFile(s.names[0], first))
}

// discard removes what is left of the sheets that are not where they belong.
func (s *sheetsOut) discard() error {
	if s.temp == "" {
		return nil
	}
	var err error
	if s.folder != nil {
		err = s.folder.Close()
	}
	return errors.Join(err, os.RemoveAll(s.temp))
}

// finish puts the sheets where they belong.
func (s *sheetsOut) finish() error {
	folder := s.info != nil && s.info.IsDir() || strings.HasSuffix(s.out, string(filepath.Separator))
	switch {
	case s.dry:
		return nil
	case s.out == standardStream:
		_, err := s.stdout.Write(s.only)
		return err
	case len(s.names) == 1 && !folder:
		if s.info != nil && !s.force {
			return &usageError{text: s.out + " is there already", hint: "name another file, or replace this one with --force"}
		}
		text := s.only
		return writeSheets(filepath.Dir(s.out), []string{filepath.Base(s.out)}, func(string) ([]byte, error) { return text, nil })
	case len(s.names) == 1 && s.info != nil && !s.info.IsDir():
		return &usageError{text: s.out + " is a file", hint: "name a folder, or leave out the slash at the end"}
	}
	if err := s.open(); err != nil {
		return err
	}
	if s.full {
		return writeSheets(s.out, s.names, s.folder.ReadFile)
	}
	return wrapOut(s.appear())
}

// appear makes the folder of sheets the one that was asked for, which is not there, or empty.
func (s *sheetsOut) appear() error {
	if err := s.folder.Sync(s.names...); err != nil {
		return err
	}
	if err := os.Chmod(s.temp, 0o755); err != nil { //nolint:gosec // as folders are made elsewhere
		return err
	}
	out := filepath.Clean(s.out)
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Rename(s.temp, out)
}

// writeSheets writes sheets into a folder, each whole or not at all.
func writeSheets(dir string, names []string, read func(name string) ([]byte, error)) (err error) {
	folder, err := durable.Create(dir)
	if err != nil {
		return unusableOut(err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	for _, name := range names {
		text, err := read(name)
		if err != nil {
			return err
		}
		if err := folder.WriteFile(name, text); err != nil {
			return unusableOut(err)
		}
	}
	return folder.Sync(names...)
}

// wrapOut is unusableOut for what may be no error.
func wrapOut(err error) error {
	if err == nil {
		return nil
	}
	return unusableOut(err)
}

func (a *app) backSummary(o convertOptions, files []sheetFile, lost int) error {
	rules := 0
	for _, f := range files {
		rules += f.Rules
	}
	a.document = map[string]any{"command": "convert --to csv", "out": o.Out, "dry_run": o.DryRun, "sheets": files, "rules": rules, "lost": lost}
	if a.global.Output != "text" {
		return nil
	}
	headline, to := "Wrote sheets to "+o.Out, a.out
	if o.Out == standardStream && !o.DryRun {
		headline, to = "Wrote a sheet to standard output", a.err
	}
	if o.DryRun {
		headline = "Dry run; nothing was written"
	}
	s := report.Summary{Headline: headline, Facts: []report.Fact{
		{Name: "sheets", Value: report.Number(len(files))},
		{Name: "rules", Value: report.Number(rules)},
		{Name: "left out", Value: report.Number(lost)},
	}}
	for _, f := range files {
		for _, l := range f.Lost {
			s.Notes = append(s.Notes, report.Item{Name: f.Name, Text: l})
		}
	}
	return s.Text(to)
}
