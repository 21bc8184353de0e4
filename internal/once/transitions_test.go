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

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

var (
	unknown  = answer{err: apiError(503, cloudlet.Unknown)}
	conflict = answer{err: apiError(409, cloudlet.Conflict)}
	ours     = look{found: found{Ours: []int64{7}}}
	taken    = look{found: found{Taken: "policy 9 has the name"}}
	blind    = look{err: apiError(500, cloudlet.Unknown)}
	settled  = "find +10s find +20s find +30s find +10s find " // none, during the window and twice after it
)

func TestTransitions(t *testing.T) {
	const sent, settle = "baseline sent POST ", "baseline sent POST settle "
	const made = "created get7 done then"
	differs := fmt.Errorf("rule 3: %w", once.ErrDiffers)
	full := errors.New("disk full")
	earlier := func(state job.State, at time.Duration, m memo) *job.Record {
		return &job.Record{Key: "x", State: state, Data: record(at, m)}
	}
	for name, c := range map[string]struct {
		play
		finalise bool
		earlier  *job.Record
		want     string
		err      error
	}{
		"applied":                    {want: sent + made},
		"not sent":                   {play: play{sends: []answer{{err: apiError(0, cloudlet.NotSent)}}}, want: sent + "intent +10s find sent POST " + made},
		"not sent, a stranger since": {play: play{sends: []answer{{err: apiError(0, cloudlet.NotSent)}}, looks: []look{taken}}, want: sent + "intent +10s find", err: once.ErrConflict},
		"429 with a time":            {play: play{sends: []answer{{err: apiError(429, cloudlet.Rejected), retry: 25 * time.Second}}}, want: sent + "intent +25s find sent POST " + made},
		"429 without":                {play: play{sends: []answer{{err: apiError(429, cloudlet.Rejected)}}}, want: sent + "intent +1m0s find sent POST " + made},
		"429 with a time gone by":    {play: play{sends: []answer{{err: apiError(429, cloudlet.Rejected), retry: -time.Hour}}}, want: sent + "intent +10s find sent POST " + made},
		"429 for a year":             {play: play{sends: []answer{{err: apiError(429, cloudlet.Rejected), retry: 9000 * time.Hour}}}, want: sent + "intent", err: job.ErrPending},
		"rejected":                   {play: play{sends: []answer{{err: apiError(403, cloudlet.Rejected)}}}, want: sent + "intent", err: &cloudlet.APIError{}},
		"rejected, run at its end":   {play: play{sends: []answer{{err: job.Stop(apiError(401, cloudlet.Rejected))}}}, want: sent + "intent", err: &cloudlet.APIError{}},

		"its turn comes later":           {play: play{turns: []time.Duration{time.Hour, time.Minute}}, want: "baseline turn intent +1h0m0s find turn +1m0s find sent POST " + made},
		"its turn comes after a refusal": {play: play{turns: []time.Duration{0, 20 * time.Second}, sends: []answer{{err: apiError(429, cloudlet.Rejected), retry: 25 * time.Second}}}, want: sent + "intent +25s find turn +20s find sent POST " + made},
		"its turn comes after settling":  {play: play{turns: []time.Duration{0, 20 * time.Second}, sends: []answer{unknown}}, want: settle + settled + "intent turn +20s find sent POST " + made},
		"a stranger before its turn":     {play: play{turns: []time.Duration{time.Hour}, looks: []look{taken}}, want: "baseline turn intent +1h0m0s find", err: once.ErrConflict},
		"ours before its turn":           {play: play{turns: []time.Duration{time.Hour}, looks: []look{ours}}, want: "baseline turn intent +1h0m0s find " + made},

		"unknown, found at once":   {play: play{sends: []answer{unknown}, looks: []look{ours}}, want: settle + "find " + made},
		"unknown, found late":      {play: play{sends: []answer{unknown}, looks: []look{{}, {}, ours}}, want: settle + "find +10s find +20s find " + made},
		"unknown, found last":      {play: play{sends: []answer{unknown}, looks: []look{{}, {}, {}, {}, ours}}, want: settle + settled + made},
		"unknown, none":            {play: play{sends: []answer{unknown}}, want: settle + settled + "intent sent POST " + made},
		"unknown after a while":    {play: play{sends: []answer{{err: unknown.err, takes: 30 * time.Second}}}, want: sent + "+30s settle " + settled + "intent sent POST " + made},
		"unknown twice":            {play: play{sends: []answer{unknown, unknown}}, want: settle + settled + "intent sent POST settle " + settled + "intent sent POST " + made},
		"no verdict":               {play: play{sends: []answer{{err: errors.New("?")}}, looks: []look{ours}}, want: settle + "find " + made},
		"no id":                    {play: play{sends: []answer{{}}, looks: []look{ours}}, want: settle + "find " + made},
		"applied but not echoed":   {play: play{sends: []answer{{err: apiError(201, cloudlet.Applied)}}, looks: []look{ours}}, want: settle + "find " + made},
		"conflict, ours":           {play: play{sends: []answer{conflict}, looks: []look{ours}}, want: settle + "find " + made},
		"conflict, nobody":         {play: play{sends: []answer{conflict}}, want: settle + settled + "intent sent POST " + made},
		"conflict, a stranger":     {play: play{sends: []answer{conflict}, looks: slices.Repeat([]look{taken}, 9)}, want: strings.TrimSpace(settle + settled), err: once.ErrConflict},
		"unknown, ours beside one": {play: play{sends: []answer{unknown}, looks: []look{{found: found{Ours: []int64{7}, Taken: "9"}}}}, want: settle + "find " + made},
		"several": {
			play: play{sends: []answer{unknown}, looks: slices.Repeat([]look{{found: found{Ours: []int64{7, 8}}}}, 9)},
			want: strings.TrimSpace(settle + settled), err: once.ErrConflict,
		},
		"look-ups that fail": {
			play: play{sends: []answer{unknown}, looks: []look{blind, blind, blind, {}, blind, {}, {}}},
			want: settle + "find +10s find +20s find +40s find +10s find +1m0s find +10s find intent sent POST " + made,
		},
		"look-ups that differ": {
			play: play{sends: []answer{unknown}, looks: []look{{}, {}, {}, {}, {found: found{Seen: "other"}}, {}, {}}},
			want: settle + settled + "+10s find +10s find intent sent POST " + made,
		},
		"a place busy for now": {
			play: play{sends: []answer{conflict}, looks: []look{{err: once.ErrNotYet}, {err: once.ErrNotYet}, ours}},
			want: settle + "find +10s find +20s find " + made,
		},
		"look-ups that always fail": {
			play: play{sends: []answer{unknown}, looks: slices.Repeat([]look{blind}, 99)},
			want: settle + "find +10s find +20s find +40s find" + strings.Repeat(" +1m0s find", 8), err: job.ErrPending,
		},
		"look-ups that are refused": {
			play: play{sends: []answer{unknown}, looks: slices.Repeat([]look{{err: apiError(403, cloudlet.Rejected)}}, 99)},
			want: settle + "find +10s find +20s find +40s find", err: &cloudlet.APIError{},
		},
		"a look-up that ends the run": {play: play{sends: []answer{unknown}, looks: []look{{err: job.Stop(full)}}}, want: settle + "find", err: full},

		"differs":                   {play: play{verifies: []error{differs}}, want: sent + "created get7 verify-failed", err: once.ErrDiffers},
		"adopted and differs":       {play: play{sends: []answer{unknown}, looks: []look{ours}, verifies: []error{differs}}, want: settle + "find created get7 verify-failed", err: once.ErrDiffers},
		"verified later":            {play: play{verifies: []error{once.ErrNotYet, apiError(404, cloudlet.Rejected)}}, want: sent + "created get7 +10s get7 +20s get7 done then"},
		"never verified":            {play: play{verifies: slices.Repeat([]error{once.ErrNotYet}, 99)}, want: sent + "created get7 +10s get7 +20s get7 +40s get7" + strings.Repeat(" +1m0s get7", 8), err: job.ErrPending},
		"finalised":                 {finalise: true, want: sent + "created get7 finalise PUT done then"},
		"finalised later":           {finalise: true, play: play{puts: []error{apiError(500, cloudlet.Unknown), apiError(429, cloudlet.Rejected)}}, want: sent + "created get7 finalise PUT +10s PUT +1m0s PUT done then"},
		"finalise, 429 with a time": {finalise: true, play: play{puts: []error{&cloudlet.APIError{Status: 429, Verdict: cloudlet.Rejected, RetryAt: time.Unix(0, 0)}}}, want: sent + "created get7 finalise PUT +10s PUT done then"},
		"finalise is rejected":      {finalise: true, play: play{puts: []error{apiError(409, cloudlet.Conflict)}}, want: sent + "created get7 finalise PUT", err: &cloudlet.APIError{}},
		"finalise conflicts":        {finalise: true, play: play{puts: []error{once.Stranger("x", "changed since")}}, want: sent + "created get7 finalise PUT", err: once.ErrConflict},

		"there already":              {play: play{here: 7}, want: "baseline " + made},
		"place taken before":         {play: play{base: []error{once.Stranger("x", "taken")}}, want: "baseline ", err: once.ErrConflict},
		"baseline refused":           {play: play{base: []error{apiError(404, cloudlet.Rejected)}}, want: "baseline ", err: &cloudlet.APIError{}},
		"baseline fails for a while": {play: play{base: []error{apiError(502, cloudlet.Unknown), once.ErrNotYet}}, want: "baseline +10s baseline +20s " + sent + made},

		"resumed in intent":               {earlier: earlier("intent", 0, memo{}), want: "find sent POST " + made},
		"resumed in intent, ours":         {earlier: earlier("intent", 0, memo{N: 1}), play: play{looks: []look{ours}}, want: "find " + made},
		"resumed in intent, several":      {earlier: earlier("intent", 0, memo{}), play: play{looks: []look{{found: found{Ours: []int64{1, 2}}}}}, want: "find", err: once.ErrConflict},
		"resumed in intent, a stranger":   {earlier: earlier("intent", 0, memo{}), play: play{looks: []look{taken}}, want: "find", err: once.ErrConflict},
		"resumed in intent, not to see":   {earlier: earlier("intent", 0, memo{}), play: play{looks: []look{blind}}, want: "find +10s find sent POST " + made},
		"resumed in intent, gone":         {earlier: earlier("intent", 0, memo{N: 1}), play: play{looks: []look{{err: apiError(404, cloudlet.Rejected)}}}, want: "find", err: &cloudlet.APIError{}},
		"resumed in intent, too early":    {earlier: earlier("intent", -20*time.Second, memo{N: 1}), want: "+20s find sent POST " + made},
		"resumed in sent":                 {earlier: earlier("sent", 30*time.Second, memo{N: 1}), want: "settle find +10s find +20s find +10s find intent sent POST " + made},
		"resumed in sent, ours":           {earlier: earlier("sent", time.Second, memo{N: 1}), play: play{looks: []look{ours}}, want: "settle find " + made},
		"resumed in sent, long ago":       {earlier: earlier("sent", time.Hour, memo{N: 3}), want: "settle find +10s find intent sent POST " + made},
		"resumed in sent, clock set back": {earlier: earlier("sent", -time.Hour, memo{N: 1}), want: "settle " + settled + "intent sent POST " + made},
		"resumed in settle":               {earlier: earlier("settle", 50*time.Second, memo{N: 1}), want: "find +10s find +10s find intent sent POST " + made},
		"resumed in created":              {earlier: earlier("created", 0, memo{N: 1, ID: 7}), want: "get7 done then"},
		"resumed in verify-failed":        {earlier: earlier("verify-failed", 0, memo{N: 1, ID: 7}), want: "get7 done then"},
		"resumed in verify-failed, still": {earlier: earlier("verify-failed", 0, memo{N: 1, ID: 7}), play: play{verifies: []error{differs}}, want: "get7", err: once.ErrDiffers},
		"resumed in finalise":             {finalise: true, earlier: earlier("finalise", 0, memo{N: 1, ID: 7}), want: "PUT done then"},
		"done":                            {earlier: earlier(job.Done, 0, memo{N: 1, ID: 7}), want: "then"},
		"other content":                   {earlier: earlier("intent", 0, memo{Wanted: "other"}), err: errText("was begun with other content")},
		"other format":                    {earlier: &job.Record{Key: "x", State: "intent", Data: json.RawMessage(`{"v":2}`)}, err: errText("format 2 is not known")},
		"other state":                     {earlier: earlier("sending", 0, memo{}), err: errText(`"sending", which is not known`)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &c.play
				p.last, p.Memory = time.Now(), &job.Memory{}
				if c.earlier != nil {
					p.state = c.earlier.State
					if err := p.Memory.Put(t.Context(), atStart(*c.earlier)); err != nil {
						t.Fatal(err)
					}
				}
				e := p.effect()
				if c.finalise {
					e.Finalise = func(context.Context, memo) error { p.note("PUT"); return next(&p.puts, nil) }
				}
				var failure error
				err := job.Pool{Journal: p, Watch: func(e job.Event) {
					if e.Kind == job.Failed {
						failure = e.Err
					}
				}}.Run(t.Context(), job.Item{Key: "x", Do: e.Do()})
				if failure == nil {
					failure = err
				}
				if got := strings.Join(p.trace, " "); strings.TrimSpace(got) != strings.TrimSpace(c.want) {
					t.Errorf("\n got %s\nwant %s", got, c.want)
				}
				if !matches(failure, c.err) {
					t.Errorf("error %v, want %v", failure, c.err)
				}
				rec, _, _ := p.Get(t.Context(), "x")
				if pending := c.err == nil || errors.Is(err, job.ErrPending) || !errors.Is(err, job.ErrIncomplete); (rec.Err == "") != pending {
					t.Errorf("the run ended with %v and recorded %q", err, rec.Err)
				}
			})
		})
	}
}

// Only after an attempt whose end is not known can something be there that no answer named; a look-up is told so.
func TestLost(t *testing.T) {
	for name, c := range map[string]struct {
		first   answer
		earlier *job.Record
		want    bool
	}{
		"conflict":        {first: conflict},
		"unknown":         {first: unknown, want: true},
		"resumed in sent": {earlier: &job.Record{Key: "x", State: "sent", Data: record(time.Second, memo{N: 1})}, want: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &play{Memory: &job.Memory{}, last: time.Now(), sends: []answer{c.first}}
			if c.earlier != nil {
				p.state = c.earlier.State
				if err := p.Memory.Put(t.Context(), atStart(*c.earlier)); err != nil {
					t.Fatal(err)
				}
			}
			e, lost := p.effect(), false
			e.Find = func(_ context.Context, m memo) (found, error) {
				lost = m.Lost
				return found{Ours: []int64{7}}, nil
			}
			if err := (job.Pool{Journal: p}).Run(t.Context(), job.Item{Key: "x", Do: e.Do()}); err != nil || lost != c.want {
				t.Errorf("%s: lost is %t, %v", name, lost, err)
			}
		})
	}
}

// What was sent and not answered may take effect until the settle window is over; nothing else may.
func TestMayTakeEffect(t *testing.T) {
	last := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	data := func(m memo) json.RawMessage {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, c := range map[string]struct {
		rec  job.Record
		want time.Time
	}{
		"sent":           {job.Record{State: "sent", Data: data(memo{Format: 1, N: 1, Last: last})}, last.Add(time.Minute)},
		"settle":         {job.Record{State: "settle", Data: data(memo{Format: 1, N: 1, Last: last, Ended: last.Add(time.Second), Lost: true})}, last.Add(time.Second + time.Minute)},
		"conflict":       {job.Record{State: "settle", Data: data(memo{Format: 1, N: 1, Last: last})}, time.Time{}},
		"created":        {job.Record{State: "created", Data: data(memo{Format: 1, N: 1, Last: last})}, time.Time{}},
		"something else": {job.Record{State: "sent", Data: json.RawMessage(`[]`)}, time.Time{}},
	} {
		if got := once.MayTakeEffect(c.rec, time.Minute); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// With Record a change that goes well, and whose answer says so, costs two commits; a history that cannot be written is as
// good as a record that cannot.
func TestRecordTakesThePlaceOfLog(t *testing.T) {
	for name, c := range map[string]struct {
		finalise, verified bool
		full               string // the verdict at which the disk is full
		want               string
	}{
		"read back":            {want: "baseline sent POST created get7 done then"},
		"verified":             {verified: true, want: "baseline sent POST done then"},
		"finalised":            {verified: true, finalise: true, want: "baseline sent POST finalise PUT done then"},
		"full before":          {full: "none", want: "baseline"},
		"full when it is over": {full: "applied", want: "baseline sent POST"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &play{Memory: &job.Memory{}, last: time.Now(), sends: []answer{{reply: reply{ID: 7, Verified: c.verified}}}}
			e := p.effect()
			log, commits, full := e.Log, 0, errors.New("disk full")
			e.Log = nil
			e.Record = func(ctx context.Context, rec job.Record, a once.Attempt) error {
				if c.full != "" && (c.full == a.Verdict || c.full == "none") {
					return full
				}
				commits++
				return errors.Join(log(ctx, a), p.Put(ctx, rec))
			}
			if c.finalise {
				e.Finalise = func(context.Context, memo) error { p.note("PUT"); return nil }
			}
			err := job.Pool{Journal: p}.Run(t.Context(), job.Item{Key: "x", Do: e.Do()})
			if got := strings.Join(p.trace, " "); got != c.want || (c.full != "") != errors.Is(err, full) {
				t.Errorf("%s, %v, want %s", got, err, c.want)
			}
			if c.full == "" && (commits != 2 || strings.Join(p.log, " ") != "x1 x1applied") {
				t.Errorf("%d commits, history %s", commits, p.log)
			}
		})
	}
}

// record is a memo as it was written a while ago, 0 for never sent; a negative while is to come.
func record(ago time.Duration, m memo) json.RawMessage {
	m.Format, m.Base, m.Marker, m.ID = 1, 5, "[cmig:r/x]", max(m.ID, 0)
	if m.Wanted == "" {
		m.Wanted = "hash"
	}
	if ago != 0 {
		m.Last = time.Unix(0, 0).Add(-ago)
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

// atStart moves the times of a record to where the bubble's clock is. A time to come is a time to wait for in intent.
func atStart(rec job.Record) job.Record {
	var m memo
	if json.Unmarshal(rec.Data, &m) != nil || m.Format != 1 || m.Last.IsZero() {
		return rec
	}
	m.Last = time.Now().Add(m.Last.Sub(time.Unix(0, 0)))
	if m.First = m.Last; rec.State == "intent" {
		m.NotBefore, m.Why = m.Last, "429"
	}
	rec.Data, _ = json.Marshal(m)
	return rec
}

// errText is an error known by a part of its text.
type errText string

func (e errText) Error() string { return string(e) }

func matches(err, want error) bool {
	switch want := want.(type) { //nolint:errorlint // of the expectation, which wraps nothing
	case nil:
		return err == nil
	case errText:
		return err != nil && strings.Contains(err.Error(), string(want))
	case *cloudlet.APIError:
		return cloudlet.StatusOf(err) != 0 && !errors.Is(err, job.ErrPending)
	}
	return errors.Is(err, want)
}
