package importer

import (
	"fmt"
	"slices"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// Chunk is a document with match rules that becomes the next version of a policy.
type Chunk struct {
	Policy string // its name
	Ref    string // what the Source calls the document; people read it too
	Owner  string // the set that it belongs to, or the policy's name
}

// ChunkOptions say as what chunks are wanted.
type ChunkOptions struct {
	API        cloudlet.API
	Group      int64
	Live       []cloudlet.Network
	Properties []string // v2: to be associated with every policy
	// Check looks at the document of a chunk, for a policy of that type, more closely than this package can; nil: not.
	Check func(c Chunk, kind string, doc []byte) error
}

// FromChunks gives the policies that chunks become, in order of the chunks. What is wrong with a chunk is in Refused.
func FromChunks(from Source, chunks []Chunk, o ChunkOptions) ([]Policy, error) {
	wanted := make([]Policy, 0, len(chunks))
	for _, c := range chunks {
		doc, err := from.Document(c.Ref)
		if err != nil {
			return nil, err
		}
		w := Policy{
			API: o.API, Name: c.Policy, Group: o.Group, Source: c.Ref, Owner: c.Owner, Live: map[cloudlet.Network]Live{},
		}
		for _, on := range o.Live {
			w.Live[on] = Live{Version: 1, Properties: o.Properties}
		}
		if err := w.read(c, doc, o.Check); err != nil {
			w.Refused = err.Error()
		}
		w.Description = "rules " + OwnerMark(c.Owner)
		if w.Type == "ER" {
			w.Description = "redirects " + OwnerMark(c.Owner)
		}
		wanted = append(wanted, w)
	}
	return wanted, nil
}

func (p *Policy) read(c Chunk, doc []byte, check func(Chunk, string, []byte) error) (err error) {
	v := Version{Number: 1, Ref: c.Ref}
	if v.Hash, err = Hash(*p, doc); err != nil {
		return err
	}
	v.Description = textOf(doc, "description")
	v.Rules = cloudlet.CountRules(doc)
	if p.Type, err = typeOf(doc); err != nil {
		return err
	}
	body, err := bodyOf(*p, v, doc)
	if err != nil {
		return err
	}
	v.measure(body)
	p.Versions = []Version{v}
	if check != nil {
		return check(c, p.Type, doc)
	}
	return nil
}

// typeOf is the cloudlet code that all rules of a document have in their type, erMatchRule; ER where there are no rules.
func typeOf(doc []byte) (string, error) {
	rules, _, err := split(doc)
	if err != nil {
		return "", err
	}
	kind, number := "", 0
	for rule := range cloudlet.Elements(rules) {
		number++
		text := textOf(rule, "type")
		code, ok := strings.CutSuffix(text, "MatchRule")
		code = strings.ToUpper(code)
		if !ok || !slices.Contains(cloudlet.Types(), code) {
			return "", fmt.Errorf("match rule %d: type %q is not that of a match rule", number, cloudlet.Printable(text))
		}
		if kind == "" {
			kind = code
		}
		if code != kind {
			return "", fmt.Errorf("match rule %d is for %s policies, and those before it for %s", number, code, kind)
		}
	}
	if kind == "" {
		kind = "ER"
	}
	return kind, nil
}

// OwnerMark is what the description of a policy that belongs to a set of chunks ends with.
func OwnerMark(owner string) string { return "[cloudletmig " + owner + "]" }
