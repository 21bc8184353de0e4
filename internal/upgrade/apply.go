package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloudletmig/internal/activate"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/importer"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// Apply carries out a plan, with items on the pool; policies go side by side. For each: clone or copy or what is missing,
// then the proof, then the activations, staging before production. What fails the proof is not activated. The error is
// that of job.Pool.Run; what an earlier run with the same journal has done is not done again.
func Apply(ctx context.Context, account Account, plan Plan, pool job.Pool, o importer.ApplyOptions) error {
	u := &upgrader{account: account, o: o}
	var items []job.Item
	for _, p := range plan.Policies {
		switch p.Action { //nolint:exhaustive // nothing is sent for the others
		case Clone:
			items = append(items, u.clone(ctx, p))
		case Copy, Sync:
			items = append(items, u.add(ctx, p)...)
		case Done:
			if len(p.Activate) > 0 {
				items = append(items, u.prove(p, p.Shared, false))
			}
		}
	}
	return pool.Run(ctx, items...)
}

type upgrader struct {
	account Account
	o       importer.ApplyOptions
	listing listing
}

// listing is a list of the shared policies that is used for a moment by all who look whether a name is free before they
// clone: with hundreds of policies each would read hundreds. Who looks for what an attempt has made reads anew.
type listing struct {
	mu    sync.Mutex
	all   []cloudlet.Policy
	begun time.Time
}

// recent is how old a listing may be.
const recent = 5 * time.Second

// read gives the shared policies as they were not long ago. One reads, the others wait for it.
func (l *listing) read(ctx context.Context, u *upgrader) ([]cloudlet.Policy, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := u.now(); l.begun.IsZero() || now.Sub(l.begun) > recent || now.Before(l.begun) {
		all, err := importer.ListPolicies(ctx, u.account, cloudlet.V3)
		if err != nil {
			return nil, err
		}
		l.all, l.begun = all, now
	}
	return l.all, nil
}

// The keys of items.
func (p Planned) key() string                             { return "legacy/" + strconv.FormatInt(p.ID, 10) }
func cloneKey(p Planned) string                           { return p.key() + "/clone" }
func proofKey(p Planned) string                           { return p.key() + "/proof" }
func activationKey(p Planned, on cloudlet.Network) string { return p.key() + "/activate/" + string(on) }

// absent is the baseline of a clone: when the name was seen to be free.
type absent struct {
	At time.Time `json:"at"`
}

// clone makes the shared policy by the API's own operation (Cloudlets API v3, Clone a policy). A request has no place for
// a marker: what is found after an answer was lost is ours when it has the name, which was free before, and the rules of
// exactly the carried versions. Anything else of that name is somebody's.
func (u *upgrader) clone(ctx context.Context, p Planned) job.Item {
	key := cloneKey(p)
	e := once.Effect[absent, int64]{Wanted: wanted(p), Record: u.o.Record, Settle: u.o.Settle, Poll: u.o.Poll, Now: u.o.Now}
	e.Baseline = func(ctx context.Context) (absent, int64, error) {
		all, err := u.listing.read(ctx, u)
		if err != nil {
			return absent{}, 0, err
		}
		if found := named(all, p.NewName); found != nil {
			return absent{}, 0, once.Stranger(key, fmt.Sprintf("shared policy %d was given the name %s after the plan was made", found.ID, p.NewName))
		}
		return absent{u.now()}, 0, nil
	}
	e.Send = func(ctx context.Context, _ once.Memo[absent, int64]) (once.Reply[int64], error) {
		answer, err := u.account.Send(ctx, cloudlet.Clone(p.ID, p.NewName, p.NewGroup, p.Additional))
		reply := once.Reply[int64]{RetryAt: answer.Rate.Next}
		if err != nil {
			return reply, err
		}
		made, err := cloudlet.ParsePolicy(cloudlet.V3, answer.Body)
		if err == nil && made.Name == p.NewName {
			reply.ID = made.ID
		}
		return reply, err
	}
	e.Find = func(ctx context.Context, memo once.Memo[absent, int64]) (once.Found[int64], error) {
		return u.find(ctx, p, memo.Lost)
	}
	e.Then = func(memo once.Memo[absent, int64]) []job.Item {
		if memo.ID == 0 { // the API refused to clone it
			return u.add(ctx, p)
		}
		return []job.Item{u.prove(p, memo.ID, true)}
	}
	do := e.Do()
	return job.Item{Key: key, Do: func(ctx context.Context, t *job.Task) (job.Step, error) {
		step, err := do(ctx, t)
		if p.Method == MethodAuto && refusedToClone(err) {
			return u.copyInstead(ctx, t, p, err)
		}
		return step, err
	}}
}

// copyInstead records why the API does not clone the policy, and goes on to copy it.
func (u *upgrader) copyInstead(ctx context.Context, t *job.Task, p Planned, why error) (job.Step, error) {
	rec, _, err := t.Earlier(ctx)
	if err != nil {
		return job.Step{}, err
	}
	memo, err := once.MemoOf[absent, int64](rec)
	if err != nil {
		return job.Step{}, err
	}
	doc, err := u.account.Get(ctx, cloudlet.V2.Policy(p.ID)) // one that is gone would leave a shared policy without versions
	if err != nil {
		return job.Step{}, errors.Join(why, err)
	}
	if legacy, err := cloudlet.ParsePolicy(cloudlet.V2, doc); err != nil || legacy.Deleted {
		return job.Step{}, errors.Join(why, fmt.Errorf("%s was deleted after the plan was made", p), err)
	}
	memo.Why = why.Error()
	if err := t.Save(ctx, job.Done, memo); err != nil { // before the copy begins: it takes the name that a clone would look for
		return job.Step{}, err
	}
	return job.Step{Data: memo, Next: u.add(ctx, p)}, nil
}

// refusedToClone reports whether the API says that it does not clone this policy (Cloudlets API v3, Clone a policy: 400,
// 404), so that it has to be copied.
func refusedToClone(err error) bool {
	api, ok := errors.AsType[*cloudlet.APIError](err)
	return ok && api.Verdict == cloudlet.Rejected && (api.Status == 400 || api.Status == cloudlet.NotFound)
}

// wanted is a hash-like text of what a clone is to be.
func wanted(p Planned) string {
	hashes := make([]string, 0, len(p.Carry))
	for _, v := range p.Carry {
		hashes = append(hashes, fmt.Sprintf("%d:%.16s", v.Number, v.Hash))
	}
	return p.NewName + " " + strings.Join(hashes, " ")
}

func (u *upgrader) now() time.Time {
	if u.o.Now != nil {
		return u.o.Now().UTC()
	}
	return time.Now().UTC()
}

// named is the policy of that name; nil where there is none.
func named(all []cloudlet.Policy, name string) *cloudlet.Policy {
	if i := slices.IndexFunc(all, func(x cloudlet.Policy) bool { return x.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// find looks for the clone.
func (u *upgrader) find(ctx context.Context, p Planned, lost bool) (once.Found[int64], error) {
	var found once.Found[int64]
	all, err := importer.ListPolicies(ctx, u.account, cloudlet.V3)
	x := named(all, p.NewName)
	if err != nil || x == nil {
		return found, err
	}
	versions, err := sharedVersions(ctx, u.account, *x)
	if err != nil {
		return found, err
	}
	text, err := json.Marshal(versions)
	if err != nil {
		return found, err
	}
	found.Seen = fmt.Sprintf("%d %s", x.ID, text)
	if lost && x.Type == p.Type && sameContent(p.Carry, versions) {
		found.Ours = []int64{x.ID}
	} else {
		found.Taken = fmt.Sprintf("shared policy %d has the name %s and was not made by this run", x.ID, p.NewName)
	}
	return found, nil
}

// chained is the part of a plan that is carried out version by version: a copy, or what a shared policy lacks.
func (p Planned) chained() importer.Planned {
	w := importer.Planned{
		Policy: importer.Policy{
			API: cloudlet.V3, Type: p.Type, Name: p.NewName, Description: p.Description, Group: p.NewGroup, Source: p.String(),
		},
		Action: importer.Append, ID: p.Shared, Newest: p.Newest,
	}
	add := p.Add
	if p.Action == Clone || p.Action == Copy {
		w.Action, w.ID, add = importer.Create, 0, p.Carry
	}
	for _, v := range add {
		w.Add = append(w.Add, importer.Version{Number: v.Number, Description: v.Description, Ref: ref(p.ID, v.Number), Hash: v.Hash, Rules: v.Rules})
	}
	return w
}

// add makes a shared policy version by version, or adds what it lacks.
func (u *upgrader) add(ctx context.Context, p Planned) []job.Item {
	w := p.chained()
	prove := func(id int64, _ []importer.Pair) []job.Item {
		return []job.Item{u.prove(p, id, w.Action == importer.Create)}
	}
	if w.Action == importer.Append && len(w.Add) == 0 { // only activations lag behind
		return prove(p.Shared, nil)
	}
	source := liveSource(func(ref string) ([]byte, error) {
		var policy, number int64
		if _, err := fmt.Sscanf(ref, "v2:%d@%d", &policy, &number); err != nil {
			return nil, fmt.Errorf("read %q: %w", ref, err)
		}
		return u.account.Get(ctx, cloudlet.V2.Version(policy, number))
	})
	return importer.Chain(u.account, source, w, u.o, prove)
}

// liveSource reads documents out of the account.
type liveSource func(ref string) ([]byte, error)

// Document gives the document of a legacy version.
func (s liveSource) Document(ref string) ([]byte, error) { return s(ref) }

// unedited is activate.Target.Prove: the partner of a legacy version still has the rules that were proved.
func (u *upgrader) unedited(p Planned, proof Proof, legacy int64) func(context.Context) error {
	wanted, number := Version{}, partnerOf(proof.Pairs, legacy)
	for _, v := range p.Carry {
		if v.Number == legacy {
			wanted = v
		}
	}
	return func(ctx context.Context) error {
		doc, err := u.account.Get(ctx, cloudlet.V3.Version(proof.Shared, number))
		if err != nil {
			return err
		}
		hash, err := importer.Hash(importer.Policy{API: cloudlet.V3, Type: p.Type}, doc)
		if err != nil || hash == wanted.Hash {
			return err
		}
		by := ""
		if have, err := cloudlet.ParseVersion(doc); err == nil && have.ModifiedBy != "" {
			by = " (" + cloudlet.Printable(have.ModifiedBy) + ")"
		}
		return once.Stranger(p.String(), fmt.Sprintf("version %d of shared policy %d was edited by somebody%s after it was proved, and is not activated",
			number, proof.Shared, by))
	}
}

// activations are those of a policy that was proved, on one network after another.
func (u *upgrader) activations(p Planned, proof Proof, on []cloudlet.Network) []job.Item {
	for i, network := range on {
		legacy, wanted := p.Activate[network]
		if !wanted {
			continue
		}
		t := activate.Target{
			API: cloudlet.V3, Policy: proof.Shared, Name: p.NewName, Version: partnerOf(proof.Pairs, legacy), Network: network,
			Over: []int64{p.Over[network]}, Prove: u.unedited(p, proof, legacy),
		}
		if network == cloudlet.Production && p.Staged && p.Live[cloudlet.Staging] == legacy {
			t.After = cloudlet.Staging
		}
		return []job.Item{u.o.Queue.Item(activationKey(p, network), 3, t, func(activate.Memo) []job.Item {
			return u.activations(p, proof, on[i+1:])
		})}
	}
	return nil
}
