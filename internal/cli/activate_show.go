package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/report"
)

// MarshalJSON gives a line of the plan with what it leads to. It is read back without that.
func (p activation) MarshalJSON() ([]byte, error) {
	type plain activation
	return json.Marshal(struct {
		plain
		Does string `json:"does"`
	}{plain(p), p.does()})
}

// showActivations prints the plan for people.
func (a *app) showActivations(plan activations) error {
	rows := make([][]string, 0, len(plan))
	for _, p := range plan {
		rows = append(rows, []string{p.Place(), strconv.FormatInt(p.Version, 10), string(p.Network), liveWord(p.Effective), p.words()})
	}
	if err := report.Table(a.out, []string{"POLICY", "VERSION", "NETWORK", "LIVE NOW", "PLAN"}, rows); err != nil {
		return err
	}
	if !plan.sends() {
		fmt.Fprintln(a.out, "Nothing is to be done.")
	}
	return nil
}

func liveWord(version int64) string {
	if version == 0 {
		return "none"
	}
	return strconv.FormatInt(version, 10)
}

// words say what the line leads to.
func (p activation) words() string {
	operation := "activate"
	if p.Off {
		operation = "deactivate"
	}
	if len(p.Associate) > 0 {
		operation += ", associate with " + strings.Join(p.Associate, ", ") + " for good"
	}
	switch {
	case p.does() == planAlready && p.Off:
		return "nothing: it is not live"
	case p.does() == planAlready:
		return "nothing: it is live"
	case p.does() == planAdopt:
		return "wait: its activation is under way"
	case p.Pending != 0:
		return fmt.Sprintf("%s, when the activation of version %d that is under way has ended", operation, p.Pending)
	}
	return operation
}

// question is what is asked before a plan is carried out; empty where nothing is to be done.
func (p activations) question() string {
	if !p.sends() {
		return ""
	}
	word, production := "Activate", false
	for _, a := range p {
		if a.Off {
			word = "Deactivate"
		}
		production = production || a.Network == "production"
	}
	if production {
		return word + " as planned, on production too?"
	}
	return word + " as planned?"
}

// The states of results.
const (
	stateDone     = "done"    // it was sent, or found under way, and is live
	stateAlready  = "already" // it was so
	stateFailed   = "failed"
	stateConflict = "conflict"
	statePending  = "pending"   // the next run goes on
	stateNotBegun = "not begun" // what comes before it did not come to its end
)

// activated is how one line of a plan ended.
type activated struct {
	activation
	State    string `json:"state"`
	Previous int64  `json:"previous"` // the version that was live before, 0 for none
	ID       string `json:"activation,omitempty"`
	Error    string `json:"error,omitempty"`
}

// MarshalJSON leaves out what only a plan knows.
func (r activated) MarshalJSON() ([]byte, error) {
	type plain struct {
		activate.Target
		State    string `json:"state"`
		Previous int64  `json:"previous"`
		ID       string `json:"activation,omitempty"`
		Error    string `json:"error,omitempty"`
	}
	doc := plain{r.Target, r.State, r.Previous, r.ID, r.Error}
	doc.Over, doc.After = nil, ""
	return json.Marshal(doc)
}

// results are how the lines of a plan ended, as the journal and the run tell.
func (p activations) results(ctx context.Context, r *run, counted *tally) ([]activated, error) {
	ctx = context.WithoutCancel(ctx)
	ended := map[string]activated{}
	for state, items := range map[string][]report.Item{stateFailed: counted.Failed, stateConflict: counted.Conflicts, statePending: counted.Pending} {
		for _, item := range items {
			ended[item.Name] = activated{State: state, Error: item.Text}
		}
	}
	results := make([]activated, 0, len(p))
	for _, a := range p {
		rec, _, err := r.journal.Get(ctx, a.key())
		if err != nil {
			return nil, err
		}
		result, err := a.recorded(rec)
		if err != nil {
			return nil, err
		}
		if told, ok := ended[a.key()]; ok {
			result.State, result.Error = told.State, told.Error
		}
		results = append(results, result)
	}
	return results, nil
}

// recorded is how far the journal says that the line has come.
func (p activation) recorded(rec job.Record) (activated, error) {
	result := activated{activation: p, State: stateNotBegun, Previous: p.Effective}
	if rec.State == "" {
		return result, nil
	}
	memo, err := once.MemoOf[activate.Before, string](rec)
	if err != nil {
		return result, err
	}
	result.State, result.Previous, result.ID = statePending, memo.Base.Effective, memo.ID
	if rec.State == job.Done {
		result.State = stateDone
		if memo.N == 0 && p.Off != (memo.Base.Effective == p.Version) {
			result.State = stateAlready
		}
	}
	return result, nil
}

// activateSummary prints how a run of activate ended.
func (a *app) activateSummary(ctx context.Context, w work, plan activations, _ error) error {
	results, err := plan.results(ctx, w.run, w.tally)
	if err != nil {
		return err
	}
	a.document["results"] = list(results)
	states := map[string]int{}
	var rows [][]string
	summary := report.Summary{Headline: "Activations"}
	for _, result := range results {
		states[result.State]++
		rows = append(rows, []string{
			result.Place(), strconv.FormatInt(result.Version, 10), string(result.Network), result.State, liveWord(result.Previous),
		})
		item := report.Item{Name: result.Place() + "@" + strconv.FormatInt(result.Version, 10) + " on " + string(result.Network), Text: result.Error}
		switch result.State {
		case stateFailed:
			summary.Failed = append(summary.Failed, item)
		case stateConflict:
			summary.Conflicts = append(summary.Conflicts, item)
		case statePending:
			if item.Text == "" {
				item.Text = "it was not waited for to the end; the same command goes on"
			}
			summary.Pending = append(summary.Pending, item)
		case stateNotBegun:
			item.Text = "what comes before it did not come to its end"
			summary.Notes = append(summary.Notes, report.Item{Name: "not begun", Text: item.Name + ": " + item.Text})
		}
	}
	for _, state := range []string{stateDone, stateAlready, stateFailed, stateConflict, statePending, stateNotBegun} {
		if n := states[state]; n > 0 {
			summary.Facts = append(summary.Facts, report.Fact{Name: state, Value: report.Number(n)})
		}
	}
	summary.Facts = append(summary.Facts, report.Fact{Name: "time", Value: report.Duration(time.Since(w.run.begun))})
	if a.global.Output != "text" {
		return nil
	}
	return errors.Join(report.Table(a.out, []string{"POLICY", "VERSION", "NETWORK", "RESULT", "LIVE BEFORE"}, rows), summary.Text(a.out))
}
