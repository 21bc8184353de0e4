package upgrade

import (
	"fmt"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// State is how a legacy policy and the shared policy that it becomes stand to each other.
type State string

// The states.
const (
	Absent   State = "absent"   // there is no shared policy of that name yet
	Same     State = "same"     // the shared policy has all that is carried, and nothing of its own
	Behind   State = "behind"   // the legacy policy has versions, or live ones, that the shared one has not
	Ahead    State = "ahead"    // the shared policy has versions of its own, and lacks none
	Diverged State = "diverged" // both: each has what the other has not
	Stranger State = "stranger" // a shared policy of that name has nothing in common with it
	Unknown  State = "unknown"  // one of the two cannot be read
)

// Standing is what a comparison of both found.
type Standing struct {
	State   State
	Pairs   []Pair
	Missing []Version // of the legacy policy, ascending
	Own     []Version // of the shared policy
	// Stale are networks on which the legacy policy went on: it has another version live than the shared one carries there.
	Stale map[cloudlet.Network]Stale
	// Moved are networks on which the shared policy went on: somebody put another version live there than the legacy one has.
	Moved map[cloudlet.Network]Stale
	Why   string // in words, where the state is not Same
}

// Stale is what is live on a network: of the legacy policy, and of the shared one.
type Stale struct {
	Legacy cloudlet.InForce
	Shared cloudlet.InForce
}

// stand compares a legacy policy with the shared policy of its new name; nil where there is none. All versions of the
// legacy policy must have a hash where the shared one has versions beyond those that are carried.
func stand(l Legacy, s *Shared) Standing {
	if s == nil {
		return Standing{State: Absent}
	}
	carried := carriedOf(l)
	pairs, missing, extra := match(carried, s.Versions, l.Live[cloudlet.Staging].Effective, l.Live[cloudlet.Production].Effective)
	st := Standing{Pairs: pairs, Missing: missing, Stale: map[cloudlet.Network]Stale{}, Moved: map[cloudlet.Network]Stale{}}
	for _, v := range extra {
		if !knows(l, v) && !knew(l, s, v) {
			st.Own = append(st.Own, v)
		}
	}
	for _, on := range networks() {
		st.compareLive(l, s, on)
	}
	st.judge(l, s, len(carried))
	return st
}

// compareLive looks at a network on which the legacy policy has a version live, and the shared one another, or none though
// it had one. The shared policy went on there when it was taken off, when what the legacy one has was live on it before,
// or when what it has came later and never was live on the legacy policy; else the legacy policy went on, and the shared
// one is still where it was. Where the shared one never was live, nothing is wrong yet.
func (st *Standing) compareLive(l Legacy, s *Shared, on cloudlet.Network) {
	legacy, shared := l.Live[on], s.Live[on]
	partner := partnerOf(st.Pairs, legacy.Effective)
	if legacy.Effective == 0 || partner != 0 && partner == shared.Effective {
		return
	}
	if shared.Effective == 0 {
		if off, was := takenOff(s, on); was && shared.Pending == 0 {
			st.Moved[on] = Stale{legacy, off}
		}
		return
	}
	had := slices.ContainsFunc(s.Past[on], func(p Past) bool {
		return !p.Off && p.Version == partner && partner != 0 && !p.At.Before(legacy.Since)
	})
	live, _ := version(s.Versions, shared.Effective)
	was := slices.ContainsFunc(l.Past[on], func(p Past) bool {
		v, ok := version(l.Versions, p.Version)
		return ok && v.Hash == live.Hash
	})
	x := Stale{legacy, shared}
	if had || shared.Since.After(legacy.Since) && !was {
		st.Moved[on] = x
	} else {
		st.Stale[on] = x
	}
}

// takenOff reports whether a shared policy that is not live on a network was so before, and when and by whom it was taken
// off there, as far as its history tells.
func takenOff(s *Shared, on cloudlet.Network) (off cloudlet.InForce, was bool) {
	for _, p := range s.Past[on] {
		if p.Off && p.At.After(off.Since) {
			off.Since, off.By = p.At, p.By
		}
	}
	return off, len(s.Past[on]) > 0
}

// common reports whether the two have a version in common that tells something: with rules, as they are or were
// before an edit in place, or with a description. Lists without rules are all equal, whoever made them: they count only
// where the policies are alike in all, so that nothing would be added.
func (st *Standing) common(l Legacy, s *Shared) bool {
	for _, v := range s.Versions {
		if v.Rules > 0 && knew(l, s, v) || slices.ContainsFunc(l.Versions, func(have Version) bool {
			return have.Hash == v.Hash && (v.Rules > 0 || strings.TrimSpace(v.Description) != "" && sameText(have, v))
		}) {
			return true
		}
	}
	return len(st.Pairs) > 0 && len(st.Missing)+len(st.Own) == 0 && strings.TrimSpace(l.Description) == strings.TrimSpace(s.Description)
}

// judge says which state it is.
func (st *Standing) judge(l Legacy, s *Shared, carried int) {
	switch {
	case s.Type != l.Type:
		st.State, st.Why = Stranger, fmt.Sprintf("shared policy %d has that name and is of type %s", s.ID, s.Type)
	case len(s.Versions) == 0 && carried > 0:
		st.State, st.Why = Stranger, fmt.Sprintf("shared policy %d has that name and no version yet, so that it may be anybody's", s.ID)
	case carried > 0 && !st.common(l, s):
		st.State, st.Why = Stranger, fmt.Sprintf("shared policy %d has that name and no version in common with it", s.ID)
	case len(st.Missing) > 0 && len(st.Own) > 0:
		st.State, st.Why = Diverged, fmt.Sprintf("the legacy policy has %s that shared policy %d lacks, which has %s of its own", list(st.Missing), s.ID, list(st.Own))
	case len(st.Missing) > 0:
		st.State, st.Why = Behind, and("not carried: "+list(st.Missing), liveText(st.Stale), liveText(st.Moved))
	case len(st.Own) > 0:
		st.State, st.Why = Ahead, fmt.Sprintf("shared policy %d has %s of its own", s.ID, list(st.Own))
	case len(st.Stale) > 0:
		st.State, st.Why = Behind, and(liveText(st.Stale), liveText(st.Moved))
	case len(st.Moved) > 0:
		st.State, st.Why = Ahead, and(liveText(st.Moved), movedBy(st.Moved))
	default:
		st.State = Same
	}
}

// and joins what is not empty.
func and(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// liveText says what is live where on the two policies.
func liveText(on map[cloudlet.Network]Stale) string {
	var parts []string
	for _, network := range networks() {
		if x, ok := on[network]; ok {
			if x.Shared.Effective == 0 {
				parts = append(parts, fmt.Sprintf("on %s version %d of the legacy policy is live%s, and the shared one was taken off%s",
					network, x.Legacy.Effective, since(x.Legacy), since(x.Shared)))
				continue
			}
			parts = append(parts, fmt.Sprintf("on %s version %d of the legacy policy is live%s, and version %d of the shared one%s",
				network, x.Legacy.Effective, since(x.Legacy), x.Shared.Effective, since(x.Shared)))
		}
	}
	return and(parts...)
}

// movedBy says that it was no upgrade that put the shared policy where it is.
func movedBy(moved map[cloudlet.Network]Stale) string {
	for _, x := range moved {
		if x.Shared.Effective != 0 {
			return "somebody activated that since"
		}
	}
	return "it is not put back"
}

// since says when a version went live and who saw to it, where that is known.
func since(x cloudlet.InForce) string {
	if x.Since.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (%s by %s)", x.Since.Format(minutes), cloudlet.Printable(x.By))
}

// minutes is how dates are told.
const minutes = "2006-01-02 15:04"

// list names versions with date and author.
func list(versions []Version) string {
	text := ""
	for i, v := range versions {
		if i > 0 {
			text += ", "
		}
		if i == 5 {
			return text + fmt.Sprintf("and %d more", len(versions)-i)
		}
		text += fmt.Sprintf("version %d", v.Number)
		if !v.Modified.IsZero() {
			text += fmt.Sprintf(" (%s by %s)", v.Modified.Format(minutes), cloudlet.Printable(v.By))
		}
	}
	return text
}

// knows reports whether the legacy policy has a version with these rules.
func knows(l Legacy, v Version) bool {
	for _, have := range l.Versions {
		if have.Hash == v.Hash {
			return true
		}
	}
	return false
}

// knew reports whether a version of the shared policy is what a legacy version was before it was edited in place: that one
// was there when it was made, was modified afterwards, and has its description or its number; and whoever made the shared
// policy made the version too, or it is older than the policy that it came to.
func knew(l Legacy, s *Shared, v Version) bool {
	if s.By != v.By && !v.Modified.Before(s.Created) {
		return false
	}
	return slices.ContainsFunc(l.Versions, func(old Version) bool {
		return !old.Created.After(v.Modified) && old.Modified.After(v.Modified) && (old.Number == v.Number || sameText(old, v))
	})
}

// carriedOf are the versions that are carried.
func carriedOf(l Legacy) []Version {
	var out []Version
	for _, n := range l.Carried {
		if v, ok := version(l.Versions, n); ok {
			out = append(out, v)
		}
	}
	return out
}

// partnerOf is the number in the shared policy; 0 where there is none.
func partnerOf(pairs []Pair, legacy int64) int64 {
	for _, p := range pairs {
		if p.From == legacy {
			return p.To
		}
	}
	return 0
}
