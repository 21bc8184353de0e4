package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// diffSides opens both sides; done closes them and removes what was made for them.
func (a *app) diffSides(ctx context.Context, left, right string, f *diffFilter) (sides [2]*snapshot.Snapshot, done func() error, err error) {
	var undo []func() error
	done = func() error {
		var err error
		for _, step := range slices.Backward(undo) {
			err = errors.Join(err, step())
		}
		return err
	}
	names := [2]string{left, right}
	for i, name := range names {
		if name == liveSide {
			continue
		}
		if sides[i], err = snapshot.Open(name); err != nil {
			return sides, nil, errors.Join(unreadable([2]string{"A", "B"}[i], name, err), done())
		}
		undo = append(undo, sides[i].Close)
	}
	at := slices.Index(names[:], liveSide)
	if at < 0 {
		return sides, done, nil
	}
	dir, err := os.MkdirTemp("", "cloudletmig-diff-")
	if err != nil {
		return sides, nil, errors.Join(fmt.Errorf("make a folder for the account's snapshot: %w", err), done())
	}
	undo = append(undo, func() error { return os.RemoveAll(dir) })
	if sides[at], err = a.exportAside(ctx, filepath.Join(dir, liveSide), sides[1-at], f); err != nil {
		return sides, nil, errors.Join(err, done())
	}
	undo = append(undo, sides[at].Close)
	return sides, done, nil
}

// exportAside exports the account into dir, as far as it is to be compared with other. What fails is in the log, and the
// snapshot is incomplete.
func (a *app) exportAside(ctx context.Context, dir string, other *snapshot.Snapshot, f *diffFilter) (*snapshot.Snapshot, error) {
	client, creds, err := a.connect()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	m := other.Manifest
	same := m.Host == creds.Host && m.Account == accountHash(creds)
	options, err := a.asideOptions(ctx, other, same, f)
	if err != nil {
		return nil, err
	}
	if err := a.runAside(ctx, client, creds, dir, other, same, options); err != nil && !errors.Is(err, job.ErrIncomplete) {
		return nil, err
	}
	return snapshot.Open(dir)
}

func (a *app) runAside(ctx context.Context, client *akamai.Client, creds akamai.Credentials, dir string, other *snapshot.Snapshot, same bool, options export.Options) (err error) {
	folder, err := durable.Create(dir, durable.Private())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	progress := a.showProgress("diff: read the account", slowed(client))
	defer progress.Stop()
	e := export.Export{
		Source: client, Store: snapshot.NewWriter(folder, options.Format == export.Pretty), Options: options, MayMiss: true, Log: a.log, Now: time.Now,
		Pool: job.Pool{Workers: a.global.Workers, Writers: writers, Queue: 2, Journal: &job.Memory{}, Watch: progress.Watch},
	}
	if same {
		e.Base = other
	}
	result, err := e.Run(ctx, snapshot.Manifest{
		Tool: "cloudletmig " + version, Host: creds.Host, Account: accountHash(creds), Started: time.Now().UTC(),
	})
	for _, f := range result.Manifest.Failed {
		a.log.Error("could not be compared", "item", f.Item, "error", f.Error)
	}
	return err
}

// asideOptions are those of the other side, narrowed to what is compared.
func (a *app) asideOptions(ctx context.Context, other *snapshot.Snapshot, same bool, f *diffFilter) (export.Options, error) {
	var o export.Options
	if err := json.Unmarshal(other.Manifest.Options, &o); err != nil {
		return o, fmt.Errorf("read the options of the snapshot: %w", err)
	}
	o.CSV = false
	if !same { // another account has other groups
		o.Groups = nil
	}
	o.APIs = slices.DeleteFunc(o.APIs, func(api cloudlet.API) bool { return !slices.Contains(f.apis, string(api)) })
	if len(o.APIs) == 0 {
		return o, &usageError{text: "the snapshot has no policies of the APIs that --api names"}
	}
	if len(o.Types) == 0 {
		o.Types = f.types
	}
	if len(o.Policies) > 0 || len(f.refs) == 0 {
		return o, nil
	}
	for _, ref := range f.refs {
		o.Policies = append(o.Policies, ref.String())
	}
	if !same {
		return o, nil
	}
	// A policy that has another name by now is still the same policy.
	known, err := policies(ctx, other, listOptions{APIs: []string{"v2", "v3"}, Deleted: true, warn: a.log.Warn})
	if err != nil {
		return o, damagedSide(err)
	}
	for _, p := range known {
		if f.wants(p) {
			o.Policies = append(o.Policies, fmt.Sprintf("%s:%d", p.API, p.ID))
		}
	}
	return o, nil
}

// warnOfOptions says when one snapshot may lack what the other has because it was not asked for.
func (a *app) warnOfOptions(left, right *snapshot.Snapshot) {
	var x, y export.Options
	if json.Unmarshal(left.Manifest.Options, &x) != nil || json.Unmarshal(right.Manifest.Options, &y) != nil {
		return
	}
	x.CSV, y.CSV, x.Format, y.Format = false, false, "", ""
	if left.Manifest.Run != "" && right.Manifest.Run != "" && canonical(x) != canonical(y) {
		a.log.Warn("the snapshots were exported with different options: what one of them left out looks added or removed",
			"a", canonical(x), "b", canonical(y))
	}
}
