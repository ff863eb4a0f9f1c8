package googlemeettest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet/googlemeet"
)

// writers are the scopes of which one is needed. Reading needs one too here: the
// application has no other.
var writers = []string{googlemeet.ScopeEventsOwned, googlemeet.ScopeEvents, googlemeet.ScopeAppCreated, googlemeet.ScopeCalendar}

// calendar checks token, scope, calendar and query, and runs handle under the lock.
func (s *Server) calendar(handle func(*access) reply) func(*incoming) reply {
	return func(in *incoming) reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		bearer, _ := strings.CutPrefix(in.Header.Get("Authorization"), "Bearer ")
		token := s.oauth.access[bearer]
		if token == nil || token.grant.revoked || s.engine.Now().After(token.expires) {
			return unauthorized()
		}
		if !slices.ContainsFunc(writers, func(scope string) bool { return slices.Contains(token.scopes, scope) }) {
			return insufficient()
		}
		a := &access{Server: s, in: in, account: s.account(token.grant.email), query: in.URL.Query()}
		if !a.open(in.PathValue("calendar")) {
			return apiError(http.StatusNotFound, "notFound", "Not Found")
		}
		fields, failure := a.checkQuery()
		if failure != nil {
			return *failure
		}
		out := handle(a)
		if out.status == http.StatusOK {
			out.doc = fields.apply(out.doc)
		}
		return out
	}
}

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

func (a *access) checkQuery() (mask, *reply) {
	for name, allowed := range map[string][]string{
		"conferenceDataVersion": {"", "0", "1"},
		"sendUpdates":           {"", "all", "externalOnly", "none"},
		"alt":                   {"", "json"},
	} {
		if !slices.Contains(allowed, a.query.Get(name)) {
			return nil, new(apiError(http.StatusBadRequest, "invalidParameter", "Invalid value for "+name+"."))
		}
	}
	if !a.query.Has("fields") {
		return nil, nil
	}
	fields, ok := parseMask(a.query.Get("fields"))
	if !ok {
		return nil, new(apiError(http.StatusBadRequest, "invalidParameter", "Invalid field selection"))
	}
	return fields, nil
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
	var doc object
	if json.Unmarshal(a.in.body, &doc) != nil {
		return apiError(http.StatusBadRequest, "parseError", "Parse Error")
	}
	if failure := checkEvent(doc); failure != nil {
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
	e := &event{calendar: a.calendar, doc: doc}
	a.fill(e, id)
	if failure := a.conference(e, asked); failure != nil {
		return *failure
	}
	a.touch(e)
	a.events[id] = e
	a.account.order = append(a.account.order, e)
	return reply{status: http.StatusOK, doc: clone(e.doc)}
}

// fill sets what Google sets.
func (a *access) fill(e *event, id string) {
	owner := func() object { return object{"email": a.account.email, "self": true} }
	set := object{
		"kind": "calendar#event", "id": id, "status": "confirmed", "iCalUID": id + "@google.com", "sequence": 0,
		"htmlLink": a.url + "/calendar/event?eid=" + id, "created": a.now(), "eventType": "default",
		"creator": owner(), "organizer": owner(),
	}
	maps.Copy(e.doc, set)
	if e.doc["reminders"] == nil {
		e.doc["reminders"] = object{"useDefault": true}
	}
	a.complete(e.doc)
}

// complete sets what follows from the other fields, after an insert and after a patch.
func (a *access) complete(doc object) {
	for _, name := range []string{"start", "end"} {
		at := doc[name].(object)
		if at["dateTime"] == nil {
			continue
		}
		if parsed, failure := checkTime(doc, name); failure == nil && len(at["dateTime"].(string)) == len(localForm) {
			at["dateTime"] = parsed.Format(time.RFC3339)
		}
		if at["timeZone"] == nil {
			at["timeZone"] = "UTC" // the calendar's
		}
	}
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

// event returns the event in the path, nil if it is not to be seen.
func (a *access) event() *event {
	if e := a.events[a.in.PathValue("event")]; e != nil && !e.purged {
		return e
	}
	return nil
}

// get also returns cancelled events. Each look brings a pending room nearer.
func get(a *access) reply {
	e := a.event()
	if e == nil {
		return apiError(http.StatusNotFound, "notFound", "Not Found")
	}
	if e.polls > 0 {
		if e.polls--; e.polls == 0 {
			a.settle(e)
			a.touch(e)
		}
	}
	return reply{status: http.StatusOK, doc: clone(e.doc)}
}

func patch(a *access) reply {
	e := a.event()
	var change object
	switch {
	case e == nil:
		return apiError(http.StatusNotFound, "notFound", "Not Found")
	case json.Unmarshal(a.in.body, &change) != nil:
		return apiError(http.StatusBadRequest, "parseError", "Parse Error")
	case a.in.Header.Get("If-Match") != "" && a.in.Header.Get("If-Match") != e.doc["etag"]:
		return apiError(http.StatusPreconditionFailed, "conditionNotMet", "Precondition Failed")
	case e.doc["status"] == "cancelled":
		return apiError(http.StatusForbidden, "forbidden", "Forbidden")
	}
	if failure := a.change(e, change); failure != nil {
		return *failure
	}
	return reply{status: http.StatusOK, doc: clone(e.doc)}
}

// readOnly are the fields that a patch does not reach.
var readOnly = []string{"id", "kind", "etag", "created", "updated", "creator", "organizer", "iCalUID", "htmlLink", "hangoutLink", "eventType"}

func (a *access) change(e *event, change object) *reply {
	asked, aboutRoom := change["conferenceData"]
	delete(change, "conferenceData")
	for _, name := range readOnly {
		delete(change, name)
	}
	doc := clone(e.doc)
	merge(doc, change)
	if failure := checkEvent(doc); failure != nil {
		return failure
	}
	old := e.doc
	e.doc = doc
	a.complete(doc)
	if aboutRoom && asked == nil && a.query.Get("conferenceDataVersion") == "1" {
		delete(doc, "conferenceData")
		delete(doc, "hangoutLink")
	} else if failure := a.conference(e, asked); failure != nil {
		e.doc = old
		return failure
	}
	a.touch(e)
	return nil
}

// remove leaves the event behind as a cancelled one.
func remove(a *access) reply {
	e := a.event()
	switch {
	case e == nil:
		return apiError(http.StatusNotFound, "notFound", "Not Found")
	case e.doc["status"] == "cancelled":
		return apiError(http.StatusGone, "deleted", "Resource has been deleted")
	}
	e.doc["status"] = "cancelled"
	a.touch(e)
	return reply{status: http.StatusNoContent}
}
