package importer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
)

// creator makes the changes of a plan, each an once.Effect.
type creator struct {
	account Account
	source  Source
	o       ApplyOptions
}

// nothing is the baseline of what is known by its name alone.
type nothing struct{}

// effect has what all changes have in common.
func effect[B any, ID comparable](c *creator, key string) once.Effect[B, ID] {
	return once.Effect[B, ID]{
		Marker: once.Marker(c.o.Run, key), Record: c.o.Record, Settle: c.o.Settle, Poll: c.o.Poll, Now: c.o.Now,
	}
}

// policy makes a policy. While it is being made its description carries the marker, by which it is found again; the
// description that is wanted follows when it was found (Cloudlets API v2 and v3, Create a policy and Update a policy).
//
// then is told whether this process has sent it: then nobody can have been there in between.
func (c *creator) policy(key string, p Planned, then func(id int64, here bool) []job.Item) func(context.Context, *job.Task) (job.Step, error) {
	e := effect[nothing, int64](c, key)
	var made cloudlet.Policy // as this process was answered last; none where it has to be read
	here := false
	read := func(ctx context.Context, id int64) error {
		if made.ID == id {
			return nil
		}
		doc, err := c.account.Get(ctx, p.API.Policy(id))
		if err != nil {
			return err
		}
		made, err = cloudlet.ParsePolicy(p.API, doc)
		return err
	}
	wrong := func() error {
		if made.Name == p.Name && made.Type == p.Type && max(made.GroupID, 0) == p.Group {
			return nil
		}
		return fmt.Errorf("%w: policy %d is %s of type %s in group %d", once.ErrDiffers, made.ID, cloudlet.Printable(made.Name), made.Type, made.GroupID)
	}
	e.Wanted = p.Key() + " " + p.Type
	e.Send = func(ctx context.Context, memo once.Memo[nothing, int64]) (once.Reply[int64], error) {
		here = true
		answer, err := c.account.Send(ctx, p.API.CreatePolicy(cloudlet.NewPolicy{
			Name: p.Name, Description: once.Mark(p.Description, memo.Marker, cloudlet.MaxDescription), Type: p.Type, Kind: p.Kind, Group: p.Group,
		}))
		reply := once.Reply[int64]{RetryAt: answer.Rate.Next}
		if err != nil {
			return reply, err
		}
		if made, err = cloudlet.ParsePolicy(p.API, answer.Body); err != nil {
			return reply, err
		}
		reply.ID, reply.Verified = made.ID, wrong() == nil
		return reply, nil
	}
	e.Find = func(ctx context.Context, memo once.Memo[nothing, int64]) (once.Found[int64], error) {
		return c.findPolicy(ctx, p, memo.Marker)
	}
	e.Verify = func(ctx context.Context, memo once.Memo[nothing, int64]) error {
		if err := read(ctx, memo.ID); err != nil {
			return err
		}
		return wrong()
	}
	e.Finalise = func(ctx context.Context, memo once.Memo[nothing, int64]) error {
		if err := read(ctx, memo.ID); err != nil {
			return err
		}
		if !strings.Contains(made.Description, memo.Marker) {
			return nil // done by an earlier attempt, or somebody has described it meanwhile
		}
		_, err := c.account.Send(ctx, p.API.DescribePolicy(memo.ID, made.GroupID, p.Description))
		made = cloudlet.Policy{} // before another attempt it is read again
		return err
	}
	e.Then = func(memo once.Memo[nothing, int64]) []job.Item { return then(memo.ID, here && !memo.Adopted) }
	return e.Do()
}

// describe puts the description back of a policy that a run with another journal made, and left marked.
func (c *creator) describe(key string, p Planned, then func() []job.Item) func(context.Context, *job.Task) (job.Step, error) {
	e := effect[nothing, int64](c, key)
	e.Marker, e.Wanted = "", p.Description
	var now cloudlet.Policy
	read := func(ctx context.Context) error {
		doc, err := c.account.Get(ctx, p.API.Policy(p.ID))
		if err != nil {
			return err
		}
		now, err = cloudlet.ParsePolicy(p.API, doc)
		return err
	}
	e.Find = func(ctx context.Context, _ once.Memo[nothing, int64]) (once.Found[int64], error) {
		var found once.Found[int64]
		err := read(ctx)
		switch {
		case err != nil:
		case now.Description == p.Description:
			found.Ours = []int64{p.ID}
		case !leftMarked(now.Description, p.Description):
			found.Taken = "somebody else has described it meanwhile"
		}
		found.Seen = now.Description
		return found, err
	}
	e.Baseline = func(ctx context.Context) (nothing, int64, error) {
		found, err := e.Find(ctx, once.Memo[nothing, int64]{})
		switch {
		case err != nil:
			return nothing{}, 0, err
		case len(found.Ours) > 0:
			return nothing{}, p.ID, nil
		case found.Taken != "":
			return nothing{}, 0, once.Stranger(key, found.Taken)
		}
		return nothing{}, 0, nil
	}
	e.Send = func(ctx context.Context, _ once.Memo[nothing, int64]) (once.Reply[int64], error) {
		answer, err := c.account.Send(ctx, p.API.DescribePolicy(p.ID, now.GroupID, p.Description))
		return once.Reply[int64]{ID: p.ID, RetryAt: answer.Rate.Next}, err
	}
	e.Then = func(once.Memo[nothing, int64]) []job.Item { return then() }
	return e.Do()
}

// leftMarked reports whether a description is what a run that makes a policy with the wanted one leaves while it works.
func leftMarked(description, wanted string) bool {
	marker, _, ok := once.MarkOf(description)
	return ok && description != wanted && once.Mark(wanted, marker, cloudlet.MaxDescription) == description
}

// findPolicy looks for the policy that carries the marker. Names are unique, so anybody else's of that name is in the way.
func (c *creator) findPolicy(ctx context.Context, p Planned, marker string) (once.Found[int64], error) {
	var found once.Found[int64]
	all, err := ListPolicies(ctx, c.account, p.API)
	if err != nil {
		return found, err
	}
	for _, x := range all {
		if x.Name != p.Name {
			continue
		}
		found.Seen += fmt.Sprintf("%d %s\n", x.ID, x.Description)
		if strings.Contains(x.Description, marker) {
			found.Ours = append(found.Ours, x.ID)
		} else {
			found.Taken = fmt.Sprintf("policy %d has the name and was made by somebody else", x.ID)
		}
	}
	return found, nil
}

// newest is the baseline of a version: the highest number before it.
type newest struct {
	Number int64 `json:"number"`
}

// version adds a version behind all that there are. What was made by us is told from what others made by its content, not
// by a marker: a version that is above the baseline, has the description and rules equal to those that are wanted, is the
// one. So no description has to be changed afterwards, which would double the requests; two runs that add the same
// version at the same time to the same policy, and lose the answer, are not told apart, and need not be.
//
// before is the number of the version that this run added before this one, or that the plan found newest; fresh says that
// this process has just added it.
func (c *creator) version(key string, p Planned, id int64, v Version, before int64, fresh bool, then func(number int64, here bool) []job.Item) func(context.Context, *job.Task) (job.Step, error) {
	x := place{p.Policy, id}
	e := effect[newest, int64](c, key)
	e.Marker, e.Wanted = "", v.Hash
	here := false
	e.Baseline = func(ctx context.Context) (newest, int64, error) {
		if fresh {
			return newest{before}, 0, nil
		}
		all, err := x.list(ctx, c.account)
		if err != nil {
			return newest{}, 0, err
		}
		if n := len(all); n > 0 && all[n-1].Number > before {
			return newest{}, 0, once.Stranger(key, fmt.Sprintf("version %d was added by %s before this one could be", all[n-1].Number, cloudlet.Printable(all[n-1].ModifiedBy)))
		}
		return newest{before}, 0, nil
	}
	e.Send = func(ctx context.Context, _ once.Memo[newest, int64]) (once.Reply[int64], error) {
		here = true
		body, err := c.body(p, v)
		if err != nil {
			return once.Reply[int64]{}, unsent(err)
		}
		change := p.API.CreateVersion(id, body)
		if p.IsOrigin() {
			change = cloudlet.CreateOriginVersion(p.Name, body)
		}
		reply, hash, err := c.sendVersion(ctx, p, change)
		reply.Verified = hash == v.Hash
		return reply, err
	}
	e.Find = func(ctx context.Context, memo once.Memo[newest, int64]) (once.Found[int64], error) {
		return c.findVersion(ctx, x, v, memo.Base.Number)
	}
	e.Verify = func(ctx context.Context, memo once.Memo[newest, int64]) error {
		return c.verify(ctx, x, v, memo.ID)
	}
	e.Then = func(memo once.Memo[newest, int64]) []job.Item { return then(memo.ID, here && !memo.Adopted) }
	return e.Do()
}

// body reads the document of a wanted version again and makes what is sent of it.
func (c *creator) body(p Planned, v Version) ([]byte, error) {
	doc, err := c.source.Document(v.Ref)
	if err != nil {
		return nil, err
	}
	body, err := bodyOf(p.Policy, v, doc)
	if err != nil {
		return nil, err
	}
	same := false
	if v.Sum != "" {
		now := v
		now.measure(body)
		same = now == v
	} else {
		hash, err := Hash(p.Policy, doc)
		if err != nil {
			return nil, err
		}
		same = hash == v.Hash
	}
	if !same {
		return nil, fmt.Errorf("%s has changed since the plan was made", v.Ref)
	}
	return body, nil
}

// unsent is an error from before the first byte was sent, which another attempt meets again.
func unsent(err error) error {
	return &cloudlet.APIError{Verdict: cloudlet.Rejected, Err: err}
}

// sendVersion sends a version and gives its number, and the hash of the rules that the answer says it has.
func (c *creator) sendVersion(ctx context.Context, p Planned, change cloudlet.Change) (reply once.Reply[int64], hash string, err error) {
	answer, err := c.account.Send(ctx, change)
	reply.RetryAt = answer.Rate.Next
	if err != nil {
		return reply, "", err
	}
	made, err := cloudlet.ParseVersion(answer.Body)
	if err != nil {
		return reply, "", err
	}
	reply.ID = made.Number
	hash, err = Hash(p.Policy, answer.Body)
	if err != nil {
		hash = "" // the answer does not say: it is read back
	}
	return reply, hash, nil
}

// findVersion looks for the version above the baseline that has the wanted content. Every other one there is somebody's.
func (c *creator) findVersion(ctx context.Context, x place, v Version, base int64) (once.Found[int64], error) {
	var found once.Found[int64]
	all, err := x.list(ctx, c.account)
	if err != nil {
		return found, err
	}
	for _, have := range all {
		if have.Number <= base {
			continue
		}
		found.Seen += fmt.Sprintf("%d %s %s\n", have.Number, have.Modified, have.Description)
		same := false
		if x.p.IsOrigin() || strings.TrimSpace(have.Description) == strings.TrimSpace(v.Description) {
			held, _, err := readHeld(ctx, c.account, x, have)
			if err != nil {
				return found, err
			}
			same = held.Hash == v.Hash
		}
		if same {
			found.Ours = append(found.Ours, have.Number)
		} else {
			found.Taken = fmt.Sprintf("version %d was added by %s meanwhile", have.Number, cloudlet.Printable(have.ModifiedBy))
		}
	}
	return found, nil
}

// verify reads a version back.
func (c *creator) verify(ctx context.Context, x place, v Version, number int64) error {
	doc, err := c.account.Get(ctx, x.version(number))
	if err != nil {
		return err
	}
	hash, err := Hash(x.p, doc)
	if err != nil {
		return err
	}
	if hash == v.Hash {
		return nil
	}
	return fmt.Errorf("%w: version %d of %s%s", once.ErrDiffers, number, x.p, c.difference(x.p, v, doc))
}

// difference says where the rules that are there part from those that were sent, if it can be said.
func (c *creator) difference(p Policy, v Version, doc []byte) string {
	wanted, err := c.source.Document(v.Ref)
	if err != nil || p.IsOrigin() {
		return ""
	}
	a, _, err := split(wanted)
	if err != nil {
		return ""
	}
	b, _, err := split(doc)
	if err != nil {
		return ""
	}
	_, where := cloudlet.CompareRules(a, b)
	return ": " + where
}

// blank is the baseline of version 1 of a legacy policy: what it was before it was written.
type blank struct {
	Revision string `json:"revision"`
}

// first writes what is wanted into the empty version 1 that v2 makes with a policy (Cloudlets API v2, Create a policy and
// Update a policy version). The same write twice has the same end.
func (c *creator) first(key string, p Planned, id int64, v Version, fresh bool, then func(number int64, here bool) []job.Item) func(context.Context, *job.Task) (job.Step, error) {
	const number = 1
	x := place{p.Policy, id}
	e := effect[blank, int64](c, key)
	e.Marker, e.Wanted = "", v.Hash
	here := false
	e.Baseline = func(ctx context.Context) (blank, int64, error) {
		if fresh {
			return blank{}, 0, nil
		}
		found, err := e.Find(ctx, once.Memo[blank, int64]{})
		switch {
		case err != nil:
			return blank{}, 0, err
		case len(found.Ours) > 0:
			return blank{}, found.Ours[0], nil
		case found.Taken != "":
			return blank{}, 0, once.Stranger(key, found.Taken)
		}
		return blank{Revision: found.Seen}, 0, nil
	}
	e.Send = func(ctx context.Context, _ once.Memo[blank, int64]) (once.Reply[int64], error) {
		here = true
		body, err := c.body(p, v)
		if err != nil {
			return once.Reply[int64]{}, unsent(err)
		}
		reply, hash, err := c.sendVersion(ctx, p, p.API.UpdateVersion(id, number, body))
		reply.Verified = hash == v.Hash
		return reply, err
	}
	e.Find = func(ctx context.Context, _ once.Memo[blank, int64]) (once.Found[int64], error) {
		var found once.Found[int64]
		doc, err := c.account.Get(ctx, x.version(number))
		if err != nil {
			return found, err
		}
		have, err := cloudlet.ParseVersion(doc)
		if err != nil {
			return found, err
		}
		hash, err := Hash(p.Policy, doc)
		if err != nil {
			return found, err
		}
		found.Seen = have.Revision
		switch {
		case hash == v.Hash && strings.TrimSpace(have.Description) == strings.TrimSpace(v.Description):
			found.Ours = []int64{number}
		case have.Description != "" || cloudlet.CountRules(doc) > 0:
			found.Taken = fmt.Sprintf("version 1 was written by %s meanwhile", cloudlet.Printable(have.ModifiedBy))
		}
		return found, nil
	}
	e.Verify = func(ctx context.Context, _ once.Memo[blank, int64]) error {
		return c.verify(ctx, x, v, number)
	}
	e.Then = func(memo once.Memo[blank, int64]) []job.Item { return then(number, here && !memo.Adopted) }
	return e.Do()
}

// origin makes a load-balancing configuration. Its id is its name and no request has a place for a marker that is kept, so
// one that is there after an attempt of ours, with our description, is ours (Cloudlets API v2, Create a load balancing
// configuration).
func (c *creator) origin(key string, p Planned, then func(here bool) []job.Item) func(context.Context, *job.Task) (job.Step, error) {
	e := effect[nothing, string](c, key)
	e.Marker, e.Wanted = "", p.Name
	here := false
	e.Send = func(ctx context.Context, _ once.Memo[nothing, string]) (once.Reply[string], error) {
		here = true
		answer, err := c.account.Send(ctx, cloudlet.CreateOrigin(p.Name, p.Description))
		reply := once.Reply[string]{RetryAt: answer.Rate.Next}
		if err == nil {
			reply.ID = textOf(answer.Body, "originId")
		}
		return reply, err
	}
	e.Find = func(ctx context.Context, memo once.Memo[nothing, string]) (once.Found[string], error) {
		var found once.Found[string]
		text, err := c.account.Get(ctx, cloudlet.AllOrigins())
		if err != nil {
			return found, err
		}
		var docs []json.RawMessage
		if err := json.Unmarshal(text, &docs); err != nil {
			return found, err
		}
		for _, doc := range docs {
			if textOf(doc, "originId") != p.Name || textOf(doc, "type") != balancing {
				continue
			}
			found.Seen = string(bytes.TrimSpace(doc))
			if memo.Lost && textOf(doc, "description") == p.Description {
				found.Ours = []string{p.Name}
			} else {
				found.Taken = "the origin was made by somebody else"
			}
		}
		return found, nil
	}
	e.Then = func(memo once.Memo[nothing, string]) []job.Item { return then(here && !memo.Adopted) }
	return e.Do()
}
