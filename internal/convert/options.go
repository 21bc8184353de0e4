package convert

import (
	"errors"
	"fmt"

	"cloudletmig/internal/cloudlet"
	"cloudletmig/internal/redirect"
)

// The values of options that have names.
const (
	SchemeDrop        = "drop" // a source's scheme does not matter
	SchemeKeep        = "keep"
	WildcardsTrailing = "trailing" // of a simple sheet's sources, a trailing /* alone
	WildcardsAll      = "all"
	WildcardsNone     = "none"
	FragmentReject    = "reject"
	FragmentDrop      = "drop"
	SlashExact        = "exact"
	SlashBoth         = "both" // with and without the slash at the end
	QueryDrop         = "drop"
	QueryKeep         = "keep" // the visitor's query string goes to the target
	DuplicatesFirst   = "first"
	DuplicatesLast    = "last"
	DuplicatesError   = "error"
	OrderSheet        = "sheet"
	OrderSpecific     = "specific"
	SplitAuto         = "auto"
	SplitHash         = "hash"
	SplitHost         = "host"
	SplitSequence     = "sequence"
	RelativeURL       = relativeURL
	CopySchemeHost    = copySchema
)

// Options decide how sheets become rules and chunks.
type Options struct {
	Name       string       // of the policies, before their number
	API        cloudlet.API // which property-rules.json is made for
	Status     int          // of rows that name none
	Scheme     string
	Wildcards  string
	Fragment   string
	Slash      string
	Query      string
	Relative   string   // how a target that is a path is completed
	Duplicates string   // which row wins where two ask for the same and lead elsewhere
	Sites      []string // hosts that we serve, beside those that sources name
	Collapse   bool     // chains are rewritten to lead to their end
	Order      string
	Strict     bool // no output when a row is rejected
	Split      string
	Buckets    int // 0: found
	Fill       float64
	MaxRules   int
	MaxBytes   int64
	NoProof    bool
	Workers    int
	// Before and After are the rules that a property uses today, to stand before and behind those of the sheets.
	Before, After []Existing
	Previous      *Previous // an earlier run to stay close to; nil: none
}

// Existing is a rule that is taken over as it is.
type Existing struct {
	Raw  []byte // as read, location apart, which the API refuses
	Rule redirect.Rule
	From string // where it was read, for messages
}

// ErrInput marks input that cannot be converted; nothing was written.
var ErrInput = errors.New("unusable input")

// InputError says what of the input cannot be used.
type InputError struct{ Text, Advice string }

func (e *InputError) Error() string { return e.Text }

// Hint says what to do about it.
func (e *InputError) Hint() string { return e.Advice }

// Is reports whether target is ErrInput.
func (e *InputError) Is(target error) bool { return target == ErrInput }

func unusable(hint, format string, args ...any) error {
	return &InputError{Text: fmt.Sprintf(format, args...), Advice: hint}
}
