package googlemeet

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"google.golang.org/api/calendar/v3"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/meet"
)

var _ meet.MeetingProvider = (*Client)(nil)

// Create implements meet.MeetingProvider. doctorID is the doctor's id in the TokenStore.
// A room that takes longer than ConferenceWait leaves the meeting with
// meet.StatusPending. A Key's meeting is found also when its start has passed. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/insert.
func (c *Client) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	var p problems
	p.ids(doctorID, nil)
	p.request(req.Validate()) // whether it has passed matters to a new event alone
	if err := p.Err("googlemeet: Create"); err != nil {
		return nil, err
	}
	k, err := c.begin(ctx, "Create", doctorID)
	if err != nil {
		return nil, err
	}
	event, err := k.create(ctx, req.Normal())
	if err != nil {
		return nil, err
	}
	return k.withRoom(ctx, event)
}

// create inserts the event, or finds the one that is there. The id of a cancelled event
// stays taken, so its Key goes on to the next one. If the start has passed, it only
// looks.
func (k *call) create(ctx context.Context, req meet.Request) (*calendar.Event, error) {
	var late problems
	late.request(req.ValidateAt(time.Now()))
	tooLate := late.Err("googlemeet: " + k.op)
	for generation := range generations {
		id := k.newEventID(req.Key, generation)
		if tooLate == nil {
			event, err := k.insert(ctx, k.newEvent(id, req))
			if !hasStatus(err, http.StatusConflict) {
				return event, err
			}
		}
		event, err := k.get(ctx, id, fields)
		switch {
		case hasStatus(err, http.StatusGone):
			continue
		case isGone(err) && tooLate != nil:
			return nil, tooLate
		// Taken, yet not to be seen: another process is at it.
		case hasStatus(err, http.StatusNotFound) && tooLate == nil:
			return nil, &Error{Op: k.op, Status: http.StatusConflict, Reason: "duplicate", kind: telemed.ErrAmbiguous}
		case err != nil:
			return nil, err
		case event.Status == "cancelled":
			continue
		}
		return event, k.fits(event, req)
	}
	return nil, &Error{Op: k.op, Reason: ReasonTooOften, kind: telemed.ErrConflict}
}

// fits refuses an event that is not what Create was asked for.
func (k *call) fits(event *calendar.Event, req meet.Request) error {
	if markOf(event) != k.mark(req.Key) {
		return &Error{Op: k.op, Reason: ReasonOtherKey, kind: telemed.ErrConflict}
	}
	m, _ := k.meeting(event)
	if !m.Start.Equal(req.Start) || m.Duration != req.Duration {
		return &Error{Op: k.op, Reason: ReasonMoved, Meeting: m, kind: telemed.ErrConflict}
	}
	return nil
}

// Get implements meet.MeetingProvider. A cancelled meeting has meet.StatusCancelled for
// some time, and is ErrNotFound later on. One whose room failed or was removed is an
// *Error with the Meeting.
func (c *Client) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	var p problems
	p.ids(doctorID, &meetingID)
	if err := p.Err("googlemeet: Get"); err != nil {
		return nil, err
	}
	k, err := c.begin(ctx, "Get", doctorID)
	if err != nil {
		return nil, err
	}
	event, err := k.get(ctx, meetingID, fields)
	if err != nil {
		return nil, err
	}
	m, state := k.meeting(event)
	if err := k.roomError(m, state); err != nil {
		return nil, err
	}
	return m, nil
}

// Update implements meet.MeetingProvider. What the doctor changed by hand in the calendar
// stays, save time, title and guests; guests who stay keep their answer. A room that is
// missing is asked for again. See
// https://developers.google.com/workspace/calendar/api/v3/reference/events/patch.
func (c *Client) Update(ctx context.Context, doctorID, meetingID string, req meet.Request) (*meet.Meeting, error) {
	var p problems
	p.ids(doctorID, &meetingID)
	p.request(req.ValidateAt(time.Now()))
	if err := p.Err("googlemeet: Update"); err != nil {
		return nil, err
	}
	k, err := c.begin(ctx, "Update", doctorID)
	if err != nil {
		return nil, err
	}
	event, err := k.update(ctx, meetingID, req.Normal())
	if err != nil {
		return nil, err
	}
	return k.withRoom(ctx, event)
}

// updateTries is how often a change is made anew because somebody else was faster.
const updateTries = 3

// update brings the event to what req says, over the state that was read and no other.
func (k *call) update(ctx context.Context, id string, req meet.Request) (*calendar.Event, error) {
	for try := 1; ; try++ {
		old, err := k.get(ctx, id, fieldsWithAttendees)
		if err != nil {
			return nil, err
		}
		if old.Status == "cancelled" {
			return nil, &Error{Op: k.op, Reason: ReasonCancelled, kind: telemed.ErrConflict}
		}
		if owner := markOf(old); owner != "" && owner != k.mark(req.Key) {
			return nil, &Error{Op: k.op, Reason: ReasonOtherKey, kind: telemed.ErrConflict}
		}
		change, sendUpdates := difference(old, req)
		if change == nil {
			return old, nil
		}
		event, err := k.patch(ctx, old, change, sendUpdates)
		if !hasStatus(err, http.StatusPreconditionFailed) || try == updateTries {
			return event, err
		}
	}
}

// Cancel implements meet.MeetingProvider. Guests are told.
// See https://developers.google.com/workspace/calendar/api/v3/reference/events/delete.
func (c *Client) Cancel(ctx context.Context, doctorID, meetingID string) error {
	var p problems
	p.ids(doctorID, &meetingID)
	if err := p.Err("googlemeet: Cancel"); err != nil {
		return err
	}
	k, err := c.begin(ctx, "Cancel", doctorID)
	if err != nil {
		return err
	}
	if err := k.delete(ctx, meetingID); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// firstPoll is the first pause in waiting for a room; each further one is twice as long.
const firstPoll = 300 * time.Millisecond

// withRoom waits for the event's room. One that Google failed to make, or that somebody
// removed, is asked for once more, under a new id, because Google ignores the old one.
func (k *call) withRoom(ctx context.Context, event *calendar.Event) (*meet.Meeting, error) {
	end := k.waitUntil(ctx)
	asked := false
	for pause := firstPoll; ; {
		m, state := k.meeting(event)
		switch {
		case state == roomPending:
			if !time.Now().Before(end) {
				return m, nil
			}
			if err := wait.For(ctx, min(pause, time.Until(end))); err != nil {
				return nil, &Error{Op: k.op, Meeting: m, kind: telemed.ErrAmbiguous, err: err}
			}
			pause *= 2
			fresh, err := k.get(ctx, event.Id, fields)
			switch {
			case ctx.Err() == nil && (errors.Is(err, telemed.ErrUnavailable) || errors.Is(err, telemed.ErrRateLimited)):
				return m, nil // the event is there; its room can be looked at later
			case err != nil:
				return nil, withMeeting(err, m)
			}
			event = fresh
		case (state == roomFailed || state == roomMissing) && !asked:
			asked = true
			fresh, err := k.askAgain(ctx, event)
			if err != nil {
				return nil, withMeeting(err, m)
			}
			event = fresh
		default:
			if err := k.roomError(m, state); err != nil {
				return nil, err
			}
			return k.alive(m)
		}
	}
}

// alive refuses a meeting that somebody cancelled while it was made.
func (k *call) alive(m *meet.Meeting) (*meet.Meeting, error) {
	if m.Status == meet.StatusCancelled {
		return nil, &Error{Op: k.op, Reason: ReasonCancelled, kind: telemed.ErrConflict}
	}
	return m, nil
}

// lastLook is how long before the end of its context a call stops waiting, to tell what
// it has.
const lastLook = 500 * time.Millisecond

// waitUntil returns when waiting for a room ends.
func (k *call) waitUntil(ctx context.Context) time.Time {
	end := time.Now().Add(k.cfg.ConferenceWait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-lastLook).Before(end) {
		return deadline.Add(-lastLook)
	}
	return end
}

// askAgain asks for another room. If the event changed meanwhile, perhaps because another
// process asks too, it is read instead.
func (k *call) askAgain(ctx context.Context, event *calendar.Event) (*calendar.Event, error) {
	change := &calendar.Event{ConferenceData: newRoom(rand.Text())}
	fresh, err := k.patch(ctx, event, change, notifyNone)
	if hasStatus(err, http.StatusPreconditionFailed) {
		return k.get(ctx, event.Id, fields)
	}
	return fresh, err
}

// roomError tells why a meeting without a link will not get one. It is nil for any other.
func (k *call) roomError(m *meet.Meeting, state roomState) error {
	switch state {
	case roomFailed:
		return &Error{Op: k.op, Reason: ReasonRoomFailed, Meeting: m, kind: telemed.ErrUnavailable}
	case roomMissing:
		return &Error{Op: k.op, Reason: ReasonNoRoom, Meeting: m, kind: telemed.ErrUnavailable}
	case roomForeign:
		return &Error{Op: k.op, Reason: ReasonForeignLink, Meeting: m, kind: telemed.ErrConflict}
	}
	return nil
}

func withMeeting(err error, m *meet.Meeting) error {
	if e, ok := err.(*Error); ok {
		e.Meeting = m
	}
	return err
}
