package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/chunkset"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/redirect"
	"cloudletmig/internal/report"
)

// traced is what one URL met in one list of rules.
type traced struct {
	URL      string   `json:"url"`
	Policy   string   `json:"policy,omitempty"`
	Version  int64    `json:"version,omitempty"`
	Rule     int      `json:"rule,omitempty"` // its place, from 1
	Name     string   `json:"name,omitempty"`
	Status   int      `json:"status,omitempty"`
	Location string   `json:"location,omitempty"`
	Unsure   []string `json:"unsure,omitempty"` // rules that might have answered before, and what would have to be known
	Why      string   `json:"why,omitempty"`    // why no rule answers
	Error    string   `json:"error,omitempty"`  // why it cannot be traced at all; all else is empty then
}

// tracer says what a request meets.
type tracer func(q *redirect.Request) ([]traced, error)

// openRules reads the rules that URLs are traced in.
func (a *app) openRules(ctx context.Context, o traceOptions) (tracer, error) {
	if o.Rules == "live" {
		client, _, err := a.connect()
		if err != nil {
			return nil, err
		}
		defer client.Close()
		return a.effectiveRules(ctx, client, o)
	}
	if set, err := chunkset.Open(o.Rules); err == nil {
		defer func() { _ = set.Close() }() // it was only read
		return dispatched(set)
	} else if info, statErr := os.Stat(o.Rules); statErr == nil && info.IsDir() {
		if !errors.Is(err, chunkset.ErrNoDispatch) {
			return nil, &usageError{text: o.Rules + ": " + err.Error()}
		}
		from, closeIt, err := a.open(o.Rules, "rules")
		if err != nil {
			return nil, err
		}
		defer closeIt()
		return a.effectiveRules(ctx, from, o)
	}
	lists, err := a.readRules(ctx, o.Rules)
	if err != nil {
		return nil, err
	}
	return evaluator(lists)
}

// evaluator traces in each of several lists of rules.
func evaluator(lists []ruleList) (tracer, error) {
	compiled := make([]*redirect.List, 0, len(lists))
	for _, l := range lists {
		rules, err := compileRules(l.body)
		if err != nil {
			return nil, &usageError{text: l.name + ": " + err.Error()}
		}
		compiled = append(compiled, rules)
	}
	return func(q *redirect.Request) ([]traced, error) {
		var all []traced
		for i, l := range lists {
			t, err := evaluate(compiled[i], q)
			if err != nil {
				return nil, err
			}
			t.Policy, t.Version = l.name, l.version
			all = append(all, t)
		}
		return all, nil
	}, nil
}

func compileRules(body chunkset.Body) (*redirect.List, error) {
	rules := make([]redirect.Rule, 0, len(body.Rules))
	for i, raw := range body.Rules {
		rule, err := redirect.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		rules = append(rules, rule)
	}
	return redirect.NewList(rules)
}

func evaluate(list *redirect.List, q *redirect.Request) (traced, error) {
	answer, err := list.Evaluate(q)
	if err != nil {
		return traced{}, err
	}
	t := traced{Status: answer.Status, Location: answer.Location}
	for _, u := range answer.Unsure {
		t.Unsure = append(t.Unsure, fmt.Sprintf("rule %d (%s) depends on what is not known: %s", u.ID+1, list.Rule(u.ID).Name, strings.Join(u.Needed, ", ")))
	}
	if answer.Found {
		t.Rule, t.Name = int(answer.ID)+1, list.Rule(answer.ID).Name
	} else {
		t.Why = "no rule applies"
	}
	return t, nil
}

// dispatched traces in a converted folder: its property rules choose the chunk.
func dispatched(set *chunkset.Set) (tracer, error) {
	doc, err := set.Property()
	if err != nil {
		return nil, &usageError{text: err.Error()}
	}
	property, err := redirect.ParseProperty(doc)
	if err != nil {
		return nil, &usageError{text: chunkset.PropertyFile + ": " + err.Error()}
	}
	lists := map[string]*redirect.List{}
	for _, chunk := range set.Dispatch.Chunks {
		body, err := set.Chunk(chunk)
		if err != nil {
			return nil, &usageError{text: err.Error()}
		}
		if lists[chunk.Policy], err = compileRules(body); err != nil {
			return nil, &usageError{text: chunk.File + ": " + err.Error()}
		}
	}
	if set.Dispatch.Kind == chunkset.Sequence {
		return inSequence(set.Dispatch, lists), nil
	}
	return func(q *redirect.Request) ([]traced, error) {
		chosen, found, err := property.Choose(q, redirect.Reading{})
		if err != nil {
			return nil, &usageError{text: q.URL() + ": " + err.Error(), hint: "give a whole URL: the property chooses by its host"}
		}
		policy := chosen.Policy()
		list := lists[policy]
		if !found || !chosen.Enabled || list == nil {
			return []traced{{Why: "the property rules lead to no policy"}}, nil
		}
		t, err := evaluate(list, q)
		t.Policy = policy
		return []traced{t}, err
	}, nil
}

// inSequence traces in the chunks of a sequence, one after another, as a property would have to. A rule of an earlier
// chunk that might have answered is told with its policy.
func inSequence(d chunkset.Dispatch, lists map[string]*redirect.List) tracer {
	return func(q *redirect.Request) ([]traced, error) {
		var unsure []string
		for _, chunk := range d.Chunks {
			t, err := evaluate(lists[chunk.Policy], q)
			if err != nil {
				return nil, err
			}
			if t.Rule > 0 {
				t.Policy, t.Unsure = chunk.Policy, append(unsure, t.Unsure...)
				return []traced{t}, nil
			}
			for _, u := range t.Unsure {
				unsure = append(unsure, "policy "+chunk.Policy+", "+u)
			}
		}
		return []traced{{Why: "no rule applies", Unsure: unsure}}, nil
	}
}

// effectiveRules traces in the version of every Edge Redirector policy that is effective on a network.
func (a *app) effectiveRules(ctx context.Context, from reader, o traceOptions) (tracer, error) {
	all, err := policies(ctx, from, listOptions{APIs: []string{"v2", "v3"}, warn: a.log.Warn})
	if err != nil {
		return nil, err
	}
	var lists []ruleList
	for _, p := range all {
		if p.Type != "ER" {
			continue
		}
		uses, err := a.uses(ctx, from, p, o.Property)
		if err != nil {
			return nil, err
		}
		if !uses {
			continue
		}
		text, err := from.Get(ctx, p.API.Activations(p.ID))
		if err != nil {
			return nil, err
		}
		rows, err := cloudlet.ParseList(text, cloudlet.ParseActivation)
		if err != nil {
			return nil, err
		}
		version := cloudlet.InForceOn(rows, cloudlet.Network(o.Network)).Effective
		if version == 0 {
			continue
		}
		body, err := versionBody(ctx, from, p, version)
		if err != nil {
			return nil, err
		}
		lists = append(lists, ruleList{name: p.String(), policy: p, version: version, body: body})
	}
	if len(lists) == 0 {
		of := ""
		if o.Property != "" {
			of = " that the property " + o.Property + " uses"
		}
		return nil, &usageError{text: "no Edge Redirector policy" + of + " is effective on " + o.Network, hint: "cloudletmig list policies shows what is; --network names the other network"}
	}
	return evaluator(lists)
}

// uses reports whether a property uses a policy; with no name, every policy counts.
func (a *app) uses(ctx context.Context, from reader, p cloudlet.Policy, property string) (bool, error) {
	if property == "" {
		return true, nil
	}
	text, err := from.Get(ctx, p.API.Properties(p.ID))
	if err != nil {
		return false, err
	}
	var byName map[string]json.RawMessage
	if json.Unmarshal(text, &byName) == nil {
		_, ok := byName[property]
		return ok, nil
	}
	var list []struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return false, fmt.Errorf("read the properties of %s: %w", p, err)
	}
	return slices.ContainsFunc(list, func(l struct {
		Name string `json:"name"`
	},
	) bool {
		return l.Name == property
	}), nil
}

// showTraces prints what URLs met. A URL that no list of rules answers makes the exit code 4.
func (a *app) showTraces(traces []traced, missed, failed int) error {
	met := map[string]bool{}
	for _, t := range traces {
		met[t.URL] = met[t.URL] || t.Rule > 0
	}
	a.document = map[string]any{"command": "trace", "traces": list(traces), "classes": map[string]int{"differences": missed, "failed": failed}}
	if a.global.Output == "text" {
		if err := a.traceText(traces, met); err != nil {
			return err
		}
	}
	if missed > 0 {
		return unmet(missed)
	}
	return nil
}

// unmet is how many URLs met no rule.
type unmet int

func (n unmet) Error() string {
	if n == 1 {
		return "1 URL meets no rule"
	}
	return fmt.Sprintf("%d URLs meet no rule", int(n))
}

func (n unmet) Is(target error) bool { return target == errDifferences }

// traceText prints traces for people. Lists of rules that do not answer are left out where another one does.
func (a *app) traceText(traces []traced, met map[string]bool) error {
	for _, t := range traces {
		if t.Rule == 0 && met[t.URL] && len(t.Unsure) == 0 {
			continue
		}
		s := report.Summary{Headline: cloudlet.Printable(t.URL)}
		if t.Policy != "" {
			policy := t.Policy
			if t.Version > 0 {
				policy += ", version " + strconv.FormatInt(t.Version, 10)
			}
			s.Facts = append(s.Facts, report.Fact{Name: "policy", Value: policy})
		}
		switch {
		case t.Error != "":
			s.Facts = append(s.Facts, report.Fact{Name: "error", Value: cloudlet.Printable(t.Error)})
		case t.Rule > 0:
			s.Facts = append(s.Facts,
				report.Fact{Name: "rule", Value: fmt.Sprintf("%d (%s)", t.Rule, cloudlet.Printable(t.Name))},
				report.Fact{Name: "answer", Value: fmt.Sprintf("%d %s", t.Status, cloudlet.Printable(t.Location))})
		default:
			s.Facts = append(s.Facts, report.Fact{Name: "answer", Value: "none: " + t.Why})
		}
		for _, u := range t.Unsure {
			s.Notes = append(s.Notes, report.Item{Name: "unsure", Text: u})
		}
		if err := s.Text(a.out); err != nil {
			return err
		}
	}
	return nil
}
