package akamai

import (
	"net/http"
	"strconv"
	"time"
)

const (
	// defaultPause is the wait after a limit was met and the answer does not say for how long: "at least one minute"
	// (Cloudlets API, Rate limiting).
	defaultPause = time.Minute
	// maxPause bounds a wait that the server asks for; then it is asked again.
	maxPause = time.Hour
)

// pauseAfter is how long an answer asks all requests to wait: X-RateLimit-Next by the server's own clock, else
// Retry-After, else a minute; 0 when no limit was met.
func pauseAfter(status int, h http.Header, now time.Time) time.Duration {
	throttled := status == http.StatusTooManyRequests
	used := h.Get("X-RateLimit-Remaining") == "0"
	now = serverTime(h, now)
	if throttled || used {
		if next, err := time.Parse(time.RFC3339, h.Get("X-RateLimit-Next")); err == nil {
			return clampPause(next.Sub(now))
		}
	}
	if throttled || used || status >= http.StatusInternalServerError {
		if d, ok := retryAfter(h.Get("Retry-After"), now); ok {
			return clampPause(d)
		}
	}
	if throttled || used {
		return defaultPause
	}
	return 0
}

// serverTime is the server's clock. Its Date header has whole seconds; our own clock is finer, and is believed when it
// agrees with that.
func serverTime(h http.Header, now time.Time) time.Time {
	server, err := http.ParseTime(h.Get("Date"))
	if err != nil || now.Truncate(time.Second).Equal(server) {
		return now
	}
	return server
}

// retryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, int64(maxPause/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now), true
	}
	return 0, false
}

func clampPause(d time.Duration) time.Duration { return max(0, min(d, maxPause)) }

// loadOf tells how the server copes; status 0 is no answer. An operation with a limit of its own that comes
// too early says nothing of the server.
func loadOf(status int, limited bool) load {
	switch {
	case status == http.StatusTooManyRequests && limited:
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return loadHigh
	case status >= 200 && status < 300:
		return loadGood
	}
	return loadUnknown
}
