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

// send carries one request through its fault to its answer, and tells Access.
func (s *Server) send(w http.ResponseWriter, r *http.Request, c *call, f picked, answer func() *reply) {
	seen := Request{Method: c.method, Path: c.target, Fault: f.Kind, Time: c.now}
	if f.latency > 0 && f.Kind == FaultNone {
		seen.Fault = FaultLatency
	}
	counted := &countingWriter{ResponseWriter: w}
	defer func() {
		seen.Status, seen.Bytes = counted.status, counted.bytes
		if s.opt.Access != nil {
			s.opt.Access(seen)
		}
	}()
	if f.latency > 0 && !s.wait(r.Context(), f.latency) {
		return
	}
	if f.Kind == FaultResetBefore {
		reset(w)
		return
	}
	out := s.instead(c, f)
	switch {
	case out == nil:
		out = answer()
	case f.Kind == FaultLateEffect:
		s.later(f.Delay, answer)
	}
	s.deliver(r.Context(), counted, c, f, out)
}

// later gives the answer's effect after a delay. Nobody reads the answer.
func (s *Server) later(delay time.Duration, answer func() *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.work.Go(func() {
		if s.wait(context.Background(), delay) {
			answer()
		}
	})
}

// deliver writes the answer, or as much of it as the fault leaves.
func (s *Server) deliver(ctx context.Context, w *countingWriter, c *call, f picked, out *reply) {
	length := out.body.size()
	var err error
	switch f.Kind { //nolint:exhaustive // the others have no influence on how an answer is written
	case FaultResetAfter:
		reset(w.ResponseWriter)
		return
	case FaultStallHeader:
		if !s.stall(ctx, f.Delay) {
			panic(http.ErrAbortHandler)
		}
		err = s.write(w, c, out, length, out.body.writeTo)
	case FaultCutBody:
		err = s.write(w, c, out, length, func(b io.Writer) error { return cut(b, out.body, length/2) })
	case FaultCutJSON:
		half := length / 2
		err = s.write(w, c, out, half, func(b io.Writer) error {
			if err := cut(b, out.body, half); !errors.Is(err, errCut) {
				return err
			}
			return nil
		})
		if errors.Is(err, errCut) {
			err = nil
		}
	case FaultSlowBody, FaultStallBody:
		err = s.write(w, c, out, length, func(io.Writer) error { return s.drip(ctx, w, f, out.body.joined()) })
	default:
		err = s.write(w, c, out, length, out.body.writeTo)
	}
	if err != nil {
		w.flush()
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
func (s *Server) drip(ctx context.Context, w *countingWriter, f picked, body []byte) error {
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
		w.flush()
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

// countingWriter remembers what was sent.
type countingWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *countingWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

func (w *countingWriter) flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }
