package upgrade

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cloudletmig/internal/cloudlet"
)

// at is a moment so many hours after the first.
func at(hours int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(hours) * time.Hour)
}

// ver is a version that was made and modified at a time.
func ver(number int64, hash, description string, made, modified int) Version {
	return Version{Number: number, Hash: hash, Description: description, Created: at(made), Modified: at(modified), By: "us", Rules: 1}
}

func inForce(staging, production int64, since int) map[cloudlet.Network]cloudlet.InForce {
	return map[cloudlet.Network]cloudlet.InForce{
		cloudlet.Staging: {Effective: staging, Since: at(since), By: "us"}, cloudlet.Production: {Effective: production, Since: at(since), By: "us"},
	}
}

// TestStand has a line for each state and beside most of them the neighbour that must be another.
func TestStand(t *testing.T) {
	t.Parallel()
	type change func(l *Legacy, s *Shared)
	for _, c := range []struct {
		name   string
		change change
		want   State
		why    string
	}{
		{"just cloned", func(*Legacy, *Shared) {}, Same, ""},
		{"numbers differ", func(_ *Legacy, s *Shared) {
			s.Versions[0].Number, s.Versions[1].Number = 7, 8
			s.Live = inForce(8, 7, 10)
		}, Same, ""},
		{"not activated yet", func(_ *Legacy, s *Shared) { s.Live = nil }, Same, ""},
		{"new version", func(l *Legacy, _ *Shared) {
			l.Versions, l.Carried = append(l.Versions, ver(3, "c", "three", 20, 20)), []int64{1, 2, 3}
		}, Behind, "not carried: version 3 (2026-01-01 20:00 by us)"},
		{"edited in place", func(l *Legacy, _ *Shared) { l.Versions[1] = ver(2, "b2", "two", 2, 20) }, Behind, "version 2"},
		{"edited in place, of the same description elsewhere", func(l *Legacy, s *Shared) {
			l.Versions[1] = ver(2, "b2", "two", 2, 20)
			s.Versions[1].Number = 9
		}, Behind, "version 2"},
		{"edited in place after it was synced", func(l *Legacy, s *Shared) {
			l.Versions[1] = ver(2, "b3", "two", 2, 30)
			s.Versions = append(s.Versions, ver(3, "b2", "two", 25, 25))
		}, Behind, "version 2"},
		{"edited in place, and the other by somebody else", func(l *Legacy, s *Shared) {
			l.Versions[1] = ver(2, "b2", "two", 2, 20)
			s.Versions[1].Hash, s.Versions[1].By, s.Versions[1].Modified = "own", "them", at(15)
		}, Diverged, "version 2"},
		{"described anew", func(l *Legacy, _ *Shared) { l.Versions[1].Description = "zwei" }, Behind, "version 2"},
		{"white space in a description", func(l *Legacy, _ *Shared) { l.Versions[1].Description = " two " }, Same, ""},
		{"own version", func(_ *Legacy, s *Shared) { s.Versions = append(s.Versions, ver(3, "own", "own", 20, 20)) }, Ahead, "version 3"},
		{"own version of a known description", func(_ *Legacy, s *Shared) { s.Versions = append(s.Versions, ver(3, "own", "two", 20, 20)) }, Ahead, "version 3"},
		{"a legacy version that is no longer carried", func(l *Legacy, _ *Shared) {
			l.Versions, l.Carried = append(l.Versions, ver(3, "c", "three", 20, 20)), []int64{3}
			l.Live = inForce(0, 0, 0)
		}, Behind, "not carried: version 3"},
		{"both", func(l *Legacy, s *Shared) {
			l.Versions, l.Carried = append(l.Versions, ver(3, "c", "three", 20, 20)), []int64{1, 2, 3}
			s.Versions = append(s.Versions, ver(3, "own", "own", 21, 21))
		}, Diverged, "shared policy 9 lacks"},
		{"both added a version of one number and description", func(l *Legacy, s *Shared) {
			l.Versions, l.Carried = append(l.Versions, ver(3, "c", "three", 20, 21)), []int64{1, 2, 3}
			s.Versions = append(s.Versions, ver(3, "own", "three", 15, 15))
		}, Diverged, "shared policy 9 lacks"},
		{"legacy activated another", func(l *Legacy, s *Shared) {
			l.Live[cloudlet.Production] = cloudlet.InForce{Effective: 2, Since: at(20), By: "us"}
		}, Behind, "on production version 2 of the legacy policy is live (2026-01-01 20:00 by us), and version 1 of the shared one (2026-01-01 10:00 by us)"},
		{"legacy activated another while ours was under way", func(l *Legacy, s *Shared) {
			l.Live[cloudlet.Production] = cloudlet.InForce{Effective: 2, Since: at(9)}
			l.Past = map[cloudlet.Network][]Past{cloudlet.Production: {{Version: 2, At: at(9)}, {Version: 1, At: at(1)}}}
		}, Behind, "on production version 2 of the legacy policy is live (2026-01-01 09:00"},
		{"shared activated another", func(_ *Legacy, s *Shared) {
			s.Live[cloudlet.Production] = cloudlet.InForce{Effective: 2, Since: at(20)}
		}, Ahead, "somebody activated that since"},
		{"shared rolled back to what was live before", func(l *Legacy, s *Shared) {
			l.Live[cloudlet.Production] = cloudlet.InForce{Effective: 2, Since: at(5)}
			l.Past = map[cloudlet.Network][]Past{cloudlet.Production: {{Version: 2, At: at(5)}, {Version: 1, At: at(1)}}}
			s.Past = map[cloudlet.Network][]Past{cloudlet.Production: {{Version: 1, At: at(20)}, {Version: 2, At: at(10)}}}
			s.Live[cloudlet.Production] = cloudlet.InForce{Effective: 1, Since: at(20)}
		}, Ahead, "somebody activated that since"},
		{"another type", func(_ *Legacy, s *Shared) { s.Type = "FR" }, Stranger, "of type FR"},
		{"nothing in common", func(_ *Legacy, s *Shared) {
			s.By, s.Live = "them", nil
			s.Versions = []Version{ver(1, "x", "x", 20, 20)}
		}, Stranger, "no version in common"},
		{"no version yet", func(_ *Legacy, s *Shared) { s.Versions, s.Live = nil, nil }, Stranger, "no version yet"},
		{"only an empty list in common", func(l *Legacy, s *Shared) {
			l.Versions[0] = Version{Number: 1, Hash: "none"}
			s.Versions, s.Live = []Version{{Number: 1, Hash: "none"}}, nil
		}, Stranger, "no version in common"},
		{"only an empty list in common, of another description", func(l *Legacy, s *Shared) {
			l.Versions[0] = Version{Number: 1, Hash: "none", Description: "first"}
			s.Versions, s.Live = []Version{{Number: 1, Hash: "none", Description: "mine"}}, nil
		}, Stranger, "no version in common"},
		{"an empty list of the same description in common", func(l *Legacy, s *Shared) {
			l.Versions[0] = Version{Number: 1, Hash: "none", Description: "first"}
			s.Versions, s.Live = []Version{{Number: 1, Hash: "none", Description: "first"}}, nil
		}, Behind, "not carried: version 2"},
		{"alike, without any rules", func(l *Legacy, s *Shared) {
			l.Versions, l.Carried, l.Live = []Version{{Number: 1, Hash: "none"}}, []int64{1}, nil
			s.Versions, s.Live = []Version{{Number: 1, Hash: "none"}}, nil
		}, Same, ""},
		{"alike, without any rules, and described otherwise", func(l *Legacy, s *Shared) {
			l.Versions, l.Carried, l.Live = []Version{{Number: 1, Hash: "none"}}, []int64{1}, nil
			s.Versions, s.Live, s.Description = []Version{{Number: 1, Hash: "none"}}, nil, "theirs"
		}, Stranger, "no version in common"},
		{"the only one, edited in place", func(l *Legacy, s *Shared) {
			l.Versions, l.Carried, l.Live = []Version{ver(1, "a2", "one", 1, 20)}, []int64{1}, nil
			s.Versions, s.Live = s.Versions[:1], nil
		}, Behind, "not carried: version 1"},
		{"the only one, without rules and edited in place", func(l *Legacy, s *Shared) {
			l.Versions, l.Carried, l.Live = []Version{ver(1, "a2", "", 1, 20)}, []int64{1}, nil
			s.Versions, s.Live = []Version{{Number: 1, Hash: "none", Created: at(10), Modified: at(10), By: "us"}}, nil
		}, Stranger, "no version in common"},
		{"taken off", func(_ *Legacy, s *Shared) {
			s.Live = inForce(2, 0, 10)
			s.Past = map[cloudlet.Network][]Past{cloudlet.Production: {{Version: 1, At: at(20), Off: true, By: "her"}, {Version: 1, At: at(10)}}}
		}, Ahead, "on production version 1 of the legacy policy is live (2026-01-01 03:00 by us), and the shared one was taken off (2026-01-01 20:00 by her); it is not put back"},
		{"not live any more, whoever saw to it", func(_ *Legacy, s *Shared) {
			s.Live = inForce(2, 0, 10)
			s.Past = map[cloudlet.Network][]Past{cloudlet.Production: {{Version: 1, At: at(10)}}}
		}, Ahead, "the shared one was taken off; it is not put back"},
		{"taken off, and being activated again", func(_ *Legacy, s *Shared) {
			s.Live = map[cloudlet.Network]cloudlet.InForce{cloudlet.Staging: {Effective: 2, Since: at(10)}, cloudlet.Production: {Pending: 1}}
			s.Past = map[cloudlet.Network][]Past{cloudlet.Production: {{Version: 1, At: at(20), Off: true, By: "her"}, {Version: 1, At: at(10)}}}
		}, Same, ""},
	} {
		l := Legacy{
			Policy:   cloudlet.Policy{ID: 1, Type: "ER"},
			Versions: []Version{ver(1, "a", "one", 1, 1), ver(2, "b", "two", 2, 2)}, Carried: []int64{1, 2}, Live: inForce(2, 1, 3),
		}
		s := Shared{
			Policy: cloudlet.Policy{ID: 9, Type: "ER"}, By: "us", Created: at(10),
			Versions: []Version{ver(1, "a", "one", 10, 10), ver(2, "b", "two", 10, 10)}, Live: inForce(2, 1, 10),
		}
		c.change(&l, &s)
		got := stand(l, &s)
		if got.State != c.want || !strings.Contains(got.Why, c.why) || (got.Why == "") != (c.want == Same) {
			t.Errorf("%s: %s %q, want %s %q", c.name, got.State, got.Why, c.want, c.why)
		}
	}
	if got := stand(Legacy{}, nil); got.State != Absent {
		t.Errorf("no shared policy: %s", got.State)
	}
}

// TestMatch pairs any versions with a clone of them, renumbered and in any order of numbers: each has a partner with the
// same content, nobody has two, and what is taken away, added or changed is told.
func TestMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.IntRange(0, 3)
		var legacy []Version
		for n := range rapid.IntRange(1, 8).Draw(t, "versions") {
			legacy = append(legacy, Version{
				Number: int64(2*n + 1), Hash: string(rune('a' + few.Draw(t, "hash"))), Description: string(rune('p' + few.Draw(t, "description"))),
			})
		}
		shared := slices.Clone(legacy)
		if rapid.Bool().Draw(t, "renumbered") {
			for i := range shared {
				shared[i].Number = int64(i + 1)
			}
		}
		shared = rapid.Permutation(shared).Draw(t, "order")
		pairs, missing, extra := match(legacy, shared)
		if len(pairs) != len(legacy) || len(missing)+len(extra) > 0 {
			t.Fatalf("pairs %v, missing %v, extra %v", pairs, missing, extra)
		}
		seen := map[int64]bool{}
		for _, p := range pairs {
			a, _ := version(legacy, p.From)
			b, _ := version(shared, p.To)
			if seen[p.To] || a.Hash != b.Hash || a.Description != b.Description {
				t.Fatalf("pair %v: %v and %v", p, a, b)
			}
			seen[p.To] = true
		}
		i := rapid.IntRange(0, len(shared)-1).Draw(t, "changed")
		shared[i].Hash = "another"
		if _, missing, extra := match(legacy, shared); len(missing) != 1 || len(extra) != 1 || extra[0].Number != shared[i].Number {
			t.Fatalf("version %d was changed: missing %v, extra %v", shared[i].Number, missing, extra)
		}
		if _, missing, extra := match(legacy, slices.Delete(shared, i, i+1)); len(missing) != 1 || len(extra) != 0 {
			t.Fatalf("a version was taken away: missing %v, extra %v", missing, extra)
		}
	})
}

func TestMatchKeepsNumbers(t *testing.T) {
	t.Parallel()
	equal := func(n int64) Version { return Version{Number: n, Hash: "a"} }
	for _, c := range []struct{ legacy, shared, want []int64 }{
		{[]int64{1, 2, 3}, []int64{1, 2, 3}, []int64{1, 2, 3}},
		{[]int64{2, 3}, []int64{1, 2, 3}, []int64{2, 3}}, // the same number first
		{[]int64{2, 5}, []int64{1, 2}, []int64{2, 1}},    // then the lowest that is left
		{[]int64{4, 7, 9}, []int64{1, 2, 3}, []int64{1, 2, 3}},
	} {
		var legacy, shared []Version
		for _, n := range c.legacy {
			legacy = append(legacy, equal(n))
		}
		for _, n := range c.shared {
			shared = append(shared, equal(n))
		}
		pairs, _, _ := match(legacy, shared)
		var got []int64
		for _, p := range pairs {
			got = append(got, p.To)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v to %v: %v, want %v", c.legacy, c.shared, got, c.want)
		}
	}
	// What is live may share the partner of its equal.
	legacy := []Version{equal(1), equal(2)}
	if _, missing, _ := match(legacy, []Version{equal(1)}); len(missing) != 1 {
		t.Errorf("missing %v", missing)
	}
	if pairs, missing, _ := match(legacy, []Version{equal(1)}, 2); len(missing) != 0 || partnerOf(pairs, 2) != 1 {
		t.Errorf("version 2 is live: pairs %v, missing %v", pairs, missing)
	}
}

func TestCarried(t *testing.T) {
	t.Parallel()
	dated := func(hours ...int) (all []Version) {
		for i, h := range hours {
			all = append(all, Version{Number: int64(i + 1), Modified: at(h)})
		}
		return all
	}
	for _, c := range []struct {
		name                        string
		versions                    []Version
		staging, production, coming int64
		which                       string
		also                        []Version
		carried, additional         []int64
	}{
		{"nothing live", dated(1, 2, 3), 0, 0, 0, ActiveVersions, nil, []int64{3}, nil},
		{"an older one was modified last", dated(1, 5, 3), 0, 0, 0, ActiveVersions, nil, []int64{2}, nil},
		{"two modified last: it is told the one", dated(1, 5, 5), 0, 0, 0, ActiveVersions, nil, []int64{3}, []int64{3}},
		{"live ones", dated(1, 2, 3, 4), 1, 2, 0, ActiveVersions, nil, []int64{1, 2, 4}, nil},
		{"one that is under way is told", dated(1, 2, 3, 4), 1, 0, 2, ActiveVersions, nil, []int64{1, 2, 4}, []int64{2}},
		{"all", dated(1, 2, 3, 4), 1, 0, 0, AllVersions, nil, []int64{1, 2, 3, 4}, []int64{2, 3}},
		{"those of a plan", dated(1, 2, 3, 4), 1, 0, 0, ActiveVersions, []Version{{Number: 3}, {Number: 8}}, []int64{1, 3, 4}, []int64{3}},
		{"one live that was deleted", dated(1, 2), 7, 0, 0, ActiveVersions, nil, []int64{2}, nil},
		{"no version", nil, 0, 0, 0, AllVersions, nil, nil, nil},
	} {
		l := Legacy{Versions: c.versions, Live: map[cloudlet.Network]cloudlet.InForce{
			cloudlet.Staging: {Effective: c.staging, Pending: c.coming}, cloudlet.Production: {Effective: c.production},
		}}
		l.Carried = carriedSet(l.Versions, l.Live, c.which, c.also)
		if !slices.Equal(l.Carried, c.carried) || !slices.Equal(additional(l), c.additional) {
			t.Errorf("%s: carried %v, told %v", c.name, l.Carried, additional(l))
		}
	}
}
