package config

import (
	"fmt"
	"io"
	"log/slog"
)

// secretMark stands wherever a secret would be printed.
const secretMark = "[secret]"

// A Secret is a value that no printing shows, neither fmt nor slog nor an encoder: Reveal is the only way to it.
// The value sits behind a pointer because fmt does not call methods on unexported fields; there it prints an address.
type Secret struct{ value *string }

// NewSecret hides s. The empty string gives the zero Secret.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal is the value itself, "" for the zero Secret. Hand the method on as a func() string rather than its result.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero tells whether there is no value.
func (s Secret) IsZero() bool { return s.value == nil }

// String is the mark.
func (s Secret) String() string { return secretMark }

// GoString is the mark.
func (s Secret) GoString() string { return secretMark }

// Format writes the mark for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, secretMark) }

// MarshalText is the mark.
func (s Secret) MarshalText() ([]byte, error) { return []byte(secretMark), nil }

// MarshalJSON is the mark.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + secretMark + `"`), nil }

// MarshalYAML is the mark.
func (s Secret) MarshalYAML() (any, error) { return secretMark, nil }

// LogValue is the mark.
func (s Secret) LogValue() slog.Value { return slog.StringValue(secretMark) }
