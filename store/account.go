package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// AccountID says whose account a record is: a provider and the application's id
// of the doctor.
type AccountID struct {
	// Provider is the provider's name: 1 to 64 of a-z, 0-9, _ and -.
	Provider string
	// Subject is the application's id of the account holder: 1 to 255 bytes of UTF-8
	// without control characters. Two subjects that differ in any byte are two accounts.
	Subject string
}

// Validate names what is wrong with id. The error matches telemed.ErrInvalid.
func (id AccountID) Validate() error {
	var p fault.Problems
	id.check(&p)
	return p.Err("store")
}

func (id AccountID) check(p *fault.Problems) {
	p.Check(validProvider(id.Provider), "AccountID.Provider", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Required("AccountID.Subject", id.Subject)
	p.Check(len(id.Subject) <= 255, "AccountID.Subject", "is longer than 255 bytes")
	p.Check(utf8.ValidString(id.Subject), "AccountID.Subject", "is not UTF-8")
	p.Check(strings.IndexFunc(id.Subject, unicode.IsControl) < 0, "AccountID.Subject", "has control characters")
}

func validProvider(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) < 0
}

// AssociatedData returns what binds a ciphertext to its purpose and to whose it is, for
// an [AEAD]. Each part has its length before it, so that no two of them look the same.
func (id AccountID) AssociatedData(purpose string) []byte {
	return associatedData(purpose, id.Provider, id.Subject)
}

func associatedData(parts ...string) []byte {
	var data []byte
	for _, part := range parts {
		data = binary.BigEndian.AppendUint32(data, uint32(len(part)))
		data = append(data, part...)
	}
	return data
}

// LogValue tells the provider and a short hash of the subject, which may be personal: the
// same id is always the same text, and shows nobody.
func (id AccountID) LogValue() slog.Value {
	sum := sha256.Sum256([]byte(id.Subject))
	return slog.StringValue(id.Provider + ":#" + hex.EncodeToString(sum[:4]))
}

// Format tells the same for every verb.
func (id AccountID) Format(f fmt.State, _ rune) { redact.Format(f, id) }

// validText reports whether text is UTF-8 without control characters.
func validText(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}
