package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// convert turns sheets into a folder of chunks.
func (a *app) convert(ctx context.Context, sheets []string, o convertOptions) error {
	previous, err := openPrevious(&o)
	if err != nil {
		return err
	}
	if o.Name == "" {
		return &usageError{text: "convert needs --name, which begins the names of the policies", hint: "usage: cloudletmig convert SHEET... --out DIR --name NAME"}
	}
	if err := chunkset.CheckName(o.Name, 1); err != nil {
		return &usageError{text: "--name: " + err.Error()}
	}
	dir := o.Out
	if dir == standardStream {
		return &usageError{text: "--out - is no folder, and chunks need one", hint: "--to csv can write a sheet to standard output"}
	}
	if dir == "" {
		if !o.DryRun {
			return &usageError{text: "convert needs --out, the folder to write", hint: "--dry-run prints the report and writes nothing"}
		}
		temp, err := os.MkdirTemp("", "cloudletmig-convert-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(temp) }() // what is left is temporary
		dir = filepath.Join(temp, "out")
	}
	if o.Force {
		if err := outside(dir, sheets); err != nil {
			return err
		}
	}
	out, err := chunkset.Create(dir, o.Force)
	if err != nil {
		return unusableOut(err)
	}
	o.rules.Name, o.rules.Previous = o.Name, previous
	result, err := a.convertInto(ctx, sheets, out, o)
	incomplete := err == nil && result.Report.Rows.Rejected > 0
	if err == nil && !o.DryRun {
		err = out.Finish()
	}
	switch {
	case errors.Is(err, context.Canceled):
		err = interruptedConversion{}
	case errors.Is(err, chunkset.ErrNotEmpty): // somebody was faster
		err = unusableOut(err)
	}
	err = errors.Join(err, out.Abort())
	return a.convertSummary(o, result, incomplete, err)
}

// interruptedConversion is a conversion that was interrupted, of which nothing is left.
type interruptedConversion struct{}

func (interruptedConversion) Error() string { return "interrupted; nothing was written" }

func (interruptedConversion) Is(target error) bool { return target == context.Canceled }

func (interruptedConversion) Hint() string { return "give the same command again" }

// conversionGC is the collector's GOGC while a conversion runs.
const conversionGC = 100

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
	if _, set := a.lookup("GOGC"); !set { // its memory is small and free of pointers, its garbage short-lived
		defer debug.SetGCPercent(debug.SetGCPercent(conversionGC))
	}
	options := o.rules
	options.Workers = runtime.GOMAXPROCS(0)
	var err error
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
		sheets = append(sheets, convert.Sheet{Name: sheetName(path, paths), Reader: r})
	}
	return convert.Run(ctx, sheets, out, options)
}

// sheetName is what a sheet is called in messages: its file's name, with the whole path where another has the same.
func sheetName(path string, all []string) string {
	if path == standardStream {
		return "standard input"
	}
	name := filepath.Base(path)
	for _, other := range all {
		if other != path && filepath.Base(other) == name {
			return path
		}
	}
	return name
}

// outside refuses an output folder that holds a sheet to be read: --force would replace it.
func outside(dir string, sheets []string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for _, s := range sheets {
		path, err := filepath.Abs(s)
		if err != nil {
			return err
		}
		if below, err := filepath.Rel(dir, path); err == nil && s != standardStream && below != "." && filepath.IsLocal(below) {
			return &usageError{text: fmt.Sprintf("%s lies in the folder that is to be written", s), hint: "copy it elsewhere, or name another folder with --out"}
		}
	}
	return nil
}

// openPrevious reads the folder of an earlier conversion. Its policies keep their names.
func openPrevious(o *convertOptions) (*convert.Previous, error) {
	if o.Previous == "" {
		return nil, nil
	}
	set, err := chunkset.Open(o.Previous)
	if err != nil {
		return nil, &usageError{text: "--previous: " + err.Error()}
	}
	defer func() { _ = set.Close() }() // it was only read
	p, err := convert.LoadPrevious(set)
	if err != nil {
		return nil, &usageError{text: "--previous: " + err.Error()}
	}
	if p.Taken > 0 && len(o.With)+len(o.WithAfter) == 0 {
		return nil, &usageError{
			text: fmt.Sprintf("the conversion in %s took %d rules over (--with), and this one would lose them", o.Previous, p.Taken),
			hint: "give --with or --with-after again; to leave them out, start without --previous",
		}
	}
	if !o.apiGiven {
		o.rules.API = p.API
	}
	switch earlier := p.Dispatch.Name; o.Name {
	case "", earlier:
		o.Name = earlier
	default:
		return nil, &usageError{
			text: fmt.Sprintf("--name %s: the policies of --previous are called %s, and would all be others", o.Name, earlier),
			hint: "leave out --name or --previous",
		}
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
