package simulator_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloudletmig/internal/simulator"
)

// faulty is a simulator whose log of requests can be read.
func faulty(t *testing.T, fault simulator.Fault) (*api, func() []simulator.Request) {
	t.Helper()
	var mu sync.Mutex
	var log []simulator.Request
	a := start(t, simulator.Options{
		Account: empty(), Faults: []simulator.Fault{fault},
		Access: func(r simulator.Request) { mu.Lock(); defer mu.Unlock(); log = append(log, r) },
	})
	return a, func() []simulator.Request {
		mu.Lock()
		defer mu.Unlock()
		return append([]simulator.Request(nil), log...)
	}
}

const newPolicy = `{"cloudletType":"ER","groupId":5,"name":"late"}`

func (a *api) policies() int {
	a.t.Helper()
	return size(a.t, a.get(v3+"/policies"), "content")
}

func TestFaultsThatAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  simulator.Fault
		status int
		check  func(*answer, []byte) bool
	}{
		{simulator.Fault{Kind: simulator.FaultLimit, Delay: time.Second}, 429, func(r *answer, _ []byte) bool {
			next, err := time.Parse(time.RFC3339, r.Header.Get("X-RateLimit-Next"))
			return err == nil && time.Until(next) < 2*time.Second
		}},
		{simulator.Fault{Kind: simulator.FaultLimit, Advice: simulator.AdviseRetryAfter}, 429, func(r *answer, _ []byte) bool { return r.Header.Get("Retry-After") == "1" }},
		{simulator.Fault{Kind: simulator.FaultLimit, Advice: simulator.AdviseNothing}, 429, func(r *answer, _ []byte) bool {
			return r.Header.Get("Retry-After")+r.Header.Get("X-RateLimit-Next") == ""
		}},
		{simulator.Fault{Kind: simulator.FaultServerError, Status: 502}, 502, nil},
		{simulator.Fault{Kind: simulator.FaultHTML}, 200, func(_ *answer, b []byte) bool { return strings.HasPrefix(string(b), "<!DOCTYPE html>") }},
		{simulator.Fault{Kind: simulator.FaultRedirect, Location: "https://127.0.0.1:1"}, 302, func(r *answer, _ []byte) bool {
			return r.Header.Get("Location") == "https://127.0.0.1:1/cloudlets/v3/policies"
		}},
		{simulator.Fault{Kind: simulator.FaultRefused}, 401, nil},
	} {
		c.fault.Max, c.fault.Methods = 1, []string{http.MethodPost}
		a, log := faulty(t, c.fault)
		resp, text, err := a.do(http.MethodPost, v3+"/policies", newPolicy)
		if err != nil || resp.StatusCode != c.status || c.check != nil && !c.check(resp, text) {
			t.Errorf("%s: %v %v %s", c.fault.Kind, err, resp, text)
		}
		if n := a.policies(); n != 0 {
			t.Errorf("%s took effect", c.fault.Kind)
		}
		a.post(http.StatusCreated, v3+"/policies", newPolicy)
		if first := log()[0]; first.Fault != c.fault.Kind || first.Status != c.status || first.Method != http.MethodPost || first.Bytes != int64(len(text)) {
			t.Errorf("%s is logged as %+v", c.fault.Kind, first)
		}
		if n := a.server.FaultHits(c.fault.Kind); n != 1 {
			t.Errorf("%s was injected %d times", c.fault.Kind, n)
		}
	}
}

func TestFaultsThatCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   simulator.FaultKind
		effect int
		check  func(*answer, []byte, error) bool
	}{
		{simulator.FaultResetBefore, 0, func(_ *answer, _ []byte, err error) bool {
			return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
		}},
		{simulator.FaultResetAfter, 1, func(_ *answer, _ []byte, err error) bool {
			return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
		}},
		{simulator.FaultCutBody, 1, func(r *answer, b []byte, err error) bool {
			return errors.Is(err, io.ErrUnexpectedEOF) && int64(len(b)) < r.ContentLength && len(b) > 0
		}},
		{simulator.FaultCutJSON, 1, func(r *answer, b []byte, err error) bool {
			return err == nil && int64(len(b)) == r.ContentLength && !strings.HasSuffix(string(b), "}")
		}},
	} {
		a, _ := faulty(t, simulator.Fault{Kind: c.kind, Max: 1})
		resp, text, err := a.do(http.MethodPost, v3+"/policies", newPolicy)
		if !c.check(resp, text, err) {
			t.Errorf("%s: %v %v %s", c.kind, err, resp, text)
		}
		if n := a.policies(); n != c.effect {
			t.Errorf("%s: %d policies, want %d", c.kind, n, c.effect)
		}
	}
}

func TestFaultsThatTakeTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault simulator.Fault
		least time.Duration
		cut   bool
	}{
		{simulator.Fault{Kind: simulator.FaultLatency, Delay: 50 * time.Millisecond, Jitter: 5 * time.Millisecond}, 50 * time.Millisecond, false},
		{simulator.Fault{Kind: simulator.FaultStallHeader, Delay: 50 * time.Millisecond}, 50 * time.Millisecond, false},
		{simulator.Fault{Kind: simulator.FaultSlowBody, Delay: 10 * time.Millisecond}, 80 * time.Millisecond, false},
		{simulator.Fault{Kind: simulator.FaultStallBody, Delay: 50 * time.Millisecond}, 50 * time.Millisecond, false},
	} {
		a, log := faulty(t, c.fault)
		begin := time.Now()
		text := a.get(v2 + "/group-info")
		if took := time.Since(begin); took < c.least || size(t, text) != 2 {
			t.Errorf("%s took %s, want %s: %s", c.fault.Kind, took, c.least, text)
		}
		if first := log()[0]; first.Fault != c.fault.Kind {
			t.Errorf("%s is logged as %+v", c.fault.Kind, first)
		}
	}
}

// A stall without a delay lasts until the client goes away or the server is closed.
func TestStallsEndWithTheClient(t *testing.T) {
	t.Parallel()
	for _, kind := range []simulator.FaultKind{simulator.FaultStallHeader, simulator.FaultStallBody} {
		a, _ := faulty(t, simulator.Fault{Kind: kind, Skip: 1})
		a.get(v2 + "/group-info") // the connection stands
		a.client.Timeout = 50 * time.Millisecond
		if _, _, err := a.do(http.MethodGet, v2+"/group-info", ""); err == nil {
			t.Errorf("%s was answered whole", kind)
		}
		a.client.Timeout = 0
		a.server.SetFaults()
		a.get(v2 + "/group-info")
	}
	a, _ := faulty(t, simulator.Fault{Kind: simulator.FaultStallHeader})
	done := make(chan error)
	go func() {
		_, _, err := a.do(http.MethodGet, v2+"/group-info", "")
		done <- err
	}()
	for a.server.FaultHits(simulator.FaultStallHeader) == 0 {
		select {
		case err := <-done:
			t.Fatalf("answered: %v", err)
		default:
		}
	}
	if err := a.listener.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-done; err == nil {
		t.Error("a stalled request was answered when the server closed")
	}
}

func TestLateEffect(t *testing.T) {
	t.Parallel()
	a, _ := faulty(t, simulator.Fault{Kind: simulator.FaultLateEffect, Delay: 200 * time.Millisecond, Max: 1, Methods: []string{http.MethodPost}})
	a.post(http.StatusGatewayTimeout, v3+"/policies", newPolicy)
	if n := a.policies(); n != 0 {
		t.Error("the effect was not late")
	}
	for begin := time.Now(); a.policies() == 0; {
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the effect never came")
		}
	}
}

func TestFaultLimitsAndSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		a := start(t, simulator.Options{Account: empty(), Seed: seed, ListHeaders: simulator.Never, Faults: []simulator.Fault{
			{Kind: simulator.FaultServerError, Probability: 0.3, Methods: []string{http.MethodGet}, Path: "group-info", Skip: 5, Max: 8},
		}})
		var out strings.Builder
		for range 60 {
			resp, _, err := a.do(http.MethodGet, v2+"/group-info", "")
			if err != nil {
				t.Fatal(err)
			}
			out.WriteByte(map[bool]byte{true: '.', false: 'x'}[resp.StatusCode == http.StatusOK])
			a.get(v2 + "/cloudlet-info")
		}
		return out.String()
	}
	first := run(7)
	if first != run(7) {
		t.Error("the same seed gives other faults")
	}
	if first == run(8) {
		t.Error("another seed gives the same faults")
	}
	if !strings.HasPrefix(first, ".....") || strings.Count(first, "x") > 8 || strings.Count(first, "x") < 3 {
		t.Errorf("faults are %s", first)
	}
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	f, err := simulator.ParseFault("reset-after:0.1,method=post|put,path=/v3/,max=3,skip=2,delay=20ms,jitter=1ms,status=500,location=https://x,advice=none")
	if err != nil || f.Kind != simulator.FaultResetAfter || f.Probability != 0.1 || strings.Join(f.Methods, " ") != "POST PUT" || f.Path != "/v3/" ||
		f.Max != 3 || f.Skip != 2 || f.Delay != 20*time.Millisecond || f.Jitter != time.Millisecond || f.Status != 500 ||
		f.Location != "https://x" || f.Advice != simulator.AdviseNothing {
		t.Errorf("%+v %v", f, err)
	}
	for _, bad := range []string{"", "nothing", "5xx:2", "5xx:x", "5xx,max=x", "5xx,colour=red", "5xx,delay=fast"} {
		if f, err := simulator.ParseFault(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, f)
		}
	}
}

func TestHooksRunBeforeTheNthRequest(t *testing.T) {
	t.Parallel()
	account := empty()
	a := start(t, simulator.Options{Account: account})
	a.server.Before(2, "GET /cloudlets/v3/policies", func() {
		if _, err := account.AddPolicy(simulator.NewPolicy{Shared: true, Type: "ER", Group: 5, Name: "hooked"}); err != nil {
			t.Error(err)
		}
	})
	a.get(v2 + "/policies")
	for i, want := range []int{0, 1, 1} {
		if n := a.policies(); n != want {
			t.Errorf("request %d sees %d policies, want %d", i+1, n, want)
		}
	}
}
