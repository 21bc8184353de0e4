// Package convert turns redirect sheets into Edge Redirector rules, cut into chunks that fit policies, with what a
// property needs to find the right one, and proves the result; and rules back into sheets. It knows no network and no
// database.
//
// A conversion goes over the rows several times and holds none of them meanwhile: scan reads the sheets into a spool
// file and finds rows that ask for the same (scan.go, groups.go); index gives every rule its number, its size and its
// buckets (index.go); walk follows every row's redirect (walk.go); label gives names and notes what is worth knowing
// (label.go); choose plans chunks (plan.go); write makes them
// (write.go); prove sends a request for every row through what was written (proof.go).
package convert

import (
	"context"
	"hash/maphash"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// input is one sheet on its way in.
type input struct {
	name   string
	reader *sheet.Reader
	first  int // the number of its first row, from 0
	rows   int
	unread int // rows of it that could not be read
}

// conversion is one run.
type conversion struct {
	options *Options
	maker   *maker
	sheets  []*input
	out     *chunkset.Writer
	spool   *spool
	seed    maphash.Seed

	marks []mark // of each row
	first map[uint64]uint32
	alike map[uint32][]uint32
	// Of rows that ask for the same: the groups, and what was decided.
	groups  [][]uint32
	late    map[uint32]late   // why rows are rejected, by what others say or by where they lead
	dropped map[uint32]uint32 // which row says the same
	twins   map[uint32]uint32 // a row that differs in case alone

	order *ordering // nil: rows are in the order of the sheets

	set      *redirect.Set
	sizes    []uint32 // of each row's rule, in bytes
	noted    bool     // there is something to be said of some row
	keys     [2]bucketKeys
	hosts    *hostTable // nil unless chunks are chosen by host
	sites    *sites
	names    names
	before   []int32           // of each row: its chunk in an earlier conversion, or -1; nil without one
	pinned   map[uint32]bool   // rows that walking gave their scheme back
	owned    []bool            // of each row: walking saw its witness get from its rule what the row says
	twinless []bool            // of each row: nothing answers for its path with the other slash at the end
	target   map[uint32]string // of rows whose chain was collapsed: where it ends

	dispatch chunkset.Dispatch
	plan     plan
	placed   *placed
	report   chunkset.Report
	problems problems
}

// Result is what a conversion came to.
type Result struct {
	Report   chunkset.Report
	Dispatch chunkset.Dispatch
	// Notes are sentences about the whole, for people.
	Notes []string
}

// Sheet is a sheet to be converted. The conversion reads it to its end.
type Sheet struct {
	Name   string
	Reader *sheet.Reader
}

// Run converts sheets into the folder that out is filling: chunks, dispatch, property rules, report and rejected rows.
// What cannot be converted at all is an ErrInput; then, and after any other error, the folder is to be thrown away. A
// proof that fails is ErrUnproved, with the result. The output depends on the sheets and the options alone.
func Run(ctx context.Context, sheets []Sheet, out *chunkset.Writer, o Options) (Result, error) {
	c := &conversion{
		options: &o, maker: &maker{options: &o}, out: out, seed: maphash.MakeSeed(), first: map[uint64]uint32{},
		alike: map[uint32][]uint32{}, late: map[uint32]late{}, set: redirect.NewSet(), sites: newSites(), pinned: map[uint32]bool{}, target: map[uint32]string{},
	}
	if err := c.open(sheets); err != nil {
		return Result{}, err
	}
	s, err := newSpool(out.TempDir())
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = s.Close() }() // it goes with the folder
	c.spool = s
	err = c.convert(ctx)
	return Result{Report: c.report, Dispatch: c.dispatch, Notes: c.notes()}, err
}

// open takes the sheets, which must all be of one dialect.
func (c *conversion) open(sheets []Sheet) error {
	for _, s := range sheets {
		dialect := s.Reader.Dialect()
		if c.maker.dialect != "" && dialect != c.maker.dialect {
			return unusable("convert them apart, or give --dialect",
				"%s is a sheet of the dialect %s and %s of %s", c.sheets[0].name, c.maker.dialect, s.Name, dialect)
		}
		c.maker.dialect = dialect
		c.sheets = append(c.sheets, &input{name: s.Name, reader: s.Reader})
	}
	return nil
}

// convert goes through the stages.
func (c *conversion) convert(ctx context.Context) error {
	for _, stage := range []func(context.Context) error{
		c.scan, c.checkRead, c.settle, c.arrange, c.index, c.walk, c.label, c.checkConverted, c.choose, c.write, c.prove, c.conclude,
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := stage(ctx); err != nil {
			c.summarize() // as far as it came
			return err
		}
	}
	return nil
}

// checkRead refuses sheets in which there is nothing to convert.
func (c *conversion) checkRead(context.Context) error {
	first := 0
	for _, s := range c.sheets {
		s.first = first
		first += s.rows
		c.report.Rows.Comments += s.reader.Comments()
		switch {
		case s.rows == 0 && s.reader.Header() != nil:
			return unusable("", "%s has a header and no rows", s.name)
		case s.rows == 0:
			return unusable("", "%s is empty", s.name)
		case s.rows == s.unread:
			return unusable("look at the delimiter, and at the quotes", "%s: none of its %d rows can be read; %s", s.name, s.rows, c.why(uint32(s.first)))
		}
	}
	c.report.Rows.Read = first
	return nil
}

// checkConverted refuses an output that would be empty, or that --strict does not allow.
func (c *conversion) checkConverted(context.Context) error {
	rows := &c.report.Rows
	firstBad := -1
	for n, k := range c.marks {
		switch {
		case k&markRejected != 0:
			rows.Rejected++
			if firstBad < 0 {
				firstBad = n
			}
		case k&markDuplicate != 0:
			rows.Duplicates++
		default:
			rows.Converted++
		}
	}
	if err := c.noteRejected(); err != nil {
		return err
	}
	if rows.Converted == 0 {
		return unusable("", "none of the %d rows can be converted; the first: %s", rows.Read, c.why(uint32(firstBad)))
	}
	if c.options.Strict && rows.Rejected > 0 {
		return unusable("mend them, or leave out --strict", "%d of %d rows are rejected; the first: %s", rows.Rejected, rows.Read, c.why(uint32(firstBad)))
	}
	return nil
}
