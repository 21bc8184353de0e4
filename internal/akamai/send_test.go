package akamai

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cloudletmig/internal/cloudlet"
)

// TestSendOnce: whatever comes back, a change is sent once, and its error says what is known of it.
func TestSendOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   cloudlet.Verdict
		body   string // that is given back
	}{
		{"created", reply(201, `{"id":1}`), cloudlet.Applied, `{"id":1}`},
		{"no content", reply(204, ""), cloudlet.Applied, ""},
		{"empty", reply(200, ""), cloudlet.Unknown, ""},
		{"unsound", reply(201, `{"id":`), cloudlet.Unknown, `{"id":`},
		{"html", reply(200, `<html>`), cloudlet.Unknown, `<html>`},
		{"short", short, cloudlet.Unknown, `{"id":1}`},
		{"reset", reset, cloudlet.Unknown, ""},
		{"stall", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, cloudlet.Unknown, ""},
		{"500", reply(500, `{"title":"x"}`), cloudlet.Unknown, `{"title":"x"}`},
		{"503", reply(503, ""), cloudlet.Unknown, ""},
		{"408", reply(408, "{}"), cloudlet.Unknown, "{}"},
		{"429", reply(429, "", "Retry-After", "0"), cloudlet.Rejected, ""},
		{"400", reply(400, `{"detail":"bad"}`), cloudlet.Rejected, `{"detail":"bad"}`},
		{"400 taken", reply(400, `{"errors":[{"detail":"name already exists"}]}`), cloudlet.Conflict, `{"errors":[{"detail":"name already exists"}]}`},
		{"401", reply(401, "{}"), cloudlet.Rejected, "{}"},
		{"403", reply(403, "{}"), cloudlet.Rejected, "{}"},
		{"409", reply(409, `{"id":7}`), cloudlet.Conflict, `{"id":7}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const sent = `{"name":"x","secret":"body"}`
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got, _ := io.ReadAll(r.Body)
				if string(got) != sent || r.Header.Get("Content-Type") != "application/json" || len(r.TransferEncoding) != 0 ||
					r.Header.Get("Idempotency-Key") != "" {
					t.Errorf("got %q, %v, %v", got, r.Header, r.TransferEncoding)
				}
				w.Header().Set("X-RateLimit-Limit", "10")
				tt.answer(w, r)
			})
			var o Options
			if tt.name == "stall" {
				o.Timeout = 200 * time.Millisecond
			}
			a, err := s.client(o).
				Send(t.Context(), cloudlet.Change{Method: http.MethodPost, Path: "/cloudlets/v3/policies", Body: []byte(sent)})
			if n := len(s.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
			if string(a.Body) != tt.body || (tt.name != "reset" && tt.name != "stall") != (a.Rate.Limit == 10) || (tt.name == "429") == a.Rate.Next.IsZero() {
				t.Errorf("body %q, rate %v", a.Body, a.Rate)
			}
			if tt.want == cloudlet.Applied {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var api *cloudlet.APIError
			if !errors.As(err, &api) || api.Verdict != tt.want || api.Attempts != 1 || api.Method != http.MethodPost {
				t.Fatalf("%v: %+v, want verdict %d", err, api, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v holds the body", err)
			}
		})
	}
}

// TestSendOnDeadConnection: net/http does not send a change again when the connection it reused turns out to be dead.
func TestSendOnDeadConnection(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		s := serve(t, answers(reply(200, `{}`), reset, reply(200, `{}`)))
		c := s.client(Options{Workers: 1})
		if _, err := c.Get(t.Context(), document()); err != nil {
			t.Fatal(err)
		}
		var body []byte
		if method != http.MethodDelete {
			body = []byte(`{}`)
		}
		_, err := c.Send(t.Context(), cloudlet.Change{Method: method, Path: "/x", Body: body})
		var api *cloudlet.APIError
		if !errors.As(err, &api) || api.Verdict != cloudlet.Unknown {
			t.Errorf("%s: %v", method, err)
		}
		if n := len(s.requests()); n != 2 {
			t.Errorf("%s: %d requests, want 2", method, n)
		}
	}
}

// TestSendNotSent: what ends before the first byte leaves the account as it was.
func TestSendNotSent(t *testing.T) {
	t.Parallel()
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := closed.Addr().String()
	_ = closed.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	untrusting := serve(t, reply(200, "{}"))
	for _, tt := range []struct {
		name, host, path string
		ctx              context.Context
		is               error
	}{
		{"refused", host, "/x", t.Context(), nil},
		{"untrusted", untrusting.host(), "/x", t.Context(), nil},
		{"cancelled", host, "/x", cancelled, context.Canceled},
		{"bad path", host, "x", t.Context(), errRequest},
	} {
		c, err := New(testCredentials(tt.host), Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Send(tt.ctx, cloudlet.Change{Method: http.MethodPost, Path: tt.path, Body: []byte("{}")})
		var api *cloudlet.APIError
		if !errors.As(err, &api) || api.Verdict != cloudlet.NotSent || (tt.is != nil && !errors.Is(err, tt.is)) {
			t.Errorf("%s: %v", tt.name, err)
		}
		c.Close()
	}
	if n := len(untrusting.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestTransportWithoutTrace: with a transport that tells nothing, only errors from before the first byte prove it.
func TestTransportWithoutTrace(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]cloudlet.Verdict{
		io.ErrUnexpectedEOF: cloudlet.Unknown,
		&net.OpError{Op: "read", Err: errors.New("reset")}:       cloudlet.Unknown,
		&net.OpError{Op: "dial", Err: errors.New("no route")}:    cloudlet.NotSent,
		&net.DNSError{Name: "h.example", IsNotFound: true}:       cloudlet.NotSent,
		&tls.CertificateVerificationError{Err: io.ErrShortWrite}: cloudlet.NotSent,
	} {
		c := virtual(t, Options{}, func(*http.Request) (*http.Response, error) { return nil, err })
		_, got := c.Send(t.Context(), cloudlet.Change{Method: http.MethodPost, Path: "/x"})
		var api *cloudlet.APIError
		if !errors.As(got, &api) || api.Verdict != want {
			t.Errorf("%v: verdict %d, want %d", err, api.Verdict, want)
		}
	}
}

// TestNeverReplayable: net/http repeats by itself what has a GetBody or an idempotency key.
func TestNeverReplayable(t *testing.T) {
	t.Parallel()
	c := virtual(t, Options{}, func(r *http.Request) (*http.Response, error) {
		if r.GetBody != nil || r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != "" {
			t.Errorf("%s can be sent again", r.Method)
		}
		if r.ContentLength != 2 {
			t.Errorf("length %d", r.ContentLength)
		}
		return respond(200, "{}"), nil
	})
	if _, err := c.Send(t.Context(), cloudlet.Change{Method: http.MethodPost, Path: "/x", Body: []byte("{}")}); err != nil {
		t.Error(err)
	}
}
