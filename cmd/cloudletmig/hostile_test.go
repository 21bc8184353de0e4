package main_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

// TestHostileNames exports policies and origins whose names were made to break out of a folder or to collide in it.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{
		Account: simulator.Generate(simulator.GenerateOptions{Policies: 8, Versions: 1, Hostile: true, Plain: true, Seed: 2}),
	}, simulator.ListenOptions{})
	before := tree(t, l.dir)
	dir := l.path("deep", "snapshot")
	l.must(0, "export", dir, "--include-deleted")
	for name, text := range tree(t, l.dir) {
		was, known := before[name]
		inside := strings.HasPrefix(name, "deep/snapshot/") || strings.HasPrefix(name, "deep/snapshot.checkpoint.db") || name == "deep/"
		if !inside && (!known || text != was) {
			t.Errorf("%q is outside of the snapshot", name)
		}
	}
	files := snapshotTree(t, dir)
	folded, policies, origins := map[string]string{}, 0, 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		low := strings.ToLower(name)
		if twin, ok := folded[low]; ok {
			t.Errorf("%q and %q are one on some file systems", name, twin)
		}
		folded[low] = name
		portable(t, name)
		switch path.Base(name) {
		case "policy.json":
			policies++
		case "origin.json":
			origins++
		}
	}
	if want := len(l.server.Account().Policies()); policies != want {
		t.Errorf("%d policies, want %d", policies, want)
	}
	if want := len(l.server.Account().Origins()); origins != want {
		t.Errorf("%d origins, want %d", origins, want)
	}
	l.must(0, "verify", dir)
	l.must(0, "verify", dir, "--live")
	for n, args := range [][]string{nil, {"--base", dir}} {
		again := l.path(fmt.Sprint("again-", n))
		l.must(0, append([]string{"export", again, "--include-deleted"}, args...)...)
		sameTree(t, "another export", snapshotTree(t, again), files)
	}
	for _, args := range [][]string{{"list", "policies"}, {"list", "policies", "--from", dir}, {"list", "origins"}} {
		o := l.must(0, args...)
		for _, r := range o.out {
			if r < ' ' && r != '\n' || r == '\u202e' || r == '\u2028' {
				t.Errorf("%q prints %U raw", args, r)
			}
		}
	}
}

// portable wants a path that every common file system takes.
func portable(t *testing.T, name string) {
	t.Helper()
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		stem, _, _ := strings.Cut(strings.ToUpper(part), ".")
		device := slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}, stem)
		odd := strings.ContainsFunc(part, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`<>:"\|?*`, r) })
		if device || odd || len(part) > 150 || strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
			t.Errorf("%q: not every file system takes the part %q", name, part)
		}
	}
}
