package template

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Payment is the data of the PaymentReceived template. Texts are one line of at most 200
// bytes.
type Payment struct {
	// Patient is the patient's name. Required.
	Patient string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Amount is what was paid, in the currency's smallest unit: paise for INR. Positive.
	Amount int64
	// Currency is the ISO 4217 code, "INR". Required.
	Currency string
	// Reference is the payment's id, by which the patient may ask. Required.
	Reference string
	// PaidAt is when it was paid. Required.
	PaidAt time.Time
	// Item is what was paid for, "Video consultation"; others may see the mail, so name no
	// illness. If empty, it is not shown.
	Item string
	// Number is the receipt's number in the clinic's books. If empty, it is not shown.
	Number string `json:",omitempty"`
	// Lines are what the amount is made of, taxes too. If empty, there is only the amount.
	Lines []ReceiptLine `json:",omitempty"`
	// Exemption says why there is no tax, "Healthcare services, exempt from GST". If empty,
	// it is not shown.
	Exemption string `json:",omitempty"`
	// Doctor is the doctor's name, Registration the number at the medical council and
	// Council its name. Those that are empty are not shown.
	Doctor, Registration, Council string `json:",omitempty"`
}

// ReceiptLine is a part of an amount.
type ReceiptLine struct {
	// Text is one line of at most 200 bytes, "Consultation", "IGST 18%". Required.
	Text string
	// Amount is in the currency's smallest unit. A discount is negative.
	Amount int64
}

// Validate names everything that is wrong with r. The error matches telemed.ErrInvalid.
func (r Payment) Validate() error {
	var p fault.Problems
	requiredLine(&p, "Patient", r.Patient)
	checkLine(&p, "Clinic", r.Clinic, maxText)
	p.Check(r.Amount > 0, "Amount", "is not positive")
	p.Check(validCurrency(r.Currency), "Currency", "is not an ISO 4217 code in capitals")
	requiredLine(&p, "Reference", r.Reference)
	p.Check(!r.PaidAt.IsZero(), "PaidAt", "is required")
	checkLine(&p, "Item", r.Item, maxText)
	for field, text := range map[string]string{
		"Number": r.Number, "Exemption": r.Exemption, "Doctor": r.Doctor, "Registration": r.Registration, "Council": r.Council,
	} {
		checkLine(&p, field, text, maxText)
	}
	sum := int64(0)
	for _, line := range r.Lines {
		requiredLine(&p, "Lines", line.Text)
		sum += line.Amount
	}
	p.Check(len(r.Lines) == 0 || sum == r.Amount, "Lines", "do not add up to Amount")
	return p.Err("template: receipt")
}

func (r Payment) registered() (registration, council string) { return r.Registration, r.Council }

// LogValue leaves out everything personal.
func (r Payment) LogValue() slog.Value {
	return slog.GroupValue(slog.String("reference", r.Reference), slog.Time("paid_at", r.PaidAt))
}

// Format tells the same for every verb.
func (r Payment) Format(f fmt.State, _ rune) { redact.Format(f, r) }

func (r Payment) clinic() string { return r.Clinic }

// Refund is the data of the RefundPending and Refunded templates. Texts are one line of at
// most 200 bytes.
type Refund struct {
	// Patient is the patient's name. Required.
	Patient string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Amount is what goes back, in the currency's smallest unit: paise for INR. Positive.
	Amount int64
	// Of is what had been paid, if that is more than Amount. If 0, or Amount, it is not
	// shown.
	Of int64
	// Currency is the ISO 4217 code, "INR". Required.
	Currency string
	// Reference is the refund's id at the gateway, by which a bank can be asked. If empty, it
	// is not shown.
	Reference string
	// At is when the refund was begun, or, for Refunded, sent. Required.
	At time.Time
	// Item is what had been paid for, like that of a Payment. If empty, it is not shown.
	Item string
	// Note is a sentence below the details of an e-mail, "The clinic had to cancel.", up to
	// 500 bytes. May be empty.
	Note string
}

// Validate names everything that is wrong with r. The error matches telemed.ErrInvalid.
func (r Refund) Validate() error {
	var p fault.Problems
	requiredLine(&p, "Patient", r.Patient)
	checkLine(&p, "Clinic", r.Clinic, maxText)
	p.Check(r.Amount > 0, "Amount", "is not positive")
	p.Check(r.Of == 0 || r.Of >= r.Amount, "Of", "is less than Amount: more went back than was paid")
	p.Check(validCurrency(r.Currency), "Currency", "is not an ISO 4217 code in capitals")
	checkLine(&p, "Reference", r.Reference, maxText)
	p.Check(!r.At.IsZero(), "At", "is required")
	checkLine(&p, "Item", r.Item, maxText)
	checkLine(&p, "Note", r.Note, maxNote)
	return p.Err("template: refund")
}

// LogValue leaves out everything personal.
func (r Refund) LogValue() slog.Value {
	return slog.GroupValue(slog.String("reference", r.Reference), slog.Time("at", r.At))
}

// Format tells the same for every verb.
func (r Refund) Format(f fmt.State, _ rune) { redact.Format(f, r) }

func (r Refund) clinic() string { return r.Clinic }
