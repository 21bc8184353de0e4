package main_test

import (
	"fmt"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// TestFaultyServer exports from a server of which more than half of the answers are broken, and wants the snapshot that
// a sound server gives. An item that met too many faults is done by the same command again.
func TestFaultyServer(t *testing.T) {
	t.Parallel()
	for seed := range figures.faultSeeds.n() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, simulator.Options{
				Account: simulator.Generate(simulator.GenerateOptions{Policies: 3, Versions: 2, Plain: true, Seed: 5}),
				Seed:    uint64(seed),
			}, simulator.ListenOptions{})
			l.must(0, "export", l.path("sound"))
			l.server.SetFaults(
				simulator.Fault{Kind: simulator.FaultLimit, Probability: .10, Delay: 30 * time.Millisecond},
				simulator.Fault{Kind: simulator.FaultServerError, Probability: .11},
				simulator.Fault{Kind: simulator.FaultResetBefore, Probability: .125},
				simulator.Fault{Kind: simulator.FaultResetAfter, Probability: .143},
				simulator.Fault{Kind: simulator.FaultCutBody, Probability: .167},
				simulator.Fault{Kind: simulator.FaultCutJSON, Probability: .2},
				simulator.Fault{Kind: simulator.FaultSlowBody, Probability: .125, Delay: 10 * time.Millisecond},
			)
			begun := time.Now()
			o := l.run("export", l.path("faulty"), "--retries", "20", "--workers", "32", "--timeout", "5s")
			t.Logf("exit %d after %s, %d requests, %v", o.exit, time.Since(begun), len(l.requests()), l.server.FaultHits(simulator.FaultCutJSON))
			for again := 0; o.exit == 3 && again < 3; again++ {
				t.Logf("%s", o.err)
				o = l.run("export", l.path("faulty"), "--retries", "20", "--workers", "32", "--timeout", "5s")
			}
			if o.exit != 0 {
				t.Fatal(o)
			}
			sameTree(t, "export from a faulty server", snapshotTree(t, l.path("faulty")), snapshotTree(t, l.path("sound")))
		})
	}
}
