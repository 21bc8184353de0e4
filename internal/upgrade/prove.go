package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/snapshot"
)

// Proof is what the comparison of a shared policy with its legacy policy found.
type Proof struct {
	Shared int64  `json:"shared"`
	Pairs  []Pair `json:"pairs"`
	// Versions are all that there were of a shared policy that this run made, when it was looked at first, but for those that
	// somebody else added by then.
	Versions []importer.MadeVersion `json:"versions,omitempty"`
	// Differences are empty where it is proved.
	Differences []Difference `json:"differences,omitempty"`
}

// UnprovedError is a shared policy that is not what it was to be. It is not activated.
type UnprovedError struct {
	Policy string
	Proof  Proof
}

// Error names the first difference.
func (e *UnprovedError) Error() string {
	text := fmt.Sprintf("shared policy %d is not equal to %s and is not activated: %s", e.Proof.Shared, e.Policy, e.Proof.Differences[0].Text)
	if n := len(e.Proof.Differences) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// Hint says what to do next.
func (e *UnprovedError) Hint() string {
	return "compare the two policies; when the shared one is of no use delete it, then give the same command with --fresh"
}

// Is finds what once calls a difference.
func (e *UnprovedError) Is(target error) bool { return target == once.ErrDiffers }

// prove reads both policies and holds them against each other: every carried version must have a partner with equal rules
// and the same description. In a fresh one, which this run made, nothing else may be there.
func (u *upgrader) prove(p Planned, shared int64, fresh bool) job.Item {
	tries := 0
	return job.Item{Key: proofKey(p), Depth: 2, Do: func(ctx context.Context, t *job.Task) (job.Step, error) {
		proof, known, err := earlierProof(ctx, t)
		if err != nil {
			return job.Step{}, err
		}
		if known {
			return job.Step{Kept: true, Next: u.activations(p, proof, networks())}, nil
		}
		first := proof.Versions
		if proof, err = u.compare(ctx, p, shared, fresh); err != nil {
			return job.Step{}, err
		}
		if first != nil {
			proof.Versions = first
		}
		if len(proof.Differences) > 0 {
			if err := t.Save(ctx, unproved, proof); err != nil {
				return job.Step{}, err
			}
			return job.Step{}, &UnprovedError{p.String(), proof}
		}
		if err := u.describe(ctx, p, shared); err != nil {
			if tries++; passing(err) && tries < describeTries && ctx.Err() == nil {
				return job.Step{Again: u.now().Add(u.o.Poll)}, nil
			}
			return job.Step{}, err
		}
		return job.Step{Data: proof, Next: u.activations(p, proof, networks())}, nil
	}}
}

// earlierProof is what an earlier run found, and whether it proved it.
func earlierProof(ctx context.Context, t *job.Task) (proof Proof, known bool, err error) {
	rec, known, err := t.Earlier(ctx)
	if err != nil || !known || len(rec.Data) == 0 {
		return proof, false, err
	}
	if err := json.Unmarshal(rec.Data, &proof); err != nil {
		return proof, false, fmt.Errorf("read %s: %w", t.Key(), err)
	}
	return proof, rec.State == job.Done, nil
}

// describeTries is how often a description is put right before it is left to the next run.
const describeTries = 10

// passing reports whether a write that may be repeated can succeed later.
func passing(err error) bool {
	api, ok := errors.AsType[*cloudlet.APIError](err)
	return ok && (api.Verdict == cloudlet.Unknown || api.Verdict == cloudlet.NotSent || api.Status == 429)
}

// unproved is the state of a proof that failed.
const unproved job.State = "unproved"

// compare makes the proof.
func (u *upgrader) compare(ctx context.Context, p Planned, shared int64, fresh bool) (Proof, error) {
	proof := Proof{Shared: shared}
	policy := cloudlet.Policy{API: cloudlet.V3, ID: shared, Type: p.Type}
	versions, err := sharedVersions(ctx, u.account, policy)
	if err != nil {
		return proof, err
	}
	pairs, missing, extra := match(p.Carry, versions, p.Activate[cloudlet.Staging], p.Activate[cloudlet.Production])
	proof.Pairs = pairs
	for _, v := range missing {
		difference, err := u.difference(ctx, p, policy, v, extra)
		if err != nil {
			return proof, err
		}
		proof.Differences = append(proof.Differences, difference)
	}
	if !fresh { // what else there is was there when the plan was made
		return proof, nil
	}
	if proof.Versions, err = u.madeVersions(ctx, policy, versions, extra); err != nil {
		return proof, err
	}
	for _, v := range extra {
		if !slices.ContainsFunc(proof.Differences, func(d Difference) bool { return d.Shared == v.Number }) {
			proof.Differences = append(proof.Differences, Difference{
				Text: fmt.Sprintf("version %d of the shared policy is none of the carried ones", v.Number), Shared: v.Number,
			})
		}
	}
	return proof, nil
}

// madeVersions are those of a policy that came with it: no document says whether a clone's versions have its date and author
// or those of the legacy ones, so what is left out is what is younger and somebody else's.
func (u *upgrader) madeVersions(ctx context.Context, policy cloudlet.Policy, versions, extra []Version) ([]importer.MadeVersion, error) {
	theirs := map[int64]bool{}
	if len(extra) > 0 {
		doc, err := u.account.Get(ctx, policy.API.Policy(policy.ID))
		if err != nil {
			return nil, err
		}
		if policy, err = cloudlet.ParsePolicy(policy.API, doc); err != nil {
			return nil, err
		}
		by, since := makerOf(policy), createdOf(policy.Raw)
		for _, v := range extra {
			theirs[v.Number] = v.By != by && v.Created.After(since.Add(time.Minute))
		}
	}
	var made []importer.MadeVersion
	for _, v := range versions {
		if !theirs[v.Number] {
			made = append(made, importer.MadeVersion{Number: v.Number, Hash: v.Hash, Description: v.Description})
		}
	}
	return made, nil
}

// difference says how a carried version without a partner differs from what may have become of it, which is among the
// versions that are nobody's partner.
func (u *upgrader) difference(ctx context.Context, p Planned, shared cloudlet.Policy, v Version, extra []Version) (Difference, error) {
	d := Difference{Version: v.Number}
	near := Version{}
	for _, have := range extra {
		if have.Number == v.Number || near.Number == 0 && sameText(have, v) {
			near = have
		}
	}
	if near.Number == 0 {
		d.Text = fmt.Sprintf("version %d is lost: no version of the shared policy has its rules", v.Number)
		return d, nil
	}
	d.Shared = near.Number
	a, err := u.rules(ctx, cloudlet.V2.Version(p.ID, v.Number))
	if err != nil {
		return d, err
	}
	b, err := u.rules(ctx, cloudlet.V3.Version(shared.ID, near.Number))
	if err != nil {
		return d, err
	}
	grade, where := cloudlet.CompareRules(a, b)
	if grade != cloudlet.Different {
		d.Text = fmt.Sprintf("version %d has another description in the shared policy, or was edited after the plan was made", v.Number)
		return d, nil
	}
	d.Text = fmt.Sprintf("version %d differs from version %d of the shared policy at %s", v.Number, near.Number, where)
	if d.Rules, d.Patch, err = snapshot.DiffRules(a, b, true); err != nil {
		return d, fmt.Errorf("compare version %d: %w", v.Number, err)
	}
	if n := len(d.Rules); n > 1 {
		d.Text += fmt.Sprintf(" (%d rules differ)", n)
	}
	d.Rules, d.Patch = d.Rules[:min(len(d.Rules), mostShown)], d.Patch[:min(len(d.Patch), mostShown)]
	return d, nil
}

// rules are the match rules of a version.
func (u *upgrader) rules(ctx context.Context, r cloudlet.Resource) (json.RawMessage, error) {
	doc, err := u.account.Get(ctx, r)
	if err != nil {
		return nil, err
	}
	var version struct {
		Rules json.RawMessage `json:"matchRules"`
	}
	err = json.Unmarshal(doc, &version)
	return version.Rules, err
}

// describe gives the shared policy the legacy policy's description, where it has another.
func (u *upgrader) describe(ctx context.Context, p Planned, shared int64) error {
	if p.Action != Clone { // a copy was described when it was made, and what is there longer is not touched
		return nil
	}
	doc, err := u.account.Get(ctx, cloudlet.V3.Policy(shared))
	if err != nil {
		return err
	}
	have, err := cloudlet.ParsePolicy(cloudlet.V3, doc)
	switch {
	case err != nil:
		return err
	case have.Name != p.NewName || have.GroupID != p.NewGroup || have.Type != p.Type:
		return &UnprovedError{p.String(), Proof{Shared: shared, Differences: []Difference{{Text: fmt.Sprintf(
			"it is %s of type %s in group %d", cloudlet.Printable(have.Name), have.Type, have.GroupID)}}}}
	case have.Description == p.Description:
		return nil
	}
	_, err = u.account.Send(context.WithoutCancel(ctx), cloudlet.V3.DescribePolicy(shared, have.GroupID, p.Description))
	return err
}
