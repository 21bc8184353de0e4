package convert

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

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
		int(math.Floor(float64(c.options.MaxRules) * c.options.Fill)),
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
	kind := chunkset.Kind(c.options.Split)
	if p := c.options.Previous; p != nil {
		if kind != SplitAuto && kind != p.Dispatch.Kind {
			return unusable("leave out --split or --previous", "--split %s: the earlier conversion was split by %s", kind, p.Dispatch.Kind)
		}
		kind = p.Dispatch.Kind
	} else if kind == SplitAuto {
		kind = chunkset.Hash
		if c.options.Buckets <= 1 && all.within(c.limit()) {
			kind = chunkset.Single
		}
	}
	c.dispatch.Kind = kind
	var err error
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
	if !all.within(c.limit()) {
		return unusable("start again without --previous", "the rules no longer fit into the one policy of the earlier conversion: %d rules, %d bytes", all.rules, all.bytes+bodyOverhead)
	}
	p := planned{chunk: chunkset.Chunk{Of: 1}, load: all}
	for id := range c.ids {
		p.ids = append(p.ids, id)
	}
	c.plan.chunks = []planned{p}
	return nil
}

// chooseHash spreads rules over as many buckets as are needed.
func (c *conversion) chooseHash() error {
	key := c.hashKey()
	n := c.options.Buckets
	if p := c.options.Previous; p != nil {
		if p.Dispatch.Key == chunkset.HostPathKey && key != chunkset.HostPathKey {
			return unusable("start again without --previous", "the earlier conversion chose chunks by host and path, and now a rule names no host, or several")
		}
		key = p.Dispatch.Key
		if n != 0 && n != p.Dispatch.N {
			return c.checkBuckets(n, key)
		}
		n = p.Dispatch.N
	}
	s := c.newSet(key, c.ids)
	if n == 0 {
		if n = s.fewest(c.filled()); n == 0 {
			return c.noRoom(s)
		}
	} else if !s.fits(n, c.limit()) {
		return c.overflow(s, n)
	}
	return c.fillHash(s, n)
}

// checkBuckets changes the number of buckets of an earlier conversion, which moves almost every row.
func (c *conversion) checkBuckets(n int, key chunkset.Key) error {
	s := c.newSet(key, c.ids)
	if !s.fits(n, c.limit()) {
		return c.overflow(s, n)
	}
	return c.fillHash(s, n)
}

func (c *conversion) fillHash(s *hashSet, n int) error {
	c.dispatch.Key = s.key
	c.plan.chunks = s.chunks(n)
	return nil
}

// hashKey is what a hash is made of: host and path where every rule that is spread names one host, else the path.
func (c *conversion) hashKey() chunkset.Key {
	if c.hostless {
		return chunkset.PathKey
	}
	some := false
	for id := range c.ids {
		if !c.spread(id) {
			continue
		}
		some = true
		if _, ok := c.rowOf(id); ok {
			continue
		}
		if hosts, ok := c.existing(id).Rule.Hosts(); !ok || len(hosts) != 1 {
			return chunkset.PathKey
		}
	}
	if !some {
		return chunkset.PathKey
	}
	return chunkset.HostPathKey
}

// overflow says which number of buckets would do.
func (c *conversion) overflow(s *hashSet, n int) error {
	more := s.fewest(c.filled())
	if more == 0 {
		return c.noRoom(s)
	}
	hint := fmt.Sprintf("--buckets %d would do", more)
	if c.options.Previous != nil {
		hint += fmt.Sprintf("; it changes all %d policies and makes %d more", n, max(0, more-n))
	}
	return unusable(hint, "with %d buckets, %s is more than one policy holds", n, s.fullest(n, c.limit()))
}

// noRoom says why no number of buckets will do: a path with too many rows of its own, or too many repeated rules.
func (c *conversion) noRoom(s *hashSet) error {
	limit := c.filled()
	room := max(limit.rules-s.repeated.rules, 0)
	if path, own := c.crowded(s); own.rules > c.options.MaxRules {
		return unusable("shorten the list for this path, or split the sheet by hand with --split sequence",
			"%d rules share the path %s, and a policy holds %d: no hash of the path can tell them apart", own.rules, shown(path), c.options.MaxRules)
	} else if own.rules > 0 {
		return unusable("shorten the list for this path, raise --fill, or split the sheet by hand with --split sequence",
			"%d rules share the path %s, and a policy has room for %d beside %d repeated ones (%d bytes of %d): no hash of the path can tell them apart",
			own.rules, shown(path), room, s.repeated.rules, own.bytes, max(limit.bytes-s.repeated.bytes, 0))
	}
	return unusable("make fewer rules with wildcards or regular expressions, or raise --fill",
		"no number of buckets up to %d will do: %d rules to spread, %d repeated in every policy, room for %d beside them (%d bytes repeated of %d)",
		min(maxBuckets, 4*max(1, s.least(limit))), s.spread, s.repeated.rules, room, s.repeated.bytes, limit.bytes)
}

// crowded finds the path whose rules do not fit into a policy, and that more than the repeated rules is why.
func (c *conversion) crowded(s *hashSet) (path string, own load) {
	limit := c.filled()
	crowds := func(l load) bool {
		heavier := l.rules > s.repeated.rules || l.bytes > s.repeated.bytes
		return !s.repeated.plus(l).within(limit) && (heavier || !l.within(limit))
	}
	loads := s.loads(hashes, nil) // by hash
	most := 0
	for h := range loads {
		if loads[h].rules > loads[most].rules || loads[h].rules == loads[most].rules && loads[h].bytes > loads[most].bytes {
			most = h
		}
	}
	if loads[most].within(limit) {
		return "", load{}
	}
	counts := map[string]load{}
	l := looker{c: c}
	for id := range s.members {
		if !c.spread(id) || !slices.Contains(c.buckets(id, s.key, hashes, nil), most) {
			continue
		}
		rule, err := l.load(id)
		if err != nil {
			continue
		}
		paths, _ := rule.Literals()
		for _, p := range paths {
			p = strings.Clone(lower(p))
			counts[p] = counts[p].plus(c.weigh(id))
		}
	}
	for p, n := range counts {
		if crowds(n) && (n.rules > own.rules || n.rules == own.rules && p < path) {
			path, own = p, n
		}
	}
	return path, own
}

// chooseSequence cuts the list of rules where a policy is full.
func (c *conversion) chooseSequence(all load) error {
	limit := c.filled()
	if all.within(c.limit()) {
		limit = c.limit()
	}
	earlier := 0
	var p planned
	for id := range c.ids {
		w := c.weigh(id)
		full := !p.load.plus(w).within(limit)
		if previous := c.options.Previous; previous != nil {
			full = false
			if row, ok := c.rowOf(id); ok {
				if at := int(c.before[row]); at > earlier {
					earlier, full = at, true
				}
			}
			if !p.load.plus(w).within(c.limit()) && !full {
				return unusable("start again without --previous", "the rows that were in policy %s no longer fit into it", chunkset.PolicyName(c.options.Name, earlier+1))
			}
		}
		if full && len(p.ids) > 0 {
			p.chunk.Of = 1
			c.plan.chunks = append(c.plan.chunks, p)
			p = planned{}
		}
		p.ids, p.load = append(p.ids, id), p.load.plus(w)
	}
	p.chunk.Of = 1
	c.plan.chunks = append(c.plan.chunks, p)
	c.plan.repeated = nil
	return nil
}
