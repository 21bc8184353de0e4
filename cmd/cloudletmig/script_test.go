package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cloudletmig/internal/checkpoint"
)

// TestScript runs the scripts of testdata/script: the program as its users see it. Beside the commands that testscript
// has there are
//
//	exits CODE PROGRAM ARGS...        runs it, demands the exit code, and the rules for errors that checkEnd states
//	simulate [FLAGS]                  starts a simulator; sets EDGERC, CA and HOST, and makes them the defaults
//	sim CHANGE...                     changes the simulator or its account (sim_test.go)
//	requests N REGEXP                 demands so many requests since the last "sim forget"; + is at least one
//	json FILE PATH... [= V|~ RE|# N]  looks into a JSON document: there, equal, matching, or that long
//	jsonenv NAME FILE PATH...         sets a variable to a value of a JSON document
//	served DIR                        demands of a snapshot every version of the simulator's account, and no other
//	same DIR DIR                      demands the same files in two snapshots, byte for byte
//	values DIR DIR                    demands the same JSON values, spelt the same, in files that are not the same
//	subst FROM TO REGEXP TEXT         copies a file with what matches replaced, which must be there
//	flip FILE [OFFSET|TEXT]           flips one bit; before the end for an offset below 0
//	seal MANIFEST                     makes the seal of a snapshot's manifest fit what it says now
//	perm MODE FILE                    demands a file's permissions
//	await FILE                        waits until a program in the background has made a file
//	hold JOURNAL, release             locks a journal as another process would
//
// and those for sheets (sheet_commands_test.go). The condition [real] is for what needs the real redirect list.
func TestScript(t *testing.T) {
	t.Parallel()
	commands := map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"exits": exits, "simulate": simulate, "sim": sim, "requests": requests,
		"json": jsonCommand, "jsonenv": jsonenv, "served": served, "same": same, "values": values,
		"subst": subst, "flip": flip, "seal": seal, "perm": perm, "hold": hold, "release": release, "await": await,
	}
	maps.Copy(commands, sheetCommands())
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		ContinueOnError:     os.Getenv("SCRIPT_CONTINUE") != "",
		Condition:           condition,
		Setup:               setup,
		Cmds:                commands,
	})
}

// setup gives a script a home of its own, and nothing of the environment of whoever runs the tests. Its world ends with it.
func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("TZ", "UTC")
	samples, err := filepath.Abs(filepath.Join("..", "..", "samples", "redirects"))
	if err != nil {
		return err
	}
	env.Setenv("SAMPLES", samples)
	list, err := filepath.Abs(realRedirects)
	if err != nil {
		return err
	}
	env.Setenv("REAL", list)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector otherwise sleeps for a second at each exit
	w := new(world)
	env.Values[worldKey{}] = w
	tb, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("the script runs in no test")
	}
	env.Defer(func() {
		if err := w.close(); err != nil {
			tb.Errorf("end of the script: %v", err)
		}
	})
	return nil
}

// exits runs a program and demands its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
	if err := checkEnd(got, ts.ReadFile("stderr")); err != nil {
		ts.Fatalf("%v", err)
	}
	if secret := worldOf(ts).leaked(ts.ReadFile("stdout") + ts.ReadFile("stderr")); secret != "" {
		ts.Fatalf("the output shows the %s", secret)
	}
}

// checkEnd holds what a command says at its end against its exit code: what failed says so in exactly one line, and in
// at most one more what to do. Differences that were looked for (4) are no error.
func checkEnd(exit int, stderr string) error {
	if exit < 0 {
		return nil // it was killed
	}
	failures, hints := 0, 0
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "cloudletmig: error: ") {
			failures++
		}
		if strings.HasPrefix(line, "cloudletmig: hint: ") {
			hints++
		}
	}
	wanted := 1
	if exit == 0 || exit == 4 {
		wanted = 0
	}
	switch {
	case failures != wanted:
		return fmt.Errorf("%d lines of error with exit code %d", failures, exit)
	case hints > failures:
		return fmt.Errorf("%d hints for %d errors", hints, failures)
	case strings.Contains(stderr, "panic:") || strings.Contains(stderr, "goroutine "):
		return errors.New("it panicked")
	}
	return nil
}

// flip flips the lowest bit of one byte of a file: the middle one, the one at an offset, or the last one of a text
// wherever that is, for a database may hold it in places that count and in places that do not.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: flip FILE [OFFSET|TEXT]")
	}
	file := ts.MkAbs(args[0])
	text, err := os.ReadFile(file)
	ts.Check(err)
	places := []int{len(text) / 2}
	if len(args) == 2 {
		at, err := strconv.Atoi(args[1])
		if err != nil {
			places = find(text, []byte(args[1]))
		} else if places[0] = at; at < 0 {
			places[0] += len(text)
		}
	}
	if len(places) == 0 || places[0] >= len(text) {
		ts.Fatalf("%s has no such place", args[0])
	}
	for _, at := range places {
		text[at] ^= 1
	}
	ts.Check(os.WriteFile(file, text, 0o600))
}

// find gives the ends of all places where part is.
func find(text, part []byte) (ends []int) {
	for at := 0; ; {
		i := bytes.Index(text[at:], part)
		if i < 0 {
			return ends
		}
		at += i + len(part)
		ends = append(ends, at-1)
	}
}

// seal puts the hash of all that comes before it at the end of a manifest.
func seal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: seal MANIFEST")
	}
	const member, end = `"seal": "`, "\"\n}\n"
	text := ts.ReadFile(args[0])
	body := text[:max(strings.LastIndex(text, member), 0)]
	sum := sha256.Sum256([]byte(body))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(body+member+hex.EncodeToString(sum[:])+end), 0o600))
}

// subst copies a file with what matches a regular expression replaced by a text.
func subst(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: subst FROM TO REGEXP TEXT")
	}
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	text := ts.ReadFile(args[0])
	changed := pattern.ReplaceAllString(text, args[3])
	if changed == text {
		ts.Fatalf("%s has nothing that matches %s", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(changed), 0o600))
}

func perm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: perm MODE FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, not %s", args[1], got, args[0])
	}
}

// await waits for a file that appears whole.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	ctx, cancel := context.WithTimeout(worldOf(ts).ctx(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s does not appear", args[0])
		}
	}
}

// hold opens a journal in the process of the tests, which locks it against the program's.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold JOURNAL")
	}
	w := worldOf(ts)
	db, err := checkpoint.Open(w.ctx(), ts.MkAbs(args[0]), checkpoint.Options{Command: "cloudletmig elsewhere"})
	ts.Check(err)
	w.held = append(w.held, db)
}

func release(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(worldOf(ts).release())
}

// requests counts what the simulator answered: each is "METHOD PATH?QUERY STATUS".
func requests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: requests N|+ REGEXP")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	var found []string
	for _, line := range worldOf(ts).requests() {
		if pattern.MatchString(line) {
			found = append(found, line)
		}
	}
	if args[0] == "+" && len(found) > 0 || args[0] == strconv.Itoa(len(found)) {
		return
	}
	ts.Fatalf("%d requests, not %s:\n%s", len(found), args[0], strings.Join(found, "\n"))
}

// realRedirects is a redirect list of a large site, which is no part of the project.
const realRedirects = "../../../shared/data/redirects/mdn-en-us.tsv"

// condition knows [root]: whom no file mode refuses anything, and [real]: the real redirect list is there.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "real":
		_, err := os.Stat(realRedirects)
		return err == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}
