package once

import (
	"errors"
	"fmt"
	"strings"

	"cloudletmig/internal/cloudlet"
)

var (
	// ErrConflict marks what only a human can decide. Nothing was overwritten, and nothing of ours is half made.
	ErrConflict = errors.New("conflict that needs a human")
	// ErrNotYet is what Baseline, Find and Verify return when nothing is wrong and they are to be asked again later: an
	// activation is under way.
	ErrNotYet = errors.New("not finished yet")
	// ErrDiffers is what Verify returns, wrapped in words, when what is there is not what was wanted.
	ErrDiffers = errors.New("it is not what was sent")
)

// ConflictError is an ErrConflict with its reason.
type ConflictError struct {
	Item string
	Why  string
	IDs  []string // the several things that carry our marker, if that is the reason
}

// Stranger is the error of a place that is somebody else's, for use in Baseline and Finalise.
func Stranger(item, why string) error { return &ConflictError{Item: item, Why: why} }

// Error is one line that names everything concerned.
func (e *ConflictError) Error() string {
	if len(e.IDs) > 0 {
		return fmt.Sprintf("%s: %s: %s", e.Item, e.Why, strings.Join(e.IDs, ", "))
	}
	return e.Item + ": " + e.Why
}

// Is makes errors.Is find ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Hint says what to do next.
func (e *ConflictError) Hint() string {
	if len(e.IDs) > 0 {
		return "nothing was changed; delete all but one of them, then give the same command again"
	}
	return "nothing was changed; decide which of the two is to stay, then give the same command again"
}

// several is the error of more than one thing with our marker.
func several[ID comparable](item string, ids []ID) error {
	e := &ConflictError{Item: item, Why: "more than one carries our marker"}
	for _, id := range ids {
		e.IDs = append(e.IDs, fmt.Sprint(id))
	}
	return e
}

// verdictOf is what an attempt did to the account. Only *cloudlet.APIError knows; without it nothing is known.
func verdictOf[ID comparable](reply Reply[ID], err error) cloudlet.Verdict {
	var none ID
	if err == nil && reply.ID != none {
		return cloudlet.Applied
	}
	if api, ok := errors.AsType[*cloudlet.APIError](err); ok && api.Verdict != cloudlet.Applied && api.Verdict != 0 {
		return api.Verdict
	}
	return cloudlet.Unknown
}

// closed reports whether a look-up failed so that it will fail again: what it looks at is gone, or must not be seen.
func closed(err error) bool {
	status := cloudlet.StatusOf(err)
	return status == cloudlet.NotFound || status == cloudlet.Forbidden
}

const tooMany = 429 // HTTP status Too Many Requests

// passes reports whether a request that failed so may succeed later.
func passes(err error) bool {
	if errors.Is(err, ErrNotYet) {
		return true
	}
	api, ok := errors.AsType[*cloudlet.APIError](err)
	return ok && (api.Verdict == cloudlet.NotSent || api.Verdict == cloudlet.Unknown || api.Status == tooMany)
}
