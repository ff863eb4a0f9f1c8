package googlemeettest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lists is what the server remembers of lists that it has begun.
type lists struct {
	pages map[string]page   // by token
	syncs map[string]synced // by token
}

// page is the rest of a list. It shows the calendar as it was when the list began.
type page struct {
	path, query string
	rest        []object
	sync        string
}

// synced is a calendar as a client knows it, and what it asked for.
type synced struct {
	path  string
	edits int
	query url.Values
}

// listEvents lists events. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/list.
func listEvents(a *access) reply {
	if a.query.Get("pageToken") != "" {
		return a.nextPage()
	}
	if failure := a.checkList(); failure != nil {
		return *failure
	}
	since := 0
	if token := a.query.Get("syncToken"); token != "" {
		last, known := a.lists.syncs[token]
		if !known || last.path != a.in.URL.Path {
			return a.fullSync()
		}
		since = last.edits
		for _, name := range []string{"timeMin", "timeMax"} {
			if last.query.Has(name) {
				a.query.Set(name, last.query.Get(name)) // the range of the first list stays
			}
		}
	}
	found := slices.DeleteFunc(a.candidates(since), func(doc object) bool { return !a.wanted(doc, since) })
	switch a.query.Get("orderBy") {
	case "startTime":
		slices.SortStableFunc(found, func(one, other object) int { return a.startOf(one).Compare(a.startOf(other)) })
	case "updated":
		slices.SortStableFunc(found, func(one, other object) int { return cmp.Compare(str(one["updated"]), str(other["updated"])) })
	}
	return a.page(found, a.newSync())
}

func (a *access) startOf(doc object) time.Time {
	start, _ := a.checkTime(doc, "start")
	return start
}

// withoutSync are the parameters that a sync token cannot stand beside.
var withoutSync = []string{
	"iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax", "updatedMin",
}

func (a *access) checkList() *reply {
	if a.query.Get("orderBy") == "startTime" && !flagged(a.query, "singleEvents") {
		return badParameter("orderBy", "invalid", "The requested ordering is not available for the particular query.")
	}
	if a.query.Get("syncToken") == "" {
		return a.checkRange()
	}
	for _, name := range withoutSync {
		if a.query.Has(name) {
			return badParameter(name, "invalidParameter", "A sync token cannot be used together with "+name+".")
		}
	}
	if a.query.Get("showDeleted") == "false" {
		return badParameter("showDeleted", "invalidParameter", "A sync token cannot be used without deleted entries.")
	}
	return nil
}

func (a *access) fullSync() reply {
	out := badParameter("syncToken", "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
	out.status = http.StatusGone
	out.doc.(object)["error"].(object)["code"] = http.StatusGone
	return *out
}

// newSync makes a token for the changes from now on, if the query is one that has such.
func (a *access) newSync() string {
	for _, name := range []string{"iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "updatedMin"} {
		if a.query.Has(name) {
			return ""
		}
	}
	token := "CP" + rand.Text() + "="
	a.lists.syncs[token] = synced{a.in.URL.Path, a.edits, a.query}
	return token
}

// ExpireSyncTokens makes all sync tokens so far too old: a list by one is answered with
// 410 and fullSyncRequired, as by Google after some weeks.
func (s *Server) ExpireSyncTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.lists.syncs)
}

// candidates are the calendar's events, recurring ones as they are or, with singleEvents,
// their instances. Of those that changed since an edit, if that is not 0.
func (a *access) candidates(since int) []object {
	var all []object
	for _, e := range a.account.order {
		if e.calendar != a.calendar || e.purged || e.edit <= since {
			continue
		}
		single := flagged(a.query, "singleEvents")
		switch {
		case single && isRecurring(e.doc) && e.doc["status"] != "cancelled":
			for _, doc := range a.expand(e, moment(a.query, "timeMax")) {
				if a.events[str(doc["id"])] == nil { // the changed ones stand in order themselves
					all = append(all, doc)
				}
			}
		default:
			all = append(all, e.doc)
		}
	}
	return all
}

// wanted reports whether the query asks for an event.
func (a *access) wanted(doc object, since int) bool {
	q := a.query
	updated, _ := time.Parse(time.RFC3339, str(doc["updated"]))
	switch {
	case doc["status"] == "cancelled" && since == 0 && !a.showsCancelled(doc),
		!a.inRange(doc) && !(isRecurring(doc) && a.recursInRange(doc)),
		q.Has("updatedMin") && updated.Before(moment(q, "updatedMin")),
		q.Has("iCalUID") && doc["iCalUID"] != q.Get("iCalUID"),
		len(q["eventTypes"]) > 0 && !slices.Contains(q["eventTypes"], str(doc["eventType"])),
		!hasProperties(doc, "private", q["privateExtendedProperty"]),
		!hasProperties(doc, "shared", q["sharedExtendedProperty"]):
		return false
	}
	return says(doc, q.Get("q"))
}

// showsCancelled reports whether a cancelled event is listed. An instance is, so that its
// series can be read without it.
func (a *access) showsCancelled(doc object) bool {
	instance := doc["recurringEventId"] != nil && !flagged(a.query, "singleEvents")
	return instance || flagged(a.query, "showDeleted") || a.query.Has("updatedMin")
}

func (a *access) recursInRange(doc object) bool {
	return slices.ContainsFunc(a.expand(&event{doc: doc}, moment(a.query, "timeMax")), a.inRange)
}

func hasProperties(doc object, kind string, wanted []string) bool {
	extended, _ := doc["extendedProperties"].(object)
	properties, _ := extended[kind].(object)
	return !slices.ContainsFunc(wanted, func(pair string) bool {
		name, value, _ := strings.Cut(pair, "=")
		return properties[name] != value
	})
}

// says reports whether all words are somewhere in the event.
func says(doc object, words string) bool {
	all := []string{str(doc["summary"]), str(doc["description"]), str(doc["location"])}
	people, _ := doc["attendees"].([]any)
	for _, person := range append(people, doc["organizer"]) {
		person, _ := person.(object)
		all = append(all, str(person["displayName"]), str(person["email"]))
	}
	said := strings.ToLower(strings.Join(all, "\n"))
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(words)), func(word string) bool { return !strings.Contains(said, word) })
}

// nextPage answers with the rest of a list. All else must be asked as before.
func (a *access) nextPage() reply {
	found, known := a.lists.pages[a.query.Get("pageToken")]
	if !known || found.path != a.in.URL.Path || found.query != a.pageQuery() {
		return *badParameter("pageToken", "invalid", "Invalid page token value.")
	}
	return a.page(found.rest, found.sync)
}

// pageQuery is what of a query stays the same from page to page.
func (a *access) pageQuery() string {
	q := url.Values{}
	for name, values := range a.in.URL.Query() {
		if !slices.Contains([]string{"pageToken", "maxResults", "fields", "prettyPrint", "quotaUser"}, name) {
			q[name] = values
		}
	}
	return q.Encode()
}

// page answers with the beginning of what was found. The last page has the sync token.
func (a *access) page(found []object, syncToken string) reply {
	size, err := strconv.Atoi(a.query.Get("maxResults"))
	if err != nil {
		size = 250
	}
	size = min(size, 2500, len(found))
	items := make([]any, size)
	for i, doc := range found[:size] {
		items[i] = a.view(doc)
	}
	doc := object{
		"kind": "calendar#events", "etag": a.etag(), "summary": a.calendar, "description": "", "updated": a.now(),
		"timeZone": cmp.Or(a.query.Get("timeZone"), a.cfg.TimeZone), "accessRole": "owner", "defaultReminders": defaultReminders(), "items": items,
	}
	if size < len(found) {
		token := "Ck" + rand.Text()
		a.lists.pages[token] = page{a.in.URL.Path, a.pageQuery(), found[size:], syncToken}
		doc["nextPageToken"] = token
	} else if syncToken != "" {
		doc["nextSyncToken"] = syncToken
	}
	return reply{status: http.StatusOK, doc: doc}
}

// etag is that of the calendar: it changes with everything in it.
func (a *access) etag() string { return fmt.Sprintf(`"p%015d"`, a.edits) }

func defaultReminders() []any { return []any{object{"method": "popup", "minutes": 10}} }
