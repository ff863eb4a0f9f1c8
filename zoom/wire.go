package zoom

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet"
)

// timeFormat is the one form of start_time that Zoom surely reads. Of any other it
// silently makes "now".
const timeFormat = "2006-01-02T15:04:05Z"

// scheduled is Zoom's type of a meeting at a set time.
const scheduled = 2

// schedule is the part of a meeting that Create sets and Update changes.
type schedule struct {
	Topic     string `json:"topic"`
	StartTime string `json:"start_time"`
	TimeZone  string `json:"timezone,omitempty"`
	Duration  int    `json:"duration"` // minutes
}

// newMeeting is the body of a create.
type newMeeting struct {
	schedule
	Type     int            `json:"type"`
	Agenda   string         `json:"agenda"`
	Password string         `json:"password"`
	Settings map[string]any `json:"settings"`
}

// near is how far the start of a visit that begins right now, or has begun, may be moved.
const near = 2 * time.Minute

// newSchedule returns what Zoom is told of req, which must be normal. A start that has
// just passed is moved on a little: Zoom would make its own "now" of it, and ignore it in
// an update.
func newSchedule(req meet.Request, now time.Time) schedule {
	start := req.Start
	if soon := now.Add(15 * time.Second); start.Before(soon) {
		start = soon
	}
	return schedule{
		Topic:     req.Topic,
		StartTime: start.UTC().Format(timeFormat),
		TimeZone:  meet.ZoneName(req.Start),
		Duration:  int(req.Duration / time.Minute),
	}
}

// meeting is Zoom's answer. It is never printed: start_url makes its holder the host.
type meeting struct {
	ID        flexInt        `json:"id"`
	DoctorID  string         `json:"host_id"`
	Topic     string         `json:"topic"`
	Agenda    string         `json:"agenda"`
	StartTime string         `json:"start_time"`
	TimeZone  string         `json:"timezone"`
	Duration  int            `json:"duration"`
	CreatedAt string         `json:"created_at"`
	JoinURL   string         `json:"join_url"`
	StartURL  string         `json:"start_url"`
	Password  *string        `json:"password"`
	Settings  map[string]any `json:"settings"`
}

// Check refuses what lacks what every meeting has.
func (m *meeting) Check() error {
	if m.ID == 0 || m.JoinURL == "" {
		return errIncomplete
	}
	return nil
}

func (m *meeting) id() string { return strconv.FormatInt(int64(m.ID), 10) }

// start is when the meeting begins; zero if Zoom did not say.
func (m *meeting) start() time.Time {
	at, err := time.Parse(time.RFC3339, m.StartTime)
	if err != nil {
		return time.Time{}
	}
	return at
}

// misplaced names the fields of the schedule in which m differs from req, which must be
// normal.
func (m *meeting) misplaced(req meet.Request, now time.Time) []string {
	var fields []string
	moved := m.start().Sub(req.Start).Abs()
	if moved > near || moved > 0 && req.Start.Sub(now) > near {
		fields = append(fields, "start_time")
	}
	if time.Duration(m.Duration)*time.Minute != req.Duration {
		fields = append(fields, "duration")
	}
	return fields
}

// is reports whether m is as req, which must be normal, wants it. A zone that has two
// names may look like another one: a change too many does no harm.
func (m *meeting) is(req meet.Request, now time.Time) bool {
	zone := meet.ZoneName(req.Start)
	return m.misplaced(req, now) == nil && m.Topic == req.Topic && (zone == "" || zone == m.TimeZone)
}

// markPrefix begins the agenda of each meeting that Create makes.
const markPrefix = "ref:"

// markLength is how long a mark is.
const markLength = len(markPrefix) + 20

// isOthers reports whether m says that it was made for another key than the mark's.
func (m *meeting) isOthers(mark string) bool { return m.mark() != "" && m.mark() != mark }

// mark returns the mark of the Key that m was made for, empty if the agenda has none.
func (m *meeting) mark() string {
	if !strings.HasPrefix(m.Agenda, markPrefix) || len(m.Agenda) < markLength {
		return ""
	}
	return m.Agenda[:markLength]
}

// page is a part of a list of meetings.
type page struct {
	Meetings []meeting `json:"meetings"`
	Size     int       `json:"page_size"`
	Next     string    `json:"next_page_token"`
}

// Check tells a page without meetings from an answer that is none.
func (p *page) Check() error {
	if p.Meetings == nil && p.Size <= 0 {
		return errIncomplete
	}
	return nil
}

// flexInt reads a number that Zoom writes as a number or as a string. Anything else is 0.
type flexInt int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *flexInt) UnmarshalJSON(data []byte) error {
	value, err := strconv.ParseInt(string(bytes.Trim(data, `"`)), 10, 64)
	if err != nil {
		value = 0
	}
	*n = flexInt(value)
	return nil
}

var errIncomplete = errors.New("the answer is not what was asked for")
