package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/snapshot"
)

// diffFiles compares two lists of rules.
func (a *app) diffFiles(ctx context.Context, left, right string) error {
	var lists [2]json.RawMessage
	var length [2]int
	for i, name := range []string{left, right} {
		found, err := a.readRules(ctx, name)
		if err != nil {
			return err
		}
		lists[i], length[i] = joinRules(found[0].body), len(found[0].body.Rules) // a file is one list
	}
	rules, patch, err := snapshot.DiffRules(lists[0], lists[1], a.global.Output == "json")
	if err != nil {
		return err
	}
	a.document = map[string]any{
		"command": "diff", "a": left, "b": right, "rules": list(rules), "patch": list(patch),
		"classes": map[string]int{"differences": len(rules)},
	}
	s := diffShower{a: a, out: bufio.NewWriter(a.out), left: left, right: right}
	headline := fmt.Sprintf("%s and %s are equal: %s", cloudlet.Printable(left), cloudlet.Printable(right), plural(length[0], "rule", "rules"))
	var different error
	if len(rules) > 0 {
		different = errDifferences
		headline = fmt.Sprintf("%s and %s DIFFER: rules %s", cloudlet.Printable(left), cloudlet.Printable(right), ruleSums(rules))
	}
	if s.json() {
		return different
	}
	s.rulesText(rules, "")
	fmt.Fprintln(s.out, headline)
	return errors.Join(s.out.Flush(), different)
}

// joinRules is a list of rules as JSON.
func joinRules(b chunkset.Body) json.RawMessage {
	text := []byte("[")
	for i, rule := range b.Rules {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, rule...)
	}
	return append(text, ']')
}
