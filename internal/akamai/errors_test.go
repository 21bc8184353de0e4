package akamai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/cloudlet"
)

func TestProblemBodies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, want, instance string
	}{
		{
			"v2", `{"detail":"Exceeds maximum rules (5000). Received rule count:5001","errorCode":-1,
			"errorMessage":"Exceeds maximum rules (5000). Received rule count:5001","instance":"2d82","status":400,"title":"Too Many Rules"}`,
			"status 400: Too Many Rules: Exceeds maximum rules (5000). Received rule count:5001 (instance 2d82)", "2d82",
		},
		{"v2, old", `{"errorCode":-1,"errorMessage":"no"}`, "status 400: Bad Request: no", ""},
		{
			"v3", `{"status":400,"title":"Validation failed","instance":"e943","errors":[{"detail":"must not be null",
			"title":"Constraint validation failed","invalidField":"description","invalidValue":null},{"title":"Other"},{"detail":"Other"},{}]}`,
			"status 400: Validation failed: must not be null (description); Other (instance e943)", "e943",
		},
		{"members of other types", `{"title":"T","status":"400","detail":5,"errors":"x"}`, "status 400: T", ""},
		{"no object", `[1]`, "status 400: Bad Request", ""},
		{"html", `<html><body>Bad`, "status 400: Bad Request", ""},
		{"empty", ``, "status 400: Bad Request", ""},
		{"lines", `{"title":"a\n\u001b[31mb\u202ec","detail":" d\r\n e "}`, "status 400: a [31mb c: d e", ""},
		{"long", `{"title":"T","detail":"` + strings.Repeat("é", 5000) + `"}`, "status 400: T: " + strings.Repeat("é", maxText) + "...", ""},
	} {
		s := serve(t, reply(400, tt.body))
		_, err := s.client(Options{}).Get(t.Context(), document())
		var api *cloudlet.APIError
		if !errors.As(err, &api) || err.Error() != "GET /cloudlets/v3/policies/1: "+tt.want || api.Instance != tt.instance {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestEchoedSecrets: a server that repeats our header puts nothing of it into an error or a log (P13).
func TestEchoedSecrets(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization") + " " + r.URL.String() + " " + canarySecret
		body, _ := json.Marshal(map[string]any{
			"title": auth, "detail": auth, "instance": auth, "type": auth, "errors": []any{map[string]string{"detail": auth}},
		})
		w.Header().Set("Location", auth)
		w.WriteHeader(map[string]int{"/400": 400, "/401": 401, "/302": 302, "/503": 503, "/200": 200}[r.URL.Path])
		_, _ = w.Write(body[:len(body)-1])
	}
	for _, path := range []string{"/400", "/401", "/302", "/503", "/200"} {
		s := serve(t, echo)
		_, err := s.client(Options{Retries: 2}).Get(t.Context(), cloudlet.Resource{Path: path})
		var api *cloudlet.APIError
		if !errors.As(err, &api) {
			t.Fatal(err)
		}
		clean(t, path, err.Error()+api.Hint()+fmt.Sprintf("%+v %#v", *api, *api))
	}
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		status int
		date   time.Duration
		want   string
	}{
		{401, -2 * time.Minute, "set this machine's clock: it is 2m0s ahead of the server's"},
		{401, 45 * time.Second, "set this machine's clock: it is 45s behind the server's"},
		{401, 30 * time.Second, `check host, client_token, client_secret and access_token in section "default" of .edgerc`},
		{403, time.Hour, "the API client needs the grant 'Cloudlets Policy Manager' (READ-ONLY is enough to read) and access to the group"},
		{404, time.Hour, ""},
	} {
		c := virtual(t, Options{Now: func() time.Time { return now }, Backoff: 1}, func(*http.Request) (*http.Response, error) {
			return respond(tt.status, "{}", "Date", now.Add(tt.date).Format(http.TimeFormat)), nil
		})
		_, err := c.Get(t.Context(), document())
		var api *cloudlet.APIError
		if !errors.As(err, &api) || api.Hint() != tt.want || errors.Is(err, ErrCredentials) != (tt.status == 401) {
			t.Errorf("%d, %s: %q", tt.status, tt.date, api.Hint())
		}
	}
}

// TestUnreachable: what will not change is not tried eight times, and each kind has its advice.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := listener.Addr().String()
	_ = listener.Close()
	s := serve(t, reply(200, "{}"))
	for _, tt := range []struct {
		name, host, advice string
		attempts           int
		transport          http.RoundTripper
	}{
		{"refused", refused, `check the host in section "default" of .edgerc, and the network`, 3, nil},
		{"untrusted", s.host(), "if a proxy inspects TLS here, name its CA certificate with --ca-file", 1, nil},
		{"unknown", "h.example", `check the host in section "default" of .edgerc, and the network`, 3, fake(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "h.example", Err: "no such host", IsNotFound: true}}
		})},
	} {
		c, err := New(testCredentials(tt.host), Options{Backoff: 1, Transport: tt.transport})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Get(t.Context(), document())
		var api *cloudlet.APIError
		if !errors.As(err, &api) || api.Hint() != tt.advice || api.Attempts != tt.attempts || api.Verdict != cloudlet.NotSent {
			t.Errorf("%s: %v, %+v", tt.name, err, api)
		}
		c.Close()
	}
}

// TestNetworkGoesAway: once the host has answered, a refused connection is a passing one.
func TestNetworkGoesAway(t *testing.T) {
	t.Parallel()
	n := 0
	c := virtual(t, Options{Backoff: 1}, func(*http.Request) (*http.Response, error) {
		if n++; n == 1 || n == 7 {
			return respond(200, "1"), nil
		}
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "h.example", Err: "no such host"}}
	})
	for range 2 {
		if _, err := c.Get(t.Context(), document()); err != nil {
			t.Error(err)
		}
	}
}

func TestCAFile(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		empty:                        "the CA file " + empty + " holds no certificate",
		filepath.Join(empty, "none"): "read the CA file: ",
	} {
		_, err := New(testCredentials("h.example"), Options{CAFile: file})
		var hint interface{ Hint() string }
		if !errors.Is(err, ErrConfig) || !strings.HasPrefix(err.Error(), want) || !errors.As(err, &hint) || hint.Hint() == "" {
			t.Errorf("%v", err)
		}
	}
}

// TestSecretsDoNotPrint at any verb, within any struct, in JSON or a log.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	creds := testCredentials("h.example")
	c := virtual(t, Options{}, func(*http.Request) (*http.Response, error) { return nil, errors.New("x") })
	hidden := struct{ secret Secret }{creds.ClientSecret}
	var out bytes.Buffer
	for _, v := range []any{creds, &creds, creds.ClientSecret, &creds.ClientSecret, hidden, &hidden, c, c.Session(), []any{c}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		text, err := json.Marshal(v)
		if err == nil {
			out.Write(text)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
	}
	clean(t, "print", out.String())
	if !strings.Contains(out.String(), redacted) || creds.ClientSecret.Reveal() != canarySecret {
		t.Error("nothing was printed")
	}
}
