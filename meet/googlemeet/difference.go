package googlemeet

import (
	"google.golang.org/api/calendar/v3"

	"github.com/telemed-go/telemed/meet"
)

// difference returns the patch that brings old to what req says, and whether guests are
// told. It is nil if there is nothing to do: then nobody is mailed a second time.
func difference(old *calendar.Event, req meet.Request) (change *calendar.Event, sendUpdates string) {
	change = &calendar.Event{}
	changed := false
	if end := req.Start.Add(req.Duration); !readTime(old.Start).Equal(req.Start) || !readTime(old.End).Equal(end) {
		changed = true
		change.Start, change.End = patchTime(old.Start, eventTime(req.Start)), patchTime(old.End, eventTime(end))
	}
	if old.Summary != req.Topic {
		changed = true
		change.Summary = req.Topic
	}
	attendees, moved := attendees(old.Attendees, req.Attendees)
	if moved {
		changed = true
		change.Attendees = attendees
		change.ForceSendFields = []string{"Attendees"} // an empty list would not be sent
	}
	if !changed {
		return nil, notifyNone
	}
	return change, notify(append(attendees, old.Attendees...))
}

// patchTime clears the date of an event that lasted the whole day: beside a time it is
// refused.
func patchTime(old, t *calendar.EventDateTime) *calendar.EventDateTime {
	if old != nil && old.Date != "" {
		t.NullFields = []string{"Date"}
	}
	return t
}
