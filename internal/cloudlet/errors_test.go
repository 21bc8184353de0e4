package cloudlet_test

import (
	"errors"
	"testing"

	"cloudletmig/internal/cloudlet"
)

func TestAPIErrorText(t *testing.T) {
	for want, e := range map[string]cloudlet.APIError{
		"GET /a: status 404: Not Found: no such policy (instance 7)": {
			Method: "GET", Path: "/a", Status: 404, Title: "Not Found", Detail: "no such policy", Instance: "7",
		},
		"POST /a: connection reset (after 3 attempts)": {Method: "POST", Path: "/a", Err: errors.New("connection reset"), Attempts: 3},
		// Nothing was sent: there is no request to name.
		"shop_001.json has changed since the plan was made": {Err: errors.New("shop_001.json has changed since the plan was made")},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
