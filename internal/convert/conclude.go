package convert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/sheet"
)

// The columns that rejected.csv has beside those of the sheets.
var rejectedColumns = []string{"cmig_line", "cmig_column", "cmig_code", "cmig_reason"} //nolint:gochecknoglobals // a table that is only read

// conclude writes the rejected rows and the report.
func (c *conversion) conclude(context.Context) error {
	if c.report.Rows.Rejected > 0 {
		if err := c.out.File(chunkset.RejectedFile, c.writeRejected); err != nil {
			return err
		}
	}
	if err := c.compare(); err != nil {
		return err
	}
	c.summarize()
	return c.out.JSON(chunkset.ReportFile, c.report)
}

// summarize completes the report.
func (c *conversion) summarize() {
	if len(c.plan.chunks) > 0 {
		c.countRules()
		c.warnOfWhole()
	}
	c.report.Counts, c.report.Problems = c.problems.counts, c.problems.sorted()
}

func (c *conversion) countRules() {
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
	w.Style(c.rejectedStyle())
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
		line := strconv.Itoa(row.Line)
		if len(c.sheets) > 1 {
			line = c.sheetOf(uint32(n)).name + ":" + line
		}
		if err := w.Write(&row, line, column, code, text); err != nil {
			return err
		}
	}
	return w.Flush()
}

// rejectedStyle is how the sheets are written, where they are written alike and in a way that is found by looking.
func (c *conversion) rejectedStyle() (delimiter rune, bom bool) {
	first := c.sheets[0].reader
	for _, s := range c.sheets {
		if s.reader.Delimiter() != first.Delimiter() || !strings.ContainsRune(",;\t|", first.Delimiter()) {
			return ',', first.BOM()
		}
	}
	return first.Delimiter(), first.BOM()
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
		c.problems.whole(codeCost, SeverityWarning, fmt.Sprintf(
			"%d of %d policies hold more than %d rules, which typically costs more than the edge allows; measure on staging (X-Akamai-Cloudlet-Cost: True), or give --max-rules %d",
			costly, len(c.report.Chunks), costlyRules, costlyRules))
	}
	if c.dispatch.Kind != chunkset.Hash && c.dispatch.Kind != chunkset.Host || len(c.plan.repeated) <= c.options.MaxRules/repeatShare {
		return
	}
	for _, id := range c.plan.repeated {
		if row, own := c.rowOf(id); own {
			c.collect(row, codeRepeated, SeverityWarning, sheet.SourceColumn, func() string {
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
	c.report.Changes = p.finish(sums)
	if gone := c.report.Changes.Removed; gone > p.total/10 && gone > 1 {
		c.problems.whole(codeShrunk, SeverityWarning, fmt.Sprintf(
			"%d of the %d rules of the earlier conversion are gone: is this the whole sheet?", gone, p.total))
	}
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
