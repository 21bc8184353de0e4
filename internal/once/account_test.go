package once_test

import (
	"fmt"
	"sync"
	"time"

	"cloudletmig/internal/job"
)

// What the simulated account and its clients take for granted.
const (
	window  = time.Minute            // no effect comes later than that after its attempt
	latency = 500 * time.Millisecond // of every request
)

// fault is what happens to one attempt.
type fault int

const (
	none fault = iota
	replyLost
	lateEffect
	resetBefore
	failedWithEffect
	failedWithout
	cutBody
	noID
	notSent
	tooMany
	conflictAfterEffect
	conflictWithout
	forbidden
	faults
)

// glance is what happens to one look-up.
type glance int

const (
	whole glance = iota
	fails
	stale // misses our record, though it exists
	glances
)

type policy struct {
	id                int64
	text, content, by string
	at                time.Time
	versions          []version
}

type version struct {
	n                 int64
	text, content, by string
	at                time.Time
}

// account is the world outside of the process: the API, the journal, and an observer who knows who made what.
type account struct {
	plan
	mu         sync.Mutex
	journal    job.Memory
	policies   map[string]*policy
	ids        int64
	seen       map[string]*observed
	history    map[string]bool
	violations []string
	strangers  map[string]bool // policies that somebody else took or changed
	count      map[string]int
}

// observed is what the observer knows of an item.
type observed struct {
	attempts, looks int
	open            bool // an attempt whose end is not known to have been without effect
	sent            time.Time
	retryAt         time.Time
	empty           int // equal whole look-ups in a row, begun after the window, that found nothing
	last            string
	proved          bool // two of them, since the attempt: that holds until the next
	ours, taken     bool // a look-up showed it
}

func newAccount(p plan) *account {
	return &account{
		plan: p, policies: map[string]*policy{}, seen: map[string]*observed{}, history: map[string]bool{},
		strangers: map[string]bool{}, count: map[string]int{},
	}
}

func (a *account) wrong(format string, args ...any) {
	a.violations = append(a.violations, fmt.Sprintf(format, args...))
}

func (a *account) of(item string) *observed {
	if a.seen[item] == nil {
		a.seen[item] = &observed{}
	}
	return a.seen[item]
}

// target is what one item makes: a policy of a name, or a version of it where number is not 0.
type target struct {
	item, name string
	number     int
	clone      bool
}

func (t target) content() string { return "content of " + t.item }

// make is the effect of an attempt. It gives 0 when the name exists.
func (a *account) make(t target, marker string) int64 {
	p := a.policies[t.name]
	if t.number > 0 {
		n := int64(len(p.versions) + 1)
		p.versions = append(p.versions, version{n: n, text: marker, content: t.content(), by: t.item, at: time.Now()})
		return n
	}
	if p != nil {
		return 0
	}
	a.ids++
	a.policies[t.name] = &policy{id: a.ids, text: marker, content: t.content(), by: t.item, at: time.Now()}
	return a.ids
}

// meddle is what somebody else does to a policy: takes its name, or adds a version.
func (a *account) meddle(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.strangers[name] = true
	a.count["strangers"]++
	if p := a.policies[name]; p != nil {
		p.versions = append(p.versions, version{n: int64(len(p.versions) + 1), by: "stranger", at: time.Now()})
		return
	}
	a.ids++
	a.policies[name] = &policy{id: a.ids, content: "other", by: "stranger", at: time.Now()}
}
