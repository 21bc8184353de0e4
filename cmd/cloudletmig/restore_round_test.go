package main_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

// TestRoundTrip exports an account with policies of every type, hostile strings, gaps and deleted things, restores it onto
// nothing, exports that and restores again: equal rules for each version, in order, and nothing to send the second time.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	from := simulator.Generate(simulator.GenerateOptions{Policies: 36, Versions: 4, Rules: 9, Seed: 11})
	dir := snapshotOf(t, from)
	before := holdingOf(t, from)
	types := map[string]bool{}
	for key, p := range before {
		types[key[:3]+p.kind] = true
	}
	if len(types) < 15 { // 11 of v2, 6 of v3 at least
		t.Fatalf("only these types: %v", types)
	}
	want := before.moved().changed(func(key string, p held) (string, held, bool) {
		p.live = nothingLive()
		return key, p, key != "origin/alb_origin_2" // no policy uses it
	})
	l := newLab(t, simulator.Options{Account: roomyAccount()}, simulator.ListenOptions{})
	l.must(0, hasty("restore", dir, "--group", "77", "--report", l.path("report"))...)
	l.holds("restored", want)
	l.must(0, "export", l.path("again"), "--progress", "never")
	for _, args := range [][]string{
		hasty("restore", dir, "--group", "77", "--checkpoint", l.path("elsewhere")), hasty("restore", dir, "--group", "77"),
		hasty("restore", l.path("again")),
	} {
		l.forget(nil)
		l.must(0, args...)
		if writes := l.writes(); len(writes) > 0 {
			t.Errorf("%d requests were sent again, the first %s %s", len(writes), writes[0].Method, writes[0].Path)
		}
	}
	other := newLab(t, simulator.Options{Account: roomyAccount()}, simulator.ListenOptions{})
	other.must(0, hasty("restore", l.path("again"))...)
	other.holds("restored from the snapshot of what was restored", want)
	versions := 0
	for _, p := range want {
		versions += len(p.versions)
	}
	t.Logf("%d policies and origins of %d types with %d versions", len(want), len(types), versions)
}

// roomyAccount has a group in which everything may be done, and the origins that properties define for generated policies.
func roomyAccount() *simulator.Account {
	a := simulator.NewAccount()
	a.AddGroup(groupAfter, 0, "after", "www.example.com")
	a.AddGroup(78, groupAfter, "below", "www.example.org")
	for _, id := range []string{"clorigin3", "center"} {
		a.AddDefinedOrigin(id, id+".example.com")
	}
	return a
}

// TestRestoreChoices restores parts of a snapshot, and as something else than it was.
func TestRestoreChoices(t *testing.T) {
	t.Parallel()
	from := simulator.Generate(simulator.GenerateOptions{Policies: 36, Versions: 3, Rules: 4, Seed: 12, Origins: -1, Plain: true})
	dir := snapshotOf(t, from)
	before := holdingOf(t, from)
	pick := func(p held, wanted func(place int) bool) held {
		var versions []heldVersion
		for i, v := range p.versions {
			if wanted(i + 1) {
				versions = append(versions, v)
			}
		}
		p.versions, p.live = versions, nothingLive()
		return p
	}
	every := func(change func(p held) held) func(string, held) (string, held, bool) {
		return func(key string, p held) (string, held, bool) { return key, change(p), p.kind != "ALB" }
	}
	inV3 := []string{"ER", "AP", "CD", "IG"} // the rules of AS and FR say things there that v3 has no members for
	for name, c := range map[string]struct {
		args   []string
		exit   int
		change func(key string, p held) (string, held, bool)
		empty  bool // policies may have the empty version 1 of v2
	}{
		"latest": {args: []string{"--versions", "latest"}, exit: 3, change: every(func(p held) held {
			return pick(p, func(i int) bool { return i == len(p.versions) })
		})},
		"2": {args: []string{"--versions", "2"}, exit: 3, change: every(func(p held) held { return pick(p, func(i int) bool { return i == 2 }) })},
		"active": {args: []string{"--versions", "active"}, exit: 3, empty: true, change: func(key string, p held) (string, held, bool) {
			out := pick(p, func(i int) bool { return p.live[staging] == i || p.live[production] == i || p.pending == i })
			return key, out, p.kind != "ALB" || len(out.versions) == 0 // there is no origin for the others
		}},
		"as shared": {args: []string{"--as", "shared", "--policy", "v2:*"}, exit: 3, change: func(key string, p held) (string, held, bool) {
			name, legacy := strings.CutPrefix(key, "v2/")
			return "v3/" + name, pick(p, func(int) bool { return true }), legacy && slices.Contains(inV3, p.kind)
		}},
		"named": {args: []string{"--name-template", "copy_of_{name}_{id}", "--policy", "v3:*"}, change: func(key string, p held) (string, held, bool) {
			name, shared := strings.CutPrefix(key, "v3/")
			return fmt.Sprintf("v3/copy_of_%s_%d", name, p.id), pick(p, func(int) bool { return true }), shared
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, simulator.Options{Account: roomyAccount()}, simulator.ListenOptions{})
			args := append(hasty(append([]string{"restore", dir, "--group", "77"}, c.args...)...), "--checkpoint", l.path("journal"))
			l.must(c.exit, args...)
			want := before.moved().changed(c.change)
			if c.empty {
				want = want.changed(func(key string, p held) (string, held, bool) {
					if len(p.versions) == 0 && strings.HasPrefix(key, "v2/") {
						p.versions = []heldVersion{{content: []byte("[]")}}
					}
					return key, p, true
				})
			}
			l.holds(name, want)
			l.forget(nil)
			l.must(c.exit, append(args, "--checkpoint", l.path("elsewhere"))...)
			if writes := l.writes(); len(writes) > 0 {
				t.Errorf("%d requests were sent again, the first %s %s", len(writes), writes[0].Method, writes[0].Path)
			}
		})
	}
	t.Run("groups", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, simulator.Options{Account: roomyAccount()}, simulator.ListenOptions{})
		var table strings.Builder
		table.WriteString("old,new\n")
		to := map[int64]int64{}
		for i, g := range []int64{1234, 5678, 9012, 40498, 11754} {
			to[g] = int64(77 + i%2)
			fmt.Fprintf(&table, "%d, %d\n", g, to[g])
		}
		if err := os.WriteFile(l.path("groups.csv"), []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		l.must(3, hasty("restore", dir, "--group-map", l.path("groups.csv"), "--checkpoint", l.path("journal"))...)
		l.holds("groups", before.changed(func(key string, p held) (string, held, bool) {
			p.group, p.live = to[p.group], nothingLive()
			return key, p, p.kind != "ALB"
		}))
	})
}
