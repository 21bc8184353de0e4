// Package report shows people and programs how a run goes and how it ended: a bar on a terminal, plain lines
// elsewhere, JSON lines on demand, and a summary. It only listens; a run does not wait for it.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"cloudletmig/internal/job"
)

// Mode is how progress is shown.
type Mode int

// The modes.
const (
	Silent Mode = iota
	Bar         // a bar that is drawn over again: for a terminal
	Lines       // a plain line now and then
	Events      // a JSON object a line: progress now and then, every failure at once
)

const (
	redraw = 150 * time.Millisecond // how often a bar is drawn
	period = 5 * time.Second        // how often a line is written
)

// Options say where and how progress is shown.
type Options struct {
	Out  io.Writer
	Mode Mode
	What string // what runs: export, verify
	// Slowed gives a few words while the server holds requests back, and "" otherwise. It may be nil.
	Slowed func() string
}

// Progress shows how a run goes. Safe for concurrent use.
type Progress struct {
	opts  Options
	begun time.Time
	bar   *progressbar.ProgressBar
	stop  chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex // of the counts, so that Watch never waits for a terminal
	count counts
	out   sync.Mutex // of what is written
}

// counts are what is known of a run. An item leads to items of the next depth, which are unknown until it is done: the
// levels tell how many that has been so far, and so how many are still to be expected.
type counts struct {
	known, done, failed int
	levels              []level
}

type level struct{ found, done int }

func (c *counts) at(depth int) *level {
	for len(c.levels) <= depth {
		c.levels = append(c.levels, level{})
	}
	return &c.levels[depth]
}

// expected is how many items there will be in all, if what is not done yet leads to as much as what is done has.
func (c *counts) expected() int {
	todo, each := 0.0, 1.0 // items to come; how many one item of this level stands for, itself included
	for depth, l := range slices.Backward(c.levels) {
		todo += float64(l.found-l.done) * each
		leads := 0.0
		if depth > 0 && c.levels[depth-1].done > 0 {
			leads = float64(l.found) / float64(c.levels[depth-1].done)
		}
		each = 1 + leads*each
	}
	return max(c.known, c.done+int(todo))
}

// Start begins to show progress until Stop is called.
func Start(opts Options) *Progress {
	p := &Progress{opts: opts, begun: time.Now(), stop: make(chan struct{})}
	every := period
	switch opts.Mode {
	case Silent:
		return p
	case Bar:
		every = redraw
		p.bar = progressbar.NewOptions64(1,
			progressbar.OptionSetWriter(opts.Out), progressbar.OptionSetDescription(opts.What), progressbar.OptionSetWidth(20),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("items"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth(), progressbar.OptionUseANSICodes(true),
			progressbar.OptionClearOnFinish())
	case Lines, Events:
	}
	p.ended.Go(func() { p.loop(every) })
	return p
}

func (p *Progress) loop(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.show()
		}
	}
}

// Watch takes in one event. It does not block.
func (p *Progress) Watch(e job.Event) {
	p.mu.Lock()
	switch e.Kind {
	case job.Began:
		p.count.levels = nil // reading lists again leads to next to nothing new
	case job.Found:
		p.count.known += e.Count
		p.count.at(e.Depth).found += e.Count
	case job.Finished, job.KeptDone, job.Failed:
		p.count.done++
		p.count.at(e.Depth).done++
		if e.Kind == job.Failed {
			p.count.failed++
		}
	}
	p.mu.Unlock()
	if e.Kind == job.Failed && p.opts.Mode == Events {
		p.event(map[string]any{"event": "failed", "item": e.Key, "error": e.Err.Error()})
	}
}

// Stop ends the display and takes a bar away. It may be called once.
func (p *Progress) Stop() {
	close(p.stop)
	p.ended.Wait()
	if p.bar != nil {
		p.out.Lock()
		defer p.out.Unlock()
		_ = p.bar.Clear() // a terminal that is gone needs no clearing
	}
}

// Write writes lines of a log without tearing a bar apart.
func (p *Progress) Write(line []byte) (int, error) {
	p.out.Lock()
	defer p.out.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear() // it is drawn again at the next tick
	}
	return p.opts.Out.Write(line)
}

func (p *Progress) show() {
	p.mu.Lock()
	c := p.count
	expected := c.expected()
	p.mu.Unlock()
	slowed := ""
	if p.opts.Slowed != nil {
		slowed = p.opts.Slowed()
	}
	switch p.opts.Mode {
	case Silent:
	case Bar:
		p.out.Lock()
		defer p.out.Unlock()
		p.bar.Describe(p.opts.What + c.trouble(slowed))
		p.bar.ChangeMax64(int64(max(expected, 1)))
		_ = p.bar.Set64(int64(c.done)) // nothing to be done about a terminal that is gone
	case Lines:
		_, _ = fmt.Fprintf(p, "%s: %s\n", p.opts.What, c.line(expected, time.Since(p.begun), slowed))
	case Events:
		p.event(map[string]any{
			"event": "progress", "known": c.known, "expected": expected, "done": c.done, "failed": c.failed, "slowed": slowed,
			"seconds": time.Since(p.begun).Seconds(),
		})
	}
}

func (p *Progress) event(fields map[string]any) {
	if line, err := json.Marshal(fields); err == nil {
		_, _ = p.Write(append(line, '\n'))
	}
}

func (c counts) trouble(slowed string) string {
	text := ""
	if c.failed > 0 {
		text += fmt.Sprintf(", %d failed", c.failed)
	}
	if slowed != "" {
		text += ", " + slowed
	}
	return text
}

// line is the progress in words: done of what is expected, how fast, how much longer at that pace.
func (c counts) line(expected int, since time.Duration, slowed string) string {
	rate := float64(c.done) / since.Seconds()
	text := fmt.Sprintf("%d of about %d items, %.0f/s", c.done, expected, rate)
	if rate > 0 && expected > c.done {
		left := time.Duration(float64(expected-c.done) / rate * float64(time.Second))
		text += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return text + c.trouble(slowed)
}
