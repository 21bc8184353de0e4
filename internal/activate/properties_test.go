package activate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"cloudletmig/internal/cloudlet"
)

// properties is an account of which only a policy's properties can be read.
type properties struct {
	text string
	err  error
}

func (p properties) Get(_ context.Context, r cloudlet.Resource) ([]byte, error) {
	if r.Path != cloudlet.V2.Properties(1).Path {
		return nil, errors.New(r.Path)
	}
	return []byte(p.text), p.err
}

func TestUnassociated(t *testing.T) {
	t.Parallel()
	target := Target{API: cloudlet.V2, Policy: 1, Version: 3, Network: cloudlet.Production, Properties: []string{"a", "b"}}
	named := func(on cloudlet.Network, status cloudlet.Status, name string) cloudlet.Activation {
		return cloudlet.Activation{Network: on, Version: 3, Status: status, Property: name}
	}
	nameless := named(cloudlet.Production, cloudlet.Active, "")
	status := func(n int) error { return &cloudlet.APIError{Status: n, Err: errors.New("no")} }
	shared := target
	shared.API = cloudlet.V3
	for name, c := range map[string]struct {
		target  Target
		account properties
		rows    []cloudlet.Activation
		want    string
	}{
		"both named":           {target: target, rows: []cloudlet.Activation{named("production", cloudlet.Active, "a"), named("production", cloudlet.Deactivated, "b")}, want: "[] <nil>"},
		"one named":            {target: target, account: properties{text: `{"b":{}}`}, rows: []cloudlet.Activation{named("production", cloudlet.Active, "a")}, want: "[b] <nil>"},
		"came to nothing":      {target: target, rows: []cloudlet.Activation{named("production", cloudlet.Active, "a"), named("production", cloudlet.Broken, "b")}, want: "[b] <nil>"},
		"on the other network": {target: target, account: properties{text: `{"a":{}}`}, rows: []cloudlet.Activation{named("staging", cloudlet.Active, "b")}, want: "[b] <nil>"},
		"none named":           {target: target, account: properties{text: `{"a":{},"b":{}}`}, rows: []cloudlet.Activation{nameless}, want: "[] <nil>"},
		"may not be read":      {target: target, account: properties{err: status(http.StatusForbidden)}, rows: []cloudlet.Activation{nameless}, want: "[a b] <nil>"},
		"cannot be read":       {target: target, account: properties{text: `[`}, want: "[] read the properties of v2:1: unexpected end of JSON input"},
		"shared":               {target: shared, rows: []cloudlet.Activation{nameless}, want: "[] <nil>"},
	} {
		lacks, err := Unassociated(t.Context(), c.account, c.target, c.rows)
		if got := fmt.Sprint(lacks, " ", err); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
