package undo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// others says of each version of a policy that holds what the run did not write whose it is.
func others(ctx context.Context, account Account, hash Hash, api cloudlet.API, policy int64, versions []cloudlet.Version, made []Version) ([]string, error) {
	var found []string
	for _, v := range versions {
		if v.Deleted {
			continue
		}
		why, err := written(ctx, account, hash, api, policy, v, made)
		if err != nil {
			return nil, err
		}
		if why != "" {
			found = append(found, why)
		}
	}
	return found, nil
}

// written reads a version and says who wrote what it holds, where that is not the run; else it is empty. The empty version
// 1 that v2 makes with a policy is nobody's.
func written(ctx context.Context, account Account, hash Hash, api cloudlet.API, policy int64, v cloudlet.Version, made []Version) (string, error) {
	known := slices.ContainsFunc(made, func(m Version) bool { return m.Number == v.Number })
	first := api == cloudlet.V2 && v.Number == 1 && !known
	if !known && !first && !slices.ContainsFunc(made, func(m Version) bool { return m.Number == 0 }) {
		return fmt.Sprintf("version %d was added by %s since", v.Number, cloudlet.Printable(v.ModifiedBy)), nil
	}
	doc, err := account.Get(ctx, api.Version(policy, v.Number))
	if err != nil {
		return "", fmt.Errorf("version %d: %w", v.Number, err)
	}
	now, err := cloudlet.ParseVersion(doc)
	if err != nil {
		return "", fmt.Errorf("version %d: %w", v.Number, err)
	}
	if first && now.Description == "" && cloudlet.CountRules(doc) == 0 {
		return "", nil
	}
	content, err := hash(doc)
	if err != nil {
		return "", fmt.Errorf("version %d: %w", v.Number, err)
	}
	ours := func(m Version) bool { // the API trims descriptions
		return (m.Number == v.Number || m.Number == 0 && !known) && m.Hash == content && strings.TrimSpace(m.Description) == strings.TrimSpace(now.Description)
	}
	if slices.ContainsFunc(made, ours) {
		return "", nil
	}
	return fmt.Sprintf("version %d was edited by %s since", v.Number, cloudlet.Printable(cmp.Or(now.ModifiedBy, v.ModifiedBy))), nil
}
