package importer

import (
	"fmt"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/snapshot"
)

// Compare says of each policy of chunks that gets a version how its rules differ from those of the newest version and of
// the one that is effective on production. present must have been looked at with newestOnly.
func Compare(plan *Plan, present Present, from Source) error {
	for i := range plan.Policies {
		p := &plan.Policies[i]
		held, there := present.Policies[p.Key()]
		if p.Action != Append || !there || len(held.Versions) == 0 {
			continue
		}
		if err := p.compareWith(held, from); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return nil
}

func (p *Planned) compareWith(held Held, from Source) error {
	doc, err := from.Document(p.Add[0].Ref)
	if err != nil {
		return err
	}
	wanted, _, err := split(doc)
	if err != nil {
		return err
	}
	newest := held.Versions[len(held.Versions)-1]
	for _, v := range held.Versions {
		var with []string
		if v.Number == newest.Number {
			with = append(with, "newest")
		}
		if v.Number == held.Live[cloudlet.Production].Effective {
			with = append(with, "production")
		}
		if len(with) == 0 || v.Doc == nil {
			continue
		}
		c, err := compare(strings.Join(with, " and "), v, wanted)
		if err != nil {
			return err
		}
		p.Compared = append(p.Compared, c)
	}
	return nil
}

func compare(with string, v HeldVersion, wanted []byte) (Comparison, error) {
	c := Comparison{With: with, Version: v.Number}
	rules, _, err := split(v.Doc)
	if err != nil {
		return c, err
	}
	diffs, _, err := snapshot.DiffRules(rules, wanted, false)
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
	return c, err
}
