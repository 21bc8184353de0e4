package main_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// canaries are credentials that can be told from anything else. The characters of the account key change in a query.
func canaries() simulator.Credentials {
	return simulator.Credentials{
		ClientToken: "akab-canary-clienttoken", ClientSecret: "canarysecret+/=", AccessToken: "akab-canary-accesstoken",
		AccountKey: "F-CANARY-KEY:1-2RBL",
	}
}

// secrets are the words that must not be found anywhere, in every form that they take on their way.
func secrets() []string {
	c := canaries()
	words := []string{"EG1-HMAC", "signature="}
	for _, word := range []string{c.ClientToken, c.ClientSecret, c.AccessToken, c.AccountKey} {
		quoted, _ := json.Marshal(word)
		words = append(words, word, url.QueryEscape(word), url.PathEscape(word), strings.Trim(string(quoted), `"`))
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// noSecret wants no secret in a text.
func noSecret(t *testing.T, what, text string) {
	t.Helper()
	for _, word := range secrets() {
		if at := strings.Index(text, word); at >= 0 {
			t.Errorf("%s holds %q: …%q…", what, word, text[max(0, at-80):min(len(text), at+len(word)+40)])
		}
	}
}

// noSecretBelow wants none in all that was printed and in every byte of the lab's folder but the credentials themselves.
func (l *lab) noSecretBelow(t *testing.T, what string, outcomes ...outcome) {
	t.Helper()
	for _, o := range outcomes {
		noSecret(t, what+": stdout", o.out)
		noSecret(t, what+": stderr", o.err)
	}
	for path, text := range tree(t, l.dir) {
		if !strings.HasPrefix(path, "access/") {
			noSecret(t, what+": "+path, path+"\n"+text)
		}
	}
}

// TestSecrets runs commands of all kinds at the highest verbosity, well and badly, and reads every byte that they leave.
func TestSecrets(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: smallAccount(), Credentials: canaries()}, simulator.ListenOptions{})
	flags := func(n int) []string {
		return []string{
			"--log-level", "debug", "--progress", "always", "--log-format", []string{"text", "json"}[n%2], "--output", []string{"text", "json"}[n/2%2],
		}
	}
	check := func(what string, n, exit int, args ...string) {
		t.Helper()
		o := l.run(append(args, flags(n)...)...)
		if o.exit != exit {
			t.Errorf("%s: want exit %d: %s", what, exit, o)
		}
		if len(o.err) < 20 && what != "log file" {
			t.Errorf("%s: nothing was logged: %s", what, o)
		}
		l.noSecretBelow(t, what, o)
	}
	for n := range 4 {
		dir := l.path(fmt.Sprint("snapshot-", n))
		check("export", n, 0, "export", dir)
		check("verify", n, 0, "verify", dir, "--live")
		check("list", n, 0, "list", "policies")
		check("list groups", n, 0, "list", "groups")
		check("log file", n, 0, "export", dir+"-logged", "--log-file", l.path(fmt.Sprint("log-", n)), "--base", dir)
		if n == 1 || n == 2 { // text with JSON and JSON with text add nothing here
			continue
		}
		for name, f := range map[string]simulator.Fault{
			"401": {Kind: simulator.FaultRefused}, "html": {Kind: simulator.FaultHTML}, "html-403": {Kind: simulator.FaultHTML, Status: 403},
			"reset": {Kind: simulator.FaultResetBefore, Path: "/versions/2"}, "cut": {Kind: simulator.FaultCutJSON, Path: "/versions/2"},
			"stall": {Kind: simulator.FaultStallBody, Path: "/versions/2"}, "5xx": {Kind: simulator.FaultServerError, Path: "/versions/2"},
			"redirect": {Kind: simulator.FaultRedirect, Path: "/versions/2", Location: "https://localhost:1"},
		} {
			l.server.SetFaults(f)
			exit, all := map[string]int{"401": 5, "html": 1, "html-403": 5}[name]
			if !all {
				exit = 3
			}
			check(name, n, exit, "export", dir+"-"+name, "--retries", "2", "--timeout", "500ms", "--workers", "16")
		}
		l.server.SetFaults()
	}
}

// TestSecretsOfKilledRun reads what a killed run leaves, with the account key given as a flag in all its spellings.
func TestSecretsOfKilledRun(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: smallAccount(), Credentials: canaries()}, simulator.ListenOptions{})
	key := canaries().AccountKey
	for n, spelling := range [][]string{{"--account-key", key}, {"--account-key=" + key}, {"--accountkey", key}, {"--accountkey=" + key}} {
		l.server.SetFaults(simulator.Fault{Kind: simulator.FaultLatency, Delay: 20 * time.Millisecond})
		dir := l.path(fmt.Sprint("killed-", n))
		edgerc := l.withoutKey(t)
		due := make(chan struct{})
		l.after(25, func() { close(due) })
		access := []string{"--edgerc", edgerc, "--ca-file", l.listener.CAFile, "--log-level", "debug", "--log-file", l.path("log")}
		args := slices.Concat([]string{"export"}, spelling, []string{dir}, access)
		c := l.bare(args...).start()
		select {
		case <-due:
		case <-c.ended:
			t.Fatal(c.wait())
		}
		locked := l.bare(slices.Concat([]string{"runs", "--checkpoint", dir + ".checkpoint.db"}, spelling)...).start().wait()
		c.signal(syscall.SIGKILL)
		l.noSecretBelow(t, "a killed run", c.wait(), locked)
		l.server.SetFaults()
		shown := l.must(0, "runs", "--checkpoint", dir+".checkpoint.db", "--output", "json")
		resumed := l.bare(slices.Concat([]string{"resume", "--checkpoint", dir + ".checkpoint.db"}, spelling)...).start().wait()
		if resumed.exit != 0 {
			t.Errorf("resume: %s", resumed)
		}
		l.noSecretBelow(t, "a resumed run", shown, resumed)
	}
	for _, bad := range [][]string{
		{"export", "--account-key", key},
		{"export", "x", "y", "--account-key=" + key},
		{"export", "x", "--account-key", key, "--nonsense"},
		{"export", "x", "--account-key", key, "--workers", "many"},
		{"exprt", "--account-key", key},
		{"runs", "--account-key", key},
		{"resume", "--accountkey", key, "--checkpoint", "none.db"},
		{"list", "nothing", "--account-key", key},
	} {
		o := l.bare(bad...).start().wait()
		if o.exit == 0 {
			t.Errorf("%q: %s", bad, o)
		}
		l.noSecretBelow(t, strings.Join(bad[:1], " "), o)
	}
}

// withoutKey is a credentials file that names no account.
func (l *lab) withoutKey(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(l.listener.Edgerc)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasPrefix(line, "account_key") })
	return l.write(t, "access/plain", strings.Join(lines, "\n"))
}

func (l *lab) write(t *testing.T, name, text string) string {
	t.Helper()
	path := l.path(name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSecretsOfBadInput has everything wrong with the credentials and the way to the host that can be.
func TestSecretsOfBadInput(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Account: smallAccount(), Credentials: canaries()}, simulator.ListenOptions{})
	c := canaries()
	file := func(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
	host, client := "host = "+l.listener.Host, "client_token = "+c.ClientToken
	secret, access, key := "client_secret = "+c.ClientSecret, "access_token = "+c.AccessToken, "account_key = "+c.AccountKey
	for n, text := range []string{
		file("[default]", host, client, "client_secret "+c.ClientSecret, access), file(c.ClientSecret), file("["+c.ClientSecret, secret),
		file("[default]", host, client, secret), file("[other]", host, client, secret, access), file("[default]", "host = https://x/", client, secret, access),
		file("[default]", host, client, secret+" "+c.ClientSecret, access), file("[default]", host, client, `client_secret = "`+c.ClientSecret, access),
		file("[default]", "host = 127.0.0.1:1", client, secret, access, key), file("[default]", host, client, "client_secret = x"+c.ClientSecret, access, key),
		file("[default]", host, "client_token = x"+c.ClientToken, secret, access, key), file("[default]", host, client, secret, access, "account_key = x"+c.AccountKey),
		file("[default]", host, client, secret, access, key, "headers_to_sign = "+c.AccessToken),
	} {
		edgerc := l.write(t, fmt.Sprint("access/bad-", n), text)
		o := l.bare("export", l.path(fmt.Sprint("never-", n)), "--edgerc", edgerc, "--ca-file", l.listener.CAFile, "--log-level", "debug", "--retries", "2").start().wait()
		if o.exit == 0 && !strings.Contains(text, "headers_to_sign") {
			t.Errorf("%s: %s", text, o)
		}
		l.noSecretBelow(t, fmt.Sprintf("bad credentials %d", n), o)
	}
	untrusted := l.bare("export", l.path("never"), "--edgerc", l.listener.Edgerc, "--log-level", "debug").start().wait()
	if untrusted.exit != 1 || !strings.Contains(untrusted.err, "--ca-file") {
		t.Errorf("an untrusted certificate: %s", untrusted)
	}
	c1 := l.bare("list", "policies", "--ca-file", l.listener.CAFile, "--log-level", "debug")
	c1.cmd.Env = append(c1.cmd.Env, "AKAMAI_HOST="+l.listener.Host, "AKAMAI_CLIENT_TOKEN="+c.ClientToken, "AKAMAI_CLIENT_SECRET="+c.ClientSecret,
		"AKAMAI_ACCESS_TOKEN="+c.AccessToken, "AKAMAI_EDGERC_ACCOUNT_KEY="+c.AccountKey)
	environment := c1.start().wait()
	if environment.exit != 0 {
		t.Errorf("credentials of the environment: %s", environment)
	}
	l.noSecretBelow(t, "no way to the host", untrusted, environment)
}

// TestSecretsEchoed meets a server that sends back all that it was sent, in errors of every kind.
func TestSecretsEchoed(t *testing.T) {
	t.Parallel()
	l := newLab(t, simulator.Options{Credentials: canaries()}, simulator.ListenOptions{})
	var status atomic.Int32
	echo := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := r.Header.Get("Authorization") + " " + r.URL.RawQuery + " " + r.URL.Query().Get("accountSwitchKey")
		text, _ := json.Marshal(map[string]any{
			"type": said, "title": said, "detail": said, "instance": r.RequestURI, "errorMessage": said, "errors": []any{map[string]any{"detail": said}},
		})
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Location", "https://"+url.PathEscape(said)+"/"+r.RequestURI)
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write(text)
	}))
	t.Cleanup(echo.Close)
	c := canaries()
	edgerc := l.write(t, "access/echo", fmt.Sprintf("[default]\nhost = %s\nclient_token = %s\nclient_secret = %s\naccess_token = %s\naccount_key = %s\n",
		strings.TrimPrefix(echo.URL, "https://"), c.ClientToken, c.ClientSecret, c.AccessToken, c.AccountKey))
	ca := l.write(t, "access/echo.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: echo.Certificate().Raw})))
	for _, code := range []int32{302, 400, 401, 403, 404, 409, 503} {
		status.Store(code)
		for _, format := range []string{"text", "json"} {
			for _, args := range [][]string{{"export", l.path(filepath.Join("echo", fmt.Sprint(code, format)))}, {"list", "policies"}} {
				o := l.bare(append(args, "--edgerc", edgerc, "--ca-file", ca, "--retries", "1", "--log-level", "debug", "--log-format", format, "--output", format)...).start().wait()
				if o.exit == 0 {
					t.Errorf("%d: %s", code, o)
				}
				l.noSecretBelow(t, fmt.Sprintf("%s, status %d", args[0], code), o)
			}
		}
	}
}

// TestSecretsOfChanges restores and imports at the highest verbosity, under faults of all kinds and killed, and reads every
// byte that is left: journals, reports, imported.json.
func TestSecretsOfChanges(t *testing.T) {
	t.Parallel()
	snapshot := snapshotOf(t, shopAccount(t))
	chunks, _ := chunkFolder(t, 2)
	for name, f := range map[string]simulator.Fault{
		"none": {Kind: simulator.FaultLatency}, "401": {Kind: simulator.FaultRefused, Methods: []string{"POST"}},
		"html": {Kind: simulator.FaultHTML, Methods: []string{"POST"}, Path: "/versions", Max: 1}, "html-403": {Kind: simulator.FaultHTML, Status: 403, Methods: []string{"POST"}},
		"reset": {Kind: simulator.FaultResetAfter, Methods: []string{"POST"}, Probability: .3}, "cut": {Kind: simulator.FaultCutJSON, Methods: []string{"POST"}, Probability: .3},
		"late":     {Kind: simulator.FaultLateEffect, Methods: []string{"POST"}, Probability: .3, Delay: 200 * time.Millisecond},
		"429":      {Kind: simulator.FaultLimit, Methods: []string{"POST"}, Max: 3, Delay: 5 * time.Millisecond},
		"redirect": {Kind: simulator.FaultRedirect, Methods: []string{"POST"}, Path: "/versions", Location: "https://localhost:1", Max: 1}, "kill": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, simulator.Options{
				Account: emptyAccount(t), Credentials: canaries(), ActivationTime: 20 * time.Millisecond, BalancingTime: 20 * time.Millisecond,
			}, simulator.ListenOptions{})
			for n, args := range [][]string{
				{"restore", snapshot, "--group", "77", "--activate", "recorded", "--report", l.path("report"), "--checkpoint", l.path("restore.db")},
				{"import", chunks, "--group", "77", "--activate", "staging,production", "--out", l.path("imported"), "--checkpoint", l.path("import.db")},
			} {
				args = append(hasty(args...), "--log-level", "debug", "--log-format", []string{"text", "json"}[n], "--output", []string{"json", "text"}[n])
				var o outcome
				if name == "kill" {
					c, _ := l.interruptedAt(20, syscall.SIGKILL, args...)
					o = c.wait()
					l.watchAt(0, nil)
				} else {
					l.server.SetFaults(f)
					o = l.run(args...)
				}
				if len(o.err) < 1000 {
					t.Errorf("nothing was logged: %s", o)
				}
				l.server.SetFaults()
				again := l.must(0, args...)
				l.noSecretBelow(t, name, o, again, l.must(0, "runs", "--checkpoint", args[slices.Index(args, "--checkpoint")+1], "--output", "json"))
			}
		})
	}
}
