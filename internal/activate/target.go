package activate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/once"
)

// Account is the part of the API that activations need. *akamai.Client has it.
type Account interface {
	// Get reads a document, or all pages of a list as one JSON array.
	Get(ctx context.Context, r cloudlet.Resource) ([]byte, error)
	// Send makes one attempt at a change. Its errors carry a *cloudlet.APIError.
	Send(ctx context.Context, c cloudlet.Change) (cloudlet.Answer, error)
}

// Target is what is wanted: one version on one network, or not on it.
type Target struct {
	API     cloudlet.API     `json:"api,omitempty"`    // of a policy
	Policy  int64            `json:"policy,omitempty"` // its id
	Name    string           `json:"name,omitempty"`   // the policy's name, for messages
	Origin  string           `json:"origin,omitempty"` // the origin's id, where it is a load-balancing version instead
	Version int64            `json:"version"`
	Network cloudlet.Network `json:"network"`
	Off     bool             `json:"off,omitempty"` // deactivate; v3 alone can
	// Properties are associated with a v2 policy for good, beside those that it has.
	Properties []string `json:"properties,omitempty"`
	// Over are the versions that the activation may replace, 0 for none: what the plan showed. Another one that is effective
	// when the activation is about to begin is a conflict. Nil: whatever is effective then.
	Over []int64 `json:"over,omitempty"`
	// After is the network on which the version must be effective whenever this activation is sent: staging, of an
	// activation on production that follows the one there.
	After cloudlet.Network `json:"after,omitempty"`
	// Held says that the plan showed no request, for it is so already or about to be. That is looked at again; where it is not
	// so any more, that is a conflict, and nothing is sent.
	Held bool `json:"held,omitempty"`
	// Prove, if set, says whether the version is still what was verified, or a once.ErrConflict (see once.Stranger). It is asked
	// before each attempt, behind the look that finds the place free: a version can be edited until it first goes live.
	Prove func(ctx context.Context) error `json:"-"`
}

// Place is where the version is, for messages: "v3:1001 shop", "origin:pool".
func (t Target) Place() string {
	if t.Origin != "" {
		return "origin:" + cloudlet.Printable(t.Origin)
	}
	place := fmt.Sprintf("%s:%d", t.API, t.Policy)
	if t.Name != "" {
		place += " " + cloudlet.Printable(t.Name)
	}
	return place
}

// String is "activation of version 3 of v3:1001 shop on production".
func (t Target) String() string {
	operation := "activation"
	if t.Off {
		operation = "deactivation"
	}
	return fmt.Sprintf("%s of version %d of %s on %s", operation, t.Version, t.Place(), t.Network)
}

// wanted is what once compares with what an earlier run recorded.
func (t Target) wanted() string {
	place := fmt.Sprintf("%s:%d", t.API, t.Policy)
	if t.Origin != "" {
		place = "origin:" + t.Origin
	}
	operation := "activate"
	if t.Off {
		operation = "deactivate"
	}
	return strings.Join(append([]string{operation, fmt.Sprintf("%s@%d", place, t.Version), string(t.Network)}, t.Properties...), " ")
}

// history is where the activations of the target's policy or origin are listed.
func (t Target) history() cloudlet.Resource {
	if t.Origin != "" {
		return cloudlet.OriginActivations(t.Origin)
	}
	return t.API.Activations(t.Policy)
}

// change is the request.
func (t Target) change() cloudlet.Change {
	switch {
	case t.Origin != "":
		return cloudlet.ActivateOrigin(t.Origin, t.Version, t.Network, false)
	case t.Off:
		return cloudlet.Deactivate(t.Policy, t.Version, t.Network)
	}
	return t.API.Activate(t.Policy, t.Version, t.Network, t.Properties)
}

// kind is whose limit the target's operation counts for.
func (t Target) kind() kind {
	switch {
	case t.Origin != "":
		return origins
	case t.API == cloudlet.V3:
		return shared
	}
	return legacy
}

// Memo is what the journal holds of an activation (once.MemoOf[Before, string]). ID is the activation's id in v3; v2 and
// origins have none, there it is VERSION@MILLISECONDS of the history's row. It is "already" where there was nothing to do
// and no row to name.
type Memo = once.Memo[Before, string]

// Before is what was there before the first attempt.
type Before struct {
	Target Target `json:"target"`
	// Effective is the version that was effective on the network, 0 for none: what undoing the activation puts back.
	Effective int64 `json:"effective"`
	// Mark tells later rows of the history from those that were there.
	Mark Mark `json:"mark"`
	// Dry is when the dry run was over, of an origin's activation.
	Dry time.Time `json:"dry,omitzero"`
}
