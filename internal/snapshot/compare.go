package snapshot

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"sync"

	"cloudletmig/internal/cloudlet"
)

// Comparer holds documents against a snapshot instead of storing them: it takes what a Writer takes and collects what is
// different. Safe for concurrent use.
type Comparer struct {
	with  *Snapshot
	paths map[string]string // of the snapshot's files, by key

	mu    sync.Mutex
	found map[string]Problem
}

// NewComparer compares with s.
func NewComparer(s *Snapshot) *Comparer {
	c := &Comparer{with: s, paths: map[string]string{}, found: map[string]Problem{}}
	for path := range s.Manifest.Files {
		if !isSheet(path) { // it is made of the version's document, and no part of the account
			c.paths[KeyOf(path)] = path
		}
	}
	return c
}

// Put compares doc with the snapshot's document of the same policy and version.
func (c *Comparer) Put(f, _ File, doc []byte) (File, bool, error) {
	path, ok := c.paths[KeyOf(f.Path)]
	if !ok {
		c.note(f.Path, "added", "it is in the account, not in the snapshot")
		return f, false, nil
	}
	// A copy of the snapshot's that is damaged is named by Verify.
	if old, err := c.with.Read(path); err == nil && !bytes.Equal(cloudlet.AppendCompact(nil, old), cloudlet.AppendCompact(nil, doc)) {
		c.note(path, "changed", compare(old, doc))
	}
	return f, false, nil
}

// PutSheet compares nothing: sheets are made of documents, and the account has none.
func (c *Comparer) PutSheet(f File, _ []byte) (File, error) { return f, nil }

// compare says how two documents differ, which are not the same.
func compare(old, live []byte) string {
	grade, where := cloudlet.CompareRules(rulesOf(old), rulesOf(live))
	if grade == cloudlet.Different {
		return "its rules differ from the account's at " + where
	}
	var a, b map[string]json.RawMessage
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(live, &b) != nil {
		return "it differs from the account's"
	}
	var members []string
	for name, value := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(cloudlet.AppendCompact(nil, value), cloudlet.AppendCompact(nil, other)) {
			members = append(members, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			members = append(members, name)
		}
	}
	slices.Sort(members)
	return "it differs from the account's in " + strings.Join(members, ", ")
}

func rulesOf(doc []byte) json.RawMessage {
	var version struct {
		MatchRules json.RawMessage `json:"matchRules"`
	}
	if json.Unmarshal(doc, &version) != nil {
		return nil
	}
	return version.MatchRules
}

// Holds is always true: what was compared once stays compared.
func (c *Comparer) Holds(File) bool { return true }

// Sync does nothing: nothing is stored.
func (c *Comparer) Sync(...string) error { return nil }

// Finish finds what the snapshot holds and the account does not, unless some of the account could not be read.
func (c *Comparer) Finish(m Manifest, items iter.Seq2[Item, error]) (Manifest, error) {
	live := map[string]bool{}
	for item, err := range items {
		if err != nil {
			return m, err
		}
		for _, f := range item.Files {
			m.Counts.add(f)
			live[KeyOf(f.Path)] = true
		}
	}
	for key, path := range c.paths {
		if m.Complete && !live[key] && path != IndexFile {
			c.note(path, "removed", "it is in the snapshot, not in the account")
		}
	}
	return m, nil
}

func (c *Comparer) note(path, kind, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[path] = Problem{Path: path, Kind: kind, Detail: detail}
}

// Differences are what was found, by path.
func (c *Comparer) Differences() []Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make([]Problem, 0, len(c.found))
	for _, p := range c.found {
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return found
}
