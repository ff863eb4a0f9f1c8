package payments

import (
	"fmt"
	"log/slog"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// CaptureMode says who takes the money of an authorized payment.
type CaptureMode string

// The capture modes.
const (
	// CaptureDefault leaves it to the settings of the account at the gateway.
	CaptureDefault CaptureMode = ""
	// CaptureAutomatic lets the gateway take the money at once.
	CaptureAutomatic CaptureMode = "automatic"
	// CaptureManual reserves the money until the application calls Capture. Uncaptured
	// money goes back to the payer after some days.
	CaptureManual CaptureMode = "manual"
)

// OrderRequest asks for an order. Key and Notes are stored and shown by the
// gateway: put no name, no diagnosis and nothing else about the patient in them.
type OrderRequest struct {
	// Amount is what is to be paid; more than zero, and INR 1.00 or more. In a currency with
	// three digits behind the point the last is 0. Required.
	Amount Money
	// Key is the application's own unique id of the bill, "bill_2026_000123", of up to 40
	// characters. It is the order's idempotency key. Required.
	Key string
	// Notes are up to 15 pairs for the application's own use, of up to 256 characters each.
	Notes map[string]string
	// Capture says who takes the money. Zero: the account's setting.
	Capture CaptureMode
}

// Validate returns nil, or an telemed.ErrInvalid that names every field that no gateway
// can take.
func (r OrderRequest) Validate() error {
	var p fault.Problems
	checkOrderKey(&p, r.Key)
	checkAmount(&p, "Amount", r.Amount)
	checkNotes(&p, r.Notes)
	p.Check(r.Capture == CaptureDefault || r.Capture == CaptureAutomatic || r.Capture == CaptureManual, "Capture", "is not a capture mode")
	return p.Err("payments: order")
}

// LogValue leaves out the notes.
func (r OrderRequest) LogValue() slog.Value {
	return slog.GroupValue(slog.String("receipt", r.Key), slog.String("amount", r.Amount.String()))
}

// Format tells the same for every verb.
func (r OrderRequest) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// Confirmation is what VerifyPayment decides on. A [CallbackParser] returns it without
// Expected.
type Confirmation struct {
	// OrderID is the gateway's id of the bill's order. The bill is the one that the
	// application stored this id with, not the one that the browser names. Required.
	OrderID string
	// Expected is the amount of that order from the application's database; what the browser
	// says about it is worth nothing. Required.
	Expected Money
	// PaymentID is the payment's id as the checkout returned it. Required.
	PaymentID string
	// Signature is the checkout's signature. Required.
	Signature string
}

// Validate returns nil, or an telemed.ErrInvalid that names every field that is missing.
func (c Confirmation) Validate() error {
	var p fault.Problems
	p.Required("OrderID", c.OrderID)
	checkAmount(&p, "Expected", c.Expected)
	p.Required("PaymentID", c.PaymentID)
	p.Required("Signature", c.Signature)
	return p.Err("payments: confirmation")
}

// LogValue leaves out the signature.
func (c Confirmation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("order_id", c.OrderID), slog.String("payment_id", c.PaymentID), slog.String("expected", c.Expected.String()))
}

// Format tells the same for every verb.
func (c Confirmation) Format(f fmt.State, _ rune) { redact.Format(f, c) }

// CaptureRequest asks to take the money of an authorized payment.
type CaptureRequest struct {
	// PaymentID is the gateway's id. Required.
	PaymentID string
	// Amount must be what was authorized. Required.
	Amount Money
}

// Validate returns nil, or an telemed.ErrInvalid that names every field that is wrong.
func (r CaptureRequest) Validate() error {
	var p fault.Problems
	p.Required("PaymentID", r.PaymentID)
	checkAmount(&p, "Amount", r.Amount)
	return p.Err("payments: capture")
}

// RefundSpeed says how fast money goes back.
type RefundSpeed string

// The refund speeds.
const (
	// RefundNormal takes the gateway's usual days.
	RefundNormal RefundSpeed = ""
	// RefundFast goes at once where the payer's bank can, at a fee.
	RefundFast RefundSpeed = "fast"
)

// RefundRequest asks to give money back.
type RefundRequest struct {
	// PaymentID is the gateway's id of the payment. Required.
	PaymentID string
	// Amount is how much. Nil: all that is left.
	Amount *Money
	// Key is the application's own id of this refund, for instance
	// "cancel/appt-42". The same key never gives money back twice. Required.
	Key string
	// Speed is how fast. Zero: normal.
	Speed RefundSpeed
	// Notes are up to 15 pairs for the application's own use, of up to 256 characters each;
	// nothing about the patient.
	Notes map[string]string
}

// Validate returns nil, or an telemed.ErrInvalid that names every field that is wrong.
func (r RefundRequest) Validate() error {
	var p fault.Problems
	p.Required("PaymentID", r.PaymentID)
	p.Required("Key", r.Key)
	if r.Amount != nil {
		checkAmount(&p, "Amount", *r.Amount)
	}
	checkNotes(&p, r.Notes)
	p.Check(r.Speed == RefundNormal || r.Speed == RefundFast, "Speed", "is not a refund speed")
	return p.Err("payments: refund")
}

// LogValue leaves out the notes.
func (r RefundRequest) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("payment_id", r.PaymentID), slog.String("idempotency_key", r.Key)}
	if r.Amount != nil {
		attrs = append(attrs, slog.String("amount", r.Amount.String()))
	}
	return slog.GroupValue(attrs...)
}

// Format tells the same for every verb.
func (r RefundRequest) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// CheckoutUI is how the payment page looks and what it is filled with. Zero
// values leave the choice to the gateway.
type CheckoutUI struct {
	// Name is the hospital's name, shown on top. Required.
	Name string
	// Description is one line under it. The gateway stores it: "Consultation", not a
	// diagnosis.
	Description string
	// ImageURL is a square logo.
	ImageURL string
	// Color is the accent colour, "#0b7285".
	Color string
	// Locale is the language of the page, "en", "hi".
	Locale string
	// Prefill saves the patient typing.
	Prefill Prefill
	// CallbackURL is where the browser posts the outcome if Redirect is set.
	CallbackURL string
	// Redirect makes the checkout leave the page and come back to CallbackURL,
	// which works in in-app browsers too. Without it the page's script gets the outcome.
	Redirect bool
}

// LogValue leaves out the prefilled data, which a logger would else encode field by
// field.
func (ui CheckoutUI) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", ui.Name), slog.Any("prefill", ui.Prefill), slog.Bool("redirect", ui.Redirect))
}

// Format tells the same for every verb.
func (ui CheckoutUI) Format(f fmt.State, _ rune) { redact.Format(f, ui) }

// Prefill is the patient's data for the payment page. It reaches the gateway.
type Prefill struct {
	Name  string
	Email string
	// Phone is an E.164 number, "+919876543210".
	Phone string
}

// LogValue leaves out everything personal.
func (p Prefill) LogValue() slog.Value {
	return slog.GroupValue(slog.Bool("name", p.Name != ""), slog.Bool("email", p.Email != ""), slog.Bool("phone", p.Phone != ""))
}

// Format tells the same for every verb.
func (p Prefill) Format(f fmt.State, _ rune) { redact.Format(f, p) }
