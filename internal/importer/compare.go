package importer

import (
	"fmt"

	"cloudletmig/internal/snapshot"
)

// Compare takes over, for each policy of chunks that gets a version, how its rules differ from what is present.
func Compare(plan *Plan, present Present) {
	for i := range plan.Policies {
		if p := &plan.Policies[i]; p.Action == Append {
			p.Compared = present.Policies[p.Key()].Compared
		}
	}
}

// compare says how the chunk that is wanted differs from a version, whose document is at hand.
func (r read) compare(chunks Source, h HeldVersion, doc []byte) (Comparison, error) {
	c := Comparison{With: r.compareWith(), Version: h.Number}
	want := r.p.Versions[0]
	if h.Hash == want.Hash {
		return c, nil
	}
	err := c.count(chunks, want.Ref, doc)
	if err != nil {
		err = fmt.Errorf("%s: compare with version %d: %w", r.p, h.Number, err)
	}
	return c, err
}

func (c *Comparison) count(chunks Source, ref string, doc []byte) error {
	wanted, err := chunks.Document(ref)
	if err != nil {
		return err
	}
	after, _, err := split(wanted)
	if err != nil {
		return err
	}
	before, _, err := split(doc)
	if err != nil {
		return err
	}
	diffs, _, err := snapshot.DiffRules(before, after, false)
	for _, d := range diffs {
		switch d.Kind {
		case snapshot.Added:
			c.Added++
		case snapshot.Removed:
			c.Removed++
		case snapshot.Changed:
			c.Changed++
		case snapshot.Moved:
			c.Moved++
		}
	}
	return err
}
