package passwordless

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is text that must not reach a log: a code, a link, a token. Printing, marshalling or logging it shows "[redacted]"
// whatever the verb; Reveal is the only way to the text. Convert with Secret(s). The zero value is no secret.
type Secret string

const redacted = "[redacted]"

// Reveal returns the text itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" for the zero Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints String's answer for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText returns String's answer, so that JSON, XML and text encodings redact.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue makes log/slog redact.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// SecretBytes is a Secret in bytes: a key. It redacts likewise.
type SecretBytes []byte

// Format prints "[redacted]" for every verb and flag.
func (s SecretBytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns "[redacted]".
func (s SecretBytes) String() string { return redacted }

// MarshalText returns "[redacted]".
func (s SecretBytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue makes log/slog redact.
func (s SecretBytes) LogValue() slog.Value { return slog.StringValue(redacted) }
