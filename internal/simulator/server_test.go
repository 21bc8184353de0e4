package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/edgegrid"
	"go.uber.org/goleak"

	"cloudletmig/internal/simulator"
)

// api is a signed client of one running simulator.
type api struct {
	t        *testing.T
	listener *simulator.Listener
	server   *simulator.Server
	client   *http.Client
	signer   edgegrid.Config
}

func start(t *testing.T, opt simulator.Options) *api {
	t.Helper()
	return startWith(t, opt, simulator.ListenOptions{})
}

func startWith(t *testing.T, opt simulator.Options, listen simulator.ListenOptions) *api {
	t.Helper()
	s := simulator.New(opt)
	l, err := simulator.Listen(t.Context(), s, listen)
	if err != nil {
		t.Fatal(err)
	}
	c := l.Client()
	t.Cleanup(func() {
		c.CloseIdleConnections()
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &api{t, l, s, c, edgegrid.Config{
		Host: l.Host, ClientToken: l.Credentials.ClientToken, ClientSecret: l.Credentials.ClientSecret,
		AccessToken: l.Credentials.AccessToken, AccountKey: l.Credentials.AccountKey, MaxBody: 131072,
	}}
}

func (a *api) request(method, path, body string) *http.Request {
	a.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, "https://"+a.listener.Host+path, r)
	if err != nil {
		a.t.Fatal(err)
	}
	req.GetBody = nil
	return req
}

// do sends one signed request; the answer's body is read whole.
func (a *api) do(method, path, body string) (*answer, []byte, error) {
	a.t.Helper()
	req := a.request(method, path, body)
	a.signer.SignRequest(req)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return &answer{resp.StatusCode, resp.Header, resp.ContentLength}, text, err
}

// answer is what tests want of a response whose body is read and closed.
type answer struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

// want sends a request that must be answered with a status.
func (a *api) want(status int, method, path, body string) []byte {
	a.t.Helper()
	resp, text, err := a.do(method, path, body)
	if err != nil {
		a.t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode != status {
		a.t.Fatalf("%s %s: status %d, want %d: %.300s", method, path, resp.StatusCode, status, text)
	}
	if len(text) > 0 && !json.Valid(text) {
		a.t.Fatalf("%s %s: no JSON: %.300s", method, path, text)
	}
	return text
}

func (a *api) get(path string) []byte {
	a.t.Helper()
	return a.want(http.StatusOK, http.MethodGet, path, "")
}

func (a *api) post(status int, path, body string) []byte {
	a.t.Helper()
	return a.want(status, http.MethodPost, path, body)
}

// field reads a value out of a JSON text by a path of keys and indexes.
func field(t *testing.T, text []byte, path ...any) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("decode %.200s: %v", text, err)
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			o, is := v.(map[string]any)
			if !is {
				t.Fatalf("%v: no object in %.300s", path, text)
			}
			v = o[step]
		case int:
			l, is := v.([]any)
			if !is || step >= len(l) {
				t.Fatalf("%v: no such element in %.300s", path, text)
			}
			v = l[step]
		}
	}
	return v
}

func str(t *testing.T, text []byte, path ...any) string {
	t.Helper()
	return fmt.Sprint(field(t, text, path...))
}

func size(t *testing.T, text []byte, path ...any) int {
	t.Helper()
	l, is := field(t, text, path...).([]any)
	if !is {
		t.Fatalf("%v is no list in %.300s", path, text)
	}
	return len(l)
}

// clock is a time that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

const (
	v2 = "/cloudlets/api/v2"
	v3 = "/cloudlets/v3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryReadIsSoundJSON(t *testing.T) {
	t.Parallel()
	account := simulator.Generate(simulator.GenerateOptions{Hostile: true})
	a := start(t, simulator.Options{Account: account})
	for _, path := range []string{
		v2 + "/cloudlet-info", v2 + "/cloudlet-info/0", v2 + "/group-info", v2 + "/group-info/1234", v2 + "/properties", v3 + "/cloudlet-info",
		v2 + "/policies?includeDeleted=true&pageSize=1000", v3 + "/policies?size=1000", v2 + "/origins", v2 + "/origins?type=alb", v2 + "/origins/currentActivations", v2 + "/origins/alb_origin_1",
		v2 + "/origins/alb_origin_1/versions", v2 + "/origins/alb_origin_1/versions/3", v2 + "/origins/alb_origin_1/activations",
	} {
		a.get(path)
	}
	types := map[string]bool{}
	for _, p := range account.Policies() {
		base := v2
		if p.Shared {
			base = v3
		}
		types[base+p.Type] = true
		base = fmt.Sprintf("%s/policies/%d", base, p.ID)
		a.get(base)
		a.get(base + "/activations")
		a.get(base + "/properties")
		a.get(base + "/versions")
		for _, n := range slices.Concat(p.Versions, p.Hidden) {
			got := a.get(fmt.Sprintf("%s/versions/%d", base, n))
			want, err := account.VersionText(p.ID, n)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("version %d of policy %d is not its text: %v", n, p.ID, err)
			}
			if text := compacted(t, got); text != string(got) {
				t.Errorf("version %d of policy %d has white space between tokens", n, p.ID)
			}
		}
	}
	if len(types) != 17 {
		t.Errorf("%d cloudlet types, want 11 of v2 and 6 of v3: %v", len(types), types)
	}
}

func compacted(t *testing.T, text []byte) string {
	t.Helper()
	var flat bytes.Buffer
	if err := json.Compact(&flat, text); err != nil {
		t.Fatal(err)
	}
	return flat.String()
}
