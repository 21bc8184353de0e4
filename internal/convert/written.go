package convert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/redirect"
)

// writtenChunk is a chunk as its file has it. The texts of its rules stay on disk.
type writtenChunk struct {
	name  string
	file  *os.File
	set   *redirect.Set // of its rules, by place; nil where all chunks are in one set
	first uint32        // the id of its first rule in that set
	begin []uint32      // where the text of each rule begins, one a line; one more for the end of the last line
	sums  []uint64      // hashes of the texts
}

func (w *writtenChunk) rules() int { return len(w.begin) - 1 }

// writtenSet is all chunks as their files have them. Where no rule is in every chunk, one set holds them all, in which
// each chunk is a range of ids: then one look says that no chunk at all has an answer.
type writtenSet struct {
	chunks []*writtenChunk
	of     map[string]int // by policy
	all    *redirect.Set  // nil where each chunk has its own
}

func (s *writtenSet) close() {
	for _, w := range s.chunks {
		if w != nil && w.file != nil {
			_ = w.file.Close() // it was only read
		}
	}
}

// opened is a chunk on its way in: the rules are dropped once they are in a set.
type opened struct {
	at    int
	chunk *writtenChunk
	rules []redirect.Rule
}

// openChunks reads the chunks' files.
func (c *conversion) openChunks(ctx context.Context) (*writtenSet, error) {
	s := &writtenSet{chunks: make([]*writtenChunk, len(c.dispatch.Chunks)), of: map[string]int{}}
	if len(c.plan.repeated) == 0 {
		s.all = redirect.NewSet()
	}
	next, first := 0, uint32(0)
	err := pipe[opened]{
		Workers: c.options.Workers,
		Fill: func(o *opened) (bool, error) {
			o.at = next
			next++
			return o.at < len(s.chunks), nil
		},
		Worker: func() func(*opened) error {
			return func(o *opened) (err error) {
				o.chunk, o.rules, err = c.openChunk(c.dispatch.Chunks[o.at].File, o.rules[:0])
				if err == nil && s.all == nil {
					o.chunk.set = redirect.NewSet()
					err = o.chunk.addTo(o.chunk.set, o.rules)
				}
				return err
			}
		},
		Merge: func(o *opened) error {
			s.chunks[o.at] = o.chunk
			s.of[c.dispatch.Chunks[o.at].Policy] = o.at
			if s.all == nil {
				return nil
			}
			o.chunk.first = first
			first += uint32(len(o.rules))
			return o.chunk.addTo(s.all, o.rules)
		},
	}.run(ctx)
	return s, err
}

func (w *writtenChunk) addTo(set *redirect.Set, rules []redirect.Rule) error {
	for i := range rules {
		if err := set.Add(w.first+uint32(i), &rules[i]); err != nil {
			return fmt.Errorf("read %s again: rule %d: %w", w.name, i+1, err)
		}
	}
	return nil
}

var errFile = errors.New("the file is not what was written")

// openChunk reads a chunk's file, and gives its rules beside, in memory that is handed in.
func (c *conversion) openChunk(name string, rules []redirect.Rule) (*writtenChunk, []redirect.Rule, error) {
	doc, err := c.out.Read(name)
	if err != nil {
		return nil, nil, err
	}
	if !cloudlet.ValidJSON(doc) {
		return nil, nil, fmt.Errorf("read %s again: %w", name, errFile)
	}
	w := &writtenChunk{name: name}
	at := bytes.IndexByte(doc, '\n') + 1
	for member, value := range cloudlet.Members(doc) {
		if member != "matchRules" {
			continue
		}
		for raw := range cloudlet.Elements(value) {
			rule, err := redirect.ParseValid(raw)
			if err == nil && !bytes.HasPrefix(doc[at:], raw) {
				err = errFile
			}
			if err != nil {
				return nil, nil, fmt.Errorf("read %s again: rule %d: %w", name, len(rules)+1, err)
			}
			w.begin, w.sums = append(w.begin, uint32(at)), append(w.sums, maphash.Bytes(c.seed, raw))
			at += len(raw) + len(",\n")
			rules = append(rules, rule)
		}
	}
	w.begin = append(w.begin, uint32(at))
	w.file, err = c.out.Open(name)
	return w, rules, err
}

// writtenReader reads rules out of chunk files for one worker. What it gives is good until it gives the next.
type writtenReader struct {
	// A rule whose text is known need not be read where a file has that very text, which is told by its hash.
	known    *redirect.Rule
	knownSum uint64

	chunk *writtenChunk // whose rule it read last
	place int
	rule  redirect.Rule
	buf   []byte
}

// know sets the rule whose text is known.
func (r *writtenReader) know(seed maphash.Seed, rule *redirect.Rule) {
	r.buf = rule.AppendJSON(r.buf[:0])
	r.known, r.knownSum = rule, maphash.Bytes(seed, r.buf)
}

func (r *writtenReader) read(w *writtenChunk, place int) (*redirect.Rule, error) {
	if r.known != nil && w.sums[place] == r.knownSum {
		return r.known, nil
	}
	if r.chunk == w && r.place == place {
		return &r.rule, nil
	}
	n := int(w.begin[place+1]-w.begin[place]) - len(",\n")
	if cap(r.buf) < n {
		r.buf = make([]byte, 2*n)
	}
	r.buf = r.buf[:n]
	if _, err := w.file.ReadAt(r.buf, int64(w.begin[place])); err != nil {
		return nil, fmt.Errorf("read %s again: %w", w.name, err)
	}
	rule, err := redirect.ParseValid(r.buf)
	r.chunk, r.place, r.rule = w, place, rule
	return &r.rule, err
}

// evaluate asks one chunk.
func (s *writtenSet) evaluate(at int, q *redirect.Request, r *writtenReader) (redirect.Answer, error) {
	w := s.chunks[at]
	load := func(id uint32) (*redirect.Rule, error) { return r.read(w, int(id-w.first)) }
	if s.all == nil {
		return w.set.Evaluate(q, load)
	}
	behind := w.first + uint32(w.rules())
	return s.all.EvaluateSkipping(q, load, func(id uint32) bool { return id < w.first || id >= behind })
}

// silent reports whether no chunk at all answers a request. It is false also where that is not easily told.
func (s *writtenSet) silent(q *redirect.Request, r *writtenReader) (bool, error) {
	if s.all == nil {
		return false, nil
	}
	answer, err := s.all.Evaluate(q, func(id uint32) (*redirect.Rule, error) {
		for _, w := range s.chunks {
			if id < w.first+uint32(w.rules()) {
				return r.read(w, int(id-w.first))
			}
		}
		return nil, errFile
	})
	return !answer.Found && len(answer.Unsure) == 0, err
}
