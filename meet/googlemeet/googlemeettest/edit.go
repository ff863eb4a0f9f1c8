package googlemeettest

import (
	"maps"
	"net/http"
)

// patch changes what is sent. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/patch.
func patch(a *access) reply {
	return a.edit(func(e *event, change object) object {
		doc := clone(e.doc)
		merge(doc, change)
		return doc
	})
}

// update replaces the event: what is not sent is gone. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/update.
func update(a *access) reply {
	return a.edit(func(e *event, change object) object {
		doc := clone(e.doc)
		kept := object{"status": "confirmed", "reminders": object{"useDefault": true}}
		for _, name := range append([]string{
			"sequence", "recurringEventId", "originalStartTime", "conferenceData", "attachments",
		}, readOnly...) {
			if doc[name] != nil {
				kept[name] = doc[name]
			}
		}
		maps.Copy(kept, change)
		dropNulls(kept)
		return kept
	})
}

// edit changes the event in the path to what change makes of it.
func (a *access) edit(change func(*event, object) object) reply {
	e := a.event()
	if e == nil {
		return notFound()
	}
	body, failure := a.readBody(eventForm)
	switch {
	case failure != nil:
		return *failure
	case !a.matches(e):
		return apiError(http.StatusPreconditionFailed, "conditionNotMet", "Precondition Failed")
	case e.doc["status"] == "cancelled":
		return apiError(http.StatusForbidden, "forbidden", "Forbidden")
	}
	if failure := a.change(e, body, change); failure != nil {
		return *failure
	}
	a.keep(e)
	return a.show(e)
}

// matches reports whether the event is still what the caller has read.
func (a *access) matches(e *event) bool {
	want := a.in.Header.Get("If-Match")
	return want == "" || want == "*" || want == e.doc["etag"]
}

// readOnly are the fields that a patch does not reach.
var readOnly = []string{"id", "kind", "etag", "created", "updated", "creator", "organizer", "iCalUID", "htmlLink", "hangoutLink", "eventType"}

func (a *access) change(e *event, body object, change func(*event, object) object) *reply {
	asked, aboutRoom := body["conferenceData"]
	delete(body, "conferenceData")
	for _, name := range append([]string{"recurringEventId", "originalStartTime"}, readOnly...) {
		delete(body, name)
	}
	doc := change(e, body)
	if failure := a.check(doc); failure != nil {
		return failure
	}
	if failure := a.nextSequence(e.doc, doc, body); failure != nil {
		return failure
	}
	old, emptied := e.doc, aboutRoom && asked == nil || !aboutRoom && a.in.Method == http.MethodPut
	e.doc = doc
	a.complete(doc, old)
	if emptied && a.query.Get("conferenceDataVersion") == "1" {
		delete(doc, "conferenceData")
		delete(doc, "hangoutLink")
	} else if failure := a.conference(e, asked); failure != nil {
		e.doc = old
		return failure
	}
	a.touch(e)
	return nil
}

// nextSequence counts the changes of when the event is, of which guests are told. A
// caller who sends an older number has not seen the last of them.
func (a *access) nextSequence(old, doc, body object) *reply {
	had, _ := old["sequence"].(float64)
	if sent, ok := body["sequence"].(float64); ok && sent < had {
		return new(apiError(http.StatusBadRequest, "invalid", "Invalid sequence value. The specified sequence number is below the current "+
			"sequence number of the resource. Re-fetch the resource and use its sequence number on the following request."))
	}
	for _, name := range []string{"start", "end"} {
		was, _ := a.checkTime(old, name)
		if is, _ := a.checkTime(doc, name); !is.Equal(was) {
			doc["sequence"] = max(had, number64(body["sequence"])) + 1
			return nil
		}
	}
	return nil
}

func number64(value any) float64 {
	n, _ := value.(float64)
	return n
}
