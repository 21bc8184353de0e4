package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/simulator"
)

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
//	capabilities ID TYPE [CAPABILITY...]       property NAME GROUP [POLICY...]
//	use ID PROPERTY GROUP STAGING PRODUCTION   a property uses a v2 policy, in these of its versions
//	customer-origin ID, origin ID, origin-version ID JSON, activate-origin ID VERSION NETWORK
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
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := c.w.listener.Deserted(ctx); err != nil { // what an interrupted run sent may come late
				return err
			}
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
	case "capabilities":
		id, kind := c.number(0), c.text(1)
		return func() error { return a.SetCapabilities(id, kind, c.args[2:]...) }
	case "property":
		name, group := c.text(0), c.number(1)
		var ids []int64
		for i := 2; i < len(c.args); i++ {
			ids = append(ids, c.number(i))
		}
		return func() error { return a.AddProperty(name, group, ids...) }
	case "customer-origin":
		id := c.text(0)
		return func() error { a.AddDefinedOrigin(id, id+".example.com"); return nil }
	case "use":
		id, name, group, staging, production := c.number(0), c.text(1), c.number(2), c.number(3), c.number(4)
		return func() error { return a.AddUse(id, name, group, staging, production) }
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
