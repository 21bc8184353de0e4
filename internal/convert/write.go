package convert

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/chunkset"
)

const (
	blockBytes = 32 << 10 // how much of a chunk's rules is handed on at once
	finishing  = 8        // how many chunks are synced to the disk at a time
	waveChunks = 512      // how many chunks' files are open at once
	maxChunks  = 60000    // how many chunks there can be (placed has two bytes for each)
)

// block is some rules of one chunk, on their way to its file.
type block struct {
	text []byte
	ends []int
}

// chunkWriting sends rules, in their order, to those of some chunks that they are in; every chunk has a writer of its own.
type chunkWriting struct {
	c       *conversion
	ctx     context.Context //nolint:containedctx // of the writers, which end together
	first   int             // the chunk of the first stream
	streams []chan *block
	blocks  []*block
	free    sync.Pool
	finish  chan struct{}
	failed  error // why the streams ended early; set before they are closed
}

// write makes the files of the chunks, and what leads to them. For every wave of chunks the rows are read once, from the
// first to the last.
func (c *conversion) write(ctx context.Context) error {
	n := len(c.plan.chunks)
	if n > maxChunks {
		return unusable("let hosts share policies (--split hash), or convert in parts", "%d policies would be needed, and %d can be written at most", n, maxChunks)
	}
	c.report.Chunks = make([]chunkset.ReportChunk, n)
	c.placed = newPlaced(c.total(), c.plan.chunks)
	for first := 0; first < n; first += waveChunks {
		if err := c.writeWave(ctx, first, min(first+waveChunks, n)); err != nil {
			return err
		}
	}
	if err := c.out.JSON(chunkset.DispatchFile, c.dispatch); err != nil {
		return err
	}
	return c.out.File(chunkset.PropertyFile, func(to io.Writer) error {
		_, err := to.Write(chunkset.PropertyRules(c.dispatch, c.options.API))
		return err
	})
}

// writeWave writes the files of chunks first to behind-1.
func (c *conversion) writeWave(ctx context.Context, first, behind int) error {
	group, ctx := errgroup.WithContext(ctx)
	w := &chunkWriting{c: c, ctx: ctx, first: first, blocks: make([]*block, behind-first), finish: make(chan struct{}, finishing)}
	w.free.New = func() any { return new(block) }
	for range behind - first {
		w.streams = append(w.streams, make(chan *block, 1))
	}
	for i := first; i < behind; i++ {
		group.Go(func() error { return w.chunk(i) })
	}
	group.Go(w.feed)
	err := group.Wait()
	if w.failed != nil && !errors.Is(w.failed, context.Canceled) {
		return w.failed // and not what a chunk made of it
	}
	return err
}

// feed sends all rules to their chunks, and ends the streams.
func (w *chunkWriting) feed() error {
	w.failed = w.sendAll()
	for _, s := range w.streams {
		close(s)
	}
	return w.failed
}

func (w *chunkWriting) sendAll() error {
	c := w.c
	if err := w.sendExisting(0, c.options.Before); err != nil {
		return err
	}
	err := again(w.ctx, c, mark.out, w.texts, w.sendTexts)
	if err == nil {
		err = w.sendExisting(len(c.options.Before)+len(c.marks), c.options.After)
	}
	if err != nil {
		return err
	}
	for i, b := range w.blocks {
		if b != nil {
			if err := w.hand(i, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// ruleTexts are the texts of some rules.
type ruleTexts struct {
	block
	misread []string // how a parser reads each otherwise than it is meant; none when nothing is proved
}

// texts is a worker that writes rules. What is to be proved is read back.
func (w *chunkWriting) texts() func(*span[ruleTexts]) error {
	c := w.c
	check := !c.options.NoProof && w.first == 0
	return func(s *span[ruleTexts]) error {
		t := &s.result
		t.text, t.ends, t.misread = t.text[:0], t.ends[:0], t.misread[:0]
		for i := range s.items {
			it := &s.items[i]
			rule := &it.entry.rule
			rule.Name = c.names.of(it.row, rule.Name, it.line)
			begin := len(t.text)
			t.text = rule.AppendJSON(t.text)
			t.ends = append(t.ends, len(t.text))
			if check {
				c.placed.sums[c.id(it.row)] = maphash.Bytes(c.seed, t.text[begin:])
				t.misread = append(t.misread, misread(rule, t.text[begin:]))
			}
		}
		return nil
	}
}

func (w *chunkWriting) sendTexts(s *span[ruleTexts]) error {
	begin := 0
	for i, end := range s.result.ends {
		id := w.c.id(s.items[i].row)
		if len(s.result.misread) > 0 && s.result.misread[i] != "" {
			w.c.placed.misread[id] = s.result.misread[i]
		}
		if err := w.send(id, s.result.text[begin:end]); err != nil {
			return err
		}
		begin = end
	}
	return nil
}

func (w *chunkWriting) sendExisting(first int, rules []Existing) error {
	for i := range rules {
		id, e := uint32(first+i), &rules[i]
		if !w.c.options.NoProof && w.first == 0 {
			w.c.placed.sums[id] = maphash.Bytes(w.c.seed, e.Raw)
			if text := misread(&e.Rule, e.Raw); text != "" {
				w.c.placed.misread[id] = text
			}
		}
		if err := w.send(id, e.Raw); err != nil {
			return err
		}
	}
	return nil
}

// send sends one rule to its chunks.
func (w *chunkWriting) send(id uint32, text []byte) error {
	if home := w.c.placed.home[id]; home != inSeveral {
		return w.sendTo(int(home), text)
	}
	for _, home := range w.c.placed.homes[id] {
		if err := w.sendTo(int(home), text); err != nil {
			return err
		}
	}
	return nil
}

// sendTo sends one rule to one chunk, if that is of this wave.
func (w *chunkWriting) sendTo(chunk int, text []byte) error {
	at := chunk - w.first
	if at < 0 || at >= len(w.streams) {
		return nil
	}
	b := w.blocks[at]
	if b == nil {
		b, _ = w.free.Get().(*block)
		b.text, b.ends = b.text[:0], b.ends[:0]
		w.blocks[at] = b
	}
	b.text = append(b.text, text...)
	b.ends = append(b.ends, len(b.text))
	if len(b.text) < blockBytes {
		return nil
	}
	w.blocks[at] = nil
	return w.hand(at, b)
}

// hand gives a block to the writer of a stream.
func (w *chunkWriting) hand(at int, b *block) error {
	select {
	case w.streams[at] <- b:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// rules gives the rules of a stream as they come. What it gives is good until it gives the next. At their end it takes
// its turn to finish, and says so in finishes; whoever is told gives it back.
func (w *chunkWriting) rules(at int, finishes *bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for b := range w.streams[at] {
			begin := 0
			for _, end := range b.ends {
				if !yield(b.text[begin:end], nil) {
					return
				}
				begin = end
			}
			w.free.Put(b)
		}
		if w.failed != nil { // that was not the end
			yield(nil, w.failed)
			return
		}
		select {
		case w.finish <- struct{}{}: // what is left to do is to sync
			*finishes = true
		case <-w.ctx.Done():
			yield(nil, w.ctx.Err())
		}
	}
}

// chunk writes one chunk's file.
func (w *chunkWriting) chunk(i int) error {
	c, p := w.c, &w.c.plan.chunks[i]
	finishes := false
	written, err := c.out.Chunk(p.chunk.File, c.describe(p), w.rules(i-w.first, &finishes))
	if finishes {
		<-w.finish
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", p.chunk.File, err)
	}
	if written.Rules != len(p.ids) {
		return fmt.Errorf("write %s: %d rules of %d", p.chunk.File, written.Rules, len(p.ids))
	}
	r := chunkset.ReportChunk{File: p.chunk.File, Policy: p.chunk.Policy, Rules: written.Rules, Bytes: written.Bytes, SHA256: written.SHA256}
	for _, id := range p.ids {
		switch _, own := c.rowOf(id); {
		case !own:
			r.Existing++
		case c.isRepeated(id):
			r.Repeated++
		default:
			r.Own++
		}
	}
	c.report.Chunks[i] = r
	return nil
}

// describe is the description of a chunk's policy version.
func (c *conversion) describe(p *planned) string {
	switch ch := p.chunk; {
	case c.dispatch.Kind == chunkset.Single:
		return "Redirects " + c.options.Name
	case c.dispatch.Kind == chunkset.Sequence:
		return "Redirects " + ch.Policy
	case ch.OtherHosts && ch.Of > 1:
		return fmt.Sprintf("Redirects %s, other hosts, bucket %d of %d", c.options.Name, ch.Bucket, ch.Of)
	case ch.OtherHosts:
		return fmt.Sprintf("Redirects %s, other hosts", c.options.Name)
	case ch.Of == 1:
		return fmt.Sprintf("Redirects %s, %d hosts", c.options.Name, len(ch.Hosts))
	default:
		return fmt.Sprintf("Redirects %s, bucket %d of %d", c.options.Name, ch.Bucket, ch.Of)
	}
}
