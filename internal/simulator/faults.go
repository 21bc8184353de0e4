package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind names a fault in the words of the command line.
type FaultKind string

// The faults, and whether the operation takes effect all the same.
const (
	FaultNone        FaultKind = ""
	FaultLatency     FaultKind = "latency"      // wait for Delay plus up to Jitter, then go on; adds to any other fault
	FaultLimit       FaultKind = "429"          // no effect; headers as Advice says
	FaultServerError FaultKind = "5xx"          // no effect; Status, 503 when 0
	FaultResetBefore FaultKind = "reset-before" // no effect; the connection is reset
	FaultResetAfter  FaultKind = "reset-after"  // effect; the connection is reset
	FaultCutBody     FaultKind = "cut-body"     // effect; the connection ends before the body does
	FaultCutJSON     FaultKind = "cut-json"     // effect; the body ends too early and Content-Length agrees
	FaultStallHeader FaultKind = "stall-header" // effect; nothing is answered for Delay, until the client goes when 0
	FaultSlowBody    FaultKind = "slow-body"    // effect; eight pieces with Delay before each
	FaultStallBody   FaultKind = "stall-body"   // effect; half of the body, then nothing for Delay, until the client goes when 0
	FaultHTML        FaultKind = "html"         // no effect; an HTML page, with Status 200 when 0
	FaultLateEffect  FaultKind = "late-effect"  // effect after Delay; Status, 504 when 0, at once
	FaultRedirect    FaultKind = "redirect"     // no effect; 302 to Location and the path and query
	FaultRefused     FaultKind = "401"          // no effect; "The signature does not match"
)

// Fault is one thing that goes wrong, with a probability, for the requests it fits.
type Fault struct {
	Kind        FaultKind
	Probability float64  // 0 means always
	Methods     []string // nil: all
	Path        string   // a part of path and query as received; empty: all
	Skip        int      // so many fitting requests go unharmed first
	Max         int      // 0: no bound
	Delay       time.Duration
	Jitter      time.Duration
	Status      int
	Location    string // scheme and host of FaultRedirect
	Advice      Advice // of FaultLimit
}

// Advice says how a 429 tells the caller when to come back; the wait is the fault's Delay.
type Advice string

// The ways to advise.
const (
	AdviseNext       Advice = ""            // X-RateLimit-Next
	AdviseRetryAfter Advice = "retry-after" // Retry-After in whole seconds, at least one
	AdviseNothing    Advice = "none"
)

// fault is a Fault with what has happened to it.
type fault struct {
	Fault
	fits, hits int
}

// SetFaults replaces all faults.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, f := range faults {
		s.faults = append(s.faults, &fault{Fault: f})
	}
}

// FaultHits is the number of times that faults of a kind were injected since SetFaults.
func (s *Server) FaultHits(kind FaultKind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.faults {
		if f.Kind == kind {
			n += f.hits
		}
	}
	return n
}

// picked is what goes wrong with one request.
type picked struct {
	Fault
	latency time.Duration
}

// pick throws the dice for one request: every latency that fits, and the first other fault that does.
func (s *Server) pick(c *call) picked {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out picked
	for _, f := range s.faults {
		if f.Kind != FaultLatency && out.Kind != FaultNone || !f.matches(c) {
			continue
		}
		f.fits++
		if f.fits <= f.Skip || f.Max > 0 && f.hits >= f.Max ||
			f.Probability > 0 && s.random.Float64() >= f.Probability {
			continue
		}
		f.hits++
		if f.Kind == FaultLatency {
			out.latency += f.Delay
			if f.Jitter > 0 {
				out.latency += time.Duration(s.random.Int64N(int64(f.Jitter)))
			}
			continue
		}
		out.Fault = f.Fault
	}
	return out
}

func (f *fault) matches(c *call) bool {
	return (len(f.Methods) == 0 || slices.Contains(f.Methods, c.method)) && strings.Contains(c.target, f.Path)
}

// ParseFault reads "KIND[:PROBABILITY][,name=value...]" with the names method (values joined by |), path, skip, max,
// delay, jitter, status, location and advice: "reset-after:0.1,method=POST|PUT,path=/v3/,max=3".
func ParseFault(text string) (Fault, error) {
	fields := strings.Split(text, ",")
	kind, probability, given := strings.Cut(fields[0], ":")
	f := Fault{Kind: FaultKind(kind)}
	if !slices.Contains(FaultKinds(), f.Kind) {
		return Fault{}, fmt.Errorf("read fault %q: unknown kind %q", text, kind)
	}
	if given {
		p, err := strconv.ParseFloat(probability, 64)
		if err != nil || p <= 0 || p > 1 {
			return Fault{}, fmt.Errorf("read fault %q: probability %q is not above 0 and up to 1", text, probability)
		}
		f.Probability = p
	}
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		if err := f.set(name, value); err != nil {
			return Fault{}, fmt.Errorf("read fault %q: %w", text, err)
		}
	}
	return f, nil
}

func (f *Fault) set(name, value string) (err error) {
	switch name {
	case "method":
		f.Methods = strings.Split(strings.ToUpper(value), "|")
	case "path":
		f.Path = value
	case "location":
		f.Location = value
	case "advice":
		f.Advice = Advice(value)
	case "skip":
		f.Skip, err = strconv.Atoi(value)
	case "max":
		f.Max, err = strconv.Atoi(value)
	case "status":
		f.Status, err = strconv.Atoi(value)
	case "delay":
		f.Delay, err = time.ParseDuration(value)
	case "jitter":
		f.Jitter, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("unknown name %q", name)
	}
	return err
}

// FaultKinds are all kinds, in the order of their documentation.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultLatency, FaultLimit, FaultServerError, FaultResetBefore, FaultResetAfter, FaultCutBody, FaultCutJSON,
		FaultStallHeader, FaultSlowBody, FaultStallBody, FaultHTML, FaultLateEffect, FaultRedirect, FaultRefused,
	}
}

// instead is the answer of a fault that keeps the operation from running now, or nil.
func (s *Server) instead(c *call, f picked) *reply {
	or := func(usual int) int {
		if f.Status != 0 {
			return f.Status
		}
		return usual
	}
	switch f.Kind { //nolint:exhaustive // the others do not replace the answer
	case FaultLimit:
		p := tooManyRequests()
		p.header = f.advice(c.now)
		return p.answer(c, s.instance())
	case FaultServerError, FaultLateEffect:
		status := or(http.StatusServiceUnavailable)
		if f.Kind == FaultLateEffect {
			status = or(http.StatusGatewayTimeout)
		}
		p := &problem{status: status, kind: "internal-server-error", title: http.StatusText(status), detail: "There is a problem processing your request"}
		return p.answer(c, s.instance())
	case FaultHTML:
		return &reply{
			status: or(http.StatusOK), media: "text/html",
			body: chunks{[]byte("<!DOCTYPE html><html><head><title>Access Denied</title></head><body>Reference #18.2f1</body></html>\n")},
		}
	case FaultRedirect:
		return &reply{
			status: or(http.StatusFound), header: http.Header{"Location": {f.Location + c.target}}, media: "text/html",
			body: chunks{[]byte("moved\n")},
		}
	case FaultRefused:
		return unauthorized("The signature does not match").answer(c, s.instance())
	default:
		return nil
	}
}

func (f Fault) advice(now time.Time) http.Header {
	switch f.Advice {
	case AdviseRetryAfter:
		seconds := max(1, int((f.Delay+time.Second-1)/time.Second))
		return http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	case AdviseNothing:
		return nil
	case AdviseNext:
		fallthrough
	default:
		return http.Header{"X-Ratelimit-Next": {isoTime(now.Add(f.Delay))}, "X-Ratelimit-Remaining": {"0"}}
	}
}
