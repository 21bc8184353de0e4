package convert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/redirect"
)

// Previous is an earlier conversion that a new one stays close to.
type Previous struct {
	Dispatch chunkset.Dispatch
	API      cloudlet.API         // that its property rules are made for
	Taken    int                  // rules that it took over (--with)
	rules    map[string][]earlier // by what they ask for, in order
	sums     map[string]string    // of the chunk files
	seen     map[string]int       // how many of them were found
	total    int
	changes  chunkset.Changes
}

// earlier is a rule of an earlier conversion.
type earlier struct {
	chunk   int
	name    string
	made    bool // the name was made from a line
	outcome digest
}

// fits reports whether a row with a name of its own, or with none, may keep the name that it had.
func (e *earlier) fits(own string) bool {
	number, numbered := strings.CutPrefix(e.name, own+"-")
	return own == "" && e.made || own != "" && (e.name == own || numbered && number != "" && strings.Trim(number, "0123456789") == "")
}

// madeName matches names that a conversion makes of lines.
const madeName = `^(sheet [0-9]+ )?line [0-9]+(-[0-9]+)?$`

// LoadPrevious reads the folder of an earlier conversion.
func LoadPrevious(set *chunkset.Set) (*Previous, error) {
	p := &Previous{Dispatch: set.Dispatch, rules: map[string][]earlier{}, sums: map[string]string{}, seen: map[string]int{}}
	if err := p.describe(set); err != nil {
		return nil, err
	}
	made := regexp.MustCompile(madeName)
	for i, chunk := range set.Dispatch.Chunks {
		body, err := set.Chunk(chunk)
		if err != nil {
			return nil, err
		}
		p.sums[chunk.File] = sumRules(body)
		for n, raw := range body.Rules {
			rule, err := redirect.Parse(raw)
			if err != nil {
				return nil, fmt.Errorf("%s, rule %d: %w", chunk.File, n+1, err)
			}
			e := earlier{chunk: i, outcome: outcomeOf(&rule), name: rule.Name, made: made.MatchString(rule.Name)}
			key := askedFor(&rule)
			again := func(o earlier) bool { return o.chunk != i && o.name == e.name && o.outcome == e.outcome }
			if !slices.ContainsFunc(p.rules[key], again) { // a rule that is in several chunks counts once
				p.rules[key] = append(p.rules[key], e)
				p.total++
			}
		}
	}
	return p, nil
}

// describe reads what the files beside the chunks say.
func (p *Previous) describe(set *chunkset.Set) error {
	p.API = cloudlet.V3
	if doc, err := set.Property(); err == nil {
		property, err := redirect.ParseProperty(doc)
		if err != nil {
			return fmt.Errorf("%s: %w", chunkset.PropertyFile, err)
		}
		for _, chosen := range property.Policies() {
			if !chosen.Shared {
				p.API = cloudlet.V2
			}
		}
	}
	report, err := set.Report()
	if err != nil {
		return err
	}
	p.Taken = report.Existing
	return nil
}

func sumRules(body chunkset.Body) string {
	sum := sha256.New()
	for _, raw := range body.Rules {
		_, _ = sum.Write(raw)
		_, _ = sum.Write([]byte("\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// askedFor is what a rule asks for, shortened.
func askedFor(r *redirect.Rule) string {
	rest := redirect.Rule{Start: r.Start, End: r.End, Disabled: r.Disabled, MatchesAlways: r.MatchesAlways, MatchURL: r.MatchURL, Matches: r.Matches}
	sum := sha256.Sum256(rest.AppendJSON(nil))
	return string(sum[:16])
}

func outcomeOf(r *redirect.Rule) digest { return digestOf(appendOutcome(nil, r)) }

// find looks a rule up, and counts what became of it. Of several that ask for the same, the first is found first.
func (p *Previous) find(r *redirect.Rule) (earlier, bool) {
	key := askedFor(r)
	list, at := p.rules[key], p.seen[key]
	p.seen[key]++
	if at >= len(list) {
		p.changes.Added++
		return earlier{}, false
	}
	if list[at].outcome != outcomeOf(r) {
		p.changes.Changed++
	}
	return list[at], true
}

// finish completes the changes: what is gone, and which chunks are not what they were.
func (p *Previous) finish(sums map[string]string) *chunkset.Changes {
	for key, list := range p.rules {
		p.changes.Removed += max(0, len(list)-p.seen[key])
	}
	for file, sum := range sums {
		if p.sums[file] != sum {
			p.changes.Chunks = append(p.changes.Chunks, file)
		}
	}
	for file := range p.sums {
		if _, ok := sums[file]; !ok {
			p.changes.Chunks = append(p.changes.Chunks, file)
		}
	}
	slices.Sort(p.changes.Chunks)
	return &p.changes
}

// bucketsOf is the size of the hash set that hosts had; 0 when they had none.
func (p *Previous) bucketsOf(hosts []string, others bool) int {
	if p == nil {
		return 0
	}
	for _, chunk := range p.Dispatch.Chunks {
		if others && chunk.OtherHosts || slices.ContainsFunc(chunk.Hosts, func(h string) bool { return slices.Contains(hosts, h) }) {
			return chunk.Of
		}
	}
	return 0
}

// groups are the groups of hosts that there were, as far as their hosts are still named.
func (p *Previous) groups(t *hostTable, weights []load, everywhere load, placed []bool) []hostGroup {
	var groups []hostGroup
	for _, chunk := range p.Dispatch.Chunks {
		if chunk.Bucket > 0 {
			continue
		}
		g := hostGroup{others: chunk.OtherHosts, load: everywhere}
		for _, name := range chunk.Hosts {
			h, ok := t.number[lower(name)]
			if !ok {
				h = t.add(name)
			}
			if int(h) < len(weights) && !placed[h] {
				placed[h] = true
				g.load = g.load.plus(weights[h])
			}
			g.hosts = append(g.hosts, h)
		}
		groups = append(groups, g)
	}
	return groups
}
