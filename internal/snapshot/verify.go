package snapshot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
)

// Problem is one difference between a snapshot and its manifest.
type Problem struct {
	Path string `json:"path"`
	// Kind is missing, changed, extra, renamed, unsound (no valid JSON), unreadable, damaged (the manifest) or
	// incomplete; compared with the account also added or removed.
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

// String is one line, safe for a terminal.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s: %s", p.Kind, cloudlet.Printable(p.Path), cloudlet.Printable(p.Detail))
}

// Verify reads every file of the snapshot in dir with as many readers at a time and gives each problem that it finds,
// by path. A damaged or missing manifest is a problem too. The error speaks of a folder that cannot be read at all.
func Verify(ctx context.Context, dir string, readers int) (Manifest, []Problem, error) {
	s, err := Open(dir)
	if errors.Is(err, ErrNoManifest) || errors.Is(err, ErrDamaged) {
		return Manifest{}, []Problem{{Path: ManifestFile, Kind: "damaged", Detail: rootCause(err)}}, nil
	}
	if err != nil {
		return Manifest{}, nil, err
	}
	problems, err := s.verify(ctx, readers)
	return s.Manifest, problems, errors.Join(err, s.Close())
}

func rootCause(err error) string {
	if errors.Is(err, ErrNoManifest) {
		return "there is none, so this is no finished snapshot"
	}
	return err.Error()
}

func (s *Snapshot) verify(ctx context.Context, readers int) ([]Problem, error) {
	found := s.stated()
	extra := map[string]bool{}
	for path, err := range s.folder.Files() {
		if err != nil && !errors.Is(err, durable.ErrNotRegular) {
			return nil, err
		}
		if _, ok := s.Manifest.Files[path]; !ok && path != ManifestFile {
			extra[path] = true
		}
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(readers, 1))
	for _, path := range slices.Sorted(maps.Keys(s.Manifest.Files)) {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			if p, ok := s.check(path); ok {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, p)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found = s.renamed(found, extra)
	for path := range extra {
		found = append(found, Problem{Path: path, Kind: "extra", Detail: "the manifest does not name it"})
	}
	slices.SortFunc(found, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return found, nil
}

// stated are the problems that the manifest itself admits.
func (s *Snapshot) stated() []Problem {
	var found []Problem
	if !s.Manifest.Complete {
		found = append(found, Problem{
			Path: ManifestFile, Kind: "incomplete", Detail: fmt.Sprintf("%d items could not be exported", len(s.Manifest.Failed)),
		})
	}
	for _, f := range s.Manifest.Failed {
		found = append(found, Problem{Path: ManifestFile, Kind: "incomplete", Detail: f.Item + ": " + f.Error})
	}
	return found
}

func (s *Snapshot) check(path string) (Problem, bool) {
	f := s.Manifest.Files[path]
	if _, err := s.folder.Stat(path); err != nil {
		return Problem{Path: path, Kind: "missing", Detail: "the manifest names it, but it is not there"}, true
	}
	text, err := s.folder.ReadFile(path)
	switch {
	case err != nil:
		return Problem{Path: path, Kind: "unreadable", Detail: err.Error()}, true
	case int64(len(text)) != f.Size:
		return Problem{Path: path, Kind: "changed", Detail: fmt.Sprintf("it has %d bytes, not %d", len(text), f.Size)}, true
	case !f.fits(text):
		return Problem{Path: path, Kind: "changed", Detail: "its SHA-256 is not " + f.SHA256}, true
	case strings.HasSuffix(path, ".json") && !cloudlet.ValidJSON(text):
		return Problem{Path: path, Kind: "unsound", Detail: "it is no valid JSON, and was none when it was written"}, true
	}
	return Problem{}, false
}

// renamed turns a missing file and an extra one of the same content into one problem.
func (s *Snapshot) renamed(found []Problem, extra map[string]bool) []Problem {
	if len(extra) == 0 {
		return found
	}
	bySum := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(extra)) {
		if _, sum, err := s.folder.Sum(path); err == nil {
			bySum[hex.EncodeToString(sum[:])] = path
		}
	}
	for i, p := range found {
		if p.Kind != "missing" {
			continue
		}
		if to, ok := bySum[s.Manifest.Files[p.Path].SHA256]; ok && extra[to] {
			found[i] = Problem{Path: p.Path, Kind: "renamed", Detail: "it is now called " + to}
			delete(extra, to)
		}
	}
	return found
}

// Contents opens a folder only to see whether it holds anything: the first file in it, or "".
func Contents(dir string) (first string, err error) {
	folder, err := durable.Open(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	for path, err := range folder.Files() {
		return path, err
	}
	return "", nil
}
