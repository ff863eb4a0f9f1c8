// Package fault holds the error values that every package of the SDK shares.
//
// A category package re-exports them under its own name, and the value stays the
// same one: meet.ErrRateLimited == notify.ErrRateLimited. A host that handles a
// rate limit therefore handles it once, whoever sent it.
package fault

import "errors"

// The sentinels that a caller acts on. Each says what to do next.
var (
	// ErrInvalid means the request itself is wrong; repeating it changes nothing.
	// A *FieldError beside it names the field.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound means that what was asked for does not exist (any more).
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the state is another than the request assumes; read again, then decide.
	ErrConflict = errors.New("conflict with the current state")
	// ErrUnauthorized means that the application's own credentials were refused: a person must mend the configuration.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrForbidden means that the credentials are good but do not allow this.
	ErrForbidden = errors.New("not permitted")
	// ErrNotConnected means that the account holder (the doctor) has not connected an account yet, or has disconnected it.
	ErrNotConnected = errors.New("account is not connected")
	// ErrReconnect means that the account holder (the doctor) must connect the account again.
	ErrReconnect = errors.New("account must be connected again")
	// ErrMissingScope means that the account is connected without a permission that the call needs. It comes with ErrReconnect.
	ErrMissingScope = errors.New("permission was not granted")
	// ErrRateLimited means that the provider did not take the request because there were too many. It did not happen; wait, then repeat.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable means that the provider could not be reached or failed. The request did not take effect.
	ErrUnavailable = errors.New("provider unavailable")
	// ErrAmbiguous means that nobody knows whether the request took effect: the reply was lost. Repeat it with the same key, or look.
	ErrAmbiguous = errors.New("outcome unknown")
	// ErrSignature means that a signature does not fit: the message is forged, damaged or signed with another secret.
	ErrSignature = errors.New("signature mismatch")
	// ErrRejected means that the provider says that a grant is dead.
	ErrRejected = errors.New("grant was rejected")
	// ErrDecrypt means that stored bytes cannot be opened with the keys at hand.
	ErrDecrypt = errors.New("record cannot be decrypted")
	// ErrRecipient means that the addressee cannot be reached over this channel, ever or for now.
	ErrRecipient = errors.New("recipient cannot be reached")
	// ErrClosed means that the receiver was closed before the call.
	ErrClosed = errors.New("closed")
)
