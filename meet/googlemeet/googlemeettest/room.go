package googlemeettest

import (
	"math/rand/v2"
	"net/http"
)

// DelayRooms makes rooms that are asked for from now on appear only when their event is
// read for the polls-th time.
func (s *Server) DelayRooms(polls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms.delay = polls
}

// FailRooms makes the next n rooms fail, after their delay.
func (s *Server) FailRooms(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms.failures = n
}

// conference begins a room if one is asked for. Without conferenceDataVersion=1 Google
// ignores the wish, and so it does if the event had the requestId before. A wish without
// a solution is one for the calendar's own, which is Meet.
func (a *access) conference(e *event, asked any) *reply {
	if asked == nil || a.query.Get("conferenceDataVersion") != "1" {
		return nil
	}
	data, _ := asked.(object)
	request, asksFor := data["createRequest"].(object)
	if !asksFor {
		return a.reuse(e, data)
	}
	solution, named := request["conferenceSolutionKey"].(object)
	requestID, _ := request["requestId"].(string)
	switch {
	case requestID == "":
		return new(apiError(http.StatusBadRequest, "required", "Missing conference request id."))
	case named && solution["type"] != "hangoutsMeet":
		return new(apiError(http.StatusBadRequest, "invalid", "Invalid conference type value."))
	case requestID == requestOf(e):
		return nil
	}
	e.doc["conferenceData"] = object{"createRequest": object{
		"requestId": requestID, "conferenceSolutionKey": object{"type": "hangoutsMeet"}, "status": object{"statusCode": "pending"},
	}}
	delete(e.doc, "hangoutLink")
	e.roomFails = a.rooms.failures > 0
	if e.roomFails {
		a.rooms.failures--
	}
	if e.polls = a.rooms.delay; e.polls == 0 {
		a.settle(e)
	}
	return nil
}

// reuse takes a conference that was made elsewhere: in another event, or by another
// service.
func (a *access) reuse(e *event, data object) *reply {
	solution, _ := data["conferenceSolution"].(object)
	entries, _ := data["entryPoints"].([]any)
	code := str(data["conferenceId"])
	key, _ := solution["key"].(object)
	switch {
	case len(solution) == 0 || len(entries) == 0:
		return new(apiError(http.StatusBadRequest, "required", "Missing conference solution or entry points."))
	case key["type"] == "hangoutsMeet" && !a.hasRoom(code):
		return new(apiError(http.StatusBadRequest, "invalid", "Invalid conference id value."))
	}
	e.doc["conferenceData"] = data
	delete(e.doc, "hangoutLink")
	if key["type"] == "hangoutsMeet" {
		e.doc["hangoutLink"] = a.url + "/meet/" + code
	}
	return nil
}

func requestOf(e *event) string {
	data, _ := e.doc["conferenceData"].(object)
	request, _ := data["createRequest"].(object)
	id, _ := request["requestId"].(string)
	return id
}

// settle ends the wait for a room.
func (a *access) settle(e *event) {
	data, ok := e.doc["conferenceData"].(object)
	if !ok {
		return
	}
	request := data["createRequest"].(object)
	if e.roomFails {
		request["status"] = object{"statusCode": "failure"}
		return
	}
	request["status"] = object{"statusCode": "success"}
	name := a.account.email + " " + requestOf(e)
	if a.rooms.codes[name] == "" {
		a.rooms.codes[name] = newCode()
	}
	code := a.rooms.codes[name]
	link := a.url + "/meet/" + code
	data["conferenceId"] = code
	data["conferenceSolution"] = object{"key": object{"type": "hangoutsMeet"}, "name": "Google Meet"}
	data["entryPoints"] = []any{object{"entryPointType": "video", "uri": link, "label": link}}
	e.doc["hangoutLink"] = link
}

// newCode returns a code like "abc-mnop-xyz".
func newCode() string {
	code := []byte("xxx-xxxx-xxx")
	for i := range code {
		if code[i] != '-' {
			code[i] = byte('a' + rand.IntN(26))
		}
	}
	return string(code)
}

func (s *Server) roomExists(code string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasRoom(code)
}

func (s *Server) hasRoom(code string) bool {
	for _, known := range s.rooms.codes {
		if known == code {
			return true
		}
	}
	return false
}
