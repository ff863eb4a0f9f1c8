package template

import (
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// PaymentDue is the data of PaymentAsked and PaymentFailed. Texts are one line of at most
// 200 bytes.
type PaymentDue struct {
	// Patient is the patient's name. Required.
	Patient string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Amount is what is to be paid, in the currency's smallest unit. Positive.
	Amount int64
	// Currency is the ISO 4217 code. Required.
	Currency string
	// Item is what is paid for; name no illness. If empty, it is not shown.
	Item string
	// URL is the page where to pay: https, or http on loopback. Required.
	URL string
	// Until is when the offer ends. If zero, it is not shown.
	Until time.Time
}

// Validate names everything that is wrong with d. The error matches telemed.ErrInvalid.
func (d PaymentDue) Validate() error {
	var p fault.Problems
	requiredLine(&p, "Patient", d.Patient)
	checkLine(&p, "Clinic", d.Clinic, maxText)
	p.Check(d.Amount > 0, "Amount", "is not positive")
	p.Check(validCurrency(d.Currency), "Currency", "is not an ISO 4217 code in capitals")
	checkLine(&p, "Item", d.Item, maxText)
	p.Required("URL", d.URL)
	checkLink(&p, "URL", d.URL)
	return p.Err("template: payment due")
}

// LogValue leaves out everything personal.
func (d PaymentDue) LogValue() slog.Value { return slog.GroupValue(slog.String("kind", "payment due")) }

// Format tells the same for every verb.
func (d PaymentDue) Format(f fmt.State, _ rune) { redact.Format(f, d) }

func (d PaymentDue) clinic() string { return d.Clinic }

// Code is the data of OneTimePassword. Texts are one line of at most
// 200 bytes.
type Code struct {
	// Code is the code, at most 15 characters, which is what Meta takes. Required.
	Code string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// ValidFor is how long the code can be used. Positive.
	ValidFor time.Duration
}

// Validate names everything that is wrong with d. The error matches telemed.ErrInvalid.
func (d Code) Validate() error {
	var p fault.Problems
	p.Required("Code", d.Code)
	checkLine(&p, "Code", d.Code, 60)
	p.Check(utf8.RuneCountInString(d.Code) <= 15, "Code", "is longer than 15 characters")
	checkLine(&p, "Clinic", d.Clinic, maxText)
	p.Check(d.ValidFor > 0, "ValidFor", "is not positive")
	return p.Err("template: code")
}

// LogValue leaves out everything personal.
func (d Code) LogValue() slog.Value { return slog.GroupValue(slog.String("kind", "code")) }

// Format tells the same for every verb.
func (d Code) Format(f fmt.State, _ rune) { redact.Format(f, d) }

func (d Code) clinic() string { return d.Clinic }

// Document is the data of DocumentReady. Texts are one line of at most
// 200 bytes.
type Document struct {
	// Patient is the patient's name. Required.
	Patient string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Doctor is the doctor's name with its title. Required.
	Doctor string
	// Title is the kind of document, "Prescription"; name no illness. Required.
	Title string
	// URL is the page that shows it, behind a login: https, or http on loopback. Required.
	URL string
	// Registration is the doctor's number at the medical council. If empty, it is not shown.
	Registration string
	// Council is the name of that council. If empty, it is not shown.
	Council string
}

// Validate names everything that is wrong with d. The error matches telemed.ErrInvalid.
func (d Document) Validate() error {
	var p fault.Problems
	requiredLine(&p, "Patient", d.Patient)
	checkLine(&p, "Clinic", d.Clinic, maxText)
	requiredLine(&p, "Doctor", d.Doctor)
	requiredLine(&p, "Title", d.Title)
	p.Required("URL", d.URL)
	checkLink(&p, "URL", d.URL)
	checkLine(&p, "Registration", d.Registration, maxText)
	checkLine(&p, "Council", d.Council, maxText)
	return p.Err("template: document")
}

// LogValue leaves out everything personal.
func (d Document) LogValue() slog.Value { return slog.GroupValue(slog.String("kind", "document")) }

// Format tells the same for every verb.
func (d Document) Format(f fmt.State, _ rune) { redact.Format(f, d) }

func (d Document) clinic() string { return d.Clinic }

// DayList is the data of TodaysList. Texts are one line of at most
// 200 bytes.
type DayList struct {
	// Doctor is the doctor's name with its title. Required.
	Doctor string
	// Clinic is the clinic's name. If empty, Config.Clinic.
	Clinic string
	// Day is any time of the day. Required.
	Day time.Time
	// Visits are the appointments of the day, in their order. May be empty.
	Visits []Slot
	// URL is the application's page with the list: https, or http on loopback. If empty, it
	// is not shown.
	URL string
}

// Validate names everything that is wrong with d. The error matches telemed.ErrInvalid.
func (d DayList) Validate() error {
	var p fault.Problems
	requiredLine(&p, "Doctor", d.Doctor)
	checkLine(&p, "Clinic", d.Clinic, maxText)
	p.Check(!d.Day.IsZero(), "Day", "is required")
	for _, slot := range d.Visits {
		requiredLine(&p, "Visits.Patient", slot.Patient)
		p.Check(!slot.Start.IsZero(), "Visits.Start", "is required")
	}
	checkLink(&p, "URL", d.URL)
	return p.Err("template: day list")
}

// LogValue leaves out everything personal.
func (d DayList) LogValue() slog.Value { return slog.GroupValue(slog.String("kind", "day list")) }

// Format tells the same for every verb.
func (d DayList) Format(f fmt.State, _ rune) { redact.Format(f, d) }

func (d DayList) clinic() string { return d.Clinic }

func (d Document) registered() (registration, council string) { return d.Registration, d.Council }

// Slot is one appointment of a DayList.
type Slot struct {
	// Start is when it begins. Required.
	Start time.Time
	// Patient is the patient's name. Required.
	Patient string
}

// LogValue leaves out everything personal.
func (s Slot) LogValue() slog.Value { return slog.GroupValue(slog.Time("start", s.Start)) }

// Format tells the same for every verb.
func (s Slot) Format(f fmt.State, _ rune) { redact.Format(f, s) }
