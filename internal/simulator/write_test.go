package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

// empty is an account with one group and nothing else.
func empty() *simulator.Account {
	a := simulator.NewAccount()
	a.AddGroup(1234, 0, "Group", "www.example.com", "www.example.org")
	a.AddGroup(5, 1234, "Subgroup")
	return a
}

func TestLegacyPolicyLifecycle(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty()})
	made := a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"One","description":"d"}`)
	id := str(t, made, "policyId")
	base := v2 + "/policies/" + id
	if v := a.get(base + "/versions/1"); str(t, v, "matchRules") != "[]" || field(t, v, "description") != nil {
		t.Errorf("version 1 of a new policy is %s", v)
	}
	text := a.post(http.StatusConflict, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"One"}`)
	if str(t, text, "existingPolicy", "policyId") != id {
		t.Errorf("conflict carries %s", text)
	}
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"one"}`)
	for _, body := range []string{
		`{"cloudletId":0,"groupId":1234,"name":"a-b"}`, `{"cloudletId":0,"groupId":1234,"name":""}`, `{"cloudletId":2,"name":"c"}`, `{"name":"c"}`,
		`{"cloudletId":0,"name":"` + strings.Repeat("n", 65) + `"}`, `{"cloudletId":0,"name":"c","description":"` + strings.Repeat("d", 256) + `"}`,
		`{"cloudletId":0,"name":"c","unknown":1}`, `{"cloudletId":0`, `[]`,
	} {
		a.post(http.StatusBadRequest, v2+"/policies", body)
	}
	a.post(http.StatusForbidden, v2+"/policies", `{"cloudletId":0,"groupId":999,"name":"c"}`)
	updated := a.want(http.StatusOK, http.MethodPut, base, `{"description":"new","name":"Two"}`)
	if str(t, updated, "name") != "Two" || str(t, updated, "description") != "new" || str(t, updated, "createdBy") != str(t, made, "createdBy") {
		t.Errorf("updated policy is %s", updated)
	}
	a.want(http.StatusConflict, http.MethodPut, base, `{"name":"one"}`)
	a.want(http.StatusNoContent, http.MethodDelete, base, "")
	if n := size(t, a.get(v2+"/policies")); n != 1 {
		t.Errorf("%d policies after a deletion, want 1", n)
	}
	if n := size(t, a.get(v2+"/policies?includeDeleted=true")); n != 2 {
		t.Errorf("%d policies with deleted ones, want 2", n)
	}
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"Two"}`)
	a.want(http.StatusConflict, http.MethodPut, base, `{"deleted":false}`)
	if back := a.want(http.StatusOK, http.MethodPut, base, `{"deleted":false,"name":"Three"}`); str(t, back, "deleted") != "false" {
		t.Errorf("undeleted policy is %s", back)
	}
	clone := a.post(http.StatusCreated, v2+"/policies?clonePolicyId="+id, `{"name":"Clone"}`)
	if str(t, clone, "cloudletCode") != "ER" || str(t, clone, "groupId") != "1234" {
		t.Errorf("clone is %s", clone)
	}
}

const awkwardRule = `{ "name" : "a&b <c> \uD83D\ude00", "type":"erMatchRule", "redirectURL":"/x","statusCode":301,"x":[1.0,1e2,12345678901234567890], "start":0}`

func TestRulesComeBackAsSentWithMembersAdded(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty()})
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"a"}`)
	base := v2 + "/policies/1001/versions"
	got := string(a.want(http.StatusOK, http.MethodPut, base+"/1", `{"description":"d","matchRuleFormat":"1.0","matchRules":[`+awkwardRule+`]}`))
	sent := `"name":"a&b <c> \uD83D\ude00","type":"erMatchRule","redirectURL":"/x","statusCode":301,"x":[1.0,1e2,12345678901234567890],"start":0`
	aka := str(t, []byte(got), "matchRules", 0, "akaRuleId")
	want := fmt.Sprintf(`[{"location":"/cloudlets/api/v2/policies/1001/versions/1/rules/%s",%s,"id":0,"akaRuleId":"%s","matchURL":null,"useRelativeUrl":null}]`, aka, sent, aka)
	if !strings.Contains(got, want) {
		t.Errorf("rules come back as %s\nwant %s", got, want)
	}
	if again := string(a.get(base + "/1")); again != got {
		t.Errorf("GET answers %s\nPUT answered %s", again, got)
	}
	if one := a.get(base + "/1/rules/" + aka); str(t, one, "name") != "a&b <c> 😀" {
		t.Errorf("the rule alone is %s", one)
	}
	a.want(http.StatusBadRequest, http.MethodPut, base+"/1", `{"matchRules":`+str(t, []byte(`{"a":"[{\"location\":\"/x\",\"type\":\"erMatchRule\",\"redirectURL\":\"/x\",\"statusCode\":301}]"}`), "a")+`}`)
	second := a.post(http.StatusCreated, base+"?cloneVersion=1", `{"description":"copy"}`)
	if location := str(t, second, "matchRules", 0, "location"); location != "/cloudlets/api/v2/policies/1001/versions/2/rules/"+aka {
		t.Errorf("a cloned rule's location is %s", location)
	}
	shared := a.post(http.StatusCreated, v3+"/policies", `{"cloudletType":"ER","groupId":5,"name":"a"}`)
	got = string(a.post(http.StatusCreated, v3+"/policies/"+str(t, shared, "id")+"/versions", `{"description":"d","matchRules":[`+awkwardRule+`]}`))
	if !strings.Contains(got, `"matchRules":[{`+sent+`,"id":0,"akaRuleId":"`) || strings.Contains(got, "location") {
		t.Errorf("v3 answers %s", got)
	}
}

func TestRulesOneByOne(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty()})
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":6,"groupId":1234,"name":"a"}`)
	base := v2 + "/policies/1001/versions/1"
	one := a.post(http.StatusCreated, base+"/rules", `{"type":"asMatchRule","name":"one"}`)
	a.post(http.StatusCreated, base+"/rules?index=0", `{"type":"asMatchRule","name":"two"}`)
	a.post(http.StatusBadRequest, base+"/rules?index=3", `{"type":"asMatchRule"}`)
	changed := a.want(http.StatusOK, http.MethodPut, base+"/rules/"+str(t, one, "akaRuleId"), `{ "disabled": "true" }`)
	if str(t, changed, "disabled") != "true" || str(t, changed, "name") != "one" {
		t.Errorf("changed rule is %s", changed)
	}
	v := a.get(base)
	if str(t, v, "matchRules", 0, "name")+str(t, v, "matchRules", 1, "name") != "twoone" {
		t.Errorf("rules are %s", v)
	}
	a.want(http.StatusNotFound, http.MethodGet, base+"/rules/0000", "")
}

func TestLegacyVersionRules(t *testing.T) {
	t.Parallel()
	account := empty()
	a := start(t, simulator.Options{Account: account})
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"a"}`)
	base := v2 + "/policies/1001/versions"
	for n := 2; n <= 4; n++ {
		if v := a.post(http.StatusCreated, base, `{}`); str(t, v, "version") != fmt.Sprint(n) || str(t, v, "description") != "" {
			t.Fatalf("version %d is %s", n, v)
		}
	}
	a.want(http.StatusNoContent, http.MethodDelete, base+"/4", "")
	a.want(http.StatusNoContent, http.MethodDelete, base+"/3", "")
	a.want(http.StatusNotFound, http.MethodDelete, base+"/3", "")
	if v := a.post(http.StatusCreated, base, `{"description":"x"}`); str(t, v, "version") != "5" {
		t.Errorf("a number was used again: %s", v)
	}
	before := a.get(base + "/3")
	if str(t, before, "deleted") != "true" {
		t.Errorf("deleted version is %s", before)
	}
	after := a.want(http.StatusOK, http.MethodPut, base+"/3", `{"description":"alive"}`)
	if str(t, after, "deleted") != "false" || str(t, after, "revisionId") == str(t, before, "revisionId") {
		t.Errorf("edited deleted version is %s", after)
	}
	if n := size(t, a.get(base)); n != 4 {
		t.Errorf("%d versions, want 4", n)
	}
	if err := account.Activate(1001, 3, "staging"); err != nil {
		t.Fatal(err)
	}
	a.want(http.StatusConflict, http.MethodPut, base+"/3", `{"description":"locked"}`)
	a.post(http.StatusNotFound, base+"?cloneVersion=9", `{}`)
}

func TestTooManyRulesAndTooManyBytes(t *testing.T) {
	t.Parallel()
	account := empty()
	a := start(t, simulator.Options{Account: account})
	legacy, err := account.AddPolicy(simulator.NewPolicy{Type: "ER", Group: 1234, Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := account.AddPolicy(simulator.NewPolicy{Shared: true, Type: "ER", Group: 1234, Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	const one = `{"type":"erMatchRule","redirectURL":"/x","statusCode":301}`
	body := func(n int) string {
		return `{"description":"","matchRules":[` + strings.Repeat(one+",", n-1) + one + `]}`
	}
	path := fmt.Sprintf("%s/policies/%d/versions", v2, legacy)
	text := a.want(http.StatusBadRequest, http.MethodPut, path+"/1", body(5001))
	if str(t, text, "type") != "/cloudlets/error-types/policy-rule-count-exceeded" || str(t, text, "maxRules") != "5000" || str(t, text, "ruleCount") != "5001" {
		t.Errorf("v2 refuses with %s", text)
	}
	a.post(http.StatusCreated, path, body(5000))
	a.post(http.StatusBadRequest, fmt.Sprintf("%s/policies/%d/versions", v3, shared), body(5001))
	huge := `{"description":"` + strings.Repeat("x", 5242880) + `"}`
	a.post(http.StatusRequestEntityTooLarge, path, huge)
}

func TestSharedCreationRules(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty(), StrictRules: true})
	made := a.post(http.StatusCreated, v3+"/policies", `{"cloudletType":"FR","groupId":5,"name":"a","description":"d","policyType":"SHARED"}`)
	base := v3 + "/policies/" + str(t, made, "id")
	if n := size(t, a.get(base+"/versions"), "content"); n != 0 {
		t.Errorf("a new policy has %d versions", n)
	}
	text := a.post(http.StatusConflict, v3+"/policies", `{"cloudletType":"ER","groupId":5,"name":"a"}`)
	if str(t, text, "type") != "/cloudlets/v3/error-types/data-update-conflict" || str(t, text, "existingPolicy", "id") != str(t, made, "id") {
		t.Errorf("conflict is %s", text)
	}
	text = a.post(http.StatusBadRequest, v3+"/policies", `{"cloudletType":"ER","groupId":0,"name":"b"}`)
	if str(t, text, "errors", 0, "detail") != "groupId must be above 0" || str(t, text, "errors", 0, "invalidField") != "groupId" ||
		str(t, text, "errors", 0, "invalidValue") != "0" {
		t.Errorf("group 0 is refused with %s", text)
	}
	for _, body := range []string{
		`{"cloudletType":"VP","groupId":5,"name":"b"}`, `{"cloudletType":"ER","groupId":5,"name":"b c"}`,
		`{"cloudletType":"ER","groupId":5,"name":"b","policyType":"LEGACY"}`, `{"groupId":5,"name":"b"}`,
	} {
		a.post(http.StatusBadRequest, v3+"/policies", body)
	}
	for body, detail := range map[string]string{
		`{"description":"d","matchRules":null}`:                                       "Expected array, but got NULL",
		`{"description":"d"}`:                                                         "matchRules must not be null",
		`{"matchRules":[]}`:                                                           "description must not be null",
		`{"description":"d","matchRules":[{"type":"erMatchRule"}]}`:                   `/matchRules/0/type: type "erMatchRule" is not one of a policy of type FR`,
		`{"description":"d","matchRules":[{"type":"frMatchRule","disabled":true}]}`:   `/matchRules/0: object instance has properties which are not allowed by the schema: ["disabled"]`,
		`{"description":"d","matchRules":[{"type":"frMatchRule","location":"/x"},1]}`: `/matchRules/0: object instance has properties which are not allowed by the schema: ["location"]`,
		`{"description":"d","matchRules":[{"type":"frMatchRule"},{"type":"frMatchRule","matches":[{"matchType":"query","objectMatchValue":{}}]}]}`: `/matchRules/1: Encountered null value`,
	} {
		if text := a.post(http.StatusBadRequest, base+"/versions", body); str(t, text, "errors", 0, "detail") != detail {
			t.Errorf("%s is refused with %s, want %s", body, text, detail)
		}
	}
	v := a.post(http.StatusCreated, base+"/versions", `{"description":"d","matchRules":[{"type":"frMatchRule","name":"x"},{"type":"frMatchRule","name":"x"}]}`)
	if n := size(t, v, "matchRulesWarnings"); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, v)
	}
	a.post(http.StatusCreated, base+"/versions", `{"description":"d","matchRules":[]}`)
	a.want(http.StatusNoContent, http.MethodDelete, base+"/versions/2", "")
	if v := a.post(http.StatusCreated, base+"/versions", `{"description":"d","matchRules":[]}`); str(t, v, "version") != "3" {
		t.Errorf("a number was used again: %s", v)
	}
	text = a.want(http.StatusNotFound, http.MethodGet, base+"/versions/2", "")
	if str(t, text, "errors", 0, "detail") != fmt.Sprintf("Policy Version 2 not found in Policy %s", str(t, made, "id")) {
		t.Errorf("missing version: %s", text)
	}
	a.want(http.StatusBadRequest, http.MethodPut, base, `{"groupId":5,"name":"other"}`)
	a.want(http.StatusOK, http.MethodPut, base, `{"groupId":1234,"description":"e"}`)
	a.want(http.StatusNoContent, http.MethodDelete, base, "")
	a.want(http.StatusNotFound, http.MethodGet, base, "")
}

func TestSharedVersionUpdate(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty()})
	a.post(http.StatusCreated, v3+"/policies", `{"cloudletType":"ER","groupId":5,"name":"a"}`)
	base := v3 + "/policies/1001/versions"
	made := a.post(http.StatusCreated, base, `{"description":"d","matchRules":[`+awkwardRule+`]}`)
	kept := a.want(http.StatusOK, http.MethodPut, base+"/1", `{"description":"only this"}`)
	if str(t, kept, "description") != "only this" || str(t, kept, "matchRules") != str(t, made, "matchRules") || str(t, kept, "id") != str(t, made, "id") {
		t.Errorf("a new description makes %s of %s", kept, made)
	}
	changed := a.want(http.StatusOK, http.MethodPut, base+"/1", `{"description":"d","matchRules":[]}`)
	if size(t, changed, "matchRules") != 0 || string(a.get(base+"/1")) != string(changed) {
		t.Errorf("new rules make %s", changed)
	}
	a.want(http.StatusBadRequest, http.MethodPut, base+"/1", `{"matchRules":[]}`)
	a.want(http.StatusBadRequest, http.MethodPut, base+"/1", `{"description":"d","matchRules":null}`)
	a.want(http.StatusNotFound, http.MethodPut, base+"/2", `{"description":"d"}`)
	if got := string(a.get(base + "/1")); got != string(changed) {
		t.Errorf("a refused update changed the version to %s", got)
	}
}

func TestRedirectRulesAreChecked(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: empty()})
	a.post(http.StatusCreated, v2+"/policies", `{"cloudletId":0,"groupId":1234,"name":"a"}`)
	path := v2 + "/policies/1001/versions"
	const good = `"type":"erMatchRule","redirectURL":"/x","statusCode":308`
	for rule, status := range map[string]int{
		`{` + good + `,"useRelativeUrl":"none","disabled":"false"}`:                                         http.StatusCreated,
		`{"type":"erMatchRule","redirectURL":"","statusCode":301}`:                                          http.StatusBadRequest,
		`{"type":"erMatchRule","redirectURL":"/x","statusCode":304}`:                                        http.StatusBadRequest,
		`{"type":"erMatchRule","redirectURL":"/x","statusCode":"301"}`:                                      http.StatusBadRequest,
		`{` + good + `,"useRelativeUrl":"maybe"}`:                                                           http.StatusBadRequest,
		`{` + good + `,"matches":{}}`:                                                                       http.StatusBadRequest,
		`{` + good + `,"matches":[1]}`:                                                                      http.StatusBadRequest,
		`{` + good + `,"name":"` + strings.Repeat("é", 8192) + `"}`:                                         http.StatusCreated,
		`{` + good + `,"name":"` + strings.Repeat("é", 8193) + `"}`:                                         http.StatusBadRequest,
		`{` + good + `,"matches":[{"matchType":"path","matchValue":"` + strings.Repeat("p", 8193) + `"}]}`:  http.StatusBadRequest,
		`{` + good + `,"matches":[{"matchType":"query","matchValue":"a=b"},{"matchType":"x","new":[1.0]}]}`: http.StatusCreated,
	} {
		a.post(status, path, `{"description":"","matchRules":[`+rule+`]}`)
	}
}
