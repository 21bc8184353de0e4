package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/simulator"
)

// legacyTypes are all types of v2; those that v3 does not have come last.
func legacyTypes() []string {
	return []string{"ER", "FR", "AS", "AP", "CD", "IG", "ALB", "VP", "IV", "MMA", "MMB"}
}

const canBeShared = 6 // of legacyTypes

// legacyAccount is an account with so many legacy policies of all types, each with 1 to most versions, none, one or two of
// which are live. Every 12th has no group.
func legacyAccount(t *testing.T, policies, most int, seed uint64) *simulator.Account {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	account := simulator.NewAccount()
	account.AddGroup(100, 0, "root", "www.example.com")
	account.AddGroup(200, 100, "shop")
	// Versions are dated apart, as people make them.
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	account.SetClock(func() time.Time { now = now.Add(time.Minute); return now })
	for k := range policies {
		kind := legacyTypes()[k%len(legacyTypes())]
		group := []int64{200, 100, 200}[k%3]
		if k%12 == 5 {
			group = 0
		}
		id, err := account.AddPolicy(simulator.NewPolicy{Type: kind, Group: group, Name: fmt.Sprintf("legacy_%s_%d", strings.ToLower(kind), k), Description: fmt.Sprint("policy ", k)})
		if err != nil {
			t.Fatal(err)
		}
		versions := 1 + random.IntN(most)
		if err := account.EditRules(id, 1, typedRules(kind, id, 1)); err != nil {
			t.Fatal(err)
		}
		for n := int64(2); n <= int64(versions); n++ {
			if _, err := account.AddVersion(id, fmt.Sprintf("version %d", n), typedRules(kind, id, n)); err != nil {
				t.Fatal(err)
			}
		}
		for _, network := range []string{"staging", "production"} {
			if random.IntN(4) == 0 {
				continue
			}
			if err := account.Activate(id, 1+random.Int64N(int64(versions)), network); err != nil {
				t.Fatal(err)
			}
		}
		if k%4 == 1 {
			if err := account.AddUse(id, fmt.Sprintf("www.example%d.com", k), group, 3, 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	return account
}

// typedRules are rules of a type, which no other version has.
func typedRules(kind string, policy, version int64) string {
	does := map[string]string{
		"ER": `"statusCode":301,"redirectURL":"/to/%d/%d","useRelativeUrl":"relative_url"`,
		"FR": `"forwardSettings":{"originId":"o","pathAndQS":"/to/%d/%d"}`, "AS": `"forwardSettings":{"originId":"o","pathAndQS":"/to/%d/%d"}`,
		"CD": `"forwardSettings":{"originId":"o%d_%d","percent":50}`, "IG": `"allowDeny":"deny","x-note":"%d %d"`,
		"AP": `"passThroughPercent":50.0,"x-note":"%d %d"`,
	}[kind]
	if does == "" {
		does = `"x-note":"%d %d"`
	}
	var rules []string
	for i := range 1 + version%3 {
		rules = append(rules, fmt.Sprintf(`{"type":"%sMatchRule","name":"rule %d",%s}`, strings.ToLower(kind), i, fmt.Sprintf(does, policy, version*10+i)))
	}
	return "[" + strings.Join(rules, ",") + "]"
}

// upgraded is what an account must hold after an upgrade of all its legacy policies.
type upgraded struct {
	all bool // every version is carried
}

// judgeUpgrade holds an account against its legacy policies: each that can be shared has one shared policy, with the same
// rules and descriptions, live on the same networks, activated once; and there are no others.
func judgeUpgrade(t *testing.T, account *simulator.Account, want upgraded) {
	t.Helper()
	shared := map[string][]simulator.PolicyInfo{}
	legacy := 0
	for _, p := range account.Policies() {
		if p.Shared {
			shared[p.Name] = append(shared[p.Name], p)
		}
	}
	for _, p := range account.Policies() {
		if p.Shared || slices.Index(legacyTypes(), p.Type) >= canBeShared {
			continue
		}
		legacy++
		found := shared[p.Name+"_shared"]
		if len(found) != 1 {
			t.Fatalf("legacy policy %d %s became %d shared policies", p.ID, p.Name, len(found))
		}
		judgeShared(t, account, p, found[0], want)
	}
	if len(shared) != legacy {
		t.Fatalf("%d shared policies for %d legacy ones", len(shared), legacy)
	}
}

func judgeShared(t *testing.T, account *simulator.Account, old, made simulator.PolicyInfo, want upgraded) {
	t.Helper()
	live := liveOn(t, account, old.ID)
	carried := slices.Clone(old.Versions)
	if !want.all {
		carried = []int64{old.Versions[len(old.Versions)-1]} // dated last
		for _, n := range live {
			carried = append(carried, n)
		}
		slices.Sort(carried)
		carried = slices.Compact(carried)
	}
	if len(made.Versions) != len(carried) {
		t.Fatalf("%s: versions %v, and %v were to be carried", made.Name, made.Versions, carried)
	}
	to := map[int64]int64{}
	for i, n := range carried { // in their order, whether numbers are kept or not
		to[n] = made.Versions[i]
		a, b := versionOf(t, account, old.ID, n), versionOf(t, account, made.ID, made.Versions[i])
		if grade, where := cloudlet.CompareRules(a.Rules, b.Rules); grade == cloudlet.Different {
			t.Fatalf("%s: version %d of the legacy policy and %d of the shared one differ at %s", made.Name, n, made.Versions[i], where)
		}
		if a.Description != b.Description {
			t.Fatalf("%s: version %d is described %q, and was %q", made.Name, made.Versions[i], b.Description, a.Description)
		}
	}
	rows, err := account.Activations(made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(live) {
		t.Fatalf("%s: %d activations, and %d versions are live on the legacy policy: %v", made.Name, len(rows), len(live), rows)
	}
	for _, r := range rows {
		if r.Status != "SUCCESS" || r.Version != to[live[r.Network]] {
			t.Fatalf("%s: %v, and version %d is live on the legacy policy, which became %d", made.Name, r, live[r.Network], to[live[r.Network]])
		}
	}
}

// liveOn is what is live of a legacy policy, by network.
func liveOn(t *testing.T, account *simulator.Account, id int64) map[string]int64 {
	t.Helper()
	rows, err := account.Activations(id)
	if err != nil {
		t.Fatal(err)
	}
	live := map[string]int64{}
	for _, r := range slices.Backward(rows) {
		if r.Status == "ACTIVE" {
			live[r.Network] = r.Version
		}
	}
	return live
}

type versionDoc struct {
	Description string          `json:"description"`
	Rules       json.RawMessage `json:"matchRules"`
}

func versionOf(t *testing.T, account *simulator.Account, id, number int64) versionDoc {
	t.Helper()
	text, err := account.VersionText(id, number)
	if err != nil {
		t.Fatal(err)
	}
	var doc versionDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func upgradeArgs(more ...string) []string {
	return append([]string{
		"upgrade", "--all", "--group", "100", "--activate", "same", "--activations-per-minute", "100000", "--yes", "--progress", "never",
	}, more...)
}

// TestUpgradeWhole upgrades 300 policies of all types with up to 40 versions, for both readings of how a clone numbers its
// versions, by clone and by copy.
func TestUpgradeWhole(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		policies, most int
		renumbers      bool
		flags          []string
	}{
		{300, 40, false, nil},
		{120, 12, true, []string{"--versions", "all"}},
		{60, 5, false, []string{"--method", "copy"}},
	} {
		account := legacyAccount(t, c.policies, c.most, uint64(i))
		l := newLab(t, simulator.Options{
			Account: account, CloneRenumbers: c.renumbers, ActivationTime: -1, Limits: simulator.Limits{Shared: -1},
		}, simulator.ListenOptions{})
		dry := l.must(3, append(upgradeArgs(c.flags...), "--dry-run", "--output", "json")...)
		blocked, clones, activations := judgePlan(t, dry.out, account)
		if w := l.writes(); len(w) > 0 {
			t.Fatalf("the dry run sent %v", w)
		}
		l.forget(nil)
		begun := time.Now()
		l.must(3, upgradeArgs(append(c.flags, "--report", l.path("report"))...)...)
		t.Logf("%d policies in %s, %d requests", c.policies, time.Since(begun).Round(time.Millisecond), len(l.requests()))
		judgeUpgrade(t, account, upgraded{all: slices.Contains(c.flags, "all")})
		if n, m := l.sent("/clone"), l.sent("/activations"); n != clones || m != activations {
			t.Errorf("%d clones and %d activations were sent, and the plan had %d and %d", n, m, clones, activations)
		}
		stages := stagesOf(t, l.path("report"))
		if stages["blocked"] != blocked || stages["proved"]+stages["staged"]+stages["live"] != c.policies-blocked {
			t.Errorf("stages: %v", stages)
		}
		if n := lists(l); c.flags == nil && n > 20 {
			t.Errorf("%d listings of all shared policies", n)
		}
		l.forget(nil)
		o := l.must(3, upgradeArgs(c.flags...)...)
		if w := l.writes(); len(w) > 0 || !strings.Contains(o.out, "Plan: 0 to clone, 0 to copy, 0 to bring up to date") {
			t.Fatalf("the second run sent %v: %s", w, o)
		}
	}
}

// sent counts the POST requests to paths that end so.
func (l *lab) sent(end string) (n int) {
	for _, r := range l.requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Path, end) {
			n++
		}
	}
	return n
}

// lists are the requests that list the shared policies.
func lists(l *lab) (n int) {
	for _, r := range l.requests() {
		if strings.HasPrefix(r.Path, "/cloudlets/v3/policies?") {
			n++
		}
	}
	return n
}

// judgePlan wants a plan to name every legacy policy once, those of types that v3 lacks as blocked with a reason and all
// others to be made. It gives how many are blocked, and how many clones and activations it has.
func judgePlan(t *testing.T, document string, account *simulator.Account) (blocked, clones, activations int) {
	t.Helper()
	var doc struct {
		Plan struct {
			Policies []struct {
				ID                int64
				Type, Action, Why string
				NewName           string `json:"new_name"`
				Activate          map[string]int64
			}
		}
	}
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatal(err)
	}
	names, ids := map[string]bool{}, map[int64]bool{}
	for _, p := range doc.Plan.Policies {
		no := slices.Index(legacyTypes(), p.Type) >= canBeShared
		if no {
			blocked++
		}
		if no != (p.Action == "blocked") || no != (p.Why != "") || names[p.NewName] || ids[p.ID] {
			t.Errorf("in the plan: %+v", p)
		}
		if !no {
			activations += len(p.Activate)
		}
		if p.Action == "clone" {
			clones++
		}
		names[p.NewName], ids[p.ID] = true, true
	}
	for _, p := range account.Policies() {
		if !p.Shared && !ids[p.ID] {
			t.Errorf("policy %d is not in the plan", p.ID)
		}
	}
	return blocked, clones, activations
}

func stagesOf(t *testing.T, report string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(report + "/report.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Policies []struct{ Stage string } }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	stages := map[string]int{}
	for _, p := range doc.Policies {
		stages[p.Stage]++
	}
	return stages
}

// TestKillUpgrade kills an upgrade at random points, while replies are lost, effects come late and limits are met, gives the
// same command again until it is done, and wants what an upgrade in peace leaves.
func TestKillUpgrade(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(uint64(figures.killsUpgrade.n()), 5))
	kills := 0
	for round := uint64(0); kills < figures.killsUpgrade.n(); round++ {
		kills += killUpgrade(t, random, round)
	}
	t.Logf("%d kills", kills)
}

// killUpgrade upgrades one account, killed again and again, and gives how often it was killed.
func killUpgrade(t *testing.T, random *rand.Rand, round uint64) (kills int) {
	t.Helper()
	account := legacyAccount(t, 30, 4, 100+round)
	l := newLab(t, simulator.Options{
		Account: account, CloneRenumbers: round%2 == 1, Seed: round, ActivationTime: 20 * time.Millisecond, Limits: simulator.Limits{Shared: -1},
		CloneRefused: func(id int64) int { return map[bool]int{true: http.StatusNotFound}[id%5 == 0] },
		Faults: []simulator.Fault{
			{Kind: simulator.FaultLatency, Delay: time.Millisecond, Jitter: 4 * time.Millisecond},
			{Kind: simulator.FaultLateEffect, Probability: .05, Methods: []string{"POST"}, Delay: 200 * time.Millisecond},
			{Kind: simulator.FaultResetAfter, Probability: .08, Methods: []string{"POST"}},
			{Kind: simulator.FaultServerError, Probability: .03, Methods: []string{"POST", "PUT"}},
			// A description that is put right waits for a minute after a 429.
			{Kind: simulator.FaultLimit, Probability: .05, Methods: []string{"GET", "POST"}, Delay: 20 * time.Millisecond},
		},
	}, simulator.ListenOptions{})
	args := upgradeArgs("--timeout", "400ms", "--settle", "800ms", "--workers", fmt.Sprint(killWorkers), "--report", l.path("report"))
	if round%3 == 2 {
		args = append(args, "--method", "copy")
	}
	for range 14 {
		strike := make(chan struct{})
		at := 1 + random.IntN(150)
		l.forget(func(n int) {
			if n == at {
				close(strike)
			}
		})
		c := l.command(args...).start()
		select {
		case <-strike:
			select {
			case <-time.After(time.Duration(random.Int64N(int64(30 * time.Millisecond)))):
			case <-c.ended:
			}
		case <-c.ended:
		}
		c.signal(syscall.SIGKILL)
		if o := c.wait(); o.exit == 3 {
			break
		} else if o.exit != -1 {
			t.Fatalf("round %d: after %d kills it ended by itself: %s", round, kills, o)
		}
		kills++
	}
	if round%3 == 1 { // another machine goes on, once what was sent has come to its end
		<-time.After(400 * time.Millisecond)
		if err := os.RemoveAll(l.path(".cloudletmig")); err != nil {
			t.Fatal(err)
		}
	}
	l.forget(nil)
	l.must(3, args...)
	judgeUpgrade(t, account, upgraded{})
	return kills
}

// TestFaultUpgrade upgrades while a good part of all answers is broken in every way there is, and wants what an upgrade in peace
// leaves.
func TestFaultUpgrade(t *testing.T) {
	t.Parallel()
	for seed := range uint64(figures.faultsUpgrade.n()) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			faultUpgrade(t, seed)
		})
	}
}

func faultUpgrade(t *testing.T, seed uint64) {
	t.Helper()
	account := legacyAccount(t, 14, 3, 50+seed)
	l := newLab(t, simulator.Options{
		Account: account, Seed: seed, CloneRenumbers: seed%2 == 0, ActivationTime: 20 * time.Millisecond, Limits: simulator.Limits{Shared: -1},
		CloneRefused: func(id int64) int { return map[bool]int{true: http.StatusBadRequest}[id%4 == 0] },
	}, simulator.ListenOptions{})
	faults := brokenFaults()
	for i := range faults {
		faults[i].Probability /= 4
		if faults[i].Kind == simulator.FaultLimit {
			faults[i].Methods = []string{"GET", "POST"} // a description that is put right waits for a minute
		}
	}
	l.server.SetFaults(append(faults, simulator.Fault{
		Kind: simulator.FaultLateEffect, Probability: .1, Methods: []string{"POST"}, Delay: 200 * time.Millisecond,
	})...)
	args := upgradeArgs("--timeout", "400ms", "--settle", "800ms", "--versions", "all")
	var o outcome
	for range 6 { // what may be repeated gives up after some attempts, and the same command goes on
		if o = l.run(args...); o.exit == 3 && !strings.Contains(o.err, "not everything was done") {
			break
		}
	}
	l.server.SetFaults()
	if strings.Contains(o.err, "not everything was done") || o.exit != 3 {
		t.Fatalf("seed %d: it does not come to its end: %s", seed, o)
	}
	judgeUpgrade(t, account, upgraded{all: true})
}

// TestUpgradeActivationFails lets activations fail once: it is said why, nothing goes to production, nothing is sent again by
// itself, and a new plan has what is left.
func TestUpgradeActivationFails(t *testing.T) {
	t.Parallel()
	account := legacyAccount(t, 1, 1, 1)
	id := account.Policies()[0].ID
	for _, network := range []string{"staging", "production"} {
		if err := account.Activate(id, 1, network); err != nil {
			t.Fatal(err)
		}
	}
	var failures atomic.Int32
	l := newLab(t, simulator.Options{
		Account: account, ActivationTime: 50 * time.Millisecond,
		FailActivation: func(simulator.Activation) string {
			if failures.Add(1) == 1 {
				return "no room at the edge"
			}
			return ""
		},
	}, simulator.ListenOptions{})
	args := upgradeArgs("--timeout", "500ms", "--settle", "1s")
	o := l.must(3, args...)
	if !strings.Contains(o.out, "proved") || !strings.Contains(o.out, "no room at the edge") || l.sent("/activations") != 1 {
		t.Fatalf("%d activations: %s", l.sent("/activations"), o)
	}
	l.must(3, args...)
	if n := l.sent("/activations"); n != 1 {
		t.Fatalf("%d activations", n)
	}
	o = l.must(0, append(args, "--fresh")...)
	if n := l.sent("/activations"); n != 3 || !strings.Contains(o.out, "staging 1, production 1") {
		t.Fatalf("%d activations: %s", n, o)
	}
}

// TestUpgradeAdoptsActivation gives up an activation that is under way, loses the journal, and goes on elsewhere: it is waited for and
// not sent again.
func TestUpgradeAdoptsActivation(t *testing.T) {
	t.Parallel()
	account := legacyAccount(t, 1, 1, 1)
	id := account.Policies()[0].ID
	for _, network := range []string{"staging", "production"} {
		if err := account.Activate(id, 1, network); err != nil {
			t.Fatal(err)
		}
	}
	l := newLab(t, simulator.Options{Account: account, ActivationTime: 1500 * time.Millisecond}, simulator.ListenOptions{})
	args := upgradeArgs("--timeout", "500ms", "--settle", "1s")
	o := l.must(6, append(args, "--deadline", "200ms")...)
	if n := l.sent("/activations"); n != 1 || !strings.Contains(o.err, "waits on; nothing is sent twice") {
		t.Fatalf("%d activations: %s", n, o)
	}
	if err := os.RemoveAll(l.path(".cloudletmig")); err != nil {
		t.Fatal(err)
	}
	l.must(0, args...)
	if n := l.sent("/activations"); n != 2 { // production's is the second
		t.Fatalf("%d activations", n)
	}
	judgeUpgrade(t, account, upgraded{})
}

// TestUpgradeKeepsSecrets reads every byte that an upgrade leaves.
func TestUpgradeKeepsSecrets(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: legacyAccount(t, 12, 2, 1), Credentials: canaries(), ActivationTime: -1}, simulator.ListenOptions{})
	o := l.must(3, upgradeArgs("--dry-run", "--plan", l.path("plan.json"), "--log-level", "debug")...)
	l.noSecretBelow(t, "dry run", o)
	l.server.SetFaults(simulator.Fault{Kind: simulator.FaultHTML, Status: 403, Path: "/clone", Max: 2})
	o = l.must(3, upgradeArgs("--report", l.path("report"), "--log-level", "debug", "--output", "json")...)
	l.noSecretBelow(t, "upgrade", o)
}
