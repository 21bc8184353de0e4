package convert

import (
	"fmt"
	"slices"
	"strings"
)

// overflow says which number of buckets would do.
func (c *conversion) overflow(s *hashSet, n int) error {
	more := s.fewest(c.filled())
	if more == 0 {
		return c.noRoom(s)
	}
	hint := fmt.Sprintf("--buckets %d would do", more)
	if p := c.options.Previous; p != nil {
		hint = bucketsHint(more, len(p.Dispatch.Chunks))
	}
	bucket, most := s.fullest(n, c.limit())
	return unusable(hint, "with %s, bucket %d with %s is more than one policy holds", counted(n, "bucket"), bucket, most)
}

// bucketsHint says that a number of buckets would do, and what it does to the policies of an earlier conversion.
func bucketsHint(n, policies int) string {
	which := fmt.Sprintf("all %d policies", policies)
	if policies == 1 {
		which = "the one policy"
	}
	return fmt.Sprintf("--buckets %d would do; it changes %s and makes %d more", n, which, max(0, n-policies))
}

// noRoom says why no number of buckets will do: a path with too many rules of its own, too many repeated rules, or too
// many rules to spread.
func (c *conversion) noRoom(s *hashSet) error {
	limit := c.filled()
	if path, own := c.crowded(s); own.rules > 0 {
		return c.crowdedPath(s, path, own)
	}
	room := s.repeated.beside(limit)
	upTo, fullest := "", ""
	if last := s.last(limit); last > 0 {
		bucket, most := s.fullest(last, limit)
		upTo = fmt.Sprintf(" up to %d", last)
		fullest = fmt.Sprintf("; of %s the fullest, bucket %d, has %s", counted(last, "bucket"), bucket, most)
	}
	if !s.repeated.heavy(limit) {
		return unusable("raise --fill, or --max-rules and --max-bytes where they are lower than need be",
			"no number of buckets%s will do: %s to spread, and room for %d in %d bytes in every policy beside %d repeated%s",
			upTo, counted(s.spread, "rule"), room.rules, room.bytes, s.repeated.rules, fullest)
	}
	return unusable("make fewer rules with wildcards or regular expressions, or raise --fill",
		"no number of buckets%s will do: %s to spread, %d repeated in every policy, room for %d beside them (%d bytes repeated of %d)%s",
		upTo, counted(s.spread, "rule"), s.repeated.rules, room.rules, s.repeated.bytes, limit.bytes, fullest)
}

// heavy reports whether a load takes half of what a policy is to hold.
func (l load) heavy(limit load) bool { return 2*l.rules > limit.rules || 2*l.bytes > limit.bytes }

// crowdedPath says that the rules of one path do not fit into a policy.
func (c *conversion) crowdedPath(s *hashSet, path string, own load) error {
	if own.rules > c.options.MaxRules {
		return unusable("shorten the list for this path, or split the sheet by hand with --split sequence",
			"%s share the path %s, and a policy holds %d: no hash of the path can tell them apart", counted(own.rules, "rule"), shown(path), c.options.MaxRules)
	}
	limit := c.filled()
	room := s.repeated.beside(limit)
	if own.rules == 1 {
		return unusable("raise --fill", "the rule for the path %s has %d bytes, and a policy has room for %d beside %d repeated rules",
			shown(path), own.bytes, room.bytes, s.repeated.rules)
	}
	return unusable("shorten the list for this path, raise --fill, or split the sheet by hand with --split sequence",
		"%d rules share the path %s, and a policy has room for %d beside %d repeated (%d bytes of %d): no hash of the path can tell them apart",
		own.rules, shown(path), room.rules, s.repeated.rules, own.bytes, room.bytes)
}

// crowded finds the path whose rules do not fit into a policy, and that more than the repeated rules is why.
func (c *conversion) crowded(s *hashSet) (path string, own load) {
	limit := c.filled()
	hash, most := s.fullest(hashes, limit)
	if most.within(limit) {
		return "", load{}
	}
	for p, l := range c.paths(s, hash) {
		heavier := l.rules > s.repeated.rules || l.bytes > s.repeated.bytes
		if s.repeated.plus(l).within(limit) || !heavier && l.within(limit) {
			continue
		}
		if l.rules > own.rules || l.rules == own.rules && p < path {
			path, own = p, l
		}
	}
	return path, own
}

// paths gives the paths of one hash, in lower case, and what the rules of each weigh.
func (c *conversion) paths(s *hashSet, hash int) map[string]load {
	found := map[string]load{}
	var buckets []int
	l := looker{c: c}
	for id := range s.members {
		if !c.spread(id) {
			continue
		}
		if buckets = c.buckets(id, s.key, hashes, buckets); !slices.Contains(buckets, hash) {
			continue
		}
		rule, err := l.load(id)
		if err != nil {
			continue
		}
		paths, _ := rule.Literals()
		for _, p := range paths {
			p = strings.Clone(lower(p))
			found[p] = found[p].plus(c.weigh(id))
		}
	}
	return found
}

// String is what a policy with the load has.
func (l load) String() string {
	return fmt.Sprintf("%s in %d bytes", counted(l.rules, "rule"), l.bytes+bodyOverhead)
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
