package akamai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// call is one request as asked for by a caller; each attempt makes a fresh http.Request of it.
type call struct {
	method string
	path   string // path and query, without account switch key
	body   []byte // nil for none
	// limited: a limit that the answer speaks of concerns this operation alone.
	limited bool
}

// answer is what the API said, its body read to the end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// result is everything observed of one attempt.
type result struct {
	answer *answer // nil when there was none
	began  bool    // the attempt came past the limits
	wrote  bool    // the request may have left this machine
	err    error   // why there is no answer, or what is wrong with the one that came
	// replayed says that net/http sent a read again by itself, over another connection but with the old signature, since
	// the connection that it had kept turned out to be dead.
	replayed bool
}

// attempt sends one request when limits allow, and watches limits in its answer. n counts the attempts of one call.
func (c *Client) attempt(ctx context.Context, r call, n int) result {
	if err := c.gate.enter(ctx); err != nil {
		return result{err: err}
	}
	pressure := loadUnknown
	ticket := 0
	defer func() { c.gate.leave(ticket, pressure) }()
	err := c.await(ctx)
	if err != nil {
		return result{err: err}
	}
	if ticket, err = c.gate.pass(ctx); err != nil {
		return result{err: err}
	}
	c.count.requests.Add(1)
	if n > 1 {
		c.count.retries.Add(1)
	}
	start := time.Now()
	res := c.exchange(ctx, r)
	res.began = true
	took := time.Since(start)
	if res.answer != nil {
		pressure = loadOf(res.answer.status, r.limited)
		c.heed(ctx, r, res.answer)
	}
	c.note(ctx, r, res, n, took)
	return res
}

// await waits for our own cap on requests per second, before a signature can age.
func (c *Client) await(ctx context.Context) error {
	if c.limiter == nil {
		return nil
	}
	if err := c.limiter.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return context.DeadlineExceeded // the limiter's words: the wait would outlast the caller's deadline
	}
	return nil
}

// heed holds all requests back when an answer says that a limit is met which concerns them.
func (c *Client) heed(ctx context.Context, r call, a *answer) {
	c.answered.Store(true)
	c.count.bytes.Add(int64(len(a.body)))
	if a.status == http.StatusTooManyRequests {
		c.count.throttled.Add(1)
	}
	if r.limited && a.status < http.StatusInternalServerError {
		return
	}
	d := pauseAfter(a.status, a.header, c.now())
	if c.gate.pause(d) {
		c.log.DebugContext(ctx, "wait for a limit of the API", slog.Duration("wait", d), slog.Int("status", a.status))
	}
}

func (c *Client) note(ctx context.Context, r call, res result, n int, took time.Duration) {
	if !c.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", r.method), slog.String("path", r.path), slog.Int("attempt", n), slog.Duration("duration", took),
	}
	if res.answer != nil {
		attrs = append(attrs, slog.Int("status", res.answer.status), slog.Int("bytes", len(res.answer.body)))
	}
	if res.err != nil {
		attrs = append(attrs, slog.String("error", c.scrub.line(res.err.Error())))
	}
	c.log.LogAttrs(ctx, slog.LevelDebug, "request", attrs...)
}

// exchange signs and sends one request and reads the answer to its end, all within the timeout.
func (c *Client) exchange(parent context.Context, r call) result {
	ctx, cancel := context.WithTimeoutCause(parent, c.opts.Timeout, slow{c.opts.Timeout})
	defer cancel()
	var t trace
	req, err := c.request(httptrace.WithClientTrace(ctx, t.hooks()), r)
	if err != nil {
		return result{err: err}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		wrote := t.mayHaveWritten(err)
		return result{wrote: wrote, err: c.cause(parent, ctx, err)}
	}
	defer resp.Body.Close()
	body, err := c.read(resp)
	a := &answer{status: resp.StatusCode, header: resp.Header, body: body}
	return result{answer: a, wrote: true, err: c.cause(parent, ctx, err), replayed: t.wrote.Load() > 1}
}

// cause is why an exchange within ctx ended early, in the terms of parent, the caller's context.
func (c *Client) cause(parent, ctx context.Context, err error) error {
	if err != nil && parent.Err() == nil && ctx.Err() != nil {
		return slow{c.opts.Timeout}
	}
	return tidy(parent, err)
}

// request makes and signs the request of one attempt. It has no GetBody and no idempotency key, or net/http would send a
// change twice by itself.
func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	u, err := c.address(r.path)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, "", nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	req.URL, req.Host = u, u.Host
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Body = io.NopCloser(bytes.NewReader(r.body))
		req.ContentLength = int64(len(r.body))
	}
	c.sign(req)
	return req, nil
}

// address puts path on the configured host; there is no path that leads to another one.
func (c *Client) address(path string) (*url.URL, error) {
	u, err := url.Parse(path)
	if err != nil || !strings.HasPrefix(path, "/") || u.Host != "" || u.Scheme != "" || u.User != nil {
		return nil, fmt.Errorf("%w: %q is no path of the API", errRequest, path)
	}
	u.Scheme, u.Host, u.Fragment = "https", c.creds.Host, ""
	return u, nil
}

// read gives the whole body in one buffer of its size.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	limit := c.opts.MaxAnswer
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", errTooLarge, resp.ContentLength, limit)
	}
	if resp.ContentLength >= 0 {
		body := c.room(int(resp.ContentLength))
		n, err := io.ReadFull(resp.Body, body)
		if err != nil {
			return body[:n], broken(err, fmt.Sprintf("after %d of %d bytes", n, len(body)))
		}
		return body, nil
	}
	scratch, ok := c.scratch.Get().(*bytes.Buffer)
	if !ok {
		scratch = new(bytes.Buffer)
	}
	defer func() {
		if scratch.Cap() <= 16<<20 {
			scratch.Reset()
			c.scratch.Put(scratch)
		}
	}()
	n, err := scratch.ReadFrom(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		err = broken(err, fmt.Sprintf("after %d bytes", n))
	case n > limit:
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	return bytes.Clone(scratch.Bytes()), err
}

// recycled is the size from which memory is worth being used again, and the steps in which it is taken.
const recycled = 64 << 10

// room gives memory for n bytes: what Recycle was given where that is large enough, else new.
func (c *Client) room(n int) []byte {
	if n < recycled {
		return make([]byte, n)
	}
	select {
	case spare := <-c.spare:
		if cap(spare) >= n {
			return spare[:n]
		}
	default:
	}
	return make([]byte, n, (n+recycled-1)/recycled*recycled)
}

// Recycle takes back the memory of a document that Get gave and that nobody looks at any more, for another answer.
func (c *Client) Recycle(doc []byte) {
	if cap(doc) < recycled {
		return
	}
	select {
	case c.spare <- doc:
	default: // there is enough of it
	}
}

func broken(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w %s", errShort, where)
	}
	return fmt.Errorf("%w %s: %w", errShort, where, err)
}

// trace learns from net/http how far a request came. Its head is marked as written before it is flushed to the
// connection, so a request without the mark has not left, not even behind our back after a cancellation.
type trace struct {
	seen  atomic.Bool
	wrote atomic.Int32
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { t.seen.Store(true) },
		WroteHeaders: func() { t.wrote.Add(1) },
	}
}

// mayHaveWritten tells whether the request may have reached the server although RoundTrip gave err.
func (t *trace) mayHaveWritten(err error) bool {
	if t.seen.Load() {
		return t.wrote.Load() > 0
	}
	return !unsent(err) // a transport that does not trace
}
