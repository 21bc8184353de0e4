package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cloudletmig/internal/simulator"
)

func TestChangesFromOutside(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{})
	a := start(t, simulator.Options{Account: account})
	legacy, shared := v2+"/policies/1001", v3+"/policies/1018"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	revision := str(t, a.get(legacy+"/versions/2"), "revisionId")
	must(account.EditRules(1001, 2, `[{"type":"erMatchRule","name":"edited","n":1.0}]`))
	v := a.get(legacy + "/versions/2")
	if str(t, v, "matchRules", 0, "name") != "edited" || size(t, v, "matchRules") != 1 || str(t, v, "revisionId") == revision {
		t.Errorf("edited version is %s", v)
	}
	if n, err := account.AddVersion(1018, "added", `[]`); err != nil || str(t, a.get(fmt.Sprintf("%s/versions/%d", shared, n)), "description") != "added" {
		t.Errorf("version %d: %v", n, err)
	}
	must(account.SetVersionMember(1001, 2, "description", `"set"`))
	must(account.SetPolicyMember(1001, "x", `{"y":1e2}`))
	must(account.RenamePolicy(1001, "renamed"))
	if p := string(a.get(legacy)); !strings.Contains(p, `"x":{"y":1e2}`) || !strings.Contains(p, `"name":"renamed"`) {
		t.Errorf("policy is %s", p)
	}
	must(account.DeleteVersion(1001, 1))
	must(account.UndeleteVersion(1001, 1))
	must(account.DeletePolicy(1001))
	if p := a.get(legacy); str(t, p, "deleted") != "true" {
		t.Errorf("deleted policy is %s", p)
	}
	must(account.UndeletePolicy(1001))
	must(account.Activate(1018, 1, "production"))
	if p := a.get(shared); str(t, p, "currentActivations", "production", "effective", "policyVersion") != "1" {
		t.Errorf("activated policy is %s", p)
	}
	must(account.Deactivate(1018, "production"))
	must(account.ActivateOrigin("alb_origin_1", 3, "staging"))
	if rows := a.get(v2 + "/origins/alb_origin_1/activations"); str(t, rows, 0, "version")+str(t, rows, 0, "status") != "3active" {
		t.Errorf("origin's activations are %s", rows)
	}
	account.AddOrigin("added/origin", "d")
	if n, err := account.AddOriginVersion("added/origin", `{"balancingType":"WEIGHTED","x":1e2}`); n != 1 || err != nil {
		t.Errorf("origin version %d: %v", n, err)
	}
	if origins := account.Origins(); origins[len(origins)-1] != "added/origin" ||
		!strings.Contains(string(a.get(v2+"/origins/added%2Forigin/versions/1")), `"x":1e2`) {
		t.Errorf("origins are %q", origins)
	}
	must(account.AddProperty("www.added.com", 1234, 1001))
	if p := a.get(legacy + "/properties"); str(t, p, "www.added.com", "production", "referencedPolicies", 0) != "renamed" {
		t.Errorf("properties are %s", p)
	}
	a.want(http.StatusConflict, http.MethodDelete, legacy, "")
	must(account.RemovePolicy(1001))
	a.want(http.StatusNotFound, http.MethodGet, legacy, "")
	for _, err := range []error{
		account.RemovePolicy(1001), account.EditRules(1018, 99, `[]`), account.EditRules(1018, 1, `{}`), account.Deactivate(1018, "staging"),
		account.UndeletePolicy(1018), account.ActivateOrigin("none", 1, "staging"),
	} {
		if err == nil {
			t.Error("an impossible change was made")
		}
	}
	if id, err := account.AddPolicy(simulator.NewPolicy{ID: 77, Type: "ER", Name: "x"}); id != 77 || err != nil {
		t.Errorf("policy %d: %v", id, err)
	}
	if id, err := account.AddPolicy(simulator.NewPolicy{Type: "ER", Name: "y"}); id < 1018 || err != nil {
		t.Errorf("policy %d: %v", id, err)
	}
}

// Readers and writers at once: the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Plain: true})
	a := start(t, simulator.Options{Account: account, ActivationTime: 1, Limits: simulator.Limits{Shared: -1}})
	send := func(method, path, body string) {
		if _, _, err := a.do(method, path, body); err != nil {
			t.Error(err)
		}
	}
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for j := range 10 {
				id := 1018 + j%5
				base := fmt.Sprintf("%s/policies/%d", v3, id)
				switch i {
				case 0:
					send(http.MethodPost, base+"/versions", `{"description":"d","matchRules":[]}`)
				case 1:
					send(http.MethodPost, base+"/activations", `{"network":"PRODUCTION","operation":"ACTIVATION","policyVersion":1}`)
				case 2:
					if err := account.EditRules(int64(id), 1, `[]`); err != nil {
						t.Error(err)
					}
				default:
					send(http.MethodGet, base+"/versions/1", "")
					send(http.MethodGet, v3+"/policies", "")
				}
			}
		})
	}
	wait.Wait()
	for id := 1018; id < 1023; id++ {
		if n := size(t, a.get(fmt.Sprintf("%s/policies/%d/versions", v3, id)), "content"); n != 5 {
			t.Errorf("policy %d has %d versions, want 5", id, n)
		}
	}
}
