package googlemeettest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) account(email string) *account {
	if s.accounts[email] == nil {
		s.accounts[email] = &account{email: email, calendars: map[string]map[string]*event{}}
	}
	return s.accounts[email]
}

func (a *access) open(id string) bool {
	if id == "primary" {
		id = a.account.email
	}
	if id != a.account.email && !slices.Contains(a.cfg.Calendars, id) {
		return false
	}
	if a.account.calendars[id] == nil {
		a.account.calendars[id] = map[string]*event{}
	}
	a.calendar, a.events = id, a.account.calendars[id]
	return true
}

func unauthorized() reply {
	out := apiError(http.StatusUnauthorized, "authError", "Invalid Credentials")
	out.header = map[string]string{"WWW-Authenticate": `Bearer realm="https://accounts.google.com/", error="invalid_token"`}
	return out
}

func insufficient() reply {
	out := apiError(http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
	failure := out.doc.(object)["error"].(object)
	failure["status"] = "PERMISSION_DENIED"
	failure["details"] = []any{object{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com",
	}}
	return out
}

// insert makes an event. Its id may be the caller's, and is never free again.
func insert(a *access) reply {
	doc, failure := a.readBody(eventForm)
	if failure != nil {
		return *failure
	}
	if doc["eventType"] == "fromGmail" {
		return apiError(http.StatusBadRequest, "eventTypeRestriction", "The event type cannot be made by this call.")
	}
	dropNulls(doc)
	delete(doc, "iCalUID") // of the caller's only in an import
	return a.add(doc)
}

// dropNulls leaves out what is null: there is nothing to be removed by it.
func dropNulls(doc object) {
	for name, value := range doc {
		if inner, ok := value.(object); ok {
			dropNulls(inner)
		}
		if value == nil {
			delete(doc, name)
		}
	}
}

// add makes an event of a body.
func (a *access) add(doc object) reply {
	if id, given := doc["id"]; given && !validID(id) {
		return apiError(http.StatusBadRequest, "invalid", "Invalid resource id value.")
	}
	if failure := a.check(doc); failure != nil {
		return *failure
	}
	id, given := doc["id"].(string)
	if !given {
		id = newID()
	}
	if a.events[id] != nil {
		return apiError(http.StatusConflict, "duplicate", "The requested identifier already exists.")
	}
	asked := doc["conferenceData"]
	delete(doc, "conferenceData")
	e := &event{account: a.account.email, calendar: a.calendar, doc: doc}
	a.fill(e, id)
	if failure := a.conference(e, asked); failure != nil {
		return *failure
	}
	a.touch(e)
	a.keep(e)
	return a.show(e)
}

// check refuses what Google refuses of an event.
func (a *access) check(doc object) *reply {
	if a.query.Get("eventLabelVersion") == "1" && str(doc["eventLabelId"]) != "" {
		// The calendars have none.
		return new(apiError(http.StatusBadRequest, "invalid", "Invalid event label id."))
	}
	return a.checkEvent(doc)
}

// keep notes an event that is new.
func (a *access) keep(e *event) {
	id := e.doc["id"].(string)
	if a.events[id] == nil {
		a.events[id] = e
		a.account.order = append(a.account.order, e)
	}
}

// show answers with an event, as the query wants it.
func (a *access) show(e *event) reply {
	return reply{status: http.StatusOK, doc: a.view(e.doc)}
}

// view is an event as the query wants it: times in its zone, and if there are more guests
// than maxAttendees, only the one who asks.
func (a *access) view(doc object) object {
	doc = clone(doc)
	if name := a.query.Get("timeZone"); name != "" {
		zone, _ := time.LoadLocation(name) // checkQuery has loaded it
		for _, name := range []string{"start", "end", "originalStartTime"} {
			at, _ := doc[name].(object)
			if clock, err := time.Parse(time.RFC3339, str(at["dateTime"])); err == nil {
				at["dateTime"] = clock.In(zone).Format(time.RFC3339)
			}
		}
	}
	most, err := strconv.Atoi(a.query.Get("maxAttendees"))
	if attendees, _ := doc["attendees"].([]any); err == nil && len(attendees) > most {
		doc["attendeesOmitted"] = true
		doc["attendees"] = slices.DeleteFunc(attendees, func(item any) bool { return item.(object)["self"] != true })
	}
	return doc
}

// str is the text that a value is, or none.
func str(value any) string {
	text, _ := value.(string)
	return text
}

// fill sets what Google sets.
func (a *access) fill(e *event, id string) {
	for _, name := range readOnly {
		if name != "eventType" && name != "iCalUID" {
			delete(e.doc, name)
		}
	}
	owner := func() object { return object{"email": a.account.email, "self": true} }
	maps.Copy(e.doc, object{
		"kind": "calendar#event", "id": id, "htmlLink": a.url + "/calendar/event?eid=" + id, "created": a.now(),
		"creator": owner(), "organizer": owner(),
	})
	for name, value := range (object{
		"status": "confirmed", "iCalUID": id + "@google.com", "sequence": 0.0, "eventType": "default", "reminders": object{"useDefault": true},
	}) {
		if e.doc[name] == nil {
			e.doc[name] = value
		}
	}
	a.complete(e.doc, nil)
}

// complete sets what follows from the other fields, after an insert and after a change of
// what was old.
func (a *access) complete(doc, old object) {
	for _, name := range []string{"start", "end"} {
		at := doc[name].(object)
		if at["dateTime"] == nil {
			continue
		}
		if clock, failure := a.checkTime(doc, name); failure == nil && isLocal(str(at["dateTime"])) {
			at["dateTime"] = clock.Format(time.RFC3339)
		}
		if at["timeZone"] == nil {
			at["timeZone"] = a.cfg.TimeZone
		}
	}
	a.keepUnknown(doc, old)
	attendees, _ := doc["attendees"].([]any)
	for _, item := range attendees {
		attendee := item.(object)
		if attendee["responseStatus"] == nil {
			attendee["responseStatus"] = "needsAction"
		}
		if email, _ := attendee["email"].(string); strings.EqualFold(email, a.account.email) {
			attendee["self"], attendee["organizer"] = true, true
		}
	}
	if len(attendees) == 0 {
		delete(doc, "attendees")
	}
}

// keepUnknown leaves as it was what a client does not say that it knows: attachments and
// labels. Who knows labels sets no color.
func (a *access) keepUnknown(doc, old object) {
	var kept []string
	if !flagged(a.query, "supportsAttachments") {
		kept = append(kept, "attachments")
	}
	if a.query.Get("eventLabelVersion") == "1" {
		kept = append(kept, "colorId")
	} else {
		kept = append(kept, "eventLabelId")
	}
	for _, name := range kept {
		if delete(doc, name); old[name] != nil {
			doc[name] = old[name]
		}
	}
}

// event returns the event in the path, nil if it is not to be seen. An instance of a
// recurring event that nobody has changed is made for the call.
func (a *access) event() *event {
	id := a.in.PathValue("event")
	if e := a.events[id]; e != nil && !e.purged {
		return e
	}
	return a.instance(id)
}

// get also returns cancelled events. Each look brings a pending room nearer.
func get(a *access) reply {
	e := a.event()
	if e == nil {
		return notFound()
	}
	if e.polls > 0 {
		if e.polls--; e.polls == 0 {
			a.settle(e)
			a.touch(e)
		}
	}
	return a.show(e)
}

// remove leaves the event behind as a cancelled one.
func remove(a *access) reply {
	e := a.event()
	switch {
	case e == nil:
		return notFound()
	case !a.matches(e):
		return apiError(http.StatusPreconditionFailed, "conditionNotMet", "Precondition Failed")
	case e.doc["status"] == "cancelled":
		return apiError(http.StatusGone, "deleted", "Resource has been deleted")
	}
	e.doc["status"] = "cancelled"
	a.touch(e)
	a.keep(e)
	for _, other := range a.events {
		if other.doc["recurringEventId"] == e.doc["id"] && other.doc["status"] != "cancelled" {
			other.doc["status"] = "cancelled"
			a.touch(other)
		}
	}
	return reply{status: http.StatusNoContent}
}
