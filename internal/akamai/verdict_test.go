package akamai

import (
	"testing"

	"cloudletmig/internal/cloudlet"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	whole := func(status int, text string) observed {
		return observed{wrote: true, status: status, whole: true, sound: true, text: text}
	}
	for _, tt := range []struct {
		name string
		in   observed
		want cloudlet.Verdict
	}{
		{"no byte written", observed{}, cloudlet.NotSent},
		{"written, no answer", observed{wrote: true}, cloudlet.Unknown},
		{"200", whole(200, ""), cloudlet.Applied},
		{"201", whole(201, ""), cloudlet.Applied},
		{"202", whole(202, ""), cloudlet.Applied},
		{"204 without body", observed{wrote: true, status: 204, empty: true, whole: true}, cloudlet.Applied},
		{"200 without body", observed{wrote: true, status: 200, empty: true, whole: true}, cloudlet.Unknown},
		{"200 broken off", observed{wrote: true, status: 200}, cloudlet.Unknown},
		{"200 unsound", observed{wrote: true, status: 200, whole: true}, cloudlet.Unknown},
		{"302", whole(302, ""), cloudlet.Unknown},
		{"303", whole(303, ""), cloudlet.Unknown},
		{"400", whole(400, "Validation failed: groupId must be above 0"), cloudlet.Rejected},
		{"400 name", whole(400, "Policy with name 'x' already exists"), cloudlet.Conflict},
		{"400 pending", whole(400, "Unable to activate: a previous activation of the policy is pending"), cloudlet.Conflict},
		{"400 in progress", whole(400, "There is an in progress activation"), cloudlet.Conflict},
		{"400 type", whole(400, "/cloudlets/v3/error-types/data-update-conflict x"), cloudlet.Conflict},
		{"400 of something that does not exist", whole(400, "group 5 does not exist"), cloudlet.Rejected},
		{"400 of an activation's members", whole(400, "activation: network must not be null"), cloudlet.Rejected},
		{"400 broken off", observed{wrote: true, status: 400}, cloudlet.Unknown},
		{"400 without body", observed{wrote: true, status: 400, whole: true, empty: true}, cloudlet.Unknown},
		{"401", whole(401, ""), cloudlet.Rejected},
		{"401 without body", observed{wrote: true, status: 401, whole: true, empty: true}, cloudlet.Rejected},
		{"403", whole(403, ""), cloudlet.Rejected},
		{"404", whole(404, ""), cloudlet.Rejected},
		{"404 already exists", whole(404, "already exists"), cloudlet.Rejected},
		{"408", whole(408, ""), cloudlet.Unknown},
		{"409", whole(409, ""), cloudlet.Conflict},
		{"409 broken off", observed{wrote: true, status: 409}, cloudlet.Conflict},
		{"422", whole(422, ""), cloudlet.Rejected},
		{"429", whole(429, ""), cloudlet.Rejected},
		{"429 without body", observed{wrote: true, status: 429, whole: true, empty: true}, cloudlet.Rejected},
		{"500", whole(500, "Policy already exists"), cloudlet.Unknown},
		{"503", whole(503, ""), cloudlet.Unknown},
	} {
		if got := classify(tt.in); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}
