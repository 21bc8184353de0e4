package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// TestKillRestore kills restores at random points, with lost answers and late effects on top, gives the same command until
// it is done, and wants what an undisturbed restore leaves.
func TestKillRestore(t *testing.T) {
	t.Parallel()
	source := shopAccount(t)
	dir := snapshotOf(t, source)
	slaughter(t, figures.changeKills.n()/2, killed{
		args: []string{"restore", dir, "--group", "77", "--activate", "recorded"}, again: []string{"--checkpoint"},
		want: holdingOf(t, source).moved(),
	})
}

// TestKillImport does the same to imports of a converted sheet, which go to production only when all is live on staging.
func TestKillImport(t *testing.T) {
	t.Parallel()
	dir, want := chunkFolder(t, 3)
	slaughter(t, figures.changeKills.n()/2, killed{
		args: []string{"import", dir, "--group", "77", "--activate", "staging,production"}, again: []string{"--out", "--checkpoint"},
		want: want,
	})
}

// killed is a command that is killed.
type killed struct {
	args  []string
	again []string // flags that name a place of their own to a run that knows nothing of the one before
	want  holding
}

// sprees run at a time: they mostly wait.
const sprees = 8

// slaughter runs the command on fresh accounts, each until it is done, until that many kills were made.
func slaughter(t *testing.T, kills int, k killed) {
	t.Helper()
	var group sync.WaitGroup
	var made, n, lives atomic.Int64
	for range sprees {
		group.Go(func() {
			for made.Load() < int64(kills) && !t.Failed() {
				seed := n.Add(1)
				t.Run(fmt.Sprint(seed), func(t *testing.T) {
					s := newSpree(t, k, uint64(seed))
					s.toTheEnd()
					made.Add(int64(s.kills))
					lives.Add(int64(s.kills) + 1)
				})
			}
		})
	}
	group.Wait()
	if made.Load() < int64(kills) {
		t.Fatalf("only %d kills", made.Load())
	}
	t.Logf("%d kills of %d restores or imports", made.Load(), n.Load())
}

// spree is one command on one account, killed until it is done.
type spree struct {
	*lab
	killed
	random *rand.Rand
	kills  int
	asked  int // requests of a run that nobody disturbs, about
}

// lostAnswers are the faults of all kill tests: an answer that does not come, and an effect that comes later than that,
// but within the settle window.
func lostAnswers() []simulator.Fault {
	changes := []string{"POST", "PUT"}
	return []simulator.Fault{
		{Kind: simulator.FaultLatency, Delay: time.Millisecond, Jitter: 6 * time.Millisecond},
		{Kind: simulator.FaultLateEffect, Probability: .08, Methods: changes, Delay: 300 * time.Millisecond},
		{Kind: simulator.FaultResetAfter, Probability: .08, Methods: changes},
		{Kind: simulator.FaultCutBody, Probability: .08, Methods: changes},
	}
}

func newSpree(t *testing.T, k killed, seed uint64) *spree {
	t.Helper()
	l := newLab(t, simulator.Options{
		Account: emptyAccount(t), Seed: seed, Faults: lostAnswers(),
		ActivationTime: 30 * time.Millisecond, BalancingTime: 30 * time.Millisecond,
	}, simulator.ListenOptions{})
	return &spree{lab: l, killed: k, random: rand.New(rand.NewPCG(seed, 5)), asked: 55}
}

// toTheEnd gives the command until it is done, and looks at what it leaves.
func (s *spree) toTheEnd() {
	s.t.Helper()
	journal := s.path("journal.db")
	args := append(hasty(s.args...), "--checkpoint", journal)
	if s.args[0] == "import" {
		args = append(args, "--out", s.path("imported"))
	}
	for s.attempt(args) {
		readJournal(s.t, journal) // it is sound
	}
	s.holds(fmt.Sprintf("after %d kills", s.kills), s.want)
	doubtful := 0
	writes := s.writes()
	for _, r := range writes {
		if r.Fault != simulator.FaultNone && r.Fault != simulator.FaultLatency {
			doubtful++
		}
	}
	// What is needed for one version, policy and activation each, and what a kill or a lost answer may make once more.
	if bound := 30 + doubtful + 4*s.kills; len(writes) > bound {
		s.t.Fatalf("%d requests that change something, %d kills, %d lost answers: want at most %d", len(writes), s.kills, doubtful, bound)
	}
	// Somebody else gives the command, with nothing but the account.
	s.server.SetFaults()
	s.forget(nil)
	args = hasty(s.args...)
	for _, flag := range s.again {
		args = append(args, flag, s.path("elsewhere"+flag))
	}
	s.must(0, args...)
	if writes := s.writes(); len(writes) > 0 {
		s.t.Fatalf("the same command again, without the journal, sent %d requests, the first %s %s", len(writes), writes[0].Method, writes[0].Path)
	}
	s.holds("after the same command again", s.want)
}

// attempt runs the command and kills it at a random point, unless it ends before.
func (s *spree) attempt(args []string) (wasKilled bool) {
	s.t.Helper()
	due, dead := make(chan struct{}), make(chan struct{})
	var once sync.Once
	strike := func() { // called within a request, which goes on when the program is dead
		once.Do(func() { close(due) })
		<-dead
	}
	seen, wait := len(s.requests()), time.Duration(0)
	switch n := 1 + s.random.IntN(s.asked); s.random.IntN(8) {
	case 0: // at any time
		wait = time.Duration(s.random.Int64N(int64(1500 * time.Millisecond)))
		once.Do(func() { close(due) })
	case 1, 2: // an answer came, and what follows has begun
		wait = time.Duration(s.random.Int64N(int64(8 * time.Millisecond)))
		s.watchAt(seen+n, func() { once.Do(func() { close(due) }) })
	case 3, 4: // the effect comes after the death
		s.server.Before(1+n/3, "POST ", strike)
	case 5:
		s.server.Before(1+n/12, "PUT ", strike)
	default: // the effect has come, and no answer
		s.watchAt(seen+n, strike)
	}
	c := s.command(args...).start()
	select {
	case <-due:
		select {
		case <-time.After(wait):
		case <-c.ended:
		}
	case <-c.ended:
	}
	c.signal(syscall.SIGKILL)
	o := c.wait()
	close(dead)
	s.watchAt(0, nil)
	once.Do(func() { close(due) }) // a hook that is left does nothing
	if o.exit == 0 {
		return false
	}
	if o.exit != -1 {
		s.t.Fatalf("after %d kills it ended by itself: %s", s.kills, o)
	}
	s.kills++
	return true
}

// watchAt calls f once when n requests were answered in all. What was seen stays.
func (l *lab) watchAt(n int, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch = func(now int) {
		if now == n && f != nil {
			f()
		}
	}
}

// chunkFolder converts a sheet into chunks, and says what an import of it with --activate staging,production leaves.
func chunkFolder(t *testing.T, chunks int) (dir string, want holding) {
	t.Helper()
	l := newLab(t, simulator.Options{}, simulator.ListenOptions{})
	var sheet strings.Builder
	sheet.WriteString("source,target\n")
	for n := range 10 * chunks {
		fmt.Fprintf(&sheet, "/old/%d,/new/%d?a=<b>&c=%%F0%%9F%%98%%80\n", n, n)
	}
	if err := os.WriteFile(l.path("sheet.csv"), []byte(sheet.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	dir = l.path("chunks")
	if o := l.bare("convert", l.path("sheet.csv"), "--out", dir, "--name", "shop", "--split", "sequence", "--max-rules", "10", "--fill", "1").start().wait(); o.exit != 0 {
		t.Fatal(o)
	}
	return dir, chunksIn(t, dir, true)
}

// chunksIn is what an import of a folder with chunks leaves in an empty account.
func chunksIn(t *testing.T, dir string, active bool) holding {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_0*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no chunks in ", dir, err)
	}
	want := holding{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h := held{
			kind: "ER", group: groupAfter, description: "redirects [cloudletmig shop]", versions: []heldVersion{versionIn(t, text)},
			numbers: []int64{1}, live: nothingLive(),
		}
		if active {
			h.live = map[network]int{staging: 1, production: 1}
		}
		want["v3/"+strings.TrimSuffix(filepath.Base(file), ".json")] = h
	}
	return want
}

// tinyRestore is a restore of two policies with three versions and an activation each, for kills at every place.
func tinyRestore(t *testing.T) killed {
	t.Helper()
	source := simulator.NewAccount()
	source.AddGroup(groupBefore, 0, "before", "www.example.com")
	id, ok := must1[int64](t), func(err error) { t.Helper(); must1[int](t)(0, err) }
	legacy := id(source.AddPolicy(simulator.NewPolicy{Type: "ER", Group: groupBefore, Name: "legacy", Description: "d"}))
	ok(source.EditRules(legacy, 1, redirects(1)))
	id(source.AddVersion(legacy, "", redirects(2)))
	ok(source.AddProperty("www.example.com", groupBefore, legacy))
	ok(source.Activate(legacy, 1, "production"))
	shared := id(source.AddPolicy(simulator.NewPolicy{Shared: true, Type: "ER", Group: groupBefore, Name: "shared"}))
	id(source.AddVersion(shared, "v", redirects(3)))
	ok(source.Activate(shared, 1, "staging"))
	return killed{
		args: []string{"restore", snapshotOf(t, source), "--group", "77", "--activate", "recorded"}, again: []string{"--checkpoint"},
		want: holdingOf(t, source).moved(),
	}
}

// TestKillAtEveryRequest kills a small restore at each of its requests: when the effect has come and no answer, and for
// what changes something also when the effect comes just after the death, when it comes while the next run is at work, or
// never.
func TestKillAtEveryRequest(t *testing.T) {
	t.Parallel()
	k := tinyRestore(t)
	fresh := func(t *testing.T) *spree {
		t.Helper()
		s := newSpree(t, k, 1)
		s.server.SetFaults()
		return s
	}
	calm := fresh(t)
	calm.must(0, hasty(append(k.args, "--workers", "1")...)...)
	asked := calm.requests()
	changes := 0
	type death struct {
		name string
		set  func(s *spree, strike func())
	}
	var deaths []death
	for n, r := range asked {
		deaths = append(deaths, death{fmt.Sprintf("answered-%d", n+1), func(s *spree, strike func()) { s.watchAt(n+1, strike) }})
		if r.Method == http.MethodGet {
			continue
		}
		deaths = append(deaths, death{fmt.Sprintf("before-%d", n+1), func(s *spree, strike func()) { s.server.Before(n+1, " /", strike) }})
		deaths = append(deaths, death{fmt.Sprintf("never-%d", n+1), func(s *spree, strike func()) {
			s.server.Before(n+1, " /", strike)
			s.server.SetFaults(simulator.Fault{Kind: simulator.FaultResetBefore, Skip: n, Max: 1})
		}})
		deaths = append(deaths, death{fmt.Sprintf("late-%d", n+1), func(s *spree, strike func()) {
			s.watchAt(n+1, strike)
			s.server.SetFaults(simulator.Fault{Kind: simulator.FaultLateEffect, Skip: n, Max: 1, Delay: 400 * time.Millisecond})
		}})
		changes++
	}
	if changes < 8 {
		t.Fatalf("only %d requests change something", changes)
	}
	var group sync.WaitGroup
	var kills atomic.Int64
	queue := make(chan death)
	for range sprees {
		group.Go(func() {
			for d := range queue {
				t.Run(d.name, func(t *testing.T) {
					s := fresh(t)
					due, dead := make(chan struct{}), make(chan struct{})
					var once sync.Once
					d.set(s, func() { once.Do(func() { close(due) }); <-dead })
					args := append(hasty(s.args...), "--checkpoint", s.path("journal.db"), "--workers", "1")
					c := s.command(args...).start()
					select {
					case <-due:
					case <-c.ended: // it waited for the end of an activation less often than the run before
					}
					c.signal(syscall.SIGKILL)
					if c.wait().exit == -1 {
						kills.Add(1)
					}
					close(dead)
					s.watchAt(0, nil)
					s.must(0, args...)
					s.holds("after the kill", s.want)
				})
			}
		})
	}
	for _, d := range deaths {
		queue <- d
	}
	close(queue)
	group.Wait()
	if int(kills.Load()) < len(deaths)*9/10 {
		t.Errorf("only %d of %d kills met a run", kills.Load(), len(deaths))
	}
	t.Logf("%d requests, %d of them change something: %d kills", len(asked), changes, kills.Load())
}

// TestKillAtEveryCommit kills the same restore as soon as the journal's log has grown for the n-th time, for every n.
func TestKillAtEveryCommit(t *testing.T) {
	t.Parallel()
	k := tinyRestore(t)
	var group sync.WaitGroup
	var kills atomic.Int64
	var last atomic.Bool // a run had no more commits than that
	numbers := make(chan int)
	for range sprees {
		group.Go(func() {
			for n := range numbers {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					s := newSpree(t, k, 1)
					s.server.SetFaults()
					args := append(hasty(s.args...), "--checkpoint", s.path("journal.db"), "--workers", "1")
					c := s.command(args...).start()
					grows(c.ended, s.path("journal.db-wal"), n)
					c.signal(syscall.SIGKILL)
					if o := c.wait(); o.exit == -1 {
						kills.Add(1)
					} else {
						last.Store(true)
					}
					s.must(0, args...)
					s.holds("after the kill", s.want)
				})
			}
		})
	}
	for n := 1; n < 100 && !last.Load(); n++ {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	if kills.Load() < 8 { // on a busy machine several commits are seen as one
		t.Errorf("only %d kills", kills.Load())
	}
	t.Logf("%d kills", kills.Load())
}

// grows waits until a file has grown n times, or the program has ended.
func grows(ended <-chan struct{}, file string, n int) {
	for size := int64(0); n > 0; {
		if info, err := os.Stat(file); err == nil && info.Size() != size {
			size = info.Size()
			n--
			continue
		}
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Microsecond):
		}
	}
}
