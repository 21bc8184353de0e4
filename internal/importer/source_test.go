package importer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/snapshot"
)

// holding writes a snapshot of documents by their path, and opens it.
func holding(t *testing.T, docs map[string]string) *snapshot.Snapshot {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snapshot")
	folder, err := durable.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	w := snapshot.NewWriter(folder, false)
	var items []snapshot.Item
	for path, doc := range docs {
		if dir, name := filepath.Split(path); strings.HasSuffix(dir, "/versions/") {
			doc = `{"version":` + strings.TrimSuffix(name, ".json") + "," + doc[1:]
		}
		f, _, err := w.Put(snapshot.File{Path: path, Listed: "x"}, snapshot.File{}, []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, snapshot.Item{Files: []snapshot.File{f}})
	}
	all := func(yield func(snapshot.Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
	_, err = w.Finish(snapshot.Manifest{Complete: true, Options: json.RawMessage(`{}`)}, all)
	if err := errors.Join(err, folder.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// row is a row of a v3 activation history.
func row(version int, network, status string, day int) string {
	return fmt.Sprintf(`{"policyVersion":%d,"network":%q,"status":%q,"operation":"ACTIVATION","finishDate":"2024-01-%02dT00:00:00Z"}`, version, network, status, day)
}

func forward(origin string) string {
	return `{"matchRules":[{"type":"albMatchRule","forwardSettings":{"originId":"` + origin + `"}}]}`
}

// account is a snapshot with a policy of each kind that matters.
func account() map[string]string {
	const er = `{"matchRules":[{"type":"erMatchRule","name":"%s"}]}`
	return map[string]string{
		"shared/20_b/policy.json":         `{"id":20,"name":"b","cloudletType":"ER","groupId":5,"description":"of b"}`,
		"shared/20_b/versions/10.json":    fmt.Sprintf(er, "ten"),
		"shared/20_b/versions/2.json":     `{"description":"second","matchRules":null}`,
		"shared/20_b/versions/3.json":     fmt.Sprintf(er, "three"),
		"shared/20_b/activations.json":    "[" + row(10, "STAGING", "IN_PROGRESS", 5) + "," + row(3, "STAGING", "SUCCESS", 4) + "," + row(2, "PRODUCTION", "SUCCESS", 3) + "]",
		"shared/20_b/properties.json":     `[{"name":"www"},{"name":"www"},{"name":"shop"}]`,
		"legacy/9_a/policy.json":          `{"policyId":9,"name":"a","cloudletCode":"ALB","groupId":0}`,
		"legacy/9_a/versions/1.json":      forward("pool"),
		"legacy/9_a/versions/2.json":      `{"deleted":true,"matchRules":[]}`,
		"legacy/9_a/activations.json":     `[]`,
		"legacy/9_a/properties.json":      `{"www":{"name":"www"}}`,
		"legacy/8_gone/policy.json":       `{"policyId":8,"name":"gone","cloudletCode":"ER","deleted":true}`,
		"legacy/7_fr/policy.json":         `{"policyId":7,"name":"fr","cloudletCode":"FR","groupId":6}`,
		"legacy/7_fr/versions/1.json":     `{"matchRules":[{"type":"frMatchRule","matchURL":"/x","forwardSettings":{"originId":"web"}}]}`,
		"origins/pool/origin.json":        `{"originId":"pool","type":"APPLICATION_LOAD_BALANCER","description":"the pool"}`,
		"origins/pool/activations.json":   `[]`,
		"origins/pool/versions/1.json":    `{"originId":"pool","version":1,"dataCenters":[{"originId":"dc1"},{"originId":"dc2"},{"originId":"dc1"}]}`,
		"origins/unused/origin.json":      `{"originId":"unused","type":"APPLICATION_LOAD_BALANCER"}`,
		"origins/unused/versions/1.json":  `{"dataCenters":[]}`,
		"origins/unused/activations.json": `[]`,
	}
}

// list writes what is wanted: key, versions and what is to be live.
func list(wanted []Policy) string {
	var lines []string
	for _, p := range wanted {
		line := p.Key() + ":"
		for _, v := range p.Versions {
			line += fmt.Sprintf(" %d", v.Number)
		}
		for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
			if l, ok := p.Live[on]; ok {
				line += fmt.Sprintf(" %s=%d", on, l.Version)
			}
		}
		if p.Refused != "" {
			line += " refused: " + p.Refused
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestFromSnapshot(t *testing.T) {
	only := func(name string) func(cloudlet.Policy) bool {
		return func(p cloudlet.Policy) bool { return p.Name == name }
	}
	both := []cloudlet.Network{cloudlet.Staging, cloudlet.Production}
	for name, c := range map[string]struct {
		o    SnapshotOptions
		want string
		note string // a part of one of the notes
	}{
		"all": {SnapshotOptions{Versions: AllVersions}, "origins/pool: 1\nlegacy/fr: 1\nlegacy/a: 1\nshared/b: 2 3 10", "v2:9 a: version 2 is deleted in the snapshot"},
		"deleted": {
			SnapshotOptions{Versions: AllVersions, Wants: only("gone")}, "", "v2:8 gone: is deleted in the snapshot",
		},
		"latest":         {SnapshotOptions{Versions: LatestVersion, Wants: only("b")}, "shared/b: 10", ""},
		"active":         {SnapshotOptions{Versions: ActiveVersions, Wants: only("b")}, "shared/b: 2 3 10", ""},
		"number":         {SnapshotOptions{Versions: "3", Wants: only("b")}, "shared/b: 3", ""},
		"number, absent": {SnapshotOptions{Versions: "4", Wants: only("b")}, "shared/b:", "no version of it is wanted or in the snapshot"},
		"live":           {SnapshotOptions{Versions: "10", Wants: only("b"), Live: both}, "shared/b: 2 3 10 staging=3 production=2", ""},
		"live on one":    {SnapshotOptions{Versions: "10", Wants: only("b"), Live: both[1:]}, "shared/b: 2 10 production=2", ""},
		"associations":   {SnapshotOptions{Versions: AllVersions}, "origins/pool: 1\nlegacy/fr: 1\nlegacy/a: 1\nshared/b: 2 3 10", "associations: 3, of 2 policies with properties (shop, www), are not restored"},
		"no history":     {SnapshotOptions{Versions: AllVersions, Wants: only("fr")}, "legacy/fr: 1", "v2:7 fr: the snapshot has no activation history"},
		"shared": {
			SnapshotOptions{Versions: AllVersions, Wants: only("fr"), Shared: true},
			`shared/fr: refused: version 1: match rule 1: FR policies of v3 have no matchURL, and here it says "/x"`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Name, c.o.Group = "{name}", func(old int64) int64 { return old }
			wanted, notes, err := FromSnapshot(t.Context(), holding(t, account()), c.o)
			if got := list(wanted); got != c.want || err != nil {
				t.Errorf("%v\n%s\nnot\n%s", err, got, c.want)
			}
			if c.note != "" && !slices.ContainsFunc(notes, func(n Note) bool { return strings.Contains(n.Item+": "+n.Text, c.note) }) {
				t.Errorf("none of the notes says %s: %v", c.note, notes)
			}
			if alone := slices.ContainsFunc(notes, func(n Note) bool { return strings.Contains(n.Text, "the policy alone is made") }); alone != (name == "number, absent") {
				t.Errorf("%v", notes)
			}
		})
	}
}

func TestFromSnapshotDetails(t *testing.T) {
	o := SnapshotOptions{Versions: AllVersions, Name: "{id}_{name}_x", Group: func(old int64) int64 { return old * 10 }}
	wanted, _, err := FromSnapshot(t.Context(), holding(t, account()), o)
	if err != nil || len(wanted) != 4 {
		t.Fatalf("%v, %v", wanted, err)
	}
	pool, fr, alb, er := wanted[0], wanted[1], wanted[2], wanted[3]
	if !slices.Equal(pool.Origins, []string{"dc1", "dc2"}) || pool.Description != "the pool" || !pool.IsOrigin() {
		t.Errorf("pool: %+v", pool)
	}
	if !slices.Equal(fr.Forwards, []string{"web"}) || fr.Origins != nil || fr.Group != 60 || fr.Name != "7_fr_x" {
		t.Errorf("forward rewrite: %+v", fr)
	}
	if !slices.Equal(alb.Origins, []string{"pool"}) || alb.Forwards != nil || alb.Group != 0 {
		t.Errorf("load balancing: %+v", alb)
	}
	if er.Description != "of b" || er.Source != "v3:20 b" || er.Versions[0].Description != "second" || er.Versions[1].Description != "" || er.Versions[2].Rules != 1 {
		t.Errorf("redirects: %+v", er)
	}
}

func TestFromSnapshotRefuses(t *testing.T) {
	o := SnapshotOptions{Versions: AllVersions, Name: "{name}", Group: func(int64) int64 { return 1 }, Live: []cloudlet.Network{cloudlet.Production}}
	t.Run("a version that was live is not there", func(t *testing.T) {
		docs := account()
		delete(docs, "shared/20_b/versions/2.json")
		wanted, _, err := FromSnapshot(t.Context(), holding(t, docs), o)
		if got := wanted[len(wanted)-1].Refused; err != nil || !strings.Contains(got, "version 2 was active on production") {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("an origin that a property defines is not made", func(t *testing.T) {
		docs := account()
		docs["origins/pool/origin.json"] = `{"originId":"pool","type":"CUSTOMER"}`
		wanted, _, err := FromSnapshot(t.Context(), holding(t, docs), o)
		if err != nil || slices.ContainsFunc(wanted, Policy.IsOrigin) {
			t.Errorf("%s, %v", list(wanted), err)
		}
	})
	t.Run("versions that are none", func(t *testing.T) {
		o := o
		o.Versions = "newest"
		if _, _, err := FromSnapshot(t.Context(), holding(t, account()), o); err == nil {
			t.Error("newest is taken")
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := FromSnapshot(ctx, holding(t, account()), o); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// documents is a Source in memory.
type documents map[string]string

func (d documents) Document(ref string) ([]byte, error) {
	doc, ok := d[ref]
	if !ok {
		return nil, errors.New(ref + " is gone")
	}
	return []byte(doc), nil
}

func TestFromChunks(t *testing.T) {
	from := documents{
		"a.json": `{"description":"d","matchRules":[{"type":"erMatchRule"},{"type":"erMatchRule"}]}`,
		"b.json": `{"matchRules":[{"type":"vpMatchRule"}]}`,
		"c.json": `{"rules":1}`,
		"d.json": `{"matchRules":[{"type":"erMatchRule","bad":1}]}`,
	}
	check := func(c Chunk, kind string, doc []byte) error {
		if c.Owner == "set" && kind == "ER" && strings.Contains(string(doc), "bad") {
			return errors.New("bad rule")
		}
		return nil
	}
	o := ChunkOptions{API: cloudlet.V2, Group: 3, Live: []cloudlet.Network{cloudlet.Staging}, Properties: []string{"www"}, Check: check}
	wanted, err := FromChunks(from, []Chunk{{"a", "a.json", "set"}, {"b", "b.json", "set"}, {"c", "c.json", "c"}, {"d", "d.json", "set"}}, o)
	if err != nil || len(wanted) != 4 {
		t.Fatalf("%v, %v", wanted, err)
	}
	a := wanted[0]
	if a.Key() != "legacy/a" || a.Type != "ER" || a.Group != 3 || a.Description != "redirects [cloudletmig set]" || a.Owner != "set" || a.Refused != "" ||
		a.Versions[0].Rules != 2 || a.Versions[0].Description != "d" || a.Versions[0].Hash == "" ||
		a.Versions[0].Bytes != len(`{"description":"d","matchRuleFormat":"1.0","matchRules":[{"type":"erMatchRule"},{"type":"erMatchRule"}]}`) ||
		a.Live[cloudlet.Staging].Version != 1 || !slices.Equal(a.Live[cloudlet.Staging].Properties, []string{"www"}) {
		t.Errorf("%+v", a)
	}
	if wanted[1].Type != "VP" || wanted[1].Description != "rules [cloudletmig set]" || wanted[1].Refused != "" || wanted[2].Refused != "there are no matchRules" || wanted[3].Refused != "bad rule" {
		t.Errorf("%+v", wanted[1:])
	}
	if _, err := FromChunks(from, []Chunk{{"x", "x.json", "set"}}, o); err == nil || !strings.Contains(err.Error(), "x.json is gone") {
		t.Error(err)
	}
}

// server is an account of documents by path; it counts the reads under way.
type server struct {
	docs     map[string]string
	policies []string
	delay    time.Duration

	mu         sync.Mutex
	asked      []string
	busy, most int
	fails      map[string]error
}

func (s *server) Get(ctx context.Context, r cloudlet.Resource) ([]byte, error) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Path)
	s.busy++
	s.most = max(s.most, s.busy)
	doc, ok := s.docs[r.Path]
	err := s.fails[r.Path]
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(s.delay):
	}
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
	if err == nil && !ok {
		err = &cloudlet.APIError{Status: cloudlet.NotFound, Err: errors.New("no " + r.Path)}
	}
	return []byte(doc), err
}

func (s *server) Send(context.Context, cloudlet.Change) (cloudlet.Answer, error) {
	return cloudlet.Answer{}, &cloudlet.APIError{Verdict: cloudlet.Rejected, Err: errors.New("refused")}
}

func (s *server) count(part string) int {
	n := 0
	for _, path := range s.asked {
		if strings.Contains(path, part) {
			n++
		}
	}
	return n
}

// put adds a policy of redirects with versions; each has one rule, of the name given.
func (s *server) put(api cloudlet.API, id int64, name string, active int, rules ...[]string) {
	pair := func(r cloudlet.Resource, doc string) { s.docs[r.Path] = doc }
	var versions []string
	for i, names := range rules {
		doc := fmt.Sprintf(`{"version":%d,"policyVersion":%[1]d,"description":"d",%s`, i+1, document(names...)[1:])
		pair(api.Version(id, int64(i+1)), doc)
		versions = append(versions, doc)
	}
	pair(api.Versions(id, true), "["+strings.Join(versions, ",")+"]")
	rows := "[]"
	if active > 0 {
		rows = "[" + row(active, "PRODUCTION", "SUCCESS", 4) + "]"
	}
	pair(api.Activations(id), rows)
	doc := fmt.Sprintf(`{"id":%d,"policyId":%[1]d,"name":%q,"cloudletType":"ER","cloudletCode":"ER","groupId":1}`, id, name)
	s.policies = append(s.policies, doc)
	pair(api.Policies(false), "["+strings.Join(s.policies, ",")+"]")
}

func document(names ...string) string {
	var rules []string
	for _, n := range names {
		rules = append(rules, fmt.Sprintf(`{"type":"erMatchRule","name":%q,"matchURL":"/%[1]s"}`, n))
	}
	return `{"matchRules":[` + strings.Join(rules, ",") + `]}`
}

func hashed(t *testing.T, names ...string) Version {
	t.Helper()
	hash, err := Hash(Policy{API: cloudlet.V3, Type: "ER"}, []byte(document(names...)))
	if err != nil {
		t.Fatal(err)
	}
	return Version{Number: 1, Ref: "r", Hash: hash}
}

// TestCompare: a chunk is compared with the newest version and the one on production, while they are at hand.
func TestCompare(t *testing.T) {
	s := &server{docs: map[string]string{}}
	s.put(cloudlet.V3, 7, "n", 1, []string{"a", "b"}, nil, []string{"c", "b", "a"})
	s.put(cloudlet.V3, 8, "same", 1, []string{"z"}, []string{"a", "b", "c"})
	s.put(cloudlet.V3, 9, "both", 1, []string{"x"})
	source := documents{"r": document("a", "b", "c")}
	chunk := func(name string) Policy {
		return Policy{API: cloudlet.V3, Type: "ER", Name: name, Group: 1, Versions: []Version{hashed(t, "a", "b", "c")}}
	}
	wanted := []Policy{chunk("n"), chunk("same"), chunk("both"), refused(Policy{API: cloudlet.V3, Name: "none"})}
	present, err := Look(t.Context(), s, wanted, source, 4)
	if err != nil {
		t.Fatal(err)
	}
	plan := Make(wanted, present, PlanOptions{OnExisting: OnExistingVersion, Newest: true})
	Compare(&plan, present)
	got := plan.Policies[0].Compared
	if len(got) != 2 || got[0] != (Comparison{With: "production", Version: 1, Added: 1}) ||
		got[1].With != "newest" || got[1].Version != 3 || got[1].Moved == 0 || got[1].Added+got[1].Removed+got[1].Changed != 0 {
		t.Errorf("%+v", got)
	}
	if p := plan.Policies[1]; p.Action != Same || p.Compared != nil {
		t.Errorf("%s is compared: %+v", show(p), p.Compared)
	}
	if got := plan.Policies[2].Compared; !slices.Equal(got, []Comparison{{With: "newest and production", Version: 1, Added: 3, Removed: 1}}) {
		t.Errorf("%+v", got)
	}
	if n := s.count("/policies/7/versions/2"); n != 0 {
		t.Error("a version is read that is not compared")
	}
	if _, err := Look(t.Context(), s, wanted, documents{}, 4); err == nil || !strings.Contains(err.Error(), "r is gone") {
		t.Errorf("a document that is gone is compared: %v", err)
	}
}

// TestLookSideBySide: the versions of one policy are read with as many reads under way as may be and no more, and come in order.
func TestLookSideBySide(t *testing.T) {
	const limit = 8
	var rules [][]string
	for i := range 64 {
		rules = append(rules, []string{fmt.Sprintf("rule%d", i)})
	}
	s := &server{docs: map[string]string{}, delay: 5 * time.Millisecond}
	s.put(cloudlet.V3, 7, "many", 0, rules...)
	s.put(cloudlet.V3, 8, "few", 0, []string{"x"}, []string{"y"})
	wanted := []Policy{{API: cloudlet.V3, Type: "ER", Name: "many"}, {API: cloudlet.V3, Type: "ER", Name: "few"}}
	present, err := Look(t.Context(), s, wanted, nil, limit)
	if err != nil {
		t.Fatal(err)
	}
	held := present.Policies["shared/many"].Versions
	if len(held) != len(rules) || len(present.Policies["shared/few"].Versions) != 2 {
		t.Fatalf("%v", present.Policies)
	}
	for i, v := range held {
		if want := hashed(t, rules[i]...); v.Number != int64(i+1) || v.Hash != want.Hash {
			t.Errorf("%d: %+v", i, v)
		}
	}
	if s.most > limit || s.most < limit/2 {
		t.Errorf("%d reads under way", s.most)
	}

	s.fails = map[string]error{cloudlet.V3.Version(7, 9).Path: errors.New("broken")}
	s.asked = nil
	if _, err := Look(t.Context(), s, wanted, nil, limit); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Error(err)
	}
	if n := s.count("/versions/"); n > 40 {
		t.Errorf("%d versions are read although one cannot be", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Look(ctx, s, wanted, nil, limit); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLookAssociated: whether a present legacy policy can be activated is known before anything is sent.
func TestLookAssociated(t *testing.T) {
	for name, c := range map[string]struct {
		named, associated string // associated: - where it may not be listed
		production        int    // the version that is live there
		wants             string // the rule
		problem           string
		notes             int
	}{
		"none, to be added":       {"", `{}`, 0, "b", "policy 7 is associated with none, and none is named for staging", 1},
		"none, the same":          {"", `{}`, 0, "a", "policy 7 is associated with none", 1},
		"one":                     {"", `{"www":{"id":1}}`, 0, "b", "", 1},
		"one is named":            {"www", `{"www":{"id":1}}`, 0, "b", "", 1},
		"named, not to be listed": {"www", "-", 0, "b", "", 1},
		"it may not be listed":    {"", "-", 0, "b", "", 2},
		"none, and nothing sent":  {"", `{}`, -1, "a", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{docs: map[string]string{}}
			s.put(cloudlet.V2, 7, "n", 0, []string{"a"})
			properties := cloudlet.V2.Properties(7).Path
			if c.associated != "-" {
				s.docs[properties] = c.associated
			}
			live := map[cloudlet.Network]Live{}
			if c.production == 0 {
				live[cloudlet.Staging] = Live{Version: 1, Properties: strings.Fields(c.named)}
			}
			w := []Policy{{API: cloudlet.V2, Type: "ER", Name: "n", Versions: []Version{hashed(t, c.wants)}, Live: live}}
			present, err := Look(t.Context(), s, w, documents{"r": document(c.wants)}, 4)
			if err != nil {
				t.Fatal(err)
			}
			plan := Make(w, present, PlanOptions{OnExisting: OnExistingVersion, Newest: true})
			switch {
			case c.problem == "" && len(plan.Problems) > 0, c.problem != "" && (len(plan.Problems) != 1 || !strings.Contains(plan.Problems[0].Text, c.problem)):
				t.Errorf("%v, not %q", plan.Problems, c.problem)
			}
			if asked := s.count(properties) > 0; asked != (len(live) > 0) {
				t.Errorf("its properties are read: %v", asked)
			}
			var notes []Note
			for _, n := range plan.Notes {
				if strings.HasPrefix(n.Item, "properties of v2:n") {
					notes = append(notes, n)
				}
			}
			if len(notes) != c.notes-1 {
				t.Errorf("%v", plan.Notes)
			}
		})
	}
}

// TestUsers: what is found is kept when a read fails; not every policy of a large group is asked.
func TestUsers(t *testing.T) {
	s := &server{docs: map[string]string{}}
	for id := range int64(maxLookedAt + 3) {
		s.put(cloudlet.V3, id+1, fmt.Sprintf("p%d", id+1), 0)
		s.docs[cloudlet.V3.Properties(id+1).Path] = `[{"name":"www"}]`
	}
	s.docs[cloudlet.V2.Policies(false).Path] = `[]`
	groups := map[int64]bool{1: true}
	notes, err := Users(t.Context(), s, groups, map[int64]bool{1: true}, 4)
	if err != nil || len(notes) != 2 || notes[0].Item != "property www" || !strings.HasPrefix(notes[1].Text, "2 more shared policies") {
		t.Errorf("%v, %v", notes, err)
	}
	if n := s.count("/properties"); n != maxLookedAt {
		t.Errorf("%d requests for properties", n)
	}
	s.fails = map[string]error{cloudlet.V3.Properties(50).Path: errors.New("broken")}
	notes, err = Users(t.Context(), s, groups, nil, 1)
	if err == nil || len(notes) == 0 || notes[0].Item != "property www" {
		t.Errorf("%v, %v", notes, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Users(ctx, s, groups, nil, 4); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSkippedOrigin: an origin that is left as it is holds nothing back; one that fails does.
func TestSkippedOrigin(t *testing.T) {
	plan := Plan{Policies: []Planned{
		{Policy: Policy{Name: "left", Versions: versions("a")}, Action: Skip, Why: "it is present and lacks 1 versions"},
		{Policy: Policy{Name: "fails", Versions: versions("a")}, Action: Create, Add: versions("a")},
	}}
	journal := &job.Memory{}
	a := &apply{c: &creator{account: &server{}, source: documents{}, o: ApplyOptions{
		Record: func(ctx context.Context, rec job.Record, _ once.Attempt) error { return journal.Put(ctx, rec) },
	}}}
	late, err := a.origins(t.Context(), job.Pool{Workers: 1, Journal: journal}, plan)
	if !errors.Is(err, job.ErrIncomplete) || !maps.Equal(late, map[string]bool{"fails": true}) {
		t.Errorf("%v, %v", late, err)
	}
}
