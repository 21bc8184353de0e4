package activate

import (
	"slices"
	"time"
)

// kind is one of the operations that have a limit.
type kind int

const (
	shared kind = iota
	legacy
	origins
	kinds
)

// Limits are how many activations the API takes in a window, of each operation; where 0, what the documents say (Cloudlets
// API v2 and v3, Rate limits).
type Limits struct {
	Shared  int           // v3 policies: 10
	Legacy  int           // v2 policies: 30
	Origins int           // load-balancing versions, dry runs too: 15
	Window  time.Duration // a minute
}

func (l Limits) filled() Limits {
	or := func(n, usual int) int {
		if n <= 0 {
			return usual
		}
		return n
	}
	l.Shared, l.Legacy, l.Origins = or(l.Shared, 10), or(l.Legacy, 30), or(l.Origins, 15)
	if l.Window <= 0 {
		l.Window = time.Minute
	}
	return l
}

// bucket is the sliding window of one operation. An attempt occupies a slot from when it may begin until a window after
// it was over: the server saw it in between, so that no delay on the way can put more into one window of the server's.
// The caller locks.
type bucket struct {
	most   int // as documented
	limit  int // as the API said last, at most that
	window time.Duration
	flying int         // attempts under way
	ended  []time.Time // when attempts were over that still occupy a slot, ascending
	hold   time.Time   // the API wants none before
	line   []*place    // those that wait, in order
}

// place is an item's place in the line of its bucket.
type place struct {
	flying bool // its attempt may be under way
}

// turn gives the zero time and a slot, or when to ask again. Each that waits is told the time of a slot of its own.
func (b *bucket) turn(p *place, now time.Time) time.Time {
	at := slices.Index(b.line, p)
	if at < 0 {
		at = len(b.line)
		b.line = append(b.line, p)
	}
	if opens := b.opens(at, now); opens.After(now) {
		return opens
	}
	b.line = slices.Delete(b.line, at, at+1)
	b.flying++
	p.flying = true
	return time.Time{}
}

// opens is when the slot of the one at that place of the line opens; no later than it does, for an attempt that is under
// way is taken to be over at once.
func (b *bucket) opens(at int, now time.Time) time.Time {
	free := make([]time.Time, 0, len(b.ended)+b.flying+at+1) // when each slot becomes free, ascending
	b.ended = slices.DeleteFunc(b.ended, func(t time.Time) bool { return !t.Add(b.window).After(now) })
	for _, t := range b.ended {
		if t.After(now) {
			t = now // the clock was set back
		}
		free = append(free, t.Add(b.window))
	}
	for range b.flying {
		free = append(free, now.Add(b.window))
	}
	for i := 0; ; i++ {
		opens := now
		if k := len(free) - b.limit; k >= 0 {
			opens = free[k]
		}
		if opens.Before(b.hold) {
			opens = b.hold
		}
		if i == at {
			return opens
		}
		free = append(free, opens.Add(b.window))
	}
}

// leave takes an item out of the line, and gives back the slot of one whose attempt was not made.
func (b *bucket) leave(p *place, now time.Time) {
	if at := slices.Index(b.line, p); at >= 0 {
		b.line = slices.Delete(b.line, at, at+1)
	}
	if p.flying {
		b.over(p, now)
	}
}

// over says that an attempt is over.
func (b *bucket) over(p *place, now time.Time) {
	p.flying = false
	b.flying--
	b.occupy(now)
}

// occupy counts an attempt that was over at that time.
func (b *bucket) occupy(t time.Time) {
	at, _ := slices.BinarySearchFunc(b.ended, t, time.Time.Compare)
	b.ended = slices.Insert(b.ended, at, t)
}

// heard takes in what an answer said of the limit.
func (b *bucket) heard(limit int, next time.Time) {
	if limit > 0 {
		b.limit = min(limit, b.most)
	}
	if next.After(b.hold) {
		b.hold = next
	}
}
