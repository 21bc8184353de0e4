package akamai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/akamai/AkamaiOPEN-edgegrid-golang/v7/pkg/session"
	"github.com/apex/log"
	"github.com/apex/log/handlers/discard"

	"cloudletmig/internal/cloudlet"
)

// Session lets the SDK's typed calls use this client: reads are repeated as by Get, changes sent once as by Send.
// Wrap each call in Outcome, or the Verdict on it is lost.
func (c *Client) Session() session.Session { return typed{c} }

type typed struct{ c *Client }

type outcomeKey struct{}

// Outcome runs one typed call of the SDK. Its error is the *cloudlet.APIError of the call's request where there is one:
// the SDK itself makes a text of it. An error of the SDK's own, such as a parameter that it refuses, is given as it is.
func Outcome(ctx context.Context, call func(context.Context) error) error {
	var failed *cloudlet.APIError
	err := call(context.WithValue(ctx, outcomeKey{}, &failed))
	if err != nil && failed != nil {
		return failed
	}
	return err
}

// Exec sends r, to the configured host only, with in[0] as JSON, and decodes a 2xx answer into out. Any answer that came
// whole is a response and no error, as the SDK expects.
func (s typed) Exec(r *http.Request, out any, in ...any) (*http.Response, error) {
	if len(in) > 1 {
		return nil, fmt.Errorf("%w: one body at most", session.ErrInvalidArgument)
	}
	if r.URL.Host != "" && r.URL.Host != s.c.creds.Host {
		return nil, fmt.Errorf("%w: host %s is not the configured one", errRequest, r.URL.Host)
	}
	req := call{method: r.Method, path: r.URL.RequestURI()}
	var err error
	switch {
	case len(in) == 1:
		if req.body, err = json.Marshal(in[0]); err != nil {
			return nil, fmt.Errorf("%w: %w", session.ErrMarshaling, err)
		}
	case r.Body != nil:
		if req.body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	a, err := s.send(r.Context(), req)
	if a == nil || (err != nil && ok(a)) {
		return nil, err
	}
	if ok(a) && out != nil && len(a.body) > 0 {
		if err := json.Unmarshal(a.body, out); err != nil {
			return nil, fmt.Errorf("%w: %w", session.ErrUnmarshaling, err)
		}
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          io.NopCloser(bytes.NewReader(a.body)),
		ContentLength: int64(len(a.body)),
		Request:       r,
	}, nil
}

// send leaves the outcome for Outcome.
func (s typed) send(ctx context.Context, req call) (a *answer, err error) {
	if req.method == http.MethodGet && req.body == nil {
		a, err = s.c.fetch(ctx, req, s.c.soundBody)
	} else {
		a, err = s.c.change(ctx, req)
	}
	var failed *cloudlet.APIError
	if at, found := ctx.Value(outcomeKey{}).(**cloudlet.APIError); found && errors.As(err, &failed) {
		*at = failed
	}
	return a, err
}

// Sign adds signature and account switch key to r. It is for callers that send r themselves, once.
func (s typed) Sign(r *http.Request) error {
	if r.URL.Host != "" && r.URL.Host != s.c.creds.Host {
		return fmt.Errorf("%w: host %s is not the configured one", errRequest, r.URL.Host)
	}
	s.c.sign(r)
	return nil
}

// Log is silent: the client has a log of its own, and the SDK's would show bodies.
func (typed) Log(context.Context) log.Interface { return &log.Logger{Handler: discard.New()} }

// Client gives the bare transport; it signs nothing and follows no redirect.
func (s typed) Client() *http.Client {
	return &http.Client{
		Transport:     s.c.transport,
		Timeout:       s.c.opts.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
