package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/snapshot"
)

// The names of snapshots below a parent: the time in UTC, and a suffix until they are complete.
const (
	timeName = "20060102T150405Z"
	partial  = ".partial"
)

// exportInto makes a snapshot of its own in o.Into, based on the newest complete one there, and removes old ones.
func (a *app) exportInto(ctx context.Context, o exportOptions, options export.Options) error {
	client, creds, err := a.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	parent := o.Into
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return unwritable(err)
	}
	journal := cmp.Or(a.global.Checkpoint, filepath.Join(parent, ".checkpoint.db"))
	r, err := a.beginRun(ctx, "export", parent, journal, options, creds)
	if err != nil {
		return err
	}
	dir, from, err := r.place(parent, o.Base, creds)
	var result export.Result
	if err == nil {
		defer from.close()
		result, err = a.runExport(ctx, client, creds, r, exportPlan{dir: dir, base: from, options: options})
	}
	if err == nil {
		final := strings.TrimSuffix(dir, partial)
		if err = durable.Rename(dir, final); err == nil {
			dir = final
		}
	}
	if err == nil && o.Keep > 0 {
		err = a.removeOld(parent, o.Keep, ours(creds), withOptions(options))
	}
	a.document = exportDocument(dir, result, client.Stats())
	err = r.end(ctx, err, a.document)
	return a.exportSummary(dir, result, client.Stats(), r.begun, err)
}

// place finds the folder to fill: the one of the run that is resumed, else a new one; and the snapshot to base it on.
func (r *run) place(parent, named string, creds akamai.Credentials) (dir string, from base, err error) {
	complete, unfinished, err := below(parent, ours(creds))
	if err != nil {
		return "", from, err
	}
	if named == "" && len(complete) > 0 {
		named = complete[len(complete)-1]
	}
	if from, err = openBase(named, creds); err != nil {
		return "", from, err
	}
	if r.again && len(unfinished) > 0 {
		last := unfinished[len(unfinished)-1]
		return last, from, r.claim(last)
	}
	name, err := r.after(parent)
	return filepath.Join(parent, name+partial), from, err
}

// after is a name for a new snapshot in parent: the time, but later than every name there is, so that the order of the
// names is the order of the snapshots also when two are made in one second or the clock was set back.
func (r *run) after(parent string) (string, error) {
	at := r.begun.UTC().Truncate(time.Second)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if t, err := time.Parse(timeName, strings.TrimSuffix(entry.Name(), partial)); err == nil && !t.Before(at) {
			at = t.Add(time.Second)
		}
	}
	return at.Format(timeName), nil
}

// ours tells the snapshots of an account from those of others.
func ours(creds akamai.Credentials) func(snapshot.Manifest) bool {
	return func(m snapshot.Manifest) bool { return m.Host == creds.Host && m.Account == accountHash(creds) }
}

// withOptions tells the snapshots that were asked for in the same words: one of a few policies does not stand for one of
// the whole account.
func withOptions(options export.Options) func(snapshot.Manifest) bool {
	return func(m snapshot.Manifest) bool {
		var o export.Options
		return json.Unmarshal(m.Options, &o) == nil && canonical(o) == canonical(options)
	}
}

// below lists the complete snapshots in parent that are named after a time and that all of which say yes to, oldest
// first, and the folders of exports that are not complete.
func below(parent string, which ...func(snapshot.Manifest) bool) (complete, unfinished []string, err error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		name, isPartial := strings.CutSuffix(entry.Name(), partial)
		if _, err := time.Parse(timeName, name); err != nil || !entry.IsDir() {
			continue
		}
		path := filepath.Join(parent, entry.Name())
		if isPartial {
			unfinished = append(unfinished, path)
			continue
		}
		wanted, err := completeAnd(path, which)
		if err != nil {
			return nil, nil, err
		}
		if wanted {
			complete = append(complete, path)
		}
	}
	return complete, unfinished, nil
}

// completeAnd reports whether path is a complete snapshot that all of which say yes to. A damaged one is none: it is
// neither a base nor removed.
func completeAnd(path string, which []func(snapshot.Manifest) bool) (bool, error) {
	s, err := snapshot.Open(path)
	if errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrNoManifest) || errors.Is(err, snapshot.ErrNewer) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer s.Close()
	for _, says := range which {
		if !says(s.Manifest) {
			return false, nil
		}
	}
	return s.Manifest.Complete, nil
}

// removeOld removes all but the newest of the complete snapshots that all of which say yes to.
func (a *app) removeOld(parent string, keep int, which ...func(snapshot.Manifest) bool) error {
	complete, _, err := below(parent, which...)
	if err != nil {
		return err
	}
	for len(complete) > keep {
		oldest := complete[0]
		complete = complete[1:]
		// The manifest goes first: what is left of a removal that was cut short is no snapshot any more.
		if err := os.Remove(filepath.Join(oldest, snapshot.ManifestFile)); err != nil {
			return fmt.Errorf("remove old snapshot: %w", err)
		}
		if err := os.RemoveAll(oldest); err != nil {
			return fmt.Errorf("remove old snapshot: %w", err)
		}
		a.log.Info("removed old snapshot", "dir", oldest)
	}
	return nil
}
