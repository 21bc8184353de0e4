package importer

import (
	"context"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// Result is how far one policy of a plan has come.
type Result struct {
	Key      string       `json:"key"`
	API      cloudlet.API `json:"api,omitempty"`
	Name     string       `json:"name"`
	Source   string       `json:"source"`
	Action   Action       `json:"action"`
	Why      string       `json:"why,omitempty"`
	ID       int64        `json:"id,omitempty"` // in the account
	Made     bool         `json:"made"`         // by this run
	Versions []Pair       `json:"versions"`     // from the source's number to the account's
	Added    int          `json:"added"`        // of Versions, those that this run made
	// Active says for each network what is live there, as far as this run was to make it so.
	Active map[cloudlet.Network]int64 `json:"active,omitempty"`
	Done   bool                       `json:"done"`
}

// ResultOf reads from the journal how far a policy of a plan has come.
func ResultOf(ctx context.Context, journal job.Journal, p Planned) (Result, error) {
	r := Result{
		Key: p.Key(), API: p.API, Name: p.Name, Source: p.Source, Action: p.Action, Why: p.Why, ID: p.ID,
		Versions: append([]Pair{}, p.Have...), Done: p.Action != Blocked && p.Action != Conflict && !p.LeftDiffering(),
		Active: map[cloudlet.Network]int64{},
	}
	for _, step := range []func(context.Context, job.Journal, Planned) error{r.readCreate, r.readVersions, r.readActivations} {
		if err := step(ctx, journal, p); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r *Result) readCreate(ctx context.Context, journal job.Journal, p Planned) (err error) {
	if p.Describe {
		_, described, err := madeBy[nothing, int64](ctx, journal, describeKey(p.Policy))
		r.Done = r.Done && described
		return err
	}
	if p.Action != Create {
		return nil
	}
	done := false
	if p.IsOrigin() {
		var id string
		id, done, err = madeBy[nothing, string](ctx, journal, createKey(p.Policy))
		r.Made = id != ""
	} else {
		r.ID, done, err = madeBy[nothing, int64](ctx, journal, createKey(p.Policy))
		r.Made = r.ID != 0
	}
	r.Done = r.Done && done
	return err
}

func (r *Result) readVersions(ctx context.Context, journal job.Journal, p Planned) error {
	for _, v := range p.Add {
		number, ok, err := madeBy[newest, int64](ctx, journal, versionKey(p.Policy, v))
		if err != nil {
			return err
		}
		if r.Done = r.Done && ok; number != 0 {
			r.Added++
			r.Versions = append(r.Versions, Pair{v.Number, number})
		}
	}
	return nil
}

func (r *Result) readActivations(ctx context.Context, journal job.Journal, p Planned) error {
	to := numbers{}
	for _, pair := range r.Versions {
		to[pair.From] = pair.To
	}
	for _, on := range p.Activations() {
		rec, ok, err := journal.Get(ctx, activationKey(p.Policy, on))
		if err != nil {
			return err
		}
		if ok = ok && rec.State == job.Done; ok {
			r.Active[on] = to[p.Live[on].Version]
		}
		r.Done = r.Done && ok
	}
	return nil
}

// madeBy is the id that the record of a change names, the zero one where nothing is known to be made, and whether the
// change is done.
func madeBy[B any, ID comparable](ctx context.Context, journal job.Journal, key string) (id ID, done bool, err error) {
	rec, ok, err := journal.Get(ctx, key)
	if err != nil || !ok || rec.State == "" { // nothing is recorded but why it did not begin
		return id, false, err
	}
	memo, err := once.MemoOf[B, ID](rec)
	return memo.ID, err == nil && rec.State == job.Done, err
}

// MadeVersion is a version that a run made, as it left it.
type MadeVersion struct {
	Number      int64  `json:"number"` // in the account; 0 where it is not known
	Hash        string `json:"hash"`
	Description string `json:"description"`
}

// MadeVersions are the versions that this run made of the policy that it is the result of.
func (r Result) MadeVersions(p Planned) []MadeVersion {
	var made []MadeVersion
	for _, pair := range r.Versions[len(r.Versions)-r.Added:] {
		for _, v := range p.Add {
			if v.Number == pair.From {
				made = append(made, MadeVersion{pair.To, v.Hash, v.Description})
			}
		}
	}
	return made
}
