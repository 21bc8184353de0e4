package convert

import (
	"fmt"
	"iter"

	"cloudletmig/internal/chunkset"
)

// hashSet is what is to be spread over buckets by one key.
type hashSet struct {
	c        *conversion
	key      chunkset.Key
	members  iter.Seq[uint32] // in order
	single   []load           // by hash: rules with that hash alone
	many     []manyHashes
	repeated load
	spread   int
	weight   load // of all that is spread
}

// manyHashes is a rule with several hashes.
type manyHashes struct {
	id     uint32
	hashes []int
	load   load
}

func (c *conversion) newSet(key chunkset.Key, members iter.Seq[uint32]) *hashSet {
	s := &hashSet{c: c, key: key, members: members, single: make([]load, hashes)}
	for id := range members {
		w := c.weigh(id)
		if !c.spread(id) {
			s.repeated = s.repeated.plus(w)
			continue
		}
		s.spread++
		s.weight = s.weight.plus(w)
		found := c.buckets(id, key, hashes, nil)
		if len(found) == 1 {
			s.single[found[0]] = s.single[found[0]].plus(w)
			continue
		}
		s.many = append(s.many, manyHashes{id, found, w})
	}
	return s
}

// loads is what every bucket of n weighs.
func (s *hashSet) loads(n int, to []load) []load {
	to = append(to[:0], make([]load, n)...)
	for i := range to {
		to[i] = s.repeated
	}
	for h, w := range s.single {
		if w.rules > 0 {
			to[h%n] = to[h%n].plus(w)
		}
	}
	for _, m := range s.many {
		for i, h := range m.hashes {
			again := false
			for _, earlier := range m.hashes[:i] {
				again = again || earlier%n == h%n
			}
			if !again {
				to[h%n] = to[h%n].plus(m.load)
			}
		}
	}
	return to
}

func (s *hashSet) fits(n int, limit load) bool {
	for _, l := range s.loads(n, nil) {
		if !l.within(limit) {
			return false
		}
	}
	return true
}

// least is the number of buckets that would do if they were all filled alike; 0 when there is no room beside what is
// repeated.
func (s *hashSet) least(limit load) int {
	rules, bytes := limit.rules-s.repeated.rules, limit.bytes-s.repeated.bytes
	if rules <= 0 || bytes <= 0 {
		return 0
	}
	return max(1, (s.weight.rules+rules-1)/rules, int((s.weight.bytes+bytes-1)/bytes))
}

// fewest is the smallest number of buckets of which none is over the limit; 0 when there is none up to four times the
// least, or 1,000.
func (s *hashSet) fewest(limit load) int {
	least := s.least(limit)
	if least == 0 {
		return 0
	}
	var loads []load
search:
	for n := least; n <= min(4*least, maxBuckets); n++ {
		loads = s.loads(n, loads)
		for _, l := range loads {
			if !l.within(limit) {
				continue search
			}
		}
		return n
	}
	return 0
}

// fullest names the fullest bucket.
func (s *hashSet) fullest(n int, limit load) string {
	most, at := load{}, 0
	for i, l := range s.loads(n, nil) {
		if !l.within(limit) && l.rules > most.rules {
			most, at = l, i
		}
	}
	return fmt.Sprintf("bucket %d with %d rules in %d bytes", at, most.rules, most.bytes+bodyOverhead)
}

// chunks makes the chunks of n buckets, the rules of each in order.
func (s *hashSet) chunks(n int) []planned {
	chunks := make([]planned, n)
	for i, l := range s.loads(n, nil) {
		chunks[i].chunk = chunkset.Chunk{Bucket: i, Of: n}
		chunks[i].load = l
		chunks[i].ids = make([]uint32, 0, l.rules)
	}
	var buckets []int
	for id := range s.members {
		if !s.c.spread(id) {
			for i := range chunks {
				chunks[i].ids = append(chunks[i].ids, id)
			}
			continue
		}
		buckets = s.c.buckets(id, s.key, n, buckets)
		for _, b := range buckets {
			chunks[b].ids = append(chunks[b].ids, id)
		}
	}
	return chunks
}
