package convert

import (
	"context"
	"fmt"
	"slices"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
)

// subject is a rule that is being proved, and the URLs that it can be asked by.
type subject struct {
	id      uint32
	rule    *redirect.Rule
	paths   []string
	literal bool // it can match no other paths
	// hosts are those of the requests that must find it. Where the host decides, these are all that it names, or one of
	// every set of chunks if it names none; elsewhere the one that a key is made of, or none where any will do.
	hosts []string
	named bool // it asks for no other hosts
}

// take begins to prove a rule.
func (p *prover) take(id uint32, rule *redirect.Rule) {
	s := &p.subject
	*s = subject{id: id, rule: rule}
	s.paths, s.literal = rule.Literals()
	switch d := &p.c.dispatch; {
	case d.Kind == chunkset.Host:
		if s.hosts, s.named = rule.Hosts(); !s.named {
			s.hosts = p.chunks.hosts
		}
	case d.Key == chunkset.HostPathKey:
		s.hosts, s.named = rule.Hosts()
	}
}

// isAskedBy reports whether a request is one of those that must find the rule.
func (s *subject) isAskedBy(q *redirect.Request) bool {
	return s.literal && slices.Contains(s.paths, q.Path) && (len(s.hosts) == 0 || slices.Contains(s.hosts, q.Host))
}

// everywhere reports, in words, where a rule is missing, or the answer is not that of the list of all rules, among all
// chunks that have to do with it: for a rule with literal paths every path is asked for at every host; any other rule
// must be in all chunks of its hosts. The requests are like q, which was asked already if asked is set.
func (p *prover) everywhere(q *redirect.Request, asked bool) (string, error) {
	s := &p.subject
	switch {
	case p.c.dispatch.Kind == chunkset.Sequence:
		if p.c.placed.home[s.id] == nowhere {
			return "the rule is in no policy", nil
		}
		return "", nil
	case !s.literal:
		return p.inAll(), nil
	case asked && len(s.paths) == 1 && len(s.hosts) <= 1 && s.isAskedBy(q):
		return "", nil
	}
	path, host := q.Path, q.Host
	defer func() { q.Path, q.Host = path, host }()
	hosts := s.hosts
	if len(hosts) == 0 {
		hosts = []string{host}
	}
	for _, q.Host = range hosts {
		for _, q.Path = range s.paths {
			if asked && q.Path == path && q.Host == host || q.Host == "" { // asked, or no request's host
				continue
			}
			whole, err := p.looker.evaluate(q)
			if err != nil {
				return "", err
			}
			if text, err := p.same(q, whole, true); text != "" || err != nil {
				return text, err
			}
		}
	}
	return "", nil
}

// inAll reports, in words, which chunk lacks a rule that must be in all of them, or in all of its hosts.
func (p *prover) inAll() string {
	s := &p.subject
	lacks := func(at int) bool { return !p.chunks.holds(at, s.id, s.rule) }
	missing := func(at int) string { return "the rule is not in policy " + p.c.dispatch.Chunks[at].Policy }
	if !s.named || p.c.dispatch.Kind != chunkset.Host {
		for at := range p.c.dispatch.Chunks {
			if lacks(at) {
				return missing(at)
			}
		}
		return ""
	}
	for _, host := range s.hosts {
		chunks := p.chunks.chunksFor(host)
		if len(chunks) == 0 {
			return "no policy is for host " + host
		}
		if i := slices.IndexFunc(chunks, lacks); i >= 0 {
			return missing(chunks[i])
		}
	}
	return ""
}

// existing proves the rules that were taken over: that they are where requests for them are sent, and there do what they
// do in the list of all rules.
func (p *prover) existing(ctx context.Context) error {
	p.looker.own = nil
	behind := len(p.c.options.Before) + len(p.c.marks)
	for i, rules := range [][]Existing{p.c.options.Before, p.c.options.After} {
		for j := range rules {
			if err := ctx.Err(); err != nil {
				return err
			}
			id, e := uint32(i*behind+j), &rules[j]
			text := p.c.placed.misread[id]
			if text == "" {
				p.take(id, &e.Rule)
				q := anyRequest()
				var err error
				if text, err = p.everywhere(&q, false); err != nil {
					return err
				}
			}
			if text != "" {
				return fmt.Errorf("%w for rule %s of %s: %s; please report this", ErrUnproved, shown(e.Rule.Name), e.From, text)
			}
		}
	}
	return nil
}

// inOwnChunk proves a row of a sequence, of which nothing but its own chunk can be asked.
func (p *prover) inOwnChunk(v verdict, it *item, whole redirect.Answer) (verdict, error) {
	home := p.c.placed.home[p.c.id(it.row)]
	if v.class != proved || home == nowhere {
		return v, nil
	}
	answer, err := p.chunks.evaluate(int(home), &p.witness.req, &p.looker)
	if err == nil && (!answer.Found || answer.Status != whole.Status || answer.Location != whole.Location) {
		v.class = failed
		v.text = fmt.Sprintf("%s gets %s from %s, and its row says %s", p.witness.req.URL(), words(answer), p.c.dispatch.Chunks[home].Policy, words(whole))
	}
	return v, err
}
