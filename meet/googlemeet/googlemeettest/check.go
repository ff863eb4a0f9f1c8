package googlemeettest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"
)

// access is a call of the Calendar API with its rights checked.
type access struct {
	*Server
	in       *incoming
	account  *account
	calendar string
	events   map[string]*event
	query    url.Values
}

// checkEvent refuses what Google refuses, with its words.
func (s *Server) checkEvent(doc object) *reply {
	start, failure := s.checkTime(doc, "start")
	if failure != nil {
		return failure
	}
	end, failure := s.checkTime(doc, "end")
	if failure != nil {
		return failure
	}
	if isDate(doc, "start") != isDate(doc, "end") {
		return new(apiError(http.StatusBadRequest, "invalid", "Start and end times must either both be date or both be dateTime."))
	}
	if end.Before(start) {
		return new(apiError(http.StatusBadRequest, "timeRangeEmpty", "The specified time range is empty."))
	}
	for _, check := range []func(object) *reply{checkAttendees, checkReminders, checkRecurrence, checkTexts} {
		if failure := check(doc); failure != nil {
			return failure
		}
	}
	return nil
}

// validID: 5 to 1024 of a-v and 0-9.
func validID(id any) bool {
	text, ok := id.(string)
	return ok && len(text) >= 5 && len(text) <= 1024 && strings.Trim(text, "0123456789abcdefghijklmnopqrstuv") == ""
}

func newID() string {
	return strings.ToLower(strings.NewReplacer("W", "0", "X", "1", "Y", "8", "Z", "9").Replace(rand.Text()))
}

// checkTime reads a time. A day is one of the zone that is named with it, or of the
// calendar's.
func (s *Server) checkTime(doc object, name string) (time.Time, *reply) {
	at, _ := doc[name].(object)
	clock, timed := at["dateTime"].(string)
	date, dated := at["date"].(string)
	if !timed && !dated {
		return time.Time{}, new(apiError(http.StatusBadRequest, "required", "Missing "+name+" time."))
	}
	invalid := new(apiError(http.StatusBadRequest, "invalid", "Invalid "+name+" time."))
	if timed && dated {
		return time.Time{}, invalid
	}
	zone := s.zone
	if named, ok := at["timeZone"].(string); ok {
		loaded, err := time.LoadLocation(named)
		if err != nil || !knownZone(named) {
			return time.Time{}, new(apiError(http.StatusBadRequest, "invalid", "Invalid time zone definition for "+name+" time."))
		}
		zone = loaded
	}
	parsed, err := time.ParseInLocation(time.RFC3339, clock, zone)
	if isLocal(clock) {
		if at["timeZone"] == nil {
			return time.Time{}, new(apiError(http.StatusBadRequest, "required", "Missing time zone definition for "+name+" time."))
		}
		parsed, err = time.ParseInLocation(localForm, clock, zone)
	}
	if dated {
		parsed, err = time.ParseInLocation(time.DateOnly, date, zone)
	}
	if err != nil {
		return time.Time{}, invalid
	}
	return parsed, nil
}

// localForm is a time whose offset is that of the zone beside it.
const localForm = "2006-01-02T15:04:05"

func isLocal(clock string) bool {
	_, err := time.Parse(localForm, clock)
	return err == nil
}

func isDate(doc object, name string) bool {
	at, _ := doc[name].(object)
	return at["date"] != nil
}

func checkAttendees(doc object) *reply {
	attendees, _ := doc["attendees"].([]any)
	for _, item := range attendees {
		attendee, _ := item.(object)
		email, _ := attendee["email"].(string)
		if address, err := mail.ParseAddress(email); err != nil || address.Address != email {
			return new(apiError(http.StatusBadRequest, "invalid", "Invalid attendee email."))
		}
	}
	return nil
}

func checkReminders(doc object) *reply {
	reminders, _ := doc["reminders"].(object)
	overrides, _ := reminders["overrides"].([]any)
	switch {
	case len(overrides) > 5:
		return new(apiError(http.StatusBadRequest, "eventRemindersCountExceedsLimit", "The number of event reminders exceeds the limit."))
	case len(overrides) > 0 && reminders["useDefault"] == true:
		return new(apiError(http.StatusBadRequest, "cannotUseDefaultRemindersAndSpecifyOverride",
			"Cannot specify both default reminders and overrides at the same time."))
	}
	for _, item := range overrides {
		reminder, _ := item.(object)
		if reminder["method"] == nil || reminder["minutes"] == nil {
			return new(apiError(http.StatusBadRequest, "required", "Missing reminder method or minutes."))
		}
	}
	return nil
}

// checkRecurrence also wants the zone, without which "every day at ten" has no meaning.
func checkRecurrence(doc object) *reply {
	lines, _ := doc["recurrence"].([]any)
	for _, line := range lines {
		if _, err := parseRecurrence(str(line), time.UTC); err != nil {
			return new(apiError(http.StatusBadRequest, "invalid", "Invalid recurrence rule."))
		}
	}
	start, _ := doc["start"].(object)
	if len(lines) > 0 && start["dateTime"] != nil && start["timeZone"] == nil {
		return new(apiError(http.StatusBadRequest, "required", "Missing time zone definition for start time."))
	}
	return nil
}

// checkTexts checks what has a form of its own.
func checkTexts(doc object) *reply {
	source, _ := doc["source"].(object)
	if link := str(source["url"]); link != "" && !strings.HasPrefix(link, "https://") && !strings.HasPrefix(link, "http://") {
		return new(apiError(http.StatusBadRequest, "invalid", "Invalid source url."))
	}
	extended, _ := doc["extendedProperties"].(object)
	for _, kind := range extended {
		entries, _ := kind.(object)
		for name, value := range entries {
			if len(name) > 44 || len(str(value)) > 1024 {
				return new(apiError(http.StatusBadRequest, "invalid", "The extended property is too long."))
			}
		}
	}
	return nil
}

// Event is an event as it stands in a calendar.
type Event struct {
	// ID is the event's id.
	ID string
	// Account is the address of the account, Calendar the id of its calendar.
	Account, Calendar string
	// Summary and Description are what whoever sees the calendar reads.
	Summary, Description string
	// Start and End are in the event's time zone.
	Start, End time.Time
	// Status is "confirmed" or "cancelled".
	Status string
	// Visibility is "private", or empty.
	Visibility string
	// JoinURL leads to the room; empty if there is none (yet).
	JoinURL string
	// Attendees are addresses of the guests.
	Attendees []string
	// Private are the application's own properties.
	Private map[string]string
	// JSON is the whole document.
	JSON string
}

// Events returns all events of all accounts, cancelled ones too: an account's in the
// order in which they were made.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Event
	for _, account := range s.accounts {
		for _, e := range account.order {
			all = append(all, s.view(account.email, e))
		}
	}
	return all
}

func (s *Server) view(email string, e *event) Event {
	encoded, _ := json.Marshal(e.doc) // it was JSON
	var doc struct {
		ID, Summary, Description, Status, Visibility, HangoutLink string
		Start, End                                                struct{ DateTime, Date, TimeZone string }
		Attendees                                                 []struct{ Email string }
		ExtendedProperties                                        struct{ Private map[string]string }
	}
	_ = json.Unmarshal(encoded, &doc)
	shown := Event{
		ID: doc.ID, Account: email, Calendar: e.calendar, Summary: doc.Summary, Description: doc.Description, Status: doc.Status,
		Visibility: doc.Visibility, JoinURL: doc.HangoutLink, Private: doc.ExtendedProperties.Private, JSON: string(encoded),
	}
	shown.Start, _ = s.checkTime(e.doc, "start")
	shown.End, _ = s.checkTime(e.doc, "end")
	for _, attendee := range doc.Attendees {
		shown.Attendees = append(shown.Attendees, attendee.Email)
	}
	return shown
}

// Edit changes an event as its owner does by hand, with the semantics of events.patch. It
// also reaches what an owner cannot change: {"creator": {"self": false}} makes it a
// guest's copy.
func (s *Server) Edit(eventID string, change map[string]any) error {
	return s.alter(eventID, func(e *event) { merge(e.doc, clone(change)); s.touch(e) })
}

// Purge clears an event away, as Google does long after it was cancelled: it is not to be
// seen any more, and its id stays taken.
func (s *Server) Purge(eventID string) error {
	return s.alter(eventID, func(e *event) { e.purged = true })
}

func (s *Server) alter(eventID string, change func(*event)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, account := range s.accounts {
		for _, e := range account.order {
			if e.doc["id"] == eventID {
				change(e)
				return nil
			}
		}
	}
	return ErrNoEvent
}
