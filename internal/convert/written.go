package convert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/redirect"
)

// placed says which chunks every rule was sent to, and what its text was.
type placed struct {
	home  []uint16            // of each rule, by id: its chunk, or one of the two below
	homes map[uint32][]uint16 // of rules that are in several; ascending
	sums  []uint64            // hashes of the texts
	// misread says of rules that a parser reads otherwise than they were meant what they look like.
	misread map[uint32]string
}

const (
	nowhere   = 1<<16 - 1
	inSeveral = 1<<16 - 2
)

func newPlaced(total int, chunks []planned) *placed {
	p := &placed{home: make([]uint16, total), homes: map[uint32][]uint16{}, sums: make([]uint64, total), misread: map[uint32]string{}}
	for id := range p.home {
		p.home[id] = nowhere
	}
	for i := range chunks {
		for _, id := range chunks[i].ids {
			switch p.home[id] {
			case nowhere:
				p.home[id] = uint16(i)
			case inSeveral:
				p.homes[id] = append(p.homes[id], uint16(i))
			default:
				p.homes[id] = []uint16{p.home[id], uint16(i)}
				p.home[id] = inSeveral
			}
		}
	}
	return p
}

// in reports whether a rule was sent to a chunk.
func (p *placed) in(id uint32, chunk int) bool {
	home := p.home[id]
	if home != inSeveral {
		return int(home) == chunk
	}
	_, found := slices.BinarySearch(p.homes[id], uint16(chunk)) // they were put in in order
	return found
}

// writtenSet is all chunks as their files have them. A file that holds, text for text and in order, the rules that were
// sent to it is asked by way of the list of all rules, the others skipped: what was sent is what a parser reads as the
// rule that was meant (misread), so that the file says it too. Of any other file the rules are read.
type writtenSet struct {
	c      *conversion
	other  []*otherFile     // by chunk; nil where the file is what was sent
	exact  bool             // all files are
	odd    string           // else the first that is not
	of     map[string]int   // the chunk of a policy
	byHost map[string][]int // kind host: the chunks of a host, in lower case; those of all others by the empty name
	hosts  []string         // kind host: one host of every set
}

// otherFile is a chunk whose file is not what was sent.
type otherFile struct {
	list  *redirect.List
	rules []redirect.Rule
}

// openChunks reads the chunks' files.
func (c *conversion) openChunks(ctx context.Context) (*writtenSet, error) {
	type opened struct {
		at   int
		file *otherFile
	}
	s := &writtenSet{c: c, other: make([]*otherFile, len(c.dispatch.Chunks)), of: map[string]int{}, exact: true, byHost: map[string][]int{}}
	next := 0
	err := pipe[opened]{
		Workers: c.options.Workers,
		Fill: func(o *opened) (bool, error) {
			o.at = next
			next++
			return o.at < len(s.other), nil
		},
		Worker: func() func(*opened) error {
			return func(o *opened) (err error) {
				o.file, err = c.openChunk(o.at)
				return err
			}
		},
		Merge: func(o *opened) error {
			chunk := &c.dispatch.Chunks[o.at]
			s.other[o.at] = o.file
			if o.file != nil && s.exact {
				s.exact, s.odd = false, chunk.File
			}
			s.of[chunk.Policy] = o.at
			s.addHosts(o.at, chunk)
			return nil
		},
	}.run(ctx)
	return s, err
}

func (s *writtenSet) addHosts(at int, chunk *chunkset.Chunk) {
	if s.c.dispatch.Kind != chunkset.Host {
		return
	}
	hosts := chunk.Hosts
	if chunk.OtherHosts {
		hosts = []string{""}
	}
	for _, h := range hosts {
		s.byHost[lower(h)] = append(s.byHost[lower(h)], at)
	}
	if chunk.Bucket > 0 { // its set has been met
		return
	}
	if chunk.OtherHosts {
		s.hosts = append(s.hosts, anyHost)
	} else {
		s.hosts = append(s.hosts, chunk.Hosts[0])
	}
}

// openChunk reads the file of a chunk. It gives nothing where the file is what was sent.
func (c *conversion) openChunk(at int) (*otherFile, error) {
	name := c.dispatch.Chunks[at].File
	doc, err := c.out.Read(name)
	if err != nil {
		return nil, err
	}
	if c.isSent(doc, c.plan.chunks[at].ids) {
		return nil, nil
	}
	if !cloudlet.ValidJSON(doc) {
		return nil, fmt.Errorf("read %s again: %w", name, errFile)
	}
	var rules []redirect.Rule
	for member, value := range cloudlet.Members(doc) {
		if member != "matchRules" {
			continue
		}
		for raw := range cloudlet.Elements(value) {
			rule, err := redirect.ParseValid(raw)
			if err != nil {
				return nil, fmt.Errorf("read %s again: rule %d: %w", name, len(rules)+1, err)
			}
			rules = append(rules, rule)
		}
	}
	list, err := redirect.NewList(rules)
	if err != nil {
		return nil, fmt.Errorf("read %s again: %w", name, err)
	}
	return &otherFile{list, rules}, nil
}

var errFile = errors.New("the file is not what was written")

// isSent reports whether a chunk's file holds, one a line and in the order of the list, the rules with these ids, and
// nothing else.
func (c *conversion) isSent(doc []byte, ids []uint32) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			return false
		}
	}
	head, rest, _ := bytes.Cut(doc, []byte("\n"))
	if len(ids) == 0 {
		return len(rest) == 0 && cloudlet.ValidJSON(head)
	}
	if !bytes.HasSuffix(head, []byte(`"matchRules":[`)) || !cloudlet.ValidJSON(append(bytes.Clone(head), "]}"...)) {
		return false
	}
	for i, id := range ids {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if i < len(ids)-1 {
			var more bool
			if line, more = bytes.CutSuffix(line, []byte(",")); !more {
				return false
			}
		}
		if maphash.Bytes(c.seed, line) != c.placed.sums[id] {
			return false
		}
	}
	return string(rest) == "]}\n"
}

// evaluate asks one chunk.
func (s *writtenSet) evaluate(at int, q *redirect.Request, l *looker) (redirect.Answer, error) {
	if other := s.other[at]; other != nil {
		return other.list.Evaluate(q)
	}
	return s.c.set.EvaluateSkipping(q, l.load, func(id uint32) bool { return !s.c.placed.in(id, at) })
}

// repeats reports whether a chunk answers as the list of all rules does because it has the rule that answers there: all that
// comes before it in the chunk comes before it in the list, and does not answer.
func (s *writtenSet) repeats(at int, whole redirect.Answer) bool {
	return s.other[at] == nil && whole.Found && s.c.placed.in(whole.ID, at)
}

// silent reports whether no chunk at all has an answer to a request to which the list of all rules has none.
func (s *writtenSet) silent(whole redirect.Answer) bool {
	return s.exact && !whole.Found && len(whole.Unsure) == 0
}

// holds reports whether a chunk's file has a rule.
func (s *writtenSet) holds(at int, id uint32, rule *redirect.Rule) bool {
	if other := s.other[at]; other != nil {
		return slices.ContainsFunc(other.rules, func(r redirect.Rule) bool { return sameRule(rule, &r) })
	}
	return s.c.placed.in(id, at)
}

// chunksFor gives the chunks that requests to a host may be sent to.
func (s *writtenSet) chunksFor(host string) []int {
	if chunks, ok := s.byHost[lower(host)]; ok {
		return chunks
	}
	return s.byHost[""]
}
