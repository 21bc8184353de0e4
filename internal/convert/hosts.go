package convert

import (
	"slices"

	"cloudletmig/internal/chunkset"
)

// hostTable says which hosts a row names. It is kept only where chunks are chosen by host.
type hostTable struct {
	names  []string // in order of first appearance
	number map[string]int32
	of     []int32            // of each row: its host, or -1 for none
	many   map[uint32][]int32 // of rows that name several
}

func newHostTable(rows int) *hostTable {
	t := &hostTable{number: map[string]int32{}, of: make([]int32, rows), many: map[uint32][]int32{}}
	for i := range t.of {
		t.of[i] = -1
	}
	return t
}

func (t *hostTable) add(name string) int32 {
	name = lower(name)
	n, ok := t.number[name]
	if !ok {
		n = int32(len(t.names))
		t.names = append(t.names, name)
		t.number[name] = n
	}
	return n
}

func (t *hostTable) set(row uint32, hosts []string) {
	for i, h := range hosts {
		n := t.add(h)
		if i == 0 {
			t.of[row] = n
		}
		if len(hosts) > 1 && !slices.Contains(t.many[row], n) {
			t.many[row] = append(t.many[row], n)
		}
	}
}

// hostsOf gives the hosts that a rule names; none for a rule that can match others too.
func (c *conversion) hostsOf(id uint32, to []int32) []int32 {
	to = to[:0]
	row, ok := c.rowOf(id)
	switch {
	case !ok:
		if hosts, named := c.existing(id).Rule.Hosts(); named {
			for _, h := range hosts {
				to = append(to, c.hosts.add(h))
			}
		}
	case len(c.hosts.many[row]) > 0:
		to = append(to, c.hosts.many[row]...)
	case c.hosts.of[row] >= 0:
		to = append(to, c.hosts.of[row])
	}
	return to
}

// hostGroup is hosts that share a chunk, or the hash set of one; or all hosts that no other group has.
type hostGroup struct {
	hosts  []int32
	others bool
	load   load
	ids    []uint32
}

// chooseHosts lets hosts share chunks in the order in which they appear. Rules for no host in particular are in every
// chunk, and make one more for all other hosts. What is too big for one chunk becomes a hash set of its own. With an
// earlier conversion, every group stays where it was.
func (c *conversion) chooseHosts() error {
	weights, everywhere, hostless := c.weighHosts()
	groups := c.groupHosts(weights, everywhere)
	if hostless && !slices.ContainsFunc(groups, func(g hostGroup) bool { return g.others }) {
		groups = append(groups, hostGroup{others: true, load: everywhere})
	}
	c.shareOut(groups)
	c.dispatch.Key = chunkset.PathKey
	for i := range groups {
		if err := c.fillHosts(&groups[i], len(groups) == 1); err != nil {
			return err
		}
	}
	return nil
}

// weighHosts gives the load of every host, and of what is for no host in particular, if anything is.
func (c *conversion) weighHosts() (weights []load, everywhere load, hostless bool) {
	var buf []int32
	for id := range c.ids { // those that were taken over may name hosts of their own
		buf = c.hostsOf(id, buf)
	}
	weights = make([]load, len(c.hosts.names))
	for id := range c.ids {
		buf = c.hostsOf(id, buf)
		w := c.weigh(id)
		for _, h := range buf {
			weights[h] = weights[h].plus(w)
		}
		if len(buf) == 0 {
			everywhere, hostless = everywhere.plus(w), true
		}
	}
	return weights, everywhere, hostless
}

// groupHosts packs hosts into chunks, one after another; with an earlier conversion, hosts stay where they were.
func (c *conversion) groupHosts(weights []load, everywhere load) []hostGroup {
	var groups []hostGroup
	placed := make([]bool, len(weights))
	if p := c.options.Previous; p != nil {
		groups = p.groups(c.hosts, weights, everywhere, placed)
	}
	limit := c.filled()
	open := -1
	for h, w := range weights {
		if placed[h] {
			continue
		}
		switch {
		case !everywhere.plus(w).within(limit):
			groups = append(groups, hostGroup{hosts: []int32{int32(h)}, load: everywhere.plus(w)})
		case open >= 0 && groups[open].load.plus(w).within(limit):
			groups[open].hosts, groups[open].load = append(groups[open].hosts, int32(h)), groups[open].load.plus(w)
		default:
			open = len(groups)
			groups = append(groups, hostGroup{hosts: []int32{int32(h)}, load: everywhere.plus(w)})
		}
	}
	return groups
}

// shareOut gives every group its rules, in order.
func (c *conversion) shareOut(groups []hostGroup) {
	groupOf := make([]int, len(c.hosts.names))
	for i, g := range groups {
		for _, h := range g.hosts {
			groupOf[h] = i
		}
	}
	var buf []int32
	for id := range c.ids {
		buf = c.hostsOf(id, buf)
		for i := range groups {
			if len(buf) == 0 {
				groups[i].ids = append(groups[i].ids, id)
			}
		}
		for i, h := range buf {
			g := groupOf[h]
			if !slices.ContainsFunc(buf[:i], func(o int32) bool { return groupOf[o] == g }) {
				groups[g].ids = append(groups[g].ids, id)
			}
		}
	}
}

// fillHosts makes the chunks of a group. Alone, a group may fill a chunk to the brim.
func (c *conversion) fillHosts(g *hostGroup, alone bool) error {
	names := make([]string, 0, len(g.hosts))
	for _, h := range g.hosts {
		names = append(names, c.hosts.names[h])
	}
	exact := load{}
	for _, id := range g.ids {
		exact = exact.plus(c.weigh(id))
	}
	limit := c.filled()
	if c.options.Previous != nil || alone {
		limit = c.limit()
	}
	chunks := []planned{{chunk: chunkset.Chunk{Of: 1}, ids: g.ids, load: exact}}
	if earlier := c.options.Previous.bucketsOf(names, g.others); earlier > 1 || !exact.within(limit) {
		s := c.newSet(chunkset.PathKey, slices.Values(g.ids))
		n := earlier
		if n <= 1 {
			n = s.fewest(c.filled())
		}
		if n == 0 {
			return c.noRoom(s)
		}
		if !s.fits(n, c.limit()) {
			return c.overflow(s, n)
		}
		chunks = s.chunks(n)
	}
	for j := range chunks {
		chunks[j].chunk.Hosts, chunks[j].chunk.OtherHosts = names, g.others
	}
	c.plan.chunks = append(c.plan.chunks, chunks...)
	return nil
}
