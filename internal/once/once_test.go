package once_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	memo   = once.Memo[int, int64]
	effect = once.Effect[int, int64]
	found  = once.Found[int64]
	reply  = once.Reply[int64]
)

func apiError(status int, v cloudlet.Verdict) error {
	return &cloudlet.APIError{Method: "POST", Path: "/policies", Status: status, Verdict: v}
}

// look is what one look-up answers.
type look struct {
	found
	err error
}

// answer is what one attempt is answered.
type answer struct {
	reply
	err   error
	retry time.Duration // RetryAt, from the attempt on
	takes time.Duration
}

// play is one item whose outer world follows a script. What a script does not say goes well.
type play struct {
	sends    []answer
	looks    []look
	verifies []error
	puts     []error
	base     []error
	turns    []time.Duration // what Turn answers, from when it is asked; 0 lets the attempt begin
	here     int64

	*job.Memory
	trace []string
	last  time.Time
	state job.State
	log   []string
}

// next takes the first of a list that is not empty.
func next[T any](list *[]T, otherwise T) T {
	if len(*list) == 0 {
		return otherwise
	}
	first := (*list)[0]
	*list = (*list)[1:]
	return first
}

func (p *play) note(what string) {
	if d := time.Since(p.last).Round(time.Second); d > 0 {
		p.trace = append(p.trace, "+"+d.String())
	}
	p.last = time.Now()
	p.trace = append(p.trace, what)
}

// Put implements job.Journal.
func (p *play) Put(ctx context.Context, records ...job.Record) error {
	if to := records[0].State; to != p.state {
		p.note(string(to))
		p.state = to
	}
	return p.Memory.Put(ctx, records...)
}

func (p *play) effect() effect {
	return effect{
		Marker: "[cmig:r/x]", Wanted: "hash", Settle: time.Minute, Poll: 10 * time.Second, Patience: 10 * time.Minute,
		Baseline: func(context.Context) (int, int64, error) {
			p.note("baseline")
			return 5, p.here, next(&p.base, nil)
		},
		Send: func(ctx context.Context, m memo) (reply, error) {
			p.note("POST")
			if rec, _, _ := p.Get(ctx, "x"); rec.State != "sent" || m.Base != 5 || m.Marker == "" || m.N == 0 {
				return reply{}, job.Stop(fmt.Errorf("sent in state %s with %+v", rec.State, m))
			}
			a := next(&p.sends, answer{reply: reply{ID: 7}})
			<-time.After(a.takes)
			if a.retry != 0 {
				a.RetryAt = time.Now().Add(a.retry)
			}
			return a.reply, a.err
		},
		Turn: func(now time.Time) time.Time {
			wait := next(&p.turns, 0)
			if wait == 0 {
				return time.Time{}
			}
			p.note("turn")
			return now.Add(wait)
		},
		Find: func(context.Context, memo) (found, error) {
			p.note("find")
			l := next(&p.looks, look{})
			return l.found, l.err
		},
		Verify: func(_ context.Context, m memo) error {
			p.note(fmt.Sprint("get", m.ID))
			return next(&p.verifies, nil)
		},
		Then: func(memo) []job.Item { p.note("then"); return nil },
		Log: func(_ context.Context, a once.Attempt) error {
			line := fmt.Sprint(a.Key, a.N, a.Verdict)
			if slices.Contains(p.log, line) {
				return fmt.Errorf("history has %s twice", line)
			}
			p.log = append(p.log, line)
			return nil
		},
	}
}

func TestSeveralAreNamedWithAHint(t *testing.T) {
	err := error(&once.ConflictError{Item: "p", Why: "more than one carries our marker", IDs: []string{"7", "8"}})
	if !errors.Is(err, once.ErrConflict) || err.Error() != "p: more than one carries our marker: 7, 8" {
		t.Error(err)
	}
	for _, err := range []error{err, once.Stranger("p", "taken")} {
		if c, ok := errors.AsType[*once.ConflictError](err); !ok || c.Hint() == "" {
			t.Error("no hint for", err)
		}
	}
}

func TestSendThatHasBegunIsRecordedAfterACancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &play{Memory: &job.Memory{}, last: time.Now()}
		e := p.effect()
		send := e.Send
		e.Send = func(ctx context.Context, m memo) (reply, error) {
			select {
			case <-ctx.Done():
				return reply{}, apiError(0, cloudlet.Unknown)
			case <-time.After(3 * time.Second):
				return send(ctx, m)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := job.Pool{Journal: p}.Run(ctx, job.Item{Key: "x", Do: e.Do()})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if got := strings.Join(p.trace, " "); got != "baseline sent +3s POST created" {
			t.Errorf("before: %s", got)
		}
		rec, _, _ := p.Get(t.Context(), "x")
		if m, err := once.MemoOf[int, int64](rec); err != nil || m.ID != 7 || rec.Err != "" || m.Adopted {
			t.Errorf("recorded %+v %v", rec, err)
		}
		p.trace = nil
		if err := (job.Pool{Journal: p}).Run(t.Context(), job.Item{Key: "x", Do: e.Do()}); err != nil {
			t.Error(err)
		}
		if got := strings.Join(p.trace, " "); got != "get7 done then" {
			t.Errorf("after: %s", got)
		}
		if got := strings.Join(p.log, " "); got != "x1 x1applied" {
			t.Errorf("history: %s", got)
		}
	})
}

// A cancellation while the attempt is being recorded: nothing is sent, and the next run may send at once.
func TestNothingStartsAfterACancellation(t *testing.T) {
	for _, at := range []string{"intent", "sent"} {
		p := &play{Memory: &job.Memory{}, last: time.Now()}
		ctx, cancel := context.WithCancel(t.Context())
		e := p.effect()
		if at == "intent" { // it is recorded alone where an attempt has to wait for its turn
			e.Turn = func(now time.Time) time.Time { return now.Add(time.Millisecond) }
		}
		journal := &cancelling{play: p, at: job.State(at), cancel: cancel}
		if err := (job.Pool{Journal: journal}).Run(ctx, job.Item{Key: "x", Do: e.Do()}); !errors.Is(err, context.Canceled) {
			t.Error(at, err)
		}
		rec, _, _ := p.Get(t.Context(), "x")
		if slices.Contains(p.trace, "POST") || rec.State != "intent" || rec.Err != "" {
			t.Errorf("cancelled when %s was recorded: %v, recorded %+v", at, p.trace, rec)
		}
	}
}

type cancelling struct {
	*play
	at     job.State
	cancel func()
}

func (c *cancelling) Put(ctx context.Context, records ...job.Record) error {
	if records[0].State == c.at {
		c.cancel()
	}
	return c.play.Put(ctx, records...)
}

// A history that cannot be written ends the run; what an answer said is recorded all the same.
func TestHistoryThatFails(t *testing.T) {
	full := errors.New("disk full")
	for verdict, want := range map[string]string{"": "baseline sent", "applied": "baseline sent POST created"} {
		p := &play{Memory: &job.Memory{}, last: time.Now()}
		e := p.effect()
		e.Log = func(_ context.Context, a once.Attempt) error {
			if a.Verdict == verdict {
				return full
			}
			return nil
		}
		if err := (job.Pool{Journal: p}).Run(t.Context(), job.Item{Key: "x", Do: e.Do()}); !errors.Is(err, full) {
			t.Error(err)
		}
		if got := strings.Join(p.trace, " "); got != want {
			t.Errorf("%q: %s", verdict, got)
		}
	}
}

func TestMemoNamesAreStable(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	text, err := json.Marshal(memo{Format: 1, Marker: "m", Wanted: "w", Base: 2, N: 3, First: at, Last: at, Ended: at, NotBefore: at, ID: 4, Adopted: true, Why: "y"})
	const stamp = `"2026-01-02T03:04:05Z"`
	want := `{"v":1,"marker":"m","wanted":"w","base":2,"n":3,"first":` + stamp + `,"last":` + stamp + `,"ended":` + stamp +
		`,"not_before":` + stamp + `,"id":4,"adopted":true,"why":"y"}`
	if err != nil || string(text) != want {
		t.Errorf("%s %v", text, err)
	}
}
