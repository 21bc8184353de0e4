package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// figure is how often something is tried: at each change, and in the long run that SOAK=1 asks for.
type figure struct{ each, soak int }

func (f figure) n() int {
	if os.Getenv("SOAK") != "" {
		return f.soak
	}
	return f.each
}

// figures are the sizes of all tests of endurance.
var figures = struct {
	kills, killsInto, killsBase, killsUpgrade, faultsUpgrade, faultSeeds, diskSizes, diskFaults, changes, baseSequences, changeKills, changeSeeds figure
}{
	kills: figure{30, 300}, killsInto: figure{10, 100}, killsBase: figure{10, 100}, killsUpgrade: figure{18, 150}, faultsUpgrade: figure{2, 40}, faultSeeds: figure{20, 500},
	diskSizes: figure{5, 25}, diskFaults: figure{3, 40}, changes: figure{4, 60}, baseSequences: figure{3, 100},
	changeKills: figure{100, 2000}, changeSeeds: figure{20, 500},
}

// built is the built program and how many tests use it.
var built struct {
	mu    sync.Mutex
	users int
	dir   string
}

// useBuilt builds the program unless another test has, and removes it after the last test that uses it.
func useBuilt(t *testing.T) string {
	t.Helper()
	built.mu.Lock()
	defer built.mu.Unlock()
	if built.users == 0 {
		dir, err := os.MkdirTemp("", "cloudletmig-test-") //nolint:usetesting // it outlives the test that builds
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, ".").CombinedOutput(); err != nil {
			t.Fatalf("go build: %v: %s", err, out)
		}
	}
	built.users++
	t.Cleanup(func() {
		built.mu.Lock()
		defer built.mu.Unlock()
		if built.users--; built.users == 0 {
			if err := os.RemoveAll(built.dir); err != nil {
				t.Error(err)
			}
		}
	})
	return filepath.Join(built.dir, "cloudletmig")
}

// lab is a simulated account, and a folder in which the built program works on it.
type lab struct {
	t        *testing.T
	server   *simulator.Server
	listener *simulator.Listener
	dir      string
	program  string

	mu    sync.Mutex
	seen  []request
	watch func(n int) // called after each answered request with how many there were
}

// request is an answered request and when that was.
type request struct {
	simulator.Request
	answered time.Time
}

// newLab serves an account. Access of opt is the lab's.
func newLab(t *testing.T, opt simulator.Options, listen simulator.ListenOptions) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), program: useBuilt(t)}
	if opt.Credentials == (simulator.Credentials{}) {
		opt.Credentials = simulator.NewCredentials()
	}
	opt.Access = l.access
	l.server = simulator.New(opt)
	listen.Dir = filepath.Join(l.dir, "access")
	var err error
	if l.listener, err = simulator.Listen(context.WithoutCancel(t.Context()), l.server, listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.listener.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *lab) access(r simulator.Request) {
	l.mu.Lock()
	l.seen = append(l.seen, request{r, time.Now()})
	watch, n := l.watch, len(l.seen)
	l.mu.Unlock()
	if watch != nil {
		watch(n)
	}
}

// forget forgets the requests seen so far and sets what is called at the next ones.
func (l *lab) forget(watch func(n int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen, l.watch = nil, watch
}

func (l *lab) requests() []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

// versionRequests counts the requests for single versions by path, those without the whole answer too.
func (l *lab) versionRequests() map[string]int {
	counts := map[string]int{}
	for _, r := range l.requests() {
		if isVersion(r.Path) {
			counts[r.Path]++
		}
	}
	return counts
}

func isVersion(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return strings.Contains(path, "/versions/")
}

// path is a path in the lab's folder.
func (l *lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

// child is the program at work.
type child struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err bytes.Buffer
	ended    chan struct{}
}

// outcome is how the program ended.
type outcome struct {
	exit     int // -1 when a signal ended it
	out, err string
}

func (o outcome) String() string {
	return fmt.Sprintf("exit %d\nstdout:\n%s\nstderr:\n%s", o.exit, o.out, o.err)
}

// command is the program with the credentials of the lab, not started yet.
func (l *lab) command(args ...string) *child {
	return l.bare(slices.Concat(args, []string{"--edgerc", l.listener.Edgerc, "--ca-file", l.listener.CAFile})...)
}

// bare is the program with these arguments alone and next to no environment.
func (l *lab) bare(args ...string) *child {
	l.t.Helper()
	c := &child{t: l.t, cmd: exec.CommandContext(l.t.Context(), l.program, args...), ended: make(chan struct{})}
	c.cmd.Dir, c.cmd.Env = l.dir, []string{"HOME=" + l.dir, "TZ=UTC"}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = &c.out, &c.err, 5*time.Second
	return c
}

func (c *child) start() *child {
	c.t.Helper()
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // ProcessState says the same
	}()
	return c
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.t.Fatal(err)
	}
}

// wait waits for the end of the program, which must come within two minutes.
func (c *child) wait() outcome {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(2 * time.Minute):
		c.signal(syscall.SIGQUIT)
		<-c.ended
		c.t.Fatalf("%q does not end: %s", c.cmd.Args, c.err.String())
	}
	return outcome{c.cmd.ProcessState.ExitCode(), c.out.String(), c.err.String()}
}

// run runs the program to its end.
func (l *lab) run(args ...string) outcome {
	l.t.Helper()
	return l.command(args...).start().wait()
}

// must runs the program and wants it to end so.
func (l *lab) must(exit int, args ...string) outcome {
	l.t.Helper()
	o := l.run(args...)
	if o.exit != exit {
		l.t.Fatalf("cloudletmig %s: want exit %d: %s", strings.Join(args, " "), exit, o)
	}
	return o
}

// tree is what is in a folder: content by slash-separated path, "" for a folder, whose path ends in a slash.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			files[filepath.ToSlash(name)+"/"] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// snapshotTree is the tree of a finished snapshot; of its manifest without what differs from run to run.
func snapshotTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := tree(t, dir)
	var manifest map[string]json.RawMessage
	if err := json.Unmarshal([]byte(files["manifest.json"]), &manifest); err != nil {
		t.Fatalf("manifest of %s: %v", dir, err)
	}
	for _, member := range []string{"run", "started", "ended", "seal"} {
		if _, ok := manifest[member]; !ok {
			t.Fatalf("the manifest of %s has no %s", dir, member)
		}
		delete(manifest, member)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	files["manifest.json"] = string(text)
	return files
}

// sameTree wants two trees to be equal to the byte, and names what is not.
func sameTree(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	var wrong []string
	for _, path := range slices.Sorted(maps.Keys(want)) {
		text, ok := got[path]
		switch {
		case !ok:
			wrong = append(wrong, "missing: "+path)
		case text != want[path]:
			wrong = append(wrong, "different: "+path+": "+firstDifference(text, want[path]))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[path]; !ok {
			wrong = append(wrong, "extra: "+path)
		}
	}
	if len(wrong) > 0 {
		t.Fatalf("%s: %d differences:\n%s", what, len(wrong), strings.Join(wrong[:min(len(wrong), 12)], "\n"))
	}
}

func firstDifference(got, want string) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	from := max(at-60, 0)
	return fmt.Sprintf("at byte %d got …%.160q want …%.160q", at, got[from:], want[from:])
}

// noTemp wants no file of a write that was cut short below dir.
func noTemp(t *testing.T, dir string) {
	t.Helper()
	for path := range tree(t, dir) {
		if strings.Contains(path, ".tmp-") {
			t.Errorf("%s is left in %s", path, dir)
		}
	}
}
