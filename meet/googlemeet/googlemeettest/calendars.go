package googlemeettest

import (
	"net/http"
	"slices"
)

// getCalendar answers with what a calendar is. See
// https://developers.google.com/workspace/calendar/api/v3/reference/calendars.
func getCalendar(a *access) reply {
	return reply{status: http.StatusOK, doc: a.describe("calendar#calendar", a.calendar)}
}

func (a *access) describe(kind, id string) object {
	return object{
		"kind": kind, "etag": a.etag(), "id": id, "summary": id, "timeZone": a.cfg.TimeZone, "dataOwner": a.account.email,
		"conferenceProperties": object{"allowedConferenceSolutionTypes": []any{"hangoutsMeet"}},
	}
}

// getEntry answers with a calendar as the account sees it. See
// https://developers.google.com/workspace/calendar/api/v3/reference/calendarList.
func getEntry(a *access) reply { return reply{status: http.StatusOK, doc: a.entry(a.calendar)} }

func (a *access) entry(id string) object {
	doc := a.describe("calendar#calendarListEntry", id)
	for name, value := range (object{
		"accessRole": "owner", "selected": true, "colorId": "14", "backgroundColor": "#9fe1e7", "foregroundColor": "#000000",
		"defaultReminders": defaultReminders(),
	}) {
		doc[name] = value
	}
	if id == a.account.email {
		doc["primary"] = true
	}
	return doc
}

// listCalendars lists the account's calendars. It owns them all, and none is hidden or
// deleted or another organization's.
func listCalendars(a *access) reply {
	if token := a.query.Get("syncToken"); token != "" {
		if a.query.Has("minAccessRole") {
			return *badParameter("minAccessRole", "invalidParameter", "A sync token cannot be used together with minAccessRole.")
		}
		if last, known := a.lists.syncs[token]; !known || last.path != a.in.URL.Path {
			return a.fullSync()
		}
	}
	if a.query.Get("pageToken") != "" {
		return a.nextPage()
	}
	var found []object
	if a.query.Get("syncToken") == "" { // since then nothing has changed: calendars stay as they are
		for _, id := range slices.Concat([]string{a.account.email}, a.cfg.Calendars) {
			found = append(found, a.entry(id))
		}
	}
	out := a.page(found, a.newSync())
	doc := out.doc.(object)
	doc["kind"] = "calendar#calendarList"
	for _, name := range []string{"summary", "description", "updated", "timeZone", "accessRole", "defaultReminders"} {
		delete(doc, name)
	}
	return out
}
