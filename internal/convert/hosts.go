package convert

import (
	"fmt"
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
// chunk, and make one more for all other hosts. A host that is too big for one chunk becomes a hash set of its own. With
// an earlier conversion, every group stays what and where it was, and new ones come behind.
func (c *conversion) chooseHosts() error {
	weights, everywhere, hostless := c.weighHosts()
	groups, err := c.groupHosts(weights, everywhere)
	if err != nil {
		return err
	}
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
func (c *conversion) groupHosts(weights []load, everywhere load) ([]hostGroup, error) {
	var groups []hostGroup
	placed := make([]bool, len(weights))
	if p := c.options.Previous; p != nil {
		groups = p.groups(c.hosts, weights, everywhere, placed)
	}
	limit := c.filled()
	room := everywhere.beside(limit)
	open := -1
	for h, w := range weights {
		if placed[h] || w.rules == 0 { // none of its rows is left
			continue
		}
		switch {
		case room.none():
			return nil, c.noRoomForHosts(weights, everywhere)
		case !w.within(room):
			groups = append(groups, hostGroup{hosts: []int32{int32(h)}, load: everywhere.plus(w)})
		case open >= 0 && groups[open].load.plus(w).within(limit):
			groups[open].hosts, groups[open].load = append(groups[open].hosts, int32(h)), groups[open].load.plus(w)
		default:
			open = len(groups)
			groups = append(groups, hostGroup{hosts: []int32{int32(h)}, load: everywhere.plus(w)})
		}
	}
	return groups, nil
}

// noRoomForHosts says that what is in every chunk leaves no room for a host.
func (c *conversion) noRoomForHosts(weights []load, everywhere load) error {
	limit := c.filled()
	room := everywhere.beside(limit)
	hint := "--split hash spreads such rows too; or raise --fill"
	if c.options.Previous != nil {
		hint = "start again without --previous and with --split hash, or raise --fill"
	}
	return unusable(hint,
		"%s for %s, and %s for no host in particular, which every policy repeats (%d bytes of %d): they leave room for %d",
		counted(c.countHosted(), "rule"), counted(len(weights), "host"), counted(everywhere.rules, "rule"), everywhere.bytes, limit.bytes, room.rules)
}

// countHosted is how many rules name hosts.
func (c *conversion) countHosted() int {
	n := 0
	var buf []int32
	for id := range c.ids {
		if buf = c.hostsOf(id, buf); len(buf) > 0 {
			n++
		}
	}
	return n
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

// fillHosts makes the chunks of a group. Alone, or with an earlier conversion, it may fill a chunk to the brim; what was
// one chunk then, or a hash set, must stay one of that size, or the policies behind it would change their numbers.
func (c *conversion) fillHosts(g *hostGroup, alone bool) error {
	names := make([]string, 0, len(g.hosts))
	for _, h := range g.hosts {
		names = append(names, c.hosts.names[h])
	}
	chunk := planned{chunk: chunkset.Chunk{Of: 1}, ids: g.ids}
	for _, id := range g.ids {
		chunk.load = chunk.load.plus(c.weigh(id))
	}
	limit := c.filled()
	if c.options.Previous != nil || alone {
		limit = c.limit()
	}
	chunks := []planned{chunk}
	switch earlier := c.options.Previous.bucketsOf(names, g.others); {
	case earlier == 1 && !chunk.load.within(limit):
		return c.hostsOverflow(names, 0, chunk.load)
	case earlier > 1 || !chunk.load.within(limit):
		s := c.newSet(chunkset.PathKey, slices.Values(g.ids))
		n := earlier
		if n == 0 {
			n = s.fewest(c.filled())
		}
		if n == 0 {
			return c.noRoom(s)
		}
		if !s.fits(n, c.limit()) {
			bucket, most := s.fullest(n, c.limit())
			return c.hostsOverflow(names, bucket, most)
		}
		chunks = s.chunks(n)
	}
	for j := range chunks {
		chunks[j].chunk.Hosts, chunks[j].chunk.OtherHosts = names, g.others
	}
	c.plan.chunks = append(c.plan.chunks, chunks...)
	return nil
}

// hostsOverflow says that hosts no longer fit into the policy, or the bucket of their hash set, that they had in an
// earlier conversion.
func (c *conversion) hostsOverflow(names []string, bucket int, most load) error {
	whose := "all other hosts"
	switch {
	case len(names) == 1:
		whose = names[0]
	case len(names) > 1:
		whose = fmt.Sprintf("%s and %s", names[0], counted(len(names)-1, "other host"))
	}
	return unusable("start again without --previous, which may change every policy",
		"what policy %s has for %s no longer fits: %s, and a policy holds %s",
		chunkset.PolicyName(c.options.Name, len(c.plan.chunks)+bucket+1), whose, most, c.limit())
}
