package main_test

import (
	"errors"
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

// restoreHere restores in this process, with short waits and without limits of activations. A run that leaves items, as
// it does when the rehearsal of an activation had no answer six times in a row, is given again as a user would. It gives
// how often, and what the items ended with.
func (l *lab) restoreHere(t *testing.T, dir string) (again int, failed []error, err error) {
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
	present, err := importer.Look(t.Context(), client, wanted, nil, 4)
	if err != nil {
		t.Fatal(err)
	}
	plan := importer.Make(wanted, present, importer.PlanOptions{OnExisting: importer.OnExistingFail})
	var mu sync.Mutex
	pool := job.Pool{Workers: 8, Journal: &job.Memory{}, Watch: func(e job.Event) {
		if e.Kind == job.Failed {
			mu.Lock()
			defer mu.Unlock()
			failed = append(failed, e.Err)
		}
	}}
	const settle = 400 * time.Millisecond
	for ; again < 3; again++ {
		err = importer.Apply(t.Context(), client, source{s}, plan, pool, importer.ApplyOptions{
			Run: "01234567", Settle: settle, Poll: 5 * time.Millisecond, Queue: activate.New(activate.Options{
				Account: client, Settle: settle, Poll: 5 * time.Millisecond, Limits: activate.Limits{Window: time.Millisecond},
			}),
		})
		if !errors.Is(err, job.ErrIncomplete) {
			break
		}
	}
	return again, failed, err
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
	var hits, again atomic.Int64
	for range sprees {
		group.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					l := newLab(t, simulator.Options{
						Account: emptyAccount(t), Seed: uint64(seed), Faults: brokenWrites(), Limits: simulator.Limits{Shared: -1, Legacy: -1, Balancing: -1},
						ActivationTime: 5 * time.Millisecond, BalancingTime: 5 * time.Millisecond,
					}, simulator.ListenOptions{})
					n, failed, err := l.restoreHere(t, dir)
					if err != nil {
						t.Fatal(err, failed)
					}
					again.Add(int64(n))
					if n > 0 {
						t.Log("given again after", failed)
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
	t.Logf("%d broken answers; %d restores left items and were given again", hits.Load(), again.Load())
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
