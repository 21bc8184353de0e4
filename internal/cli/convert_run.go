package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// convert turns sheets into a folder of chunks.
func (a *app) convert(ctx context.Context, sheets []string, o convertOptions) error {
	if o.Name == "" {
		return &usageError{text: "convert needs --name, which begins the names of the policies", hint: "usage: cloudletmig convert SHEET... --out DIR --name NAME"}
	}
	if err := chunkset.CheckName(o.Name, 1); err != nil {
		return &usageError{text: "--name: " + err.Error()}
	}
	dir := o.Out
	if dir == "" {
		if !o.DryRun {
			return &usageError{text: "convert needs --out, the folder to write", hint: "--dry-run prints the report and writes nothing"}
		}
		temp, err := os.MkdirTemp("", "cloudletmig-convert-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = filepath.Join(temp, "out")
	}
	out, err := chunkset.Create(dir, o.Force)
	if err != nil {
		return unusableOut(err)
	}
	result, err := a.convertInto(ctx, sheets, out, o)
	incomplete := err == nil && result.Report.Rows.Rejected > 0
	if err == nil && !o.DryRun {
		err = out.Finish()
	}
	err = errors.Join(err, out.Abort())
	return a.convertSummary(o, result, incomplete, err)
}

// unusableOut says of an output folder that cannot be written what to do instead.
func unusableOut(err error) error {
	switch {
	case errors.Is(err, chunkset.ErrNotEmpty):
		return &usageError{text: err.Error(), hint: "name a new folder, or replace this one with --force"}
	case errors.Is(err, chunkset.ErrForeign):
		return &usageError{text: err.Error(), hint: "name a new folder"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO):
		return err
	}
	return &usageError{text: "--out: " + err.Error(), hint: "name a folder that is not there yet, where you can write"}
}

func (a *app) convertInto(ctx context.Context, paths []string, out *chunkset.Writer, o convertOptions) (convert.Result, error) {
	options := o.rules
	options.Workers = runtime.GOMAXPROCS(0)
	var err error
	if options.Previous, err = openPrevious(o.Previous); err != nil {
		return convert.Result{}, err
	}
	if options.Before, err = a.existingRules(ctx, o.With); err != nil {
		return convert.Result{}, err
	}
	if options.After, err = a.existingRules(ctx, o.WithAfter); err != nil {
		return convert.Result{}, err
	}
	delimiter, err := o.delimiter()
	if err != nil {
		return convert.Result{}, err
	}
	var sheets []convert.Sheet
	defer func() {
		for _, s := range sheets {
			_ = s.Reader.Close() // it was only read
		}
	}()
	for _, path := range paths {
		r, err := sheet.Open(ctx, path, sheet.Options{
			Dialect: sheet.Dialect(o.Dialect), Delimiter: delimiter, Encoding: o.Encoding, Sheet: o.Book, Ignore: o.Ignore,
			TempDir: out.TempDir(), Stdin: a.in,
		})
		if err != nil {
			return convert.Result{}, err
		}
		name := filepath.Base(path)
		if path == "-" {
			name = "standard input"
		}
		sheets = append(sheets, convert.Sheet{Name: name, Reader: r})
	}
	return convert.Run(ctx, sheets, out, options)
}

// openPrevious reads the folder of an earlier conversion.
func openPrevious(dir string) (*convert.Previous, error) {
	if dir == "" {
		return nil, nil
	}
	set, err := chunkset.Open(dir)
	if err != nil {
		return nil, &usageError{text: "--previous: " + err.Error()}
	}
	defer set.Close()
	p, err := convert.LoadPrevious(set)
	if err != nil {
		return nil, &usageError{text: "--previous: " + err.Error()}
	}
	return p, nil
}

// existingRules reads rules that a property uses today.
func (a *app) existingRules(ctx context.Context, sources []string) ([]convert.Existing, error) {
	var all []convert.Existing
	for _, source := range sources {
		lists, err := a.readRules(ctx, source)
		if err != nil {
			return nil, err
		}
		if len(lists) != 1 {
			return nil, &usageError{text: fmt.Sprintf("--with %s: %d lists of rules, and one is needed", source, len(lists)), hint: "name one version: SNAPSHOT:POLICY@VERSION"}
		}
		for i, raw := range lists[0].body.Rules {
			e, err := convert.NewExisting(raw, source)
			if errors.Is(err, redirect.ErrNotRedirect) {
				return nil, &usageError{text: fmt.Sprintf("--with %s: rule %d is of no Edge Redirector policy", source, i+1)}
			}
			if err != nil {
				return nil, &usageError{text: fmt.Sprintf("--with %s: rule %d: %v", source, i+1, err)}
			}
			all = append(all, e)
		}
	}
	return all, nil
}
