package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/simulator"
)

type worldKey struct{}

// world is what one script has in the process of the tests: its simulators and the journals that it holds.
type world struct {
	simulators int
	account    *simulator.Account
	creds      simulator.Credentials
	host       string
	server     *simulator.Server
	listener   *simulator.Listener
	older      []*simulator.Listener // of simulators before
	held       []*checkpoint.DB

	mu    sync.Mutex
	log   []string
	wrong error // what went wrong in a change that was made while a request waited
}

func worldOf(ts *testscript.TestScript) *world {
	w, ok := ts.Value(worldKey{}).(*world)
	if !ok {
		ts.Fatalf("the script has no world")
	}
	return w
}

// ctx is for what a script starts and close ends: a script has no context of its own.
func (w *world) ctx() context.Context { return context.Background() }

// close ends everything that the script has started, and gives what went wrong beside the script.
func (w *world) close() error {
	err := w.release()
	for _, l := range append(w.older, w.listener) {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(err, w.wrong)
}

func (w *world) release() error {
	var err error
	for _, db := range w.held {
		err = errors.Join(err, db.Close())
	}
	w.held = nil
	return err
}

func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// leaked names a secret of the present simulator that text holds.
func (w *world) leaked(text string) string {
	for name, secret := range map[string]string{
		"client token": w.creds.ClientToken, "client secret": w.creds.ClientSecret, "access token": w.creds.AccessToken,
		"account switch key": w.creds.AccountKey,
	} {
		if secret != "" && strings.Contains(text, secret) {
			return name
		}
	}
	return ""
}

// numbers, statuses and faults are flags that take several values.
type numbers []int64

func (n *numbers) String() string { return fmt.Sprint(*n) }

func (n *numbers) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return err
		}
		*n = append(*n, v)
	}
	return nil
}

type statuses map[string]int

func (s statuses) String() string { return fmt.Sprint(map[string]int(s)) }

func (s statuses) Set(text string) error {
	part, status, given := strings.Cut(text, "=")
	if !given {
		status = "403"
	}
	var err error
	s[part], err = strconv.Atoi(status)
	return err
}

type faults []simulator.Fault

func (f *faults) String() string { return fmt.Sprint(*f) }

func (f *faults) Set(text string) error {
	fault, err := simulator.ParseFault(text)
	*f = append(*f, fault)
	return err
}

// simulate starts a simulator in this process: of samples/account, with -only of some of its policies, which takes less
// time; with -policies of a generated account; with -empty of one without groups, policies and origins; with -bare of one
// with a group 1 and nothing else. Activations take no
// time unless -activation-time and -balancing-time say so; those of the version in -fail-activation VERSION=REASON fail.
// With -strict v3 refuses members of rules that its schemas lack; -damage ID=KIND and -refuse-clone ID=STATUS say how clones
// go wrong. With
// -again it is the account, the credentials and the address of the simulator before, which ends. Its credentials become
// those of ~/.edgerc, and its authority is trusted.
func simulate(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	var generate simulator.GenerateOptions
	var only numbers
	opt := simulator.Options{Absent: map[string]int{}, Seed: 1, ActivationTime: -1, BalancingTime: -1}
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&generate.Policies, "policies", 0, "")
	flags.IntVar(&generate.Versions, "versions", 2, "")
	flags.IntVar(&generate.Rules, "rules", 2, "")
	flags.BoolVar(&generate.Plain, "plain", false, "")
	flags.BoolVar(&generate.Hostile, "hostile", false, "")
	flags.Var((*numbers)(&opt.DeniedGroups), "deny-group", "")
	flags.Var(&only, "only", "")
	flags.Var(statuses(opt.Absent), "absent", "")
	flags.Var((*faults)(&opt.Faults), "fault", "")
	again := flags.Bool("again", false, "")
	flags.DurationVar(&opt.ActivationTime, "activation-time", -1, "")
	flags.DurationVar(&opt.BalancingTime, "balancing-time", -1, "")
	flags.IntVar(&opt.RunningStatus, "running-status", 0, "")
	failing := flags.String("fail-activation", "", "") // VERSION=REASON
	flags.BoolVar(&opt.CloneRenumbers, "renumbers", false, "")
	damaged, refused := damages{}, damages{}
	flags.Var(damaged, "damage", "")
	flags.Var(refused, "refuse-clone", "")
	accountKey := flags.String("account-key", "", "")
	flags.BoolVar(&opt.StrictRules, "strict", false, "")
	empty := flags.Bool("empty", false, "")
	bare := flags.Bool("bare", false, "")
	skew := flags.Duration("skew", 0, "")
	stall := flags.Int("stall-handshakes", 0, "")
	if err := flags.Parse(args); neg || err != nil || flags.NArg() > 0 {
		ts.Fatalf("simulate takes no such flags: %v", err)
	}
	opt.CloneDamage = func(id int64) simulator.CloneDamage { return simulator.CloneDamage(damaged[id]) }
	opt.CloneRefused = func(id int64) int { n, _ := strconv.Atoi(refused[id]); return n }
	opt.Clock = func() time.Time { return time.Now().Add(*skew) }
	if version, reason, given := strings.Cut(*failing, "="); given {
		opt.FailActivation = func(a simulator.Activation) string {
			if strconv.FormatInt(a.Version, 10) != version {
				return ""
			}
			return reason
		}
	}
	opt.Access = func(r simulator.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.log = append(w.log, fmt.Sprintf("%s %s %d", r.Method, r.Path, r.Status))
	}
	listen := simulator.ListenOptions{StallHandshakes: *stall}
	switch {
	case *again:
		listen.Addr = w.host
		if w.listener != nil {
			ts.Check(w.listener.Close())
			w.listener = nil
		}
	case *bare:
		w.account = simulator.NewAccount()
		w.account.AddGroup(1, 0, "root")
	case generate.Policies > 0:
		w.account = simulator.Generate(generate)
	case *empty:
		w.account = simulator.NewAccount()
	default:
		account, err := simulator.Load(filepath.Join("..", "..", "samples", "account"))
		ts.Check(err)
		w.account = account
	}
	for _, p := range w.account.Policies() {
		if len(only) > 0 && !slices.Contains(only, p.ID) {
			ts.Check(w.account.RemovePolicy(p.ID))
		}
	}
	if !*again {
		w.simulators++
		w.creds = simulator.NewCredentials()
		w.creds.AccountKey = *accountKey
	}
	opt.Account, opt.Credentials = w.account, w.creds
	listen.Dir = ts.MkAbs(filepath.Join(ts.Getenv("WORK"), fmt.Sprintf("sim%d", w.simulators)))
	if w.listener != nil {
		w.older = append(w.older, w.listener)
	}
	w.mu.Lock()
	w.log = nil
	w.mu.Unlock()
	w.server = simulator.New(opt)
	var err error
	w.listener, err = simulator.Listen(w.ctx(), w.server, listen)
	ts.Check(err)
	w.host = w.listener.Host
	ts.Setenv("EDGERC", w.listener.Edgerc)
	ts.Setenv("CA", w.listener.CAFile)
	ts.Setenv("HOST", w.listener.Host)
	ts.Setenv("CLOUDLETMIG_CA_FILE", w.listener.CAFile)
	text, err := os.ReadFile(w.listener.Edgerc)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("HOME"), ".edgerc"), text, 0o600))
}

// damages is a flag ID=WHAT,ID=WHAT.
type damages map[int64]string

func (d damages) String() string { return "" }

func (d damages) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		id, what, _ := strings.Cut(part, "=")
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return err
		}
		d[n] = what
	}
	return nil
}
