package simulator_test

import (
	"net/http"
	"strings"
	"testing"

	"cloudletmig/internal/simulator"
)

func TestLegacyPaging(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Policies: 230, Shared: -1, Versions: 1, Rules: 1, Plain: true})
	a := start(t, simulator.Options{Account: account, ListHeaders: simulator.Always})
	resp, text, err := a.do(http.MethodGet, v2+"/policies", "")
	if err != nil {
		t.Fatal(err)
	}
	if n := size(t, text); n != 100 {
		t.Errorf("%d policies without pageSize, want 100", n)
	}
	if total := resp.Header.Get("X-Total-Count"); total != "230" {
		t.Errorf("X-Total-Count is %q", total)
	}
	if link := resp.Header.Get("Link"); link != `</cloudlets/api/v2/policies?offset=100&pageSize=100>; rel="next"` {
		t.Errorf("Link is %q", link)
	}
	last := a.get(v2 + "/policies?offset=200&pageSize=100")
	if n := size(t, last); n != 30 {
		t.Errorf("%d policies on the last page, want 30", n)
	}
	if n := size(t, a.get(v2+"/policies?offset=500")); n != 0 {
		t.Errorf("%d policies after the end", n)
	}
	for _, query := range []string{"pageSize=4", "pageSize=1001", "offset=-1", "pageSize=x"} {
		a.want(http.StatusBadRequest, http.MethodGet, v2+"/policies?"+query, "")
	}
	if n := size(t, a.get(v2+"/policies?cloudletId=0&pageSize=1000")); n != 21 {
		t.Errorf("%d policies of cloudlet 0, want 21", n)
	}
}

func TestListHeadersComeSometimes(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{Plain: true})})
	with := 0
	for range 40 {
		resp, _, err := a.do(http.MethodGet, v2+"/policies", "")
		if err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("X-Total-Count") != "" {
			with++
		}
	}
	if with == 0 || with == 40 {
		t.Errorf("%d of 40 lists carry X-Total-Count", with)
	}
}

func TestSharedPaging(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Policies: 25, Shared: 1, Versions: 12, Rules: 1, Plain: true})
	a := start(t, simulator.Options{Account: account})
	first := a.get(v3 + "/policies")
	if str(t, first, "page") != "map[number:0 size:10 totalElements:25 totalPages:3]" {
		t.Errorf("page is %s", str(t, first, "page"))
	}
	links := str(t, first, "links")
	if !strings.Contains(links, "href:/cloudlets/v3/policies?page=1&size=10 rel:next") || !strings.Contains(links, "page=2&size=10 rel:last") {
		t.Errorf("links are %s", links)
	}
	if n := size(t, a.get(v3+"/policies?page=2&size=10"), "content"); n != 5 {
		t.Errorf("%d policies on the last page, want 5", n)
	}
	if n := size(t, a.get(v3+"/policies?page=3&size=10"), "content"); n != 0 {
		t.Errorf("%d policies after the end", n)
	}
	for _, query := range []string{"size=9", "page=-1", "size=ten"} {
		text := a.want(http.StatusBadRequest, http.MethodGet, v3+"/policies?"+query, "")
		if str(t, text, "type") != "/cloudlets/v3/error-types/validation-failed" {
			t.Errorf("%s: %s", query, text)
		}
	}
	versions := a.get(v3 + "/policies/1001/versions")
	if str(t, versions, "content", 0, "version") != "12" || str(t, versions, "content", 11, "version") != "1" {
		t.Errorf("versions are not sorted newest first: %.300s", versions)
	}
	if strings.Contains(string(versions), "matchRules") {
		t.Errorf("the list of versions carries rules: %.300s", versions)
	}
}

func TestLegacyVersionListNeverCarriesRules(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{Account: simulator.Generate(simulator.GenerateOptions{})})
	list := a.get(v2 + "/policies/1002/versions?includeRules=true")
	if n := size(t, list); n != 3 {
		t.Errorf("%d versions, want 3", n)
	}
	if n := size(t, list, 0, "matchRules"); n != 0 {
		t.Errorf("the list carries %d rules", n)
	}
	if n := size(t, a.get(v2+"/policies/1002/versions?includeDeleted=true")); n != 4 {
		t.Errorf("%d versions with deleted ones, want 4", n)
	}
	if n := size(t, list, 2, "activations"); n != 0 {
		t.Errorf("the list carries %d activations", n)
	}
	if n := size(t, a.get(v2+"/policies/1002/versions?includeActivations=true"), 2, "activations"); n != 1 {
		t.Errorf("the list with activations carries %d of them", n)
	}
	if v := a.get(v2 + "/policies/1002/versions/1?omitRules=true"); field(t, v, "matchRules") != nil {
		t.Errorf("omitRules leaves %s", str(t, v, "matchRules"))
	}
}

func TestDeniedAndAbsent(t *testing.T) {
	t.Parallel()
	a := start(t, simulator.Options{
		Account: simulator.Generate(simulator.GenerateOptions{}), DeniedGroups: []int64{5678},
		Absent: map[string]int{"v3": http.StatusForbidden, "origins": http.StatusNotFound},
	})
	if n := size(t, a.get(v2+"/policies")); n < 10 {
		t.Errorf("%d policies are listed", n)
	}
	text := a.want(http.StatusForbidden, http.MethodGet, v2+"/policies/1002/versions", "")
	if str(t, text, "type") != "/cloudlets/error-types/access-denied" {
		t.Errorf("denied with %s", text)
	}
	a.get(v2 + "/policies/1001/versions")
	a.want(http.StatusForbidden, http.MethodGet, v3+"/policies", "")
	a.want(http.StatusNotFound, http.MethodGet, v2+"/origins", "")
	a.want(http.StatusMethodNotAllowed, http.MethodDelete, v2+"/group-info", "")
	a.want(http.StatusNotFound, http.MethodGet, v2+"/nothing", "")
}
