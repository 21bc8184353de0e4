package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

func TestLegacyActivationLifecycle(t *testing.T) {
	t.Parallel()
	var c clock
	failing := ""
	a := start(t, simulator.Options{
		Account: empty(), Clock: c.now, ActivationTime: time.Minute, Skew: time.Hour,
		FailActivation: func(simulator.Activation) string { return failing },
	})
	sync := func(d time.Duration) { c.forward(d) }
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":4,"groupId":1234,"name":"a"}`)
	base := v2 + "/policies/1001"
	a.post(http.StatusCreated, base+"/versions", `{"description":"two"}`)
	activate := func(status int, version int, body string) []byte {
		t.Helper()
		return a.post(status, fmt.Sprintf("%s/versions/%d/activations", base, version), body)
	}
	activate(http.StatusBadRequest, 1, `{"network":"staging"}`)
	activate(http.StatusBadRequest, 1, `{"network":"staging","additionalPropertyNames":["no.such.name"]}`)
	before := a.get(base + "/versions/1")
	rows := activate(http.StatusOK, 1, `{"network":"production","additionalPropertyNames":["www.example.com","www.example.org"]}`)
	if n := size(t, rows); n != 2 {
		t.Fatalf("%d rows, want one for each property: %s", n, rows)
	}
	if got := str(t, rows, 0, "network") + str(t, rows, 0, "policyInfo", "status"); got != "prodPENDING" {
		t.Errorf("row is %s", rows)
	}
	activate(http.StatusConflict, 2, `{"network":"prod"}`)
	a.want(http.StatusConflict, http.MethodDelete, base, "")
	after := a.get(base + "/versions/1")
	if str(t, after, "rulesLocked") != "true" || size(t, after, "activations") != 2 || str(t, after, "revisionId") != str(t, before, "revisionId") ||
		str(t, after, "lastModifiedDate") != str(t, before, "lastModifiedDate") {
		t.Errorf("version being activated is %s", after)
	}
	sync(time.Minute)
	if list := a.get(base + "/activations"); str(t, list, 0, "policyInfo", "status") != "ACTIVE" {
		t.Errorf("history is %s", list)
	}
	activate(http.StatusOK, 2, `{"network":"prod"}`)
	if v := a.get(base + "/versions/1"); str(t, v, "activations", 0, "policyInfo", "status") != "ACTIVE" {
		t.Errorf("version 1 while 2 is pending is %s", v)
	}
	sync(time.Minute)
	if v := a.get(base + "/versions/1"); str(t, v, "activations", 0, "policyInfo", "status") != "DEACTIVATED" {
		t.Errorf("version 1 is %s", v)
	}
	if p := a.get(base); size(t, p, "activations") != 2 || str(t, p, "activations", 0, "policyInfo", "version") != "2" {
		t.Errorf("policy is %s", p)
	}
	failing = "no <space> left"
	a.post(http.StatusOK, base+"/activations", `{"network":"staging","version":1}`)
	sync(time.Minute)
	list := a.get(base + "/activations?network=staging&propertyName=www.example.org")
	if size(t, list) != 1 || str(t, list, 0, "policyInfo", "status") != "FAILED" || str(t, list, 0, "policyInfo", "statusDetail") != failing {
		t.Errorf("failed activation is %s", list)
	}
	if n := size(t, a.get(base+"/activations?pageSize=5")); n != 5 {
		t.Errorf("%d rows on a page of 5", n)
	}
	if n := size(t, a.get(base+"/activations?pageSize=5&offset=5")); n != 1 {
		t.Errorf("%d rows on the last page", n)
	}
	properties := a.get(v2 + "/properties")
	if str(t, properties, "www.example.com", "newestVersion", "referencedPolicies", 0) != "a" {
		t.Errorf("properties are %s", properties)
	}
}

func TestEdgeRedirectorActivatesOneNetworkAtATime(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty(), ActivationTime: time.Hour, RunningStatus: http.StatusBadRequest})
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"a"}`)
	path := v2 + "/policies/1001/versions/1/activations"
	a.post(http.StatusOK, path, `{"network":"staging","additionalPropertyNames":["www.example.com"]}`)
	text := a.post(http.StatusBadRequest, path, `{"network":"prod"}`)
	if !strings.Contains(str(t, text, "detail"), "pending") {
		t.Errorf("refused with %s", text)
	}
}

func TestSharedActivationLifecycle(t *testing.T) {
	t.Parallel()
	var c clock
	failing := ""
	a := start(t, simulator.Options{
		Account: empty(), Clock: c.now, ActivationTime: time.Minute, Skew: time.Hour, User: "ops",
		FailActivation: func(simulator.Activation) string { return failing },
	})
	a.post(http.StatusCreated, v3+"/policies", `{"cloudletType":"ER","groupId":5,"name":"a"}`)
	base := v3 + "/policies/1001"
	for range 2 {
		a.post(http.StatusCreated, base+"/versions", `{"description":"d","matchRules":[]}`)
	}
	activate := func(status int, operation string, version int) []byte {
		t.Helper()
		return a.post(status, base+"/activations", fmt.Sprintf(`{"network":"PRODUCTION","operation":"%s","policyVersion":%d}`, operation, version))
	}
	started := activate(http.StatusAccepted, "ACTIVATION", 1)
	if str(t, started, "status") != "IN_PROGRESS" || field(t, started, "finishDate") != nil || str(t, started, "createdBy") != "ops" {
		t.Errorf("started activation is %s", started)
	}
	text := activate(http.StatusConflict, "ACTIVATION", 2)
	if str(t, text, "type") != "/cloudlets/v3/error-types/data-update-conflict" {
		t.Errorf("second activation is refused with %s", text)
	}
	a.post(http.StatusAccepted, base+"/activations", `{"network":"STAGING","operation":"ACTIVATION","policyVersion":2}`)
	a.want(http.StatusConflict, http.MethodPut, base+"/versions/1", `{"description":"d"}`)
	a.want(http.StatusConflict, http.MethodDelete, base+"/versions/1", "")
	a.want(http.StatusConflict, http.MethodDelete, base, "")
	one := base + "/activations/" + str(t, started, "id")
	c.forward(59 * time.Second)
	if got := str(t, a.get(one), "status"); got != "IN_PROGRESS" {
		t.Errorf("activation after 59 s is %s", got)
	}
	c.forward(time.Second)
	if got := a.get(one); str(t, got, "status") != "SUCCESS" || field(t, got, "finishDate") == nil {
		t.Errorf("activation after a minute is %s", got)
	}
	p := a.get(base)
	if str(t, p, "currentActivations", "production", "effective", "policyVersion") != "1" ||
		str(t, p, "currentActivations", "staging", "latest", "policyVersion") != "2" {
		t.Errorf("policy is %s", p)
	}
	failing = "out of cheese"
	refused := str(t, activate(http.StatusAccepted, "ACTIVATION", 2), "id")
	c.forward(time.Minute)
	if got := a.get(base + "/activations/" + refused); str(t, got, "status") != "FAILED" || str(t, got, "failureDetails") != failing {
		t.Errorf("failed activation is %s", got)
	}
	if p := a.get(base); str(t, p, "currentActivations", "production", "effective", "policyVersion") != "1" ||
		str(t, p, "currentActivations", "production", "latest", "status") != "FAILED" {
		t.Errorf("policy after a failure is %s", p)
	}
	failing = ""
	activate(http.StatusBadRequest, "DEACTIVATION", 2)
	activate(http.StatusAccepted, "DEACTIVATION", 1)
	c.forward(time.Minute)
	if p := a.get(base); field(t, p, "currentActivations", "production", "effective") != nil {
		t.Errorf("policy after a deactivation is %s", p)
	}
	a.want(http.StatusConflict, http.MethodPut, base+"/versions/1", `{"description":"d"}`)
	if n := size(t, a.get(base+"/activations"), "content"); n != 4 {
		t.Errorf("%d activations in the history, want 4", n)
	}
	a.post(http.StatusNotFound, base+"/activations", `{"network":"STAGING","operation":"ACTIVATION","policyVersion":9}`)
	a.post(http.StatusBadRequest, base+"/activations", `{"network":"TEST","operation":"ACTIVATION","policyVersion":1}`)
}

func TestActivationLimits(t *testing.T) {
	t.Parallel()
	var c clock
	account := simulator.Generate(simulator.GenerateOptions{Policies: 12, Shared: 1, Plain: true})
	a := start(t, simulator.Options{Account: account, Clock: c.now, ActivationTime: -1, Skew: time.Hour})
	const body = `{"network":"PRODUCTION","operation":"ACTIVATION","policyVersion":1}`
	for i := range 10 {
		resp, text, err := a.do(http.MethodPost, v3+"/policies/1002/activations", body)
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("activation %d: %v %s", i, err, text)
		}
		if left := resp.Header.Get("X-RateLimit-Remaining"); left != fmt.Sprint(9-i) || resp.Header.Get("X-RateLimit-Limit") != "10" {
			t.Errorf("activation %d leaves %s of %s", i, left, resp.Header.Get("X-RateLimit-Limit"))
		}
		c.forward(time.Second)
	}
	resp, text, err := a.do(http.MethodPost, v3+"/policies/1002/activations", body)
	if err != nil || resp.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("activation 11: %v %s", err, text)
	}
	next, err := time.Parse("2006-01-02T15:04:05.000Z", resp.Header.Get("X-RateLimit-Next"))
	if wait := next.Sub(c.now()); err != nil || wait < 48*time.Second || wait > 51*time.Second {
		t.Errorf("X-RateLimit-Next is %s, %s ahead", resp.Header.Get("X-RateLimit-Next"), wait)
	}
	c.forward(50*time.Second + 500*time.Millisecond)
	a.post(http.StatusAccepted, v3+"/policies/1002/activations", body)
	a.post(http.StatusTooManyRequests, v3+"/policies/1002/activations", body)
	a.get(v3 + "/policies")
}

func TestBalancing(t *testing.T) {
	t.Parallel()
	var c clock
	account := empty()
	a := start(t, simulator.Options{Account: account, Clock: c.now, BalancingTime: time.Minute, Skew: time.Hour, Limits: simulator.Limits{Balancing: 3}})
	a.post(http.StatusCreated, v2+"/origins/alb%2F1", `{"description":"d"}`)
	a.post(http.StatusConflict, v2+"/origins/alb%2F1", `{"description":"d"}`)
	base := v2 + "/origins/alb%2F1"
	if o := a.want(http.StatusOK, http.MethodPut, base, `{"description":"e"}`); str(t, o, "originId")+str(t, o, "description") != "alb/1e" {
		t.Errorf("origin is %s", o)
	}
	for range 2 {
		a.post(http.StatusCreated, base+"/versions", `{"balancingType":"WEIGHTED","dataCenters":[{"percent":100.0,"latitude":1.0}],"x":1e2}`)
	}
	a.post(http.StatusBadRequest, base+"/versions", `{"balancingType":"FAIR"}`)
	if list := a.get(base + "/versions"); str(t, list, 0, "version") != "2" || strings.Contains(string(list), "dataCenters") {
		t.Errorf("versions are %s", list)
	}
	if v := string(a.get(base + "/versions/1")); !strings.Contains(v, `"percent":100.0,"latitude":1.0`) || !strings.Contains(v, `"x":1e2`) {
		t.Errorf("version 1 is %s", v)
	}
	row := a.post(http.StatusOK, base+"/activations", `{"network":"STAGING","version":1}`)
	if str(t, row, "status") != "pending" {
		t.Errorf("activation is %s", row)
	}
	a.want(http.StatusConflict, http.MethodPut, base+"/versions/1", `{"description":"d"}`)
	a.want(http.StatusOK, http.MethodPut, base+"/versions/2", `{"description":"changed"}`)
	a.post(http.StatusConflict, base+"/activations", `{"network":"STAGING","version":2}`)
	c.forward(time.Minute)
	a.post(http.StatusOK, base+"/activations", `{"network":"STAGING","version":2,"dryrun":true}`)
	a.post(http.StatusOK, base+"/activations", `{"network":"STAGING","version":2}`)
	c.forward(30 * time.Second)
	if now := a.get(v2 + "/origins/currentActivations"); str(t, now, "alb/1", "STAGING", "version") != "1" {
		t.Errorf("current activations while another is pending are %s", now)
	}
	c.forward(30 * time.Second)
	if now := a.get(v2 + "/origins/currentActivations"); str(t, now, "alb/1", "STAGING", "version") != "2" {
		t.Errorf("current activations are %s", now)
	}
	if rows := a.get(base + "/activations"); str(t, rows, 1, "status") != "deactivated" {
		t.Errorf("activations are %s", rows)
	}
	for range 3 {
		a.post(http.StatusOK, base+"/activations", `{"network":"PRODUCTION","version":2,"dryrun":true}`)
	}
	a.post(http.StatusTooManyRequests, base+"/activations", `{"network":"PRODUCTION","version":2,"dryrun":true}`)
}

func TestClone(t *testing.T) {
	t.Parallel()
	account := empty()
	a := start(t, simulator.Options{Account: account, ActivationTime: time.Hour, CloneActiveOnly: true})
	id, err := account.AddPolicy(simulator.NewPolicy{Type: "ER", Group: 0, Name: "old", Description: "d"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		rules := fmt.Sprintf(`[{"type":"erMatchRule","name":"v%d","redirectURL":"/x","statusCode":301,"x":1.0}]`, i+2)
		if _, err := account.AddVersion(id, fmt.Sprint("version ", i+2), rules); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		account.Activate(id, 2, "staging"), account.Activate(id, 3, "production"), account.DeleteVersion(id, 7),
		account.SetVersionMember(id, 5, "lastModifiedDate", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	path := fmt.Sprintf("%s/policies/%d/clone", v3, id)
	made := a.post(http.StatusOK, path, `{"newName":"new","groupId":5,"additionalVersions":[6]}`)
	base := v3 + "/policies/" + str(t, made, "id")
	versions := a.get(base + "/versions")
	var numbers []string
	for i := range size(t, versions, "content") {
		numbers = append(numbers, str(t, versions, "content", i, "version"))
	}
	if got := strings.Join(numbers, " "); got != "6 5 3 2" {
		t.Errorf("the clone carries versions %s, want 6 5 3 2", got)
	}
	v := a.get(base + "/versions/3")
	if !strings.Contains(string(v), `"name":"v3","redirectURL":"/x","statusCode":301,"x":1.0`) || strings.Contains(string(v), "location") ||
		str(t, v, "immutable") != "false" || str(t, v, "description") != "version 3" {
		t.Errorf("version 3 of the clone is %s", v)
	}
	if str(t, made, "currentActivations", "production", "effective") != "<nil>" {
		t.Errorf("activations were carried over: %s", made)
	}
	a.post(http.StatusConflict, path, `{"newName":"new","groupId":5}`)
	a.post(http.StatusBadRequest, path, `{"newName":"newer"}`)
	a.post(http.StatusBadRequest, path, `{"newName":"a b","groupId":5}`)
	a.post(http.StatusNotFound, path, `{"newName":"newer","groupId":5,"additionalVersions":[99]}`)
	a.post(http.StatusNotFound, v3+"/policies/999999/clone", `{"newName":"newer","groupId":5}`)
	again := a.post(http.StatusOK, v3+"/policies/"+str(t, made, "id")+"/clone", `{"newName":"newer"}`)
	if str(t, again, "groupId") != "5" {
		t.Errorf("clone of a shared policy is %s", again)
	}
	vp, err := account.AddPolicy(simulator.NewPolicy{Type: "VP", Group: 5, Name: "vp"})
	if err != nil {
		t.Fatal(err)
	}
	a.post(http.StatusBadRequest, fmt.Sprintf("%s/policies/%d/clone", v3, vp), `{"newName":"vp","groupId":5}`)
}

// TestCloneDamage wants each damage to be there, in the newest version alone, and a refusal to make nothing.
func TestCloneDamage(t *testing.T) {
	t.Parallel()
	const rules = `[{"type":"erMatchRule","name":"a","redirectURL":"/a","statusCode":301},{"type":"erMatchRule","name":"b","redirectURL":"/b","statusCode":301}]`
	damage, refused := simulator.CloneDamage(""), 0
	account := empty()
	a := start(t, simulator.Options{
		Account: account, CloneDamage: func(int64) simulator.CloneDamage { return damage }, CloneRefused: func(int64) int { return refused },
	})
	id, err := account.AddPolicy(simulator.NewPolicy{Type: "ER", Group: 5, Name: "old"})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		if _, err := account.AddVersion(id, fmt.Sprint(n), rules); err != nil {
			t.Fatal(err)
		}
	}
	path := fmt.Sprintf("%s/policies/%d/clone", v3, id)
	for kind, want := range map[simulator.CloneDamage]string{"": "/b", simulator.DropMember: "<nil>", simulator.ReorderRules: "/a", simulator.LoseVersion: "/b"} {
		damage = kind
		made := a.post(http.StatusOK, path, fmt.Sprintf(`{"newName":"new_%s","groupId":5,"additionalVersions":[2]}`, kind))
		base := v3 + "/policies/" + str(t, made, "id") + "/versions"
		newest := str(t, a.get(base), "content", 0, "version")
		if (newest == "2") != (kind == simulator.LoseVersion) {
			t.Errorf("%q: the newest version is %s", kind, newest)
		}
		if got := str(t, a.get(base+"/"+newest), "matchRules", 1, "redirectURL"); got != want {
			t.Errorf("%q: the second rule leads to %s, want %s", kind, got, want)
		}
		if got := str(t, a.get(base+"/2"), "matchRules", 0, "redirectURL"); got != "/a" {
			t.Errorf("%q: the older version is damaged too: %s", kind, got)
		}
	}
	for _, refused = range []int{http.StatusBadRequest, http.StatusNotFound} {
		a.post(refused, path, `{"newName":"another","groupId":5}`)
	}
}
