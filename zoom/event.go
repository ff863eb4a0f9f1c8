package zoom

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/redact"
	"github.com/telemed-go/telemed/internal/webhook"
)

// Event is a verified notification. It prints without its content.
type Event struct {
	// Name is the kind, "meeting.started".
	Name string
	// Time is when it happened: the participant's time if there is one, else the event's.
	Time time.Time
	// AccountID is the Zoom account that it happened in.
	AccountID string
	// UserID is the Zoom user that it is about: the doctor of a meeting, or who deauthorized
	// the app. It is the Account.ID of that doctor's token.
	UserID string
	// ID is the same for each delivery of the same event, and no other event has it: 64
	// hexadecimal digits.
	ID string
	// Meeting is the meeting that it is about. Nil if there is none, and if Zoom does not
	// name one meeting by its id.
	Meeting *EventMeeting
	// Sessions are the UUIDs of what an event is about that names sessions alone, as those
	// about many recordings at once do.
	Sessions []string
	// Participant is who joined, left, waits or has registered. Nil if nobody did.
	Participant *Participant
	// Raw is the whole notification, with names and addresses: do not log it.
	Raw json.RawMessage `json:"-"`

	clientID string // the app's, of EventAppDeauthorized
}

// EventMeeting tells which meeting an event is about.
type EventMeeting struct {
	// ID is the ID of a meet.Meeting.
	ID string
	// UUID is Zoom's id of this one session of the meeting.
	UUID string
	// DoctorID is the doctor's Zoom user id.
	DoctorID string
	// Start and End are when the session began and ended. End is zero until it has.
	Start, End time.Time
}

// Participant is somebody in a meeting or before it, by ids that say nothing about the
// person.
//
// IsDoctor tells the doctor. Whoever has a RegistrantID or a CustomerKey is the patient to
// whom the application gave it. Anybody else is unknown: a guest who has the link.
type Participant struct {
	// AccountID is the Zoom user of somebody who is logged in, in the doctor's account. Empty
	// for guests.
	AccountID string
	// IsDoctor is true if AccountID is the meeting's DoctorID. It is false too if Zoom does
	// not tell one of them.
	IsDoctor bool
	// UserID is new each time somebody joins. Empty before the doctor starts the meeting.
	UserID string
	// UUID is the participant's in this session.
	UUID string
	// RegistrantID and CustomerKey are what the application gave a person on the way in. May
	// be empty.
	RegistrantID, CustomerKey string
}

// LogValue tells the kind, if it is a documented one, the meeting and the time.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("name", cmp.Or(eventWords.Known(e.Name), "another")), slog.Time("time", e.Time)}
	if e.Meeting != nil && meetingID.MatchString(e.Meeting.ID) {
		attrs = append(attrs, slog.String("meeting_id", e.Meeting.ID))
	}
	return slog.GroupValue(attrs...)
}

// meetingID is the form of Zoom's meeting numbers. A telephone number with its country's
// code is longer.
var meetingID = regexp.MustCompile(`^[0-9]{9,11}$`)

// Format tells the same for every verb.
func (e Event) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// flexText reads what Zoom writes as a string here and as a number there. Anything else
// is empty.
type flexText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *flexText) UnmarshalJSON(data []byte) error {
	*t = ""
	var text string
	var number json.Number
	switch {
	case json.Unmarshal(data, &text) == nil:
		*t = flexText(text)
	case json.Unmarshal(data, &number) == nil:
		*t = flexText(number)
	}
	return nil
}

// flexObject reads an object, and takes anything else for an empty one.
type flexObject[T any] struct{ value *T }

// UnmarshalJSON implements json.Unmarshaler.
func (o *flexObject[T]) UnmarshalJSON(data []byte) error {
	var value *T
	if json.Unmarshal(data, &value) == nil {
		o.value = value
	}
	return nil
}

// notification is the envelope, as lenient as Zoom's own examples need.
type notification struct {
	Event   string   `json:"event"`
	EventTS flexText `json:"event_ts"`
	Payload flexObject[struct {
		AccountID    flexText                    `json:"account_id"`
		UserID       flexText                    `json:"user_id"`
		ClientID     flexText                    `json:"client_id"`
		EventTS      flexText                    `json:"event_ts"`
		Deauthorized flexText                    `json:"deauthorization_time"`
		Object       flexObject[notifiedMeeting] `json:"object"`
	}] `json:"payload"`
}

// notifiedMeeting has each of a meeting's names under all the names that Zoom has for it:
// https://developers.zoom.us/docs/api/meetings/events/.
type notifiedMeeting struct {
	ID            flexText `json:"id"`
	MeetingID     flexText `json:"meeting_id"`
	MeetingNumber flexText `json:"meeting_number"`

	UUID        flexText `json:"uuid"`
	MeetingUUID flexText `json:"meeting_uuid"`

	DoctorID        flexText `json:"host_id"`
	MeetingDoctorID flexText `json:"meeting_host_id"`

	StartTime        flexText `json:"start_time"`
	MeetingStartTime flexText `json:"meeting_start_time"`
	EndTime          flexText `json:"end_time"`
	MeetingEndTime   flexText `json:"meeting_end_time"`

	Participant flexObject[notifiedParticipant] `json:"participant"`
	Registrant  flexObject[notifiedParticipant] `json:"registrant"`

	Meetings     flexObject[[]flexObject[notifiedMeeting]] `json:"meetings"`
	MeetingUUIDs flexObject[[]flexText]                    `json:"meeting_uuids"`
}

type notifiedParticipant struct {
	ID            flexText `json:"id"`
	ParticipantID flexText `json:"participant_user_id"`
	UserID        flexText `json:"user_id"`
	UUID          flexText `json:"participant_uuid"`
	RegistrantID  flexText `json:"registrant_id"`
	CustomerKey   flexText `json:"customer_key"`
	JoinTime      flexText `json:"join_time"`
	LeaveTime     flexText `json:"leave_time"`
	DateTime      flexText `json:"date_time"`
}

// sessions are the UUIDs that an event names without the ids of meetings.
func (m *notifiedMeeting) sessions() []string {
	var all []string
	note := func(uuid flexText) {
		if uuid != "" {
			all = append(all, string(uuid))
		}
	}
	note(cmp.Or(m.UUID, m.MeetingUUID))
	if list := m.Meetings.value; list != nil {
		for _, one := range *list {
			if one.value != nil {
				note(cmp.Or(one.value.UUID, one.value.MeetingUUID))
			}
		}
	}
	if list := m.MeetingUUIDs.value; list != nil {
		for _, uuid := range *list {
			note(uuid)
		}
	}
	return all
}

var errNoEvent = errors.New("zoom: webhook: the body is not an event")

// parseEvent reads a verified body. Kinds that it does not know have only a name, a time
// and Raw.
func parseEvent(raw []byte) (Event, error) {
	var n notification
	if json.Unmarshal(raw, &n) != nil || n.Event == "" {
		return Event{}, errNoEvent
	}
	e := Event{Name: n.Event, Time: moment(n.EventTS), Raw: raw, ID: identity(raw)}
	payload := n.Payload.value
	if payload == nil {
		return e, nil
	}
	e.AccountID, e.UserID, e.clientID = string(payload.AccountID), string(payload.UserID), string(payload.ClientID)
	if e.Time.IsZero() {
		e.Time = either(moment(payload.Deauthorized), moment(payload.EventTS))
	}
	if object := payload.Object.value; object != nil {
		e.readMeeting(object)
	}
	return e, nil
}

// readMeeting fills in what the event is about.
func (e *Event) readMeeting(object *notifiedMeeting) {
	if strings.HasPrefix(e.Name, "user.") {
		e.UserID = string(object.ID)
	}
	if !strings.HasPrefix(e.Name, "meeting.") && !strings.HasPrefix(e.Name, "recording.") {
		return
	}
	doctor := string(cmp.Or(object.DoctorID, object.MeetingDoctorID))
	if e.UserID == "" {
		e.UserID = doctor
	}
	if id := cmp.Or(object.ID, object.MeetingID, object.MeetingNumber); id != "" {
		e.Meeting = &EventMeeting{
			ID: string(id), UUID: string(cmp.Or(object.UUID, object.MeetingUUID)), DoctorID: doctor,
			Start: moment(cmp.Or(object.StartTime, object.MeetingStartTime)),
			End:   moment(cmp.Or(object.EndTime, object.MeetingEndTime)),
		}
	} else {
		e.Sessions = object.sessions()
	}
	if who := object.Participant.value; who != nil {
		e.readParticipant(who, doctor)
	} else if who := object.Registrant.value; who != nil {
		e.Participant = &Participant{RegistrantID: string(who.ID)}
	}
}

// readParticipant fills in who it is. Zoom names the user by participant_user_id, and in
// some events by id alone.
func (e *Event) readParticipant(who *notifiedParticipant, doctor string) {
	account := string(cmp.Or(who.ParticipantID, who.ID))
	e.Participant = &Participant{
		AccountID: account, IsDoctor: doctor != "" && (account == doctor || string(who.ID) == doctor),
		UserID: string(who.UserID), UUID: string(who.UUID),
		RegistrantID: string(who.RegistrantID), CustomerKey: string(who.CustomerKey),
	}
	for _, at := range []flexText{who.DateTime, who.JoinTime, who.LeaveTime} {
		if t := moment(at); !t.IsZero() {
			e.Time = t
		}
	}
}

// identity is a hash of what an event has in common whenever it is sent: all of it, save
// tokens and links, which are new in each delivery. A choice of fields would not do: two
// patients who wait in the same millisecond differ only in a field that other events do
// not have.
func identity(raw []byte) string {
	var event any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&event) != nil {
		return webhook.Digest(raw)
	}
	canonical, err := json.Marshal(withoutLinks(event))
	if err != nil {
		return webhook.Digest(raw)
	}
	return webhook.Digest(canonical)
}

// withoutLinks removes what is new in each delivery, at any depth.
func withoutLinks(value any) any {
	switch v := value.(type) {
	case map[string]any:
		maps.DeleteFunc(v, func(name string, _ any) bool {
			return strings.Contains(name, "token") || strings.HasSuffix(name, "_url")
		})
		for name := range v {
			v[name] = withoutLinks(v[name])
		}
	case []any:
		for i := range v {
			v[i] = withoutLinks(v[i])
		}
	}
	return value
}

// moment reads Zoom's times: milliseconds, seconds, RFC 3339 or "2006-01-02 15:04:05" in
// UTC. Zero if it is none.
func moment(text flexText) time.Time {
	if number, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		if number > 1e11 {
			return time.UnixMilli(number).UTC()
		}
		return time.Unix(number, 0).UTC()
	}
	for _, layout := range []string{time.RFC3339, time.DateTime} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

func either(first, second time.Time) time.Time {
	if first.IsZero() {
		return second
	}
	return first
}
