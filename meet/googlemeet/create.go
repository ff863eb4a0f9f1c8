package googlemeet

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"google.golang.org/api/calendar/v3"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/meet"
)

// Create implements meet.MeetingProvider. doctorID is the doctor's id in the TokenStore.
// A room that takes longer than ConferenceWait leaves the meeting with
// meet.StatusPending. A Key's meeting is found also when its start has passed. One that
// was cancelled, or deleted in the calendar, is meet.ErrCancelled: the Key is used up.
//
// A doctor's calls with the same Key wait for each other, in all processes that share
// Config.Claims. A process that dies in Create keeps its Key from others until ten seconds
// after the end of its ctx, a minute at most. Who has no time left to wait for it gets
// telemed.ErrUnavailable with Error.RetryAfter. See
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

// create returns the event of a Key.
func (k *call) create(ctx context.Context, req meet.Request) (*calendar.Event, error) {
	id := k.newEventID(req.Key)
	entry, err := k.records.Open(ctx, k.recordName(k.id.Subject, id))
	if err != nil {
		return nil, k.recordError(ctx, err)
	}
	defer entry.Close(ctx)
	ctx, cancel := context.WithDeadline(ctx, entry.Deadline())
	defer cancel()
	switch {
	case k.elsewhere(entry.Record.Account):
		return nil, k.otherAccount()
	case entry.Record.State == meetkey.Cancelled:
		return nil, k.cancelled()
	case entry.Record.State == meetkey.Made:
		entry.Close(ctx) // who only reads it keeps nobody waiting
		return k.made(ctx, entry.Record, id, req)
	}
	event, err := k.keyed(ctx, entry, id, req)
	switch {
	case errors.Is(err, meet.ErrCancelled):
		k.noteCancelled(ctx, entry, id)
	case event != nil:
		err = cmp.Or(k.note(ctx, entry, event, readTime(event.Start)), err)
	}
	if err != nil {
		return nil, err
	}
	return event, nil
}

// made returns the event that a record tells of. One that Google does not show any more was
// deleted by hand.
func (k *call) made(ctx context.Context, known meetkey.Record, id string, req meet.Request) (*calendar.Event, error) {
	event, err := k.existing(ctx, id, req)
	if isGone(err) {
		if err = k.absent(ctx, known, err); isGone(err) {
			err = k.cancelled()
		}
	}
	if errors.Is(err, meet.ErrCancelled) {
		k.amend(ctx, id, func(entry *meetkey.Entry) { k.noteCancelled(ctx, entry, id) })
	}
	if err != nil {
		return nil, err
	}
	return event, nil
}

// keyed inserts the event with the id, or finds the one that is there. If the start has
// passed, it only looks. An event beside an error is there, and not as it is asked for.
func (k *call) keyed(ctx context.Context, entry *meetkey.Entry, id string, req meet.Request) (*calendar.Event, error) {
	var late problems
	late.request(req.ValidateAt(time.Now()))
	if tooLate := late.Err("googlemeet: " + k.op); tooLate != nil {
		event, err := k.existing(ctx, id, req)
		if isGone(err) {
			return nil, tooLate
		}
		return event, err
	}
	return k.insertOnce(ctx, entry, id, req)
}

// insertOnce makes the event. Its id is taken if it was made before, also for ever after
// it was cancelled.
func (k *call) insertOnce(ctx context.Context, entry *meetkey.Entry, id string, req meet.Request) (*calendar.Event, error) {
	asked := meetkey.Record{State: meetkey.Asked, Account: k.account, Over: entry.Deadline()}
	if err := entry.Write(ctx, asked, req.Start); err != nil {
		return nil, k.recordError(ctx, err)
	}
	event, err := k.insert(ctx, k.newEvent(id, req))
	switch {
	case hasStatus(err, http.StatusConflict) && errors.Is(err, telemed.ErrConflict):
		return k.taken(ctx, id, req)
	case err != nil && !errors.Is(err, telemed.ErrAmbiguous):
		k.unnoted(ctx, entry.Clear(ctx))
	}
	return event, err
}

// looks is how often an event is looked for whose id is taken.
const looks = 4

// taken returns the event whose id was taken. If it is not to be seen, it may be so new
// that Google does not show it yet. After some looks it is taken for one that Google has
// cleared away: the Key is used up.
func (k *call) taken(ctx context.Context, id string, req meet.Request) (*calendar.Event, error) {
	for look := range looks {
		if look > 0 && wait.For(ctx, k.cfg.RetryWait<<(look-1)) != nil {
			return nil, &Error{Op: k.op, kind: telemed.ErrAmbiguous, err: context.Cause(ctx)}
		}
		event, err := k.existing(ctx, id, req)
		if !isGone(err) {
			return event, err
		}
	}
	return nil, &Error{Op: k.op, Status: http.StatusConflict, Reason: ReasonTaken, kind: telemed.ErrConflict}
}

// existing returns the event with the id, beside an error if it is not what is asked for.
// One that was deleted is meet.ErrCancelled.
func (k *call) existing(ctx context.Context, id string, req meet.Request) (*calendar.Event, error) {
	event, err := k.get(ctx, id, fields)
	switch {
	case wasHere(err):
		return nil, k.cancelled()
	case err != nil:
		return nil, err
	case event.Status == "cancelled":
		return nil, k.cancelled()
	}
	if err := k.owned(event); err != nil {
		return nil, err
	}
	return k.fits(event, req)
}

// fits refuses an event that is not what Create was asked for. A moved one is the Key's.
func (k *call) fits(event *calendar.Event, req meet.Request) (*calendar.Event, error) {
	if markOf(event) != k.mark(req.Key) {
		return nil, &Error{Op: k.op, Reason: ReasonOtherKey, kind: telemed.ErrConflict}
	}
	m, _ := k.meeting(event)
	if !m.Start.Equal(req.Start) || m.Duration != req.Duration {
		return event, &Error{Op: k.op, Reason: ReasonMoved, Meeting: m, kind: telemed.ErrConflict}
	}
	return event, nil
}
