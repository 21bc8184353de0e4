package akamai

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a text that no print, log or encoding shows. The zero value is the empty text.
type Secret struct {
	// A pointer, so that reflection over a struct that hides a Secret in a field of its own meets an address only.
	value *string
}

// NewSecret keeps s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal gives the text itself, for signing and hashing only.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty says whether there is no text.
func (s Secret) Empty() bool { return s.value == nil }

// Format prints the same mark for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String is the mark.
func (Secret) String() string { return redacted }

// LogValue is the mark.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is the mark, in JSON too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
