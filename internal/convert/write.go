package convert

import (
	"context"
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
)

// block is some rules of one chunk, on their way to its file.
type block struct {
	text []byte
	ends []int
}

// chunkWriting sends rules, in their order, to the chunks that they are in; every chunk has a writer of its own.
type chunkWriting struct {
	c       *conversion
	ctx     context.Context //nolint:containedctx // of the writers, which end together
	streams []chan *block
	blocks  []*block
	free    sync.Pool
	finish  chan struct{}
}

// write makes the files of the chunks, and what leads to them. The rows are read once, from the first to the last.
func (c *conversion) write(ctx context.Context) error {
	c.report.Chunks = make([]chunkset.ReportChunk, len(c.plan.chunks))
	group, ctx := errgroup.WithContext(ctx)
	w := c.newWriting(ctx)
	for i := range c.plan.chunks {
		group.Go(func() error { return w.chunk(i) })
	}
	group.Go(w.feed)
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.out.JSON(chunkset.DispatchFile, c.dispatch); err != nil {
		return err
	}
	return c.out.File(chunkset.PropertyFile, func(to io.Writer) error {
		_, err := to.Write(chunkset.PropertyRules(c.dispatch, c.options.API))
		return err
	})
}

func (c *conversion) newWriting(ctx context.Context) *chunkWriting {
	n := len(c.plan.chunks)
	c.placed = newPlaced(c.total(), c.plan.chunks)
	w := &chunkWriting{c: c, ctx: ctx, blocks: make([]*block, n), finish: make(chan struct{}, finishing)}
	w.free.New = func() any { return new(block) }
	for range n {
		w.streams = append(w.streams, make(chan *block, 1))
	}
	return w
}

// feed sends all rules to their chunks.
func (w *chunkWriting) feed() error {
	c := w.c
	defer func() {
		for _, s := range w.streams {
			close(s)
		}
	}()
	if err := w.sendExisting(0, c.options.Before); err != nil {
		return err
	}
	err := again(w.ctx, c, func() func(*span[block]) error {
		return func(s *span[block]) error {
			b := &s.result
			b.text, b.ends = b.text[:0], b.ends[:0]
			for i := range s.items {
				it := &s.items[i]
				it.entry.rule.Name = c.names.of(it.row, it.entry.rule.Name, it.line)
				begin := len(b.text)
				b.text = it.entry.rule.AppendJSON(b.text)
				b.ends = append(b.ends, len(b.text))
				c.placed.sums[c.id(it.row)] = maphash.Bytes(c.seed, b.text[begin:])
			}
			return nil
		}
	}, func(s *span[block]) error {
		begin := 0
		for i, end := range s.result.ends {
			if err := w.send(c.id(s.items[i].row), s.result.text[begin:end]); err != nil {
				return err
			}
			begin = end
		}
		return nil
	})
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

func (w *chunkWriting) sendExisting(first int, rules []Existing) error {
	for i := range rules {
		id := uint32(first + i)
		w.c.placed.sums[id] = maphash.Bytes(w.c.seed, rules[i].Raw)
		if err := w.send(id, rules[i].Raw); err != nil {
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

func (w *chunkWriting) sendTo(chunk int, text []byte) error {
	b := w.blocks[chunk]
	if b == nil {
		b, _ = w.free.Get().(*block)
		b.text, b.ends = b.text[:0], b.ends[:0]
		w.blocks[chunk] = b
	}
	b.text = append(b.text, text...)
	b.ends = append(b.ends, len(b.text))
	if len(b.text) < blockBytes {
		return nil
	}
	w.blocks[chunk] = nil
	return w.hand(chunk, b)
}

// hand gives a block to the writer of its chunk.
func (w *chunkWriting) hand(chunk int, b *block) error {
	select {
	case w.streams[chunk] <- b:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// rules gives the rules of a chunk as they come. What it gives is good until it gives the next.
func (w *chunkWriting) rules(chunk int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for b := range w.streams[chunk] {
			begin := 0
			for _, end := range b.ends {
				if !yield(b.text[begin:end], nil) {
					return
				}
				begin = end
			}
			w.free.Put(b)
		}
		if err := w.ctx.Err(); err != nil { // the stream ended early
			yield(nil, err)
			return
		}
		w.finish <- struct{}{} // what is left to do is to sync
	}
}

// chunk writes one chunk's file.
func (w *chunkWriting) chunk(i int) error {
	c, p := w.c, &w.c.plan.chunks[i]
	written, err := c.out.Chunk(p.chunk.File, c.describe(p), w.rules(i))
	select {
	case <-w.finish:
	default: // it did not come that far
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
