package googlemeettest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/meet/googlemeet"
)

// method is a method of the Calendar API: what it is allowed by, what its query may
// name, and what it answers.
type method struct {
	op, pattern string
	scopes      []string
	query       []string
	answer      *schema // nil: nothing, or what has no mask
	handle      func(*access) reply
}

// scope is Google's name for a scope of the calendar.
func scope(name string) string { return googlemeet.ScopeCalendar + name }

var (
	writeScopes = []string{googlemeet.ScopeEventsOwned, googlemeet.ScopeEvents, googlemeet.ScopeAppCreated, googlemeet.ScopeCalendar}
	readScopes  = slices.Concat(writeScopes, []string{
		scope(".events.readonly"), scope(".events.owned.readonly"), scope(".events.freebusy"), scope(".events.public.readonly"), scope(".readonly"),
	})
	stopScopes = slices.Concat(readScopes, []string{
		scope(".acls"), scope(".acls.readonly"), scope(".calendarlist"), scope(".calendarlist.readonly"), scope(".settings"), scope(".settings.readonly"),
	})
	freeBusyScopes = []string{googlemeet.ScopeCalendar, scope(".events.freebusy"), scope(".freebusy"), scope(".readonly")}
	calendarScopes = []string{
		googlemeet.ScopeCalendar, googlemeet.ScopeAppCreated, scope(".calendars"), scope(".calendars.readonly"), scope(".readonly"),
	}
	entriesScopes = []string{googlemeet.ScopeCalendar, scope(".calendarlist"), scope(".calendarlist.readonly"), scope(".readonly")}
	entryScopes   = append(slices.Clone(entriesScopes), googlemeet.ScopeAppCreated)

	writeQuery = []string{
		"conferenceDataVersion", "eventLabelVersion", "maxAttendees", "sendNotifications", "sendUpdates", "supportsAttachments",
	}
	changeQuery = append(slices.Clone(writeQuery), "alwaysIncludeEmail")
	listQuery   = []string{
		"alwaysIncludeEmail", "eventTypes", "iCalUID", "maxAttendees", "maxResults", "orderBy", "pageToken", "privateExtendedProperty",
		"q", "sharedExtendedProperty", "showDeleted", "showHiddenInvitations", "singleEvents", "syncToken", "timeMax", "timeMin",
		"timeZone", "updatedMin",
	}
	instancesQuery = []string{
		"alwaysIncludeEmail", "maxAttendees", "maxResults", "originalStart", "pageToken", "showDeleted", "timeMax", "timeMin", "timeZone",
	}
	notifyQuery = []string{"sendNotifications", "sendUpdates"}
)

// methods are those that the fake has. See
// https://developers.google.com/workspace/calendar/api/v3/reference.
func methods() []method {
	const (
		calendars = "/calendars/{calendar}"
		events    = calendars + "/events"
		event     = events + "/{event}"
		entries   = "/users/me/calendarList"
	)
	return []method{
		{OpInsert, "POST " + events, writeScopes, writeQuery, eventForm, insert},
		{OpGet, "GET " + event, readScopes, []string{"alwaysIncludeEmail", "maxAttendees", "timeZone"}, eventForm, get},
		{OpPatch, "PATCH " + event, writeScopes, changeQuery, eventForm, patch},
		{OpUpdate, "PUT " + event, writeScopes, changeQuery, eventForm, update},
		{OpDelete, "DELETE " + event, writeScopes, notifyQuery, nil, remove},
		{OpList, "GET " + events, readScopes, listQuery, eventsForm, listEvents},
		{OpInstances, "GET " + event + "/instances", readScopes, instancesQuery, eventsForm, instances},
		{OpQuickAdd, "POST " + events + "/quickAdd", writeScopes, append(slices.Clone(notifyQuery), "text"), eventForm, quickAdd},
		{OpWatch, "POST " + events + "/watch", readScopes, listQuery, channelForm, watch},
		{OpStop, "POST /channels/stop", stopScopes, nil, nil, stop},
		{OpFreeBusy, "POST /freeBusy", freeBusyScopes, nil, busyForm, freeBusy},
		{OpCalendar, "GET " + calendars, calendarScopes, nil, calendarForm, getCalendar},
		{OpCalendarList, "GET " + entries, entriesScopes, []string{
			"maxResults", "minAccessRole", "pageToken", "showDeleted", "showHidden", "showOwnOrganizationOnly", "syncToken",
		}, entriesForm, listCalendars},
		{OpCalendarListGet, "GET " + entries + "/{calendar}", entryScopes, nil, entryForm, getEntry},
	}
}

// calendar checks token, scope, calendar and query, and runs the method under the lock.
func (s *Server) calendar(m method) func(*incoming) reply {
	return func(in *incoming) reply {
		s.mu.Lock()
		defer s.mu.Unlock()
		bearer, _ := strings.CutPrefix(in.Header.Get("Authorization"), "Bearer ")
		token := s.oauth.access[bearer]
		if token == nil || token.grant.revoked || s.engine.Now().After(token.expires) {
			return unauthorized()
		}
		if !slices.ContainsFunc(m.scopes, func(scope string) bool { return slices.Contains(token.scopes, scope) }) {
			return insufficient()
		}
		a := &access{Server: s, in: in, account: s.account(token.grant.email), query: in.URL.Query()}
		if id := in.PathValue("calendar"); id != "" && !a.open(id) {
			return notFound()
		}
		fields, failure := a.checkQuery(m)
		if failure != nil {
			return *failure
		}
		out := m.handle(a)
		if out.status != http.StatusOK || out.doc == nil {
			return out
		}
		return a.finish(out, fields)
	}
}

func notFound() reply { return apiError(http.StatusNotFound, "notFound", "Not Found") }

// finish answers 304 to who has it already, and leaves out what was not asked for.
func (a *access) finish(out reply, fields mask) reply {
	doc := out.doc.(object)
	etag, _ := doc["etag"].(string)
	if a.in.Method == http.MethodGet && etag != "" {
		if have := a.in.Header.Get("If-None-Match"); have == etag || have == "*" {
			return reply{status: http.StatusNotModified, header: map[string]string{"Etag": etag}}
		}
	}
	if etag != "" {
		out.header = map[string]string{"Etag": etag}
	}
	out.doc = fields.apply(doc)
	out.pretty = a.query.Get("prettyPrint") == "true"
	return out
}

// commonQuery is what the query of every method may name.
var commonQuery = []string{"alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp"}

// repeated are the parameters that may be there more than once.
var repeated = []string{"eventTypes", "privateExtendedProperty", "sharedExtendedProperty"}

// checkQuery refuses what Google refuses, and returns the mask of the answer.
func (a *access) checkQuery(m method) (mask, *reply) {
	for name, values := range a.query {
		if !slices.Contains(m.query, name) && !slices.Contains(commonQuery, name) {
			if a.cfg.Lenient {
				continue
			}
			return nil, malformed("Invalid JSON payload received. Unknown name \"" + name +
				"\": Cannot bind query parameter. Field '" + name + "' could not be found in request message.")
		}
		if len(values) > 1 && !slices.Contains(repeated, name) {
			return nil, badParameter(name, "invalidParameter", "Invalid value for: "+name+" is there more than once")
		}
		for _, value := range values {
			if failure := checkParameter(name, value); failure != nil {
				return nil, failure
			}
		}
	}
	if !a.query.Has("fields") {
		return nil, nil
	}
	fields, ok := parseMask(a.query.Get("fields"))
	if !ok || m.answer != nil && !m.answer.covers(fields) {
		return nil, badParameter("fields", "invalidParameter", "Invalid field selection "+a.query.Get("fields"))
	}
	return fields, nil
}

// badParameter is the answer to a parameter.
func badParameter(name, reason, message string) *reply {
	out := apiError(http.StatusBadRequest, reason, message)
	item := out.doc.(object)["error"].(object)["errors"].([]any)[0].(object)
	item["locationType"], item["location"] = "parameter", name
	return &out
}

// parameterValues are those of the parameters that have no others.
var parameterValues = map[string][]string{
	"conferenceDataVersion": {"0", "1"},
	"eventLabelVersion":     {"0", "1"},
	"sendUpdates":           {"all", "externalOnly", "none"},
	"orderBy":               {"startTime", "updated"},
	"eventTypes":            {"birthday", "default", "focusTime", "fromGmail", "outOfOffice", "workingLocation"},
	"minAccessRole":         {"freeBusyReader", "owner", "reader", "writer", "writerWithoutPrivateAccess"},
	"alt":                   {"json"}, // what else there is, is for uploads
}

func checkParameter(name, value string) *reply {
	invalid := badParameter(name, "invalidParameter", "Invalid value for "+name+".")
	if values, limited := parameterValues[name]; limited && !slices.Contains(values, value) {
		return invalid
	}
	switch name {
	case "alwaysIncludeEmail", "prettyPrint", "sendNotifications", "showDeleted", "showHidden", "showHiddenInvitations",
		"showOwnOrganizationOnly", "singleEvents", "supportsAttachments":
		if value != "true" && value != "false" {
			return invalid
		}
	case "maxAttendees", "maxResults":
		if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 1 {
			return invalid
		}
	case "timeMin", "timeMax", "updatedMin", "originalStart":
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return badParameter(name, "badRequest", "Bad Request")
		}
	case "timeZone":
		if !knownZone(value) {
			return badParameter(name, "invalid", "Invalid time zone definition.")
		}
	case "privateExtendedProperty", "sharedExtendedProperty":
		if !strings.Contains(value, "=") {
			return invalid
		}
	case "quotaUser":
		if len(value) > 40 {
			return invalid
		}
	case "key":
		return malformed("API key not valid. Please pass a valid API key.") // there is none here
	case "oauth_token":
		return invalid // a token in an address is one in a log
	}
	return nil
}

func knownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "" && name != "Local"
}

// flagged reports whether a parameter is true.
func flagged(query url.Values, name string) bool { return query.Get(name) == "true" }

// moment reads a parameter that checkQuery has read. It is zero if it is not there.
func moment(query url.Values, name string) time.Time {
	t, _ := time.Parse(time.RFC3339, query.Get(name))
	return t
}
