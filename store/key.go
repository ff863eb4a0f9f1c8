package store

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
)

// Key says whose account a record is: a provider and the host's id of the doctor.
type Key struct {
	// Provider is the provider's name: 1 to 64 of a-z, 0-9, _ and -.
	Provider string
	// Subject is the host's id of the account holder: 1 to 255 bytes of UTF-8
	// without control characters. Two subjects that differ in any byte are two accounts.
	Subject string
}

// Validate names what is wrong with k. The error matches telemed.ErrInvalid.
func (k Key) Validate() error {
	var p fault.Problems
	p.Check(validProvider(k.Provider), "Key.Provider", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Required("Key.Subject", k.Subject)
	p.Check(len(k.Subject) <= 255, "Key.Subject", "is longer than 255 bytes")
	p.Check(utf8.ValidString(k.Subject), "Key.Subject", "is not UTF-8")
	p.Check(strings.IndexFunc(k.Subject, unicode.IsControl) < 0, "Key.Subject", "has control characters")
	return p.Err("store")
}

func validProvider(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) < 0
}

// String returns the provider and a short hash of the subject, which may be
// personal: the same key always prints the same, and shows nobody.
func (k Key) String() string {
	sum := sha256.Sum256([]byte(k.Subject))
	return k.Provider + ":#" + hex.EncodeToString(sum[:4])
}

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
