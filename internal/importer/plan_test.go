package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// versions are wanted versions 1 to n of the hashes given.
func versions(hashes ...string) []Version {
	var all []Version
	for i, h := range hashes {
		all = append(all, Version{Number: int64(i + 1), Hash: h, Ref: fmt.Sprint(i + 1)})
	}
	return all
}

// held are versions that are present, by number=hash; an empty hash is the version 1 that v2 makes.
func held(p Held, all ...string) Held {
	for _, text := range all {
		var v HeldVersion
		number, hash, _ := strings.Cut(text, "=")
		if _, err := fmt.Sscan(number, &v.Number); err != nil {
			panic(err)
		}
		v.Hash, v.Empty = hash, hash == ""
		p.Versions = append(p.Versions, v)
		p.Newest = max(p.Newest, v.Number)
	}
	return p
}

// show writes what a plan does with a policy: action, versions that are made, those that are there.
func show(p Planned) string {
	text := string(p.Action)
	if p.First {
		text += " first"
	}
	for _, v := range p.Add {
		text += fmt.Sprintf(" +%d", v.Number)
	}
	for _, pair := range p.Have {
		text += fmt.Sprintf(" %d=%d", pair.From, pair.To)
	}
	return text
}

func kinds() map[cloudlet.API]cloudlet.Kinds {
	return map[cloudlet.API]cloudlet.Kinds{cloudlet.V2: cloudlet.V2.DocumentedKinds(), cloudlet.V3: cloudlet.V3.DocumentedKinds()}
}

func TestMake(t *testing.T) {
	const description = "redirects [cloudletmig shop]"
	ours := Held{ID: 7, Name: "n", Type: "ER", Group: 1, Description: description}
	theirs := Held{ID: 7, Name: "n", Type: "ER", Group: 1, Description: "theirs"}
	live := ours
	live.Live = map[cloudlet.Network]cloudlet.InForce{cloudlet.Staging: {Effective: 1}}
	all, version := PlanOptions{OnExisting: OnExistingAppend}, PlanOptions{OnExisting: OnExistingVersion, Newest: true, Owned: true}
	with := func(o PlanOptions, change func(*PlanOptions)) PlanOptions { change(&o); return o }
	adopt := with(version, func(o *PlanOptions) { o.Adopt = true })
	for name, c := range map[string]struct {
		api     cloudlet.API
		wants   []string
		present *Held
		o       PlanOptions
		want    string // and, behind a colon, a part of the reason
	}{
		"absent":                        {cloudlet.V3, []string{"a", "b"}, nil, all, "create +1 +2"},
		"absent in v2":                  {cloudlet.V2, []string{"a", "b"}, nil, all, "create first +1 +2"},
		"equal":                         {cloudlet.V3, []string{"a", "b"}, new(held(ours, "1=a", "2=b")), all, "same 1=1 2=2"},
		"with others between":           {cloudlet.V3, []string{"a", "b"}, new(held(ours, "1=x", "3=a", "4=y", "6=b", "9=z")), all, "same 1=3 2=6"},
		"in another order":              {cloudlet.V3, []string{"a", "b"}, new(held(ours, "1=b", "2=a")), all, "append +2 1=2"},
		"the last is missing":           {cloudlet.V3, []string{"a", "b"}, new(held(ours, "1=a")), all, "append +2 1=1"},
		"the first is missing":          {cloudlet.V3, []string{"a", "b"}, new(held(ours, "1=b")), all, "append +1 +2"},
		"twice the same":                {cloudlet.V3, []string{"a", "a"}, new(held(ours, "1=a")), all, "append +2 1=1"},
		"nothing wanted":                {cloudlet.V3, nil, new(held(ours, "1=x")), all, "same"},
		"all are missing":               {cloudlet.V3, []string{"a"}, new(held(ours)), all, "append +1"},
		"v2, blank":                     {cloudlet.V2, []string{"a", "b"}, new(held(ours, "1=")), all, "append first +1 +2"},
		"v2, blank and live":            {cloudlet.V2, []string{"a", "b"}, new(held(live, "1=")), all, "append +1 +2"},
		"v2, blank and others":          {cloudlet.V2, []string{"a"}, new(held(ours, "1=", "2=x")), all, "append +1"},
		"v2, blank behind deleted":      {cloudlet.V2, []string{"a"}, new(held(ours, "2=")), all, "append +1"},
		"v2, blank, and that is wanted": {cloudlet.V2, []string{"", "a"}, new(held(ours, "1=")), all, "append +2 1=1"},
		"v3, blank":                     {cloudlet.V3, []string{"a"}, new(held(ours, "1=")), all, "append +1"},
		"skip":                          {cloudlet.V3, []string{"a", "b"}, new(held(ours, "1=a")), with(all, func(o *PlanOptions) { o.OnExisting = OnExistingSkip }), "skip 1=1: lacks 1 version"},
		"fail":                          {cloudlet.V3, []string{"a", "b"}, new(held(ours)), with(all, func(o *PlanOptions) { o.OnExisting = OnExistingFail }), "conflict: lacks 2 versions; --on-existing"},
		"fail, nothing missing":         {cloudlet.V3, []string{"a"}, new(held(ours, "1=a")), with(all, func(o *PlanOptions) { o.OnExisting = OnExistingFail }), "same 1=1"},
		"restored onto a stranger's":    {cloudlet.V3, []string{"a"}, new(held(theirs, "1=a")), all, "same 1=1"},
		"chunk, newest is it":           {cloudlet.V3, []string{"a"}, new(held(ours, "1=x", "2=a")), version, "same 1=2"},
		"chunk, an older one is it":     {cloudlet.V3, []string{"a"}, new(held(ours, "1=a", "2=x")), version, "append +1"},
		"chunk, no version yet":         {cloudlet.V3, []string{"a"}, new(held(ours)), version, "append +1"},
		"chunk, v2, blank":              {cloudlet.V2, []string{"a"}, new(held(ours, "1=")), version, "append first +1"},
		"chunk without rules, blank":    {cloudlet.V2, []string{""}, new(held(ours, "1=")), version, "append first +1"},
		"chunk, skip":                   {cloudlet.V3, []string{"a"}, new(held(ours, "4=x")), with(version, func(o *PlanOptions) { o.OnExisting = OnExistingSkip }), "skip: newest version 4 differs"},
		"chunk, a stranger's":           {cloudlet.V3, []string{"a"}, new(held(theirs, "1=a")), version, "conflict: policy 7 has that name and is not of this set; --adopt"},
		"chunk, a stranger's, adopted":  {cloudlet.V3, []string{"a"}, new(held(theirs, "1=x")), adopt, "append +1"},
		"chunk, known by its id": {
			cloudlet.V3, []string{"a"}, new(held(theirs, "1=x")), with(version, func(o *PlanOptions) { o.OurIDs = map[int64]bool{7: true} }), "append +1",
		},
		"chunk, another's id": {
			cloudlet.V3, []string{"a"}, new(held(theirs, "1=x")), with(version, func(o *PlanOptions) { o.OurIDs = map[int64]bool{8: true} }), "conflict",
		},
		"chunk, another type, adopted": {cloudlet.V3, []string{"a"}, new(held(Held{ID: 7, Type: "FR"}, "1=a")), adopt, "conflict: its type is FR, not ER"},
	} {
		t.Run(name, func(t *testing.T) {
			w := Policy{API: c.api, Type: "ER", Name: "n", Owner: "shop", Description: description, Group: 1, Versions: versions(c.wants...)}
			present := Present{Kinds: kinds(), Policies: map[string]Held{}}
			if c.present != nil {
				present.Policies[w.Key()] = *c.present
			}
			p := Make([]Policy{w}, present, c.o).Policies[0]
			want, why, _ := strings.Cut(c.want, ": ")
			if got := show(p); got != want || !strings.Contains(p.Why, why) {
				t.Errorf("%s: %s, not %s", got, p.Why, c.want)
			}
		})
	}
}

// TestMakeOfOrigins: an origin that is not defined blocks what would be made with it, and nothing else.
func TestMakeOfOrigins(t *testing.T) {
	live := map[cloudlet.Network]Live{cloudlet.Staging: {Version: 1}}
	pool := Policy{Name: "pool", Versions: versions("o"), Origins: []string{"dc"}, Live: live}
	user := Policy{API: cloudlet.V2, Type: "ALB", Name: "user", Versions: versions("a"), Origins: []string{"pool"}}
	other := Policy{API: cloudlet.V2, Type: "FR", Name: "other", Versions: versions("a"), Forwards: []string{"web"}}
	here := func(p Policy, kind, hash string) map[string]Held {
		return map[string]Held{p.Key(): held(Held{ID: 7, Name: p.Name, Type: kind}, "1="+hash)}
	}
	for name, c := range map[string]struct {
		wanted  []Policy
		origins string // defined ones, comma separated; - where they cannot be listed
		held    map[string]Held
		want    string
		notes   int
	}{
		"defined":                  {[]Policy{pool, user}, "dc", nil, "create +1, create first +1", 0},
		"a center is not":          {[]Policy{pool, user}, "", nil, "blocked, blocked", 0},
		"and all is there":         {[]Policy{pool, user}, "", maps.Collect(twice(here(pool, "", "o"), here(user, "ALB", "a"))), "same 1=1, same 1=1", 0},
		"the origin is there":      {[]Policy{pool, user}, "", here(pool, "", "o"), "same 1=1, create first +1", 0},
		"it is not in the source":  {[]Policy{user}, "pool", nil, "create first +1", 0},
		"it is nowhere":            {[]Policy{user}, "dc", nil, "blocked", 0},
		"nobody wants it":          {[]Policy{pool}, "dc", nil, "skip", 0},
		"its policy is refused":    {[]Policy{pool, refused(user)}, "dc", nil, "skip, blocked", 0},
		"they cannot be listed":    {[]Policy{pool, user}, "-", nil, "blocked, blocked", 0},
		"rules forward to nothing": {[]Policy{other}, "", nil, "create first +1", 1},
		"it is there already":      {[]Policy{other}, "", here(other, "FR", "a"), "same 1=1", 0},
		"rules forward to it":      {[]Policy{other}, "web", nil, "create first +1", 0},
		"not listed, not noted":    {[]Policy{other}, "-", nil, "create first +1", 0},
	} {
		t.Run(name, func(t *testing.T) {
			present := Present{Kinds: kinds(), Policies: c.held}
			if c.origins != "-" {
				present.Origins = map[string]string{}
				for id := range strings.SplitSeq(c.origins, ",") {
					present.Origins[id] = "CUSTOMER"
				}
			}
			plan := Make(c.wanted, present, PlanOptions{OnExisting: OnExistingAppend})
			var got []string
			for _, p := range plan.Policies {
				got = append(got, show(p))
				if p.Action == Blocked && p.Why == "" {
					t.Errorf("%s is blocked for no reason", p)
				}
				if (p.Action == Blocked || p.Action == Skip) && len(p.Activate)+len(p.Add) > 0 {
					t.Errorf("%s: something is sent for it", show(p))
				}
			}
			if c.origins == "-" && plan.Policies[0].Action == Blocked && !strings.Contains(plan.Policies[0].Why, "cannot be listed") {
				t.Errorf("it is blocked because %s", plan.Policies[0].Why)
			}
			if text := strings.Join(got, ", "); text != c.want || len(plan.Notes) != c.notes {
				t.Errorf("%s with notes %v, not %s with %d", text, plan.Notes, c.want, c.notes)
			}
		})
	}
}

func refused(p Policy) Policy { p.Refused = "unreadable"; return p }

func twice(a, b map[string]Held) func(func(string, Held) bool) {
	return func(yield func(string, Held) bool) {
		for _, m := range []map[string]Held{a, b} {
			for k, v := range m {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// TestMarkedDescription: the mark of a run that was cut off is put back, unless the policy is blocked.
func TestMarkedDescription(t *testing.T) {
	w := Policy{API: cloudlet.V2, Type: "ALB", Name: "n", Description: "d", Versions: versions("a", "b"), Origins: []string{"pool"}}
	h := held(Held{ID: 7, Type: "ALB", Description: once.Mark("d", once.Marker("run", w.Key()), cloudlet.MaxDescription)}, "1=a")
	for _, origins := range []map[string]string{{"pool": balancing}, {}} {
		p := Make([]Policy{w}, Present{Kinds: kinds(), Policies: map[string]Held{w.Key(): h}, Origins: origins}, PlanOptions{OnExisting: OnExistingAppend}).Policies[0]
		if wanted := len(origins) > 0; p.Describe != wanted || (p.Action == Append) != wanted {
			t.Errorf("with origins %v: %s, describe %v", origins, show(p), p.Describe)
		}
	}
}

// TestProblems: all that would be refused is found, each with its sentence.
func TestProblems(t *testing.T) {
	groups := func(t *testing.T, docs ...string) []cloudlet.Group {
		t.Helper()
		all := []cloudlet.Group{}
		for _, doc := range docs {
			g, err := cloudlet.ParseGroup([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, g)
		}
		return all
	}
	const edit = `{"groupId":1,"groupName":"one","capabilities":[{"cloudletCode":"ER","capabilities":["View","Edit"]}]}`
	const view = `{"groupId":2,"groupName":"two","capabilities":[{"cloudletCode":"ER","capabilities":["View"]}]}`
	staging := map[cloudlet.Network]Live{cloudlet.Staging: {Version: 1}}
	good := Policy{API: cloudlet.V3, Type: "ER", Name: "n", Group: 1, Versions: versions("a")}
	for name, c := range map[string]struct {
		change  func(p *Policy)
		present map[string]Held
		want    string // a part of the only problem; empty for none
		permit  bool
	}{
		"none":                      {func(*Policy) {}, nil, "", false},
		"name of 64":                {func(p *Policy) { p.Name = strings.Repeat("x", 64) }, nil, "", false},
		"name of 65":                {func(p *Policy) { p.Name = strings.Repeat("x", 65) }, nil, "the name has 65 characters", false},
		"dash":                      {func(p *Policy) { p.Name = "a-b" }, nil, "letters a to z, digits and underscores", false},
		"no name":                   {func(p *Policy) { p.Name = "" }, nil, "the name has 0 characters", false},
		"description of 255":        {func(p *Policy) { p.Description = strings.Repeat("é", 255) }, nil, "", false},
		"description of 256":        {func(p *Policy) { p.Description = strings.Repeat("é", 256) }, nil, "the description has 256 characters", false},
		"version's of 256":          {func(p *Policy) { p.Versions[0].Description = strings.Repeat("d", 256) }, nil, "description of version 1 has 256", false},
		"5,000 rules":               {func(p *Policy) { p.Versions[0].Rules = 5000 }, nil, "", false},
		"5,001 rules":               {func(p *Policy) { p.Versions[0].Rules = 5001 }, nil, "has 5001 rules", false},
		"5 MiB":                     {func(p *Policy) { p.Versions[0].Bytes = 5242880 }, nil, "", false},
		"a byte more":               {func(p *Policy) { p.Versions[0].Bytes = 5242881 }, nil, "5242881 bytes", false},
		"no group":                  {func(p *Policy) { p.Group = 0 }, nil, "needs a group", false},
		"no group in v2":            {func(p *Policy) { p.Group, p.API = 0, cloudlet.V2 }, nil, "", false},
		"a group that is not there": {func(p *Policy) { p.Group = 3 }, nil, "group 3 is not in the account", false},
		"may only look":             {func(p *Policy) { p.Group = 2 }, nil, "no capability Edit for ER policies in group 2 (two)", true},
		"may not activate":          {func(p *Policy) { p.Live = staging }, nil, "no capability Activate", true},
		"a type no group names":     {func(p *Policy) { p.Group, p.Type = 2, "VWR" }, nil, "", false},
		"it is there, in group 2": {
			func(*Policy) {}, map[string]Held{"shared/n": held(Held{ID: 7, Type: "ER", Group: 2}, "1=x")}, "no capability Edit for ER policies in group 2", true,
		},
		"it is there and the same": {func(p *Policy) { p.Group = 3 }, map[string]Held{"shared/n": held(Held{ID: 7, Type: "ER", Group: 2}, "1=a")}, "", false},
		"the same, to be activated": {
			func(p *Policy) { p.Live = staging }, map[string]Held{"shared/n": held(Held{ID: 7, Type: "ER", Group: 2}, "1=a")}, "no capability Activate for ER policies in group 2", true,
		},
		"it is there under an old name": {
			func(p *Policy) { p.Name, p.Description = "a-b", strings.Repeat("d", 256) }, map[string]Held{"shared/a-b": held(Held{ID: 7, Type: "ER", Group: 1}, "1=x")}, "", false,
		},
		"v2 without a property": {
			func(p *Policy) { p.API, p.Group, p.Live = cloudlet.V2, 0, staging }, nil, "none is named for staging (import: --property)", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			p.Versions = slices.Clone(good.Versions)
			c.change(&p)
			present := Present{Kinds: kinds(), Policies: c.present, Groups: groups(t, edit, view)}
			problems := Make([]Policy{p}, present, PlanOptions{OnExisting: OnExistingAppend}).Problems
			switch {
			case c.want == "" && len(problems) > 0:
				t.Errorf("%v", problems)
			case c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Text, c.want) || problems[0].Permission != c.permit):
				t.Errorf("%v, not %s", problems, c.want)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		bad, twin := good, good
		bad.Name, bad.Description, bad.Group = "a-b", strings.Repeat("d", 256), 3
		if problems := Make([]Policy{bad, good, twin}, Present{Kinds: kinds(), Groups: groups(t, edit)}, PlanOptions{}).Problems; len(problems) != 4 {
			t.Errorf("%v", problems)
		}
	})
	t.Run("a chunk that is skipped", func(t *testing.T) {
		for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
			for hash, differs := range map[string]bool{"a": false, "x": true} {
				p := good
				p.Live = map[cloudlet.Network]Live{on: {Version: 1}}
				present := Present{Kinds: kinds(), Policies: map[string]Held{"shared/n": held(Held{ID: 7, Type: "ER", Group: 1}, "1="+hash)}}
				plan := Make([]Policy{p}, present, PlanOptions{OnExisting: OnExistingSkip, Newest: true})
				if wrong := differs && on == cloudlet.Production; (len(plan.Problems) > 0) != wrong || plan.Policies[0].LeftDiffering() != differs {
					t.Errorf("%s, %s: %v", on, show(plan.Policies[0]), plan.Problems)
				}
				if r, err := ResultOf(t.Context(), &job.Memory{}, Planned{Policy: good, Action: plan.Policies[0].Action, Why: plan.Policies[0].Why}); err != nil || r.Done == differs {
					t.Errorf("%+v, %v", r, err)
				}
			}
		}
	})
	t.Run("groups that cannot be listed", func(t *testing.T) {
		p := good
		p.Group = 3
		if problems := Make([]Policy{p}, Present{Kinds: kinds()}, PlanOptions{}).Problems; len(problems) != 0 {
			t.Errorf("%v", problems)
		}
	})
}

// TestAppendThenSame draws lists of versions: what an append adds keeps the order, and afterwards nothing is wanted.
func TestAppendThenSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.SampledFrom([]string{"a", "b", "c"})
		wants := rapid.SliceOfN(hash, 0, 6).Draw(t, "wanted")
		there := rapid.SliceOfN(hash, 0, 6).Draw(t, "present")
		api := rapid.SampledFrom([]cloudlet.API{cloudlet.V2, cloudlet.V3}).Draw(t, "api")
		w := Policy{API: api, Type: "ER", Name: "n", Versions: versions(wants...)}
		h := Held{ID: 7, Type: "ER"}
		if api == cloudlet.V2 && len(there) == 0 {
			h = held(h, "1=")
		}
		for i, hash := range there {
			h = held(h, fmt.Sprintf("%d=%s", 2*i+1, hash)) // with gaps
		}
		o := PlanOptions{OnExisting: OnExistingAppend}
		present := Present{Kinds: kinds(), Policies: map[string]Held{w.Key(): h}}
		p := Make([]Policy{w}, present, o).Policies[0]
		if (p.Action == Same) != subsequence(wants, there) {
			t.Fatalf("%s although %v onto %v", show(p), wants, there)
		}
		if len(p.Have)+len(p.Add) != len(wants) {
			t.Fatalf("%s is not all of %v", show(p), wants)
		}
		numbers := []int64{}
		for _, pair := range p.Have {
			numbers = append(numbers, pair.To)
		}
		if p.First {
			h.Versions, h.Newest = nil, 0
		}
		for _, v := range p.Add {
			h = held(h, fmt.Sprintf("%d=%s", h.Newest+1, v.Hash))
			numbers = append(numbers, h.Newest)
		}
		if !slices.IsSorted(numbers) {
			t.Fatalf("%v onto %v leads to the order %v", wants, there, numbers)
		}
		present.Policies[w.Key()] = h
		if again := Make([]Policy{w}, present, o).Policies[0]; again.Action != Same || len(again.Add) > 0 {
			t.Fatalf("%v onto %v, and again: %s", wants, there, show(again))
		}
	})
}

func subsequence(of, in []string) bool {
	for _, s := range in {
		if len(of) > 0 && of[0] == s {
			of = of[1:]
		}
	}
	return len(of) == 0
}

// TestOwnerless: where neither the chunk nor the policy names a set they do not belong together.
func TestOwnerless(t *testing.T) {
	w := Policy{API: cloudlet.V3, Type: "ER", Name: "n", Group: 1, Versions: versions("a")}
	present := Present{Kinds: kinds(), Policies: map[string]Held{w.Key(): held(Held{ID: 7, Type: "ER"}, "1=x")}}
	if p := Make([]Policy{w}, present, PlanOptions{OnExisting: OnExistingVersion, Newest: true, Owned: true}).Policies[0]; p.Action != Conflict {
		t.Error(show(p))
	}
}

func TestUnknownProperties(t *testing.T) {
	policy := func(api cloudlet.API, name string) Policy {
		live := map[cloudlet.Network]Live{cloudlet.Staging: {Version: 1, Properties: []string{"known", "other"}}, cloudlet.Production: {Version: 1, Properties: []string{"other"}}}
		return Policy{API: api, Type: "ER", Name: name, Group: 1, Versions: versions("a"), Live: live}
	}
	wanted := []Policy{policy(cloudlet.V2, "a"), policy(cloudlet.V3, "b"), refused(policy(cloudlet.V2, "c")), policy(cloudlet.V2, "d")}
	for name, c := range map[string]struct {
		known map[string]bool
		want  []string
	}{
		"one is not there":    {map[string]bool{"known": true}, []string{"property other: is not in the account as far as these credentials see it, and v2:a, v2:d would be activated for it"}},
		"both are":            {map[string]bool{"known": true, "other": true}, nil},
		"they were not asked": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, n := range Make(wanted, Present{Kinds: kinds(), Properties: c.known}, PlanOptions{}).Notes {
				got = append(got, n.Item+": "+n.Text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
}

func TestLeftBehind(t *testing.T) {
	plan := Make(nil, Present{Owned: []string{"v3:7 shop_002"}, Unread: []Note{{"groups", "cannot be listed"}}}, PlanOptions{})
	if len(plan.Notes) != 2 || plan.Notes[1].Item != "v3:7 shop_002" {
		t.Errorf("%v", plan.Notes)
	}
}

func TestActivations(t *testing.T) {
	both := map[cloudlet.Network]Live{cloudlet.Production: {Version: 1}, cloudlet.Staging: {Version: 1}}
	for _, action := range []Action{Create, Append, Same, Skip, Blocked, Conflict} {
		got := Planned{Policy: Policy{Live: both}, Action: action}.Activations()
		wanted := action == Create || action == Append || action == Same
		if wanted && !slices.Equal(got, []cloudlet.Network{cloudlet.Staging, cloudlet.Production}) || !wanted && got != nil {
			t.Errorf("%s: %v", action, got)
		}
	}
}

// An activation may replace what the plan saw, and nothing else: 0 only where nothing was live.
func TestOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seen []int64
		want string
	}{
		"made by this run":  {nil, "[0]"},
		"nothing live":      {[]int64{0, 0}, "[0]"},
		"one live":          {[]int64{4, 0}, "[4]"},
		"one under way":     {[]int64{0, 5}, "[0 5]"},
		"live and underway": {[]int64{4, 5}, "[4 5]"},
	} {
		p := Planned{Over: map[cloudlet.Network][]int64{cloudlet.Staging: c.seen}}
		if got := fmt.Sprint(p.over(cloudlet.Staging)); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
