package convert

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// batchRows is how many rows go through the workers together.
const batchRows = 256

// mark is what has become of a row so far.
type mark uint8

const (
	markDuplicate mark = 1 << iota // dropped: an earlier row says the same
	markRejected
	markSensitive // treatment caseSensitive
	markScheme    // treatment keepScheme
	markRepeated  // in every chunk, for it can match more than a list of paths
	markMany      // its paths are more than one: spread has them
	markLate      // rejected for what other rows say, or for where it leads: late knows more
	markHosted    // its rule names exactly one host
	markSkip      = markDuplicate | markRejected
)

// out reports whether a row is not converted, as things stand.
func (k mark) out() bool { return k&markSkip != 0 }

// unusable reports whether a row cannot become a rule, whatever other rows say.
func (k mark) unusable() bool { return k&markRejected != 0 && k&markLate == 0 }

func (k mark) treatment() treatment {
	var t treatment
	if k&markSensitive != 0 {
		t |= caseSensitive
	}
	if k&markScheme != 0 {
		t |= keepScheme
	}
	return t
}

// scanned is one batch of rows on their way from a sheet to the spool.
type scanned struct {
	rows    []sheet.Row
	bad     []*sheet.RowError // why a row could not be read; nil elsewhere
	records []byte
	ends    []int
	hashes  []uint64
	refused []bool
}

// scan reads all sheets, row by row, into the spool, and finds out which rows ask for the same.
func (c *conversion) scan(ctx context.Context) error {
	next := 0
	err := pipe[scanned]{
		Workers: c.options.Workers,
		Fill: func(b *scanned) (bool, error) {
			b.rows, b.bad = slices.Grow(b.rows[:0], batchRows), b.bad[:0]
			for next < len(c.sheets) && len(b.rows) < batchRows {
				if err := c.sheets[next].fill(b); err != nil {
					return false, err
				}
				if len(b.rows) < batchRows {
					next++
				}
			}
			return len(b.rows) > 0, nil
		},
		Worker: func() func(*scanned) error {
			w := scanner{maker: c.maker, seed: c.seed}
			return func(b *scanned) error { w.work(b); return nil }
		},
		Merge: c.take,
	}.run(ctx)
	if err != nil {
		return err
	}
	return c.spool.flush()
}

// fill adds rows of one sheet until the batch is full or the sheet at its end.
func (s *input) fill(b *scanned) error {
	for len(b.rows) < batchRows {
		b.rows = b.rows[:len(b.rows)+1]
		at := len(b.rows) - 1
		err := s.reader.Next(&b.rows[at])
		var bad *sheet.RowError
		switch {
		case errors.Is(err, io.EOF):
			b.rows = b.rows[:at]
			return nil
		case errors.As(err, &bad):
			s.unread++
		case err != nil:
			return err
		}
		b.bad = append(b.bad, bad)
		s.rows++
	}
	return nil
}

// scanner is one worker of a scan.
type scanner struct {
	maker *maker
	seed  maphash.Seed
	entry entry
	text  []byte
}

func (w *scanner) work(b *scanned) {
	b.records, b.ends, b.hashes, b.refused = b.records[:0], b.ends[:0], b.hashes[:0], b.refused[:0]
	for i := range b.rows {
		if b.bad[i] != nil {
			b.records = appendBad(b.records, b.bad[i])
			b.refused, b.hashes = append(b.refused, true), append(b.hashes, 0)
		} else {
			row := &b.rows[i]
			held := columnsOf(row)
			b.records = appendRow(b.records, row, held)
			refused := checkCells(row, held) != nil || w.maker.makeSound(row, held, asWritten, &w.entry) != nil
			var hash uint64
			if !refused {
				w.text = appendCriteria(w.text[:0], &w.entry, true)
				hash = maphash.Bytes(w.seed, w.text)
			}
			b.refused, b.hashes = append(b.refused, refused), append(b.hashes, hash)
		}
		b.ends = append(b.ends, len(b.records))
	}
}

// take writes a batch to the spool and joins rows that may ask for the same.
func (c *conversion) take(b *scanned) error {
	begin := 0
	for i, end := range b.ends {
		row, err := c.spool.add(b.records[begin:end])
		if err != nil {
			return err
		}
		begin = end
		if b.refused[i] {
			c.marks = append(c.marks, markRejected)
			continue
		}
		c.marks = append(c.marks, 0)
		first, seen := c.first[b.hashes[i]]
		if !seen {
			c.first[b.hashes[i]] = uint32(row)
			continue
		}
		if len(c.alike[first]) == 0 {
			c.alike[first] = append(c.alike[first], first)
		}
		c.alike[first] = append(c.alike[first], uint32(row))
	}
	return nil
}

// appendCriteria writes what a rule asks for in a form in which the same is the same text: without a simple source's
// scheme, the parameters of a query in order. With fold, the case of a source does not count where it can be made to.
func appendCriteria(dst []byte, e *entry, fold bool) []byte {
	begin := len(dst)
	dst = appendSource(dst, &e.src)
	if fold && e.src.sensible() || e.src.wildcard || e.src.asked {
		lowerInPlace(dst[begin:])
	}
	r := &e.rule
	if !e.extra && r.Start == 0 && r.End == 0 && !r.Disabled && !r.MatchesAlways {
		return dst
	}
	rest := redirect.Rule{Start: r.Start, End: r.End, Disabled: r.Disabled, MatchesAlways: r.MatchesAlways}
	if e.extra {
		rest.Matches = slices.Clone(e.asked)
		slices.SortStableFunc(rest.Matches, func(a, b redirect.Match) int { return strings.Compare(a.Type+a.Value, b.Type+b.Value) })
	}
	dst = append(dst, '\n')
	return rest.AppendJSON(dst)
}

// appendSource writes what a source asks for, its scheme apart.
func appendSource(dst []byte, s *source) []byte {
	if s.path == "" {
		return dst
	}
	dst = append(append(append(dst, s.host...), ' '), s.path...)
	if s.asked {
		dst = append(append(dst, '?'), s.query...)
	}
	params := s.params
	if len(params) > 1 {
		params = slices.Sorted(slices.Values(params))
	}
	for _, p := range params {
		dst = append(append(dst, ' '), p...)
	}
	if s.wildcard {
		dst = append(dst, " *"...)
	}
	return dst
}

// appendOutcome writes where a rule leads, and how.
func appendOutcome(dst []byte, r *redirect.Rule) []byte {
	rest := redirect.Rule{
		StatusCode: r.StatusCode, RedirectURL: r.RedirectURL, UseRelativeURL: r.UseRelativeURL,
		UseIncomingQueryString: r.UseIncomingQueryString, UseIncomingSchemeAndHost: r.UseIncomingSchemeAndHost,
	}
	return rest.AppendJSON(dst)
}
