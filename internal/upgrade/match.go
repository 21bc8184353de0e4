package upgrade

import (
	"slices"
	"strings"
)

// match pairs the carried versions of a legacy policy with the versions of a shared one. A pair has equal rules and the
// same description. The API does not say whether a clone keeps numbers, so: first those with the same number, then the
// others in ascending order of both sides, among equal candidates the lowest unpaired one. effective are versions that
// must have a partner: one that has none is given the partner of an equal version.
func match(legacy, shared []Version, effective ...int64) (pairs []Pair, missing, extra []Version) {
	taken := make([]bool, len(shared))
	partner := partners(legacy, shared, taken)
	for i, a := range legacy {
		if partner[i] < 0 && slices.Contains(effective, a.Number) { // what is live can share the partner of its equal
			partner[i] = slices.IndexFunc(shared, func(b Version) bool { return same(a, b) })
		}
		if partner[i] < 0 {
			missing = append(missing, a)
			continue
		}
		taken[partner[i]] = true
		pairs = append(pairs, Pair{a.Number, shared[partner[i]].Number})
	}
	for j, b := range shared {
		if !taken[j] {
			extra = append(extra, b)
		}
	}
	return pairs, missing, extra
}

// partners gives for each legacy version the index of its partner, or -1, and marks those that are taken.
func partners(legacy, shared []Version, taken []bool) []int {
	partner := make([]int, len(legacy))
	for i, a := range legacy {
		partner[i] = slices.IndexFunc(shared, func(b Version) bool { return a.Number == b.Number && same(a, b) })
		if partner[i] >= 0 {
			taken[partner[i]] = true
		}
	}
	for i, a := range legacy {
		for j, b := range shared {
			if partner[i] < 0 && !taken[j] && same(a, b) {
				partner[i], taken[j] = j, true
			}
		}
	}
	return partner
}

// same reports whether two versions have equal rules and the same description.
func same(a, b Version) bool { return a.Hash == b.Hash && sameText(a, b) }

// sameText reports whether two versions have the same description; the API trims it.
func sameText(a, b Version) bool {
	return strings.TrimSpace(a.Description) == strings.TrimSpace(b.Description)
}

// sameContent reports whether the versions of a shared policy are those that are carried, each as often, whatever their
// numbers and order.
func sameContent(carried, shared []Version) bool {
	hashes := func(all []Version) []string {
		out := make([]string, 0, len(all))
		for _, v := range all {
			out = append(out, v.Hash)
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(hashes(carried), hashes(shared))
}
