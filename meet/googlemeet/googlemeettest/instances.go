package googlemeettest

import (
	"slices"
	"strings"
	"time"
)

// instances lists the instances of a recurring event. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/instances.
func instances(a *access) reply {
	if a.query.Get("pageToken") != "" {
		return a.nextPage()
	}
	if failure := a.checkRange(); failure != nil {
		return *failure
	}
	e := a.event()
	if e == nil {
		return notFound()
	}
	var found []object
	if isRecurring(e.doc) {
		found = a.expand(e, moment(a.query, "timeMax"))
	}
	original := moment(a.query, "originalStart")
	found = slices.DeleteFunc(found, func(doc object) bool {
		began, _ := a.checkTime(object{"at": doc["originalStartTime"]}, "at")
		return !a.inRange(doc) || doc["status"] == "cancelled" && !flagged(a.query, "showDeleted") ||
			!original.IsZero() && !began.Equal(original)
	})
	return a.page(found, "")
}

func isRecurring(doc object) bool {
	lines, _ := doc["recurrence"].([]any)
	return len(lines) > 0
}

// expand returns the instances of a recurring event, those that somebody changed or
// deleted among them. Those that begin at end or later are left out, if end is not zero.
func (a *access) expand(e *event, end time.Time) []object {
	start, _ := a.checkTime(e.doc, "start")
	finish, _ := a.checkTime(e.doc, "end")
	lines, _ := e.doc["recurrence"].([]any)
	var all []object
	for _, began := range occurrences(lines, start, end) {
		doc := instanceOf(e.doc, began, finish.Sub(start))
		if changed := a.events[str(doc["id"])]; changed != nil {
			doc = changed.doc
		}
		all = append(all, doc)
	}
	return all
}

// instanceOf is what an instance is if nobody has changed it.
func instanceOf(recurring object, began time.Time, length time.Duration) object {
	doc := clone(recurring)
	delete(doc, "recurrence")
	base, _ := doc["id"].(string)
	start := doc["start"].(object)
	if isDate(doc, "start") {
		doc["id"] = base + "_" + began.Format(dayForm)
		start["date"] = began.Format(time.DateOnly)
		days := int((length + 12*time.Hour) / (24 * time.Hour)) // a day may have 23 hours
		doc["end"].(object)["date"] = began.AddDate(0, 0, days).Format(time.DateOnly)
	} else {
		doc["id"] = base + "_" + began.UTC().Format(stampForm)
		start["dateTime"] = began.Format(time.RFC3339)
		doc["end"].(object)["dateTime"] = began.Add(length).Format(time.RFC3339)
	}
	doc["recurringEventId"] = base
	doc["originalStartTime"] = clone(start)
	return doc
}

// instance makes an instance that nobody has changed yet, nil if there is none with that
// id.
func (a *access) instance(id string) *event {
	base, stamp, found := strings.Cut(id, "_")
	recurring := a.events[base]
	if !found || recurring == nil || recurring.purged || recurring.doc["status"] == "cancelled" || !isRecurring(recurring.doc) {
		return nil
	}
	if _, err := parseStamp(stamp, time.UTC); err != nil {
		return nil
	}
	for _, doc := range a.expand(recurring, time.Time{}) {
		if doc["id"] == id {
			return &event{account: a.account.email, calendar: a.calendar, doc: doc}
		}
	}
	return nil
}

// inRange reports whether an event is between timeMin and timeMax.
func (a *access) inRange(doc object) bool {
	from, to := moment(a.query, "timeMin"), moment(a.query, "timeMax")
	start, _ := a.checkTime(doc, "start")
	end, _ := a.checkTime(doc, "end")
	return (from.IsZero() || end.After(from)) && (to.IsZero() || start.Before(to))
}

// emptyRange is the answer to a range that has nothing in it.
func emptyRange() *reply {
	return badParameter("timeMax", "timeRangeEmpty", "The specified time range is empty.")
}

func (a *access) checkRange() *reply {
	from, to := moment(a.query, "timeMin"), moment(a.query, "timeMax")
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return emptyRange()
	}
	return nil
}
