package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// meeting is a Zoom meeting or an event of a Google calendar.
type meeting struct {
	Provider string    `json:"provider"`
	ID       string    `json:"id"`
	Doctor   string    `json:"doctor"`
	Topic    string    `json:"topic"`
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	JoinURL  string    `json:"join_url"`
	Guests   []string  `json:"guests"`
	Status   string    `json:"status"` // scheduled, started, deleted
	Waiting  []string  `json:"waiting"`
	Inside   []string  `json:"inside"`
}

// Zoom reports whether it has a waiting room here: Google tells nobody who waits.
func (m meeting) Zoom() bool { return m.Provider == "zoom" }

// Gone reports whether it was deleted.
func (m meeting) Gone() bool { return m.Status == "deleted" }

// meetings are all of them, oldest first.
func (w *world) meetings() []meeting {
	list := []meeting{}
	for _, e := range w.Google.Events() {
		m := meeting{
			Provider: "google", ID: e.ID, Doctor: e.Account, Topic: e.Summary, Start: e.Start, End: e.End, JoinURL: e.JoinURL,
			Guests: append([]string{}, e.Attendees...), Status: "scheduled", Waiting: []string{}, Inside: []string{},
		}
		if e.Status == "cancelled" {
			m.Status = "deleted"
		}
		list = append(list, m)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, z := range w.Zoom.Meetings() {
		m := meeting{
			Provider: "zoom", ID: strconv.FormatInt(z.ID, 10), Doctor: z.DoctorID, Topic: z.Topic, Start: z.Start, End: z.Start.Add(z.Duration),
			JoinURL: w.Zoom.URL() + "/j/" + strconv.FormatInt(z.ID, 10), Guests: []string{}, Status: "scheduled",
			Waiting: []string{}, Inside: []string{},
		}
		if in := w.rooms[z.ID]; in != nil {
			m.Waiting, m.Inside = append(m.Waiting, in.Waiting...), append(m.Inside, in.Inside...)
		}
		switch {
		case z.Deleted:
			m.Status = "deleted"
		case z.Started:
			m.Status = "started"
		}
		list = append(list, m)
	}
	return list
}

func tellMeetings(r request) (any, error) { return r.meetings(), nil }

// playMeeting lets something happen in a meeting. The application is told as Zoom tells it.
func playMeeting(r request) (any, error) {
	id, action := r.in.Get("meeting"), r.in.Get("action")
	all := r.meetings()
	i := slices.IndexFunc(all, func(m meeting) bool { return m.ID == id })
	switch {
	case i < 0:
		return nil, errors.New("meeting: there is no such meeting")
	case !all[i].Zoom() && action == "delete":
		return done, r.Google.Edit(id, map[string]any{"status": "cancelled"})
	case !all[i].Zoom():
		return nil, fmt.Errorf("action: %q is not delete, and Google tells of nothing else", action)
	}
	number, _ := strconv.ParseInt(id, 10, 64) // it is one of Zoom's
	if err := r.play(number, all[i].Status, action, strings.TrimSpace(r.in.Get("name"))); err != nil {
		return nil, err
	}
	return done, nil
}

// play is the waiting room. A patient who comes before the doctor waits for the meeting to
// begin, and after that for being admitted.
func (w *world) play(id int64, status, action, person string) error {
	if person == "" {
		person = "Patient"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	in := w.rooms[id]
	if in == nil {
		in = &room{}
		w.rooms[id] = in
	}
	started := status == "started"
	switch {
	case status == "deleted":
		return errors.New("meeting: it was deleted")
	case action == "wait" && slices.Contains(slices.Concat(in.Waiting, in.Inside), person):
		return errors.New("name: that person is there already")
	case action == "wait":
		in.Waiting = append(in.Waiting, person)
		return w.tellZoom(map[bool]string{true: zoom.EventWaitingRoomJoined, false: zoom.EventJBHWaiting}[started], id, person)
	case action == "start" && !started:
		w.Zoom.Edit(id, func(m *zoomtest.Meeting) { m.Started = true })
		return w.tellZoom(zoom.EventMeetingStarted, id, "")
	case action == "admit" && started && slices.Contains(in.Waiting, person):
		in.Waiting = slices.DeleteFunc(in.Waiting, func(other string) bool { return other == person })
		in.Inside = append(in.Inside, person)
		return errors.Join(w.tellZoom(zoom.EventAdmitted, id, person), w.tellZoom(zoom.EventParticipantJoined, id, person))
	case action == "leave":
		return w.leave(in, id, started, person)
	case action == "end" && started:
		w.Zoom.Edit(id, func(m *zoomtest.Meeting) { m.Started = false })
		*in = room{}
		return w.tellZoom(zoom.EventMeetingEnded, id, "")
	case action == "delete":
		w.Zoom.Delete(id)
		return w.tellZoom(zoom.EventMeetingDeleted, id, "")
	}
	return fmt.Errorf("action: %q cannot be now: it is one of wait, start, admit, leave, end, delete", action)
}

func (w *world) leave(in *room, id int64, started bool, person string) error {
	is := func(other string) bool { return other == person }
	kind := zoom.EventParticipantLeft
	switch {
	case slices.ContainsFunc(in.Inside, is):
	case slices.ContainsFunc(in.Waiting, is) && started:
		kind = zoom.EventWaitingRoomLeft
	case slices.ContainsFunc(in.Waiting, is):
		kind = zoom.EventJBHLeft
	default:
		return errors.New("name: nobody of that name is there")
	}
	in.Inside, in.Waiting = slices.DeleteFunc(in.Inside, is), slices.DeleteFunc(in.Waiting, is)
	return w.tellZoom(kind, id, person)
}

func (w *world) tellZoom(kind string, id int64, person string) error {
	event := w.Zoom.MeetingEvent(kind, id)
	if person != "" {
		event = w.Zoom.ParticipantEvent(kind, id, map[string]any{"user_name": person, "participant_user_id": "", "email": ""})
	}
	return w.emitZoom(kind, event)
}

// zoomEvent is the nth webhook of Zoom's.
func zoomEvent(kind string, body []byte, n int) fake.Event {
	return fake.Event{ID: "zoom-" + strconv.Itoa(n), Type: kind, Body: body}
}
