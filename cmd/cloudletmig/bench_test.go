package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/edgegrid"
	"golang.org/x/sync/errgroup"
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
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
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
