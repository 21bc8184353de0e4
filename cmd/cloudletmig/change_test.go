package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

// frozen gives the account with each policy and version as it is now: what nobody has touched is made up anew for every
// answer, and would follow a change of its policy's name or newest version.
func frozen(t *testing.T, account *simulator.Account) *simulator.Account {
	t.Helper()
	for _, p := range account.Policies() {
		name, err := json.Marshal(p.Name)
		if err == nil {
			err = account.SetPolicyMember(p.ID, "name", string(name))
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range slices.Concat(p.Versions, p.Hidden) {
			if err := account.SetVersionMember(p.ID, n, "version", fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return account
}

// changeAtRandom makes one change to the account as somebody else would, and notes the request paths of the versions
// whose documents or activations it may have changed.
func changeAtRandom(t *testing.T, random *rand.Rand, account *simulator.Account, touched map[string]bool) string {
	t.Helper()
	policies := slices.DeleteFunc(account.Policies(), func(p simulator.PolicyInfo) bool { return p.Deleted || len(p.Versions) == 0 })
	p := policies[random.IntN(len(policies))]
	number := p.Versions[random.IntN(len(p.Versions))]
	touch := func(numbers ...int64) {
		for _, n := range numbers {
			touched[versionPath(p, n)] = true
		}
	}
	network := []string{"staging", "production"}[random.IntN(2)]
	var err error
	what := ""
	switch random.IntN(8) {
	case 0, 1:
		what = "edit"
		touch(number)
		err = account.EditRules(p.ID, number, randomRules(random))
	case 2:
		what = "new version"
		number, err = account.AddVersion(p.ID, "another", randomRules(random))
		touch(number)
	case 3:
		what = "activate on " + network
		touch(p.Versions...) // the one that was active before is touched too
		err = account.Activate(p.ID, number, network)
	case 4:
		what = "rename"
		err = account.RenamePolicy(p.ID, fmt.Sprintf("renamed_%d", random.IntN(1e6)))
	case 5:
		what = "describe"
		err = account.SetPolicyMember(p.ID, "description", fmt.Sprintf(`"described %d"`, random.IntN(1e6)))
	case 6:
		what = "describe version"
		touch(number)
		err = account.SetVersionMember(p.ID, number, "description", fmt.Sprintf(`"described %d"`, random.IntN(1e6)))
	case 7:
		what = "delete"
		if len(p.Versions) > 1 {
			err = account.DeleteVersion(p.ID, number)
		} else {
			err = account.DeletePolicy(p.ID)
		}
	}
	if err != nil {
		t.Fatalf("%s version %d of %+v: %v", what, number, p, err)
	}
	return fmt.Sprintf("%s: policy %d version %d", what, p.ID, number)
}

func randomRules(random *rand.Rand) string {
	return fmt.Sprintf(`[{"type":"erMatchRule","name":"changed %d","matchURL":"/%d","redirectURL":"/there","statusCode":301}]`,
		random.IntN(1e6), random.IntN(1e6))
}

// versionPath is where the API gives a version.
func versionPath(p simulator.PolicyInfo, number int64) string {
	if p.Shared {
		return fmt.Sprintf("/cloudlets/v3/policies/%d/versions/%d", p.ID, number)
	}
	return fmt.Sprintf("/cloudlets/api/v2/policies/%d/versions/%d", p.ID, number)
}

// TestBaseEqualsFullExport changes an account again and again: an export on top of the last one equals a full one, and
// asks for no version that nothing has happened to.
func TestBaseEqualsFullExport(t *testing.T) {
	t.Parallel()
	for seed := range figures.baseSequences.n() {
		random := rand.New(rand.NewPCG(uint64(seed), 17))
		l := newLab(t, simulator.Options{
			Account: frozen(t, simulator.Generate(simulator.GenerateOptions{Policies: 10, Versions: 3, Rules: 3, Plain: true, Seed: uint64(seed)})),
		}, simulator.ListenOptions{})
		base := l.path("full-0")
		l.must(0, "export", base)
		history := ""
		for step := 1; step <= 3; step++ {
			touched := map[string]bool{}
			for range 1 + random.IntN(6) {
				history += changeAtRandom(t, random, l.server.Account(), touched) + "\n"
			}
			full, onTop := l.path(fmt.Sprint("full-", step)), l.path(fmt.Sprint("on-top-", step))
			l.must(0, "export", full)
			l.forget(nil)
			l.must(0, "export", onTop, "--base", base)
			for path, n := range l.versionRequests() {
				if !touched[path] || n != 1 {
					t.Errorf("seed %d, step %d: %d requests for %s, which was changed: %t\n%s", seed, step, n, path, touched[path], history)
				}
			}
			sameTree(t, fmt.Sprintf("seed %d, step %d: an export with a base, after\n%s", seed, step, history),
				snapshotTree(t, onTop), snapshotTree(t, full))
			history += "-- exported\n"
			base = onTop
		}
	}
}

// TestBaseFetchesWhatWasActivated activates a version that never was active, on a policy without an active one.
func TestBaseFetchesWhatWasActivated(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		account := frozen(t, simulator.Generate(simulator.GenerateOptions{Policies: 4, Versions: 2, Plain: true, Seed: 1}))
		id, err := account.AddPolicy(simulator.NewPolicy{Shared: shared, Type: "ER", Group: 1234, Name: "idle"})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 1))
		for range 3 {
			if _, err := account.AddVersion(id, "", randomRules(random)); err != nil {
				t.Fatal(err)
			}
		}
		l := newLab(t, simulator.Options{Account: account}, simulator.ListenOptions{})
		l.must(0, "export", l.path("base"))
		if err := account.Activate(id, 2, "staging"); err != nil {
			t.Fatal(err)
		}
		l.forget(nil)
		l.must(0, "export", l.path("on-top"), "--base", l.path("base"))
		want := map[string]int{versionPath(simulator.PolicyInfo{ID: id, Shared: shared}, 2): 1}
		if got := l.versionRequests(); !maps.Equal(got, want) {
			t.Errorf("requests for versions: %v, want %v", got, want)
		}
		l.forget(nil)
		l.must(0, "export", l.path("again"), "--base", l.path("on-top"))
		if got := l.versionRequests(); len(got) > 0 {
			t.Errorf("nothing has changed, but there were requests for %v", got)
		}
		l.must(0, "export", l.path("full"))
		for _, dir := range []string{"on-top", "again"} {
			sameTree(t, dir, snapshotTree(t, l.path(dir)), snapshotTree(t, l.path("full")))
		}
	}
}

// TestChangesMeanwhile changes the account between the first list and the end of an export: the snapshot equals that of
// an export in peace afterwards, and says that it is consistent.
func TestChangesMeanwhile(t *testing.T) {
	t.Parallel()
	for seed := range figures.changes.n() {
		random := rand.New(rand.NewPCG(uint64(seed), 29))
		l := newLab(t, simulator.Options{Account: frozen(t, smallAccount())}, simulator.ListenOptions{})
		var history []string
		for range 6 { // all while the lists are read for the first time
			l.server.Before(1+random.IntN(30), "GET ", func() {
				history = append(history, changeAtRandom(t, random, l.server.Account(), map[string]bool{}))
			})
		}
		dir, calm := l.path("meanwhile"), l.path("calm")
		l.must(0, "export", dir, "--workers", "1")
		if len(history) != 6 {
			t.Fatalf("only %d changes were made", len(history))
		}
		l.must(0, "export", calm)
		got, want := snapshotTree(t, dir), snapshotTree(t, calm)
		if m := manifestOf(t, got); !m.Consistent || !m.Complete {
			t.Errorf("seed %d: consistent %t, complete %t", seed, m.Consistent, m.Complete)
		}
		got["manifest.json"], want["manifest.json"] = manifestFiles(t, got), manifestFiles(t, want) // gone differs
		sameTree(t, fmt.Sprintf("seed %d: an export during which\n%s", seed, strings.Join(history, "\n")), got, want)
	}
}

type manifestFacts struct {
	Complete, Consistent bool
	Gone                 []string
	Files, Counts        json.RawMessage
}

func manifestOf(t *testing.T, files map[string]string) manifestFacts {
	t.Helper()
	var m manifestFacts
	if err := json.Unmarshal([]byte(files["manifest.json"]), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func manifestFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	m := manifestOf(t, files)
	return string(m.Counts) + string(m.Files)
}

// TestNeverResting exports an account that changes with every list that is read.
func TestNeverResting(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: frozen(t, smallAccount())}, simulator.ListenOptions{})
	p := l.server.Account().Policies()[0]
	random := rand.New(rand.NewPCG(1, 1))
	var edit func()
	list := strings.TrimSuffix(versionPath(p, 1), "/1") + "?"
	edit = func() {
		if err := l.server.Account().EditRules(p.ID, 1, randomRules(random)); err != nil {
			t.Error(err)
		}
		l.server.Before(1, list, edit)
	}
	l.server.Before(1, list, edit)
	o := l.must(0, "export", l.path("snapshot"))
	if m := manifestOf(t, tree(t, l.path("snapshot"))); m.Consistent || !m.Complete {
		t.Errorf("consistent %t, complete %t", m.Consistent, m.Complete)
	}
	if !strings.Contains(o.out, "NO: the account was still changing") {
		t.Errorf("it is not said that the snapshot is inconsistent: %s", o)
	}
	l.must(0, "verify", l.path("snapshot"))
}
