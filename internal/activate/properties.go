package activate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"cloudletmig/internal/cloudlet"
)

// Reader is an Account of which nothing is changed.
type Reader interface {
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
}

// Unassociated are those of the target's properties that its policy is not active for on the network, by the rows of its
// history; where those name no property at all, those that it is not associated with. Properties are of v2 alone.
func Unassociated(ctx context.Context, account Reader, t Target, rows []cloudlet.Activation) ([]string, error) {
	lacks := unnamed(rows, t)
	if len(lacks) == 0 || slices.ContainsFunc(rows, func(r cloudlet.Activation) bool { return r.Network == t.Network && r.Property != "" }) {
		return lacks, nil
	}
	text, err := account.Get(ctx, t.API.Properties(t.Policy))
	if status := cloudlet.StatusOf(err); status == cloudlet.Forbidden || status == cloudlet.NotFound {
		return lacks, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the properties of %s: %w", t.Place(), err)
	}
	var byName map[string]json.RawMessage
	if err := json.Unmarshal(text, &byName); err != nil {
		return nil, fmt.Errorf("read the properties of %s: %w", t.Place(), err)
	}
	return slices.DeleteFunc(lacks, func(name string) bool { return byName[name] != nil }), nil
}

// unnamed are those of the target's properties that no row of its network names, but for rows that came to nothing.
func unnamed(rows []cloudlet.Activation, t Target) []string {
	if t.API != cloudlet.V2 || t.Off {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.Properties), func(name string) bool {
		return slices.ContainsFunc(rows, func(r cloudlet.Activation) bool {
			return r.Network == t.Network && r.Property == name && r.Status != cloudlet.Broken
		})
	})
}
