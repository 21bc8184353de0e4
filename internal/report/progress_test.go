package report_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cloudletmig/internal/job"
	"cloudletmig/internal/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is a bytes.Buffer for many goroutines.
type stream struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// run tells p of a run that is half through: one list of 10 policies, 5 of them done with 4 versions each, all of those
// done but one that failed.
func run(p *report.Progress) {
	p.Watch(job.Event{Kind: job.Began})
	p.Watch(job.Event{Kind: job.Found, Count: 1})
	p.Watch(job.Event{Kind: job.Finished})
	p.Watch(job.Event{Kind: job.Found, Depth: 1, Count: 10})
	for range 5 {
		p.Watch(job.Event{Kind: job.Found, Depth: 2, Count: 4})
		p.Watch(job.Event{Kind: job.Finished, Depth: 1})
	}
	for range 19 {
		p.Watch(job.Event{Kind: job.Finished, Depth: 2})
	}
	p.Watch(job.Event{Kind: job.Failed, Depth: 2, Key: "legacy/1/versions/1", Err: errors.New("no")})
}

func TestLinesExpectWhatIsStillToBeFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out stream
		p := report.Start(report.Options{Out: &out, Mode: report.Lines, What: "export", Slowed: func() string { return "waiting" }})
		run(p)
		time.Sleep(6 * time.Second)
		p.Stop()
		// 26 are done; 5 policies are left, which stand for 1 + 4 items each: 25.
		if want := "export: 26 of about 51 items, 5/s, about 5s left, 1 failed, waiting\n"; out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}

func TestEventsTellOfFailuresAtOnce(t *testing.T) {
	var out stream
	p := report.Start(report.Options{Out: &out, Mode: report.Events, What: "export"})
	run(p)
	p.Stop()
	if got := out.String(); !strings.Contains(got, `"event":"failed"`) || !strings.Contains(got, `"item":"legacy/1/versions/1"`) || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func TestBarGivesWayToTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out stream
		p := report.Start(report.Options{Out: &out, Mode: report.Bar, What: "export"})
		run(p)
		time.Sleep(time.Second)
		if _, err := p.Write([]byte("a line of the log\n")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		p.Stop()
		got := out.String()
		if !strings.Contains(got, "26/51") || !strings.Contains(got, "1 failed") || !strings.Contains(got, "a line of the log\n") {
			t.Errorf("the bar shows %q", got)
		}
	})
}
