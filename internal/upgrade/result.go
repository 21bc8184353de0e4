package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

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
	Differences []Difference               `json:"differences,omitempty"`
	Active      map[cloudlet.Network]int64 `json:"active,omitempty"` // what is live of the shared policy, as far as it is the legacy one's partner
	Copied      string                     `json:"copied,omitempty"` // why it was copied and not cloned, where that was not planned
	Problem     string                     `json:"problem,omitempty"`

	came []importer.MadeVersion // what a shared policy that the run made came with, proved or not
}

// ResultOf reads from the journal how far a policy of a plan has come. With an empty journal it tells what was so when the
// plan was made.
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
	case Sync:
		r.Stage = StageCloned
	case Done:
		r.Stage = StageProved
	}
	if err := r.readMade(ctx, journal); err != nil {
		return r, err
	}
	if err := r.readProof(ctx, journal); err != nil {
		return r, err
	}
	for _, on := range networks() {
		if err := r.readActivation(ctx, journal, on); err != nil {
			return r, err
		}
	}
	r.stageLive()
	return r, nil
}

// readMade takes what making the shared policy left: the id, and where it was copied though it was to be cloned, why.
func (r *Result) readMade(ctx context.Context, journal job.Journal) error {
	copied := importer.Policy{API: cloudlet.V3, Name: r.NewName}.Key()
	for _, key := range []string{copied, cloneKey(r.Planned)} {
		rec, ok, err := journal.Get(ctx, key)
		if err != nil {
			return err
		}
		if !ok || len(rec.Data) == 0 {
			continue
		}
		memo, err := once.MemoOf[json.RawMessage, int64](rec)
		if err != nil {
			return err
		}
		if r.made(memo.ID); memo.ID == 0 && rec.State == job.Done {
			r.Copied = memo.Why
		}
	}
	return r.readProblem(ctx, journal, r.key()+"/", copied)
}

// readProblem takes the last thing that went wrong with any item whose key begins so.
func (r *Result) readProblem(ctx context.Context, journal job.Journal, prefix, copied string) error {
	for _, prefix := range []string{prefix, copied} {
		for rec, err := range journal.All(ctx, prefix) {
			if err != nil {
				return err
			}
			ours := prefix != copied || rec.Key == copied || strings.HasPrefix(rec.Key, copied+"/")
			if ours && rec.Err != "" {
				r.Problem = rec.Err
			}
		}
	}
	return nil
}

func (r *Result) made(id int64) {
	if id != 0 {
		r.Shared, r.Stage = id, StageCloned
	}
}

// readProof takes what the proof left.
func (r *Result) readProof(ctx context.Context, journal job.Journal) error {
	rec, ok, err := journal.Get(ctx, proofKey(r.Planned))
	if err != nil || !ok || len(rec.Data) == 0 {
		return err
	}
	var proof Proof
	if err := json.Unmarshal(rec.Data, &proof); err != nil {
		return err
	}
	r.Shared, r.Pairs, r.Differences, r.Stage = proof.Shared, proof.Pairs, proof.Differences, StageCloned
	r.came = proof.Versions
	if rec.State == job.Done {
		r.Stage = StageProved
	}
	return nil
}

// readActivation takes what is live on a network: since this run, or since before.
func (r *Result) readActivation(ctx context.Context, journal job.Journal, on cloudlet.Network) error {
	partner := partnerOf(r.Pairs, r.Live[on])
	if partner != 0 && r.Over[on] == partner {
		r.Active[on] = partner
	}
	if _, wanted := r.Activate[on]; !wanted {
		return nil
	}
	rec, ok, err := journal.Get(ctx, activationKey(r.Planned, on))
	if err != nil || !ok || rec.State != job.Done {
		return err
	}
	r.Active[on] = partner
	return nil
}

// stageLive raises the stage of what is proved by what is live: staged and live say that the shared policy is live on the
// network as the legacy one is.
func (r *Result) stageLive() {
	switch {
	case r.Stage != StageProved:
	case r.Active[cloudlet.Production] != 0:
		r.Stage = StageLive
	case r.Active[cloudlet.Staging] != 0:
		r.Stage = StageStaged
	}
}

// caughtUp reports whether this run, or one before, brought the shared policy to where the legacy one was when the plan was
// made: with all that was carried, and live where that is.
func (r Result) caughtUp() bool {
	switch r.Stage { //nolint:exhaustive // the others are not proved
	case StageProved, StageStaged, StageLive:
	default:
		return false
	}
	for on := range r.Activate {
		if r.Active[on] == 0 {
			return false
		}
	}
	return len(r.Lags) == 0
}

// Waits reports whether something is live on the legacy policy, and not on the shared one that is proved to be its equal.
func (r Result) Waits() bool {
	switch r.Stage { //nolint:exhaustive // the others have something before that
	case StageProved, StageStaged, StageLive:
		return len(r.Active) < len(r.Live)
	}
	return false
}

// MadeOf is what a run made of a shared policy: its id, 0 for nothing; whether the policy itself; and the versions. Of a
// clone that was not proved it is not known which number each version got.
func MadeOf(ctx context.Context, journal job.Journal, p Planned) (shared int64, created bool, versions []importer.MadeVersion, err error) {
	if p.Action != Clone && p.Action != Copy && p.Action != Sync {
		return 0, false, nil, nil
	}
	rec, ok, err := journal.Get(ctx, cloneKey(p))
	if err != nil {
		return 0, false, nil, err
	}
	if ok && rec.State != "" {
		memo, err := once.MemoOf[absent, int64](rec)
		if err != nil || memo.ID != 0 {
			versions, readErr := clonedVersions(ctx, journal, p)
			return memo.ID, true, versions, errors.Join(err, readErr)
		}
	}
	chained := p.chained()
	made, err := importer.ResultOf(ctx, journal, chained)
	return made.ID, made.Made, made.MadeVersions(chained), err
}

// clonedVersions are the versions that a clone came with, as they were when it was looked at first; where it was not looked
// at yet, the carried ones, with numbers where they are known and 0 where not.
func clonedVersions(ctx context.Context, journal job.Journal, p Planned) ([]importer.MadeVersion, error) {
	r, err := ResultOf(ctx, journal, p)
	if err != nil || len(r.came) > 0 {
		return r.came, err
	}
	versions := make([]importer.MadeVersion, 0, len(p.Carry))
	for _, v := range p.Carry {
		versions = append(versions, importer.MadeVersion{Number: partnerOf(r.Pairs, v.Number), Hash: v.Hash, Description: v.Description})
	}
	return versions, nil
}
