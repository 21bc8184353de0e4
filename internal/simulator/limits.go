package simulator

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits are activations a minute; 0 is the documented figure and below 0 there is no limit (Cloudlets API v2 and v3,
// Rate limits).
type Limits struct {
	Legacy    int           // v2 policy activations: 30
	Shared    int           // v3 policy activations: 10
	Balancing int           // load balancing activations: 15
	Per       time.Duration // a minute when 0
}

// limiter counts activations within a sliding window.
type limiter struct {
	mu    sync.Mutex
	per   time.Duration
	limit [3]int
	taken [3][]time.Time
}

type limited int

const (
	limitLegacy limited = iota
	limitShared
	limitBalancing
)

func newLimiter(l Limits) *limiter {
	or := func(n, usual int) int {
		if n == 0 {
			return usual
		}
		return n
	}
	per := l.Per
	if per == 0 {
		per = time.Minute
	}
	return &limiter{per: per, limit: [3]int{or(l.Legacy, 30), or(l.Shared, 10), or(l.Balancing, 15)}}
}

// take counts one activation and gives the headers of its answer, or refuses with 429.
func (l *limiter) take(kind limited, now time.Time) (http.Header, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limit[kind]
	if limit < 0 {
		return nil, nil
	}
	taken := l.taken[kind]
	for len(taken) > 0 && !taken[0].Add(l.per).After(now) {
		taken = taken[1:]
	}
	full := len(taken) >= limit
	if !full {
		taken = append(taken, now)
	}
	l.taken[kind] = taken
	h := http.Header{}
	h.Set("X-Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(limit-len(taken)))
	if len(taken) >= limit && limit > 0 {
		h.Set("X-Ratelimit-Next", isoTime(taken[0].Add(l.per)))
	}
	if full {
		p := tooManyRequests()
		p.header = h
		return nil, p
	}
	return h, nil
}

func tooManyRequests() *problem {
	return &problem{
		status: http.StatusTooManyRequests, kind: "too-many-requests", title: "Too Many Requests",
		detail: "You have exceeded the rate limit of this operation",
	}
}
