package upgrade

import (
	"context"
	"encoding/json"
	"errors"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// Stage is how far the upgrade of one policy has come.
type Stage string

// The stages, each after the one before; Blocked, conflict and left policies have none of them.
const (
	StagePlanned  Stage = "planned"
	StageCloned   Stage = "cloned" // or copied, or what was missing added
	StageProved   Stage = "proved"
	StageStaged   Stage = "staged" // live on staging as the legacy policy is
	StageLive     Stage = "live"   // live on production as the legacy policy is
	StageBlocked  Stage = "blocked"
	StageConflict Stage = "conflict"
	StageLeft     Stage = "left"
)

// Result is how far the upgrade of one policy has come, and what it became.
type Result struct {
	Planned
	Stage       Stage                      `json:"stage"`
	Pairs       []Pair                     `json:"versions"` // from the legacy policy's number to the shared one's
	Differences []string                   `json:"differences,omitempty"`
	Active      map[cloudlet.Network]int64 `json:"active,omitempty"` // versions of the shared policy that this run saw go live
	Problem     string                     `json:"problem,omitempty"`
}

// ResultOf reads from the journal how far a policy of a plan has come.
func ResultOf(ctx context.Context, journal job.Journal, p Planned) (Result, error) {
	r := Result{Planned: p, Stage: StagePlanned, Pairs: append([]Pair{}, p.Have...), Active: map[cloudlet.Network]int64{}}
	switch p.Action { //nolint:exhaustive // the others have records
	case Blocked:
		r.Stage = StageBlocked
		return r, nil
	case Conflict:
		r.Stage = StageConflict
		return r, nil
	case Left:
		r.Stage = StageLeft
		return r, nil
	case Done:
		r.Stage = StageProved
	}
	if err := r.readProof(ctx, journal); err != nil {
		return r, err
	}
	for _, on := range networks() {
		if err := r.readActivation(ctx, journal, on); err != nil {
			return r, err
		}
	}
	return r, nil
}

// readProof takes what the clone and the proof left.
func (r *Result) readProof(ctx context.Context, journal job.Journal) error {
	for rec, err := range journal.All(ctx, r.key()+"/") {
		if err != nil {
			return err
		}
		if rec.Err != "" {
			r.Problem = rec.Err
		}
	}
	rec, ok, err := journal.Get(ctx, cloneKey(r.Planned))
	if err != nil {
		return err
	}
	if ok && rec.State == job.Done {
		memo, err := once.MemoOf[absent, int64](rec)
		if err != nil {
			return err
		}
		if memo.ID != 0 {
			r.Shared, r.Stage = memo.ID, StageCloned
		}
	}
	rec, ok, err = journal.Get(ctx, proofKey(r.Planned))
	if err != nil || !ok || len(rec.Data) == 0 {
		return err
	}
	var proof Proof
	if err := json.Unmarshal(rec.Data, &proof); err != nil {
		return err
	}
	r.Shared, r.Pairs, r.Differences, r.Stage = proof.Shared, proof.Pairs, proof.Differences, StageCloned
	if rec.State == job.Done {
		r.Stage = StageProved
	}
	return nil
}

func (r *Result) readActivation(ctx context.Context, journal job.Journal, on cloudlet.Network) error {
	legacy, wanted := r.Activate[on]
	if !wanted {
		return nil
	}
	rec, ok, err := journal.Get(ctx, activationKey(r.Planned, on))
	if err != nil || !ok || rec.State != job.Done {
		return err
	}
	r.Active[on] = partnerOf(r.Pairs, legacy)
	r.Stage = StageStaged
	if on == cloudlet.Production {
		r.Stage = StageLive
	}
	return nil
}

// Finished reports whether all that was planned for the policy is done.
func (r Result) Finished() bool {
	switch r.Stage { //nolint:exhaustive // the others are not
	case StageProved, StageStaged, StageLive:
		return len(r.Active) == len(r.Activate)
	}
	return false
}

// MadeOf is what a run made of a shared policy: its id, 0 for nothing; whether the policy itself; and the versions.
func MadeOf(ctx context.Context, journal job.Journal, p Planned) (shared int64, created bool, versions []int64, err error) {
	if p.Action != Clone && p.Action != Copy && p.Action != Sync {
		return 0, false, nil, nil
	}
	rec, ok, err := journal.Get(ctx, cloneKey(p))
	if err != nil {
		return 0, false, nil, err
	}
	if ok && rec.State == job.Done {
		memo, err := once.MemoOf[absent, int64](rec)
		if err != nil || memo.ID != 0 {
			r, resultErr := ResultOf(ctx, journal, p)
			for _, x := range r.Pairs {
				versions = append(versions, x.To)
			}
			return memo.ID, true, versions, errors.Join(err, resultErr)
		}
	}
	made, err := importer.ResultOf(ctx, journal, p.chained())
	return made.ID, made.Made, made.MadeVersions(), err
}
