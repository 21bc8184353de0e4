package akamai_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	v3 "github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/cloudlets/v3"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/simulator"
)

// simulate serves an account and gives a client that found its credentials in the file that the simulator wrote.
func simulate(t *testing.T, so simulator.Options, lo simulator.ListenOptions, o akamai.Options) (*simulator.Server, *akamai.Client) {
	t.Helper()
	so.Credentials = simulator.NewCredentials()
	so.Credentials.AccountKey = "A-1B:2"
	s := simulator.New(so)
	lo.Dir = t.TempDir()
	l, err := simulator.Listen(t.Context(), s, lo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	creds, warnings, err := akamai.LoadCredentials(akamai.CredentialOptions{
		File: l.Edgerc, FileGiven: true, AccountKey: so.Credentials.AccountKey,
	})
	if err != nil || len(warnings) != 0 {
		t.Fatal(warnings, err)
	}
	o.CAFile, o.Backoff = l.CAFile, max(o.Backoff, time.Millisecond)
	c, err := akamai.New(creds, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return s, c
}

// readAll reads every policy and version of an account, 16 at a time.
func readAll(t *testing.T, c *akamai.Client) map[string]string {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make(map[string]string)
	get := func(r cloudlet.Resource) []byte {
		doc, err := c.Get(t.Context(), r)
		if err != nil {
			t.Error(err)
			return []byte("[]")
		}
		mu.Lock()
		defer mu.Unlock()
		got[r.Path] = string(doc)
		return doc
	}
	get(cloudlet.Groups())
	for _, api := range []cloudlet.API{cloudlet.V2, cloudlet.V3} {
		get(api.Cloudlets())
		for _, policy := range ids(t, get(api.Policies(true))) {
			wg.Go(func() {
				get(api.Policy(policy.id()))
				get(api.Properties(policy.id()))
				get(api.Activations(policy.id()))
				for _, version := range ids(t, get(api.Versions(policy.id(), true))) {
					get(api.Version(policy.id(), version.Version))
				}
			})
		}
	}
	wg.Wait()
	return got
}

type named struct{ ID, PolicyID, Version int64 }

func (n named) id() int64 { return max(n.ID, n.PolicyID) }

func ids(t *testing.T, list []byte) []named {
	t.Helper()
	var of []named
	if err := json.Unmarshal(list, &of); err != nil {
		t.Error(err)
	}
	return of
}

// TestReadsSurviveFaults: with a tenth of each fault the same bytes arrive as without any (the read side of P4).
func TestReadsSurviveFaults(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Policies: 20, Versions: 2, Rules: 4})
	_, calm := simulate(t, simulator.Options{Account: account}, simulator.ListenOptions{}, akamai.Options{Workers: 8})
	want := readAll(t, calm)
	if len(want) < 100 {
		t.Fatalf("only %d documents", len(want))
	}
	faults := []simulator.Fault{
		{Kind: simulator.FaultServerError, Probability: 0.1},
		{Kind: simulator.FaultLimit, Probability: 0.1, Delay: time.Millisecond},
		{Kind: simulator.FaultResetBefore, Probability: 0.1},
		{Kind: simulator.FaultResetAfter, Probability: 0.1},
		{Kind: simulator.FaultCutBody, Probability: 0.1},
		{Kind: simulator.FaultStallBody, Probability: 0.1, Max: 1},
		{Kind: simulator.FaultStallHeader, Probability: 0.1, Max: 1},
	}
	s, c := simulate(t, simulator.Options{Account: account, Faults: faults, Seed: 7}, simulator.ListenOptions{StallHandshakes: 1},
		akamai.Options{Workers: 8, Retries: 30, Timeout: time.Second, Backoff: time.Microsecond})
	got := readAll(t, c)
	if !maps.Equal(got, want) {
		t.Errorf("%d documents, want %d", len(got), len(want))
		for path, doc := range want {
			if got[path] != doc {
				t.Errorf("%s: %.100q, want %.100q", path, got[path], doc)
				break
			}
		}
	}
	for _, f := range faults {
		if s.FaultHits(f.Kind) == 0 {
			t.Errorf("fault %s never happened", f.Kind)
		}
	}
	t.Logf("%d documents, %+v", len(got), c.Stats())
}

// TestSimulatedReplay: net/http sends a read again by itself when a kept connection dies, with a nonce that was used. That
// is no refusal of the credentials, however often it happens.
func TestSimulatedReplay(t *testing.T) {
	t.Parallel()
	s, c := simulate(t, simulator.Options{}, simulator.ListenOptions{}, akamai.Options{Workers: 1})
	if _, err := c.Get(t.Context(), cloudlet.Groups()); err != nil {
		t.Fatal(err)
	}
	s.SetFaults(simulator.Fault{Kind: simulator.FaultResetAfter, Max: 4}, simulator.Fault{Kind: simulator.FaultServerError, Max: 1})
	if _, err := c.Get(t.Context(), cloudlet.Groups()); err != nil {
		t.Error(err)
	}
	if hits := s.FaultHits(simulator.FaultResetAfter); hits != 4 {
		t.Errorf("%d resets", hits)
	}
}

func TestSimulatedSkew(t *testing.T) {
	t.Parallel()
	ahead := simulator.Options{Clock: func() time.Time { return time.Now().Add(5 * time.Minute) }}
	_, c := simulate(t, ahead, simulator.ListenOptions{}, akamai.Options{})
	_, err := c.Get(t.Context(), cloudlet.Groups())
	var api *cloudlet.APIError
	if !errors.Is(err, akamai.ErrCredentials) || !errors.As(err, &api) || api.Attempts != 2 ||
		!strings.Contains(api.Hint(), "behind the server's") {
		t.Errorf("%v, %+v", err, api)
	}
}

func TestSimulatedDenial(t *testing.T) {
	t.Parallel()
	_, c := simulate(t, simulator.Options{Absent: map[string]int{"v3": 403}}, simulator.ListenOptions{}, akamai.Options{})
	_, err := c.Get(t.Context(), cloudlet.V3.Policies(false))
	var api *cloudlet.APIError
	if !errors.As(err, &api) || api.Status != 403 || !strings.Contains(api.Hint(), "Cloudlets Policy Manager") {
		t.Errorf("%v", err)
	}
}

// TestSimulatedTypedWrites: the SDK's create and clone reach an API that checks signatures, and are never repeated.
func TestSimulatedTypedWrites(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Policies: 20, Plain: true})
	s, c := simulate(t, simulator.Options{Account: account}, simulator.ListenOptions{}, akamai.Options{})
	var groups []struct{ GroupID int64 }
	doc, err := c.Get(t.Context(), cloudlet.Groups())
	if err != nil || json.Unmarshal(doc, &groups) != nil || len(groups) == 0 {
		t.Fatalf("%s, %v", doc, err)
	}
	typed := v3.Client(c.Session())
	var made v3.Policy
	create := func(ctx context.Context) error {
		policy, err := typed.CreatePolicy(ctx, v3.CreatePolicyRequest{
			CloudletType: v3.CloudletTypeER, GroupID: groups[0].GroupID, Name: "typed", Description: new("with <>&"),
		})
		if err == nil {
			made = *policy
		}
		return err
	}
	if err := akamai.Outcome(t.Context(), create); err != nil || made.Name != "typed" {
		t.Fatal(err)
	}
	var api *cloudlet.APIError
	if err := akamai.Outcome(t.Context(), create); !errors.As(err, &api) || api.Verdict != cloudlet.Conflict {
		t.Errorf("the same name again: %v", err)
	}
	s.SetFaults(simulator.Fault{Kind: simulator.FaultResetAfter, Methods: []string{"POST"}, Max: 1})
	clone := func(ctx context.Context) error {
		_, err := typed.ClonePolicy(ctx, v3.ClonePolicyRequest{
			PolicyID: made.ID, BodyParams: v3.ClonePolicyBodyParams{NewName: "typed_clone", GroupID: groups[0].GroupID},
		})
		return err
	}
	before := c.Stats().Requests
	if err := akamai.Outcome(t.Context(), clone); !errors.As(err, &api) || api.Verdict != cloudlet.Unknown || c.Stats().Requests != before+1 {
		t.Errorf("reset after the effect: %v", err)
	}
	if err := akamai.Outcome(t.Context(), clone); !errors.As(err, &api) || api.Verdict != cloudlet.Conflict {
		t.Errorf("the clone that was made unnoticed: %v", err)
	}
}
