package activate

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// What Options are where they are 0.
const (
	defaultSettle   = 2 * time.Minute
	defaultPoll     = 10 * time.Second
	defaultDeadline = 90 * time.Minute
)

// Options say how a Queue works. Only the Account must be set.
type Options struct {
	Account Account
	// Record makes a line of the history and the record that goes with it durable (once.Effect).
	Record func(ctx context.Context, rec job.Record, attempt once.Attempt) error

	Settle   time.Duration // how long after an attempt its effect may come; 2 min when 0, at least twice the client's timeout
	Poll     time.Duration // first pause between looks at an activation, growing to six times that; 10 s when 0
	Deadline time.Duration // how long one process waits in all for the end of one activation; 90 min when 0
	Limits   Limits
	Now      func() time.Time // time.Now when nil
}

// Queue makes items that activate. They share the limits of the API, whatever pools they run on. Safe for concurrent use.
type Queue struct {
	opts    Options
	account Account

	mu      sync.Mutex
	buckets [kinds]bucket
}

// New makes a queue for one account.
func New(opts Options) *Queue {
	if opts.Settle == 0 {
		opts.Settle = defaultSettle
	}
	if opts.Poll == 0 {
		opts.Poll = defaultPoll
	}
	if opts.Deadline == 0 {
		opts.Deadline = defaultDeadline
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	q := &Queue{opts: opts, account: opts.Account}
	l := opts.Limits.filled()
	for k, n := range map[kind]int{shared: l.Shared, legacy: l.Legacy, origins: l.Origins} {
		q.buckets[k] = bucket{most: n, limit: n, window: l.Window}
	}
	return q
}

// Recall lets the last attempt of each item count that an earlier process recorded in the journal under keys with the
// prefix, and obeys what a refusal told it, so that both together stay within the limits. It is to be called before a run goes on. Records of
// other things are passed over.
func (q *Queue) Recall(ctx context.Context, journal job.Journal, prefix string) error {
	for rec, err := range journal.All(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("read what was activated before: %w", err)
		}
		var memo Memo
		var before dryRun
		if json.Unmarshal(rec.Data, &before) == nil && !before.Dry.IsZero() {
			q.recall(origins, time.Time{}, before.Dry)
			continue
		}
		if json.Unmarshal(rec.Data, &memo) != nil || memo.Base.Target.Version == 0 {
			continue
		}
		if !memo.Base.Dry.IsZero() {
			q.recall(origins, memo.Base.Dry, memo.Base.Dry)
		}
		if !memo.Last.IsZero() {
			k := memo.Base.Target.kind()
			q.recall(k, memo.Ended, memo.Last)
			q.mu.Lock()
			q.buckets[k].heard(0, memo.NotBefore)
			q.mu.Unlock()
		}
	}
	return nil
}

// recall counts an attempt that began and ended then. One without an end was cut off, and may have been on its way until
// its process ended.
func (q *Queue) recall(k kind, ended, began time.Time) {
	if ended.IsZero() {
		ended = began.Add(q.opts.Settle)
	}
	if now := q.now(); ended.After(now) {
		ended = now
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.buckets[k].occupy(ended)
}

// Opens is when the next activation may be sent, while items wait for that because of a limit; the zero time when none
// waits.
func (q *Queue) Opens() time.Time {
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	var first time.Time
	for i := range q.buckets {
		b := &q.buckets[i]
		if len(b.line) == 0 {
			continue
		}
		if t := b.opens(0, now); t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func (q *Queue) now() time.Time { return q.opts.Now() }

// Item is the activation of t as an item of a run. Its error when it failed is a *FailedError, when somebody else is in the
// way a once.ErrConflict, when its end did not come in time a job.ErrPending. then, if set, gives the items that follow;
// it is called once in every run in which the activation is done or found done.
func (q *Queue) Item(key string, depth int, t Target, then func(Memo) []job.Item) job.Item {
	a := &activation{q: q, t: t}
	do := once.Effect[Before, string]{
		Wanted: t.wanted(), Baseline: a.baseline, Turn: a.turn, Send: a.send, Find: a.find, Verify: a.verify, Then: then,
		Record: q.opts.Record, Settle: q.opts.Settle, Poll: q.opts.Poll, Patience: q.opts.Deadline, Now: q.now,
	}.Do()
	return job.Item{Key: key, Depth: depth, Do: func(ctx context.Context, task *job.Task) (job.Step, error) {
		a.waits = false
		step, err := a.do(ctx, task, do)
		if !a.waits {
			a.leave()
		}
		return step, err
	}}
}

// activation is an item of the queue in one process.
type activation struct {
	q        *Queue
	t        Target
	place    place
	waits    bool      // this call of Do ended with a wait for a slot
	dry      time.Time // origins: when the dry run of this process was over
	dried    bool      // origins: no dry run is needed any more
	failures int       // origins: dry runs that had no answer
}

// turn is once.Effect.Turn.
func (a *activation) turn(now time.Time) time.Time {
	a.q.mu.Lock()
	defer a.q.mu.Unlock()
	at := a.q.buckets[a.t.kind()].turn(&a.place, now)
	a.waits = !at.IsZero()
	return at
}

func (a *activation) leave() {
	a.q.mu.Lock()
	defer a.q.mu.Unlock()
	a.q.buckets[a.t.kind()].leave(&a.place, a.q.now())
}

// attempt makes one request that counts for the limit.
func (a *activation) attempt(ctx context.Context, c cloudlet.Change) (cloudlet.Answer, error) {
	answer, err := a.q.account.Send(ctx, c)
	a.q.mu.Lock()
	defer a.q.mu.Unlock()
	b := &a.q.buckets[a.t.kind()]
	b.over(&a.place, a.q.now())
	b.heard(answer.Rate.Limit, answer.Rate.Next)
	return answer, err
}
