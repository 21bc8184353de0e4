package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/simulator"
)

// restoring is a lab with a snapshot of the small account, to be restored onto nothing.
func restoring(t *testing.T, opt simulator.Options) (l *lab, args []string, want holding) {
	t.Helper()
	from := shopAccount(t)
	dir := snapshotOf(t, from)
	if opt.Account == nil {
		opt.Account = emptyAccount(t)
	}
	if opt.ActivationTime == 0 {
		opt.ActivationTime = 20 * time.Millisecond
	}
	opt.BalancingTime = 20 * time.Millisecond
	l = newLab(t, opt, simulator.ListenOptions{})
	args = hasty("restore", dir, "--group", "77", "--activate", "recorded", "--checkpoint", l.path("journal.db"))
	return l, args, holdingOf(t, from).moved()
}

// interruptedAt starts the program and signals it when so many requests were answered.
func (l *lab) interruptedAt(n int, sig os.Signal, args ...string) (*child, time.Time) {
	l.t.Helper()
	due := make(chan struct{})
	l.watchAt(len(l.requests())+n, func() { close(due) })
	c := l.command(args...).start()
	select {
	case <-due:
	case <-c.ended:
		l.t.Fatalf("it ended before it could be interrupted: %s", c.wait())
	}
	at := time.Now()
	c.signal(sig)
	return c, at
}

// states are those of the items of a journal's newest run.
func states(t *testing.T, journal string) map[string]job.State {
	t.Helper()
	db, err := checkpoint.Open(t.Context(), journal, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }() // it was only read
	runs, err := db.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]job.State{}
	for rec, err := range db.Items(t.Context(), runs[0].ID, false) {
		if err != nil {
			t.Fatal(err)
		}
		all[rec.Key] = rec.State
	}
	return all
}

// TestSignalRestore interrupts restores: nothing new starts, what is under way is waited for and recorded, and the printed
// command goes on; in all not one request more is sent than without the interruption.
func TestSignalRestore(t *testing.T) {
	t.Parallel()
	slow := []simulator.Fault{{Kind: simulator.FaultLatency, Delay: 40 * time.Millisecond}}
	calm, args, want := restoring(t, simulator.Options{})
	calm.must(0, args...)
	calm.holds("undisturbed", want)
	for n, sig := range map[int]os.Signal{8: os.Interrupt, 14: syscall.SIGTERM, 21: os.Interrupt, 28: os.Interrupt, 36: syscall.SIGTERM} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			l, args, want := restoring(t, simulator.Options{Faults: slow})
			c, at := l.interruptedAt(n, sig, args...)
			o := c.wait()
			if took := time.Since(at); o.exit != 130 || took > 3*time.Second {
				t.Fatalf("%s: after %s: %s", sig, took, o)
			}
			l.nothingNew(at)
			for _, r := range l.writes() {
				if r.Status < 200 || r.Status > 299 {
					t.Errorf("%s %s was not waited for: status %d", r.Method, r.Path, r.Status)
				}
			}
			for key, state := range states(t, l.path("journal.db")) {
				if state == "sent" || state == "settle" {
					t.Errorf("%s is left in state %s: its answer was not recorded", key, state)
				}
			}
			resume := regexp.MustCompile(`cloudletmig (resume [0-9a-f]{8} --checkpoint \S+)`).FindStringSubmatch(o.err)
			if resume == nil || !strings.Contains(o.err, "same command") {
				t.Fatalf("it is not said how to resume: %s", o)
			}
			if again := l.bare(strings.Fields(resume[1])...).start().wait(); again.exit != 0 {
				t.Fatal(again)
			}
			l.holds("resumed", want)
			if got, want := len(l.writes()), len(calm.writes()); got != want {
				t.Errorf("%d requests change something, want %d as without an interruption", got, want)
			}
		})
	}
}

// TestSignalRestoreTwice gives two signals while answers to changes hang: the second one is a kill.
func TestSignalRestoreTwice(t *testing.T) {
	t.Parallel()
	l, args, want := restoring(t, simulator.Options{
		Faults: []simulator.Fault{{Kind: simulator.FaultStallHeader, Methods: []string{"POST", "PUT"}, Skip: 6}},
	})
	patient := append(slices.Clone(args), "--timeout", "30s")
	stalled := make(chan struct{})
	l.server.Before(7, "POST ", func() { close(stalled) })
	c := l.command(patient...).start()
	select {
	case <-stalled:
	case <-c.ended:
		t.Fatal(c.wait())
	}
	c.signal(os.Interrupt)
	select {
	case <-c.ended:
		t.Fatalf("one signal ended it before there was an answer: %s", c.wait())
	case <-time.After(300 * time.Millisecond):
	}
	at := time.Now()
	c.signal(os.Interrupt)
	if o := c.wait(); time.Since(at) > 2*time.Second || o.exit != -1 && o.exit != 130 {
		t.Errorf("after %s: %s", time.Since(at), o)
	}
	l.server.SetFaults()
	l.must(0, args...)
	l.holds("after two signals", want)
}

// plannedWrites are the requests that a plan says will be sent, as "POST legacy/NAME version" and so on, with how many.
func plannedWrites(t *testing.T, o outcome) map[string]int {
	t.Helper()
	var doc struct {
		Plan importer.Plan `json:"plan"`
	}
	if err := json.Unmarshal([]byte(o.out), &doc); err != nil {
		t.Fatalf("%v: %s", err, o)
	}
	writes := map[string]int{}
	for _, p := range doc.Plan.Policies {
		key := p.Key()
		if p.Action == importer.Create {
			writes[key+" make"]++
			if !p.IsOrigin() {
				writes[key+" describe"]++
			}
		}
		if p.Action == importer.Create || p.Action == importer.Append {
			writes[key+" version"] += len(p.Add)
		}
		for range p.Activate {
			writes[key+" activate"]++
			if p.IsOrigin() { // the dry run, which v2 has for origins alone
				writes[key+" activate"]++
			}
		}
	}
	maps.DeleteFunc(writes, func(_ string, n int) bool { return n == 0 })
	return writes
}

// sentWrites are the requests that changed something, in the same words.
func (l *lab) sentWrites() map[string]int {
	l.t.Helper()
	names := map[string]string{}
	for _, p := range l.server.Account().Policies() {
		api := "legacy/"
		if p.Shared {
			api = "shared/"
		}
		names[fmt.Sprint(p.ID)] = api + p.Name
	}
	made := map[string]int{}
	writes := map[string]int{}
	for _, r := range l.writes() {
		path, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.Path, "/cloudlets/api/v2"), "/cloudlets/v3"), "?")
		parts := strings.Split(strings.Trim(path, "/"), "/")
		switch {
		case len(parts) == 1: // which one is in the body: each is there once, or the account would not hold it
			made[parts[0]]++
			continue
		case parts[0] == "policies":
			parts[1] = names[parts[1]]
		default:
			parts[1] = "origins/" + parts[1]
		}
		what := "version"
		switch {
		case len(parts) == 2:
			what = "describe"
		case parts[len(parts)-1] == "activations":
			what = "activate"
		}
		writes[parts[1]+" "+what]++
	}
	for parent, n := range made {
		writes["made "+parent] = n
	}
	return writes
}

// folded counts what is made without names.
func folded(writes map[string]int) map[string]int {
	out := map[string]int{}
	for key, n := range writes {
		if name, ok := strings.CutSuffix(key, " make"); ok {
			key = "made policies"
			if strings.HasPrefix(name, "origins/") {
				key = "made origins"
			}
		}
		out[key] += n
	}
	return out
}

// TestDryRun holds the plan of a dry run, which sends nothing, against what the same command then sends: onto nothing, onto
// what is there already, and onto what lacks something.
func TestDryRun(t *testing.T) {
	t.Parallel()
	chunks, _ := chunkFolder(t, 2)
	for name, args := range map[string][]string{
		"restore": {"restore", "", "--group", "77", "--activate", "recorded", "--on-existing", "append"},
		"import":  {"import", chunks, "--group", "77", "--activate", "staging"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := shopAccount(t)
			l := newLab(t, simulator.Options{Account: emptyAccount(t), ActivationTime: -1, BalancingTime: -1}, simulator.ListenOptions{})
			for step, change := range []func(){func() {}, func() {}, func() {
				for _, p := range l.server.Account().Policies() {
					if !p.Shared {
						continue
					}
					if _, err := l.server.Account().AddVersion(p.ID, "another's", redirects(9)); err != nil {
						t.Fatal(err)
					}
				}
				for _, p := range from.Policies()[:1] {
					if _, err := from.AddVersion(p.ID, "one more", redirects(8)); err != nil {
						t.Fatal(err)
					}
				}
			}} {
				change()
				args := slices.Clone(args)
				if name == "restore" {
					args[1] = snapshotOf(t, from)
				} else {
					args = append(args, "--out", l.path(fmt.Sprint("out-", step)))
				}
				args = append(hasty(args...), "--checkpoint", l.path(fmt.Sprint("journal-", step)))
				l.forget(nil)
				before := holdingOf(t, l.server.Account())
				plan := plannedWrites(t, l.must(0, append(args, "--dry-run", "--output", "json")...))
				if writes := l.writes(); len(writes) > 0 {
					t.Errorf("step %d: a dry run sent %d requests, the first %s %s", step, len(writes), writes[0].Method, writes[0].Path)
				}
				l.holds("after a dry run", before)
				l.forget(nil)
				l.must(0, args...)
				got, want := l.sentWrites(), folded(plan)
				if !maps.Equal(got, want) {
					t.Errorf("step %d: sent %v, planned %v", step, got, want)
				}
				if (len(got) == 0) != (step == 1) {
					t.Errorf("step %d: %d requests were sent", step, len(got))
				}
			}
		})
	}
}

// TestChangedInput goes on with killed runs of other input, another account and another host: exit 14 before the first
// request. What was begun is then finished.
func TestChangedInput(t *testing.T) {
	t.Parallel()
	from := shopAccount(t)
	sheet := func(l *lab, target string) {
		l.write(t, "sheet.csv", "source,target\n/a,/"+target+"\n/b,/c\n")
		if o := l.bare("convert", l.path("sheet.csv"), "--out", l.path("input"), "--name", "shop", "--force").start().wait(); o.exit != 0 {
			t.Fatal(o)
		}
	}
	for name, c := range map[string]struct {
		args    []string
		prepare func(l *lab)
		change  func(l *lab)
		want    func(l *lab) holding
	}{
		"restore": {
			args:    []string{"restore", "input", "--group", "77"},
			prepare: func(l *lab) { copyTree(t, snapshotOf(t, from), l.path("input")) },
			change:  func(l *lab) { copyTree(t, snapshotOf(t, shopAccount(t)), l.path("input")) },
			want: func(*lab) holding {
				return holdingOf(t, from).moved().changed(func(key string, p held) (string, held, bool) {
					p.live = nothingLive()
					return key, p, true
				})
			},
		},
		"import": {
			args:    []string{"import", "input", "--group", "77"},
			prepare: func(l *lab) { sheet(l, "one") },
			change:  func(l *lab) { sheet(l, "two") },
			want:    func(l *lab) holding { return chunksIn(t, l.path("input"), false) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, simulator.Options{Account: emptyAccount(t)}, simulator.ListenOptions{})
			other := newLab(t, simulator.Options{Account: emptyAccount(t)}, simulator.ListenOptions{})
			c.prepare(l)
			begun := make(chan struct{})
			l.server.Before(1, "POST ", func() { close(begun) })
			l.server.SetFaults(simulator.Fault{Kind: simulator.FaultStallHeader, Methods: []string{"POST"}})
			first := l.command(hasty(c.args...)...).start()
			select {
			case <-begun:
			case <-first.ended:
				t.Fatal(first.wait())
			}
			first.signal(syscall.SIGKILL)
			first.wait()
			if err := l.listener.Deserted(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.server.SetFaults()
			want := c.want(l)
			l.forget(nil)
			changed := func(what string, o outcome) {
				t.Helper()
				if o.exit != 14 {
					t.Errorf("%s: %s", what, o)
				}
				if n := len(l.requests()) + len(other.requests()); n > 0 {
					t.Errorf("%s: %d requests were sent", what, n)
				}
			}
			changed("another account", l.run(append(hasty(c.args...), "--account-key", "1-OTHER")...))
			elsewhere := append(hasty(c.args...), "--edgerc", other.listener.Edgerc, "--ca-file", other.listener.CAFile)
			changed("another host", l.bare(elsewhere...).start().wait())
			changed("other options", l.run(append(hasty(c.args...), "--on-existing", "skip")...))
			copyTree(t, l.path("input"), l.path("kept"))
			c.change(l)
			changed("other input", l.run(hasty(c.args...)...))
			copyTree(t, l.path("kept"), l.path("input"))
			l.must(0, hasty(c.args...)...)
			l.holds("finished", want)
		})
	}
}

// copyTree replaces a folder by a copy of another.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// a copy has the modes that the umask leaves; nobody looks at them
}

// TestKillAndLoseJournal deletes the journal of a killed run. The same command, told to add what is missing, comes to the
// same end, without twins, and takes away the marks of the run that is gone.
func TestKillAndLoseJournal(t *testing.T) {
	t.Parallel()
	chunks, imported := chunkFolder(t, 3)
	for _, n := range []int{6, 9, 12, 16, 20, 24, 30} {
		for _, command := range []string{"restore", "import"} {
			t.Run(fmt.Sprint(command, n), func(t *testing.T) {
				t.Parallel()
				l, args, want := restoring(t, simulator.Options{})
				args = append(args, "--on-existing", "append")
				if command == "import" {
					args, want = hasty("import", chunks, "--group", "77", "--activate", "staging,production", "--out", l.path("out"), "--checkpoint", l.path("journal.db")), imported
				}
				c, _ := l.interruptedAt(n, syscall.SIGKILL, args...)
				c.wait()
				l.watchAt(0, nil)
				if err := l.listener.Deserted(t.Context()); err != nil { // what it sent has come to its end
					t.Fatal(err)
				}
				files, err := filepath.Glob(l.path("journal.db*"))
				if err != nil || len(files) == 0 {
					t.Fatal("there is no journal", err)
				}
				for _, file := range files {
					if err := os.Remove(file); err != nil {
						t.Fatal(err)
					}
				}
				l.must(0, args...)
				l.holds("without the journal", want)
			})
		}
	}
}
