package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cloudletmig/internal/cloudlet"
)

// maxLookedAt is how many shared policies are asked for their properties, a request each. It is a note: no run waits long
// for it.
const maxLookedAt = 100

// Users names the properties that use an Edge Redirector policy of one of the groups now, each with those policies: the redirects
// that are brought in may belong into the same place. Policies with the ids in ours are passed over. What the account
// does not let us list is left out. With an error comes what was found before it.
func Users(ctx context.Context, account Account, groups, ours map[int64]bool, limit int) ([]Note, error) {
	used := map[string][]string{}
	var mu sync.Mutex
	note := func(property, policy string) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(used[property], policy) {
			used[property] = append(used[property], policy)
		}
	}
	in := func(api cloudlet.API) ([]cloudlet.Policy, error) {
		all, err := ListPolicies(ctx, account, api)
		return slices.DeleteFunc(all, func(p cloudlet.Policy) bool { return p.Type != "ER" || !groups[p.GroupID] || ours[p.ID] }), allowed(err)
	}
	notes := []Note{}
	legacy, err := in(cloudlet.V2)
	if err != nil {
		return notes, err
	}
	if len(legacy) > 0 {
		if err := legacyUsers(ctx, account, legacy, note); err != nil {
			return notes, err
		}
	}
	shared, err := in(cloudlet.V3)
	if err == nil {
		err = each(ctx, max(limit, 1), slices.Values(shared[:min(len(shared), maxLookedAt)]), func(ctx context.Context, p cloudlet.Policy) error {
			return sharedUsers(ctx, account, p, note)
		})
	}
	for _, property := range slices.Sorted(maps.Keys(used)) {
		slices.Sort(used[property])
		notes = append(notes, Note{Item: "property " + cloudlet.Printable(property), Text: "uses " + strings.Join(used[property], ", ")})
	}
	if more := len(shared) - maxLookedAt; more > 0 {
		notes = append(notes, Note{Item: "properties", Text: fmt.Sprintf("%d more shared policies of the same groups were not asked for the properties that use them", more)})
	}
	return notes, err
}

// sharedUsers asks for the properties of one shared policy.
func sharedUsers(ctx context.Context, account Account, p cloudlet.Policy, note func(property, policy string)) error {
	text, err := account.Get(ctx, p.API.Properties(p.ID))
	if err != nil {
		return allowed(err)
	}
	var docs []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(text, &docs); err != nil {
		return fmt.Errorf("read the properties of %s: %w", p, err)
	}
	for _, d := range docs {
		note(d.Name, p.String())
	}
	return nil
}

// allowed is err, but for the refusal to list something.
func allowed(err error) error {
	if status := cloudlet.StatusOf(err); status == cloudlet.Forbidden || status == cloudlet.NotFound {
		return nil
	}
	return err
}

// legacyUsers goes through the map of all properties (Cloudlets API v2, List associated properties).
func legacyUsers(ctx context.Context, account Account, policies []cloudlet.Policy, note func(property, policy string)) error {
	text, err := account.Get(ctx, cloudlet.AccountProperties())
	if err != nil {
		return allowed(err)
	}
	type use struct {
		Policies []string `json:"referencedPolicies"`
	}
	var byName map[string]struct {
		Newest     *use `json:"newestVersion"`
		Staging    *use `json:"staging"`
		Production *use `json:"production"`
	}
	if err := json.Unmarshal(text, &byName); err != nil {
		return fmt.Errorf("read properties: %w", err)
	}
	for property, in := range byName {
		for _, u := range []*use{in.Newest, in.Staging, in.Production} {
			if u == nil {
				continue
			}
			for _, p := range policies {
				if slices.Contains(u.Policies, p.Name) {
					note(property, p.String())
				}
			}
		}
	}
	return nil
}
