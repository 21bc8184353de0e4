package akamai

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"cloudletmig/internal/cloudlet"
)

// Send makes one attempt at a change and never a second one. The answer is given beside an error too, where there was
// one. Every error is a *cloudlet.APIError whose Verdict says what the attempt did to the account; no error means that
// the API did what was asked and said so whole. The limit of a change that has one of its own is reported, and holds no
// other request back.
func (c *Client) Send(ctx context.Context, change cloudlet.Change) (cloudlet.Answer, error) {
	a, err := c.change(ctx, call{method: change.Method, path: change.Path, body: change.Body, limited: change.Limited})
	if a == nil {
		return cloudlet.Answer{}, err
	}
	return cloudlet.Answer{Body: a.body, Rate: rateOf(a, c.now())}, err
}

func (c *Client) change(ctx context.Context, r call) (*answer, error) {
	res := c.attempt(ctx, r, 1)
	if res.err == nil {
		res.err = judge(res.answer, c.soundChange)
	}
	if res.err == nil && ok(res.answer) {
		return res.answer, nil
	}
	e := c.failure(r, res, 1)
	if e.Status == http.StatusTooManyRequests {
		e.RetryAt = rateOf(res.answer, c.now()).Next
	}
	return res.answer, e
}

// rateOf is what an answer says of its operation's limit.
func rateOf(a *answer, now time.Time) cloudlet.Rate {
	var r cloudlet.Rate
	if n, err := strconv.Atoi(a.header.Get("X-RateLimit-Limit")); err == nil && n > 0 {
		r.Limit = n
	}
	if a.status >= http.StatusInternalServerError {
		return r
	}
	if d := pauseAfter(a.status, a.header, now); d > 0 || a.status == http.StatusTooManyRequests {
		r.Next = now.Add(d)
	}
	return r
}

// soundChange is the check of an answer to a change; only 204 may be empty.
func (c *Client) soundChange(a *answer) error {
	if a.status == http.StatusNoContent && len(a.body) == 0 {
		return nil
	}
	return c.soundBody(a)
}
