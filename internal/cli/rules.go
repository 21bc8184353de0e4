package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/snapshot"
)

// ruleList is one list of Edge Redirector rules, wherever it was read.
type ruleList struct {
	name    string // for messages, and for a file's name
	policy  cloudlet.Policy
	version int64
	body    chunkset.Body
}

// maxRulesFile is how large a file with rules may be: several times what the API takes.
const maxRulesFile = 64 << 20

// readRules reads all lists of rules of a source at once.
func (a *app) readRules(ctx context.Context, source string) ([]ruleList, error) {
	var lists []ruleList
	for l, err := range a.eachRules(ctx, source) {
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	return lists, nil
}

// eachRules gives lists of rules one after another: of a JSON file with matchRules, a converted folder, a snapshot, or one
// version of a snapshot as SNAPSHOT:POLICY@VERSION. An error is the last that comes. Of a snapshot it holds the versions of
// one policy at a time.
func (a *app) eachRules(ctx context.Context, source string) iter.Seq2[ruleList, error] {
	return func(yield func(ruleList, error) bool) {
		info, err := os.Stat(source)
		if err == nil && info.IsDir() {
			a.folderRules(ctx, source, yield)
			return
		}
		yield(a.oneList(ctx, source, info, err))
	}
}

// oneList reads the rules of a file, or of one version of a snapshot; found and missing are what is known of the file.
func (a *app) oneList(ctx context.Context, source string, found fs.FileInfo, missing error) (ruleList, error) {
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		if dir, policy, version, ok := cutVersion(source); ok {
			return a.versionRules(ctx, dir, policy, version)
		}
		return ruleList{}, &usageError{text: missing.Error(), hint: "give a JSON file with matchRules, a converted folder, a snapshot, or SNAPSHOT:POLICY@VERSION"}
	case missing != nil:
		return ruleList{}, &usageError{text: missing.Error()}
	case found.Size() > maxRulesFile:
		return ruleList{}, &usageError{text: source + " is far larger than a policy can be"}
	}
	doc, err := os.ReadFile(source)
	if err != nil {
		return ruleList{}, &usageError{text: err.Error()}
	}
	body, err := chunkset.ReadBody(doc)
	if err != nil {
		return ruleList{}, &usageError{text: source + ": " + err.Error()}
	}
	return ruleList{name: strings.TrimSuffix(filepath.Base(source), ".json"), body: body}, nil
}

// cutVersion takes SNAPSHOT:POLICY@VERSION apart.
func cutVersion(text string) (dir, policy string, version int64, ok bool) {
	rest, number, found := strings.Cut(text, "@")
	version, err := strconv.ParseInt(number, 10, 64)
	at := strings.LastIndex(rest, ":")
	if !found || err != nil || at < 1 {
		return "", "", 0, false
	}
	for _, api := range []string{":v2", ":v3"} {
		if strings.HasSuffix(rest[:at], api) {
			at -= len(api)
		}
	}
	return rest[:at], rest[at+1:], version, true
}

func (a *app) versionRules(ctx context.Context, dir, policy string, version int64) (ruleList, error) {
	s, err := snapshot.Open(dir)
	if err != nil {
		return ruleList{}, unreadable("the snapshot", dir, err)
	}
	defer s.Close()
	p, err := find(ctx, s, listOptions{APIs: []string{"v2", "v3"}, warn: a.log.Warn}, policy)
	if err != nil {
		return ruleList{}, err
	}
	body, err := versionBody(ctx, s, p, version)
	return ruleList{name: p.Name, policy: p, version: version, body: body}, err
}

func versionBody(ctx context.Context, from reader, p cloudlet.Policy, version int64) (chunkset.Body, error) {
	doc, err := from.Get(ctx, p.API.Version(p.ID, version))
	if err != nil {
		return chunkset.Body{}, &usageError{text: fmt.Sprintf("version %d of %s: %v", version, p, err)}
	}
	body, err := chunkset.ReadBody(doc)
	if err != nil {
		return chunkset.Body{}, &usageError{text: fmt.Sprintf("version %d of %s: %v", version, p, err)}
	}
	return body, nil
}

// folderRules gives every chunk of a converted folder, or every Edge Redirector version of a snapshot.
func (a *app) folderRules(ctx context.Context, dir string, yield func(ruleList, error) bool) {
	set, err := chunkset.Open(dir)
	if err == nil {
		defer func() { _ = set.Close() }() // it was only read
		for _, chunk := range set.Dispatch.Chunks {
			body, err := set.Chunk(chunk)
			if err != nil {
				err = &usageError{text: err.Error()}
			}
			if !yield(ruleList{name: chunk.Policy, body: body}, err) || err != nil {
				return
			}
		}
		return
	}
	if !errors.Is(err, chunkset.ErrNoDispatch) {
		yield(ruleList{}, &usageError{text: dir + ": " + err.Error()})
		return
	}
	s, err := snapshot.Open(dir)
	if errors.Is(err, snapshot.ErrNoManifest) {
		yield(ruleList{}, &usageError{text: dir + " is neither a converted folder nor a snapshot"})
		return
	}
	if err != nil {
		yield(ruleList{}, unreadable("the snapshot", dir, err))
		return
	}
	defer s.Close()
	a.snapshotRules(ctx, s, yield)
}

// snapshotRules gives the versions of one policy after another, each policy's in order.
func (a *app) snapshotRules(ctx context.Context, s *snapshot.Snapshot, yield func(ruleList, error) bool) {
	all, err := policies(ctx, s, listOptions{APIs: []string{"v2", "v3"}, warn: a.log.Warn})
	if err != nil {
		yield(ruleList{}, err)
		return
	}
	for _, p := range all {
		if p.Type != "ER" {
			continue
		}
		versions, err := policyRules(ctx, s, p)
		if err != nil {
			yield(ruleList{}, err)
			return
		}
		for _, v := range versions {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// policyRules reads all versions of a policy.
func policyRules(ctx context.Context, from reader, p cloudlet.Policy) ([]ruleList, error) {
	text, err := from.Get(ctx, p.API.Versions(p.ID, true))
	if err != nil {
		return nil, err
	}
	versions, err := cloudlet.ParseList(text, func(raw json.RawMessage) (ruleList, error) {
		v, err := cloudlet.ParseVersion(raw)
		if err != nil {
			return ruleList{}, err
		}
		body, err := chunkset.ReadBody(raw)
		return ruleList{name: fmt.Sprintf("%s version %d", p, v.Number), policy: p, version: v.Number, body: body}, err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	slices.SortFunc(versions, func(a, b ruleList) int { return cmp.Compare(a.version, b.version) })
	return versions, nil
}
