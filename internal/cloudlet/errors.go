package cloudlet

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Verdict says what one attempt did to the account, as far as its sender can know.
type Verdict int

// The verdicts. Reads may be sent again after NotSent and Unknown; a write may not after Unknown.
const (
	// NotSent: no byte of the request left this machine.
	NotSent Verdict = iota + 1
	// Rejected: the API answered that it did nothing.
	Rejected
	// Conflict: the API answered that something is in the way: a name that exists, an activation that runs.
	Conflict
	// Applied: the API did what was asked and said so whole.
	Applied
	// Unknown: the request may or may not have taken effect.
	Unknown
)

// Statuses that say something about the account rather than about one request.
const (
	Unauthorized = 401 // the credentials are refused
	Forbidden    = 403 // the credentials lack a permission
	NotFound     = 404 // there is no such thing, or no more
)

// APIError is a request that was not answered as hoped.
type APIError struct {
	Method string
	Path   string // path and query without account switch key
	Status int    // HTTP status; 0 when there was no answer
	// Type, Title, Detail and Instance are the problem's members (Cloudlets API v3, Error responses). Title is the
	// status text where the answer was no problem document.
	Type, Title, Detail, Instance string
	Verdict                       Verdict
	Attempts                      int    // how many times it was sent
	Advice                        string // what to do next, where one is known
	Err                           error  // what happened instead of an answer, if anything
	// RetryAt is when the API wants the next attempt at a change, beside a 429; zero when it did not say.
	RetryAt time.Time
}

// Error is one line: method, path, status, title, detail and instance, or the cause where there was no answer.
func (e *APIError) Error() string {
	var b strings.Builder
	if e.Method != "" { // else nothing was sent
		fmt.Fprintf(&b, "%s %s: ", e.Method, e.Path)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, "status %d", e.Status)
	}
	for _, part := range []string{e.Title, e.Detail} {
		if part != "" && !strings.HasSuffix(b.String(), part) {
			separate(&b)
			b.WriteString(part)
		}
	}
	if e.Err != nil {
		separate(&b)
		b.WriteString(e.Err.Error())
	}
	if e.Instance != "" {
		fmt.Fprintf(&b, " (instance %s)", e.Instance)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " (after %d attempts)", e.Attempts)
	}
	return b.String()
}

func separate(b *strings.Builder) {
	if b.Len() > 0 && !strings.HasSuffix(b.String(), ": ") {
		b.WriteString(": ")
	}
}

// Unwrap gives the cause, so that errors.Is finds a cancellation.
func (e *APIError) Unwrap() error { return e.Err }

// Hint says what to do next, or is empty.
func (e *APIError) Hint() string { return e.Advice }

// StatusOf is the HTTP status of the answer that err speaks of, or 0.
func StatusOf(err error) int {
	if api, ok := errors.AsType[*APIError](err); ok {
		return api.Status
	}
	return 0
}
