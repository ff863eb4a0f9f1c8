package visit

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/meet"
)

// key is the Key of the meeting: the visit's id, with a number behind it once one was used
// up by a meeting that the doctor has deleted.
func (r *record) key() string {
	if r.Meeting.N == 0 {
		return r.Request.ID
	}
	return r.Request.ID + "/" + strconv.Itoa(r.Meeting.N+1)
}

// request is the meeting at a time, in the clinic's zone.
func (r *record) request(c *clinic, start time.Time) meet.Request {
	return meet.Request{Key: r.key(), Start: start.In(c.zone), Duration: r.Request.Duration}
}

// ask notes, before a meeting is made, that it may be there, and at which start: a cancel
// must know it, and so must whoever asks again after a move. A provider knows the Key with
// that start, and refuses another one.
func (r *record) ask() {
	if !r.Meeting.Asked {
		r.Meeting.Asked, r.Meeting.Start = true, r.Start
	}
}

// asked is the start with which the meeting was asked for, or is to be.
func (r *record) asked() time.Time {
	if r.Meeting.Asked && !r.Meeting.Start.IsZero() {
		return r.Meeting.Start
	}
	return r.Start
}

func (v *Visits) provider(ctx context.Context, r *record) (meet.MeetingProvider, *clinic, error) {
	c, err := v.clinicOf(ctx, r.Request.Tenant)
	if err != nil {
		return nil, nil, err
	}
	provider := c.Meetings[r.Request.Provider]
	if provider == nil {
		return nil, nil, fault.Invalid("visit", "Provider", "is none of Config.Meetings any more")
	}
	return provider, c, nil
}

// errNoLink is that a provider has made a meeting, and not its link yet.
var errNoLink = fault.Tagged(telemed.ErrUnavailable, errors.New("the meeting has no link yet"))

// makeMeeting makes the meeting, or finds the one of its Key.
func (v *Visits) makeMeeting(ctx context.Context, r *record) (func(*record), error) {
	provider, c, err := v.provider(ctx, r)
	if err != nil {
		return nil, err
	}
	key, start := r.key(), r.asked()
	made, err := provider.Create(ctx, r.Request.Doctor.ID, r.request(c, start))
	switch {
	case errors.Is(err, meet.ErrCancelled): // the doctor has deleted it: another one takes another Key
		return func(r *record) { r.useUp(key) }, nil
	case errors.Is(err, telemed.ErrInvalid) && !start.Equal(r.Start): // none was made for that start
		return func(r *record) { r.unask(start) }, nil
	case err != nil:
		return v.meetingFailed(ctx, r, err)
	}
	known := func(r *record) { r.found(key, made) }
	if made.JoinURL == "" {
		return nil, partly{errNoLink, known}
	}
	return known, nil
}

// unask has the meeting asked for with another start.
func (r *record) unask(start time.Time) {
	if r.Meeting.ID == "" && r.Meeting.Start.Equal(start) {
		r.Meeting.Asked, r.Meeting.Start = false, time.Time{}
	}
}

// found notes a meeting.
func (r *record) found(key string, m *meet.Meeting) {
	if key != r.key() {
		return
	}
	if r.Meeting.ID != m.ID || r.Meeting.JoinURL != m.JoinURL {
		r.audit("meeting " + fault.RandomID(m.ID))
	}
	r.Meeting.ID, r.Meeting.JoinURL, r.Meeting.Start = m.ID, m.JoinURL, m.Start.UTC()
	r.Meeting.Asked, r.Waits = true, false
}

// useUp has the next meeting made under another Key.
func (r *record) useUp(key string) {
	if key == r.key() {
		r.Meeting = meeting{N: r.Meeting.N + 1}
		r.audit("the meeting was deleted")
	}
}

// moveMeeting moves the meeting to the visit's start. If it is not there any more, or in an
// account that the doctor has left, another one is made.
func (v *Visits) moveMeeting(ctx context.Context, r *record) (func(*record), error) {
	provider, c, err := v.provider(ctx, r)
	if err != nil {
		return nil, err
	}
	key, start := r.key(), r.Start
	_, err = provider.Update(ctx, r.Request.Doctor.ID, r.Meeting.ID, r.request(c, start))
	lost := errors.Is(err, meet.ErrCancelled) || errors.Is(err, meet.ErrOtherAccount) || errors.Is(err, telemed.ErrNotFound)
	switch {
	case lost && !errors.Is(err, telemed.ErrNotConnected):
		return func(r *record) { r.useUp(key) }, nil
	case err != nil:
		return v.meetingFailed(ctx, r, err)
	}
	return func(r *record) {
		if key == r.key() {
			r.Meeting.Start, r.Waits = start, false
			r.audit("meeting moved")
		}
	}, nil
}

// cancelMeeting cancels the meeting. One whose making had no known outcome is found by its
// Key first.
func (v *Visits) cancelMeeting(ctx context.Context, r *record) (func(*record), error) {
	provider, c, err := v.provider(ctx, r)
	if err != nil {
		return nil, err
	}
	key, id, doctor := r.key(), r.Meeting.ID, r.Request.Doctor.ID
	gone := func(r *record) {
		if key == r.key() && !r.Meeting.Gone {
			r.Meeting.Gone, r.Waits = true, false
			r.audit("meeting cancelled")
		}
	}
	if id == "" {
		made, err := provider.Create(ctx, doctor, r.request(c, r.asked()))
		switch {
		case errors.Is(err, meet.ErrCancelled), errors.Is(err, telemed.ErrInvalid):
			return gone, nil // there is none, and it is too late for one
		case err != nil:
			return v.meetingFailed(ctx, r, err)
		}
		id = made.ID
	}
	err = provider.Cancel(ctx, doctor, id)
	if errors.Is(err, meet.ErrOtherAccount) {
		v.tellStuck(r.Request.ID, r.Request.Tenant, "meeting: it is in an account that the doctor has left, and must be cancelled there by hand")
		return gone, nil
	}
	if err != nil {
		return v.meetingFailed(ctx, r, err)
	}
	return gone, nil
}

// meetingFailed has the doctor told if the account does not work.
func (v *Visits) meetingFailed(ctx context.Context, r *record, err error) (func(*record), error) {
	if !errors.Is(err, telemed.ErrReconnect) && !errors.Is(err, telemed.ErrNotConnected) {
		return nil, err
	}
	if told := v.await(ctx, r); told != nil {
		return nil, errors.Join(err, told)
	}
	return nil, partly{err, func(r *record) {
		if !r.Waits {
			r.Waits = true
			r.audit("waits for the doctor to connect the account")
		}
	}}
}
