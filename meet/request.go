package meet

import (
	"fmt"
	"log/slog"
	"net/mail"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Limits that every provider can keep.
const (
	// MaxTopic is the length of a topic in characters at most.
	MaxTopic = 200
	// MaxKey is the length of a key in bytes at most.
	MaxKey = 255
	// MaxDuration is how long a meeting may be planned for.
	MaxDuration = 24 * time.Hour
	// MaxAttendees is how many people may be invited.
	MaxAttendees = 100
	// pastGrace lets "now" through although a moment has passed since.
	pastGrace = time.Minute
)

// DefaultTopic is the topic of a meeting whose Request has none.
const DefaultTopic = "Video consultation"

// Request is what an application asks for.
type Request struct {
	// Key names the meeting at the application, 1 to 255 bytes: the appointment's id, and
	// "appt-42/2" for the one that takes the place of a cancelled one. It makes Create
	// repeatable. Providers see a hash of it at most. Required.
	Key string
	// Start is when the meeting begins; seconds are kept, fractions dropped. It is not in
	// the past, except where Create is repeated for a meeting that exists. Its Location is
	// the zone that calendars show, if that has an IANA name. Required.
	Start time.Time
	// Duration is 1 minute to 24 hours, rounded up to whole minutes. Required.
	Duration time.Duration
	// Topic is shown by the provider, to others than the patient too: leave
	// names out. Up to 200 characters. If empty, DefaultTopic.
	Topic string
	// Attendees are invited by the provider, which then knows their addresses and mails
	// them. If empty, nobody is: the application sends the link itself.
	Attendees []Attendee
}

// Attendee is somebody whom the provider invites.
type Attendee struct {
	// Email is a bare address, "asha@example.org". Required.
	Email string
	// Name is shown to the other attendees. May be empty.
	Name string
}

// LogValue hides both.
func (a Attendee) LogValue() slog.Value { return slog.StringValue(telemed.Redacted) }

// Format tells the same for every verb.
func (a Attendee) Format(f fmt.State, _ rune) { redact.Format(f, a) }

// LogValue leaves out everything personal.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", r.Key), slog.Time("start", r.Start),
		slog.Duration("duration", r.Duration), slog.Int("attendees", len(r.Attendees)))
}

// Format tells the same for every verb.
func (r Request) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// Validate names everything that is wrong with r, whenever it is. Create calls it first,
// for it looks for the Key's meeting before it refuses to make one in the past. The error
// matches telemed.ErrInvalid.
func (r Request) Validate() error {
	p := r.problems()
	return p.Err("meet: request")
}

// ValidateAt is Validate, and also refuses a Start that has passed at the time now, by
// more than a minute. Update calls it first, and Create before it makes a meeting.
func (r Request) ValidateAt(now time.Time) error {
	p := r.problems()
	p.Check(r.Start.IsZero() || !r.Start.Before(now.Add(-pastGrace)), "Start", "is in the past")
	return p.Err("meet: request")
}

func (r Request) problems() fault.Problems {
	var p fault.Problems
	p.Required("Key", r.Key)
	p.Check(len(r.Key) <= MaxKey, "Key", "is longer than %d bytes", MaxKey)
	p.Check(printable(r.Key), "Key", "has characters that cannot be printed")
	p.Check(!r.Start.IsZero(), "Start", "is required")
	switch {
	case r.Duration == 0:
		p.Add("Duration", "is required")
	case r.Duration < time.Minute || r.Duration > MaxDuration:
		p.Add("Duration", "is not between 1 minute and 24 hours")
	}
	p.Check(utf8.RuneCountInString(r.Topic) <= MaxTopic, "Topic", "is longer than %d characters", MaxTopic)
	p.Check(printable(r.Topic), "Topic", "has characters that cannot be printed")
	p.Check(len(r.Attendees) <= MaxAttendees, "Attendees", "are more than %d", MaxAttendees)
	for i, attendee := range r.Attendees {
		field := fmt.Sprintf("Attendees[%d]", i)
		p.Check(bareAddress(attendee.Email), field+".Email", "is not an e-mail address")
		p.Check(printable(attendee.Name), field+".Name", "has characters that cannot be printed")
	}
	return p
}

// Normal returns r as providers send it: whole seconds, whole minutes, a topic.
func (r Request) Normal() Request {
	r.Start = r.Start.Truncate(time.Second)
	r.Duration = (r.Duration + time.Minute - 1).Truncate(time.Minute)
	if r.Topic == "" {
		r.Topic = DefaultTopic
	}
	return r
}

// ZoneName returns the IANA name of t's zone, "Asia/Kolkata". It is empty for
// time.Local and for fixed offsets, whose names no provider understands.
func ZoneName(t time.Time) string {
	name := t.Location().String()
	// "localtime", "posixrules" and "right/UTC" are files of a machine, and no zones.
	if name == "" || name == "Local" || name == "Factory" || name[0] < 'A' || name[0] > 'Z' {
		return ""
	}
	loaded, err := time.LoadLocation(name)
	if err != nil || !sameOffset(loaded, t) {
		return ""
	}
	return name
}

// sameOffset tells a true zone from a fixed one that borrows its name.
func sameOffset(zone *time.Location, t time.Time) bool {
	_, want := t.Zone()
	_, got := t.In(zone).Zone()
	return got == want
}

func printable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return false
		}
	}
	return true
}

func bareAddress(text string) bool {
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text && address.Name == ""
}
