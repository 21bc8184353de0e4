package akamai

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The canaries: no message, log or print may hold one of them.
const (
	canaryToken   = "akab-canary-client-token"
	canarySecret  = "canarysecret+/="
	canaryAccess  = "akab-canary-access-token"
	canaryAccount = "F-CANARY-1"
)

func canaries() []string {
	return []string{canaryToken, canarySecret, canaryAccess, canaryAccount, "EG1-HMAC", "signature="}
}

func testCredentials(host string) Credentials {
	return Credentials{
		Host:         host,
		ClientToken:  NewSecret(canaryToken),
		ClientSecret: NewSecret(canarySecret),
		AccessToken:  NewSecret(canaryAccess),
		AccountKey:   NewSecret(canaryAccount),
		Source:       `section "default" of .edgerc`,
	}
}

// clean fails the test when text holds a canary.
func clean(t *testing.T, what, text string) {
	t.Helper()
	for _, c := range canaries() {
		if strings.Contains(text, c) {
			t.Errorf("%s holds %q: %s", what, c, text)
		}
	}
}

// server is an https server on 127.0.0.1 that checks each signature and that no nonce comes twice.
type server struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	nonces map[string]bool
	seen   []string // method, path and query of every request
	logged bytes.Buffer
}

func serve(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{t: t, nonces: make(map[string]bool)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.check(r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

var fields = regexp.MustCompile(`^EG1-HMAC-SHA256 client_token=([^;]+);access_token=([^;]+);timestamp=([^;]+);nonce=([^;]+);signature=(.+)$`)

// check makes the signature anew, from Akamai's description of it.
func (s *server) check(r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
	auth := r.Header.Get("Authorization")
	m := fields.FindStringSubmatch(auth)
	if m == nil || m[1] != canaryToken || m[2] != canaryAccess {
		s.t.Errorf("authorization header %q", auth)
		return
	}
	if s.nonces[m[4]] {
		s.t.Errorf("nonce used twice for %s", r.URL)
	}
	s.nonces[m[4]] = true
	if got := r.URL.Query()["accountSwitchKey"]; len(got) != 1 || got[0] != canaryAccount {
		s.t.Errorf("%s: accountSwitchKey %v", r.URL, got)
	}
	hash := ""
	if r.Method == http.MethodPost && len(body) > 0 {
		sum := sha256.Sum256(body[:min(len(body), 131072)])
		hash = base64.StdEncoding.EncodeToString(sum[:])
	}
	data := strings.Join([]string{
		r.Method, "https", r.Host, r.URL.RequestURI(), "", hash,
		strings.TrimSuffix(auth, "signature="+m[5]),
	}, "\t")
	if want := sign(data, sign(m[3], canarySecret)); want != m[5] {
		s.t.Errorf("%s %s: signature %s, want %s", r.Method, r.URL, m[5], want)
	}
}

func sign(data, key string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(data))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "https://") }

// caFile holds the server's certificate.
func (s *server) caFile() string {
	file := filepath.Join(s.t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// client trusts the server and retries at once; its log must stay free of canaries.
func (s *server) client(o Options) *Client {
	s.t.Helper()
	o.CAFile = s.caFile()
	if o.Backoff == 0 {
		o.Backoff = time.Microsecond
	}
	o.Log = slog.New(slog.NewJSONHandler(&s.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := New(testCredentials(s.host()), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		c.Close()
		clean(s.t, "log", s.logged.String())
	})
	return c
}

// answers makes a handler that gives them in turn, the last one for good.
func answers(list ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now := list[min(n, len(list)-1)]
		n++
		mu.Unlock()
		now(w, r)
	}
}

func reply(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// short promises more than it sends.
func short(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, `{"id":1}`)
}

// reset ends the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// fake is a transport without a network, for tests with a virtual clock.
type fake func(*http.Request) (*http.Response, error)

func (f fake) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func headers(list ...string) http.Header {
	h := make(http.Header)
	for i := 0; i+1 < len(list); i += 2 {
		h.Set(list[i], list[i+1])
	}
	return h
}

func respond(status int, body string, header ...string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: headers(header...), Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}
