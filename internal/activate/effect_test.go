package activate

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/once"
)

// history is an account in which nothing is to be seen but one history.
type history string

func (h history) Get(context.Context, cloudlet.Resource) ([]byte, error) { return []byte(h), nil }

func (h history) Send(context.Context, cloudlet.Change) (cloudlet.Answer, error) {
	return cloudlet.Answer{}, errors.New("nothing is sent here")
}

const day = `"activationDate":"2015-08-25"`

// v2 has been seen to date rows by the day, and what it does with the date of a row that is deactivated no document says.
func TestFindInHistoriesThatAreOdd(t *testing.T) {
	target := Target{API: cloudlet.V2, Policy: 1, Version: 3, Network: cloudlet.Production}
	row := func(version, status, date string) string {
		return `{"network":"prod","policyInfo":{"version":` + version + `,"status":"` + status + `",` + date + `,"activatedBy":"x"},"propertyInfo":{"name":"p"}}`
	}
	for name, c := range map[string]struct {
		before, after string
		ours, taken   bool
		pending       bool
	}{
		"nothing new":                          {before: row("2", "active", day), after: row("2", "active", day)},
		"ours, on the same day":                {before: row("2", "active", day), after: row("3", "active", day) + "," + row("2", "deactivated", day), ours: true},
		"ours once more, on the same day":      {before: row("2", "active", day) + "," + row("3", "deactivated", day), after: row("3", "active", day) + "," + row("2", "deactivated", day) + "," + row("3", "deactivated", day), ours: true},
		"an old one of ours":                   {before: row("2", "active", day) + "," + row("3", "deactivated", day), after: row("2", "active", day) + "," + row("3", "deactivated", day)},
		"another's, on the same day":           {before: row("2", "active", day), after: row("1", "active", day) + "," + row("2", "deactivated", day), taken: true},
		"the one before, dated anew":           {before: row("2", "active", day), after: row("3", "active", `"activationDate":1600000000001`) + "," + row("2", "deactivated", `"activationDate":1600000000000`), ours: true},
		"another's, the one before dated anew": {before: row("2", "active", day), after: row("2", "deactivated", `"activationDate":1600000000001`) + "," + row("1", "active", `"activationDate":1600000000000`), taken: true},
		"what was live is no more, and no row": {before: row("2", "active", day), after: row("1", "failed", `"activationDate":1600000000000`), taken: true},
		"under way without a date":             {before: row("2", "active", day), after: row("3", "pending", `"activationDate":0`) + "," + row("2", "active", day), ours: true},
		"another's under way without a date":   {before: row("2", "active", day), after: row("1", "pending", `"activationDate":0`) + "," + row("2", "active", day), pending: true},
		"another's came to nothing":            {before: row("2", "active", day), after: row("1", "failed", `"activationDate":1600000000000`) + "," + row("2", "active", day)},
		"deactivated anew, nothing else":       {before: row("2", "active", day), after: row("2", "deactivated", `"activationDate":1600000000000`), taken: true},
	} {
		a := &activation{q: New(Options{Account: history("[" + c.before + "]")}), t: target}
		base, here, err := a.baseline(t.Context())
		if err != nil || here != "" || base.Effective != 2 {
			t.Errorf("%s: before: %+v %q %v", name, base, here, err)
			continue
		}
		a.q = New(Options{Account: history("[" + c.after + "]")})
		found, err := a.find(t.Context(), Memo{Base: base, N: 1})
		if len(found.Ours) == 1 != c.ours || (found.Taken != "") != c.taken || errors.Is(err, once.ErrNotYet) != c.pending {
			t.Errorf("%s: %+v %v", name, found, err)
		}
		if strings.Contains(found.Taken, "version 2 was activated") {
			t.Errorf("%s: it says %s", name, found.Taken)
		}
	}
}
