package convert

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/sheet"
)

// ordering is another order of the rules than that of the sheets.
type ordering struct {
	rows      []uint32 // by position
	positions []uint32 // by row
}

// rowAt is the row at a position in the order of the rules.
func (c *conversion) rowAt(position int) uint32 {
	if c.order == nil {
		return uint32(position)
	}
	return c.order.rows[position]
}

func (c *conversion) positionOf(row uint32) int {
	if c.order == nil {
		return int(row)
	}
	return int(c.order.positions[row])
}

// id is the number of a row's rule in the list of all rules, those taken over included.
func (c *conversion) id(row uint32) uint32 {
	return uint32(len(c.options.Before) + c.positionOf(row))
}

// rowOf is the row of a rule; it is false for a rule that was taken over, which existing gives.
func (c *conversion) rowOf(id uint32) (uint32, bool) {
	at := int(id) - len(c.options.Before)
	if at < 0 || at >= len(c.marks) {
		return 0, false
	}
	return c.rowAt(at), true
}

func (c *conversion) existing(id uint32) *Existing {
	if int(id) < len(c.options.Before) {
		return &c.options.Before[id]
	}
	return &c.options.After[int(id)-len(c.options.Before)-len(c.marks)]
}

// arrange finds the order of the rules where it is not that of the sheets: literal sources before wildcards, longer
// prefixes first, and sources with a query before the same path without one.
func (c *conversion) arrange(ctx context.Context) error {
	if c.options.Order != OrderSpecific {
		return nil
	}
	ranks := make([]uint32, len(c.marks))
	err := again(ctx, c, mark.unusable, func() func(*span[[]uint32]) error {
		return func(s *span[[]uint32]) error {
			s.result = s.result[:0]
			for i := range s.items {
				s.result = append(s.result, rank(&s.items[i].entry))
			}
			return nil
		}
	}, func(s *span[[]uint32]) error {
		for i, r := range s.result {
			ranks[s.items[i].row] = r
		}
		return nil
	})
	if err != nil {
		return err
	}
	o := &ordering{rows: make([]uint32, len(ranks)), positions: make([]uint32, len(ranks))}
	for i := range o.rows {
		o.rows[i] = uint32(i)
	}
	slices.SortStableFunc(o.rows, func(a, b uint32) int { return cmp.Compare(ranks[a], ranks[b]) })
	for at, row := range o.rows {
		o.positions[row] = uint32(at)
	}
	c.order = o
	return nil
}

// rank is low for what is specific.
func rank(e *entry) uint32 {
	const longest = 1 << 20
	r := &e.rule
	if _, literal := r.Literals(); literal {
		if slices.ContainsFunc(r.Matches, func(m redirect.Match) bool { return m.Type == typeQuery }) || strings.Contains(r.MatchURL, "?") {
			return 0
		}
		return 1
	}
	prefix := r.MatchURL
	if e.src.wildcard {
		prefix, _, _ = strings.Cut(e.src.path, "*")
	}
	return 2 + longest - uint32(min(len(prefix), longest))
}

// indexed is what index finds of a span of rows.
type indexed struct {
	sizes  []uint32 // without names
	paths  [][]uint16
	hosted [][]uint16 // of host and path; empty where there is not one host
	hosts  [][]string
	spread []bool
	pool   []uint16
}

// index gives every rule its number, size and buckets, and puts it into the set of all rules. Rows that another row wins
// over are in it as well, for that may be settled again.
func (c *conversion) index(ctx context.Context) error {
	n := len(c.marks)
	c.sizes = make([]uint32, n)
	c.keys[0].hash, c.keys[1].hash = make([]uint16, n), make([]uint16, n)
	if p := c.options.Previous; c.options.Split == SplitHost || p != nil && p.Dispatch.Kind == chunkset.Host {
		c.hosts = newHostTable(n)
	}
	named := slices.ContainsFunc(c.sheets, func(s *input) bool { return s.reader.Has(sheet.NameColumn) })
	c.names.begin(c.sheets, named || c.options.Previous != nil || len(c.options.Before)+len(c.options.After) > 0)
	for i := range c.options.Before {
		if err := c.addExisting(uint32(i), &c.options.Before[i]); err != nil {
			return err
		}
	}
	if err := again(ctx, c, mark.unusable, c.indexWorker, c.indexed); err != nil {
		return err
	}
	for i := range c.options.After {
		if err := c.addExisting(uint32(len(c.options.Before)+n+i), &c.options.After[i]); err != nil {
			return err
		}
	}
	for _, s := range c.options.Sites {
		c.sites.add(lower(s))
	}
	return nil
}

func (c *conversion) addExisting(id uint32, e *Existing) error {
	if err := c.set.Add(id, &e.Rule); err != nil {
		return unusable("", "%s, rule %s: %v", e.From, shown(e.Rule.Name), err)
	}
	return nil
}

func (c *conversion) indexWorker() func(*span[indexed]) error {
	var scratch, text []byte
	return func(s *span[indexed]) error {
		r := &s.result
		*r = indexed{
			sizes: r.sizes[:0], paths: r.paths[:0], hosted: r.hosted[:0], hosts: r.hosts[:0], spread: r.spread[:0], pool: r.pool[:0],
		}
		for i := range s.items {
			rule := &s.items[i].entry.rule
			var size int
			size, text = nameless(rule, text)
			literals, spread := rule.Literals()
			hosts, named := rule.Hosts()
			if !named {
				hosts = nil
			}
			var paths, hosted []uint16
			if spread {
				paths, r.pool, scratch = pooledHashes(r.pool, scratch, "", literals)
			}
			if spread && len(hosts) == 1 {
				hosted, r.pool, scratch = pooledHashes(r.pool, scratch, hosts[0], literals)
			}
			r.sizes, r.paths, r.hosted = append(r.sizes, uint32(size)), append(r.paths, paths), append(r.hosted, hosted)
			r.hosts, r.spread = append(r.hosts, hosts), append(r.spread, spread)
		}
		return nil
	}
}

// nameless is how many bytes a rule takes without its name.
func nameless(rule *redirect.Rule, scratch []byte) (int, []byte) {
	name := rule.Name
	rule.Name = ""
	scratch = rule.AppendJSON(scratch[:0])
	rule.Name = name
	return len(scratch), scratch
}

// pooledHashes gives the hashes of a rule's paths, in memory of the pool.
func pooledHashes(pool []uint16, scratch []byte, host string, paths []string) (found, grown []uint16, _ []byte) {
	found = pool[len(pool):]
	for _, path := range paths {
		found, scratch = appendHashes(found, scratch, host+path)
	}
	if cap(found) != cap(pool[len(pool):]) { // it has moved
		return found, pool, scratch
	}
	return slices.Clip(found), pool[:len(pool)+len(found)], scratch
}

// indexed takes what was found of a span.
func (c *conversion) indexed(s *span[indexed]) error {
	for i := range s.items {
		it, r := &s.items[i], &s.result
		rule := &it.entry.rule
		c.noted = c.noted || len(it.entry.notes) > 0
		c.sizes[it.row] = r.sizes[i] + uint32(c.names.length(it.row, rule.Name, it.line))
		if !r.spread[i] {
			c.marks[it.row] |= markRepeated
		} else {
			c.keys[0].set(it.row, r.paths[i])
			c.keys[1].set(it.row, r.hosted[i])
		}
		if len(r.hosted[i]) > 0 {
			c.marks[it.row] |= markHosted
		}
		for _, h := range r.hosts[i] {
			c.sites.add(lower(h))
		}
		c.sites.addWildcards(&it.entry)
		if c.hosts != nil {
			c.hosts.set(it.row, r.hosts[i])
		}
		if err := c.set.Add(c.id(it.row), rule); err != nil {
			return err
		}
		if int64(c.sizes[it.row]) > c.room() {
			c.rejectLate(it.row, codeTooBig, it.row)
		}
	}
	return nil
}

// hosted reports whether a rule that is spread names exactly one host.
func (c *conversion) hosted(id uint32) bool {
	if row, ok := c.rowOf(id); ok {
		return c.marks[row]&markHosted != 0
	}
	hosts, ok := c.existing(id).Rule.Hosts()
	return ok && len(hosts) == 1
}

// room is how many bytes one rule can have at most.
func (c *conversion) room() int64 { return c.options.MaxBytes - bodyOverhead }

// remeasure takes a row's size anew when its treatment has changed, and puts its rule into the set in the place of the
// one before.
func (c *conversion) remeasure(n uint32, r *rowReader) error {
	var err error
	var line int
	if r.buf, err = c.spool.read(int(n), int(n)+1, r.buf); err != nil {
		return err
	}
	if line, err = c.remake(n, string(r.buf), &r.entry); err != nil {
		return err
	}
	rule := &r.entry.rule
	var size int
	size, r.text = nameless(rule, r.text)
	c.sizes[n] = uint32(size + c.names.length(n, rule.Name, line))
	c.set.Replace(c.id(n), rule)
	return nil
}
