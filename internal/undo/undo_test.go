package undo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/undo"
)

// account is one policy as the API tells of it.
type account struct {
	docs map[string]string // by path; what is not there answers 404
	// answers are those to removals, one after another; then they succeed.
	answers []error
	rate    cloudlet.Rate // beside each answer
	sent    []string
	at      []time.Time
}

func (a *account) Get(_ context.Context, r cloudlet.Resource) ([]byte, error) {
	path, _, _ := strings.Cut(r.Path, "?")
	if doc, ok := a.docs[path]; ok {
		return []byte(doc), nil
	}
	return nil, &cloudlet.APIError{Status: cloudlet.NotFound, Verdict: cloudlet.Rejected}
}

func (a *account) Send(_ context.Context, c cloudlet.Change) (cloudlet.Answer, error) {
	a.sent, a.at = append(a.sent, c.Method+" "+c.Path), append(a.at, time.Now())
	if len(a.answers) > 0 {
		err := a.answers[0]
		a.answers = a.answers[1:]
		return cloudlet.Answer{Rate: a.rate}, err
	}
	return cloudlet.Answer{}, nil
}

const base = "/cloudlets/v3/policies/7"

// policy is shared policy 7 with these versions, each with its content, and the rows of its history.
func policy(rows string, contents ...string) *account {
	a := &account{docs: map[string]string{base: `{"id":7,"name":"shop","cloudletType":"ER"}`, base + "/activations": "[" + rows + "]"}}
	a.versions(base, contents...)
	return a
}

func (a *account) versions(at string, contents ...string) {
	var list []string
	for i, content := range contents {
		n := i + 1
		list = append(list, fmt.Sprintf(`{"version":%d,"description":"d","modifiedBy":"eve"}`, n))
		a.docs[fmt.Sprintf("%s/versions/%d", at, n)] = fmt.Sprintf(`{"version":%d,"description":"d","modifiedBy":"eve","matchRules":[{"name":%q}]}`, n, content)
	}
	a.docs[at+"/versions"] = "[" + strings.Join(list, ",") + "]"
}

// hash is the name of the only rule.
func hash(doc []byte) (string, error) {
	var v struct {
		Rules []struct{ Name string } `json:"matchRules"`
	}
	if err := json.Unmarshal(doc, &v); err != nil || len(v.Rules) == 0 {
		return "", err
	}
	return v.Rules[0].Name, nil
}

func row(version int64, network, status string) string {
	return fmt.Sprintf(`{"network":%q,"policyVersion":%d,"operation":"ACTIVATION","status":%q}`, network, version, status)
}

func ours(number int64, content string) undo.Version {
	return undo.Version{Number: number, Hash: content, Description: " d "}
}

func live(version, previous int64) undo.Live {
	return undo.Live{Previous: previous, Target: activate.Target{API: cloudlet.V3, Policy: 7, Name: "shop", Version: version, Network: cloudlet.Staging}}
}

func TestMake(t *testing.T) {
	t.Parallel()
	created := func(versions ...undo.Version) []undo.Made {
		return []undo.Made{{API: cloudlet.V3, Policy: 7, Name: "shop", Created: true, Versions: versions}}
	}
	added := func(versions ...undo.Version) []undo.Made {
		return []undo.Made{{API: cloudlet.V3, Policy: 7, Name: "shop", Versions: versions}}
	}
	const staging = "STAGING"
	for _, test := range []struct {
		name    string
		account *account
		made    []undo.Made
		live    []undo.Live
		steps   []string
		stays   []string
	}{
		{name: "a policy", account: policy("", "a", "b"), made: created(ours(1, "a"), ours(2, "b")), steps: []string{"remove v3:7 shop"}},
		{name: "a policy that is gone", account: &account{}, made: created(ours(1, "a")), live: []undo.Live{live(1, 0)}},
		{
			name: "an edited version", account: policy("", "a", "theirs"), made: created(ours(1, "a"), ours(2, "b")),
			stays: []string{"v3:7 shop: it holds what this run did not write: version 2 was edited by eve since"},
		},
		{
			name: "an edited description", account: policy("", "a"), made: created(undo.Version{Number: 1, Hash: "a", Description: "other"}),
			stays: []string{"v3:7 shop: it holds what this run did not write: version 1 was edited by eve since"},
		},
		{
			name: "an added version", account: policy("", "a", "theirs"), made: created(ours(1, "a")),
			stays: []string{"v3:7 shop: it holds what this run did not write: version 2 was added by eve since"},
		},
		{name: "a clone with unknown numbers", account: policy("", "b", "a"), made: created(ours(0, "a"), ours(0, "b")), steps: []string{"remove v3:7 shop"}},
		{
			name: "an edited clone", account: policy("", "b", "theirs"), made: created(ours(0, "a"), ours(1, "b")),
			stays: []string{"v3:7 shop: it holds what this run did not write: version 2 was edited by eve since"},
		},
		{
			name: "added versions", account: policy("", "old", "a", "b"), made: added(ours(2, "a"), ours(3, "b"), ours(4, "c")),
			steps: []string{"remove version 3 of v3:7 shop", "remove version 2 of v3:7 shop"},
		},
		{
			name: "an added version that was edited", account: policy("", "old", "theirs"), made: added(ours(2, "a")),
			stays: []string{"version 2 of v3:7 shop: version 2 was edited by eve since"},
		},
		{
			name: "what was live before", account: policy(row(2, staging, "SUCCESS"), "old", "a"), made: added(ours(2, "a")), live: []undo.Live{live(2, 1)},
			steps: []string{"activate version 1 of v3:7 shop on staging again", "remove version 2 of v3:7 shop"},
		},
		{
			name: "nothing was live before", account: policy(row(1, staging, "SUCCESS"), "a"), made: created(ours(1, "a")), live: []undo.Live{live(1, 0)},
			steps: []string{"deactivate version 1 of v3:7 shop on staging", "remove v3:7 shop"},
		},
		{name: "put back already", account: policy(row(1, staging, "SUCCESS"), "old", "a"), made: nil, live: []undo.Live{live(2, 1)}},
		{name: "an activation that came to nothing", account: policy(row(2, staging, "FAILED"), "old", "a"), live: []undo.Live{live(2, 0)}},
		{
			name: "something else is live", account: policy(row(3, staging, "SUCCESS"), "old", "a", "theirs"), live: []undo.Live{live(2, 1)},
			stays: []string{"activation of version 2 of v3:7 shop on staging: version 3 is live there now, which this run did not put there"},
		},
		{
			name: "an activation under way", account: policy(row(2, staging, "IN_PROGRESS"), "old", "a"), made: added(ours(2, "a")), live: []undo.Live{live(2, 1)},
			stays: []string{"activation of version 2 of v3:7 shop on staging: an activation of version 2 is under way there; undo again when it is over", "version 2 of v3:7 shop: it is live or about to be"},
		},
		{
			name: "live on the other network", account: policy(row(1, "PRODUCTION", "SUCCESS"), "a"), made: created(ours(1, "a")),
			stays: []string{"v3:7 shop: version 1 of it is live or about to be"},
		},
		{
			name: "an origin", account: &account{}, made: []undo.Made{{Origin: "o"}},
			stays: []string{"origin o: the API removes neither load-balancing configurations nor their versions"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plan, err := undo.Make(t.Context(), test.account, hash, "run", test.made, test.live)
			if err != nil {
				t.Fatal(err)
			}
			check(t, plan, test.steps, test.stays)
			if len(test.account.sent) > 0 {
				t.Errorf("sent %q", test.account.sent)
			}
		})
	}
}

// TestMakeLegacy: version 1 is nobody's while it is empty, and only then.
func TestMakeLegacy(t *testing.T) {
	t.Parallel()
	const at = "/cloudlets/api/v2/policies/7"
	const empty = `{"version":1,"matchRules":null}`
	for _, test := range []struct {
		name   string
		first  string // version 1 as it is; empty: as the run wrote it
		made   undo.Made
		steps  []string
		stays  []string
		second bool
	}{
		{name: "as it was written", made: undo.Made{Created: true, Versions: []undo.Version{ours(1, "a")}}, steps: []string{"remove v2:7 shop"}},
		{name: "never written", first: empty, made: undo.Made{Created: true}, steps: []string{"remove v2:7 shop"}},
		{name: "written by somebody", made: undo.Made{Created: true}, stays: []string{"v2:7 shop: it holds what this run did not write: version 1 was edited by eve since"}},
		{
			name: "edited by somebody", made: undo.Made{Created: true, Versions: []undo.Version{ours(1, "b")}},
			stays: []string{"v2:7 shop: it holds what this run did not write: version 1 was edited by eve since"},
		},
		{
			name: "emptied by somebody", first: empty, made: undo.Made{Created: true, Versions: []undo.Version{ours(1, "b")}},
			stays: []string{"v2:7 shop: it holds what this run did not write: version 1 was edited by eve since"},
		},
		{
			name: "filled", second: true, made: undo.Made{Filled: true, Versions: []undo.Version{ours(1, "a"), ours(2, "b")}},
			steps: []string{"remove version 2 of v2:7 shop"},
			stays: []string{"version 1 of v2:7 shop: it was there before, empty; what the run wrote into it is not taken back"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := &account{docs: map[string]string{at: `{"policyId":7,"name":"shop","cloudletCode":"ER"}`, at + "/activations": "[]"}}
			contents := []string{"a"}
			if test.second {
				contents = append(contents, "b")
			}
			a.versions(at, contents...)
			if test.first != "" {
				a.docs[at+"/versions/1"] = test.first
			}
			test.made.API, test.made.Policy, test.made.Name = cloudlet.V2, 7, "shop"
			plan, err := undo.Make(t.Context(), a, hash, "run", []undo.Made{test.made}, nil)
			if err != nil {
				t.Fatal(err)
			}
			check(t, plan, test.steps, test.stays)
		})
	}
}

func check(t *testing.T, plan undo.Plan, steps, stays []string) {
	t.Helper()
	var gotSteps, gotStays []string
	for _, s := range plan.Steps {
		gotSteps = append(gotSteps, s.String())
	}
	for _, s := range plan.Stays {
		gotStays = append(gotStays, s.Item+": "+s.Text)
	}
	if !reflect.DeepEqual(gotSteps, steps) {
		t.Errorf("steps %q, want %q", gotSteps, steps)
	}
	if !reflect.DeepEqual(gotStays, stays) {
		t.Errorf("stays %q, want %q", gotStays, stays)
	}
}

func TestApplyRemoves(t *testing.T) {
	t.Parallel()
	lost := &cloudlet.APIError{Verdict: cloudlet.Unknown}
	busy := &cloudlet.APIError{Verdict: cloudlet.Rejected, Status: 429}
	refused := &cloudlet.APIError{Verdict: cloudlet.Rejected, Status: cloudlet.Forbidden}
	times := func(n int, err error) (all []error) {
		for range n {
			all = append(all, err)
		}
		return all
	}
	for _, test := range []struct {
		name    string
		answers []error
		edited  bool // after the plan was made
		sent    int
		fails   error
	}{
		{name: "at once", sent: 1},
		{name: "it was gone", answers: []error{&cloudlet.APIError{Verdict: cloudlet.Rejected, Status: cloudlet.NotFound}}, sent: 1},
		{name: "answers are lost", answers: times(3, lost), sent: 4},
		{name: "no answer at all", answers: times(30, lost), sent: 10, fails: job.ErrPending},
		{name: "the API is busy", answers: times(30, busy), sent: 31},
		{name: "the API stays busy", answers: times(300, busy), sent: 100, fails: job.ErrPending},
		{name: "refused", answers: []error{refused}, sent: 1, fails: job.ErrIncomplete},
		{name: "edited after the plan", edited: true, fails: once.ErrConflict},
	} {
		for _, whole := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %v", test.name, whole), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					a := policy("", "a")
					made := []undo.Made{{API: cloudlet.V3, Policy: 7, Name: "shop", Created: whole, Versions: []undo.Version{ours(1, "a")}}}
					plan, err := undo.Make(t.Context(), a, hash, "run", made, nil)
					if err != nil || len(plan.Steps) != 1 {
						t.Fatal(plan, err)
					}
					text, err := json.Marshal(plan) // it comes out of the journal
					if err == nil {
						plan = undo.Plan{}
						err = json.Unmarshal(text, &plan)
					}
					if err != nil {
						t.Fatal(err)
					}
					a.answers = test.answers
					if test.edited {
						a.versions(base, "theirs")
					}
					var failed error
					pool := job.Pool{Workers: 1, Journal: &job.Memory{}, Watch: func(e job.Event) {
						if e.Kind == job.Failed {
							failed = e.Err
						}
					}}
					err = undo.Apply(t.Context(), a, plan, pool, undo.Options{Poll: time.Second, Hash: hash})
					if test.fails == nil && err != nil || test.fails != nil && !errors.Is(errors.Join(err, failed), test.fails) {
						t.Errorf("error %v (%v), want %v", err, failed, test.fails)
					}
					if len(a.sent) != test.sent {
						t.Errorf("%d requests, want %d: %q", len(a.sent), test.sent, a.sent)
					}
				})
			})
		}
	}
}

// TestApplyWaits: a removal is sent again when the API says so, and not before.
func TestApplyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := policy("", "a")
		plan, err := undo.Make(t.Context(), a, hash, "run", []undo.Made{{API: cloudlet.V3, Policy: 7, Created: true, Versions: []undo.Version{ours(1, "a")}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		next := time.Now().Add(time.Minute)
		a.rate.Next = next
		a.answers = []error{&cloudlet.APIError{Verdict: cloudlet.Rejected, Status: 429}}
		pool := job.Pool{Workers: 1, Journal: &job.Memory{}}
		if err := undo.Apply(t.Context(), a, plan, pool, undo.Options{Poll: time.Second, Hash: hash}); err != nil {
			t.Fatal(err)
		}
		if len(a.at) != 2 || a.at[1].Before(next) {
			t.Errorf("sent at %v, allowed again at %v", a.at, next)
		}
	})
}
