package convert

import (
	"cmp"
	"context"
	"math"

	"cloudletmig/internal/chunkset"
)

const (
	maxBuckets   = 1000 // of one hash set
	hashes       = 1 << 16
	bodyOverhead = int64(chunkset.BodyOverhead)
)

// load is what rules weigh: how many they are, and their bytes with a comma each.
type load struct {
	rules int
	bytes int64
}

func (l load) plus(o load) load { return load{l.rules + o.rules, l.bytes + o.bytes} }

// beside is what a policy has room for beside the load.
func (l load) beside(limit load) load {
	return load{max(limit.rules-l.rules, 0), max(limit.bytes-l.bytes, 0)}
}

func (l load) none() bool { return l.rules <= 0 || l.bytes <= 0 }

// within reports whether a policy can hold the load.
func (l load) within(limit load) bool { return l.rules <= limit.rules && l.bytes <= limit.bytes }

// planned is one chunk to be written: the ids of its rules, in order.
type planned struct {
	chunk chunkset.Chunk
	ids   []uint32
	load  load
}

// plan says which rules go into which chunk.
type plan struct {
	chunks   []planned
	repeated []uint32 // ids of the rules that can match more than a list of paths
}

// limit is what a policy holds at most; fill is the part of it that is planned for.
func (c *conversion) limit() load { return load{c.options.MaxRules, c.options.MaxBytes - bodyOverhead} }

func (c *conversion) filled() load {
	return load{
		max(1, int(math.Floor(float64(c.options.MaxRules)*c.options.Fill))),
		int64(math.Floor(float64(c.options.MaxBytes)*c.options.Fill)) - bodyOverhead,
	}
}

// total is the number of rules in the list of all rules, rows that are out included.
func (c *conversion) total() int {
	return len(c.options.Before) + len(c.marks) + len(c.options.After)
}

// in reports whether a rule is in the list, and weigh what it weighs.
func (c *conversion) in(id uint32) bool {
	row, ok := c.rowOf(id)
	return !ok || c.marks[row]&markSkip == 0
}

func (c *conversion) weigh(id uint32) load {
	if row, ok := c.rowOf(id); ok {
		return load{1, int64(c.sizes[row]) + 1}
	}
	return load{1, int64(len(c.existing(id).Raw)) + 1}
}

// spread reports whether a rule can only match a list of paths; all others are in every chunk.
func (c *conversion) spread(id uint32) bool {
	if row, ok := c.rowOf(id); ok {
		return c.marks[row]&markRepeated == 0
	}
	_, spread := c.existing(id).Rule.Literals()
	return spread
}

// isRepeated reports whether a rule is in every chunk.
func (c *conversion) isRepeated(id uint32) bool {
	if c.dispatch.Kind == chunkset.Host {
		var hosts [8]int32
		return len(c.hostsOf(id, hosts[:0])) == 0
	}
	return c.dispatch.Kind == chunkset.Hash && !c.spread(id)
}

// buckets gives the buckets, of n, that a rule is in.
func (c *conversion) buckets(id uint32, key chunkset.Key, n int, to []int) []int {
	if row, ok := c.rowOf(id); ok {
		return c.keys[keyIndex(key)].buckets(row, n, to)
	}
	rule := &c.existing(id).Rule
	literals, _ := rule.Literals()
	host := ""
	if hosts, ok := rule.Hosts(); ok && key == chunkset.HostPathKey {
		host = hosts[0]
	}
	var found []uint16
	for _, path := range literals {
		found, _ = appendHashes(found, nil, host+path)
	}
	k := bucketKeys{many: map[uint32][]uint16{0: found}}
	return k.buckets(0, n, to)
}

func keyIndex(key chunkset.Key) int {
	if key == chunkset.HostPathKey {
		return 1
	}
	return 0
}

// ids gives the rules that are in, in order.
func (c *conversion) ids(yield func(uint32) bool) {
	for id := range uint32(c.total()) {
		if c.in(id) && !yield(id) {
			return
		}
	}
}

// choose decides on chunks.
func (c *conversion) choose(context.Context) error {
	all := load{}
	for id := range c.ids {
		all = all.plus(c.weigh(id))
		if !c.spread(id) {
			c.plan.repeated = append(c.plan.repeated, id)
		}
	}
	c.dispatch = chunkset.Dispatch{Name: c.options.Name, Fill: c.options.Fill}
	kind, err := c.kind(all)
	if err != nil {
		return err
	}
	c.dispatch.Kind = kind
	switch kind {
	case chunkset.Single:
		err = c.chooseSingle(all)
	case chunkset.Hash:
		err = c.chooseHash()
	case chunkset.Host:
		err = c.chooseHosts()
	case chunkset.Sequence:
		err = c.chooseSequence(all)
	}
	if err != nil {
		return err
	}
	return c.number()
}

// kind is how chunks are chosen: as --split says, else as before, else in one policy where it fits.
func (c *conversion) kind(all load) (chunkset.Kind, error) {
	kind, n := chunkset.Kind(c.options.Split), c.options.Buckets
	p := c.options.Previous
	switch {
	case p == nil && kind != SplitAuto:
		return kind, nil
	case p == nil && n <= 1 && all.within(c.limit()):
		return chunkset.Single, nil
	case p == nil:
		return chunkset.Hash, nil
	case n > 1 && p.Dispatch.Kind == chunkset.Single && (kind == SplitAuto || kind == chunkset.Hash):
		return chunkset.Hash, nil
	case kind != SplitAuto && kind != p.Dispatch.Kind:
		return "", unusable("leave out --split or --previous", "--split %s: the earlier conversion was split by %s", kind, p.Dispatch.Kind)
	case n > 0 && p.Dispatch.Kind != chunkset.Hash && p.Dispatch.Kind != chunkset.Single:
		return "", unusable("leave out --buckets or --previous", "--buckets %d: the earlier conversion was split by %s", n, p.Dispatch.Kind)
	}
	return p.Dispatch.Kind, nil
}

// number gives the planned chunks their names, and completes the dispatch.
func (c *conversion) number() error {
	if err := chunkset.CheckName(c.options.Name, len(c.plan.chunks)); err != nil {
		return unusable("", "--name: %v", err)
	}
	if c.dispatch.N = len(c.plan.chunks); c.dispatch.Kind == chunkset.Single {
		c.dispatch.N = 1
	}
	for i := range c.plan.chunks {
		p := &c.plan.chunks[i]
		p.chunk.Policy = chunkset.PolicyName(c.options.Name, i+1)
		p.chunk.File = chunkset.ChunkFile(p.chunk.Policy)
		for _, id := range p.ids {
			row, ok := c.rowOf(id)
			if !ok || c.isRepeated(id) {
				continue
			}
			at := int(row) + 1
			if p.chunk.Rows[0] == 0 || at < p.chunk.Rows[0] {
				p.chunk.Rows[0] = at
			}
			p.chunk.Rows[1] = max(p.chunk.Rows[1], at)
		}
		c.dispatch.Chunks = append(c.dispatch.Chunks, p.chunk)
	}
	return nil
}

func (c *conversion) chooseSingle(all load) error {
	if !all.within(c.limit()) { // as without an earlier conversion it is not
		s := c.newSet(c.hashKey(), c.ids)
		n := s.fewest(c.filled())
		if n == 0 {
			return c.noRoom(s)
		}
		return unusable(bucketsHint(n, 1), "the rules no longer fit into the one policy of the earlier conversion: %s", all)
	}
	p := planned{chunk: chunkset.Chunk{Of: 1}, load: all}
	for id := range c.ids {
		p.ids = append(p.ids, id)
	}
	c.plan.chunks = []planned{p}
	return nil
}

// chooseHash spreads rules over as many buckets as are needed. Another number than that of an earlier conversion moves
// almost every row.
func (c *conversion) chooseHash() error {
	key, n := c.hashKey(), c.options.Buckets
	if p := c.options.Previous; p != nil && p.Dispatch.Kind == chunkset.Hash {
		if p.Dispatch.Key == chunkset.HostPathKey && key != chunkset.HostPathKey {
			return unusable("start again without --previous", "the earlier conversion chose chunks by host and path, and now a rule names no host, or several")
		}
		key, n = p.Dispatch.Key, cmp.Or(n, p.Dispatch.N)
	}
	s := c.newSet(key, c.ids)
	if n == 0 {
		if n = s.fewest(c.filled()); n == 0 {
			return c.noRoom(s)
		}
	} else if !s.fits(n, c.limit()) {
		return c.overflow(s, n)
	}
	c.dispatch.Key = key
	c.plan.chunks = s.chunks(n)
	return nil
}

// hashKey is what a hash is made of: host and path where every rule that is spread names one host, else the path.
func (c *conversion) hashKey() chunkset.Key {
	key := chunkset.PathKey
	for id := range c.ids {
		if !c.spread(id) {
			continue
		}
		if !c.hosted(id) {
			return chunkset.PathKey
		}
		key = chunkset.HostPathKey
	}
	return key
}

// chooseSequence cuts the list of rules where a policy is full. With an earlier conversion it is cut where it was, and a
// chunk of which no row is left is empty, so that the others keep their numbers.
func (c *conversion) chooseSequence(all load) error {
	c.plan.repeated = nil
	c.plan.chunks = []planned{{chunk: chunkset.Chunk{Of: 1}}}
	if c.options.Previous != nil {
		return c.keepSequence()
	}
	limit := c.filled()
	if all.within(c.limit()) {
		limit = c.limit()
	}
	for id := range c.ids {
		w := c.weigh(id)
		p := &c.plan.chunks[len(c.plan.chunks)-1]
		if len(p.ids) > 0 && !p.load.plus(w).within(limit) {
			p = c.nextChunk()
		}
		p.ids, p.load = append(p.ids, id), p.load.plus(w)
	}
	return nil
}

// keepSequence cuts the list of rules where an earlier conversion did.
func (c *conversion) keepSequence() error {
	p := &c.plan.chunks[0]
	for id := range c.ids {
		if row, ok := c.rowOf(id); ok {
			for len(c.plan.chunks) <= int(c.before[row]) {
				p = c.nextChunk()
			}
		}
		if p.ids, p.load = append(p.ids, id), p.load.plus(c.weigh(id)); !p.load.within(c.limit()) {
			return unusable("start again without --previous, which cuts the list anew",
				"the rows that were in policy %s, and those that are new among them, no longer fit into it", chunkset.PolicyName(c.options.Name, len(c.plan.chunks)))
		}
	}
	for len(c.plan.chunks) < len(c.options.Previous.Dispatch.Chunks) {
		c.nextChunk()
	}
	return nil
}

// nextChunk begins one more chunk of a sequence.
func (c *conversion) nextChunk() *planned {
	c.plan.chunks = append(c.plan.chunks, planned{chunk: chunkset.Chunk{Of: 1}})
	return &c.plan.chunks[len(c.plan.chunks)-1]
}
