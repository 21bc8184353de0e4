package convert

import (
	"context"
	"fmt"

	"cloudletmig/internal/sheet"
)

// item is one row that is still in, made into a rule again.
type item struct {
	row   uint32
	line  int
	entry entry
}

// span is a run of rows on their way through the workers a second time; result is what a worker found.
type span[R any] struct {
	first, behind int // positions in the order of the rules
	items         []item
	result        R
	buf           []byte
}

// again sends rows through workers once more, in the order of the rules: those without the marks in skip.
func again[R any](ctx context.Context, c *conversion, skip func(mark) bool, worker func() func(*span[R]) error, merge func(*span[R]) error) error {
	at := 0
	return pipe[span[R]]{
		Workers: c.options.Workers,
		Fill: func(s *span[R]) (bool, error) {
			s.first, s.behind = at, min(at+batchRows, len(c.marks))
			at = s.behind
			return s.first < s.behind, nil
		},
		Worker: func() func(*span[R]) error {
			work := worker()
			return func(s *span[R]) error {
				if err := s.load(c, skip); err != nil {
					return err
				}
				return work(s)
			}
		},
		Merge: merge,
	}.run(ctx)
}

// load makes the rules of a span's rows.
func (s *span[R]) load(c *conversion, skip func(mark) bool) (err error) {
	if cap(s.items) < batchRows {
		s.items = make([]item, 0, batchRows)
	}
	s.items = s.items[:0]
	var text string
	var begin int64
	if c.order == nil {
		if s.buf, err = c.spool.read(s.first, s.behind, s.buf); err != nil {
			return err
		}
		text, begin = string(s.buf), c.spool.offset(s.first)
	}
	for at := s.first; at < s.behind; at++ {
		n := c.rowAt(at)
		if skip(c.marks[n]) {
			continue
		}
		s.items = s.items[:len(s.items)+1]
		it := &s.items[len(s.items)-1]
		it.row = n
		var record string
		if c.order == nil {
			record = text[c.spool.offset(at)-begin : c.spool.offset(at+1)-begin]
		} else {
			if s.buf, err = c.spool.read(int(n), int(n)+1, s.buf); err != nil {
				return err
			}
			record = string(s.buf)
		}
		if it.line, err = c.remake(n, record, &it.entry); err != nil {
			return err
		}
	}
	return nil
}

// remake makes the rule of a row that is in, from its record, and gives its line. The rule has the row's own name, which
// others may have too.
func (c *conversion) remake(n uint32, record string, e *entry) (int, error) {
	var row sheet.Row
	held, _, err := decodeRow(record, &row)
	if err != nil {
		return 0, err
	}
	if target, ok := c.target[n]; ok {
		row.Target = target
	}
	if bad := c.maker.makeSound(&row, held, c.marks[n].treatment(), e); bad != nil {
		return 0, fmt.Errorf("make the rule of line %d again: %s", row.Line, bad.text)
	}
	return row.Line, nil
}

// ruleOf makes the rule of a row, whichever it is. Safe for concurrent use, with a buffer of one's own.
func (c *conversion) ruleOf(n uint32, e *entry, buf []byte) ([]byte, error) {
	buf, err := c.spool.read(int(n), int(n)+1, buf)
	if err != nil {
		return buf, err
	}
	_, err = c.remake(n, string(buf), e)
	return buf, err
}
