package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrChanged is what a ChangedError is.
var ErrChanged = errors.New("the unfinished run was started with something else")

// ChangedError says that there is an unfinished run of the same kind and target which this call does not continue.
type ChangedError struct {
	ID, Kind, Target string
	Path             string // of the journal
	// What are the differences, one an entry.
	What []string
}

// Error names the run and what differs.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("unfinished run %s of %s %s was started with something else: %s", e.ID, e.Kind, e.Target, strings.Join(e.What, "; "))
}

// Is makes errors.Is(err, ErrChanged) true.
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }

// Hint says what to do.
func (e *ChangedError) Hint() string {
	return fmt.Sprintf("go on with: cloudletmig resume %s --checkpoint %s; or start again with --fresh", e.ID, e.Path)
}

func (db *DB) changed(was, now *RunInfo) error {
	e := &ChangedError{ID: was.ID, Kind: was.Kind, Target: was.Target, Path: db.Path()}
	if was.Fingerprint != now.Fingerprint {
		e.What = append(e.What, "the host or account is another")
	}
	if was.Options != now.Options {
		e.What = append(e.What, optionChanges(was.Options, now.Options)...)
	}
	return e
}

// optionChanges compares two texts of options: member by member where both are JSON objects, else as a whole.
func optionChanges(was, now string) []string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal([]byte(was), &a) != nil || json.Unmarshal([]byte(now), &b) != nil {
		return []string{fmt.Sprintf("options were %q, now %q", was, now)}
	}
	names := maps.Clone(a)
	maps.Copy(names, b)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if x, y := orNothing(a[name]), orNothing(b[name]); x != y {
			list = append(list, fmt.Sprintf("%s was %s, now %s", name, x, y))
		}
	}
	if list == nil { // the same members in another order or spelling
		list = []string{"options are written another way"}
	}
	return list
}

func orNothing(v json.RawMessage) string {
	if v == nil {
		return "not set"
	}
	return string(v)
}
