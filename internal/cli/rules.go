package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// readRules reads lists of rules: of a JSON file with matchRules, a converted folder, a snapshot, or one version of a
// snapshot as SNAPSHOT:POLICY@VERSION.
func (a *app) readRules(ctx context.Context, source string) ([]ruleList, error) {
	info, err := os.Stat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if dir, policy, version, ok := cutVersion(source); ok {
			return a.versionRules(ctx, dir, policy, version)
		}
		return nil, &usageError{text: err.Error(), hint: "give a JSON file with matchRules, a converted folder, a snapshot, or SNAPSHOT:POLICY@VERSION"}
	case err != nil:
		return nil, &usageError{text: err.Error()}
	case info.IsDir():
		return a.folderRules(ctx, source)
	case info.Size() > maxRulesFile:
		return nil, &usageError{text: source + " is far larger than a policy can be"}
	}
	doc, err := os.ReadFile(source)
	if err != nil {
		return nil, &usageError{text: err.Error()}
	}
	body, err := chunkset.ReadBody(doc)
	if err != nil {
		return nil, &usageError{text: source + ": " + err.Error()}
	}
	name := strings.TrimSuffix(filepath.Base(source), ".json")
	return []ruleList{{name: name, body: body}}, nil
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

func (a *app) versionRules(ctx context.Context, dir, policy string, version int64) ([]ruleList, error) {
	s, err := snapshot.Open(dir)
	if err != nil {
		return nil, unreadable("the snapshot", dir, err)
	}
	defer s.Close()
	p, err := find(ctx, s, listOptions{APIs: []string{"v2", "v3"}, warn: a.log.Warn}, policy)
	if err != nil {
		return nil, err
	}
	body, err := versionBody(ctx, s, p, version)
	if err != nil {
		return nil, err
	}
	return []ruleList{{name: p.Name, policy: p, version: version, body: body}}, nil
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

// folderRules reads every chunk of a converted folder, or every Edge Redirector version of a snapshot.
func (a *app) folderRules(ctx context.Context, dir string) ([]ruleList, error) {
	set, err := chunkset.Open(dir)
	if err == nil {
		defer func() { _ = set.Close() }() // it was only read
		var lists []ruleList
		for _, chunk := range set.Dispatch.Chunks {
			body, err := set.Chunk(chunk)
			if err != nil {
				return nil, &usageError{text: err.Error()}
			}
			lists = append(lists, ruleList{name: chunk.Policy, body: body})
		}
		return lists, nil
	}
	if !errors.Is(err, chunkset.ErrNoDispatch) {
		return nil, &usageError{text: dir + ": " + err.Error()}
	}
	s, err := snapshot.Open(dir)
	if errors.Is(err, snapshot.ErrNoManifest) {
		return nil, &usageError{text: dir + " is neither a converted folder nor a snapshot"}
	}
	if err != nil {
		return nil, unreadable("the snapshot", dir, err)
	}
	defer s.Close()
	return a.snapshotRules(ctx, s)
}

func (a *app) snapshotRules(ctx context.Context, s *snapshot.Snapshot) ([]ruleList, error) {
	all, err := policies(ctx, s, listOptions{APIs: []string{"v2", "v3"}, warn: a.log.Warn})
	if err != nil {
		return nil, err
	}
	var lists []ruleList
	for _, p := range all {
		if p.Type != "ER" {
			continue
		}
		text, err := s.Get(ctx, p.API.Versions(p.ID, true))
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
		slices.SortFunc(versions, func(a, b ruleList) int { return int(a.version - b.version) })
		lists = append(lists, versions...)
	}
	return lists, nil
}
