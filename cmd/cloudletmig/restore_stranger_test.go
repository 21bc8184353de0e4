package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// meddled is a restore in which somebody else changes one policy between our intent and our retry.
type meddled struct {
	// before is in the account when the restore begins: the shared policy with so many of its versions.
	before int
	// set makes what goes wrong and what somebody else does then; the policy of before has the id.
	set func(t *testing.T, l *lab, id int64)
	// kill ends the first run when it is called, if it is set; then the command is given again.
	kill string // a request, before whose answer the run is killed
	then func(t *testing.T, l *lab)
	// whose is the policy that somebody else has changed, and is what is to be seen of that.
	whose string
	left  func(p held) bool
}

// TestStrangerRestore has somebody else change what we are about to make: that item ends in a conflict (exit 15), nothing is
// overwritten, and all others are done.
func TestStrangerRestore(t *testing.T) {
	t.Parallel()
	account := func(l *lab) *simulator.Account { return l.server.Account() }
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	named := func(l *lab, name string) int64 {
		for _, p := range account(l).Policies() {
			if p.Name == name {
				return p.ID
			}
		}
		return 0
	}
	lost := func(method, path string) simulator.Fault {
		return simulator.Fault{Kind: simulator.FaultResetBefore, Methods: []string{method}, Path: path, Max: 1}
	}
	for name, m := range map[string]meddled{
		"version added before the retry": {
			before: 2, whose: "v3/shared", left: func(p held) bool { return len(p.versions) == 3 && p.versions[2].description == "theirs" },
			set: func(t *testing.T, l *lab, id int64) {
				t.Helper()
				path := fmt.Sprintf("/policies/%d/versions", id)
				l.server.SetFaults(lost("POST", path))
				l.server.Before(1, "POST /cloudlets/v3"+path, func() {
					l.server.Before(1, "GET /cloudlets/v3"+path, func() {
						_, err := account(l).AddVersion(id, "theirs", redirects(9))
						check(t, err)
					})
				})
			},
		},
		"version added before the first attempt": {
			before: 2, whose: "v3/shared", left: func(p held) bool { return len(p.versions) == 3 && p.versions[2].description == "theirs" },
			set: func(t *testing.T, l *lab, id int64) {
				t.Helper()
				l.server.Before(1, "POST /cloudlets/api/v2/origins", func() { // the plan is made
					_, err := account(l).AddVersion(id, "theirs", redirects(9))
					check(t, err)
				})
			},
		},
		"name taken before the first attempt": {
			whose: "v3/shared", left: func(p held) bool { return len(p.versions) == 0 && p.description == "theirs" },
			set: func(t *testing.T, l *lab, _ int64) {
				t.Helper()
				l.server.Before(1, "POST /cloudlets/v3/policies", func() {
					_, err := account(l).AddPolicy(simulator.NewPolicy{Shared: true, Type: "ER", Group: groupAfter, Name: "shared", Description: "theirs"})
					check(t, err)
				})
			},
		},
		"name taken before the retry": {
			whose: "v2/legacy", left: func(p held) bool { return len(p.versions) == 1 && p.description == "theirs" },
			set: func(t *testing.T, l *lab, _ int64) {
				t.Helper()
				l.server.SetFaults(simulator.Fault{Kind: simulator.FaultResetBefore, Methods: []string{"POST"}, Path: "/api/v2/policies", Max: 2})
				l.server.Before(2, "POST /cloudlets/api/v2/policies", func() {
					_, err := account(l).AddPolicy(simulator.NewPolicy{Type: "ER", Group: groupAfter, Name: "legacy", Description: "theirs"})
					check(t, err)
				})
			},
		},
		"another version activated": {
			before: 3, whose: "v3/shared", left: func(p held) bool { return len(p.versions) == 4 && p.live[staging] == 3 },
			set: func(t *testing.T, l *lab, id int64) {
				t.Helper()
				check(t, account(l).Activate(id, 1, "staging"))
				l.server.Before(1, fmt.Sprintf("POST /cloudlets/v3/policies/%d/versions", id), func() { check(t, account(l).Activate(id, 3, "staging")) })
			},
		},
		"another version activated before the retry": {
			before: 3, whose: "v3/shared", left: func(p held) bool { return len(p.versions) == 4 && p.live[staging] == 3 },
			set: func(t *testing.T, l *lab, id int64) {
				t.Helper()
				path := fmt.Sprintf("/policies/%d/activations", id)
				l.server.SetFaults(lost("POST", path))
				l.server.Before(1, "POST /cloudlets/v3"+path, func() {
					l.server.Before(1, "GET /cloudlets/v3"+path, func() { check(t, account(l).Activate(id, 3, "staging")) })
				})
			},
		},
		"killed, then a version added behind ours": {
			whose: "v3/shared", left: func(p held) bool { return len(p.versions) == 2 && p.versions[1].description == "theirs" },
			kill: "POST /cloudlets/v3/policies/", then: func(t *testing.T, l *lab) {
				t.Helper()
				_, err := account(l).AddVersion(named(l, "shared"), "theirs", redirects(9))
				check(t, err)
			},
		},
		"killed, then version 1 written": {
			whose: "v2/legacy", left: func(p held) bool {
				return len(p.versions) == 1 && strings.Contains(string(p.versions[0].content), "theirs")
			},
			kill: "PUT /cloudlets/api/v2/policies/", then: func(t *testing.T, l *lab) {
				t.Helper()
				check(t, account(l).EditRules(named(l, "legacy"), 1, strings.ReplaceAll(redirects(9), "second", "theirs")))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, args, want := restoring(t, simulator.Options{})
			id := l.holdsAlready(m.before)
			args = append(args, "--on-existing", "append", "--workers", "1")
			if m.set != nil {
				m.set(t, l, id)
			}
			if m.kill != "" {
				l.killedBefore(m.kill, args)
				m.then(t, l)
			}
			o := l.must(15, args...)
			if !strings.Contains(o.out, "INCOMPLETE") || strings.Count(o.err, "cloudletmig: hint: ") != 1 {
				t.Errorf("nothing is said of it: %s", o)
			}
			got := holdingOf(t, account(l))
			if !m.left(got[m.whose]) {
				t.Errorf("what somebody else made was not left alone: %+v\n%s", got[m.whose], o)
			}
			for _, h := range []holding{got, want} {
				delete(h, m.whose)
			}
			if wrong := got.differences(want); len(wrong) > 0 {
				t.Errorf("others are not done: %s", strings.Join(wrong, "\n"))
			}
			writes := len(l.writes())
			l.must(15, args...)
			if again := len(l.writes()) - writes; again > 0 {
				t.Errorf("the same command again sent %d requests", again)
			}
		})
	}
}

// holdsAlready puts the first versions of the shared policy into the account.
func (l *lab) holdsAlready(versions int) int64 {
	l.t.Helper()
	if versions == 0 {
		return 0
	}
	id := must1[int64](l.t)
	p := id(l.server.Account().AddPolicy(simulator.NewPolicy{
		Shared: true, Type: "ER", Group: groupAfter, Name: "shared", Description: "launch 🚀 <b>now</b> & \"later\"",
	}))
	for i, n := range []int{3, 4, 3, 4}[:versions] {
		id(l.server.Account().AddVersion(p, fmt.Sprint("version ", i+1), redirects(n)))
	}
	return p
}

// killedBefore runs the program and kills it when it has sent a request, whose effect comes then.
func (l *lab) killedBefore(request string, args []string) {
	l.t.Helper()
	due, dead := make(chan struct{}), make(chan struct{})
	l.server.Before(1, request, func() {
		close(due)
		<-dead
	})
	c := l.command(args...).start()
	select {
	case <-due:
	case <-c.ended:
		l.t.Fatalf("it ended before: %s", c.wait())
	}
	c.signal(syscall.SIGKILL)
	c.wait()
	close(dead)
	if err := l.listener.Deserted(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// TestStrangerDescribes has somebody else describe a policy while the description that it is to have is on its way: theirs
// stays.
func TestStrangerDescribes(t *testing.T) {
	t.Parallel()
	l, args, want := restoring(t, simulator.Options{Faults: []simulator.Fault{
		{Kind: simulator.FaultServerError, Methods: []string{"PUT"}, Path: "/v3/policies/", Max: 1},
	}})
	var id int64
	l.server.Before(1, "PUT /cloudlets/v3/policies/", func() {
		for _, p := range l.server.Account().Policies() {
			if p.Shared {
				id = p.ID
			}
		}
		if err := l.server.Account().SetPolicyMember(id, "description", `"theirs"`); err != nil {
			t.Error(err)
		}
	})
	l.must(0, append(args, "--workers", "1")...)
	described := 0
	l.holds("described by somebody else", want.changed(func(key string, p held) (string, held, bool) {
		for _, q := range l.server.Account().Policies() {
			if q.ID == id && key == "v3/"+q.Name {
				p.description = "theirs"
				described++
			}
		}
		return key, p, true
	}))
	if described != 1 {
		t.Error("nobody described anything")
	}
}

// TestRestoreOriginFails has a load-balancing origin fail to be activated: the policy that uses it waits for the next run,
// all others are done.
func TestRestoreOriginFails(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	fails.Store(true)
	l, args, want := restoring(t, simulator.Options{FailActivation: func(a simulator.Activation) string {
		if a.Origin != "" && fails.Load() {
			return "no data center answers"
		}
		return ""
	}})
	o := l.must(3, args...)
	if !strings.Contains(o.out, "no data center answers") || !strings.Contains(o.err, "--fresh") {
		t.Errorf("the reason is not said, or what to do: %s", o)
	}
	l.holds("without the origin", want.changed(func(key string, p held) (string, held, bool) {
		if key == "origin/pool" {
			p.live = nothingLive()
		}
		return key, p, key != "v2/balanced"
	}))
	fails.Store(false)
	l.must(3, args...) // what failed has failed: a run never sends it again
	l.must(0, append(args, "--fresh")...)
	l.holds("in the end", want)
}

// TestRestoreExits has runs meet a conflict, a failure and an activation that does not end, in every mixture: the exit is the
// first that applies, and the summary names each.
func TestRestoreExits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		conflict, failure, pending bool
		exit                       int
	}{
		{true, true, true, 15}, {true, false, true, 15}, {false, true, true, 3}, {false, false, true, 6}, {false, true, false, 3}, {true, true, false, 15},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			opt := simulator.Options{ActivationTime: 20 * time.Millisecond}
			if c.pending {
				opt.ActivationTime = time.Hour
			}
			l, args, _ := restoring(t, opt)
			if c.failure {
				l.server.SetFaults(simulator.Fault{Kind: simulator.FaultServerError, Status: 403, Methods: []string{"PUT"}, Path: "/versions/1", Max: 1})
			}
			if c.conflict {
				l.server.Before(1, "POST /cloudlets/v3/policies", func() {
					if _, err := l.server.Account().AddPolicy(simulator.NewPolicy{Shared: true, ID: 2000, Type: "AP", Group: groupAfter, Name: "empty"}); err != nil {
						t.Error(err)
					}
				})
			}
			o := l.must(c.exit, append(args, "--workers", "1", "--deadline", "300ms", "--output", "json")...)
			var doc struct {
				Exit    int            `json:"exit"`
				Classes map[string]int `json:"classes"`
			}
			if err := json.Unmarshal([]byte(o.out), &doc); err != nil {
				t.Fatal(err)
			}
			for class, met := range map[string]bool{"conflicts": c.conflict, "failed": c.failure, "pending": c.pending} {
				if (doc.Classes[class] > 0) != met {
					t.Errorf("%s: %v, wanted some: %t", class, doc.Classes, met)
				}
			}
			if doc.Exit != c.exit || doc.Classes["done"] == 0 {
				t.Errorf("exit %d, %v", doc.Exit, doc.Classes)
			}
		})
	}
}
