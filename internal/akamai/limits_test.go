package akamai

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloudletmig/internal/cloudlet"
)

func TestPauseAfter(t *testing.T) {
	t.Parallel()
	const date = "Mon, 01 Jul 2024 14:31:28 GMT"
	now := time.Date(2030, 1, 1, 0, 0, 0, 250e6, time.UTC) // our clock is off: the server's own counts
	for _, tt := range []struct {
		name   string
		status int
		header []string
		want   time.Duration
	}{
		{"no limit", 200, nil, 0},
		{"some left", 200, []string{"X-RateLimit-Remaining", "3", "X-RateLimit-Next", "2024-07-01T14:32:28.645Z"}, 0},
		{"none left", 200, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Next", "2024-07-01T14:32:28.645Z", "Date", date}, 60645 * time.Millisecond},
		{"none left, no next", 202, []string{"X-RateLimit-Remaining", "0"}, time.Minute},
		{"429 bare", 429, nil, time.Minute},
		{"429 next", 429, []string{"X-RateLimit-Next", "2024-07-01T14:31:38Z", "Retry-After", "50", "Date", date}, 10 * time.Second},
		{"429 next by our clock", 429, []string{"X-RateLimit-Next", "2030-01-01T00:00:05.25Z"}, 5 * time.Second},
		{"429 next is over", 429, []string{"X-RateLimit-Next", "2024-07-01T14:31:00Z", "Date", date}, 0},
		{"429 next unreadable", 429, []string{"X-RateLimit-Next", "soon"}, time.Minute},
		{"429 next, clocks agree", 429, []string{"X-RateLimit-Next", "2030-01-01T00:00:05.25Z", "Date", "Tue, 01 Jan 2030 00:00:00 GMT"}, 5 * time.Second},
		{"429 seconds", 429, []string{"Retry-After", "7"}, 7 * time.Second},
		{"429 date", 429, []string{"Retry-After", "Mon, 01 Jul 2024 14:31:30 GMT", "Date", date}, 2 * time.Second},
		{"429 negative", 429, []string{"Retry-After", "-7"}, time.Minute},
		{"429 for ever", 429, []string{"Retry-After", "99999999999"}, time.Hour},
		{"503 seconds", 503, []string{"Retry-After", "7"}, 7 * time.Second},
		{"503 bare", 503, nil, 0},
		{"200 with Retry-After", 200, []string{"Retry-After", "7"}, 0},
	} {
		if got := pauseAfter(tt.status, headers(tt.header...), now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func virtual(t *testing.T, o Options, answer fake) *Client {
	t.Helper()
	o.Transport = answer
	c, err := New(testCredentials("h.example"), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPauseHoldsAllBack: after a bare 429 no request of the client is sent for a minute.
func TestPauseHoldsAllBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var first atomic.Bool
		var mu sync.Mutex
		var sent []time.Duration
		start := time.Now()
		c := virtual(t, Options{Workers: 4}, func(*http.Request) (*http.Response, error) {
			mu.Lock()
			sent = append(sent, time.Since(start))
			mu.Unlock()
			if first.CompareAndSwap(false, true) {
				return respond(429, ""), nil
			}
			return respond(200, "1"), nil
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Get(t.Context(), document()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if s := c.Stats(); s.Paused != time.Minute || s.Waited != 0 || s.Throttled != 1 {
			t.Errorf("in the pause: %+v", s)
		}
		for range 5 {
			wg.Go(func() {
				if _, err := c.Send(t.Context(), cloudlet.Change{Method: http.MethodPost, Path: "/x", Body: []byte("{}")}); err != nil {
					t.Error(err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Get(ctx, document()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		wg.Wait()
		for i, at := range sent[1:] {
			if at < time.Minute {
				t.Errorf("request %d sent after %s", i+1, at)
			}
		}
		if s := c.Stats(); s.Waited != time.Minute || s.Paused != 0 || s.Requests != 7 || s.Retries != 1 {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

// TestLimitOfOneOperation: what an activation is told of its limit is reported and holds nothing else back.
func TestLimitOfOneOperation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := virtual(t, Options{}, func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return respond(200, "1"), nil
			}
			return respond(429, "{}", "X-RateLimit-Limit", "7", "X-RateLimit-Next", start.Add(40*time.Second).UTC().Format(time.RFC3339)), nil
		})
		a, err := c.Send(t.Context(), cloudlet.Deactivate(1, 2, cloudlet.Staging))
		if want := (cloudlet.Rate{Limit: 7, Next: start.Add(40 * time.Second)}); cloudlet.StatusOf(err) != 429 || a.Rate.Limit != 7 || !a.Rate.Next.Equal(want.Next) {
			t.Errorf("%v %+v", err, a.Rate)
		}
		if _, err := c.Get(t.Context(), document()); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		if s := c.Stats(); s.InFlight != 8 || s.Paused != 0 || s.Throttled != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestInFlight: the cap halves once for a burst of refusals and grows back by one for each full window of successes.
func TestInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var overloaded atomic.Bool
		var inFlight, most atomic.Int32
		c := virtual(t, Options{Workers: 8, Retries: 1}, func(*http.Request) (*http.Response, error) {
			if n := inFlight.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer inFlight.Add(-1)
			time.Sleep(time.Second)
			if overloaded.Load() {
				return respond(503, ""), nil
			}
			return respond(200, "1"), nil
		})
		burst := func(n int) {
			var wg sync.WaitGroup
			most.Store(0)
			for range n {
				wg.Go(func() { _, _ = c.Get(t.Context(), document()) })
			}
			wg.Wait()
		}
		check := func(what string, limit int, peak int32) {
			t.Helper()
			if got := c.Stats().InFlight; got != limit || most.Load() != peak {
				t.Errorf("%s: cap %d, want %d; at most %d in flight, want %d", what, got, limit, most.Load(), peak)
			}
		}
		burst(20)
		check("all well", 8, 8)
		overloaded.Store(true)
		burst(8)
		check("one burst of 503", 4, 8)
		burst(4)
		check("another", 2, 4)
		burst(2)
		burst(1)
		check("down to the floor", 1, 1)
		overloaded.Store(false)
		burst(1)
		check("one success", 2, 1)
		burst(2 + 3 + 4)
		check("three windows", 5, 4)
		burst(100)
		check("in the end", 8, 8)
	})
}

func TestOwnRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int32
		c := virtual(t, Options{Workers: 8, RPS: 2}, func(*http.Request) (*http.Response, error) {
			sent.Add(1)
			return respond(200, "1"), nil
		})
		start := time.Now()
		var wg sync.WaitGroup
		for range 9 {
			wg.Go(func() { _, _ = c.Get(t.Context(), document()) })
		}
		wg.Wait()
		if took := time.Since(start); took != 4*time.Second || sent.Load() != 9 {
			t.Errorf("%d requests at 2 a second took %s, want 4s", sent.Load(), took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Get(ctx, document()); !errors.Is(err, context.DeadlineExceeded) || sent.Load() != 9 {
			t.Errorf("%v, %d sent", err, sent.Load())
		}
	})
}

// TestBackoff: waits grow from about half a second, are never the same for all, and end after the last attempt.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Time
		c := virtual(t, Options{}, func(*http.Request) (*http.Response, error) {
			sent = append(sent, time.Now())
			return respond(500, ""), nil
		})
		_, err := c.Get(t.Context(), document())
		if cloudlet.StatusOf(err) != 500 || len(sent) != 8 {
			t.Fatalf("%d requests, %v", len(sent), err)
		}
		want := 500 * time.Millisecond
		for i := range len(sent) - 1 {
			wait := sent[i+1].Sub(sent[i])
			if wait < want/2 || wait > want*3/2+1 || wait == want {
				t.Errorf("wait %d is %s, want %s give or take a half", i+1, wait, want)
			}
			want = min(2*want, 32*time.Second)
		}
	})
}

// TestGateGivesBackPlaces: who gives up while waiting takes no place with him.
func TestGateGivesBackPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1)
		for round := range 200 {
			if err := g.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if g.enter(ctx) == nil {
						g.leave(0, loadUnknown)
					}
				})
			}
			synctest.Wait()
			wg.Go(cancel)
			wg.Go(func() { g.leave(0, loadUnknown) })
			wg.Wait()
			if g.inFlight != 0 || g.waiters.Len() != 0 {
				t.Fatalf("round %d: %d in flight, %d waiting", round, g.inFlight, g.waiters.Len())
			}
		}
	})
}
