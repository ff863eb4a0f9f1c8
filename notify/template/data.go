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

// The built-in templates for patients.
const (
	// Confirmed tells that an appointment is booked. Data: Appointment.
	Confirmed = "appointment_confirmed"
	// Rescheduled tells that an appointment has moved. Data: Appointment.
	Rescheduled = "appointment_rescheduled"
	// Cancelled tells that an appointment will not take place. Data: Appointment.
	Cancelled = "appointment_cancelled"
	// Reminder tells how soon an appointment starts, seen from Config.Now. It has no
	// calendar file. Data: Appointment.
	Reminder = "appointment_reminder"
	// VisitWaiting tells, when an appointment is near and there is no link yet, that it will
	// follow, and what to do if it does not. Data: Appointment; JoinURL is not shown.
	VisitWaiting = "appointment_waiting"
	// JoinNow tells that the doctor is there. Data: Appointment.
	JoinNow = "appointment_join"
	// DoctorLate tells that an appointment starts later. Data: Appointment, with Delay.
	DoctorLate = "doctor_late"
	// NoShow tells a patient who did not come what to do. Data: Appointment.
	NoShow = "appointment_missed"
	// PaymentAsked asks for a payment. Data: PaymentDue.
	PaymentAsked = "payment_due"
	// PaymentFailed tells that a payment did not go through. Data: PaymentDue.
	PaymentFailed = "payment_failed"
	// OneTimePassword gives a code. Data: Code.
	OneTimePassword = "one_time_password"
	// DocumentReady tells that a document can be read. Data: Document.
	DocumentReady = "document_ready"
	// PaymentReceived tells that a payment has arrived. Data: Payment.
	PaymentReceived = "payment_receipt"
	// RefundPending tells that money is going back. Data: Refund.
	RefundPending = "payment_refund_pending"
	// Refunded tells that the gateway has sent the money back. Data: Refund.
	Refunded = "payment_refunded"
)

// The built-in templates for doctors. Of the patient they show the name and nothing else.
// A Note may hold more: whoever writes it decides.
const (
	// DoctorBooked tells a doctor of an appointment. Data: Appointment; JoinURL is the
	// doctor's way in, and may be empty. The calendar entry is another one than the
	// patient's.
	DoctorBooked = "doctor_booked"
	// DoctorMoved tells a doctor that an appointment has moved. Data: Appointment, as for
	// DoctorBooked.
	DoctorMoved = "doctor_moved"
	// DoctorCancelled tells a doctor that an appointment will not take place. Data:
	// Appointment, as for DoctorBooked.
	DoctorCancelled = "doctor_cancelled"
	// TodaysList lists a doctor's appointments of a day. Data: DayList.
	TodaysList = "doctor_today"
	// Reconnect asks a doctor to connect an account again. Data: Reconnection.
	Reconnect = "doctor_reconnect"
)

// entry is what a calendar entry needs to know of a built-in template.
type entry struct{ moves, cancels, doctors bool }

var entries = map[string]entry{
	Rescheduled: {moves: true}, Cancelled: {moves: true, cancels: true},
	DoctorBooked: {doctors: true}, DoctorMoved: {moves: true, doctors: true}, DoctorCancelled: {moves: true, cancels: true, doctors: true},
}

// Limits of the texts in Data, in bytes. They keep a subject in one header line.
const (
	maxText = 200
	maxNote = 500
	maxURL  = 2000
)

// validator is Data that knows what is wrong with itself: the built-in types, and
// those of applications that have the method.
type validator interface{ Validate() error }

// clinical is Data that may name a clinic of its own.
type clinical interface{ clinic() string }

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
	// Sequence counts the changes of the appointment, for calendars. A cancellation has the
	// next number. If 0, a confirmation has 0, and what moves or cancels the appointment the
	// seconds since 2024: two moves within a second have the same number.
	Sequence int
	// Registration is the doctor's number at the medical council, Council its name. If
	// empty, they are not shown.
	Registration, Council string `json:",omitempty"`
	// Delay is how much later a doctor who is late begins, up to 24 hours. If 0, it is not
	// shown.
	Delay time.Duration `json:",omitempty"`
	// CalendarURL, RescheduleURL and CancelURL are the application's pages that add the
	// appointment to a calendar, move and cancel it. They are like JoinURL; those that are
	// empty are not shown.
	CalendarURL, RescheduleURL, CancelURL string `json:",omitempty"`
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
	checkLine(&p, "Registration", a.Registration, maxText)
	checkLine(&p, "Council", a.Council, maxText)
	p.Check(a.Delay >= 0 && a.Delay <= 24*time.Hour, "Delay", "is not between 0 and 24 hours")
	for field, link := range map[string]string{"CalendarURL": a.CalendarURL, "RescheduleURL": a.RescheduleURL, "CancelURL": a.CancelURL} {
		checkLink(&p, field, link)
	}
	return p.Err("template: appointment")
}

// LogValue leaves out everything personal.
func (a Appointment) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", a.Key), slog.Time("start", a.Start))
}

// Format tells the same for every verb.
func (a Appointment) Format(f fmt.State, _ rune) { redact.Format(f, a) }

func (a Appointment) clinic() string { return a.Clinic }

func (a Appointment) registered() (registration, council string) {
	return a.Registration, a.Council
}

// checkLink takes an empty address too.
func checkLink(p *fault.Problems, field, link string) {
	p.Check(link == "" || safeURL(link), field, "is not an https address (or http on loopback)")
}

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
