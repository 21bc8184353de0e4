package activate

import (
	"testing"
	"time"
)

func TestEachWaitsForASlotOfItsOwn(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := &bucket{most: 3, limit: 3, window: time.Minute}
	places := make([]place, 12)
	ask := func(i int) time.Duration {
		at := b.turn(&places[i], now)
		if at.IsZero() {
			return -1
		}
		return at.Sub(now)
	}
	check := func(what string, wants ...time.Duration) {
		t.Helper()
		for i, want := range wants {
			if want == 0 {
				continue
			}
			if got := ask(i); got != want {
				t.Errorf("%s: place %d is told %s, not %s", what, i, got, want)
			}
		}
	}
	const begins, m, s = time.Duration(-1), time.Minute, time.Second
	check("three at once, then three a minute", begins, begins, begins, m, m, m, 2*m, 2*m, 2*m, 3*m, 3*m, 3*m)

	now = now.Add(2 * s) // two of the attempts are over
	b.over(&places[0], now)
	b.over(&places[1], now.Add(s))
	now = now.Add(10 * s)
	check("a slot is free a minute after its attempt was over", 0, 0, 0, 50*s, 51*s, m, 50*s+m, 51*s+m, 2*m)

	b.leave(&places[3], now)
	check("those behind one that left come earlier", 0, 0, 0, 0, 50*s, 51*s, m)

	b.heard(2, time.Time{})
	check("a smaller limit", 0, 0, 0, 0, 51*s, m, 51*s+m)
	b.heard(99, now.Add(70*s))
	check("a larger one than documented counts for nothing; held until told", 0, 0, 0, 0, 70*s, 70*s, 70*s, 130*s)

	now = now.Add(-time.Hour)
	b.hold = time.Time{}
	check("the clock was set back", 0, 0, 0, 0, m, m, m)

	now = now.Add(2 * time.Hour)
	b.leave(&places[2], now) // it was never sent: its slot counts until a minute from now
	check("of the others", 0, 0, 0, 0, begins, begins, m)
}
