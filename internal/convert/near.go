package convert

import (
	"fmt"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/redirect"
)

// near compares the answers to the witness, and to requests near it, with those of the list of all rules.
func (p *prover) near(v verdict, it *item, whole redirect.Answer, walked bool) (verdict, error) {
	w := &p.witness
	if text, err := p.same(&w.req, whole, !walked); text != "" || err != nil {
		v.class, v.text = failed, text
		return v, err
	}
	path := w.req.Path
	defer func() { w.req.Path = path }()
	for i, other := range [...]func(string) string{swapCase, slashTwin, recode} {
		if w.req.Path = other(path); w.req.Path == path {
			continue
		}
		text, err := p.nearby(walked && i == 1 && p.c.twinless[it.row])
		if text != "" || err != nil {
			v.class, v.text = failed, text
			return v, err
		}
	}
	return v, nil
}

// nearby compares the answers to one request near a row's witness; silent says that walk found no answer to it.
func (p *prover) nearby(silent bool) (string, error) {
	q := &p.witness.req
	var answer redirect.Answer
	if !silent {
		var err error
		if answer, err = p.looker.evaluate(q); err != nil {
			return "", err
		}
	}
	if p.chunks.silent(answer) {
		return "", nil
	}
	return p.same(q, answer, true)
}

// readings are what no document says of how a property reads a path, both ways.
var readings = [...]redirect.Reading{ //nolint:gochecknoglobals // a table that is only read
	{}, {PlusIsSpace: true}, {PathDecoded: true}, {PathDecoded: true, PlusIsSpace: true},
}

// same reports, in words, where the written chunks answer a request otherwise than the list of all rules does, or where
// the rule that is being proved can be asked by the request and is not in the chunk. A path that a property may read in
// several ways is tried in each. Fresh says that whole was found just now, and not by walk.
func (p *prover) same(q *redirect.Request, whole redirect.Answer, fresh bool) (string, error) {
	ways := readings[:1]
	if strings.IndexByte(q.Path, '%') >= 0 || strings.IndexByte(q.Path, '+') >= 0 {
		ways = readings[:]
	}
	wanted := p.subject.isAskedBy(q)
	before := unsent - 1
	for _, r := range ways {
		at, policy, wrong, err := p.sent(q, r)
		if err != nil || wrong != "" {
			return wrong, err
		}
		if at == before {
			continue
		}
		before = at
		if wanted && (at == unsent || !p.chunks.holds(at, p.subject.id, p.subject.rule)) {
			return fmt.Sprintf("%s is sent to %s, and the rule is not there", q.URL(), policy), nil
		}
		answer, err := p.answer(at, q, whole, fresh)
		if err != nil {
			return "", err
		}
		if answer.Found != whole.Found || answer.Status != whole.Status || answer.Location != whole.Location {
			return fmt.Sprintf("%s gets %s from %s, and %s from the list of all rules", q.URL(), words(answer), policy, words(whole)), nil
		}
	}
	return "", nil
}

// answer is what a chunk answers.
func (p *prover) answer(at int, q *redirect.Request, whole redirect.Answer, fresh bool) (redirect.Answer, error) {
	switch {
	case at == unsent:
		return redirect.Answer{}, nil
	case fresh && p.chunks.repeats(at, whole):
		return whole, nil
	}
	return p.chunks.evaluate(at, q, &p.looker)
}

// unsent is in place of a chunk's number where the property asks no policy.
const unsent = -1

// sent is the chunk that the property sends a request to, and the words for its policy; what is wrong with that, in words.
func (p *prover) sent(q *redirect.Request, r redirect.Reading) (at int, policy, wrong string, err error) {
	chosen, found, err := p.property.Choose(q, r)
	if err != nil {
		return unsent, "", "", fmt.Errorf("%s: %w", chunkset.PropertyFile, err)
	}
	if !found {
		return unsent, "no policy", "", nil
	}
	policy = chosen.Policy()
	at, known := p.chunks.of[policy]
	if !known || !chosen.Enabled {
		wrong = fmt.Sprintf("%s is sent to policy %s, which is not there", q.URL(), policy)
	}
	return at, policy, wrong, nil
}

func words(a redirect.Answer) string {
	if !a.Found {
		return "no answer"
	}
	return fmt.Sprintf("%d to %s", a.Status, shown(a.Location))
}

// swapCase is a path in the other case, escapes apart.
func swapCase(path string) string {
	b := []byte(path)
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '%' && isEscape(path[i:]):
			i += 2
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// recode is a path in another percent-encoding that stands for the same: its first escape undone where that leaves a
// character that needs none, else one character escaped.
func recode(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '%' && isEscape(path[i:]) {
			if c := unhex(path[i+1])<<4 | unhex(path[i+2]); c != '%' && c > ' ' && c < 0x7f && c != '?' && c != '#' {
				return path[:i] + string(rune(c)) + path[i+3:]
			}
			i += 2
			continue
		}
		if c := path[i]; 'a' <= c && c <= 'z' {
			return path[:i] + "%" + string(upperHex[c>>4]) + string(upperHex[c&15]) + path[i+1:]
		}
	}
	return path
}
