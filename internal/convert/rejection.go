package convert

import (
	"fmt"

	"cloudletmig/internal/sheet"
)

// The codes of what can be wrong with a row, or worth knowing. docs/csv.md explains each.
const (
	codeAlways        = "always-and-matches"
	codeBadCell       = "bad-cell"
	codeBadFlag       = "bad-flag"
	codeBadHost       = "bad-host"
	codeBadRegex      = "bad-regex"
	codeBadStatus     = "bad-status"
	codeBadTarget     = "bad-target"
	codeBadTime       = "bad-time"
	codeBadURL        = "bad-url"
	codeCaseOnly      = "case-only"
	codeCaseTwin      = "case-twin"
	codeChain         = "chain"
	codeCommented     = "commented-row"
	codeConflict      = "conflict"
	codeControl       = "control"
	codeCost          = "cost"
	codeDuplicate     = "duplicate"
	codeEncoded       = "encoded"
	codeFragment      = "fragment"
	codeLiteral       = "literal-wildcard"
	codeLoop          = "loop"
	codeMixed         = "mixed-wildcard"
	codeNoSource      = "no-source"
	codeNoTarget      = "no-target"
	codePossibleLoop  = "possible-loop"
	codeQueryFragment = "query-after-fragment"
	codeQueryRepeats  = "query-repeats"
	codeRegexCost     = "regex-cost"
	codeRenamed       = "renamed"
	codeRepeated      = "repeated-rules"
	codeScheme        = "scheme-pinned"
	codeSelf          = "self-redirect"
	codeShadowed      = "shadowed"
	codeShrunk        = "previous-shrunk"
	codeTargetScheme  = "target-scheme"
	codeTooBig        = "too-big"
	codeTooLong       = "too-long"
	codeUndecided     = "undecided"
	codeUnproved      = "unproved"
)

// How bad a problem is.
const (
	SeverityError   = "error"   // the row is rejected
	SeverityWarning = "warning" // the row is converted
	SeverityInfo    = "info"
)

// finding is what is wrong with a row's cell, or worth knowing.
type finding struct {
	code   string
	column sheet.Column
	text   string
}

// reject makes the finding for which a row is rejected.
func reject(code string, column sheet.Column, format string, args ...any) *finding {
	return &finding{code, column, fmt.Sprintf(format, args...)}
}

// shown is a cell's text in a message: quoted, and not longer than a line.
func shown(text string) string { return fmt.Sprintf("%.80q", text) }
