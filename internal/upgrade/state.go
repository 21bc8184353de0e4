package upgrade

import (
	"fmt"
	"time"

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
)

// Standing is what a comparison of both found.
type Standing struct {
	State   State
	Pairs   []Pair
	Missing []Version // of the legacy policy, ascending
	Own     []Version // of the shared policy
	// Stale are networks on which the shared policy has another version live than the partner of what is live of the legacy
	// one.
	Stale map[cloudlet.Network]Stale
	Why   string // in words, where the state is not Same
}

// Stale is what is live on a network: of the legacy policy, and of the shared one. 0 is none.
type Stale struct {
	Legacy int64 `json:"legacy"`
	Shared int64 `json:"shared"`
}

// cloneTime is how long after a shared policy its first versions may come: those are what was carried, even if the legacy
// version was edited since.
const cloneTime = 15 * time.Minute

// stand compares a legacy policy with the shared policy of its new name; nil where there is none. All versions of the
// legacy policy must have a hash where the shared one has versions beyond those that are carried.
func stand(l Legacy, s *Shared) Standing {
	if s == nil {
		return Standing{State: Absent}
	}
	carried := carriedOf(l)
	pairs, missing, extra := match(carried, s.Versions, l.Live[cloudlet.Staging].Effective, l.Live[cloudlet.Production].Effective)
	st := Standing{Pairs: pairs, Missing: missing, Stale: map[cloudlet.Network]Stale{}}
	for _, v := range extra {
		if !knows(l, v) && !broughtBy(s, v) {
			st.Own = append(st.Own, v)
		}
	}
	for _, on := range networks() {
		legacy, shared := l.Live[on].Effective, s.Live[on].Effective
		if shared != 0 && legacy != 0 && partnerOf(pairs, legacy) != shared {
			st.Stale[on] = Stale{legacy, shared}
		}
	}
	st.judge(l, s, len(carried))
	return st
}

// judge says which state it is.
func (st *Standing) judge(l Legacy, s *Shared, carried int) {
	common := len(st.Pairs) > 0
	for _, v := range s.Versions {
		common = common || knows(l, v)
	}
	switch {
	case s.Type != l.Type:
		st.State, st.Why = Stranger, fmt.Sprintf("shared policy %d has that name and is of type %s", s.ID, s.Type)
	case !common && len(s.Versions) > 0 && carried > 0 && len(st.Own) > 0:
		st.State, st.Why = Stranger, fmt.Sprintf("shared policy %d has that name and no version in common with it", s.ID)
	case len(st.Missing) > 0 && len(st.Own) > 0:
		st.State, st.Why = Diverged, fmt.Sprintf("the legacy policy has %s, and shared policy %d has %s, that the other has not", list(st.Missing), s.ID, list(st.Own))
	case len(st.Missing) > 0:
		st.State, st.Why = Behind, "not carried: "+list(st.Missing)
	case len(st.Own) > 0:
		st.State, st.Why = Ahead, fmt.Sprintf("shared policy %d has %s of its own", s.ID, list(st.Own))
	case len(st.Stale) > 0:
		st.State, st.Why = Behind, staleText(st)
	default:
		st.State = Same
	}
}

func staleText(st *Standing) string {
	text := ""
	for _, on := range networks() {
		if x, ok := st.Stale[on]; ok {
			if text != "" {
				text += "; "
			}
			text += fmt.Sprintf("version %d is live on %s of the legacy policy, and version %d of the shared one", x.Legacy, on, x.Shared)
		}
	}
	return text
}

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
			text += fmt.Sprintf(" (%s by %s)", v.Modified.Format("2006-01-02 15:04"), cloudlet.Printable(v.By))
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

// broughtBy reports whether a version came with the shared policy: it has not been changed since.
func broughtBy(s *Shared, v Version) bool {
	return !s.Created.IsZero() && !v.Modified.IsZero() && v.Modified.Before(s.Created.Add(cloneTime))
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
