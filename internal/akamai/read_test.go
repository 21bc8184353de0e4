package akamai

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloudletmig/internal/cloudlet"
)

const soundDoc = `{"id":12345678901234567890,"b":1.50,"a":"\u00e9<>&"}`

func document() cloudlet.Resource { return cloudlet.Resource{Path: "/cloudlets/v3/policies/1"} }

// TestGetRetries tells what a read does about each kind of answer.
func TestGetRetries(t *testing.T) {
	t.Parallel()
	good := reply(200, soundDoc)
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		sent   int
		want   string // of the error; empty for none
		is     error
	}{
		{"sound", good, 1, "", nil},
		{"503 then sound", answers(reply(503, ""), reply(500, "<html>"), good), 3, "", nil},
		{"408 then sound", answers(reply(408, ""), good), 2, "", nil},
		{"429 with a wait of nothing", answers(reply(429, "", "Retry-After", "0"), good), 2, "", nil},
		{"503 for good", reply(503, ""), 5, "status 503: Service Unavailable (after 5 attempts)", nil},
		{"short then sound", answers(short, good), 2, "", nil},
		{"short for good", short, 5, "the answer broke off after 8 of 100 bytes", errShort},
		{"reset then sound", answers(reset, good), 2, "", nil},
		{"reset for good", reset, 5, "(after 5 attempts)", nil},
		{"unsound then sound", answers(reply(200, `{"id":`), good), 2, "", nil},
		{"unsound for good", reply(200, `{"id":`), 5, "the answer is not sound JSON (6 bytes)", errUnsound},
		{"empty for good", reply(200, ""), 5, "the answer is not sound JSON (0 bytes)", errUnsound},
		{"html", reply(200, "\ufeff <!DOCTYPE html><p>Log in"), 1, "the answer is HTML, not JSON", errHTML},
		{"too large", reply(200, `"`+strings.Repeat("x", 2000)+`"`), 1, "2002 bytes, more than 1000", errTooLarge},
		{"too large, length unknown", unknownLength(`"` + strings.Repeat("x", 2000) + `"`), 1, "more than 1000 bytes", errTooLarge},
		{"401 once", answers(reply(401, `{"detail":"Nonce"}`), good), 2, "", nil},
		{"401 for good", reply(401, `{"title":"Not authorized","detail":"Invalid timestamp"}`), 2, "status 401: Not authorized: Invalid timestamp", ErrCredentials},
		{"403", reply(403, `{"title":"Forbidden"}`), 1, "status 403: Forbidden", nil},
		{"404", reply(404, "<html>no</html>"), 1, "status 404: Not Found", nil},
		{"404 broken off", answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusNotFound)
		}), 1, "status 404: Not Found: the answer broke off", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.answer)
			c := s.client(Options{Retries: 5, MaxAnswer: 1000})
			got, err := c.Get(t.Context(), document())
			if n := len(s.requests()); n != tt.sent || c.Stats().Requests != int64(n) || c.Stats().Retries != int64(n-1) {
				t.Errorf("%d requests, want %d; stats %+v", n, tt.sent, c.Stats())
			}
			if tt.want == "" {
				if err != nil || string(got) != soundDoc {
					t.Fatalf("got %q, %v", got, err)
				}
				return
			}
			var api *cloudlet.APIError
			if !errors.As(err, &api) || !strings.Contains(err.Error(), tt.want) || api.Attempts != tt.sent {
				t.Fatalf("error %v (%d attempts), want %q", err, api.Attempts, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "GET /cloudlets/v3/policies/1: ") || (tt.is != nil && !errors.Is(err, tt.is)) {
				t.Errorf("error %v", err)
			}
			clean(t, "error", err.Error()+api.Hint())
		})
	}
}

func unknownLength(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for len(body) > 0 {
			n := min(500, len(body))
			_, _ = io.WriteString(w, body[:n])
			body = body[n:]
			http.NewResponseController(w).Flush() //nolint:errcheck // the client may have left
		}
	}
}

// TestGetLengths reads bodies of known, unknown and packed length.
func TestGetLengths(t *testing.T) {
	t.Parallel()
	doc := `["` + strings.Repeat("x", 3<<20) + `"]`
	for name, answer := range map[string]http.HandlerFunc{
		"known":   reply(200, doc),
		"unknown": unknownLength(doc),
		"packed": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Error("gzip is not asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, doc)
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer)
			c := s.client(Options{})
			for range 2 { // the second one with a used buffer
				got, err := c.Get(t.Context(), document())
				if err != nil || string(got) != doc {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				if name != "known" {
					break // unknownLength gives its body once
				}
			}
			if n := c.Stats().Bytes; n%int64(len(doc)) != 0 || n == 0 {
				t.Errorf("%d bytes counted, want a multiple of %d", n, len(doc))
			}
		})
	}
}

func TestGetPackedCutIsShort(t *testing.T) {
	t.Parallel()
	s := serve(t, answers(func(w http.ResponseWriter, _ *http.Request) {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, soundDoc)
		_ = z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, b.String()[:b.Len()-4]) // a whole document, without the sum that proves it
	}, reply(200, soundDoc)))
	if got, err := s.client(Options{}).Get(t.Context(), document()); err != nil || string(got) != soundDoc {
		t.Fatalf("got %q, %v", got, err)
	}
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// TestGetSlow: a slow head, a slow body and a stalled TLS handshake end with the attempt (P5).
func TestGetSlow(t *testing.T) {
	t.Parallel()
	stall := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	slowBody := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "{")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, answer := range map[string]http.HandlerFunc{"head": stall, "body": slowBody} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer)
			_, err := s.client(Options{Timeout: 50 * time.Millisecond, Retries: 2}).Get(t.Context(), document())
			if err == nil || !strings.Contains(err.Error(), "no whole answer within 50ms (after 2 attempts)") {
				t.Fatal(err)
			}
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				t.Errorf("%v passes for an end that the caller asked for", err)
			}
		})
	}
	t.Run("handshake", func(t *testing.T) {
		t.Parallel()
		silent := httptest.NewServer(http.HandlerFunc(stall)) // waits for a request line and never speaks TLS
		t.Cleanup(silent.Close)
		c, err := New(testCredentials(strings.TrimPrefix(silent.URL, "http://")), Options{Timeout: 50 * time.Millisecond, Retries: 2, Backoff: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		silent.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		_, err = c.Get(t.Context(), document())
		var api *cloudlet.APIError
		if !errors.As(err, &api) || api.Verdict != cloudlet.NotSent || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestGetCancelled(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	stall := func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	}
	limited := func(w http.ResponseWriter, r *http.Request) {
		reply(429, "")(w, r)
		begun <- struct{}{}
	}
	for name, answer := range map[string]http.HandlerFunc{"in flight": stall, "in a pause": limited} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer)
			c := s.client(Options{})
			// A cause of its own, as signal.NotifyContext gives one, must not hide the cancellation.
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() {
				<-begun
				cancel(errors.New("interrupt signal received"))
			}()
			start := time.Now()
			_, err := c.Get(ctx, document())
			if !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
				t.Fatalf("%v after %s", err, time.Since(start))
			}
		})
	}
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := serve(t, reply(200, soundDoc))
		_, err := s.client(Options{}).Get(ctx, document())
		var api *cloudlet.APIError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &api) || api.Verdict != cloudlet.NotSent || api.Attempts != 0 {
			t.Fatalf("%v", err)
		}
		if n := len(s.requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestRedirect: nobody but the configured host is ever asked (P14).
func TestRedirect(t *testing.T) {
	t.Parallel()
	var other atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { other.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, reply(status, "", "Location", elsewhere.URL+"/x?token="+canaryToken))
		c := s.client(Options{})
		_, err := c.Get(t.Context(), document())
		if !errors.Is(err, errRedirect) || !strings.Contains(err.Error(), "host 127.0.0.1") || cloudlet.StatusOf(err) != status {
			t.Errorf("%d: %v", status, err)
		}
		clean(t, "error", err.Error())
		_, err = c.Send(t.Context(), cloudlet.Change{Method: http.MethodPost, Path: "/cloudlets/v3/policies", Body: []byte(`{}`)})
		var api *cloudlet.APIError
		if !errors.As(err, &api) || api.Verdict != cloudlet.Unknown {
			t.Errorf("%d: %v", status, err)
		}
		if n := len(s.requests()); n != 2 {
			t.Errorf("%d: %d requests, want 2", status, n)
		}
	}
	if n := other.Load(); n != 0 {
		t.Errorf("the other host got %d requests", n)
	}
}

// TestPathsStayOnHost: no path leads to another host.
func TestPathsStayOnHost(t *testing.T) {
	t.Parallel()
	s := serve(t, reply(200, soundDoc))
	c := s.client(Options{})
	for _, path := range []string{"", "x", "//evil.example/x", "https://evil.example/", "@evil.example/", "/%zz"} {
		_, err := c.Get(t.Context(), cloudlet.Resource{Path: path})
		if !errors.Is(err, errRequest) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	if _, err := c.Get(t.Context(), cloudlet.Origin("a b/../?#é")); err != nil {
		t.Error(err)
	}
	if got := s.requests()[0]; !strings.HasPrefix(got, "GET /cloudlets/api/v2/origins/a%20b%2F..%2F%3F%23%C3%A9?accountSwitchKey=") {
		t.Error(got)
	}
}
