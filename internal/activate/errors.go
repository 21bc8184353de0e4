package activate

import (
	"errors"
	"fmt"
	"strings"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/once"
)

// FailedError is an activation that the API began and that came to nothing. It is final: the same run sends no other.
type FailedError struct {
	Target  Target
	Details string // the API's reason; may be empty
}

// Error names policy, version and network, and gives the API's reason.
func (e *FailedError) Error() string {
	if e.Details == "" {
		return e.Target.String() + " failed; the API gives no reason"
	}
	return e.Target.String() + " failed: " + e.Details
}

// Is makes once take it for final.
func (e *FailedError) Is(target error) bool { return target == once.ErrDiffers }

// Hint says what to do next.
func (e *FailedError) Hint() string {
	return "mend what the reason names; the same command with --fresh then activates again"
}

// replacedError is an activation of ours that took effect and was then replaced by somebody else.
type replacedError struct {
	target Target
	by     string // who put what there
}

func (e *replacedError) Error() string {
	return fmt.Sprintf("%s took effect, and then %s", e.target, e.by)
}

func (e *replacedError) Is(target error) bool {
	return target == once.ErrDiffers || target == once.ErrConflict
}

func versionWord(n int64) string {
	if n == 0 {
		return "no version is"
	}
	return fmt.Sprintf("version %d is", n)
}

// propertyError is v2's refusal of a policy that no property uses.
type propertyError struct {
	target Target
	err    error
}

func (e *propertyError) Error() string {
	return fmt.Sprintf("%s is not associated with a property, and v2 activates no policy without one: give --property NAME, which associates it for good (%s)",
		e.target.Place(), e.err)
}

func (e *propertyError) Unwrap() error { return e.err }

// refused adds to the error of an attempt what a user can do about it.
func refused(t Target, err error) error {
	api, ok := errors.AsType[*cloudlet.APIError](err)
	if !ok {
		return fmt.Errorf("%s: %w", t, err)
	}
	text := strings.ToLower(api.Title + " " + api.Detail)
	if t.API == cloudlet.V2 && api.Status == badRequest && strings.Contains(text, "associated") {
		return &propertyError{t, err}
	}
	return fmt.Errorf("%s: %w", t, err)
}

const badRequest = 400 // HTTP status Bad Request
