package convert

import (
	"context"
	"errors"
	"fmt"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// ErrUnproved says that what was written does not do what the sheets say: a fault of this program, not of the sheets.
var ErrUnproved = errors.New("the proof failed")

// prover proves rules, with scratch memory of its own.
type prover struct {
	c        *conversion
	looker   looker
	property *redirect.Property
	chunks   *writtenSet
	witness  witness
	subject  subject // the rule that is being proved
}

// class is what came out of a row's witness.
type class int

const (
	proved class = iota
	shadowed
	inactive
	undecided
	failed
)

// verdict is what proving found of a row, where it is worth a word.
type verdict struct {
	row   uint32
	class class
	text  string
}

// prove sends the witness of every row, requests near it, and all others that the row's paths and hosts make, through the
// property rules and the chunks as they were written, and compares with what the row says and with what the list of all
// rules would do. Rules that were taken over are proved in the same way, but for what they say.
func (c *conversion) prove(ctx context.Context) error {
	if c.options.NoProof {
		return nil
	}
	property, err := c.readProperty()
	if err != nil {
		return err
	}
	chunks, err := c.openChunks(ctx)
	if err != nil {
		return err
	}
	newProver := func() *prover { return &prover{c: c, looker: looker{c: c}, property: property, chunks: chunks} }
	counts := [failed + 1]int{}
	err = again(ctx, c, mark.out, func() func(*span[[]verdict]) error { return newProver().work }, func(s *span[[]verdict]) error {
		counts[proved] += len(s.items) - len(s.result)
		for _, v := range s.result {
			counts[v.class]++
			c.tellVerdict(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.report.Proof = &chunkset.Proof{
		Proved: counts[proved], Shadowed: counts[shadowed], Inactive: counts[inactive], Undecided: counts[undecided], Failed: counts[failed],
	}
	if counts[failed] > 0 {
		return fmt.Errorf("%w for %d of %d rows, first %s; please report this", ErrUnproved, counts[failed], c.report.Rows.Converted, c.firstFailure())
	}
	if err := newProver().existing(ctx); err != nil {
		return err
	}
	if !chunks.exact {
		return fmt.Errorf("%w: %s does not hold the rules that were sent to it, in their order; please report this", ErrUnproved, chunks.odd)
	}
	return nil
}

func (c *conversion) readProperty() (*redirect.Property, error) {
	doc, err := c.out.Read(chunkset.PropertyFile)
	if err != nil {
		return nil, err
	}
	p, err := redirect.ParseProperty(doc)
	if err != nil {
		return nil, fmt.Errorf("read %s again: %w", chunkset.PropertyFile, err)
	}
	return p, nil
}

func (c *conversion) tellVerdict(v verdict) {
	switch v.class {
	case proved, shadowed, inactive:
	case undecided:
		c.collect(v.row, codeUndecided, SeverityWarning, sheet.SourceColumn, func() string { return "not proved: " + v.text })
	case failed:
		c.collect(v.row, codeUnproved, SeverityError, sheet.SourceColumn, func() string { return v.text })
	}
}

func (c *conversion) firstFailure() string {
	for _, p := range c.problems.list {
		if p.Code == codeUnproved {
			return c.place(uint32(p.row)) + ": " + p.Message
		}
	}
	return ""
}

func (p *prover) work(s *span[[]verdict]) error {
	s.result = s.result[:0]
	for i := range s.items {
		v, err := p.row(&s.items[i])
		if err != nil {
			return err
		}
		if v.class != proved {
			s.result = append(s.result, v)
		}
	}
	return nil
}

// row proves one row. What walk found of it is believed as long as the chunks bear it out: with the chunks, near and
// inOwnChunk are what proves.
func (p *prover) row(it *item) (verdict, error) {
	id := p.c.id(it.row)
	if text := p.c.placed.misread[id]; text != "" {
		return verdict{it.row, failed, text}, nil
	}
	if !p.chunks.exact { // rules are looked for in files, by their whole text
		it.entry.rule.Name = p.c.names.of(it.row, it.entry.rule.Name, it.line)
	}
	p.take(id, &it.entry.rule)
	v, err := p.judge(it, true)
	if err == nil && v.class == failed {
		v, err = p.judge(it, false)
	}
	return v, err
}

// judge proves one row; walked says whether what walk found is believed.
func (p *prover) judge(it *item, walked bool) (verdict, error) {
	w := &p.witness
	w.make(&it.entry)
	p.looker.own = it
	v := verdict{row: it.row}
	asked := false
	switch {
	case it.entry.rule.Disabled:
		v.class = inactive
	case w.none != "":
		v.class, v.text = undecided, w.none
	default:
		whole, err := p.whole(it, walked)
		if err != nil {
			return v, err
		}
		if v = p.compare(it, whole); v.class == failed {
			return v, nil
		}
		if asked = p.c.dispatch.Kind != chunkset.Sequence; asked {
			v, err = p.near(v, it, whole, walked)
		} else {
			v, err = p.inOwnChunk(v, it, whole)
		}
		if err != nil || v.class == failed {
			return v, err
		}
	}
	text, err := p.everywhere(&w.req, asked)
	if text != "" {
		v.class, v.text = failed, text
	}
	return v, err
}

// whole is what the list of all rules does to a row's witness. Walk found it for rows that are owned, though maybe for
// the witness's other face.
func (p *prover) whole(it *item, walked bool) (redirect.Answer, error) {
	w := &p.witness
	if walked && p.c.owned[it.row] {
		return redirect.Answer{Found: true, ID: p.c.id(it.row), Status: w.status, Location: w.location}, nil
	}
	return p.looker.face(it, w)
}

// compare compares what the list of all rules does to a row's witness with what the row says.
func (p *prover) compare(it *item, whole redirect.Answer) verdict {
	w := &p.witness
	own := whole.Found && whole.ID == p.c.id(it.row)
	other := whole.Status != w.status || whole.Location != w.location
	switch {
	case own && whole.Status == w.status && w.vague && other:
		return verdict{it.row, undecided, "what the * of its target receives cannot be told from its words"}
	case own && other:
		return verdict{it.row, failed, fmt.Sprintf("%s gets %d to %s from the list of all rules, and its row says %d to %s", w.req.URL(), whole.Status, shown(whole.Location), w.status, shown(w.location))}
	case own:
		return verdict{it.row, proved, ""}
	case whole.Found:
		return verdict{it.row, shadowed, ""}
	case w.shaky || len(whole.Unsure) > 0:
		return verdict{it.row, undecided, "no request was found that meets all of its criteria"}
	}
	return verdict{it.row, failed, w.req.URL() + " gets no answer from the list of all rules"}
}
