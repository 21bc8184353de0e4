package simulator

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// errCut ends a body early on purpose.
var errCut = errors.New("body cut")

// send carries one request through its fault to its answer, and tells Access just before anything is sent.
func (s *Server) send(w http.ResponseWriter, r *http.Request, c *call, f picked, answer func() *reply) {
	seen := Request{Method: c.method, Path: c.target, Fault: f.Kind, Time: c.now}
	if f.latency > 0 && f.Kind == FaultNone {
		seen.Fault = FaultLatency
	}
	tell := func(status int, bytes int64) {
		seen.Status, seen.Bytes = status, bytes
		if s.opt.Access != nil {
			s.opt.Access(seen)
		}
	}
	if f.latency > 0 && !s.wait(r.Context(), f.latency) {
		tell(0, 0)
		return
	}
	if f.Kind == FaultResetBefore {
		tell(0, 0)
		reset(w)
		return
	}
	out := s.instead(c, f)
	switch {
	case out == nil:
		out = answer()
	case f.Kind == FaultLateEffect:
		s.later(context.WithoutCancel(r.Context()), f.Delay, answer)
	}
	s.deliver(r.Context(), w, c, f, out, tell)
}

// later gives the answer's effect after a delay. Nobody reads the answer.
func (s *Server) later(ctx context.Context, delay time.Duration, answer func() *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.work.Go(func() {
		if s.wait(ctx, delay) {
			answer()
		}
	})
}

// deliver writes the answer, or as much of it as the fault leaves.
func (s *Server) deliver(ctx context.Context, w http.ResponseWriter, c *call, f picked, out *reply, tell func(int, int64)) {
	length := out.body.size()
	send, announced, sent := out.body.writeTo, length, length
	switch f.Kind { //nolint:exhaustive // the others have no influence on how an answer is written
	case FaultResetAfter:
		tell(0, 0)
		reset(w)
		return
	case FaultStallHeader:
		if !s.stall(ctx, f.Delay) {
			tell(0, 0)
			panic(http.ErrAbortHandler)
		}
	case FaultCutBody:
		sent = length / 2
		send = func(b io.Writer) error { return cut(b, out.body, sent) }
	case FaultCutJSON:
		announced, sent = length/2, length/2
		send = func(b io.Writer) error {
			if err := cut(b, out.body, sent); !errors.Is(err, errCut) {
				return err
			}
			return nil
		}
	case FaultSlowBody, FaultStallBody:
		if f.Kind == FaultStallBody && f.Delay == 0 {
			sent = length / 2
		}
		send = func(io.Writer) error { return s.drip(ctx, w, f, out.body.joined()) }
	}
	tell(out.status, sent)
	if err := s.write(w, c, out, announced, send); err != nil {
		flush(w)
		panic(http.ErrAbortHandler) // the client is gone, or shall see a body that ends early
	}
}

// cut writes the first bytes of a body; errCut says that there were more.
func cut(w io.Writer, body chunks, bytes int64) error {
	for _, piece := range body {
		if int64(len(piece)) > bytes {
			if _, err := w.Write(piece[:bytes]); err != nil {
				return err
			}
			if f, can := w.(interface{ Flush() error }); can {
				if err := f.Flush(); err != nil {
					return err
				}
			}
			return errCut
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		bytes -= int64(len(piece))
	}
	return nil
}

// drip writes a body in eight pieces with a delay before each, or half of it and then nothing until the delay is over.
func (s *Server) drip(ctx context.Context, w http.ResponseWriter, f picked, body []byte) error {
	pieces := 8
	if f.Kind == FaultStallBody {
		pieces = 2
	}
	for i := range pieces {
		if f.Kind == FaultSlowBody && !s.wait(ctx, f.Delay) || f.Kind == FaultStallBody && i == 1 && !s.stall(ctx, f.Delay) {
			return errCut
		}
		if _, err := w.Write(body[len(body)*i/pieces : len(body)*(i+1)/pieces]); err != nil {
			return err
		}
		flush(w)
	}
	return nil
}

// wait is false when the client or the server went away before the time was over.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.done:
		return false
	}
}

// stall waits, for ever when d is 0.
func (s *Server) stall(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		return s.wait(ctx, d)
	}
	select {
	case <-ctx.Done():
	case <-s.done:
	}
	return false
}

// reset cuts the connection so that the client sees a reset, not an orderly end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if secure, is := conn.(interface{ NetConn() net.Conn }); is {
		raw = secure.NetConn()
	}
	if tcp, is := raw.(*net.TCPConn); is {
		_ = tcp.SetLinger(0) // a connection that cannot be told so is closed all the same
	}
	_ = raw.Close() // the point is that it ends
}

func flush(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush() // what cannot be flushed goes out with the rest
}
