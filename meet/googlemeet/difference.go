package googlemeet

import (
	"time"

	"google.golang.org/api/calendar/v3"

	"github.com/telemed-go/telemed/meet"
)

// difference returns the patch that brings old to what req says, and whether guests are
// told. It is nil if there is nothing to do: then nobody is mailed a second time. It is not
// whole if guests are to be changed that Google has left out of its answer: a patch
// replaces them all.
func difference(old *calendar.Event, req meet.Request) (change *calendar.Event, sendUpdates string, whole bool) {
	change, sendUpdates = &calendar.Event{}, notifyNone
	changed := false
	end := req.Start.Add(req.Duration)
	moved := !readTime(old.Start).Equal(req.Start) || !readTime(old.End).Equal(end)
	if moved || otherZone(old.Start, req.Start) {
		changed = true
		change.Start, change.End = patchTime(old.Start, eventTime(req.Start)), patchTime(old.End, eventTime(end))
	}
	if old.Summary != req.Topic {
		changed = true
		change.Summary = req.Topic
	}
	attendees, invited := attendees(old.Attendees, req.Attendees)
	if old.AttendeesOmitted {
		if len(req.Attendees) > 0 && invited {
			return nil, notifyNone, false
		}
		attendees, invited = nil, false
	}
	if invited {
		changed = true
		change.Attendees = attendees
		change.ForceSendFields = []string{"Attendees"} // an empty list would not be sent
	}
	if !changed {
		return nil, notifyNone, true
	}
	if moved || invited || change.Summary != "" { // the zone alone is nothing to a guest
		sendUpdates = notify(append(attendees, old.Attendees...))
	}
	return change, sendUpdates, true
}

// otherZone reports whether the event is shown in another zone than the one asked for. A
// zone that has two names may look like another one: a change too many does no harm.
func otherZone(old *calendar.EventDateTime, start time.Time) bool {
	zone := meet.ZoneName(start)
	return zone != "" && old != nil && old.TimeZone != zone
}

// patchTime clears the date of an event that lasted the whole day: beside a time it is
// refused.
func patchTime(old, t *calendar.EventDateTime) *calendar.EventDateTime {
	if old != nil && old.Date != "" {
		t.NullFields = []string{"Date"}
	}
	return t
}
