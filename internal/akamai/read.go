package akamai

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"

	"github.com/cenkalti/backoff/v5"

	"cloudletmig/internal/cloudlet"
)

// fewAttempts is how often a read is sent when it is unlikely that another attempt ends otherwise.
const fewAttempts = 3

// Get reads a resource whole. A document is given byte for byte as sent; a list is given as one JSON array of the
// elements of all its pages, each byte for byte as sent. Errors are a *cloudlet.APIError; after a cancellation it wraps
// context.Canceled.
func (c *Client) Get(ctx context.Context, r cloudlet.Resource) ([]byte, error) {
	if r.Paging != cloudlet.Whole {
		return c.all(ctx, r)
	}
	a, err := c.fetch(ctx, call{method: http.MethodGet, path: r.Path}, c.soundBody)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// soundBody is the check of a document.
func (c *Client) soundBody(a *answer) error {
	if !c.opts.Valid(a.body) {
		return unsound(a)
	}
	return nil
}

func unsound(a *answer) error {
	if isHTML(a) {
		return errHTML
	}
	return fmt.Errorf("%w (%d bytes)", errUnsound, len(a.body))
}

// fetch sends a read until it succeeds, is refused for good, or was sent as often as allowed. check looks at answers of
// status 2xx. The answer is given beside an error too, where there was one.
func (c *Client) fetch(ctx context.Context, r call, check func(*answer) error) (*answer, error) {
	var last result
	var failed *cloudlet.APIError
	var tally [chances]int // how often each kind of end was met
	n := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		last = c.attempt(ctx, r, n+1)
		if last.began {
			n++
		}
		if last.err == nil {
			last.err = judge(last.answer, check)
		}
		if last.err == nil && ok(last.answer) {
			return struct{}{}, nil
		}
		failed = c.failure(r, last, n)
		kind := c.chance(last)
		tally[kind]++
		if n >= c.opts.Retries || tally[kind] >= kind.attempts() {
			return struct{}{}, backoff.Permanent(failed)
		}
		return struct{}{}, failed
	}, backoff.WithBackOff(c.newBackOff()), backoff.WithMaxElapsedTime(0))
	if err == nil {
		return last.answer, nil
	}
	if ctx.Err() != nil {
		failed.Err = ctx.Err() // never context.Cause: callers ask for context.Canceled
	}
	return last.answer, failed
}

// judge says what is wrong with an answer that came whole: check looks at those of status 2xx.
func judge(a *answer, check func(*answer) error) error {
	switch {
	case ok(a):
		return check(a)
	case a.status >= 300 && a.status < 400:
		return redirect(a)
	}
	return nil
}

func (c *Client) newBackOff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = c.opts.Backoff, 2, 64*c.opts.Backoff
	return b
}

// chance is how likely another attempt at a read ends otherwise.
type chance int

const (
	chanceNone chance = iota // the same would happen again
	chanceOnce               // one more attempt tells
	chanceFew                // a few more do
	chanceGood               // it is a passing thing
	chances
)

// attempts is how often an end of this kind may be met.
func (c chance) attempts() int { return [chances]int{1, 2, fewAttempts, math.MaxInt}[c] }

func (c *Client) chance(res result) chance {
	if res.answer == nil {
		switch {
		case !res.began, untrusted(res.err), errors.Is(res.err, errRequest):
			return chanceNone
		case unreachable(res.err) && !c.answered.Load():
			return chanceFew // rather a wrong host than a network that went away
		}
		return chanceGood
	}
	switch status := res.answer.status; {
	case status == http.StatusUnauthorized && res.replayed:
		return chanceGood // the nonce was seen before
	case status == http.StatusUnauthorized:
		return chanceOnce
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return chanceGood
	case !ok(res.answer):
		return chanceNone
	case errors.Is(res.err, errUnsound):
		return chanceGood // cut short somewhere on the way, with a length that agrees
	case isDefect(res.err):
		return chanceNone
	}
	return chanceGood // a body that broke off
}

// isDefect says whether err is about an answer that came whole.
func isDefect(err error) bool {
	for _, defect := range []error{errUnsound, errHTML, errTooLarge, errShape, errRedirect} {
		if errors.Is(err, defect) {
			return true
		}
	}
	return false
}

func ok(a *answer) bool { return a != nil && a.status >= 200 && a.status < 300 }

// redirect names the host alone: the rest of a Location may hold anything.
func redirect(a *answer) error {
	if u, err := url.Parse(a.header.Get("Location")); err == nil && u.Host != "" {
		return fmt.Errorf("%w: this one leads to host %s", errRedirect, u.Hostname())
	}
	return errRedirect
}
