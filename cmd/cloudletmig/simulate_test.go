package main

import (
	"context"
	"encoding/json"
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
// time; or with -policies of a generated account. With
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
	accountKey := flags.String("account-key", "", "")
	skew := flags.Duration("skew", 0, "")
	stall := flags.Int("stall-handshakes", 0, "")
	if err := flags.Parse(args); neg || err != nil || flags.NArg() > 0 {
		ts.Fatalf("simulate takes no such flags: %v", err)
	}
	opt.Clock = func() time.Time { return time.Now().Add(*skew) }
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
	case generate.Policies > 0:
		w.account = simulator.Generate(generate)
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

// sim changes the simulator, or its account as somebody else at the same account would:
//
//	stop, forget                               end it; forget the requests so far
//	credentials PREFIX                         put its credentials into the environment, as AKAMAI_HOST and so on
//	fault [FAULT...]                           these faults from now on, or none
//	before N PART CHANGE...                    make a change just before the n-th request with PART is answered
//	interrupt|kill JOURNAL                     signal the process that holds a journal, and answer nothing any more
//	activate ID VERSION NETWORK                deactivate ID NETWORK
//	version ID DESCRIPTION RULES               edit ID VERSION RULES
//	member ID VERSION KEY JSON                 policy-member ID KEY JSON
//	delete ID, undelete ID, remove ID, rename ID NAME, delete-version ID VERSION
//	policy v2|v3 ID TYPE GROUP NAME            group ID PARENT NAME
//	origin ID, origin-version ID JSON, activate-origin ID VERSION NETWORK
func sim(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if neg || len(args) == 0 || w.server == nil {
		ts.Fatalf("usage: sim CHANGE..., after simulate")
	}
	w.mu.Lock()
	wrong := w.wrong
	w.mu.Unlock()
	ts.Check(wrong)
	c := change{w: w, name: args[0], args: args[1:]}
	switch c.name {
	case "credentials":
		setCredentials(ts, w.creds, c.text(0))
		return
	case "interrupt", "kill":
		c.args = []string{ts.MkAbs(args[1])}
	case "before":
		if len(args) < 4 {
			ts.Fatalf("usage: sim before N PART CHANGE...")
		}
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		later := change{w: w, name: args[3], args: args[4:]}
		if later.name == "interrupt" || later.name == "kill" {
			later.args = []string{ts.MkAbs(args[4])}
		}
		w.server.Before(n, args[2], func() {
			err := later.make()
			w.mu.Lock()
			defer w.mu.Unlock()
			w.wrong = errors.Join(w.wrong, err)
		})
		return
	}
	ts.Check(c.make())
}

// setCredentials puts the simulator's credentials into the environment, under names with a prefix.
func setCredentials(ts *testscript.TestScript, creds simulator.Credentials, prefix string) {
	for name, value := range map[string]string{
		"HOST": ts.Getenv("HOST"), "CLIENT_TOKEN": creds.ClientToken, "CLIENT_SECRET": creds.ClientSecret,
		"ACCESS_TOKEN": creds.AccessToken,
	} {
		ts.Setenv(prefix+name, value)
	}
}

// change is one change with its arguments. Reading them keeps the first error.
type change struct {
	w    *world
	name string
	args []string
	err  error
}

func (c *change) text(i int) string {
	if i >= len(c.args) {
		c.err = errors.Join(c.err, fmt.Errorf("%s lacks argument %d", c.name, i+1))
		return ""
	}
	return c.args[i]
}

func (c *change) number(i int) int64 {
	n, err := strconv.ParseInt(c.text(i), 10, 64)
	c.err = errors.Join(c.err, err)
	return n
}

func (c *change) make() error {
	do := c.ofServer()
	if do == nil {
		do = c.ofAccount()
	}
	if do == nil {
		return fmt.Errorf("unknown change %q", c.name)
	}
	if c.err != nil {
		return c.err
	}
	return do()
}

func (c *change) ofServer() func() error {
	switch c.name {
	case "stop":
		return func() error {
			l := c.w.listener
			c.w.listener = nil
			return l.Close()
		}
	case "forget":
		return func() error {
			c.w.mu.Lock()
			defer c.w.mu.Unlock()
			c.w.log = nil
			return nil
		}
	case "fault":
		var all faults
		for _, text := range c.args {
			c.err = errors.Join(c.err, all.Set(text))
		}
		return func() error { c.w.server.SetFaults(all...); return nil }
	case "interrupt":
		journal := c.text(0)
		return func() error { return c.signal(journal, os.Interrupt) }
	case "kill":
		journal := c.text(0)
		return func() error { return c.signal(journal, os.Kill) }
	}
	return nil
}

// signal signals the process that holds a journal. From then on the simulator answers nothing, so that the process
// cannot come to its end before the signal comes to the process.
func (c *change) signal(journal string, sig os.Signal) error {
	text, err := os.ReadFile(journal + ".lock")
	if err != nil {
		return err
	}
	var holder checkpoint.LockedError
	if err := json.Unmarshal(text, &holder); err != nil {
		return fmt.Errorf("nobody holds %s: %w", journal, err)
	}
	process, err := os.FindProcess(holder.PID)
	if err != nil {
		return err
	}
	c.w.server.SetFaults(simulator.Fault{Kind: simulator.FaultStallHeader})
	return process.Signal(sig)
}

func (c *change) ofAccount() func() error {
	a := c.w.account
	one := func(do func(int64) error) func() error {
		id := c.number(0)
		return func() error { return do(id) }
	}
	switch c.name {
	case "delete":
		return one(a.DeletePolicy)
	case "undelete":
		return one(a.UndeletePolicy)
	case "remove":
		return one(a.RemovePolicy)
	case "rename":
		id, name := c.number(0), c.text(1)
		return func() error { return a.RenamePolicy(id, name) }
	case "deactivate":
		id, network := c.number(0), c.text(1)
		return func() error { return a.Deactivate(id, network) }
	case "policy-member":
		id, key, value := c.number(0), c.text(1), c.text(2)
		return func() error { return a.SetPolicyMember(id, key, value) }
	case "policy":
		n := simulator.NewPolicy{Shared: c.text(0) == "v3", ID: c.number(1), Type: c.text(2), Group: c.number(3), Name: c.text(4)}
		return func() error { _, err := a.AddPolicy(n); return err }
	case "group":
		id, parent, name := c.number(0), c.number(1), c.text(2)
		return func() error { a.AddGroup(id, parent, name); return nil }
	case "origin":
		id := c.text(0)
		return func() error { a.AddOrigin(id, ""); return nil }
	case "origin-version":
		id, text := c.text(0), c.text(1)
		return func() error { _, err := a.AddOriginVersion(id, text); return err }
	case "activate-origin":
		id, n, network := c.text(0), c.number(1), c.text(2)
		return func() error { return a.ActivateOrigin(id, n, network) }
	}
	return c.ofVersion()
}

func (c *change) ofVersion() func() error {
	a := c.w.account
	switch c.name {
	case "version":
		id, description, rules := c.number(0), c.text(1), c.text(2)
		return func() error { _, err := a.AddVersion(id, description, rules); return err }
	case "activate":
		id, n, network := c.number(0), c.number(1), c.text(2)
		return func() error { return a.Activate(id, n, network) }
	case "edit":
		id, n, rules := c.number(0), c.number(1), c.text(2)
		return func() error { return a.EditRules(id, n, rules) }
	case "member":
		id, n, key, value := c.number(0), c.number(1), c.text(2), c.text(3)
		return func() error { return a.SetVersionMember(id, n, key, value) }
	case "delete-version":
		id, n := c.number(0), c.number(1)
		return func() error { return a.DeleteVersion(id, n) }
	}
	return nil
}
