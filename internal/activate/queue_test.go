package activate_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const policies = 120 // of P6

var seed = flag.Uint64("seed", 1, "of what the network does")

// both makes an item for each policy: staging, then production.
func both(api cloudlet.API, ids []int64, version int64) func(*activate.Queue) []job.Item {
	return func(q *activate.Queue) []job.Item {
		var items []job.Item
		for _, id := range ids {
			staging := activate.Target{API: api, Policy: id, Version: version, Network: cloudlet.Staging}
			production := staging
			production.Network = cloudlet.Production
			if api == cloudlet.V2 {
				staging.Properties = []string{"www.example.com"}
			}
			items = append(items, q.Item(fmt.Sprintf("a/%d/staging", id), 1, staging, func(activate.Memo) []job.Item {
				return []job.Item{q.Item(fmt.Sprintf("a/%d/production", id), 2, production, nil)}
			}))
		}
		return items
	}
}

// TestLimitsHold is P6: never more activations than the limit, never earlier than told, nothing twice, whatever the
// network does and whenever the run ends.
func TestLimitsHold(t *testing.T) {
	t.Parallel()
	harsh := map[string]float64{"reset before": 0.05, "reply lost": 0.1, "late effect": 0.05, "503": 0.1, "429": 0.1}
	for name, c := range map[string]struct {
		api    cloudlet.API
		limit  int
		faults map[string]float64
		opt    simulator.Options
		meddle bool
		lives  []int // each dies at that write; below 0 it is interrupted after so many minutes
		within time.Duration
	}{
		"v3 in one go":     {api: cloudlet.V3, limit: 10, within: 28 * time.Minute},
		"v3 interrupted":   {api: cloudlet.V3, limit: 10, lives: []int{-12, -3}},
		"v3 killed":        {api: cloudlet.V3, limit: 10, lives: []int{100, 300, 77, 5}},
		"v3 with faults":   {api: cloudlet.V3, limit: 10, faults: harsh, lives: []int{150, -9, 250}},
		"v3 400 pending":   {api: cloudlet.V3, limit: 10, faults: harsh, meddle: true, opt: simulator.Options{RunningStatus: 400, Limits: simulator.Limits{Shared: -1}}},
		"v3 409 pending":   {api: cloudlet.V3, limit: 10, meddle: true, lives: []int{200}, opt: simulator.Options{Limits: simulator.Limits{Shared: -1}}},
		"v3 smaller limit": {api: cloudlet.V3, limit: 10, opt: simulator.Options{Limits: simulator.Limits{Shared: 4}}},
		"v2 in one go":     {api: cloudlet.V2, limit: 30, within: 12 * time.Minute},
		"v2 with faults":   {api: cloudlet.V2, limit: 30, faults: harsh, lives: []int{150, -4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				opt := c.opt
				opt.ActivationTime = 100 * time.Second
				opt.FailActivation = func(a simulator.Activation) string {
					if a.Version == 2 {
						return "somebody else's came to nothing"
					}
					return ""
				}
				w := newWorld(t, *seed, opt)
				w.faults = c.faults
				ids := make([]int64, policies)
				for i := range ids {
					ids[i] = w.policy(c.api, fmt.Sprint("p", i))
				}
				if c.meddle {
					w.meddle = w.stumble
				}
				begun := time.Now()
				out := lifetimes(w, c.lives, both(c.api, ids, 3))
				took := time.Since(begun).Round(time.Second)
				if out.err != nil {
					t.Errorf("the run ended with %v: %v", out.err, out.failed)
				}
				for _, id := range ids {
					for _, on := range []cloudlet.Network{cloudlet.Staging, cloudlet.Production} {
						mine, all := w.rows(c.api, id, 3, on)
						// Somebody else's activation may have been adopted, and ours have come late after it.
						if cloudlet.InForceOn(all, on).Effective != 3 || len(mine) != 1 && !c.meddle {
							t.Errorf("%d on %s: version 3 was activated %d times", id, on, len(mine))
						}
					}
				}
				for request, n := range w.effects {
					if n > 1 {
						t.Errorf("%d times: %s", n, request)
					}
				}
				if n := w.most(string(c.api)); n > c.limit {
					t.Errorf("%d activations within a minute, not %d", n, c.limit)
				}
				if c.faults == nil && !c.meddle && w.hit["answer 429"] > 4*len(c.lives)+11 {
					t.Errorf("%d answers 429", w.hit["answer 429"])
				}
				if c.within > 0 && took > c.within {
					t.Errorf("it took %s", took)
				}
				t.Logf("%d POSTs, at most %d a minute, %d reads, %s, faults %v", len(w.arrivals[string(c.api)]), w.most(string(c.api)), w.reads, took, w.hit)
			})
		})
	}
}

// lifetimes runs the items in a process after the other, the last of which nothing ends.
func lifetimes(w *world, lives []int, items func(*activate.Queue) []job.Item) outcome {
	for _, end := range lives {
		ctx, cancel := w.t.Context(), context.CancelFunc(func() {})
		if end < 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(-end)*time.Minute)
		}
		out := w.live(ctx, max(end, 0), activate.Options{}, items)
		cancel()
		if !errors.Is(out.err, errDied) && !errors.Is(out.err, context.DeadlineExceeded) {
			w.t.Errorf("a run that was to end early ended with %v: %v", out.err, out.failed)
		}
		_ = pause(w.t.Context(), time.Second)
	}
	return w.live(w.t.Context(), 0, activate.Options{}, items)
}

// stumble begins now and then, just before ours arrives, an activation of the same policy: of the same version, or of one
// that comes to nothing.
func (w *world) stumble(post string) {
	w.mu.Lock()
	dice := w.random.IntN(10)
	w.mu.Unlock()
	if dice > 2 {
		return
	}
	var id int64
	_, _ = fmt.Sscanf(strings.TrimPrefix(post, "/cloudlets/v3/policies/"), "%d", &id)
	network := "STAGING"
	if strings.Contains(post, "PRODUCTION") {
		network = "PRODUCTION"
	}
	version := int64(2)
	if dice == 0 {
		version = 3
	}
	w.hit["stumbled"]++
	w.stranger(id, version, network)
}
