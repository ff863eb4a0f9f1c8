package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Claims says who does a thing, and what came of it, in all processes of the application.
// It makes a side effect happen once where its provider has no idempotency key, and has
// each webhook handled once.
//
//	claim, err := claims.Claim(ctx, "zoom:create:doctor-7:appt-42", time.Minute)
//	switch {
//	case err != nil: // nobody knows: try again
//	case claim.State == store.ClaimDone: // claim.Value is what came of it
//	case claim.State == store.ClaimBusy: // somebody is at it: wait, or answer "try again"
//	default: // ours: do it, then Complete; or Release, if it surely did not happen
//	}
//
// Whoever holds a claim and dies leaves it Busy until its lease has run out. The next one
// to claim the key gets ClaimNew with Expired set: what the earlier holder did is
// unknown, so look before doing it again. A holder counts its lease from before it called
// Claim, and ends its own work by then.
//
// Implementations are safe for concurrent use by many processes and honour ctx. Each
// method is atomic. Keys that differ in any byte are different keys. Leases and keeping
// times end by one clock for all processes, the database's own. They are kept in
// milliseconds and never end early. Keys are written down as they are: put ids there,
// nobody's name.
//
// A key, a token, a duration or a value that is out of bounds is refused with an error
// that matches telemed.ErrInvalid, before anything is written. A value that is sealed and
// does not open is telemed.ErrDecrypt. Another error leaves open whether it happened,
// unless it matches telemed.ErrUnavailable or telemed.ErrConflict: then it did not.
//
// storetest.RunClaims checks an implementation.
type Claims interface {
	// Claim asks for key. The answer is ClaimNew, with a Token, if nobody has it or its
	// lease or keeping time has run out; then it is the caller's for lease. Otherwise the
	// answer is ClaimBusy, or ClaimDone with the Value and the Token that it was
	// completed with. A Claim whose answer was lost may have happened: the key is Busy
	// until lease has run out.
	Claim(ctx context.Context, key string, lease time.Duration) (Claim, error)
	// Complete says what came of it, and keeps that for keep. It works for the holder of
	// token while the key is Busy under that token, also after the lease has run out if
	// nobody has taken the key since. By the token of a Done key it replaces the value:
	// made becomes cancelled. Completing the same twice is no error. Another token, or a
	// key that is not known, is telemed.ErrConflict.
	Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error
	// Release gives a key back that is Busy under token: it was not done, neither by this
	// holder nor by an earlier one. Who was told Expired and could not look lets the
	// lease run out instead. A key that is Done, unknown or under another token is left
	// alone, without an error.
	Release(ctx context.Context, key, token string) error
}

// ClaimsPurger is what Claims implement that keep rows until they are told to delete
// them. It is asked for by type assertion.
type ClaimsPurger interface {
	// PurgeClaims deletes what is over: Done keys whose keeping time has run out, and
	// Busy ones whose lease has run out a day ago. It returns how many. Call it from a
	// daily job.
	PurgeClaims(ctx context.Context) (int, error)
}

// Claim is the answer to [Claims].Claim.
type Claim struct {
	// State says whether the caller may go on.
	State ClaimState
	// Token proves who holds the key: random text of at most MaxClaimToken bytes, never
	// used before. Empty if State is ClaimBusy.
	Token string
	// Value is what the key was completed with, if State is ClaimDone. It is the caller's
	// own copy.
	Value []byte
	// Expired is set beside ClaimNew if somebody held the key before, and neither
	// completed nor released it.
	Expired bool
}

// LogValue tells the state. A value may be of a person, a token opens the claim.
func (c Claim) LogValue() slog.Value {
	return slog.GroupValue(slog.String("state", string(c.State)), slog.Bool("expired", c.Expired))
}

// Format prints what LogValue tells, whatever the verb.
func (c Claim) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// ClaimState says whether the caller may go on.
type ClaimState string

const (
	// ClaimNew is a key that is the caller's now.
	ClaimNew ClaimState = "new"
	// ClaimBusy is a key that somebody else holds.
	ClaimBusy ClaimState = "busy"
	// ClaimDone is a key that was completed.
	ClaimDone ClaimState = "done"
)

// The bounds of a claim.
const (
	// MaxClaimKey is the longest key, in bytes of UTF-8.
	MaxClaimKey = 512
	// MaxClaimToken is the longest token, in bytes.
	MaxClaimToken = 64
	// MaxClaimValue is the longest value, in bytes.
	MaxClaimValue = 4096
	// MaxClaimTime is the longest lease and the longest time that a value is kept.
	MaxClaimTime = 10 * 366 * 24 * time.Hour
)

// CheckClaim names what is wrong with the arguments of Claim. Implementations call it
// first.
func CheckClaim(key string, lease time.Duration) error {
	var p fault.Problems
	checkClaimKey(&p, key)
	checkClaimTime(&p, "lease", lease)
	return p.Err("store: claim")
}

// CheckComplete names what is wrong with the arguments of Complete. Implementations call
// it first.
func CheckComplete(key, token string, value []byte, keep time.Duration) error {
	var p fault.Problems
	checkClaimKey(&p, key)
	checkClaimToken(&p, token)
	p.Check(len(value) <= MaxClaimValue, "value", "is longer than %d bytes", MaxClaimValue)
	checkClaimTime(&p, "keep", keep)
	return p.Err("store: complete")
}

// CheckRelease names what is wrong with the arguments of Release. Implementations call it
// first.
func CheckRelease(key, token string) error {
	var p fault.Problems
	checkClaimKey(&p, key)
	checkClaimToken(&p, token)
	return p.Err("store: release")
}

func checkClaimKey(p *fault.Problems, key string) {
	p.Required("key", key)
	p.Check(len(key) <= MaxClaimKey, "key", "is longer than %d bytes", MaxClaimKey)
	p.Check(validText(key), "key", "is not UTF-8 without control characters")
}

func checkClaimToken(p *fault.Problems, token string) {
	p.Required("token", token)
	p.Check(len(token) <= MaxClaimToken, "token", "is longer than %d bytes", MaxClaimToken)
	p.Check(validText(token), "token", "is not UTF-8 without control characters")
}

func checkClaimTime(p *fault.Problems, field string, d time.Duration) {
	p.Check(d >= time.Millisecond, field, "is less than a millisecond")
	p.Check(d <= MaxClaimTime, field, "is longer than ten years")
}
