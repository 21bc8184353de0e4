package cli

import (
	"context"
	"errors"

	"cloudletmig/internal/akamai"
	"cloudletmig/internal/checkpoint"
	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/convert"
	"cloudletmig/internal/export"
	"cloudletmig/internal/job"
	"cloudletmig/internal/once"
	"cloudletmig/internal/sheet"
	"cloudletmig/internal/snapshot"
)

// The exit codes (docs/exit-codes.md).
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitDifferences = 4
	exitRefused     = 5
	exitPending     = 6
	exitLocked      = 11
	exitJournal     = 12
	exitSnapshot    = 13
	exitChanged     = 14
	exitConflict    = 15
	exitInterrupted = 130
)

var (
	// errUsage marks input that cannot be used: flags, arguments, folders.
	errUsage = errors.New("unusable input")
	// errRefused: for want of a permission nothing could be done at all.
	errRefused = errors.New("permission missing")
	// errFailed: something failed that is neither an item nor anything more specific.
	errFailed = errors.New("failed")
	// errDifferences: a comparison found differences, and has named them.
	errDifferences = errors.New("differences found")
)

// usageError is an error of the input, with what to do instead where that is known.
type usageError struct {
	text, hint string
}

func (e *usageError) Error() string        { return e.text }
func (e *usageError) Hint() string         { return e.hint }
func (e *usageError) Is(target error) bool { return target == errUsage }

// exitOf is the exit code of an error: of all that apply, the first in the order that docs/exit-codes.md gives.
func exitOf(err error) int {
	if err == nil {
		return exitDone
	}
	for _, class := range []struct {
		of   error
		exit int
	}{
		{context.Canceled, exitInterrupted},
		{checkpoint.ErrDamaged, exitJournal},
		{checkpoint.ErrLocked, exitLocked},
		{checkpoint.ErrChanged, exitChanged},
		{snapshot.ErrDamaged, exitSnapshot},
		{errUsage, exitUsage},
		{akamai.ErrConfig, exitUsage},
		{convert.ErrInput, exitUsage},
		{sheet.ErrSheet, exitUsage},
		{export.ErrNoMatch, exitUsage},
		{akamai.ErrCredentials, exitRefused},
		{errRefused, exitRefused},
		{errFailed, exitFailed},
		{once.ErrConflict, exitConflict},
		{job.ErrIncomplete, exitIncomplete},
		{job.ErrPending, exitPending},
		{errDifferences, exitDifferences},
	} {
		if errors.Is(err, class.of) {
			return class.exit
		}
	}
	if status := cloudlet.StatusOf(err); status == cloudlet.Unauthorized || status == cloudlet.Forbidden {
		return exitRefused
	}
	return exitFailed
}
