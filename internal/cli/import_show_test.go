package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
)

func TestRanges(t *testing.T) {
	for want, numbers := range map[string][]int64{
		"": nil, "3": {3}, "1-3": {1, 2, 3}, "1,3": {1, 3}, "1-2,4-5,9": {1, 2, 4, 5, 9},
	} {
		if got := ranges(numbers); got != want {
			t.Errorf("%v is written %s, not %s", numbers, got, want)
		}
	}
}

func TestVersionPairs(t *testing.T) {
	for want, pairs := range map[string][]importer.Pair{
		"":                             nil,
		"1 -> 1":                       {{From: 1, To: 1}},
		"1-3 -> 4-6":                   {{From: 1, To: 4}, {From: 2, To: 5}, {From: 3, To: 6}},
		"1 -> 1, 3 -> 2":               {{From: 1, To: 1}, {From: 3, To: 2}},
		"1 -> 1, 2 -> 3":               {{From: 1, To: 1}, {From: 2, To: 3}},
		"1-2 -> 1-2, 5 -> 3, 6 -> 7":   {{From: 1, To: 1}, {From: 2, To: 2}, {From: 5, To: 3}, {From: 6, To: 7}},
		"2 -> 1, 4 -> 2, 5-6 -> 10-11": {{From: 2, To: 1}, {From: 4, To: 2}, {From: 5, To: 10}, {From: 6, To: 11}},
	} {
		if got := versionPairs(pairs); got != want {
			t.Errorf("%v is written %s, not %s", pairs, got, want)
		}
	}
}

func TestPlanSums(t *testing.T) {
	plan := func(actions ...importer.Action) importer.Plan {
		var p importer.Plan
		for _, a := range actions {
			x := importer.Planned{Action: a}
			if a == importer.Create || a == importer.Append {
				x.Add = []importer.Version{{Number: 1}}
			}
			p.Policies = append(p.Policies, x)
		}
		return p
	}
	live := plan(importer.Same)
	live.Policies[0].Live = map[cloudlet.Network]importer.Live{cloudlet.Staging: {Version: 1}, cloudlet.Production: {Version: 1}}
	live.Policies[0].Activate = []cloudlet.Network{cloudlet.Production} // on staging it is live already
	marked := plan(importer.Same)
	marked.Policies[0].Describe = true
	alone := plan(importer.Create)
	alone.Policies[0].Add = nil
	for _, c := range []struct {
		plan           importer.Plan
		sums, question string
	}{
		{plan(), "nothing to make", ""},
		{plan(importer.Same), "nothing to make, 1 the same already", ""},
		{plan(importer.Create), "1 policy and 1 version to make", "Make 1 policy and 1 version?"},
		{plan(importer.Create, importer.Append, importer.Create, importer.Skip), "2 policies and 3 versions to make, 1 skipped", "Make 2 policies and 3 versions?"},
		{plan(importer.Append, importer.Blocked, importer.Conflict, importer.Blocked), "1 version to make, 2 blocked, 1 in conflict", "Make 1 version?"},
		{live, "nothing to make, 1 the same already, 1 activation to send", "Send 1 activation (v3 takes 10 a minute)?"},
		{marked, "nothing to make, 1 the same already, 1 description to put back", "Put 1 description back?"},
		{alone, "1 policy to make", "Make 1 policy?"},
	} {
		if got := planSums(c.plan); got != c.sums {
			t.Errorf("%q, not %q", got, c.sums)
		}
		if got := importQuestion(c.plan); got != c.question {
			t.Errorf("%q, not %q", got, c.question)
		}
	}
}

func TestReadGroupMap(t *testing.T) {
	for text, want := range map[string]map[int64]int64{
		"1,2\n3,4\n":                     {1: 2, 3: 4},
		"\ufeffold,new\r\n1 , 2\r\n\r\n": {1: 2},
		"# groups\n0,5\n":                {0: 5},
		"1,2\n1,2\n":                     {1: 2},
	} {
		file := filepath.Join(t.TempDir(), "map.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readGroupMap(file); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"1,2\nx,3\n": "line 2", "1,2\n1,3\n": "mapped to 2 already", "1\n": "line 1", "1,0\n": "line 1", "1,2,3\n": "line 1", "old,new\nold,new\n": "line 2",
		"": "maps no group", "5;1234\n": "line 1", "5 1234\n": "line 1", "old,new\n": "maps no group",
	} {
		file := filepath.Join(t.TempDir(), "map.csv")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readGroupMap(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
