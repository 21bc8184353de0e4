package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/edgegrid"
	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/durable"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/snapshot"
)

// The benchmarks run the built program, bin/cloudletmig, against a simulator in a process of its own, and print what
// they measured: medians of interleaved pairs, with the spread. They fail where a bound that the project promises is
// passed; ratios below 1.10 are reported only.
const (
	pairs        = 5
	benchWorkers = 16
)

// program is the program as built by make bench.
func program(tb testing.TB) string {
	tb.Helper()
	path, err := filepath.Abs("../../bin/cloudletmig")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		tb.Skip("make bench builds what is measured: ", err)
	}
	return path
}

// service is a simulator in a process of its own.
type service struct {
	dir, host string
	access    string // its access log
}

func serve(tb testing.TB, flags ...string) service {
	tb.Helper()
	s := service{dir: tb.TempDir()}
	s.access = filepath.Join(s.dir, "access.log")
	args := append([]string{"simulate", "--listen", "127.0.0.1:0", "--dir", s.dir, "--access-log", s.access}, flags...)
	cmd := exec.CommandContext(tb.Context(), program(tb), args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "serving https://"); ok {
			s.host, _, _ = strings.Cut(rest, " ")
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return s
		}
	}
	tb.Fatal("the simulator did not come up")
	return s
}

// requests are the paths of the GET requests that were answered since the log was last cleared.
func (s service) requests(tb testing.TB) []string {
	tb.Helper()
	text, err := os.ReadFile(s.access)
	if err != nil {
		tb.Fatal(err)
	}
	var paths []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == http.MethodGet {
			paths = append(paths, fields[1])
		}
	}
	return paths
}

func (s service) forget(tb testing.TB) {
	tb.Helper()
	if err := os.Truncate(s.access, 0); err != nil {
		tb.Fatal(err)
	}
}

// usage is what one run of the program took.
type usage struct {
	wall time.Duration
	cpu  time.Duration
	rss  int64 // largest resident set, in bytes
}

// export runs one export and fails where it fails.
func (s service) export(tb testing.TB, dir string, flags ...string) usage {
	tb.Helper()
	args := append([]string{
		"export", dir, "--edgerc", filepath.Join(s.dir, "edgerc"), "--ca-file", filepath.Join(s.dir, "ca.pem"),
		"--workers", strconv.Itoa(benchWorkers), "--progress", "never",
	}, flags...)
	cmd := exec.CommandContext(tb.Context(), program(tb), args...)
	begun := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("export: %v\n%s", err, out)
	}
	used := usage{wall: time.Since(begun), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		used.rss = r.Maxrss * 1024
	}
	return used
}

// bare GETs the paths with as many workers, every request signed, and nothing else; keep is given every body.
func (s service) bare(tb testing.TB, paths []string, keep func(n int, body io.Reader) error) time.Duration {
	tb.Helper()
	signer, client := s.bareClient(tb)
	defer client.CloseIdleConnections()
	begun := time.Now()
	queue := make(chan int)
	group, ctx := errgroup.WithContext(tb.Context())
	for range benchWorkers {
		group.Go(func() error {
			for n := range queue {
				if err := get(ctx, client, signer, "https://"+s.host+paths[n], func(r io.Reader) error { return keep(n, r) }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for n := range paths {
		select {
		case queue <- n:
		case <-ctx.Done():
		}
	}
	close(queue)
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
	return time.Since(begun)
}

// bareClient signs and sends, and does nothing else.
func (s service) bareClient(tb testing.TB) (*edgegrid.Config, *http.Client) {
	tb.Helper()
	signer, err := edgegrid.New(edgegrid.WithFile(filepath.Join(s.dir, "edgerc")))
	if err != nil {
		tb.Fatal(err)
	}
	pem, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: benchWorkers}
	return signer, &http.Client{Transport: transport}
}

func get(ctx context.Context, client *http.Client, signer *edgegrid.Config, url string, keep func(io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	signer.SignRequest(req)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", url, res.StatusCode)
	}
	return keep(res.Body)
}

func throwAway(_ int, body io.Reader) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

// store writes a body as a careful program would: a temporary file, fsync, rename.
func store(dir string) func(int, io.Reader) error {
	return func(n int, body io.Reader) error {
		final := filepath.Join(dir, strconv.Itoa(n)+".json")
		file, err := os.Create(final + ".tmp")
		if err != nil {
			return err
		}
		if _, err = io.Copy(file, body); err == nil {
			err = file.Sync()
		}
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
		return os.Rename(final+".tmp", final)
	}
}

// median of a list, which it sorts.
func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func describe(what string, list []float64) string {
	m := median(list)
	return fmt.Sprintf("%s: median %.3f, from %.3f to %.3f", what, m, list[0], list[len(list)-1])
}

// BenchmarkExport holds an export's wall time against the floor: the same requests by a bare client.
func BenchmarkExport(b *testing.B) {
	size := []string{"--policies", "200", "--versions", "10", "--rules", "200", "--plain"}
	for _, c := range []struct {
		name  string
		flags []string
		floor func(dir string) func(int, io.Reader) error
		bound float64
	}{
		{"20ms latency, floor reads", []string{"--latency", "20ms"}, func(string) func(int, io.Reader) error { return throwAway }, 1.10},
		{"no latency, floor reads and writes", nil, store, 1.25},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := serve(b, append(c.flags, size...)...)
			var ratios, walls, floors []float64
			for range pairs {
				s.forget(b)
				used := s.export(b, filepath.Join(b.TempDir(), "snapshot"))
				floor := s.bare(b, s.requests(b), c.floor(b.TempDir()))
				walls, floors = append(walls, used.wall.Seconds()), append(floors, floor.Seconds())
				ratios = append(ratios, used.wall.Seconds()/floor.Seconds())
			}
			b.Logf("export, %s: %s; %s; %s", c.name, describe("ratio", ratios), describe("export s", walls), describe("floor s", floors))
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(0, "ns/op")
			if m := median(ratios); m > c.bound {
				b.Errorf("the export takes %.3f times the floor, bound %.2f", m, c.bound)
			}
		})
	}
}

// BenchmarkMemory shows that an export's memory does not grow with the account: the largest resident set for 100, 1,000
// and 10,000 versions of 256 KiB.
func BenchmarkMemory(b *testing.B) {
	const limit = 150 << 20
	var sizes []float64
	for _, policies := range []int{10, 100, 1000} {
		s := serve(b, "--policies", strconv.Itoa(policies), "--versions", "10", "--rules", "256", "--rule-bytes", "1024", "--plain")
		dir := filepath.Join(b.TempDir(), "snapshot")
		used := s.export(b, dir)
		b.Logf("%d versions of 256 KiB: peak %.1f MiB, %.1f s, %.1f s of CPU", 10*policies, float64(used.rss)/(1<<20), used.wall.Seconds(), used.cpu.Seconds())
		b.ReportMetric(float64(used.rss)/(1<<20), fmt.Sprintf("MiB-at-%d", 10*policies))
		sizes = append(sizes, float64(used.rss))
		if used.rss > limit {
			b.Errorf("peak %d bytes, bound %d", used.rss, limit)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	if growth := slices.Max(sizes) / slices.Min(sizes); growth > 1.20 {
		b.Errorf("memory grows %.2f times from 100 to 10,000 versions, bound 1.20", growth)
	}
}

// BenchmarkJournal holds the CPU time of exports that keep a journal in SQLite against that of exports that keep none on
// disk, in this process, the simulator in another.
func BenchmarkJournal(b *testing.B) {
	s := serve(b, "--policies", "200", "--versions", "10", "--rules", "200", "--plain")
	creds, _, err := akamai.LoadCredentials(akamai.CredentialOptions{
		File: filepath.Join(s.dir, "edgerc"), FileGiven: true, Env: func(string) (string, bool) { return "", false },
	})
	if err != nil {
		b.Fatal(err)
	}
	client, err := akamai.New(creds, akamai.Options{Workers: benchWorkers, CAFile: filepath.Join(s.dir, "ca.pem"), Valid: cloudlet.ValidJSON})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var ratios, with, without []float64
	for range pairs {
		kept := cpuOf(b, func() { exportWith(b, client, openJournal(b)) })
		bare := cpuOf(b, func() { exportWith(b, client, &job.Memory{}) })
		with, without = append(with, kept), append(without, bare)
		ratios = append(ratios, kept/bare)
	}
	b.Logf("journal: %s; %s; %s", describe("CPU ratio", ratios), describe("with s", with), describe("without s", without))
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
	if m := median(ratios); m > 1.10 { // a ratio below 1.10 is within the noise: it is reported, not enforced
		b.Errorf("the journal makes an export cost %.3f times the CPU time; 1.05 is promised, 1.10 enforced", m)
	}
}

func cpuOf(b *testing.B, do func()) float64 {
	b.Helper()
	spent := func() float64 {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	}
	runtime.GC()
	before := spent()
	do()
	return spent() - before
}

func openJournal(b *testing.B) job.Journal {
	b.Helper()
	db, err := checkpoint.Open(b.Context(), filepath.Join(b.TempDir(), "checkpoint.db"), checkpoint.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	run, _, err := db.Begin(b.Context(), checkpoint.RunInfo{Kind: "export", Target: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	return run
}

func exportWith(b *testing.B, client *akamai.Client, journal job.Journal) {
	b.Helper()
	exportTo(b, client, journal, filepath.Join(b.TempDir(), "snapshot"), snapshot.Manifest{})
}

func exportTo(b *testing.B, client *akamai.Client, journal job.Journal, dir string, m snapshot.Manifest) {
	b.Helper()
	folder, err := durable.Create(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = folder.Close() }()
	e := export.Export{
		Source: client, Store: snapshot.NewWriter(folder, true), Pool: job.Pool{Workers: benchWorkers, Journal: journal},
		Options: export.Options{APIs: []cloudlet.API{cloudlet.V2, cloudlet.V3}, Versions: export.AllVersions, Format: export.Pretty},
		Log:     slog.New(slog.DiscardHandler), Now: time.Now,
	}
	if _, err := e.Run(b.Context(), m); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBase shows what a nightly backup of an unchanged account costs: no request for a version.
func BenchmarkBase(b *testing.B) {
	s := serve(b, "--policies", "200", "--versions", "10", "--rules", "200", "--latency", "20ms")
	base := filepath.Join(b.TempDir(), "base")
	full := s.export(b, base)
	s.forget(b)
	used := s.export(b, filepath.Join(b.TempDir(), "night"), "--base", base)
	all := s.requests(b)
	versions := 0
	for _, path := range all {
		if strings.Contains(path, "/versions/") {
			versions++
		}
	}
	b.Logf("--base on an unchanged account: %d version requests of %d requests, %.1f s against %.1f s in full",
		versions, len(all), used.wall.Seconds(), full.wall.Seconds())
	b.ReportMetric(float64(versions), "version-requests")
	b.ReportMetric(0, "ns/op")
	if versions > 0 {
		b.Errorf("%d versions were fetched again, first %v", versions, all[0])
	}
}
