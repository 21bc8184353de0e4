package akamai

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// gate lets requests through: at most limit at a time, none during a pause. The limit halves when the server is
// overloaded and grows by one for each full window of good answers. Those who wait are let in first come, first served.
type gate struct {
	mu       sync.Mutex
	max      int
	limit    int
	inFlight int
	good     int // good answers since the limit last changed
	epoch    int // how often the limit shrank
	waiters  list.List
	until    time.Time     // end of the pause
	waited   time.Duration // of all pauses, the present one to its end included
}

func newGate(limit int) *gate { return &gate{max: limit, limit: limit} }

// enter waits for a place among the requests in flight. Who entered must leave; after an error it must not.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if g.inFlight < g.limit && g.waiters.Len() == 0 {
		g.inFlight++
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	place := g.waiters.PushBack(turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		select {
		case <-turn: // let in at the same moment
			g.inFlight--
			g.wake()
		default:
			g.waiters.Remove(place)
		}
		return ctx.Err()
	}
}

// pass waits for the end of the pause. The ticket, for leave, tells when the request was sent.
func (g *gate) pass(ctx context.Context) (ticket int, err error) {
	for {
		g.mu.Lock()
		left, ticket := time.Until(g.until), g.epoch
		g.mu.Unlock()
		if left <= 0 {
			return ticket, ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ticket, ctx.Err()
		}
	}
}

// load is what an answer tells of the server's state.
type load int

const (
	loadUnknown load = iota
	loadGood
	loadHigh
)

// leave ends what enter began. Several bad answers to requests of one window shrink the limit once.
func (g *gate) leave(ticket int, l load) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	switch {
	case l == loadHigh && ticket == g.epoch:
		g.limit = max(1, g.limit/2)
		g.epoch++
		g.good = 0
	case l == loadGood && g.limit < g.max:
		if g.good++; g.good >= g.limit {
			g.limit++
			g.good = 0
		}
	}
	g.wake()
}

func (g *gate) wake() {
	for g.inFlight < g.limit {
		first := g.waiters.Front()
		if first == nil {
			return
		}
		if turn, ok := g.waiters.Remove(first).(chan struct{}); ok {
			g.inFlight++
			close(turn)
		}
	}
}

// pause holds all requests back for d from now, or until the pause that is on ends, whichever is later. It says
// whether it made the pause longer.
func (g *gate) pause(d time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	until := now.Add(d)
	if d <= 0 || !until.After(g.until) {
		return false
	}
	from := now
	if g.until.After(now) {
		from = g.until
	}
	g.waited += until.Sub(from)
	g.until = until
	return true
}

// state is the limit, the time spent in pauses so far, and what is left of the present one.
func (g *gate) state() (limit int, waited, left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	left = max(0, time.Until(g.until))
	return g.limit, g.waited - left, left
}
