package googlemeettest

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// freeBusy says when calendars are busy. See
// https://developers.google.com/workspace/calendar/api/v3/reference/freebusy/query.
func freeBusy(a *access) reply {
	body, failure := a.readBody(freeBusyForm)
	if failure != nil {
		return *failure
	}
	from, to, failure := freeBusyRange(body)
	if failure != nil {
		return *failure
	}
	zone := cmp.Or(str(body["timeZone"]), a.cfg.TimeZone)
	if !knownZone(zone) {
		return apiError(http.StatusBadRequest, "invalid", "Invalid time zone definition.")
	}
	in, _ := time.LoadLocation(zone) // it is known
	calendars := object{}
	items, _ := body["items"].([]any)
	most := cmp.Or(number64(body["calendarExpansionMax"]), 50)
	for i, item := range items {
		item, _ := item.(object)
		id := str(item["id"])
		switch {
		case float64(i) >= most:
			calendars[id] = busyError("tooManyCalendarsRequested")
		case !a.open(id):
			calendars[id] = busyError("notFound")
		default:
			calendars[id] = object{"busy": a.busy(from, to, in)}
		}
	}
	return reply{status: http.StatusOK, doc: object{
		"kind": "calendar#freeBusy", "timeMin": from.UTC().Format(updatedForm), "timeMax": to.UTC().Format(updatedForm), "calendars": calendars,
	}}
}

// maxFreeBusy is the longest range that is answered for.
const maxFreeBusy = 90 * 24 * time.Hour

func freeBusyRange(body object) (from, to time.Time, failure *reply) {
	for name, target := range map[string]*time.Time{"timeMin": &from, "timeMax": &to} {
		value, given := body[name].(string)
		if !given {
			return from, to, new(apiError(http.StatusBadRequest, "required", "Missing "+name+" parameter."))
		}
		parsed, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return from, to, new(apiError(http.StatusBadRequest, "badRequest", "Bad Request"))
		}
		*target = parsed
	}
	if !from.Before(to) {
		return from, to, new(apiError(http.StatusBadRequest, "timeRangeEmpty", "The specified time range is empty."))
	}
	if to.Sub(from) > maxFreeBusy {
		return from, to, new(apiError(http.StatusBadRequest, "timeRangeTooLong", "The requested time range is too long."))
	}
	return from, to, nil
}

// busyError stands in an answer that is otherwise good: a calendar that is missing must
// not look free.
func busyError(reason string) object {
	return object{"busy": []any{}, "errors": []any{object{"domain": "global", "reason": reason}}}
}

// busy returns the times at which the calendar has events, those that touch each other
// as one.
func (a *access) busy(from, to time.Time, zone *time.Location) []any {
	type span struct{ start, end time.Time }
	var spans []span
	add := func(doc object) {
		start, _ := a.checkTime(doc, "start")
		end, _ := a.checkTime(doc, "end")
		free := doc["status"] == "cancelled" || doc["transparency"] == "transparent"
		if !free && start.Before(to) && end.After(from) {
			spans = append(spans, span{start, end})
		}
	}
	for _, e := range a.account.order {
		switch {
		case e.calendar != a.calendar || e.purged:
		case isRecurring(e.doc) && e.doc["status"] != "cancelled":
			for _, doc := range a.expand(e, to) {
				if a.events[str(doc["id"])] == nil {
					add(doc)
				}
			}
		default:
			add(e.doc)
		}
	}
	slices.SortFunc(spans, func(one, other span) int { return one.start.Compare(other.start) })
	merged := []span{}
	for _, s := range spans {
		if last := len(merged) - 1; last >= 0 && !s.start.After(merged[last].end) {
			merged[last].end = maxTime(merged[last].end, s.end)
			continue
		}
		merged = append(merged, s)
	}
	busy := []any{}
	for _, s := range merged {
		start, end := maxTime(s.start, from), s.end
		if end.After(to) {
			end = to
		}
		busy = append(busy, object{"start": start.In(zone).Format(time.RFC3339), "end": end.In(zone).Format(time.RFC3339)})
	}
	return busy
}

func maxTime(one, other time.Time) time.Time {
	if one.After(other) {
		return one
	}
	return other
}
