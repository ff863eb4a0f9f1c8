// Package secret has the type that every key, token and password of the SDK is
// held in, so that none reaches a log, an error or a JSON document by accident.
package secret

import (
	"crypto/subtle"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what a secret prints as.
const Redacted = "[redacted]"

// String is a text that only Reveal returns. Every other way to print or
// encode it gives Redacted: all fmt verbs (also when it is an unexported field
// of another struct), slog, JSON, XML, text, binary and template encodings.
// Decoding into it works for text formats, so that a configuration file can be read.
//
// The text sits behind a pointer because fmt reaches unexported fields by
// reflection, without asking any method, and prints a pointer as an address.
// Compare with Equal: == compares addresses. The zero value is the empty secret.
// A String is immutable and safe for concurrent use.
type String struct{ text *string }

// New returns a secret that holds text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: &text}
}

// Reveal returns the text. Call it where the text is sent to whom it belongs, and nowhere else.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.text == nil }

// Equal compares two secrets in constant time for texts of the same length.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns Redacted.
func (s String) String() string { return Redacted }

// GoString returns Redacted.
func (s String) GoString() string { return Redacted }

// Format writes Redacted for every verb, so that %x, %d and %p hide it too.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue hides the text from log/slog.
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText hides the text from JSON keys, XML attributes, TOML, YAML and flags.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON hides the text from JSON.
func (s String) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalXML hides the text from XML.
func (s String) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	return e.EncodeElement(Redacted, start)
}

// MarshalBinary hides the text from encoding/gob and its like.
func (s String) MarshalBinary() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalText sets the text. It accepts what a configuration file holds, and
// refuses Redacted: that was a secret once and would be used as one.
func (s *String) UnmarshalText(text []byte) error {
	if string(text) == Redacted {
		return fmt.Errorf("secret: %s is not a secret but its redacted form", Redacted)
	}
	*s = New(string(text))
	return nil
}

// UnmarshalBinary refuses: a gob stream holds only the redacted form.
func (s *String) UnmarshalBinary([]byte) error {
	return fmt.Errorf("secret: a binary encoding does not hold the secret")
}
