package googlemeet

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"google.golang.org/api/calendar/v3"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/meet"
)

var _ meet.MeetingProvider = (*Client)(nil)

// Get implements meet.MeetingProvider. A cancelled meeting has meet.StatusCancelled for
// some time, and is telemed.ErrNotFound later on, if the connected account is the one that
// it was made in. One whose room failed or was removed is an
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
	event, err := k.read(ctx, meetingID, fields)
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
		old, err := k.read(ctx, id, fieldsWithAttendees)
		if err != nil {
			return nil, err
		}
		if old.Status == "cancelled" {
			return nil, k.cancelled()
		}
		if owner := markOf(old); owner != "" && owner != k.mark(req.Key) {
			return nil, &Error{Op: k.op, Reason: ReasonOtherKey, kind: telemed.ErrConflict}
		}
		change, sendUpdates, whole := difference(old, req)
		switch {
		case !whole:
			return nil, &Error{Op: k.op, Reason: ReasonGuestsHidden, kind: telemed.ErrConflict}
		case change == nil:
			return old, nil
		}
		event, err := k.patch(ctx, old, change, sendUpdates)
		if err == nil && req.Start.After(readTime(old.Start)) { // what is kept of it is kept for longer
			k.amend(ctx, id, func(entry *meetkey.Entry) { _ = k.note(ctx, entry, event, req.Start) })
		}
		if !hasStatus(err, http.StatusPreconditionFailed) || try == updateTries {
			return event, err
		}
	}
}

// Cancel implements meet.MeetingProvider. Guests are told. One that is gone already is no
// error, if the connected account is the one that it was made in.
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
	return k.cancel(ctx, meetingID)
}

// cancel deletes an event that is the connected account's. If nobody has written down
// whose it is, Google is asked first: in the calendar of a guest it would be declined.
func (k *call) cancel(ctx context.Context, id string) error {
	entry, err := k.records.Open(ctx, k.recordName(k.id.Subject, id))
	if err != nil {
		return k.recordError(ctx, err)
	}
	defer entry.Close(ctx)
	ctx, stop := context.WithDeadline(ctx, entry.Deadline())
	defer stop()
	known := entry.Record
	switch {
	case k.elsewhere(known.Account):
		return k.otherAccount()
	case known.Account == "" || k.account == "":
		if event, seen := k.get(ctx, id, fields); seen == nil {
			err = k.owned(event)
		} else if err = seen; isGone(err) {
			err = k.absent(ctx, known, err)
		}
	}
	if err == nil {
		if err = k.delete(ctx, id); isGone(err) {
			err = k.absent(ctx, known, err)
		}
	}
	switch {
	case err != nil && !isGone(err):
		return err
	// Of what is nowhere and was never heard of, nothing is kept.
	case (err == nil || known.State != "" || wasHere(err)) && known.State != meetkey.Cancelled:
		k.noteCancelled(ctx, entry, id)
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
