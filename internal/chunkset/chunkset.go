// Package chunkset is a converted folder: the chunks, each the body of one future policy's version, dispatch.json that
// says which request belongs to which chunk, the property rules that do it, and the report.
//
// A folder is written whole or not at all. The same content gives the same bytes.
package chunkset

import (
	"errors"
	"fmt"
	"strings"

	"cloudletmig/internal/cloudlet"
)

// The files of a folder that are not chunks.
const (
	DispatchFile = "dispatch.json"
	PropertyFile = "property-rules.json"
	ReportFile   = "report.json"
	RejectedFile = "rejected.csv" // only when rows were rejected
)

// Errors that callers tell apart.
var (
	// ErrNotEmpty: the folder holds something, and the writer was not told to replace it.
	ErrNotEmpty = errors.New("folder is not empty")
	// ErrForeign: the folder is to be replaced, but it is no converted folder.
	ErrForeign = errors.New("folder is not a converted one and stays")
	// ErrNoDispatch: the folder is no converted one.
	ErrNoDispatch = errors.New("no " + DispatchFile)
)

// Limits of one policy (Cloudlets API, "5,000 rules per policy", "POST body limit").
const (
	MaxRules = cloudlet.MaxRules
	MaxBytes = cloudlet.MaxBytes

	maxName        = cloudlet.MaxName
	maxDescription = cloudlet.MaxDescription
)

const (
	bodyStart  = `{"description":`
	bodyMiddle = `,"matchRules":[`
	bodyEnd    = `]}`

	maxDescriptionText = 4*maxDescription + len(`""`)
)

// BodyOverhead is what a body takes beside its rules and the commas between them, with the longest description: 255
// characters of four bytes.
const BodyOverhead = len(bodyStart) + maxDescriptionText + len(bodyMiddle) + len(bodyEnd)

// BodyBytes is the size that a body counts as: so many rules, which are so many bytes of compact JSON together, and the
// longest description.
func BodyBytes(rules int, ruleBytes int64) int64 {
	return int64(BodyOverhead) + ruleBytes + int64(max(rules-1, 0))
}

// PolicyName is the name of the policy with that number, counted from 1: three digits or more, as in NAME_001.
func PolicyName(name string, number int) string { return fmt.Sprintf("%s_%03d", name, number) }

// ChunkFile is the file of the chunk that becomes the policy.
func ChunkFile(policy string) string { return policy + ".json" }

// CheckName says why name cannot begin the names of so many policies (Cloudlets API: ^[a-z_A-Z0-9]+$, 64 characters).
func CheckName(name string, policies int) error {
	if name == "" || !plain(name, "_") {
		return fmt.Errorf("name %q: only letters a to z, digits and underscores make a policy's name", name)
	}
	if longest := PolicyName(name, max(policies, 1)); len(longest) > maxName {
		return fmt.Errorf("name %q: %s would have %d characters, and a policy's name has at most %d", name, longest, len(longest), maxName)
	}
	return nil
}

// plain says whether s is nothing but ASCII letters, digits and the characters of more.
func plain(s, more string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c|0x20 || c|0x20 > 'z') && ('0' > c || c > '9') && !strings.Contains(more, string(rune(c))) {
			return false
		}
	}
	return true
}
