package activate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/once"
)

// already is the id of what was so before, where no row names it.
const already = "already"

// baseline is once.Effect.Baseline: what is effective, and whether that is what is wanted.
func (a *activation) baseline(ctx context.Context) (Before, string, error) {
	rows, err := a.q.history(ctx, a.t)
	if err != nil {
		return Before{}, "", err
	}
	before := Before{Target: a.t, Effective: inForce(rows, a.t.Network), Mark: markOf(rows, a.t.Network), Dry: a.dry.Round(0).UTC()}
	pending, inTheWay := a.pending(rows)
	switch {
	case pending != nil && !inTheWay:
		return before, pending.name(), a.prove(ctx)
	case pending != nil:
		return before, "", a.waitFor(*pending)
	case a.t.Off && before.Effective != 0 && before.Effective != a.t.Version:
		return before, "", once.Stranger(a.t.Place(), fmt.Sprintf("version %d is effective on %s, not version %d, which was to be taken off",
			before.Effective, a.t.Network, a.t.Version))
	case a.t.Off == (before.Effective != a.t.Version):
		lacks, err := Unassociated(ctx, a.q.account, a.t, plain(rows))
		if err != nil {
			return before, "", err
		}
		if len(lacks) == 0 {
			return before, already, a.prove(ctx)
		}
	}
	if why := a.unready(rows); why != "" {
		return before, "", once.Stranger(a.t.Place(), why)
	}
	if !a.t.Off && a.t.Over != nil && !slices.Contains(a.t.Over, before.Effective) {
		return before, "", once.Stranger(a.t.Place(), fmt.Sprintf("on %s %s effective, which the plan did not show: somebody else changed that",
			a.t.Network, versionWord(before.Effective)))
	}
	return before, "", a.prove(ctx)
}

// unready says why nothing is to be sent although the place is free; empty where nothing speaks against it.
func (a *activation) unready(rows []row) string {
	if a.t.Held {
		return fmt.Sprintf("on %s %s effective, where the plan showed that nothing was to be sent: somebody else changed that",
			a.t.Network, versionWord(inForce(rows, a.t.Network)))
	}
	if now := inForce(rows, a.t.After); a.t.After != "" && now != a.t.Version {
		return fmt.Sprintf("version %d goes to %s only while it is effective on %s, and %s effective there now",
			a.t.Version, a.t.Network, a.t.After, versionWord(now))
	}
	return ""
}

// prove asks whether the version is what was verified.
func (a *activation) prove(ctx context.Context) error {
	if a.t.Prove == nil || a.t.Off {
		return nil
	}
	return a.t.Prove(ctx)
}

// Follows says whether the version is effective where it has to be before it goes to t's network: nil, or a once.ErrConflict.
// Each item asks that by itself, too; this is for those that begin only together.
func (q *Queue) Follows(ctx context.Context, t Target) error {
	rows, err := q.history(ctx, t)
	if err != nil {
		return err
	}
	t.Held = false
	if why := (&activation{q: q, t: t}).unready(rows); why != "" {
		return once.Stranger(t.Place(), why)
	}
	return nil
}

// pending is an activation under way, and whether it is one that has to end first: of what is wanted if there is one, else
// of anything else for the policy and network, in v2 for the policy on either network (Edge Redirector has one at a time).
func (a *activation) pending(rows []row) (found *row, inTheWay bool) {
	for i, r := range rows {
		switch {
		case r.Status != cloudlet.Pending:
		case r.is(a.t) && len(unnamed(plain(rows), a.t)) == 0:
			return &rows[i], false
		case r.Network == a.t.Network || a.t.kind() == legacy:
			found = &rows[i]
		}
	}
	return found, found != nil
}

// waitFor is the error of an activation that has to end first.
func (a *activation) waitFor(r row) error {
	operation := "activation"
	if r.Off {
		operation = "deactivation"
	}
	return fmt.Errorf("%s waits: another %s is under way, of version %d on %s, by %s: %w",
		a.t, operation, r.Version, r.Network, cloudlet.Printable(r.By), once.ErrNotYet)
}

// find is once.Effect.Find: a row of what is wanted that is later than the baseline.
func (a *activation) find(ctx context.Context, memo Memo) (once.Found[string], error) {
	rows, err := a.q.history(ctx, a.t)
	if err != nil {
		return once.Found[string]{}, err
	}
	later := memo.Base.Mark.after(rows, a.t.Network)
	lacks := unnamed(plain(rows), a.t)
	found := once.Found[string]{}
	failed := ""
	for _, r := range later { // newest first
		switch {
		case !r.is(a.t) || r.Status == cloudlet.Inactive, memo.N == 0 && len(lacks) > 0:
		case r.Status != cloudlet.Broken:
			found.Ours = []string{r.name()}
			return found, nil
		case memo.N > 0 && failed == "":
			failed = r.name()
		}
	}
	if failed != "" {
		found.Ours = []string{failed}
		return found, nil
	}
	if pending, _ := a.pending(rows); pending != nil {
		return found, a.waitFor(*pending)
	}
	if found.Taken = a.taken(later, memo.Base); found.Taken != "" {
		found.Taken += ", after this began"
	}
	now := inForce(rows, a.t.Network)
	if found.Taken == "" && now != memo.Base.Effective {
		found.Taken = fmt.Sprintf("on %s %s effective now, which was not so before", a.t.Network, versionWord(now))
	}
	if found.Taken == "" {
		found.Taken = a.unready(rows)
	}
	if found.Taken == "" {
		conflict, err := (*once.ConflictError)(nil), a.prove(ctx)
		if err != nil && !errors.As(err, &conflict) {
			return found, err
		}
		if conflict != nil {
			found.Taken = conflict.Why
		}
	}
	found.Seen = fmt.Sprintf("%d %d", now, len(later))
	return found, nil
}

// taken says what somebody else has put live, or taken off, since the baseline.
func (a *activation) taken(later []row, base Before) string {
	for _, r := range later {
		switch {
		case r.Status != cloudlet.Active && r.Status != cloudlet.Deactivated:
			continue // it came to nothing
		case r.Status == cloudlet.Deactivated && r.Version == base.Effective:
			continue // v2: what was effective before
		}
		operation := "activated"
		if r.Off {
			operation = "deactivated"
		}
		return fmt.Sprintf("version %d was %s on %s by %s at %s", r.Version, operation, a.t.Network,
			cloudlet.Printable(r.By), r.At.Format("2006-01-02 15:04:05Z"))
	}
	return ""
}

// send is once.Effect.Send.
func (a *activation) send(ctx context.Context, _ Memo) (once.Reply[string], error) {
	answer, err := a.attempt(ctx, a.t.change())
	reply := once.Reply[string]{RetryAt: answer.Rate.Next}
	if err != nil {
		return reply, refused(a.t, err)
	}
	reply.ID = a.begun(answer.Body)
	return reply, nil
}

// begun finds in an answer what was begun; empty when it names nothing of the kind. v3 answers with the activation, v2
// with rows of the history, origins with one row, in old documents as an array.
func (a *activation) begun(body []byte) string {
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	rows, err := cloudlet.ParseList(body, parseRow)
	if err != nil {
		return ""
	}
	for _, r := range rows {
		if r.is(a.t) && (r.id > 0 || a.t.kind() != shared) {
			return r.name()
		}
	}
	return ""
}

// verify is once.Effect.Verify: how the activation goes, and when it is over whether it is in force.
func (a *activation) verify(ctx context.Context, memo Memo) error {
	if memo.ID == already {
		return nil
	}
	if a.t.kind() == shared {
		r, err := a.one(ctx, memo.ID)
		if err != nil {
			return err
		}
		if err := a.ended([]row{r}); err != nil {
			return err
		}
	}
	rows, err := a.q.history(ctx, a.t)
	if err != nil {
		return err
	}
	if a.t.kind() != shared {
		ours := slices.DeleteFunc(memo.Base.Mark.after(rows, a.t.Network), func(r row) bool { return !r.is(a.t) })
		if err := a.ended(ours); err != nil {
			return err
		}
	}
	if a.t.Off == (inForce(rows, a.t.Network) != a.t.Version) {
		return nil
	}
	others := slices.DeleteFunc(memo.Base.Mark.after(rows, a.t.Network), func(r row) bool { return r.is(a.t) })
	if by := a.taken(others, memo.Base); by != "" {
		return &replacedError{a.t, by}
	}
	return fmt.Errorf("%s: the history does not show it yet: %w", a.t, once.ErrNotYet)
}

// one reads one activation of a shared policy.
func (a *activation) one(ctx context.Context, id string) (row, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return row{}, fmt.Errorf("%s: the journal names %q as its id, which is none", a.t, id)
	}
	text, err := a.q.account.Get(ctx, cloudlet.SharedActivation(a.t.Policy, n))
	if err != nil {
		return row{}, fmt.Errorf("read %s: %w", a.t, err)
	}
	return parseRow(json.RawMessage(text))
}

// ended is no error when all rows of an activation succeeded, and a FailedError when one failed and none is under way.
func (a *activation) ended(rows []row) error {
	var details []string
	failed, settled := false, len(rows) > 0
	for _, r := range rows {
		switch r.Status {
		case cloudlet.Broken:
			failed = true
			if text := r.details(); text != "" && !slices.Contains(details, text) {
				details = append(details, text)
			}
		case cloudlet.Active, cloudlet.Deactivated:
		case cloudlet.Pending, cloudlet.Inactive:
			settled = false
		default:
			settled = false
		}
	}
	switch {
	case !settled:
		return fmt.Errorf("%s is under way: %w", a.t, once.ErrNotYet)
	case failed:
		return &FailedError{Target: a.t, Details: strings.Join(details, "; ")}
	}
	return nil
}
