package payments

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/telemed-go/telemed/internal/redact"
)

// OrderStatus is where an order stands. A gateway may send others than the
// constants; they are kept as they came.
type OrderStatus string

// The order statuses.
const (
	OrderCreated   OrderStatus = "created"
	OrderAttempted OrderStatus = "attempted" // a payment was begun
	OrderPaid      OrderStatus = "paid"
)

// PaymentStatus is where a payment stands. A gateway may send others than the
// constants; they are kept as they came.
type PaymentStatus string

// The payment statuses.
const (
	PaymentCreated    PaymentStatus = "created"
	PaymentAuthorized PaymentStatus = "authorized" // the money is reserved
	PaymentCaptured   PaymentStatus = "captured"   // the money is taken
	PaymentRefunded   PaymentStatus = "refunded"   // all of it was given back
	PaymentFailed     PaymentStatus = "failed"
)

// wayOfPayment lists the statuses in the order in which a payment goes through
// them. Failed stands before authorized: a bank may answer days late.
var wayOfPayment = []PaymentStatus{PaymentCreated, PaymentFailed, PaymentAuthorized, PaymentCaptured, PaymentRefunded}

// CanBecome reports whether a payment may move from s to next: forward, over any number of
// steps, and back from refunded to what it was before, captured or authorized, when its
// refund fails. A failed payment may still be authorized, days later, when a bank answers
// late; an authorized one does not fail any more.
//
// Webhooks arrive in any order and may be missed. Apply an event only if its status can
// follow the stored one, and take the step back from EventRefundFailed alone: a
// payment.captured that comes after a refund is a late one, and tells of the time before.
// Then the last status stands at the end, whatever came first. Whoever reads the payment
// from the gateway, or its order, needs none of this.
func (s PaymentStatus) CanBecome(next PaymentStatus) bool {
	if s == PaymentRefunded {
		return next == PaymentCaptured || next == PaymentAuthorized
	}
	from := slices.Index(wayOfPayment, s)
	return from >= 0 && from < slices.Index(wayOfPayment, next)
}

// GivenBack says how much of a payment was given back, in the gateway's word. A gateway may
// send others than the constants; they are kept as they came.
type GivenBack string

// How much was given back. Refunds that are still pending count.
const (
	GivenBackNone GivenBack = ""
	GivenBackPart GivenBack = "partial"
	GivenBackFull GivenBack = "full"
)

// RefundStatus is where a refund stands. A gateway may send others than the
// constants; they are kept as they came.
type RefundStatus string

// The refund statuses. Accepted is not given back: a refund may wait for days before it is
// processed, and fail. A processed one may fail too: a gateway may call it processed before
// the bank has confirmed it.
const (
	RefundCreated   RefundStatus = "created"
	RefundPending   RefundStatus = "pending"
	RefundProcessed RefundStatus = "processed" // the money is on its way to the payer's bank
	RefundFailed    RefundStatus = "failed"    // the money is the application's again
)

// wayOfRefund lists the statuses in the order in which a refund goes through them.
var wayOfRefund = []RefundStatus{RefundCreated, RefundPending, RefundProcessed, RefundFailed}

// CanBecome reports whether a refund may move from s to next: forward, over any number of
// steps. One that failed stays failed: the money goes back by a new refund.
func (s RefundStatus) CanBecome(next RefundStatus) bool {
	from := slices.Index(wayOfRefund, s)
	return from >= 0 && from < slices.Index(wayOfRefund, next)
}

// Order is an amount to be paid, at the gateway. It prints without its notes
// and raw document.
type Order struct {
	// ID is the gateway's id, "order_…". Store it with the bill.
	ID string `json:"id"`
	// Key is the application's id that the order was made with.
	Key string `json:"receipt"`
	// Amount is what is to be paid in all, Paid what was paid so far, and Due what is still
	// to be paid: by an order that is paid in instalments, for one.
	Amount Money       `json:"amount"`
	Paid   Money       `json:"paid"`
	Due    Money       `json:"due"`
	Status OrderStatus `json:"status"`
	// Attempts counts the payments that were begun.
	Attempts  int               `json:"attempts"`
	Notes     map[string]string `json:"notes,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	// Raw is the gateway's whole document, for fields that are not here.
	Raw json.RawMessage `json:"-"`
}

// IsPaid reports whether the order is paid: the gateway says so, or all of Amount was
// paid. It is what decides over a bill. A payment's amount does not: an offer of a bank
// makes it smaller than the order, a fee that the payer bears larger, a conversion gives it
// another currency, and an instalment is only a part. An order stays paid when its
// payment is refunded.
func (o Order) IsPaid() bool {
	return o.Status == OrderPaid ||
		o.Amount.Minor > 0 && o.Paid.Currency == o.Amount.Currency && o.Paid.Minor >= o.Amount.Minor
}

// LogValue leaves out the notes and the raw document.
func (o Order) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", o.ID), slog.String("status", string(o.Status)), slog.String("amount", o.Amount.String()))
}

// Format tells the same for every verb.
func (o Order) Format(f fmt.State, _ rune) { redact.Format(f, o) }

// Payment is one attempt to pay an order. The payer's e-mail, phone, card and
// account are only in Raw, so that a payment can be printed, logged and encoded.
type Payment struct {
	// ID is the gateway's id, "pay_…".
	ID string `json:"id"`
	// OrderID is the order that it pays; empty if it has none.
	OrderID string `json:"order_id"`
	// Amount is what the payer paid, in the payer's currency, and Refunded how much of it was
	// given back. Whether that pays the order, the order knows: see [Order.IsPaid].
	Amount   Money         `json:"amount"`
	Refunded Money         `json:"refunded"`
	Status   PaymentStatus `json:"status"`
	// GivenBack says whether Refunded is nothing, a part or all.
	GivenBack GivenBack `json:"given_back,omitempty"`
	// Base is Amount in the currency of the gateway account, if the payer paid in another
	// one. Else zero.
	Base Money `json:"base,omitzero"`
	// Captured is true if the money was ever taken. A payment that is refunded and was never
	// captured is one that the gateway gave back by itself: see AutoRefunded.
	Captured bool `json:"captured"`
	// Late is true if the bank answered after the gateway had given the payment up: it was
	// failed before.
	Late bool `json:"late,omitempty"`
	// Fee is what the gateway keeps, Tax included; Tax is the tax on it. Zero until captured.
	Fee Money `json:"fee,omitzero"`
	Tax Money `json:"tax,omitzero"`
	// Method is "card", "upi", "netbanking", "wallet", …
	Method string `json:"method,omitempty"`
	// Failure says why a failed payment failed. Nil otherwise.
	Failure   *Failure          `json:"failure,omitempty"`
	Notes     map[string]string `json:"notes,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	// Raw is the gateway's whole document, the payer's data included. Never log it.
	Raw json.RawMessage `json:"-"`
}

// AutoRefunded reports whether the gateway gave money back by itself, because nobody
// captured the payment in time, or because its order was paid already. The application has
// nothing to refund.
func (p Payment) AutoRefunded() bool { return !p.Captured && p.Refunded.Minor > 0 }

// LogValue leaves out everything personal.
func (p Payment) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("id", p.ID), slog.String("order_id", p.OrderID), slog.String("status", string(p.Status)),
		slog.String("amount", p.Amount.String()), slog.String("method", p.Method),
	}
	if p.Failure != nil {
		attrs = append(attrs, slog.String("reason", p.Failure.Reason))
	}
	return slog.GroupValue(attrs...)
}

// Format tells the same for every verb.
func (p Payment) Format(f fmt.State, _ rune) { redact.Format(f, p) }

// Failure is why a payment failed, in the gateway's words.
type Failure struct {
	// Code and Reason are the gateway's constants, "BAD_REQUEST_ERROR" and
	// "payment_cancelled".
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Source is who caused it ("customer", "bank"), Step where ("payment_authentication").
	Source string `json:"source,omitempty"`
	Step   string `json:"step,omitempty"`
	// Description is a sentence for the payer. Show it to the payer, do not log it.
	Description string `json:"description,omitempty"`
}

// LogValue leaves out the description.
func (x Failure) LogValue() slog.Value {
	return slog.GroupValue(slog.String("code", x.Code), slog.String("reason", x.Reason), slog.String("source", x.Source), slog.String("step", x.Step))
}

// Format tells the same for every verb.
func (x Failure) Format(f fmt.State, _ rune) { redact.Format(f, x) }

// Refund is money given back. It prints without its notes and raw document.
type Refund struct {
	// ID is the gateway's id, "rfnd_…".
	ID        string            `json:"id"`
	PaymentID string            `json:"payment_id"`
	Amount    Money             `json:"amount"`
	Status    RefundStatus      `json:"status"`
	Notes     map[string]string `json:"notes,omitempty"`
	CreatedAt time.Time         `json:"created_at"`
	// Raw is the gateway's whole document.
	Raw json.RawMessage `json:"-"`
}

// LogValue leaves out the notes and the raw document.
func (r Refund) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", r.ID), slog.String("payment_id", r.PaymentID), slog.String("status", string(r.Status)), slog.String("amount", r.Amount.String()))
}

// Format tells the same for every verb.
func (r Refund) Format(f fmt.State, _ rune) { redact.Format(f, r) }
