package simulator

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server answers as the Cloudlets API does. It is an http.Handler and safe for concurrent use.
type Server struct {
	opt     Options
	account *Account
	routes  []route
	guard   *guard
	limits  *limiter
	buffers sync.Pool

	mu     sync.Mutex // below
	random *rand.Rand
	faults []*fault
	hooks  []*hook
	closed bool

	done chan struct{}
	work sync.WaitGroup
}

type hook struct {
	part string
	left int
	run  func()
}

// New makes a server. Close it when late effects may be under way.
func New(opt Options) *Server {
	opt = opt.filled()
	s := &Server{
		opt: opt, account: opt.Account, guard: newGuard(opt), limits: newLimiter(opt.Limits),
		random: rand.New(rand.NewPCG(opt.Seed, 1)), done: make(chan struct{}),
		buffers: sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }},
	}
	s.routes = s.table()
	s.SetFaults(opt.Faults...)
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	s.account.clock = opt.Clock
	if opt.User != "" {
		s.account.user = opt.User
	}
	return s
}

// Account is what the server serves.
func (s *Server) Account() *Account { return s.account }

// Before runs f once, just before the n-th request from now whose method, space, path and query contain part is
// answered. f may change the account; the request waits for it.
func (s *Server) Before(n int, part string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, &hook{part: part, left: n, run: f})
}

// Close ends all waiting faults, drops late effects that are not yet due, refuses further requests and waits for those
// under way. Close the HTTP server in front of it first; Listener.Close does both.
func (s *Server) Close() {
	s.stop()
	s.work.Wait()
}

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
}

// enter counts a request in, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.work.Add(1)
	}
	return !s.closed
}

type apiKind int

const (
	apiLegacy apiKind = iota
	apiShared
)

// call is one request on its way through the simulator.
type call struct {
	api    apiKind
	method string
	host   string
	path   string // as received
	target string // path and query as received
	args   []string
	query  url.Values
	body   []byte
	now    time.Time
}

// reply is one answer. A nil header and media are fine.
type reply struct {
	status int
	header http.Header
	media  string
	body   chunks
}

func ok(body ...[]byte) *reply { return &reply{status: http.StatusOK, body: body} }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		panic(http.ErrAbortHandler)
	}
	defer s.work.Done()
	c := &call{
		method: r.Method, host: r.Host, path: r.URL.EscapedPath(), target: r.URL.EscapedPath(),
		query: r.URL.Query(), now: s.opt.Clock(),
	}
	if r.URL.RawQuery != "" {
		c.target += "?" + r.URL.RawQuery
	}
	if strings.HasPrefix(c.path, "/cloudlets/v3") {
		c.api = apiShared
	}
	body, tooBig, err := readBody(w, r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	c.body = body
	s.runHooks(c)
	answer := func() *reply { return s.answer(c, r.Header.Get("Authorization"), tooBig) }
	s.send(w, r, c, s.pick(c), answer)
}

// readBody reads what is sent, up to one byte more than the API takes.
func readBody(w http.ResponseWriter, r *http.Request) (body []byte, tooBig bool, err error) {
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, big := errors.AsType[*http.MaxBytesError](err); big {
		return nil, true, nil
	}
	return body, false, err
}

func (s *Server) runHooks(c *call) {
	var due []func()
	s.mu.Lock()
	line := c.method + " " + c.target
	kept := s.hooks[:0]
	for _, h := range s.hooks {
		if strings.Contains(line, h.part) {
			h.left--
		}
		if h.left <= 0 {
			due = append(due, h.run)
			continue
		}
		kept = append(kept, h)
	}
	s.hooks = kept
	s.mu.Unlock()
	for _, run := range due {
		run()
	}
}

// answer makes the whole answer, with its effect.
func (s *Server) answer(c *call, authorization string, tooBig bool) *reply {
	out, err := s.decide(c, authorization, tooBig)
	var p *problem
	switch {
	case errors.As(err, &p):
		out = p.answer(c, s.instance())
	case err != nil:
		p = &problem{status: http.StatusInternalServerError, title: "Internal server error", detail: err.Error()}
		out = p.answer(c, s.instance())
	}
	return out
}

func (s *Server) decide(c *call, authorization string, tooBig bool) (*reply, error) {
	if tooBig {
		return nil, &problem{
			status: http.StatusRequestEntityTooLarge, kind: "request-too-large", title: "Request Entity Too Large",
			detail: fmt.Sprintf("The maximum body size is %d bytes", maxBody),
		}
	}
	if err := s.guard.check(c, authorization); err != nil {
		return nil, err
	}
	if err := s.absent(c); err != nil {
		return nil, err
	}
	return s.dispatch(c)
}

// absent refuses what the account has no access to at all.
func (s *Server) absent(c *call) error {
	part := "v2"
	if c.api == apiShared {
		part = "v3"
	}
	status := s.opt.Absent[part]
	if status == 0 && strings.HasPrefix(c.path, "/cloudlets/api/v2/origins") {
		status = s.opt.Absent["origins"]
	}
	switch status {
	case 0:
		return nil
	case http.StatusNotFound:
		return notFound("The requested resource was not found")
	default:
		p := denied("You don't have access to this API")
		p.status = status
		return p
	}
}

// instance is a new identifier in the form of a UUID.
func (s *Server) instance() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, b := s.random.Uint64(), s.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}

// chance is true with probability p.
func (s *Server) chance(p float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64() < p
}

func (s *Server) write(w http.ResponseWriter, c *call, out *reply, length int64, body func(io.Writer) error) error {
	h := w.Header()
	maps.Copy(h, out.header)
	h.Set("Date", c.now.UTC().Format(http.TimeFormat))
	if out.status != http.StatusNoContent {
		media := out.media
		if media == "" {
			media = "application/json"
		}
		h.Set("Content-Type", media)
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(out.status)
	if out.status == http.StatusNoContent {
		return nil
	}
	buffer, isWriter := s.buffers.Get().(*bufio.Writer)
	if !isWriter {
		return errors.New("take buffer: foreign value in the pool")
	}
	defer s.buffers.Put(buffer)
	buffer.Reset(w)
	if err := body(buffer); err != nil {
		return err
	}
	return buffer.Flush()
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
