// Package sheet reads the rows of redirect sheets with their positions, out of CSV, zip and xlsx, and writes them. It is
// the only importer of gocsv and excelize. It knows cells, not redirects: every cell is text, and what a text means is
// for its callers to say.
package sheet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Dialect is how a sheet says what it says.
type Dialect string

// The dialects: source, target, status and name in whatever words, or the columns that Control Center downloads.
const (
	Simple        Dialect = "simple"
	PolicyManager Dialect = "policy-manager"
)

// Options say how to read a sheet. What is left empty is found by looking at the sheet, never at its name.
type Options struct {
	Dialect   Dialect   // empty: found by looking
	Delimiter rune      // 0: found by looking; of no meaning to an .xlsx
	Encoding  string    // empty: UTF-8 or, by its BOM, UTF-16; else a name such as windows-1252. A BOM always wins.
	Sheet     string    // of an .xlsx; empty: the first
	Ignore    []string  // unknown columns to leave out even when they hold data, by name whatever the case, or "column 3"
	TempDir   string    // where standard input may be spooled; nothing is left there after Close
	Stdin     io.Reader // what the path "-" reads
}

// The codes of an Error and of a RowError ("ragged" and "quote").
const (
	CodeEmpty     = "empty"            // nothing but blanks and comments
	CodeKind      = "kind"             // no sheet at all: a folder, an .xls, a zip with two CSVs, a name of no sheet ...
	CodeOption    = "option"           // an option that cannot be followed
	CodeRead      = "read"             // the file cannot be read; the cause is wrapped
	CodeEncoding  = "encoding"         // bytes that are no text
	CodeNUL       = "nul"              // a NUL character
	CodeQuote     = "quote"            // quotes that are not closed or not doubled
	CodeLong      = "too-long"         // a record longer than 1 MiB
	CodeHeader    = "header"           // no header where one is needed, or too many columns without one
	CodeDuplicate = "duplicate-column" // two columns for one thing
	CodeUnknown   = "unknown-column"   // a column that nobody knows and that holds data
	CodeMissing   = "missing-column"   // a needed column is not there
	CodeIgnore    = "ignore-column"    // Options.Ignore names what is not there, or what is known
	CodeRagged    = "ragged"           // a row with more or fewer cells than the header
)

// ErrSheet is what every Error is.
var ErrSheet = errors.New("unusable sheet")

// Error is about the sheet as a whole: no row can be read, or no further one.
type Error struct {
	Sheet  string // its path, or "standard input"
	Line   int    // 1-based; 0: none
	Column string // its name in this sheet, or "character N"; empty: none
	Offset int64  // of a byte in the file, 0-based; -1: none
	Code   string
	Text   string // one sentence without the position
	err    error
}

// Error gives one sentence with the name of the sheet and the position.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Sheet)
	if e.Line > 0 {
		b.WriteString(", line " + strconv.Itoa(e.Line))
	}
	if e.Column != "" {
		b.WriteString(", " + place(e.Column))
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ", byte %d", e.Offset)
	}
	b.WriteString(": " + e.Text)
	return b.String()
}

// Is reports whether target is ErrSheet.
func (e *Error) Is(target error) bool { return target == ErrSheet }

// Unwrap gives the cause, if there is one.
func (e *Error) Unwrap() error { return e.err }

// RowError is about one row; the rows after it can be read.
type RowError struct {
	Line   int    // 1-based, where the row begins
	Column string // its name in this sheet, or "character N"
	Code   string // CodeRagged or CodeQuote
	Text   string // one sentence without the position
	Cells  Row    // what could be read; for CodeQuote the raw text of the row in Source
}

func (e *RowError) Error() string {
	return fmt.Sprintf("line %d, %s: %s", e.Line, place(e.Column), e.Text)
}

// place is a column as a message names it.
func place(column string) string {
	for _, made := range []string{"column ", "character "} {
		if digits, ok := strings.CutPrefix(column, made); ok && strings.Trim(digits, "0123456789") == "" {
			return column
		}
	}
	return fmt.Sprintf("column %q", column)
}

// wrong is an Error without a position.
func wrong(code, format string, args ...any) *Error {
	return &Error{Offset: -1, Code: code, Text: fmt.Sprintf(format, args...)}
}

// unreadable is the Error for trouble that is not the sheet's.
func unreadable(err error) *Error {
	return &Error{Offset: -1, Code: CodeRead, Text: "cannot be read: " + cause(err).Error(), err: err}
}

// cause is a file's error without its path, which the sheet's name says.
func cause(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}
