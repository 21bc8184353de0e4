package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/edgegrid"
	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
	"cloudletmig/internal/snapshot"
)

// restoreBound is how much longer a restore may take than its requests alone.
const restoreBound = 1.15

// BenchmarkRestore holds a restore's wall time, with the verification of the snapshot, the plan and a journal entry before
// and after each request, against the floor: the same changes in the same order by a bare client with as many workers.
func BenchmarkRestore(b *testing.B) {
	dir, chains := benchSnapshot(b)
	var ratios, walls, floors, plans, changes []float64
	writes := 0
	for range pairs {
		s := emptyService(b)
		plan := s.restore(b, dir, "--dry-run") // all that comes before the first change
		used := s.restore(b, dir, "--checkpoint", filepath.Join(b.TempDir(), "journal.db"))
		var floor time.Duration
		floor, writes = emptyService(b).floor(b, chains)
		walls, floors = append(walls, used.wall.Seconds()), append(floors, floor.Seconds())
		ratios = append(ratios, used.wall.Seconds()/floor.Seconds())
		plans, changes = append(plans, plan.wall.Seconds()), append(changes, (used.wall-plan.wall).Seconds()/floor.Seconds())
	}
	b.Logf("restore of %d policies with 5 versions, %d changes, 20ms latency, %d workers: %s; %s; %s; %s; %s", len(chains), writes, benchWorkers,
		describe("ratio", ratios), describe("restore s", walls), describe("floor s", floors), describe("of it until the plan is made s", plans), describe("ratio of the rest", changes))
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
	if m := median(ratios); m > restoreBound {
		b.Errorf("the restore takes %.3f times the floor, bound %.2f", m, restoreBound)
	}
}

// chain is what makes one policy: its creation, and the bodies of what follows.
type chain struct {
	create   cloudlet.NewPolicy
	versions [][]byte
}

// benchSnapshot is a snapshot of 500 shared policies with 5 versions each, and the requests that make them.
func benchSnapshot(b *testing.B) (string, []chain) {
	b.Helper()
	account := simulator.Generate(simulator.GenerateOptions{Policies: 500, Versions: 5, Rules: 20, Shared: 1, Origins: -1, Plain: true})
	server := simulator.New(simulator.Options{Account: account, Credentials: simulator.NewCredentials()})
	listener, err := simulator.Listen(b.Context(), server, simulator.ListenOptions{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	c := listener.Credentials
	client, err := akamai.New(akamai.Credentials{
		Host: c.Host, ClientToken: akamai.NewSecret(c.ClientToken), ClientSecret: akamai.NewSecret(c.ClientSecret), AccessToken: akamai.NewSecret(c.AccessToken),
	}, akamai.Options{CAFile: listener.CAFile, Valid: cloudlet.ValidJSON})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	dir := filepath.Join(b.TempDir(), "snapshot")
	exportTo(b, client, &job.Memory{}, dir, snapshot.Manifest{Tool: "test", Run: "1", Host: c.Host, Started: time.Now()})
	var chains []chain
	for _, p := range account.Policies() {
		one := chain{create: cloudlet.NewPolicy{Name: p.Name, Description: "a policy like any other", Type: p.Type, Group: groupAfter}}
		for _, n := range p.Versions {
			text, err := account.VersionText(p.ID, n)
			if err != nil {
				b.Fatal(err)
			}
			var doc struct {
				Description string          `json:"description"`
				MatchRules  json.RawMessage `json:"matchRules"`
			}
			if err := json.Unmarshal(text, &doc); err != nil {
				b.Fatal(err)
			}
			body, err := cloudlet.Marshal(doc, "")
			if err != nil {
				b.Fatal(err)
			}
			one.versions = append(one.versions, body)
		}
		chains = append(chains, one)
	}
	return dir, chains
}

// emptyService is a simulator in a process of its own with one group and nothing in it.
func emptyService(b *testing.B) service {
	b.Helper()
	account := filepath.Join(b.TempDir(), "account.json")
	text := fmt.Sprintf(`{"account/groups.json":[{"groupId":%d,"groupName":"after","parentId":0,"capabilities":[],"properties":[]}]}`, groupAfter)
	if err := os.WriteFile(account, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return serve(b, "--account", account, "--latency", "20ms")
}

// restore runs one restore and fails where it fails.
func (s service) restore(b *testing.B, dir string, flags ...string) usage {
	b.Helper()
	args := append([]string{
		"restore", dir, "--group", strconv.Itoa(groupAfter), "--yes", "--edgerc", filepath.Join(s.dir, "edgerc"), "--ca-file", filepath.Join(s.dir, "ca.pem"),
		"--workers", strconv.Itoa(benchWorkers), "--progress", "never",
	}, flags...)
	cmd := exec.CommandContext(b.Context(), program(b), args...)
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("restore: %v\n%s", err, out)
	}
	return usage{wall: time.Since(begun)}
}

// floor makes the same changes: the policy, its description, its versions one after another; policies side by side.
func (s service) floor(b *testing.B, chains []chain) (took time.Duration, writes int) {
	b.Helper()
	signer, client := s.bareClient(b)
	defer client.CloseIdleConnections()
	queue := make(chan chain)
	begun := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	for range benchWorkers {
		group.Go(func() error {
			for c := range queue {
				if err := makeChain(ctx, client, signer, "https://"+s.host, c); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, c := range chains {
		writes += 2 + len(c.versions)
		select {
		case queue <- c:
		case <-ctx.Done():
		}
	}
	close(queue)
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun), writes
}

func makeChain(ctx context.Context, client *http.Client, signer *edgegrid.Config, host string, c chain) error {
	var made struct{ ID int64 }
	text, err := change(ctx, client, signer, host, cloudlet.V3.CreatePolicy(c.create))
	if err == nil {
		err = json.Unmarshal(text, &made)
	}
	if err == nil {
		_, err = change(ctx, client, signer, host, cloudlet.V3.DescribePolicy(made.ID, groupAfter, c.create.Description))
	}
	for _, body := range c.versions {
		if err == nil {
			_, err = change(ctx, client, signer, host, cloudlet.V3.CreateVersion(made.ID, body))
		}
	}
	return err
}

func change(ctx context.Context, client *http.Client, signer *edgegrid.Config, host string, c cloudlet.Change) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, c.Method, host+c.Path, bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	signer.SignRequest(req)
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode > 299 {
		err = fmt.Errorf("%s %s: status %d: %s", c.Method, c.Path, res.StatusCode, text)
	}
	return text, err
}
