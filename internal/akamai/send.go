package akamai

import (
	"context"
	"net/http"
)

// Send makes one attempt at a change and never a second one. body is JSON, or nil for none. Answer and header are given
// beside an error too, where there was an answer. Every error is a *cloudlet.APIError whose Verdict says what the attempt
// did to the account; no error means that the API did what was asked and said so whole.
func (c *Client) Send(ctx context.Context, method, path string, body []byte) ([]byte, http.Header, error) {
	a, err := c.change(ctx, call{method: method, path: path, body: body})
	if a == nil {
		return nil, nil, err
	}
	return a.body, a.header, err
}

func (c *Client) change(ctx context.Context, r call) (*answer, error) {
	res := c.attempt(ctx, r, 1)
	if res.err == nil {
		res.err = judge(res.answer, c.soundChange)
	}
	if res.err == nil && ok(res.answer) {
		return res.answer, nil
	}
	return res.answer, c.failure(r, res, 1)
}

// soundChange is the check of an answer to a change; only 204 may be empty.
func (c *Client) soundChange(a *answer) error {
	if a.status == http.StatusNoContent && len(a.body) == 0 {
		return nil
	}
	return c.soundBody(a)
}
