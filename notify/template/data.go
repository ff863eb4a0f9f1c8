package template

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// The built-in templates.
const (
	// Confirmed tells that an appointment is booked. Data: Appointment.
	Confirmed = "appointment_confirmed"
	// Rescheduled tells that an appointment has moved. Data: Appointment.
	Rescheduled = "appointment_rescheduled"
	// Cancelled tells that an appointment will not take place. Data: Appointment.
	Cancelled = "appointment_cancelled"
	// PaymentReceived tells that a payment has arrived. Data: Payment.
	PaymentReceived = "payment_receipt"
)

// Limits of the texts in Data, in bytes. They keep a subject in one header line.
const (
	maxText = 200
	maxNote = 500
	maxURL  = 2000
)

// validator is Data that knows what is wrong with itself: the built-in types, and
// those of applications that have the method.
type validator interface{ Validate() error }

// Appointment is the data of the appointment templates. Texts are one line of at most 200
// bytes.
type Appointment struct {
	// Key is the appointment's id at the application. A hash of it identifies the calendar
	// entry, so that a new time moves the entry. Required.
	Key string
	// Patient is the patient's name. Required.
	Patient string
	// Doctor is the doctor's name with its title, "Dr Mehta". Required.
	Doctor string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Start is when it begins (began, if cancelled). Required.
	Start time.Time
	// Duration is how long it is planned to last, up to 24 hours. If 0, none is
	// shown, and the calendar entry lasts 30 minutes.
	Duration time.Duration
	// JoinURL lets the patient in: https, or http on loopback. If empty, the
	// message says that the link will follow.
	JoinURL string
	// Previous is when it should have begun before it moved. If zero, it is not shown.
	Previous time.Time
	// Note is a sentence below the details of an e-mail, "The payment was refunded.",
	// up to 500 bytes. May be empty.
	Note string
	// Sequence counts the changes of the appointment, for calendars. If 0, it is 0 for a
	// confirmation and 1 else; calendars then go by the time of the message.
	Sequence int
}

// Validate names everything that is wrong with a. The error matches telemed.ErrInvalid.
func (a Appointment) Validate() error {
	var p fault.Problems
	p.Required("Key", a.Key)
	requiredLine(&p, "Patient", a.Patient)
	requiredLine(&p, "Doctor", a.Doctor)
	checkLine(&p, "Clinic", a.Clinic, maxText)
	p.Check(!a.Start.IsZero(), "Start", "is required")
	p.Check(a.Duration >= 0 && a.Duration <= 24*time.Hour, "Duration", "is not between 0 and 24 hours")
	p.Check(a.JoinURL == "" || safeURL(a.JoinURL), "JoinURL", "is not an https address (or http on loopback)")
	checkLine(&p, "Note", a.Note, maxNote)
	p.Check(a.Sequence >= 0, "Sequence", "is negative")
	return p.Err("template: appointment")
}

// LogValue leaves out everything personal.
func (a Appointment) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", a.Key), slog.Time("start", a.Start))
}

// Format tells the same for every verb.
func (a Appointment) Format(f fmt.State, _ rune) { redact.Format(f, a) }

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
	return p.Err("template: receipt")
}

// LogValue leaves out everything personal.
func (r Payment) LogValue() slog.Value {
	return slog.GroupValue(slog.String("reference", r.Reference), slog.Time("paid_at", r.PaidAt))
}

// Format tells the same for every verb.
func (r Payment) Format(f fmt.State, _ rune) { redact.Format(f, r) }

func requiredLine(p *fault.Problems, field, value string) {
	p.Required(field, strings.TrimSpace(value))
	checkLine(p, field, value, maxText)
}

// checkLine refuses what is not one line of text: a name with a line break in it
// is an attempt at something else.
func checkLine(p *fault.Problems, field, value string, limit int) {
	p.Check(len(value) <= limit, field, "is longer than %d bytes", limit)
	p.Check(oneLine(value), field, "has a control character or line break, or is not UTF-8")
}

// oneLine also refuses the marks that turn the direction of the text behind them.
func oneLine(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' ||
			r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	}) < 0
}

// safeURL accepts what a patient may be asked to open.
func safeURL(text string) bool {
	if len(text) > maxURL || !oneLine(text) || strings.ContainsAny(text, " \"<>\\^`{|}") {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return false
	}
	return address.Encrypted(u)
}
