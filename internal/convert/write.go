package convert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/sheet"
)

// chunkWriters is how many chunks are written at a time: most of it is waiting for the disk.
const chunkWriters = 8

// write makes the files of the chunks, and what leads to them.
func (c *conversion) write(ctx context.Context) error {
	c.report.Chunks = make([]chunkset.ReportChunk, len(c.plan.chunks))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(chunkWriters)
	for i := range c.plan.chunks {
		group.Go(func() error { return c.writeChunk(ctx, i) })
	}
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

func (c *conversion) writeChunk(ctx context.Context, i int) error {
	p := &c.plan.chunks[i]
	written, err := c.out.Chunk(p.chunk.File, c.describe(p), c.rules(ctx, p.ids))
	if err != nil {
		return fmt.Errorf("write %s: %w", p.chunk.File, err)
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

// rules gives the rules of a chunk as JSON, one after another. What it gives is good until it gives the next.
func (c *conversion) rules(ctx context.Context, ids []uint32) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var e entry
		var buf, text []byte
		for n, id := range ids {
			if n%batchRows == 0 && ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			row, own := c.rowOf(id)
			if !own {
				text = cloudlet.AppendCompact(text[:0], c.existing(id).Raw)
			} else {
				var line int
				var err error
				if buf, line, err = c.ruleOf(row, &e, buf); err != nil {
					yield(nil, err)
					return
				}
				e.rule.Name = c.names.of(row, e.rule.Name, line)
				text = e.rule.AppendJSON(text[:0])
			}
			if !yield(text, nil) {
				return
			}
		}
	}
}

// The columns that rejected.csv has beside those of the sheets.
var rejectedColumns = []string{"cmig_line", "cmig_column", "cmig_code", "cmig_reason"}

// conclude writes the rejected rows and the report.
func (c *conversion) conclude(context.Context) error {
	if c.report.Rows.Rejected > 0 {
		if err := c.out.File(chunkset.RejectedFile, c.writeRejected); err != nil {
			return err
		}
	}
	for id := range c.ids {
		if _, own := c.rowOf(id); !own {
			c.report.Existing++
			continue
		}
		if c.isRepeated(id) {
			c.report.Repeated++
		} else {
			c.report.Spread++
		}
	}
	for row, twinless := range c.twinless {
		if twinless && c.marks[row]&markSkip == 0 {
			c.report.Slash++
		}
	}
	c.warnOfWhole()
	if err := c.compare(); err != nil {
		return err
	}
	c.report.Counts, c.report.Problems = c.problems.counts, c.problems.sorted()
	return c.out.JSON(chunkset.ReportFile, c.report)
}

// writeRejected writes the rejected rows as a sheet that converts once it is mended.
func (c *conversion) writeRejected(to io.Writer) error {
	var columns []sheet.Column
	for col := range sheet.Column(sheet.Columns) {
		for _, s := range c.sheets {
			if s.reader.Has(col) {
				columns = append(columns, col)
				break
			}
		}
	}
	w := sheet.NewWriter(to, c.maker.dialect, columns, rejectedColumns...)
	var buf []byte
	for n, k := range c.marks {
		if k&markRejected == 0 {
			continue
		}
		var row sheet.Row
		var err error
		if buf, err = c.spool.row(n, &row, buf); err != nil {
			return err
		}
		code, column, text := c.rejection(uint32(n))
		if err := w.Write(&row, fmt.Sprint(row.Line), column, code, text); err != nil {
			return err
		}
	}
	return w.Flush()
}

const (
	costlyRules = 1000 // beyond which a policy typically exceeds the edge's limit (Cloudlets guide, "Cost limit")
	repeatShare = 10   // repeated rules beyond this part of a policy are worth a warning
)

// warnOfWhole adds what is to be said of the conversion as a whole.
func (c *conversion) warnOfWhole() {
	costly := 0
	for _, r := range c.report.Chunks {
		if r.Rules > costlyRules {
			costly++
		}
	}
	if costly > 0 {
		c.problems.whole(codeCost, severityWarning, fmt.Sprintf(
			"%d of %d policies hold more than %d rules, which typically costs more than the edge allows; measure on staging (X-Akamai-Cloudlet-Cost: True), or give --max-rules %d",
			costly, len(c.report.Chunks), costlyRules, costlyRules))
	}
	if c.dispatch.Kind != chunkset.Hash || len(c.plan.repeated) <= c.options.MaxRules/repeatShare {
		return
	}
	for _, id := range c.plan.repeated {
		if row, own := c.rowOf(id); own {
			c.collect(row, codeRepeated, severityWarning, sheet.SourceColumn, func() string {
				return fmt.Sprintf("can match more than one path, so it is repeated in all %d policies, like %d other rules", len(c.plan.chunks), len(c.plan.repeated)-1)
			})
		}
	}
}

// compare says what has changed since an earlier conversion.
func (c *conversion) compare() error {
	p := c.options.Previous
	if p == nil {
		return nil
	}
	sums := map[string]string{}
	for _, chunk := range c.dispatch.Chunks {
		doc, err := c.out.Read(chunk.File)
		if err != nil {
			return err
		}
		body, err := chunkset.ReadBody(bytes.TrimSpace(doc))
		if err != nil {
			return err
		}
		sums[chunk.File] = sumRules(body)
	}
	for i := range c.options.Before {
		_, _ = p.find(&c.options.Before[i].Rule)
	}
	for i := range c.options.After {
		_, _ = p.find(&c.options.After[i].Rule)
	}
	c.report.Changes = p.finish(sums)
	return nil
}

// notes are sentences about the whole, for people.
func (c *conversion) notes() []string {
	var notes []string
	if c.dispatch.Kind == chunkset.Sequence && len(c.plan.chunks) > 1 {
		notes = append(notes, "split by sequence: the property must choose between the policies itself; "+chunkset.PropertyFile+" does not")
	}
	if ch := c.report.Changes; ch != nil {
		notes = append(notes, fmt.Sprintf("since the earlier conversion: %d rules added, %d removed, %d changed; chunks that differ: %d", ch.Added, ch.Removed, ch.Changed, len(ch.Chunks)))
	}
	return notes
}
