package store

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// TokenStore keeps one record for each connected account. An application's own store
// (Redis, DynamoDB) needs these three methods; storetest.RunShared checks them.
//
// Implementations are safe for concurrent use by many processes, honour ctx, and neither
// keep nor change what they are given. What Put or Delete has answered holds for every
// process at once, and after a restart. Times are kept in milliseconds; nil and empty
// slices and maps are the same.
//
//   - Get returns the record last put, from the primary copy: a replica that lags behind
//     would hand out a refresh token that is spent. Absent: telemed.ErrNotFound.
//   - Put writes rec if the stored revision is still rec.Revision; "" means that there
//     must be no record yet. It returns the new revision, a random text never used before
//     for any account. Otherwise nothing is written: telemed.ErrConflict. When Put
//     returns another error, it may have been written all the same, unless that matches
//     telemed.ErrInvalid.
//   - Delete removes the record, whatever its revision. Absent: nil.
//
// What is kept has bounds, in bytes. Within them it is kept whole, to the last byte:
//
//   - ID.Provider 64 and ID.Subject 255; more, or none, is refused with the error of
//     [AccountID].Validate, by each of the three methods.
//   - Status [MaxStatus], Reason [MaxReason], Lease.Owner [MaxOwner], Token [MaxToken] as
//     EncodeToken returns it; more is refused with the error of [CheckRecord].
type TokenStore interface {
	Get(ctx context.Context, id AccountID) (Record, error)
	Put(ctx context.Context, rec Record) (revision string, err error)
	Delete(ctx context.Context, id AccountID) error
}

// Lister is what stores implement that can walk through their records. It is
// asked for by type assertion, and needed to reseal, to keep idle accounts
// alive and to see who else shares an account.
type Lister interface {
	// List yields every record that fits once, in no order, and at most one error, last.
	// Records put or deleted meanwhile may be missing or not. The body of the loop may
	// use the store, so no lock and no connection is held while it runs.
	List(ctx context.Context, filter Filter) iter.Seq2[Record, error]
}

// Filter chooses records. The zero value chooses all.
type Filter struct {
	// Provider is the provider's name; empty: any.
	Provider string
	// Status is the status; empty: any.
	Status Status
}

// Match reports whether rec fits.
func (f Filter) Match(rec Record) bool {
	return (f.Provider == "" || f.Provider == rec.ID.Provider) && (f.Status == "" || f.Status == rec.Status)
}

// Record is what a TokenStore keeps for one account.
type Record struct {
	// ID says whose account it is.
	ID AccountID
	// Token is the account's token. Stores that write it down use EncodeToken and
	// DecodeToken.
	Token Token
	// Status tells whether the token is believed to work.
	Status Status
	// Reason says why Status is what it is, in words without secrets. May be empty. At
	// most MaxReason bytes.
	Reason string
	// Lease says who is refreshing the token. Stores keep it as it is.
	Lease Lease
	// UpdatedAt is when the token or the status last changed, in whole milliseconds.
	UpdatedAt time.Time
	// Revision is the store's; see TokenStore.
	Revision string
}

// The bounds of a record, in bytes of UTF-8 without NUL. MaxToken is the token's.
const (
	// MaxStatus is the longest Record.Status.
	MaxStatus = 32
	// MaxReason is the longest Record.Reason.
	MaxReason = 1024
	// MaxOwner is the longest Lease.Owner.
	MaxOwner = 64
)

// CheckRecord names all that is wrong with a record that is to be put: an AccountID that
// does not validate, or a field that is out of bounds. TokenStores call it first in Put,
// because some databases would cut what is too long silently. The error matches
// telemed.ErrInvalid.
func CheckRecord(rec Record) error {
	var p fault.Problems
	rec.ID.check(&p)
	checkText(&p, "Record.Status", string(rec.Status), MaxStatus)
	checkText(&p, "Record.Reason", rec.Reason, MaxReason)
	checkText(&p, "Record.Lease.Owner", rec.Lease.Owner, MaxOwner)
	_, problem := encodeToken(rec.Token)
	p.Check(problem == "", "Record.Token", "%s", problem)
	return p.Err("store")
}

func checkText(p *fault.Problems, field, text string, limit int) {
	p.Check(len(text) <= limit, field, "is longer than %d bytes", limit)
	p.Check(utf8.ValidString(text) && !strings.Contains(text, "\x00"), field, "is not UTF-8 without NUL")
}

// LogValue tells the account, without the subject, and the state.
func (r Record) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("account", r.ID), slog.String("status", string(r.Status)), slog.Any("token", r.Token))
}

// Format tells the same for every verb.
func (r Record) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// Status tells whether an account works.
type Status string

const (
	// StatusActive is an account whose token works, as far as anybody knows.
	StatusActive Status = "active"
	// StatusReconnect is an account that its holder must connect again. Its token is
	// kept.
	StatusReconnect Status = "reconnect"
)

// Lease is the right to refresh a token, held for a short time. The zero value is
// nobody's.
type Lease struct {
	// Owner is the holder's random name, of at most MaxOwner bytes; empty if there is
	// none.
	Owner string
	// Until is when the holder means to be done, in whole milliseconds. It is for people
	// to read: no clock is compared with another one.
	Until time.Time
	// TTL is how long the record must have been seen unchanged before somebody else may
	// take the lease over, in whole milliseconds. It is the holder's own, so that
	// processes with different settings agree. If 0, that of whoever looks at it.
	TTL time.Duration
	// Tainted is true if the refresh token may have been spent by an exchange whose
	// answer was lost.
	Tainted bool
}
