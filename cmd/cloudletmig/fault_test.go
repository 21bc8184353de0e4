package main_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
	"cloudletmig/internal/snapshot"
)

// exportHere exports in this process, with short waits between attempts and the steps of the disk as options say.
func (l *lab) exportHere(t *testing.T, dir string, journal job.Journal, disk ...durable.Option) (result export.Result, err error) {
	t.Helper()
	c := l.listener.Credentials
	client, err := akamai.New(akamai.Credentials{
		Host: c.Host, ClientToken: akamai.NewSecret(c.ClientToken), ClientSecret: akamai.NewSecret(c.ClientSecret),
		AccessToken: akamai.NewSecret(c.AccessToken),
	}, akamai.Options{
		CAFile: l.listener.CAFile, Retries: 40, Backoff: time.Millisecond, Timeout: 10 * time.Second, Valid: cloudlet.ValidJSON,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	folder, err := durable.Create(dir, disk...)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	e := export.Export{
		Source: client, Store: snapshot.NewWriter(folder, true), Pool: job.Pool{Workers: 8, Journal: journal},
		Options: export.Options{APIs: []cloudlet.API{cloudlet.V2, cloudlet.V3}, Versions: export.AllVersions, Format: export.Pretty},
		Log:     slog.New(slog.DiscardHandler), Now: time.Now,
	}
	return e.Run(t.Context(), snapshot.Manifest{Tool: "test", Run: "1", Host: c.Host, Started: time.Now()})
}

func smallAccount() *simulator.Account {
	return simulator.Generate(simulator.GenerateOptions{Policies: 4, Versions: 3, Plain: true, Seed: 5})
}

// brokenFaults break well over half of all answers: each kind is met by a tenth of the requests, slow bodies by a
// twentieth. The dice are thrown one after the other, so the later ones need better odds.
func brokenFaults() []simulator.Fault {
	return []simulator.Fault{
		{Kind: simulator.FaultLimit, Probability: .10, Delay: 2 * time.Millisecond},
		{Kind: simulator.FaultServerError, Probability: .11},
		{Kind: simulator.FaultResetBefore, Probability: .125},
		{Kind: simulator.FaultResetAfter, Probability: .143},
		{Kind: simulator.FaultCutBody, Probability: .167},
		{Kind: simulator.FaultCutJSON, Probability: .2},
		{Kind: simulator.FaultSlowBody, Probability: .125, Delay: 2 * time.Millisecond},
	}
}

// TestFaultyServer exports from a server that breaks well over half of its answers, and wants the snapshot that a sound
// server gives.
func TestFaultyServer(t *testing.T) {
	t.Parallel()
	again := 0
	for seed := range figures.faultSeeds.n() {
		l := newLab(t, simulator.Options{Account: smallAccount(), Seed: uint64(seed)}, simulator.ListenOptions{})
		if _, err := l.exportHere(t, l.path("sound"), &job.Memory{}); err != nil {
			t.Fatal(err)
		}
		l.server.SetFaults(brokenFaults()...)
		var journal job.Memory
		_, err := l.exportHere(t, l.path("faulty"), &journal)
		for n := 0; errors.Is(err, job.ErrIncomplete) && n < 3; n++ {
			again++
			_, err = l.exportHere(t, l.path("faulty"), &journal)
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sameTree(t, fmt.Sprint("seed ", seed), snapshotTree(t, l.path("faulty")), snapshotTree(t, l.path("sound")))
		if err := l.listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d runs ended incomplete and were given again", again)
}

// TestFaultyServerProgram does so with the program and fewer faults, since it waits longer between attempts.
func TestFaultyServerProgram(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: smallAccount(), Seed: 3}, simulator.ListenOptions{})
	l.must(0, "export", l.path("sound"))
	faults := brokenFaults()
	for i := range faults {
		faults[i].Probability /= 5
	}
	l.server.SetFaults(faults...)
	l.must(0, "export", l.path("faulty"))
	sameTree(t, "from a faulty server", snapshotTree(t, l.path("faulty")), snapshotTree(t, l.path("sound")))
}

// TestFaultStalls lets single requests hang. The run ends in time; what hangs always is named, what hung once is there.
func TestFaultStalls(t *testing.T) {
	t.Parallel()
	p := smallAccount().Policies()[1]
	path := versionPath(p, 2)
	for _, f := range []simulator.Fault{
		{Kind: simulator.FaultStallHeader}, {Kind: simulator.FaultStallBody}, {Kind: simulator.FaultSlowBody, Delay: 200 * time.Millisecond},
	} {
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, simulator.Options{Account: smallAccount()}, simulator.ListenOptions{})
			l.must(0, "export", l.path("sound"))
			f.Path = path
			l.server.SetFaults(f)
			begun := time.Now()
			o := l.must(3, "export", l.path("stalled"), "--timeout", "500ms", "--retries", "2")
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("the run took %s", took)
			}
			if n := l.server.FaultHits(f.Kind); n != 2 {
				t.Errorf("%d requests stalled, want 2 attempts of 1", n)
			}
			for _, want := range []string{p.Name, "version 2", "INCOMPLETE"} {
				if !strings.Contains(o.out, want) {
					t.Errorf("%q is not in the summary: %s", want, o)
				}
			}
			f.Max = 1
			l.server.SetFaults(f)
			l.must(0, "export", l.path("stalled"), "--timeout", "500ms", "--retries", "2")
			sameTree(t, "after the stall", snapshotTree(t, l.path("stalled")), snapshotTree(t, l.path("sound")))
		})
	}
}

// TestFaultStalledHandshake leaves the first TLS handshakes, then all, without an answer.
func TestFaultStalledHandshake(t *testing.T) {
	t.Parallel()
	for stalled, exit := range map[int]int{2: 0, 1 << 20: 1} {
		l := newLab(t, simulator.Options{Account: smallAccount()}, simulator.ListenOptions{StallHandshakes: stalled})
		begun := time.Now()
		o := l.must(exit, "export", l.path("snapshot"), "--timeout", "500ms", "--retries", "3")
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("%d stalled handshakes: the run took %s: %s", stalled, took, o)
		}
		if exit != 0 && (!strings.Contains(o.err, "cloudletmig: error: ") || strings.Count(o.err, "cloudletmig: error: ") != 1) {
			t.Errorf("no clear error: %s", o)
		}
	}
}

// TestFaultRedirect answers with redirects to another host, which must never hear of it.
func TestFaultRedirect(t *testing.T) {
	t.Parallel()
	var heard atomic.Int32
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	t.Cleanup(other.Close)
	l := newLab(t, simulator.Options{Account: smallAccount()}, simulator.ListenOptions{})
	p := l.server.Account().Policies()[0]
	for _, c := range []struct {
		path string
		exit int
	}{{versionPath(p, 1), 3}, {"", 1}} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			l.server.SetFaults(simulator.Fault{Kind: simulator.FaultRedirect, Path: c.path, Location: other.URL, Status: status})
			dir := l.path(fmt.Sprint("redirected", c.exit, status))
			begun := time.Now()
			o := l.must(c.exit, "export", dir)
			if !strings.Contains(o.out+o.err, "redirects are not followed") {
				t.Errorf("redirect %d: nothing is said of it: %s", status, o)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("redirect %d: took %s", status, took)
			}
			if _, err := os.Stat(dir + "/manifest.json"); (err == nil) != (c.exit == 3) {
				t.Errorf("redirect %d, exit %d: manifest: %v", status, c.exit, err)
			}
		}
	}
	if n := heard.Load(); n != 0 {
		t.Errorf("the other host got %d requests", n)
	}
}
