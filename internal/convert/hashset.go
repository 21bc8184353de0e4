package convert

import (
	"iter"
	"slices"

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
	weight   load  // of all that is spread
	stamps   []int // by bucket: the number of the rule of many that it got last
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
	to = to[:0]
	for range n {
		to = append(to, s.repeated)
	}
	for h, w := range s.single {
		if w.rules > 0 {
			to[h%n] = to[h%n].plus(w)
		}
	}
	if len(s.many) > 0 {
		s.stamps = append(s.stamps[:0], make([]int, n)...)
	}
	for i, m := range s.many {
		for _, h := range m.hashes {
			if b := h % n; s.stamps[b] != i+1 {
				s.stamps[b], to[b] = i+1, to[b].plus(m.load)
			}
		}
	}
	return to
}

func (s *hashSet) fits(n int, limit load) bool {
	return !slices.ContainsFunc(s.loads(n, nil), func(l load) bool { return !l.within(limit) })
}

// least is the number of buckets that would do if they were all filled alike; 0 when there is no room beside what is
// repeated.
func (s *hashSet) least(limit load) int {
	room := s.repeated.beside(limit)
	if room.none() {
		return 0
	}
	return max(1, (s.weight.rules+room.rules-1)/room.rules, int((s.weight.bytes+room.bytes-1)/room.bytes))
}

// last is the greatest number of buckets that is tried.
func (s *hashSet) last(limit load) int { return min(4*s.least(limit), maxBuckets) }

// fewest is the smallest number of buckets of which none is over the limit; 0 when there is none up to four times the
// least, or 1,000.
func (s *hashSet) fewest(limit load) int {
	least := s.least(limit)
	if least == 0 {
		return 0
	}
	var loads []load
	over := func(l load) bool { return !l.within(limit) }
	for n := least; n <= s.last(limit); n++ {
		if loads = s.loads(n, loads); !slices.ContainsFunc(loads, over) {
			return n
		}
	}
	return 0
}

// fullest is the one of n buckets that is closest to the limit, or farthest over it.
func (s *hashSet) fullest(n int, limit load) (bucket int, most load) {
	highest := -1.0
	for i, l := range s.loads(n, nil) {
		if full := max(float64(l.rules)/float64(limit.rules), float64(l.bytes)/float64(max(limit.bytes, 1))); full > highest {
			bucket, most, highest = i, l, full
		}
	}
	return bucket, most
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
