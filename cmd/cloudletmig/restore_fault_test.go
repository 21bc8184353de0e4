package main_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
	"cloudletmig/internal/snapshot"
)

// brokenWrites break answers of all kinds: each kind is met by a tenth of the requests, late effects by a twentieth of
// those that change something.
func brokenWrites() []simulator.Fault {
	return []simulator.Fault{
		{Kind: simulator.FaultLateEffect, Probability: .05, Methods: []string{"POST", "PUT"}, Delay: 100 * time.Millisecond},
		{Kind: simulator.FaultLimit, Probability: .10, Delay: 2 * time.Millisecond},
		{Kind: simulator.FaultServerError, Probability: .11},
		{Kind: simulator.FaultResetBefore, Probability: .125},
		{Kind: simulator.FaultResetAfter, Probability: .143},
		{Kind: simulator.FaultCutBody, Probability: .167},
	}
}

// restoreHere restores in this process, with short waits and without limits of activations.
func (l *lab) restoreHere(t *testing.T, dir string, journal job.Journal) error {
	t.Helper()
	c := l.listener.Credentials
	client, err := akamai.New(akamai.Credentials{
		Host: c.Host, ClientToken: akamai.NewSecret(c.ClientToken), ClientSecret: akamai.NewSecret(c.ClientSecret),
		AccessToken: akamai.NewSecret(c.AccessToken),
	}, akamai.Options{CAFile: l.listener.CAFile, Retries: 40, Backoff: time.Millisecond, Timeout: 2 * time.Second, Valid: cloudlet.ValidJSON})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := snapshot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wanted, _, err := importer.FromSnapshot(t.Context(), s, importer.SnapshotOptions{
		Versions: importer.AllVersions, Name: "{name}", Group: func(int64) int64 { return groupAfter },
		Live: []cloudlet.Network{staging, production},
	})
	if err != nil {
		t.Fatal(err)
	}
	present, err := importer.Look(t.Context(), client, wanted, false, 4)
	if err != nil {
		t.Fatal(err)
	}
	const settle = 400 * time.Millisecond
	return importer.Apply(t.Context(), client, source{s}, importer.Make(wanted, present, importer.PlanOptions{OnExisting: importer.OnExistingFail}),
		job.Pool{Workers: 8, Journal: journal}, importer.ApplyOptions{
			Run: "01234567", Settle: settle, Poll: 5 * time.Millisecond, Queue: activate.New(activate.Options{
				Account: client, Settle: settle, Poll: 5 * time.Millisecond, Limits: activate.Limits{Window: time.Millisecond},
			}),
		})
}

type source struct{ s *snapshot.Snapshot }

func (s source) Document(ref string) ([]byte, error) { return s.s.Read(ref) }

// TestFaultyServerRestore restores to a server that breaks well over half of its answers, and wants what a sound one holds.
func TestFaultyServerRestore(t *testing.T) {
	t.Parallel()
	from := shopAccount(t)
	dir := snapshotOf(t, from)
	want := holdingOf(t, from).moved()
	seeds := make(chan int)
	var group sync.WaitGroup
	var hits atomic.Int64
	for range sprees {
		group.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					l := newLab(t, simulator.Options{
						Account: emptyAccount(t), Seed: uint64(seed), Faults: brokenWrites(), Limits: simulator.Limits{Shared: -1, Legacy: -1, Balancing: -1},
						ActivationTime: 5 * time.Millisecond, BalancingTime: 5 * time.Millisecond,
					}, simulator.ListenOptions{})
					if err := l.restoreHere(t, dir, &job.Memory{}); err != nil {
						t.Fatal(err)
					}
					l.holds("from a faulty server", want)
					for _, r := range l.requests() {
						if r.Fault != simulator.FaultNone {
							hits.Add(1)
						}
					}
				})
			}
		})
	}
	for seed := range figures.changeSeeds.n() {
		seeds <- seed
	}
	close(seeds)
	group.Wait()
	t.Logf("%d broken answers", hits.Load())
}

// TestFaultyServerRestoreProgram does so with the program and fewer faults, since it waits longer between attempts.
func TestFaultyServerRestoreProgram(t *testing.T) {
	t.Parallel()
	from := shopAccount(t)
	dir := snapshotOf(t, from)
	faults := brokenWrites()
	for i := range faults {
		faults[i].Probability /= 4
	}
	l := newLab(t, simulator.Options{
		Account: emptyAccount(t), Seed: 2, Faults: faults, ActivationTime: 20 * time.Millisecond, BalancingTime: 20 * time.Millisecond,
	}, simulator.ListenOptions{})
	args := hasty("restore", dir, "--group", "77", "--activate", "recorded")
	l.must(0, args...)
	l.holds("from a faulty server", holdingOf(t, from).moved())
}
