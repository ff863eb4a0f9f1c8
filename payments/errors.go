package payments

import (
	"errors"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// The errors that only payments know. Those about a state are also telemed.ErrConflict.
var (
	// ErrAmountMismatch means that the order has another amount or currency than was
	// expected, or that an amount is not the one that was authorized.
	ErrAmountMismatch = fault.Tagged(telemed.ErrConflict, errors.New("amount differs from what was expected"))
	// ErrOrderMismatch means that the payment belongs to another order.
	ErrOrderMismatch = fault.Tagged(telemed.ErrConflict, errors.New("payment belongs to another order"))
	// ErrPaymentIncomplete means that the payment is authentic but no money was taken: it
	// failed or is not finished. It may still succeed later, which the webhook tells; keep
	// the order open.
	ErrPaymentIncomplete = fault.Tagged(telemed.ErrConflict, errors.New("payment is not complete"))
	// ErrPartlyPaid means that the payment took money and the order is not paid yet: it was
	// an instalment. It is also ErrPaymentIncomplete. The order's Due says what is missing.
	ErrPartlyPaid = fault.Tagged(ErrPaymentIncomplete, errors.New("payment is a part of what the order needs"))
	// ErrAlreadyCaptured means that the payment was captured before, with another amount.
	ErrAlreadyCaptured = fault.Tagged(telemed.ErrConflict, errors.New("payment is already captured"))
	// ErrAlreadyRefunded means that nothing is left to refund, or that a payment to verify
	// was given back. To who wanted a refund it is as good as done: Payment tells how much
	// went back.
	ErrAlreadyRefunded = fault.Tagged(telemed.ErrConflict, errors.New("payment is already refunded"))
	// ErrKeyConflict means that the key was used before for something else.
	ErrKeyConflict = fault.Tagged(telemed.ErrConflict, errors.New("key was used before for a different request"))
)
