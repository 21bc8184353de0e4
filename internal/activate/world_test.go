package activate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/akamai"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/simulator"
)

const settle = 2 * time.Minute // no effect comes later than that after its attempt

// world is a simulated account, the way there, and an observer. It lives in the virtual time of a synctest bubble.
type world struct {
	t      *testing.T
	server *simulator.Server
	journal
	latency time.Duration // at most, each way
	workers int
	faults  map[string]float64
	meddle  func(post string) // what somebody else does just before an activation arrives

	mu       sync.Mutex
	random   *rand.Rand
	arrivals map[string][]time.Time // of requests that count for a limit, by kind
	told     map[string]time.Time   // when the next is allowed, as far as this process knows or its journal
	posts    []string
	effects  map[string]int // how often each request of ours took effect
	reads    int
	hit      map[string]int
}

func newWorld(t *testing.T, seed uint64, opt simulator.Options) *world {
	t.Helper()
	opt.NoAuth, opt.Clock, opt.Seed, opt.User = true, time.Now, seed, "us"
	if opt.Account == nil {
		opt.Account = simulator.NewAccount()
		opt.Account.AddGroup(1, 0, "group", "www.example.com", "second.example.com")
	}
	w := &world{
		t: t, server: simulator.New(opt), random: rand.New(rand.NewPCG(seed, 2)), arrivals: map[string][]time.Time{}, told: map[string]time.Time{},
		hit: map[string]int{}, effects: map[string]int{}, latency: 2 * time.Second, workers: 8,
	}
	t.Cleanup(w.server.Close)
	return w
}

// policy makes a policy with three versions.
func (w *world) policy(api cloudlet.API, name string) int64 {
	w.t.Helper()
	id, err := w.server.Account().AddPolicy(simulator.NewPolicy{Shared: api == cloudlet.V3, Type: "ER", Group: 1, Name: name})
	for range 3 {
		if err == nil {
			_, err = w.server.Account().AddVersion(id, "d", "[]")
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// client is a new process's way to the account.
func (w *world) client() *akamai.Client {
	w.t.Helper()
	c, err := akamai.New(akamai.Credentials{Host: "api.example.com"}, akamai.Options{Transport: w, Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// kindOf is the operation with a limit that a request is of.
func kindOf(r *http.Request) string {
	path := r.URL.Path
	switch {
	case r.Method != http.MethodPost || !strings.HasSuffix(path, "/activations"):
		return ""
	case strings.Contains(path, "/origins/"):
		return "origins"
	case strings.Contains(path, "/v3/"):
		return "v3"
	}
	return "v2"
}

func (w *world) between(most time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if most <= 0 {
		return 0
	}
	return time.Duration(w.random.Int64N(int64(most)))
}

func (w *world) fault(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.random.Float64() >= w.faults[kind] {
		return false
	}
	w.hit[kind]++
	return true
}

// first is a fault that happens once.
func (w *world) first(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults[kind] == 0 || w.hit[kind] > 0 {
		return false
	}
	w.hit[kind]++
	return true
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RoundTrip carries a request to the simulator and its answer back, both taking their time, with the faults of activations.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := kindOf(r)
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if err := pause(r.Context(), w.between(w.latency)); err != nil {
		return nil, err
	}
	w.arrived(kind, r, body)
	ctx := context.WithoutCancel(r.Context())
	serve := func() *httptest.ResponseRecorder {
		again := r.Clone(ctx)
		again.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, again)
		if kind != "" && rec.Code < 300 {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.effects[r.URL.Path+" "+string(body)]++
		}
		return rec
	}
	if kind != "" {
		if w.meddle != nil {
			w.meddle(r.URL.Path + " " + string(body))
		}
		switch {
		case w.first("lose"), w.fault("reset before"):
			return nil, io.ErrUnexpectedEOF
		case w.fault("reply lost"):
			serve()
			return nil, io.ErrUnexpectedEOF
		case w.fault("late effect"):
			late := w.between(settle - 5*time.Second)
			time.AfterFunc(late, func() { serve() })
			return nil, io.ErrUnexpectedEOF
		case w.fault("503"):
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		case w.fault("429"):
			next := time.Now().Add(w.between(3 * time.Minute)).UTC().Format("2006-01-02T15:04:05.000Z")
			return w.back(r, &http.Response{
				StatusCode: http.StatusTooManyRequests, Header: http.Header{"X-Ratelimit-Next": {next}, "X-Ratelimit-Remaining": {"0"}},
				Body: io.NopCloser(strings.NewReader(`{"title":"Too Many Requests"}`)),
			})
		}
	}
	return w.back(r, serve().Result())
}

// arrived notes a request as the server sees it.
func (w *world) arrived(kind string, r *http.Request, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if kind == "" {
		w.reads++
		return
	}
	w.arrivals[kind] = append(w.arrivals[kind], time.Now())
	w.posts = append(w.posts, r.URL.Path+" "+string(body))
}

// back brings an answer back.
func (w *world) back(r *http.Request, resp *http.Response) (*http.Response, error) {
	if err := pause(r.Context(), w.between(w.latency)); err != nil {
		return nil, err
	}
	return resp, nil
}

// hears notes what an answer told.
func (w *world) hears(kind string, answer cloudlet.Answer, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answer.Rate.Next.After(w.told[kind]) {
		w.told[kind] = answer.Rate.Next
	}
	if cloudlet.StatusOf(err) == http.StatusTooManyRequests {
		w.hit["answer 429"]++
	}
}

// obeys is the check of a request that is about to be sent.
func (w *world) obeys(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if told := w.told[kind]; time.Now().Before(told) {
		w.t.Errorf("%s: a request is sent %s before the time that was told", kind, time.Until(told))
	}
}

// recalls leaves of what was told only what the journal says of it: the rest died with the process.
func (w *world) recalls(ctx context.Context) {
	w.told = map[string]time.Time{}
	for rec, err := range w.kept.All(ctx, "") {
		if err != nil {
			w.t.Error(err)
		}
		memo, err := once.MemoOf[activate.Before, string](rec)
		if kind := string(memo.Base.Target.API); err == nil && memo.NotBefore.After(w.told[kind]) {
			w.told[kind] = memo.NotBefore
		}
	}
}

// most is the largest number of requests of a kind that the server saw within less than a minute.
func (w *world) most(kind string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.SortedFunc(slices.Values(w.arrivals[kind]), time.Time.Compare)
	most := 0
	for i := range at {
		n := 0
		for n < len(at)-i && at[i+n].Sub(at[i]) < time.Minute {
			n++
		}
		most = max(most, n)
	}
	return most
}

// rows are a policy's activations of a version on a network.
func (w *world) rows(api cloudlet.API, id, version int64, on cloudlet.Network) (mine, all []cloudlet.Activation) {
	w.t.Helper()
	c := w.client()
	defer c.Close()
	text, err := c.Get(w.t.Context(), api.Activations(id))
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := cloudlet.ParseList(text, cloudlet.ParseActivation)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range list {
		if r.Network == on {
			if all = append(all, r); r.Version == version {
				mine = append(mine, r)
			}
		}
	}
	return mine, all
}

// stranger activates as somebody else would, by a request of its own.
func (w *world) stranger(id, version int64, network string) {
	w.post(fmt.Sprintf("/cloudlets/v3/policies/%d/activations", id), fmt.Sprintf(`{"network":"%s","operation":"ACTIVATION","policyVersion":%d}`, network, version))
}

// strangerV2 is stranger for a v2 policy.
func (w *world) strangerV2(id, version int64, network string) {
	w.post(fmt.Sprintf("/cloudlets/api/v2/policies/%d/versions/%d/activations", id, version),
		fmt.Sprintf(`{"network":"%s","additionalPropertyNames":["www.example.com"]}`, network))
}

func (w *world) post(path, body string) {
	w.server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
}

// journal is what outlives a process; its process may die at a certain write.
type journal struct{ kept job.Memory }

var errDied = errors.New("killed")

// process is one life of the program. After its death nothing that it does reaches the world.
type process struct {
	w      *world
	client *akamai.Client
	mu     sync.Mutex
	writes int
	dieAt  int
}

func (p *process) alive(writing bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if writing {
		p.writes++
	}
	if p.dieAt > 0 && p.writes >= p.dieAt {
		return job.Stop(errDied)
	}
	return nil
}

func (p *process) Get(ctx context.Context, r cloudlet.Resource) ([]byte, error) {
	if err := p.alive(false); err != nil {
		return nil, err
	}
	return p.client.Get(ctx, r)
}

func (p *process) Send(ctx context.Context, c cloudlet.Change) (cloudlet.Answer, error) {
	if err := p.alive(false); err != nil {
		return cloudlet.Answer{}, err
	}
	kind := kindOf(httptest.NewRequest(c.Method, c.Path, nil))
	p.w.obeys(kind)
	answer, err := p.client.Send(ctx, c)
	if dead := p.alive(false); dead != nil {
		return cloudlet.Answer{}, dead
	}
	p.w.hears(kind, answer, err)
	return answer, err
}

// recorded is the process's journal.
type recorded struct{ *process }

func (r recorded) Get(ctx context.Context, key string) (job.Record, bool, error) {
	if err := r.alive(false); err != nil {
		return job.Record{}, false, err
	}
	return r.w.kept.Get(ctx, key)
}

func (r recorded) Put(ctx context.Context, records ...job.Record) error {
	if err := r.alive(true); err != nil {
		return err
	}
	return r.w.kept.Put(ctx, records...)
}

func (r recorded) All(ctx context.Context, prefix string) iter.Seq2[job.Record, error] {
	return r.w.kept.All(ctx, prefix)
}

// outcome is how one life ended.
type outcome struct {
	err    error
	failed map[string]error
	queue  *activate.Queue
}

// live is one life of the program: it ends when all is done, ctx ends, or at its n-th write to the journal.
func (w *world) live(ctx context.Context, dieAt int, opts activate.Options, items func(*activate.Queue) []job.Item) outcome {
	w.t.Helper()
	w.recalls(ctx)
	p := &process{w: w, client: w.client(), dieAt: dieAt}
	defer p.client.Close()
	opts.Account = p
	out := outcome{failed: map[string]error{}, queue: activate.New(opts)}
	if err := out.queue.Recall(ctx, &w.kept, ""); err != nil {
		w.t.Fatal(err)
	}
	var mu sync.Mutex
	out.err = job.Pool{Workers: w.workers, Journal: recorded{p}, Watch: func(e job.Event) {
		if e.Kind == job.Failed {
			mu.Lock()
			defer mu.Unlock()
			out.failed[e.Key] = e.Err
		}
	}}.Run(ctx, items(out.queue)...)
	return out
}

// memo is what the journal holds of an item.
func (w *world) memo(key string) (job.State, activate.Memo) {
	w.t.Helper()
	rec, ok, err := w.kept.Get(w.t.Context(), key)
	if err != nil || !ok {
		w.t.Fatalf("no record of %s (%v)", key, err)
	}
	memo, err := once.MemoOf[activate.Before, string](rec)
	if err != nil {
		var raw any
		_ = json.Unmarshal(rec.Data, &raw)
		w.t.Fatalf("%v: %v", err, raw)
	}
	return rec.State, memo
}
