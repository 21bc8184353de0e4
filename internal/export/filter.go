package export

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"cloudletmig/internal/cloudlet"
)

// filter says which policies of the lists are wanted, and remembers which wish was never met.
type filter struct {
	types  []string
	groups []int64
	refs   []cloudlet.Ref

	mu         sync.Mutex
	refsSeen   map[cloudlet.Ref]bool
	groupsSeen map[int64]bool
	typesSeen  map[string]bool
	wanted     bool // some policy was
}

func newFilter(o Options) (*filter, error) {
	f := &filter{
		types: o.Types, groups: o.Groups,
		refsSeen: map[cloudlet.Ref]bool{}, groupsSeen: map[int64]bool{}, typesSeen: map[string]bool{},
	}
	for _, text := range o.Policies {
		ref, err := cloudlet.ParseRef(text)
		if err != nil {
			return nil, err
		}
		if _, err := path.Match(ref.Text, ""); err != nil {
			return nil, fmt.Errorf("policy %q: %w", text, err)
		}
		f.refs = append(f.refs, ref)
	}
	return f, nil
}

// everything reports whether no policy is left out by name or group.
func (f *filter) everything() bool { return len(f.refs) == 0 && len(f.groups) == 0 }

// wants reports whether a policy is to be exported.
func (f *filter) wants(p cloudlet.Policy) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.typesSeen[p.Type] = true
	f.groupsSeen[p.GroupID] = true
	if len(f.types) > 0 && !slices.Contains(f.types, p.Type) || len(f.groups) > 0 && !slices.Contains(f.groups, p.GroupID) {
		return false
	}
	named := len(f.refs) == 0
	for _, ref := range f.refs {
		if match(ref, p) {
			f.refsSeen[ref] = true
			named = true
		}
	}
	f.wanted = f.wanted || named
	return named
}

func match(ref cloudlet.Ref, p cloudlet.Policy) bool {
	if ref.Names(p) {
		return true
	}
	glob, _ := path.Match(ref.Text, p.Name) // newFilter has tried the pattern
	return glob && (ref.API == "" || ref.API == p.API)
}

// missed names the policies and groups asked for that no list held; empty when each was met.
func (f *filter) missed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var missed []string
	for _, ref := range f.refs {
		if !f.refsSeen[ref] {
			missed = append(missed, "policy "+ref.String())
		}
	}
	for _, group := range f.groups {
		if !f.groupsSeen[group] {
			missed = append(missed, fmt.Sprintf("group %d (no policy is in it)", group))
		}
	}
	if len(missed) == 0 && !f.wanted && !f.everything() {
		return "--policy, --group and --type taken together"
	}
	return strings.Join(missed, ", ")
}

// Check finds what is wrong with options before anything is done.
func Check(o Options) error {
	_, err := newFilter(o)
	return err
}
