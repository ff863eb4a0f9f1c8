package payments

import (
	"errors"

	"github.com/telemed-go/telemed/internal/fault"
)

// The errors that a caller acts on. These are shared with the other packages of
// the module: payments.ErrRateLimited is meet.ErrRateLimited.
var (
	// ErrInvalid means that the request itself is wrong; a *FieldError names the field.
	ErrInvalid = fault.ErrInvalid
	// ErrNotFound means that the gateway knows no such order, payment or refund.
	ErrNotFound = fault.ErrNotFound
	// ErrConflict means that the state is another than the request assumes; read again, then decide.
	ErrConflict = fault.ErrConflict
	// ErrUnauthorized means that the gateway refused the keys: alert a person, no payment will get through.
	ErrUnauthorized = fault.ErrUnauthorized
	// ErrForbidden means that the account may not do this.
	ErrForbidden = fault.ErrForbidden
	// ErrRateLimited means that it was not done because there were too many requests; wait, then repeat.
	ErrRateLimited = fault.ErrRateLimited
	// ErrUnavailable means that the gateway failed or was not reached; nothing was changed, repeat later.
	ErrUnavailable = fault.ErrUnavailable
	// ErrAmbiguous means that nobody knows whether money moved: the answer was lost. Repeat with the same
	// receipt or key, which does it at most once. Never show the patient "failed".
	ErrAmbiguous = fault.ErrAmbiguous
	// ErrSignature means that a signature does not fit: the message is forged, damaged or signed with another secret.
	ErrSignature = fault.ErrSignature
)

// The errors that only payments know. Those about a state are also ErrConflict.
var (
	// ErrAmountMismatch means that the payment has another amount or currency than was expected.
	ErrAmountMismatch = fault.Tagged(fault.ErrConflict, errors.New("amount differs from what was expected"))
	// ErrOrderMismatch means that the payment belongs to another order.
	ErrOrderMismatch = fault.Tagged(fault.ErrConflict, errors.New("payment belongs to another order"))
	// ErrPaymentIncomplete means that the payment is authentic but no money was taken: it failed or is not finished.
	// It may still succeed later, which the webhook tells; keep the order open.
	ErrPaymentIncomplete = fault.Tagged(fault.ErrConflict, errors.New("payment is not complete"))
	// ErrAlreadyCaptured means that the payment was captured before, with another amount.
	ErrAlreadyCaptured = fault.Tagged(fault.ErrConflict, errors.New("payment is already captured"))
	// ErrAlreadyRefunded means that nothing is left to refund, or that a payment to verify was given back.
	// To who wanted a refund it is as good as done: Payment tells how much went back.
	ErrAlreadyRefunded = fault.Tagged(fault.ErrConflict, errors.New("payment is already refunded"))
	// ErrIdempotencyConflict means that the receipt or key was used before for something else.
	ErrIdempotencyConflict = fault.Tagged(fault.ErrConflict, errors.New("key was used before for a different request"))
)

// FieldError names the field of a request that is wrong, and how. It never
// holds the field's value. errors.As finds it.
type FieldError = fault.FieldError
