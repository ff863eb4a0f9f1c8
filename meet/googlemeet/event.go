package googlemeet

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"google.golang.org/api/calendar/v3"

	"github.com/telemed-go/telemed/meet"
)

// How guests are told. Without guests there is nobody to tell.
const (
	notifyAll  = "all"
	notifyNone = "none"
)

func notify(attendees []*calendar.EventAttendee) string {
	if len(attendees) == 0 {
		return notifyNone
	}
	return notifyAll
}

var base32hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// newEventID derives the id of a Key's event. Google takes 5 to 1024 of a-v and 0-9.
func (c *Client) newEventID(key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "event %q %q", c.cfg.Namespace, key))
	return "tm" + strings.ToLower(base32hex.EncodeToString(sum[:20]))
}

// eventID reports whether id can be the id of an event: also of one by hand, or of a
// series.
func eventID(id string) bool {
	return len(id) <= 1024 && strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}) < 0
}

// markName is the private property by which an event of ours is known.
const markName = "telemed"

// mark ties an event to its Key without telling it.
func (c *Client) mark(key string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "key %q %q", c.cfg.Namespace, key))
	return hex.EncodeToString(sum[:])
}

func markOf(event *calendar.Event) string {
	if event.ExtendedProperties == nil {
		return ""
	}
	return event.ExtendedProperties.Private[markName]
}

// newEvent returns the event of a normal request.
func (c *Client) newEvent(id string, req meet.Request) *calendar.Event {
	event := &calendar.Event{
		Id:                      id,
		Summary:                 req.Topic,
		Start:                   eventTime(req.Start),
		End:                     eventTime(req.Start.Add(req.Duration)),
		Visibility:              "private",
		GuestsCanInviteOthers:   new(false),
		GuestsCanSeeOtherGuests: new(false),
		ExtendedProperties:      &calendar.EventExtendedProperties{Private: map[string]string{markName: c.mark(req.Key)}},
		ConferenceData:          newRoom(id), // the same for each attempt, so that they make one room
	}
	event.Attendees, _ = attendees(nil, req.Attendees)
	return event
}

// attendees returns the guests as req wants them, and whether they are others than
// before. A patch replaces the whole list, so who stays is sent as he was read: without
// his answer he would be asked again. The doctor and rooms are no guests, and stay.
// Nobody is listed twice.
func attendees(old []*calendar.EventAttendee, want []meet.Attendee) (list []*calendar.EventAttendee, changed bool) {
	guests, seen := map[string]*calendar.EventAttendee{}, map[string]bool{}
	for _, attendee := range old {
		if attendee == nil { // as JSON's null comes out
			continue
		}
		if attendee.Self || attendee.Organizer || attendee.Resource {
			list = append(list, attendee)
			seen[strings.ToLower(attendee.Email)] = true
			continue
		}
		guests[strings.ToLower(attendee.Email)] = attendee
	}
	for _, attendee := range want {
		address := strings.ToLower(attendee.Email)
		if seen[address] {
			continue
		}
		seen[address] = true
		if guest, stays := guests[address]; stays {
			list = append(list, guest)
			delete(guests, address)
			continue
		}
		list = append(list, newAttendee(attendee))
		changed = true
	}
	return list, changed || len(guests) > 0
}

// newAttendee leaves the answer to the invitation open: to set one would be to answer for
// the guest.
func newAttendee(a meet.Attendee) *calendar.EventAttendee {
	return &calendar.EventAttendee{Email: a.Email, DisplayName: a.Name}
}

// newRoom asks for a Meet room. Google ignores an id that the event had before.
func newRoom(requestID string) *calendar.ConferenceData {
	return &calendar.ConferenceData{CreateRequest: &calendar.CreateConferenceRequest{
		RequestId:             requestID,
		ConferenceSolutionKey: &calendar.ConferenceSolutionKey{Type: "hangoutsMeet"},
	}}
}

// eventTime names the zone only if it has a name that Google knows.
func eventTime(t time.Time) *calendar.EventDateTime {
	return &calendar.EventDateTime{DateTime: t.Format(time.RFC3339), TimeZone: meet.ZoneName(t)}
}

// readTime returns the zero time for what cannot be read.
func readTime(t *calendar.EventDateTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	zone, err := time.LoadLocation(t.TimeZone)
	if t.Date != "" { // somebody made it last the whole day
		if err != nil {
			zone = time.UTC
		}
		day, _ := time.ParseInLocation(time.DateOnly, t.Date, zone)
		return day
	}
	named := err == nil && t.TimeZone != "" && t.TimeZone != "Local"
	at, parseErr := time.Parse(time.RFC3339, t.DateTime)
	if parseErr != nil && named { // local time: the other form that Google documents
		at, parseErr = time.ParseInLocation("2006-01-02T15:04:05", t.DateTime, zone)
	}
	switch {
	case parseErr != nil:
		return time.Time{}
	case named:
		return at.In(zone)
	}
	return at
}

// meeting returns the event as a Meeting, and the state of its room.
func (k *call) meeting(event *calendar.Event) (*meet.Meeting, roomState) {
	link, state := k.room(event)
	start := readTime(event.Start)
	m := &meet.Meeting{
		ID: event.Id, Provider: ProviderName, Account: k.account, JoinURL: link, Topic: event.Summary, Start: start,
		Status: meet.StatusPending,
	}
	if end := readTime(event.End); !start.IsZero() && end.After(start) {
		m.Duration = end.Sub(start)
	}
	switch {
	case event.Status == "cancelled":
		m.Status, m.JoinURL, state = meet.StatusCancelled, "", roomClosed
	case state == roomReady:
		m.Status = meet.StatusScheduled
	}
	return m, state
}

// roomState is how far Google is with an event's room.
type roomState int

const (
	roomMissing roomState = iota
	roomPending
	roomFailed
	roomForeign
	roomReady
	roomClosed // with the event
)

// room returns the join link, if there is one. "pending" and "failure" look alike but for
// their status, and "success" may come before the link.
func (c *Client) room(event *calendar.Event) (string, roomState) {
	if link := videoLink(event); link != "" {
		if !c.leadsToMeet(link) {
			return "", roomForeign
		}
		return link, roomReady
	}
	if event.ConferenceData == nil || event.ConferenceData.CreateRequest == nil || event.ConferenceData.CreateRequest.Status == nil {
		return "", roomMissing
	}
	if event.ConferenceData.CreateRequest.Status.StatusCode == "failure" {
		return "", roomFailed
	}
	return "", roomPending
}

func videoLink(event *calendar.Event) string {
	if event.ConferenceData != nil {
		for _, entry := range event.ConferenceData.EntryPoints {
			if entry != nil && entry.EntryPointType == "video" && entry.Uri != "" {
				return entry.Uri
			}
		}
	}
	return event.HangoutLink
}

// leadsToMeet keeps a patient from being sent wherever a calendar entry says.
func (c *Client) leadsToMeet(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Scheme == c.join.Scheme && u.Host == c.join.Host && u.User == nil && len(u.Path) > 1
}
