package upgrade

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/cloudlet"
)

func named2(id int64, name, kind string) cloudlet.Policy {
	return cloudlet.Policy{API: cloudlet.V2, ID: id, Name: name, Type: kind}
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 62)
	e := Estate{
		All:   []cloudlet.Policy{named2(1, "shop", "ER"), named2(2, "gate", "IG"), named2(3, long+"ab", "ER"), named2(4, long+"cd", "ER"), named2(5, "old", "ER")},
		Names: map[string]Shared{"gate_v3": {Policy: cloudlet.Policy{Type: "ER"}}, "shop_v3": {Policy: cloudlet.Policy{Type: "ER"}}, "old_v3_5": {Policy: cloudlet.Policy{Type: "ER"}}},
	}
	got := Names(e, Options{Name: "{name}_v3"})
	want := map[int64]string{
		1: "shop_v3",   // of an earlier upgrade, or a stranger's: stand says
		2: "gate_v3_2", // a shared policy of another type has it
		3: long + "ab", // cut
		4: long + "cd", // cut, and not the same
		5: "old_v3_5",  // it was told apart before, and stays so
	}
	if !maps.Equal(got, want) {
		t.Errorf("names: %v", got)
	}
	got = Names(e, Options{Name: "x_{name}"})
	if got[3] != "x_"+long || got[4] != "x_"+long[:60]+"_4" {
		t.Errorf("names that are the same when they are cut: %q, %q", got[3], got[4])
	}
	got = Names(e, Options{Name: "p{id}", Edits: map[int64]Edit{1: {NewName: "p2"}}})
	if got[1] != "p2" || got[2] != "p2_2" || got[3] != "p3" {
		t.Errorf("names beside those of a plan: %v", got)
	}
}

// TestNamesFit wants every name to be one that the API takes, and no two policies to have one.
func TestNamesFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]{58}[a-b]{0,6}`), 1, 20, rapid.ID).Draw(t, "names")
		e := Estate{Names: map[string]Shared{}}
		for i, name := range names {
			e.All = append(e.All, named2(int64(i+1), name, "ER"))
		}
		template := rapid.SampledFrom([]string{"{name}_shared", "shared_{name}", "a_long_beginning_{name}", "{name}"}).Draw(t, "template")
		seen := map[string]bool{}
		for id, name := range Names(e, Options{Name: template}) {
			if seen[name] || len(name) > cloudlet.MaxName || !cloudlet.ValidName(name) {
				t.Fatalf("policy %d gets %q", id, name)
			}
			seen[name] = true
		}
	})
}

// account gives a group tree as the API does: 1 above 2 and 3, and in 4 nothing may be done.
func groupTree(t *testing.T) []cloudlet.Group {
	t.Helper()
	var groups []cloudlet.Group
	for _, g := range [][3]string{{"1", "0", `"View","Edit","Activate"`}, {"2", "1", `"View","Edit","Activate"`}, {"3", "1", `"View","Edit"`}, {"4", "1", `"View"`}} {
		group, err := cloudlet.ParseGroup(json.RawMessage(fmt.Sprintf(
			`{"groupId":%s,"parentId":%s,"groupName":"g%s","capabilities":[{"cloudletId":0,"cloudletCode":"ER","capabilities":[%s]}]}`, g[0], g[1], g[0], g[2])))
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, group)
	}
	return groups
}

// TestObstacles has a line for everything that stands in the way, each beside a policy in whose way nothing stands.
func TestObstacles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why    string
		change func(l *Legacy, e *Estate, o *Options)
	}{
		{"", func(*Legacy, *Estate, *Options) {}},
		{"v3 has no policies of type ALB", func(l *Legacy, _ *Estate, _ *Options) { l.Type = "ALB" }},
		{"cannot be read", func(l *Legacy, _ *Estate, _ *Options) { l.Unread = "it cannot be read" }},
		{"no matchURL", func(l *Legacy, _ *Estate, _ *Options) { l.Refused = "FR policies of v3 have no matchURL" }},
		{"no version that could be carried", func(l *Legacy, _ *Estate, _ *Options) { l.Carried = nil }},
		{"", func(l *Legacy, _ *Estate, _ *Options) { l.Versions[0].Rules = 5000 }},
		{"version 1 has 5001 rules", func(l *Legacy, _ *Estate, _ *Options) { l.Versions[0].Rules = 5001 }},
		{"", func(l *Legacy, _ *Estate, _ *Options) { l.Bytes = 5242880 }},
		{"5242881 bytes", func(l *Legacy, _ *Estate, _ *Options) { l.Bytes = 5242881 }},
		{"description has 256 characters", func(l *Legacy, _ *Estate, _ *Options) { l.Description = strings.Repeat("ü", 256) }},
		{"", func(l *Legacy, _ *Estate, _ *Options) { l.Description = strings.Repeat("ü", 255) }},
		{"must have 1 to 64 characters", func(_ *Legacy, _ *Estate, o *Options) { o.Name = "{name} shared" }},
		{"activation of version 1 on staging is pending", func(l *Legacy, _ *Estate, _ *Options) {
			l.Live = map[cloudlet.Network]cloudlet.InForce{cloudlet.Staging: {Pending: 1}}
		}},
		{"it has no group", func(l *Legacy, _ *Estate, _ *Options) { l.GroupID = 0 }},
		{"", func(l *Legacy, _ *Estate, o *Options) { l.GroupID, o.Group = 0, func(int64) int64 { return 2 } }},
		{"group 9 is not in the account", func(l *Legacy, _ *Estate, _ *Options) { l.GroupID = 9 }},
		{"", func(l *Legacy, e *Estate, _ *Options) { l.GroupID, e.Groups = 9, nil }},
		{"no capability Edit for ER policies in group 4", func(l *Legacy, _ *Estate, _ *Options) { l.GroupID = 4 }},
		{"", func(l *Legacy, _ *Estate, _ *Options) { l.GroupID = 3 }},
		{"no capability Activate for ER policies in group 3", func(l *Legacy, _ *Estate, o *Options) {
			l.GroupID, l.Live, o.Activate = 3, inForce(1, 0, 0), networks()
		}},
		{"", func(l *Legacy, _ *Estate, _ *Options) {
			l.Properties = []Use{{Property: "above", Group: 1}, {Property: "own", Group: 2}, {Property: "unknown"}}
		}},
		{"group-unfit: group 1 does not fit below: ", func(l *Legacy, _ *Estate, _ *Options) {
			l.GroupID, l.Properties = 1, []Use{{Property: "below", Group: 2}}
		}},
		{"group 2 would fit all", func(l *Legacy, _ *Estate, _ *Options) {
			l.GroupID, l.Properties = 1, []Use{{Property: "below", Group: 2}}
		}},
		{"no group would fit all", func(l *Legacy, _ *Estate, _ *Options) {
			l.Properties = []Use{{Property: "a", Group: 2}, {Property: "b", Group: 3}}
		}},
		{"", func(l *Legacy, _ *Estate, o *Options) {
			l.GroupID, l.Properties, o.Force = 1, []Use{{Property: "below", Group: 2}}, true
		}},
		{"no capability Edit", func(l *Legacy, _ *Estate, o *Options) { l.GroupID, o.Force = 4, true }},
	} {
		l := Legacy{Policy: cloudlet.Policy{API: cloudlet.V2, ID: 1, Name: "shop", Type: "ER", GroupID: 2}, Versions: []Version{ver(1, "a", "", 1, 1)}, Carried: []int64{1}}
		e := Estate{Kinds: cloudlet.V3.DocumentedKinds(), Groups: groupTree(t), Names: map[string]Shared{}, Pairs: map[string]Shared{}}
		o := Options{Name: "{name}_shared", Method: MethodAuto, Group: func(old int64) int64 { return old }}
		c.change(&l, &e, &o)
		e.Legacy, e.All = []Legacy{l}, []cloudlet.Policy{l.Policy}
		p := Make(e, Names(e, o), o).Policies[0]
		if (p.Action == Clone) != (c.why == "") || !strings.Contains(p.Why, c.why) || p.Action != Clone && p.Action != Blocked {
			t.Errorf("want %q: %s %q", c.why, p.Action, p.Why)
		}
		if p.Passing != strings.Contains(p.Why, "is pending") {
			t.Errorf("%q passes by itself: %t", p.Why, p.Passing)
		}
	}
}

// TestActivate wants nobody to be rolled back and nothing to be activated that is live already.
func TestActivate(t *testing.T) {
	t.Parallel()
	l := Legacy{
		Policy:   cloudlet.Policy{API: cloudlet.V2, ID: 1, Name: "shop", Type: "ER", GroupID: 2},
		Versions: []Version{ver(1, "a", "one", 1, 1), ver(2, "b", "two", 2, 2)}, Carried: []int64{1, 2}, Live: inForce(2, 1, 3),
	}
	s := Shared{Policy: cloudlet.Policy{ID: 9, Name: "shop_shared", Type: "ER"}, Versions: []Version{ver(1, "a", "one", 10, 10), ver(2, "b", "two", 10, 10)}}
	o := Options{Name: "{name}_shared", Group: func(old int64) int64 { return old }, Activate: networks()}
	for _, c := range []struct {
		live map[cloudlet.Network]cloudlet.InForce
		add  *Version // a new legacy version
		want map[cloudlet.Network]int64
	}{
		{nil, nil, map[cloudlet.Network]int64{cloudlet.Staging: 2, cloudlet.Production: 1}},
		{inForce(2, 0, 10), nil, map[cloudlet.Network]int64{cloudlet.Production: 1}},
		{inForce(2, 1, 10), nil, nil},
		{inForce(2, 2, 10), nil, nil}, // somebody put 2 live on production
		{inForce(0, 2, 10), &Version{Number: 3, Hash: "c", Created: at(20), Modified: at(20)}, map[cloudlet.Network]int64{cloudlet.Staging: 2}},
	} {
		legacy, shared := l, s
		shared.Live = c.live
		if c.add != nil {
			legacy.Versions, legacy.Carried = append(slices.Clone(l.Versions), *c.add), []int64{1, 2, 3}
		}
		e := Estate{
			Kinds: cloudlet.V3.DocumentedKinds(), Legacy: []Legacy{legacy}, All: []cloudlet.Policy{l.Policy},
			Names: map[string]Shared{"shop_shared": shared}, Pairs: map[string]Shared{"shop_shared": shared},
		}
		if p := Make(e, Names(e, o), o).Policies[0]; !maps.Equal(p.Activate, c.want) {
			t.Errorf("live %v: %s, activates %v, want %v", c.live, p.Action, p.Activate, c.want)
		}
	}
}

func samplePlan() Plan {
	return Plan{Format: 1, Account: "0123456789abcdef", Policies: []Planned{
		{
			ID: 1, Name: "shop", Type: "ER", Action: Clone, NewName: "shop_shared", NewGroup: 2, Method: MethodAuto,
			Carry: []Version{{Number: 1, Hash: "a"}, {Number: 4, Hash: "b"}}, Activate: map[cloudlet.Network]int64{cloudlet.Staging: 4, cloudlet.Production: 1},
		},
		{ID: 2, Name: `=od"d, name`, Type: "ALB", Action: Blocked, Why: "-no", NewName: "n", Method: MethodCopy, Activate: map[cloudlet.Network]int64{}},
	}}
}

// TestPlanFile wants what is written to be read again, in both forms, also as a spreadsheet gives it back.
func TestPlanFile(t *testing.T) {
	t.Parallel()
	plan := samplePlan()
	var sheet bytes.Buffer
	if err := plan.WriteCSV(&sheet); err != nil {
		t.Fatal(err)
	}
	doc, err := cloudlet.Marshal(plan, "  ")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"JSON": string(doc), "CSV": sheet.String(), "with a mark of order": "\ufeff" + sheet.String(),
		"with semicolons and other ends of lines": strings.ReplaceAll(strings.ReplaceAll(strings.Replace(sheet.String(), `"'=od""d, name"`, "x", 1), ",", ";"), "\n", "\r\n"),
	} {
		e, err := ReadPlan([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		got := e.Edits[1]
		if e.Account != plan.Account || len(e.Edits) != 2 || got.NewName != "shop_shared" || got.NewGroup != 2 || got.Method != MethodAuto ||
			strings.Contains(what, "CSV") && got.Content != content(plan.Policies[0].Carry) || !maps.Equal(got.Activate, plan.Policies[0].Activate) || len(got.Carry) != 2 || got.Carry[1].Number != 4 || e.Actions[2] != Blocked || len(e.Edits[2].Activate) != 0 {
			t.Errorf("%s: %+v", what, e)
		}
	}
	e, err := ReadPlan([]byte(strings.Replace(sheet.String(), ",auto,4,1,", ",auto,yes,No,", 1)))
	if want := map[cloudlet.Network]int64{cloudlet.Staging: 0}; err != nil || !maps.Equal(e.Edits[1].Activate, want) {
		t.Errorf("yes and no: %v, %v", e.Edits[1].Activate, err)
	}
}

func TestPlanFileErrors(t *testing.T) {
	t.Parallel()
	var sheet bytes.Buffer
	if err := samplePlan().WriteCSV(&sheet); err != nil {
		t.Fatal(err)
	}
	row := strings.Split(sheet.String(), "\n")[1]
	for _, c := range []struct{ old, new, want string }{
		{"new_name", "name", "line 1: the columns must be account,id,"},
		{row, row + "\n" + row, "line 3: policy 1 is there twice"},
		{",1,shop,", ",one,shop,", `line 2: id "one" is no number`},
		{",shop_shared,2,", ",shop_shared,two,", `line 2: new_group "two" is no number`},
		{",auto,", ",maybe,", `line 2: method "maybe": give one of auto, clone, copy`},
		{",4,1,", ",4,soon,", `line 2: activate_production "soon"`},
		{",4,1,", ",-4,1,", `line 2: activate_staging "-4"`},
		{",1 4,", ",1-4,", `line 2: carry "1-4" is no number`},
		{row, row + ",more", "line 2: 14 cells, not 13"},
		{row, "f" + row[1:], "line 3: the lines are of plans for several accounts"},
	} {
		if _, err := ReadPlan([]byte(strings.Replace(sheet.String(), c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v, want %q", c.new, c.old, err, c.want)
		}
	}
	for text, want := range map[string]string{
		"":                                   "the file is empty",
		"\ufeff\n":                           "the file is empty",
		`{"format":1,"policies":[]} {}`:      "there is more behind the plan's end",
		`{"format":1,"policies":[]} x`:       "there is more behind the plan's end",
		`{"format":2}`:                       "format 2 is not known, only 1",
		`{"format":1,"plans":[]}`:            `unknown field "plans"`,
		`{"format":1,"policies":[{"id":1}]}`: `policies[0]: method ""`,
		`{"format":1,"policies":[{"id":1,"method":"auto","activate":{"moon":1}}]}`: `policies[0]: network "moon"`,
		`{"format":1`: "unexpected EOF",
	} {
		if _, err := ReadPlan([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestChangedSince holds a plan file against what there is.
func TestChangedSince(t *testing.T) {
	t.Parallel()
	l := Legacy{Versions: []Version{ver(1, "a", "", 1, 1), ver(2, "b", "", 2, 2)}, Carried: []int64{1, 2}, Live: inForce(2, 1, 3)}
	for _, c := range []struct {
		edit Edit
		want string
	}{
		{Edit{Carry: []Version{{Number: 1}, {Number: 2}}}, ""},
		{Edit{Carry: []Version{{Number: 1, Hash: "a"}, {Number: 2, Hash: "b"}}, Activate: map[cloudlet.Network]int64{cloudlet.Staging: 2}}, ""},
		{Edit{Carry: []Version{{Number: 1, Hash: "a"}, {Number: 2, Hash: "x"}}}, "version 2 was edited on 2026-01-01 02:00 by us"},
		{Edit{Carry: []Version{{Number: 1}, {Number: 2}}, Content: content(l.Versions)}, ""},
		{Edit{Carry: []Version{{Number: 1}, {Number: 2}}, Content: "h0123456789ab"}, "what it carries was edited, last version 2 on 2026-01-01 02:00 by us"},
		{Edit{Carry: []Version{{Number: 1}}}, "it carries versions 1, and now 1, 2 would have to be carried"},
		{Edit{}, "it carries versions none"},
		{Edit{Carry: []Version{{Number: 1}, {Number: 2}}, Activate: map[cloudlet.Network]int64{cloudlet.Staging: 1}}, "it activates version 1 on staging, where version 2 is live now"},
		{Edit{Carry: []Version{{Number: 1}, {Number: 2}}, Activate: map[cloudlet.Network]int64{cloudlet.Staging: 0}}, ""},
	} {
		if got := changedSince(l, c.edit); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.edit, got, c.want)
		}
	}
}

// TestBehaviors wants a behavior for every type that can be a legacy policy and a shared one.
func TestBehaviors(t *testing.T) {
	t.Parallel()
	for kind := range cloudlet.V3.DocumentedKinds() {
		if _, legacy := cloudlet.V2.DocumentedKinds()[kind]; !legacy {
			continue
		}
		if b := behaviors()[kind]; b.Name == "" || b.Source == "" {
			t.Errorf("%s has no behavior", kind)
		}
	}
	r := Result{Planned: Planned{ID: 1001, Name: "x", Type: "ER", Shared: 2002, Live: map[cloudlet.Network]int64{cloudlet.Production: 1}, Uses: []Use{{Property: "p", Network: cloudlet.Production, Version: 3}}}, Stage: StageProved}
	c := Cutovers([]Result{r})[0]
	if string(c.Before) != `{"enabled":true,"isSharedPolicy":false,"cloudletPolicy":{"id":1001,"name":"x"}}` || string(c.After) != `{"enabled":true,"isSharedPolicy":true,"cloudletSharedPolicy":2002}` || c.Ready {
		t.Errorf("%s %s %t", c.Before, c.After, c.Ready)
	}
	r.Active = map[cloudlet.Network]int64{cloudlet.Production: 1}
	if !Cutovers([]Result{r})[0].Ready {
		t.Error("it is live on the network, and not ready")
	}
}

// TestFollowedPlan wants --sync to activate no more than the plan file that it follows, and a line that the plan leaves out
// to stay out.
func TestFollowedPlan(t *testing.T) {
	t.Parallel()
	l := Legacy{
		Policy:   cloudlet.Policy{API: cloudlet.V2, ID: 1, Name: "shop", Type: "ER", GroupID: 2},
		Versions: []Version{ver(1, "a", "one", 1, 1), ver(2, "b", "two", 20, 20)}, Carried: []int64{1, 2}, Live: inForce(2, 2, 30),
	}
	s := Shared{Policy: cloudlet.Policy{ID: 9, Name: "new", Type: "ER", GroupID: 2}, Versions: []Version{ver(1, "a", "one", 10, 10)}, Live: inForce(1, 1, 10)}
	e := Estate{
		Kinds: cloudlet.V3.DocumentedKinds(), Legacy: []Legacy{l}, All: []cloudlet.Policy{l.Policy},
		Names: map[string]Shared{"new": s}, Pairs: map[string]Shared{"new": s},
	}
	both := map[cloudlet.Network]int64{cloudlet.Staging: 2, cloudlet.Production: 2}
	staging := map[cloudlet.Network]int64{cloudlet.Staging: 1}
	for _, c := range []struct {
		name  string
		edit  Edit
		other map[cloudlet.Network]int64 // what the file activates of another policy
		want  map[cloudlet.Network]int64
		lags  int
	}{
		{"all", Edit{Activate: map[cloudlet.Network]int64{cloudlet.Staging: 1, cloudlet.Production: 1}}, nil, both, 0},
		{"an emptied cell", Edit{Action: Clone, Activate: staging}, nil, map[cloudlet.Network]int64{cloudlet.Staging: 2}, 1},
		{"both emptied", Edit{Action: Clone}, staging, map[cloudlet.Network]int64{}, 2},
		{"a file without activations", Edit{Action: Clone}, nil, both, 0},
		{"one that was done", Edit{Action: Done}, staging, both, 0},
		{"another group", Edit{Action: Done, NewGroup: 3}, nil, both, 0},
	} {
		c.edit.NewName, c.edit.NewGroup = "new", max(c.edit.NewGroup, 2)
		o := Options{
			Name: "{name}", Group: func(old int64) int64 { return old }, Activate: networks(), Follow: true, SyncOnly: true,
			Edits: map[int64]Edit{1: c.edit, 5: {NewName: "other", Activate: c.other}},
		}
		p := Make(e, Names(e, o), o).Policies[0]
		if p.Action != Sync || !maps.Equal(p.Activate, c.want) || len(p.Lags) != c.lags || strings.Contains(p.Why, "activations lag: give --activate same") != (c.lags > 0) {
			t.Errorf("%s: %s, activates %v, lags %v, %q", c.name, p.Action, p.Activate, p.Lags, p.Why)
		}
		if strings.Contains(p.Why, "its shared policy is in group 2 and stays there, not in group 3") != (c.edit.NewGroup == 3) {
			t.Errorf("%s: group %d, %q", c.name, p.NewGroup, p.Why)
		}
	}
	o := Options{Name: "{name}", Group: func(old int64) int64 { return old }, Edits: map[int64]Edit{1: {NewName: "fresh", NewGroup: 2, Action: Left}}}
	if p := Make(e, Names(e, o), o).Policies[0]; p.Action != Left {
		t.Errorf("a line that was left out: %s %q", p.Action, p.Why)
	}
	// What is missing stays named beside what is in the way.
	e.Legacy[0].GroupID, e.Legacy[0].Refused = 2, "version 2: no"
	o.Edits = nil
	o.Name = "new"
	if p := Make(e, Names(e, o), o); p.Policies[0].Action != Blocked || !strings.Contains(p.Policies[0].Why, "version 2: no; not carried: version 2 ") || len(Statuses(p)[0].Missing) != 1 {
		t.Errorf("behind and blocked: %+v", p.Policies[0])
	}
}

// usesAccount knows the properties of a policy and nothing else.
type usesAccount string

func (a usesAccount) Get(context.Context, cloudlet.Resource) ([]byte, error) { return []byte(a), nil }

func (usesAccount) Send(context.Context, cloudlet.Change) (cloudlet.Answer, error) {
	return cloudlet.Answer{}, errors.New("nothing is sent")
}

// TestUses wants a property that refers to a policy no more to be no use of it.
func TestUses(t *testing.T) {
	t.Parallel()
	uses, err := usesOf(t.Context(), usesAccount(`{
		"former":{"groupId":3,"newestVersion":{"version":4,"referencedPolicies":["other"]},"production":{"version":3,"referencedPolicies":[]}},
		"newest":{"groupId":2,"newestVersion":{"version":2,"referencedPolicies":["shop"]}},
		"silent":{"groupId":2,"newestVersion":{"version":1}}}`), cloudlet.Policy{API: cloudlet.V2, ID: 1, Name: "shop"})
	if err != nil || len(uses) != 3 || !uses[0].Former || uses[1].Former || uses[2].Former {
		t.Fatalf("%+v, %v", uses, err)
	}
	if why := unfit(groupTree(t), Legacy{Properties: uses}, 2); why != "" {
		t.Errorf("a property that refers to it no more counts: %s", why)
	}
	if fit := fitting(groupTree(t), Legacy{Properties: uses}); fit != 2 {
		t.Errorf("group %d would fit", fit)
	}
	r := Result{Planned: Planned{ID: 1, Name: "shop", Type: "ER", Shared: 9, Uses: uses}}
	if n := len(Cutovers([]Result{r})); n != 2 {
		t.Errorf("%d property edits", n)
	}
	if notes := strings.Join(r.Notes(), "; "); notes != "property former is associated with it, and refers to it no more" {
		t.Errorf("notes %q", notes)
	}
}
