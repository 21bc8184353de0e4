package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/simulator"
)

// holding is what an account holds that import and restore can bring there, without ids, dates and names of people.
// Policies are named API/NAME, load-balancing origins origin/ID.
type holding map[string]held

type held struct {
	kind, description string
	group, id         int64
	pending           int                      // the place of a version that is being activated, from 1; 0 is none
	versions          []heldVersion            // in order of their numbers, without deleted ones
	numbers           []int64                  // of the versions
	live              map[cloudlet.Network]int // the place of the effective version among the versions, from 1; 0 is none
}

type network = cloudlet.Network

const staging, production = cloudlet.Staging, cloudlet.Production

func nothingLive() map[network]int { return map[network]int{staging: 0, production: 0} }

type heldVersion struct {
	description string
	content     json.RawMessage // rules, or what a load-balancing version shares
}

// holdingOf reads an account through a simulator of its own, without faults and access log.
func holdingOf(t *testing.T, account *simulator.Account) holding {
	t.Helper()
	server := simulator.New(simulator.Options{Account: account, NoAuth: true})
	t.Cleanup(server.Close)
	get := func(path string) []byte {
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1"+path, http.NoBody))
		if answer.Code != http.StatusOK {
			t.Fatalf("GET %s: status %d: %s", path, answer.Code, answer.Body)
		}
		return answer.Body.Bytes()
	}
	all := holding{}
	add := func(key string, h held, rows []byte) {
		if _, twin := all[key]; twin {
			t.Errorf("%s is there twice", key)
		}
		if _, content, cut := strings.Cut(string(rows), `"content":`); cut { // a page of v3
			rows = []byte(content[:strings.LastIndex(content, "]")+1])
			rows = rows[:matching(rows)]
		}
		history, err := cloudlet.ParseList(rows, cloudlet.ParseActivation)
		if err != nil {
			t.Fatal(err)
		}
		h.live = map[cloudlet.Network]int{}
		for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
			in := cloudlet.InForceOn(history, on)
			h.live[on] = slices.Index(h.numbers, in.Effective) + 1
			h.pending = max(h.pending, slices.Index(h.numbers, in.Pending)+1)
		}
		all[key] = h
	}
	for _, p := range account.Policies() {
		if p.Deleted {
			continue
		}
		api, base, pages := cloudlet.V2, "/cloudlets/api/v2", "?offset=0&pageSize=1000"
		if p.Shared {
			api, base, pages = cloudlet.V3, "/cloudlets/v3", "?page=0&size=1000"
		}
		path := fmt.Sprintf("%s/policies/%d", base, p.ID)
		doc, err := cloudlet.ParsePolicy(api, get(path))
		if err != nil {
			t.Fatal(err)
		}
		h := held{kind: doc.Type, description: doc.Description, group: max(doc.GroupID, 0), id: p.ID, numbers: p.Versions}
		for _, n := range p.Versions {
			h.versions = append(h.versions, versionIn(t, get(fmt.Sprintf("%s/versions/%d", path, n))))
		}
		add(string(api)+"/"+p.Name, h, get(path+"/activations"+pages))
	}
	for _, id := range account.Origins() {
		path := "/cloudlets/api/v2/origins/" + url.PathEscape(id)
		var doc struct{ Type, Description string }
		if err := json.Unmarshal(get(path), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.Type != "APPLICATION_LOAD_BALANCER" {
			continue
		}
		h := held{kind: doc.Type, description: doc.Description}
		var list []struct{ Version int64 }
		if err := json.Unmarshal(get(path+"/versions"), &list); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(list) // the newest is listed first
		for _, v := range list {
			h.numbers = append(h.numbers, v.Version)
			h.versions = append(h.versions, balancingIn(t, get(fmt.Sprintf("%s/versions/%d", path, v.Version))))
		}
		add("origin/"+id, h, get(path+"/activations"))
	}
	return all
}

// matching is where the array ends that text begins with.
func matching(text []byte) int {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	var list json.RawMessage
	_ = dec.Decode(&list) // what is no array is found by whoever reads it
	return len(list)
}

func versionIn(t *testing.T, doc []byte) heldVersion {
	t.Helper()
	var v struct {
		Description string          `json:"description"`
		MatchRules  json.RawMessage `json:"matchRules"`
	}
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	return heldVersion{v.Description, v.MatchRules}
}

func balancingIn(t *testing.T, doc []byte) heldVersion {
	t.Helper()
	var v struct {
		Description string          `json:"description"`
		Type        json.RawMessage `json:"balancingType"`
		Centers     json.RawMessage `json:"dataCenters"`
		Liveness    json.RawMessage `json:"livenessSettings"`
	}
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	return heldVersion{v.Description, fmt.Appendf(nil, `[{"t":%s,"c":%s,"l":%s}]`, orNull(v.Type), orNull(v.Centers), orNull(v.Liveness))}
}

func orNull(text json.RawMessage) string {
	if text == nil {
		return "null"
	}
	return string(text)
}

// in gives what is wanted as it is to be after a restore: other groups, other names, other versions.
func (h holding) changed(change func(key string, p held) (string, held, bool)) holding {
	out := holding{}
	for key, p := range h {
		if key, p, ok := change(key, p); ok {
			out[key] = p
		}
	}
	return out
}

// differences names all that the account has otherwise than is wanted: every policy once, every version once, in order,
// with equal rules, its description, and what is live.
func (h holding) differences(want holding) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, key := range slices.Sorted(maps.Keys(want)) {
		got, there := h[key]
		if !there {
			say("%s is missing", key)
			continue
		}
		got.differ(want[key], func(format string, args ...any) { say(key+": "+format, args...) })
	}
	for _, key := range slices.Sorted(maps.Keys(h)) {
		if _, wanted := want[key]; !wanted {
			say("%s is there and not wanted", key)
		}
	}
	return wrong
}

func (h held) differ(want held, say func(format string, args ...any)) {
	if h.kind != want.kind || h.group != want.group {
		say("it is %s in group %d, wanted %s in %d", h.kind, h.group, want.kind, want.group)
	}
	if h.description != want.description {
		say("it is described %q, wanted %q", h.description, want.description)
	}
	if len(h.versions) != len(want.versions) {
		say("it has %d versions, wanted %d", len(h.versions), len(want.versions))
	}
	for i := range min(len(h.versions), len(want.versions)) {
		a, b := h.versions[i], want.versions[i]
		if grade, where := cloudlet.CompareRules(a.content, b.content); grade == cloudlet.Different {
			say("version %d differs: %s", i+1, where)
		}
		if a.description != b.description {
			say("version %d is described %q, wanted %q", i+1, a.description, b.description)
		}
	}
	if !maps.Equal(h.live, want.live) {
		say("live are %v, wanted %v", h.live, want.live)
	}
}

// holds wants the lab's account to hold exactly that.
func (l *lab) holds(what string, want holding) {
	l.t.Helper()
	if wrong := holdingOf(l.t, l.server.Account()).differences(want); len(wrong) > 0 {
		l.t.Fatalf("%s: %d differences:\n%s", what, len(wrong), strings.Join(wrong[:min(len(wrong), 12)], "\n"))
	}
}

// writes are the requests other than GET that the server answered or cut off.
func (l *lab) writes() []request {
	return slices.DeleteFunc(l.requests(), func(r request) bool { return r.Method == http.MethodGet })
}

// The groups of the fixtures: where policies are in the snapshot, and where they are restored to.
const groupBefore, groupAfter = 1234, 77

// must1 ends the test when a fixture cannot be made.
func must1[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// shopAccount is small and has all that can go wrong: legacy and shared policies, a load-balancing origin, versions that
// are equal, descriptions that look like markers, strings that JSON spells in several ways, and what is live.
func shopAccount(t *testing.T) *simulator.Account {
	t.Helper()
	a := simulator.NewAccount()
	a.AddGroup(groupBefore, 0, "before", "www.example.com")
	id, ok := must1[int64](t), func(err error) { t.Helper(); must1[int](t)(0, err) }
	policy := func(shared bool, kind, name, description string, versions ...string) int64 {
		p := id(a.AddPolicy(simulator.NewPolicy{Shared: shared, Type: kind, Group: groupBefore, Name: name, Description: description}))
		for i, rules := range versions {
			if i == 0 && !shared {
				ok(a.EditRules(p, 1, rules))
				ok(a.SetVersionMember(p, 1, "description", `"first"`))
				continue
			}
			id(a.AddVersion(p, fmt.Sprintf("version %d of %s \u2028 <b>", i+1, name), rules))
		}
		return p
	}
	a.AddDefinedOrigin("center", "origin.example.com")
	a.AddOrigin("pool", "a pool & more")
	balanced := `{"balancingType":"WEIGHTED","dataCenters":[{"originId":"center","percent":100.0,"latitude":1e1}],"description":%q}`
	for _, text := range []string{"one", "two"} {
		id(a.AddOriginVersion("pool", fmt.Sprintf(balanced, text)))
	}
	ok(a.ActivateOrigin("pool", 2, "staging"))

	legacy := policy(false, "ER", "legacy", "ends with [cmig:00000000/1]", redirects(1), redirects(2), redirects(2))
	ok(a.AddProperty("www.example.com", groupBefore, legacy))
	ok(a.Activate(legacy, 3, "staging"))
	ok(a.Activate(legacy, 2, "production"))
	policy(false, "ALB", "balanced", "", forwards("pool", 1), forwards("pool", 2))
	shared := policy(true, "ER", "shared", "launch 🚀 <b>now</b> & \"later\"", redirects(3), redirects(4), redirects(3), redirects(4))
	ok(a.Activate(shared, 4, "staging"))
	ok(a.Activate(shared, 2, "production"))
	policy(true, "AP", "empty", "tab\tand\nnewline")
	return a
}

// redirects are rules with strings and numbers that can be spelt in several ways.
func redirects(n int) string {
	return fmt.Sprintf(`[{"type":"erMatchRule","name":"r\u00e9gle \ud83d\ude00 %d","matchURL":"/%d\u2028<>&","redirectURL":"\/there\/%d","statusCode":301,`+
		`"x-numbers":[1.0,1e2,12345678901234567890],"matches":null},{"type":"erMatchRule","name":"second","redirectURL":"/b","statusCode":302,"useRelativeUrl":"none"}]`, n, n, n)
}

func forwards(origin string, n int) string {
	return fmt.Sprintf(`[{"type":"albMatchRule","name":"a%d","matchesAlways":true,"forwardSettings":{"originId":%q}}]`, n, origin)
}

// emptyAccount is where restores go to: with the group, the property and the origin that a property defines.
func emptyAccount(*testing.T) *simulator.Account {
	a := simulator.NewAccount()
	a.AddGroup(groupAfter, 0, "after", "www.example.com", "www.example.org")
	a.AddDefinedOrigin("center", "origin.example.com")
	return a
}

// moved is what a restore with --group groupAfter is to make of it.
func (h holding) moved() holding {
	return h.changed(func(key string, p held) (string, held, bool) {
		if !strings.HasPrefix(key, "origin/") {
			p.group = groupAfter
		}
		return key, p, true
	})
}

// snapshotOf exports an account and gives the folder.
func snapshotOf(t *testing.T, account *simulator.Account) string {
	t.Helper()
	l := newLab(t, simulator.Options{Account: account}, simulator.ListenOptions{})
	dir := l.path("snapshot")
	l.must(0, "export", dir, "--progress", "never")
	return dir
}

// hasty are the flags of all changing runs of the tests.
func hasty(args ...string) []string {
	return append(args, "--yes", "--timeout", "500ms", "--settle", "1s", "--workers", "4", "--progress", "never")
}
