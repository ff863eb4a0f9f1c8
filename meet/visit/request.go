package visit

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/notify"
	"github.com/telemed-go/telemed/notify/template"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store/durable"
)

// Request is a visit that is to be booked.
type Request struct {
	// ID is the application's own id of the visit, unique in the store, over all tenants. It
	// is the Key of its bill, its meeting and its messages, so that providers see it, or a
	// hash of it: nobody's name. At most 40 characters. Required.
	ID string `json:"id"`
	// Tenant is the clinic, in an application that serves several. It is part of the name of
	// the live room, "clinic-" + Tenant. Empty: there is one clinic, and no live event.
	Tenant string `json:"tenant,omitempty"`
	// Doctor and Patient are who meets. Required.
	Doctor  Doctor  `json:"doctor"`
	Patient Patient `json:"patient"`
	// Provider is one of Config.Meetings. Empty: there is no meeting, the patient walks in.
	Provider string `json:"provider,omitempty"`
	// Start is when it begins, in the next nine years, Duration how long it lasts, a minute to
	// 24 hours. Required.
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration"`
	// Price is what the patient pays before it is booked. Zero: it is free.
	Price payments.Money `json:"price,omitzero"`
}

// Doctor is whose visit it is.
type Doctor struct {
	// ID is the application's id of the doctor, whose connected account holds the meeting: at
	// most 200 bytes. Required.
	ID string `json:"id"`
	// Name is how patients know the doctor, with the title: "Dr Meera Rao". Required.
	Name string `json:"name"`
	// Email is where the doctor is told. Empty: not at all.
	Email string `json:"email,omitempty"`
	// Zone is the IANA name of the doctor's zone. Empty: the clinic's.
	Zone string `json:"zone,omitempty"`
	// Locale is a BCP 47 tag. Empty: the Renderer's default.
	Locale string `json:"locale,omitempty"`
	// Registration is the doctor's number at the medical council, Council its name. Messages
	// to the patient and receipts show them. Required by Config.Preset template.India2020. A
	// request that differs from a visit in nothing else is the same request.
	Registration string `json:"registration,omitempty"`
	Council      string `json:"council,omitempty"`
}

// Patient is who comes.
type Patient struct {
	// Name is how the patient is greeted. Required.
	Name string `json:"name"`
	// Email and Phone, in E.164, are where the patient is told: at least one of them, for a
	// channel that Config has.
	Email string `json:"email,omitempty"`
	Phone string `json:"phone,omitempty"`
	// Zone is the IANA name of the patient's zone, which times are shown in and quiet hours
	// are kept in. Empty: the clinic's.
	Zone string `json:"zone,omitempty"`
	// Locale is a BCP 47 tag, "hi-IN". Empty: the Renderer's default.
	Locale string `json:"locale,omitempty"`
}

// LogValue leaves out the persons.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", r.ID), slog.String("tenant", r.Tenant), slog.String("provider", r.Provider),
		slog.Time("start", r.Start), slog.String("price", r.Price.String()))
}

// Format prints what LogValue tells, whatever the verb.
func (r Request) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// LogValue tells the doctor's id.
func (d Doctor) LogValue() slog.Value { return slog.GroupValue(slog.String("id", d.ID)) }

// Format prints what LogValue tells, whatever the verb.
func (d Doctor) Format(f fmt.State, _ rune) { redact.Format(f, d) }

// LogValue tells nothing.
func (p Patient) LogValue() slog.Value { return slog.GroupValue() }

// Format prints what LogValue tells, whatever the verb.
func (p Patient) Format(f fmt.State, _ rune) { redact.Format(f, p) }

// same reports whether other asks for the same visit.
func (r Request) same(other Request) bool {
	starts := r.Start.Equal(other.Start)
	r.Start, other.Start = time.Time{}, time.Time{}
	r.Doctor.Registration, r.Doctor.Council = other.Doctor.Registration, other.Doctor.Council
	return starts && r == other
}

// maxID is what a gateway takes as the Key of an order.
const maxID = 40

// farthest is how far ahead a visit may be. What is said of it, and its bill, may wait for
// ten years at most.
const farthest = 9 * 365 * aDay

// validate names all that is wrong with r at a clinic.
func (r Request) validate(c *clinic) error {
	var p fault.Problems
	checkLine(&p, "ID", r.ID, 4*maxID)
	p.Check(utf8.RuneCountInString(r.ID) <= maxID, "ID", "is longer than %d characters", maxID)
	tenant := durable.CheckItem(durable.Item{ID: rowID("visit"), Tenant: r.Tenant})
	p.Check(tenant == nil, "Tenant", "is longer than %d bytes, or not UTF-8 without control characters", durable.MaxTenant)
	_, known := c.Meetings[r.Provider]
	p.Check(r.Provider == "" || known, "Provider", "is none of Config.Meetings")
	p.Check(!r.Start.IsZero(), "Start", "is required")
	p.Check(r.Start.IsZero() || r.Start.After(time.Now()), "Start", "is over")
	p.Check(time.Until(r.Start) < farthest, "Start", "is more than nine years away")
	p.Check(r.Duration >= time.Minute && r.Duration <= meet.MaxDuration, "Duration", "is not between a minute and 24 hours")
	r.Doctor.check(&p, c.Preset)
	r.Patient.check(&p, c)
	if !r.Price.IsZero() {
		p.Check(c.Gateway != nil, "Price", "is to be paid, and Config has no Gateway")
		for _, wrong := range telemed.Fields(payments.OrderRequest{Amount: r.Price, Key: "visit"}.Validate()) {
			p.Add("Price", "%s", wrong.Problem)
		}
	}
	return p.Err("visit: request")
}

func (d Doctor) check(p *fault.Problems, preset template.Preset) {
	checkLine(p, "Doctor.ID", d.ID, 200)
	checkLine(p, "Doctor.Name", d.Name, maxText)
	p.Check(d.Email == "" || notify.ValidEmail(d.Email), "Doctor.Email", "is not an e-mail address")
	checkZone(p, "Doctor.Zone", d.Zone)
	checkLocale(p, "Doctor.Locale", d.Locale)
	checkText(p, "Doctor.Registration", d.Registration, maxText)
	checkText(p, "Doctor.Council", d.Council, maxText)
	if preset == template.India2020 {
		p.Check(d.Registration != "", "Doctor.Registration", "is required by India2020")
		p.Check(d.Council != "", "Doctor.Council", "is required by India2020")
	}
}

func (p Patient) check(all *fault.Problems, c *clinic) {
	checkLine(all, "Patient.Name", p.Name, maxText)
	all.Check(p.Email == "" || notify.ValidEmail(p.Email), "Patient.Email", "is not an e-mail address")
	all.Check(p.Phone == "" || notify.ValidPhone(p.Phone), "Patient.Phone", "is not an E.164 number such as +919876543210")
	checkZone(all, "Patient.Zone", p.Zone)
	checkLocale(all, "Patient.Locale", p.Locale)
	if c.Mail != nil || c.WhatsApp != nil {
		all.Check(len(c.channels(p)) > 0, "Patient", "cannot be told: it has no Email or Phone for a channel of Config")
	}
}

// maxText is what the templates take.
const maxText = 200

func checkLine(p *fault.Problems, field, text string, most int) {
	p.Required(field, text)
	checkText(p, field, text, most)
}

// checkText takes an empty text too.
func checkText(p *fault.Problems, field, text string, most int) {
	p.Check(len(text) <= most, field, "is longer than %d bytes", most)
	p.Check(utf8.ValidString(text) && !strings.ContainsFunc(text, isControl), field, "is not UTF-8 without control characters")
}

// isControl reports what a mail's header cannot have: controls, separators, and marks that
// change the direction of text.
func isControl(r rune) bool {
	return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

var localePattern = regexp.MustCompile(`^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,5})?$`)

func checkLocale(p *fault.Problems, field, tag string) {
	p.Check(localePattern.MatchString(tag), field, "is not a BCP 47 tag such as hi-IN")
}

func checkZone(p *fault.Problems, field, name string) {
	_, err := zoneOf(name)
	p.Check(err == nil, field, "is not the IANA name of a zone, such as Asia/Kolkata")
}

// zoneOf returns the zone of an IANA name, nil for none.
func zoneOf(name string) (*time.Location, error) {
	switch name {
	case "":
		return nil, nil
	case "Local": // whatever this machine has
		return nil, fmt.Errorf("visit: zone Local")
	}
	return time.LoadLocation(name)
}
