package main_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cloudletmig/internal/simulator"
)

// changeAtRandom makes one change to the account as somebody else would, and notes the request paths of the versions
// whose documents or activations it may have changed.
func changeAtRandom(t testing.TB, random *rand.Rand, account *simulator.Account, touched map[string]bool) string {
	t.Helper()
	policies := slices.DeleteFunc(account.Policies(), func(p simulator.PolicyInfo) bool { return p.Deleted || len(p.Versions) == 0 })
	p := policies[random.IntN(len(policies))]
	number := p.Versions[random.IntN(len(p.Versions))]
	rules := fmt.Sprintf(`[{"type":"erMatchRule","name":"changed %d","matchURL":"/%d","redirectURL":"/there","statusCode":301}]`,
		random.IntN(1e6), random.IntN(1e6))
	touch := func(numbers ...int64) {
		for _, n := range numbers {
			touched[versionPath(p, n)] = true
		}
	}
	network := []string{"staging", "production"}[random.IntN(2)]
	var err error
	what := ""
	switch random.IntN(8) {
	case 0, 1:
		what = "edit"
		touch(number)
		err = account.EditRules(p.ID, number, rules)
	case 2:
		what = "new version"
		number, err = account.AddVersion(p.ID, "another", rules)
		touch(number)
	case 3:
		what = "activate on " + network
		touch(p.Versions...) // the one that was active before is touched too
		err = account.Activate(p.ID, number, network)
	case 4:
		what = "rename"
		err = account.RenamePolicy(p.ID, fmt.Sprintf("renamed_%d", random.IntN(1e6)))
	case 5:
		what = "describe"
		err = account.SetPolicyMember(p.ID, "description", fmt.Sprintf(`"described %d"`, random.IntN(1e6)))
	case 6:
		what = "describe version"
		touch(number)
		err = account.SetVersionMember(p.ID, number, "description", fmt.Sprintf(`"described %d"`, random.IntN(1e6)))
	case 7:
		what = "delete"
		if len(p.Versions) > 1 {
			err = account.DeleteVersion(p.ID, number)
		} else {
			err = account.DeletePolicy(p.ID)
		}
	}
	if err != nil {
		t.Fatalf("%s version %d of %+v: %v", what, number, p, err)
	}
	return fmt.Sprintf("%s: policy %d version %d", what, p.ID, number)
}

// versionPath is where the API gives a version.
func versionPath(p simulator.PolicyInfo, number int64) string {
	if p.Shared {
		return fmt.Sprintf("/cloudlets/v3/policies/%d/versions/%d", p.ID, number)
	}
	return fmt.Sprintf("/cloudlets/api/v2/policies/%d/versions/%d", p.ID, number)
}
