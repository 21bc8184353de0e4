package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	text  []byte
}

// convertBack turns rules into sheets: one list of rules into a file, several into a folder.
func (a *app) convertBack(ctx context.Context, sources []string, o convertOptions) error {
	if o.Out == "" && !o.DryRun {
		return &usageError{text: "convert --to csv needs --out, a file, or a folder for several sheets"}
	}
	var files []sheetFile
	for _, source := range sources {
		lists, err := a.readRules(ctx, source)
		if err != nil {
			return err
		}
		for _, l := range lists {
			f, err := backSheet(l)
			if err != nil {
				return &usageError{text: fmt.Sprintf("%s: %s: %v", source, l.name, err)}
			}
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return &usageError{text: "there are no Edge Redirector rules in " + strings.Join(sources, ", ")}
	}
	lost := 0
	for _, f := range files {
		if len(f.Lost) > 0 && !o.Lossy {
			return &usageError{
				text: fmt.Sprintf("%s: a sheet cannot say everything: %s", f.Name, f.Lost[0]),
				hint: "--lossy leaves such things out, and names them",
			}
		}
		lost += len(f.Lost)
	}
	if !o.DryRun {
		if err := writeSheets(o, files); err != nil {
			return err
		}
	}
	return a.backSummary(o, files, lost)
}

func backSheet(l ruleList) (sheetFile, error) {
	var text bytes.Buffer
	lost, err := convert.WriteSheet(&text, l.body.Rules)
	f := sheetFile{Name: l.name + ".csv", Rules: len(l.body.Rules), Lost: []string{}, text: text.Bytes()}
	if l.version != 0 {
		f.Name = strings.TrimSuffix(snapshot.VersionFile(snapshot.PolicyFolder(l.policy), l.version), ".json") + ".csv"
	}
	for _, u := range lost {
		f.Lost = append(f.Lost, u.String())
	}
	return f, err
}

// writeSheets writes one sheet to a file, or several into a folder that must be absent or empty unless --force is given.
func writeSheets(o convertOptions, files []sheetFile) error {
	info, err := os.Stat(o.Out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &usageError{text: err.Error()}
	}
	if len(files) == 1 && (err != nil || !info.IsDir()) && !strings.HasSuffix(o.Out, string(filepath.Separator)) {
		if err == nil && !o.Force {
			return &usageError{text: o.Out + " is there already", hint: "name another file, or replace this one with --force"}
		}
		return writeAll(filepath.Dir(o.Out), []sheetFile{{Name: filepath.Base(o.Out), text: files[0].text}})
	}
	if err == nil && !info.IsDir() {
		return &usageError{text: fmt.Sprintf("%s is a file, and there are %d sheets to write", o.Out, len(files)), hint: "name a folder"}
	}
	entries, readErr := os.ReadDir(o.Out)
	if readErr == nil && len(entries) > 0 {
		if !o.Force {
			return &usageError{text: o.Out + " is not empty", hint: "name a new folder, or write into this one with --force"}
		}
		return writeAll(o.Out, files)
	}
	return writeFolder(o.Out, files)
}

// writeFolder makes a folder of sheets, which appears with all of them or not at all.
func writeFolder(dir string, files []sheetFile) error {
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return unusableOut(err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".partial-")
	if err != nil {
		return unusableOut(err)
	}
	err = writeAll(temp, files)
	if err == nil {
		err = os.Chmod(temp, 0o755) //nolint:gosec // as folders are made elsewhere
	}
	if err == nil {
		if err = os.Remove(dir); errors.Is(err, fs.ErrNotExist) { // it may be there, and empty
			err = nil
		}
	}
	if err == nil {
		err = durable.Rename(temp, dir)
	}
	if err != nil {
		return errors.Join(unusableOut(err), os.RemoveAll(temp))
	}
	return nil
}

// writeAll writes sheets into a folder, each whole or not at all.
func writeAll(dir string, files []sheetFile) (err error) {
	folder, err := durable.Create(dir)
	if err != nil {
		return unusableOut(err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	names := make([]string, 0, len(files))
	for _, f := range files {
		if err := folder.WriteFile(filepath.ToSlash(f.Name), f.text); err != nil {
			return unusableOut(err)
		}
		names = append(names, filepath.ToSlash(f.Name))
	}
	return folder.Sync(names...)
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
	headline := "Wrote sheets to " + o.Out
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
	return s.Text(a.out)
}
