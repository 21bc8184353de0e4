package redirect

import (
	"cmp"
	"slices"
)

// Replace puts another rule in the place of one that asks for the same path and host. Of a literal rule the set holds
// nothing that could change; load must give the new one from then on. Not safe for use beside anything else.
func (s *Set) Replace(id uint32, r *Rule) {
	at, ok := slices.BinarySearchFunc(s.kept, id, func(k keptRule, id uint32) int { return cmp.Compare(k.id, id) })
	if !ok {
		return
	}
	s.kept[at].rule = *r
	s.kept[at].rule.Matches = slices.Clone(r.Matches)
}
