package convert

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// ErrUnproved says that what was written does not do what the sheets say: a fault of this program, not of the sheets.
var ErrUnproved = errors.New("the proof failed")

// prover proves rows, with scratch memory of its own.
type prover struct {
	c        *conversion
	looker   looker
	property *redirect.Property
	chunks   *writtenSet
	witness  witness
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

// prove sends the witness of every row, and requests near it, through the property rules and the chunks as they were
// written, and compares with what the row says and with what the list of all rules would do.
func (c *conversion) prove(ctx context.Context) (err error) {
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
	counts := [failed + 1]int{}
	err = again(ctx, c, func() func(*span[[]verdict]) error {
		p := &prover{c: c, looker: looker{c: c}, property: property, chunks: chunks}
		return p.work
	}, func(s *span[[]verdict]) error {
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

// row proves one row.
func (p *prover) row(it *item) (verdict, error) {
	v := verdict{row: it.row}
	if it.entry.rule.Disabled {
		v.class = inactive
		return v, nil
	}
	w := &p.witness
	w.make(&it.entry)
	if w.none != "" {
		v.class, v.text = undecided, w.none
		return v, nil
	}
	p.looker.own = it
	whole := redirect.Answer{Found: true, ID: p.c.id(it.row), Status: w.status, Location: w.location} // as walk found
	if !p.c.owned[it.row] {
		var err error
		if whole, err = p.looker.evaluate(&w.req); err != nil {
			return v, err
		}
	}
	own := whole.Found && whole.ID == p.c.id(it.row)
	switch {
	case own && (whole.Status != w.status || whole.Location != w.location):
		v.class = failed
		v.text = fmt.Sprintf("%s gets %d to %s from the list of all rules, and its row says %d to %s", w.req.URL(), whole.Status, shown(whole.Location), w.status, shown(w.location))
		return v, nil
	case own:
		v.class = proved
	case whole.Found:
		v.class = shadowed
	case w.shaky || len(whole.Unsure) > 0:
		v.class, v.text = undecided, "no request was found that meets all of its criteria"
	default:
		v.class, v.text = failed, fmt.Sprintf("%s gets no answer from the list of all rules", w.req.URL())
		return v, nil
	}
	if p.c.dispatch.Kind == chunkset.Sequence {
		return p.inOwnChunk(v, it, whole)
	}
	return p.near(v, it, whole)
}

// near compares the answers to the witness, and to requests near it, with those of the list of all rules.
func (p *prover) near(v verdict, it *item, whole redirect.Answer) (verdict, error) {
	w := &p.witness
	if text, err := p.same(&w.req, whole); text != "" || err != nil {
		v.class, v.text = failed, text
		return v, err
	}
	path := w.req.Path
	for i, other := range [...]string{swapCase(path), slashTwin(path), recode(path)} {
		if other == path {
			continue
		}
		w.req.Path = other
		text, err := p.nearby(it, i == 1)
		if text != "" || err != nil {
			v.class, v.text = failed, text
			return v, err
		}
	}
	return v, nil
}

// nearby compares the answers to one request near a row's witness; twin says that it has the other slash at its end.
func (p *prover) nearby(it *item, twin bool) (string, error) {
	q := &p.witness.req
	var answer redirect.Answer // none is what walk found for the other slash
	if !twin || !p.c.twinless[it.row] {
		var err error
		p.looker.own = it
		if answer, err = p.looker.evaluate(q); err != nil {
			return "", err
		}
	}
	if p.chunks.silent(answer) {
		return "", nil
	}
	return p.same(q, answer)
}

// same reports, in words, where the written chunks answer a request otherwise than the list of all rules does. What no
// document says of how a property reads a path is tried both ways, where it matters.
func (p *prover) same(q *redirect.Request, whole redirect.Answer) (string, error) {
	readings := []redirect.Reading{{}}
	if strings.Contains(q.Path, "+") || strings.Contains(q.Path, "%25") {
		readings = append(readings, redirect.Reading{PlusIsSpace: true}, redirect.Reading{PathDecoded: true}, redirect.Reading{PathDecoded: true, PlusIsSpace: true})
	}
	for _, r := range readings {
		chosen, found, err := p.property.Choose(q, r)
		if err != nil {
			return "", fmt.Errorf("%s: %w", chunkset.PropertyFile, err)
		}
		var answer redirect.Answer
		policy := "no policy"
		if found {
			at, known := p.chunks.of[chosen.Rule]
			if !known || !chosen.Enabled {
				return fmt.Sprintf("%s is sent to policy %s, which is not there", q.URL(), chosen.Rule), nil
			}
			policy = chosen.Rule
			if answer, err = p.chunks.evaluate(at, q, &p.looker); err != nil {
				return "", err
			}
		}
		if answer.Found != whole.Found || answer.Status != whole.Status || answer.Location != whole.Location {
			return fmt.Sprintf("%s gets %s from %s, and %s from the list of all rules", q.URL(), words(answer), policy, words(whole)), nil
		}
	}
	return "", nil
}

func words(a redirect.Answer) string {
	if !a.Found {
		return "no answer"
	}
	return fmt.Sprintf("%d to %s", a.Status, shown(a.Location))
}

// inOwnChunk proves a row of a sequence, of which nothing but its own chunk can be asked.
func (p *prover) inOwnChunk(v verdict, it *item, whole redirect.Answer) (verdict, error) {
	if v.class != proved {
		return v, nil
	}
	row := int(it.row) + 1
	for i, chunk := range p.c.dispatch.Chunks {
		if row < chunk.Rows[0] || row > chunk.Rows[1] {
			continue
		}
		answer, err := p.chunks.evaluate(i, &p.witness.req, &p.looker)
		if err != nil {
			return v, err
		}
		if answer.Status == whole.Status && answer.Location == whole.Location {
			return v, nil
		}
		v.class, v.text = failed, fmt.Sprintf("%s gets %s from %s, and its row says %s", p.witness.req.URL(), words(answer), chunk.Policy, words(whole))
	}
	return v, nil
}

// swapCase is a path in the other case, escapes apart.
func swapCase(path string) string {
	b := []byte(path)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '%' && isEscape(path[i:]):
			i += 2
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// recode is a path in another percent-encoding that stands for the same: its first escape undone where that leaves a
// character that needs none, else one character escaped.
func recode(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '%' && isEscape(path[i:]) {
			if c := unhex(path[i+1])<<4 | unhex(path[i+2]); c != '%' && c > ' ' && c < 0x7f && c != '?' && c != '#' {
				return path[:i] + string(rune(c)) + path[i+3:]
			}
			i += 2
			continue
		}
		if c := path[i]; 'a' <= c && c <= 'z' {
			return path[:i] + "%" + string(upperHex[c>>4]) + string(upperHex[c&15]) + path[i+1:]
		}
	}
	return path
}
