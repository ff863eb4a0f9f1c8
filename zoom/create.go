package zoom

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/meet"
)

// Create makes a meeting at the request's time, once for each Key: it returns the one
// that is there, if there is one, also if another process made it, and also when its
// start has passed. If that has another time than the request, the error is
// telemed.ErrConflict with its Error.MeetingID: use Update to move it. If it was
// cancelled, or deleted in Zoom, the error is meet.ErrCancelled: the Key is used up.
//
// If Zoom makes the meeting at another time, or with a less safe setting, it is cancelled
// and the error is ErrMismatch; Error.MeetingID is empty unless cancelling failed. The
// account's administrator must unlock the setting then, or the application accept it in
// Config.AcceptLocked; the Key is good for that.
//
// A doctor's calls with the same Key wait for each other, in all processes that share
// Config.Claims. If the error is telemed.ErrAmbiguous, call again: Create then looks for
// the meeting in Zoom's list, for ten seconds at least, before it makes one. A process
// that dies in Create keeps its Key from others until ten seconds after the end of its ctx,
// a minute at most. Who has no time left to wait for it gets telemed.ErrUnavailable with
// Error.RetryAfter: nothing was sent.
//
// Request.Attendees must be empty: Zoom invites nobody. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/POST/users/{userId}/meetings.
func (c *Client) Create(ctx context.Context, doctorID string, req meet.Request) (*meet.Meeting, error) {
	// Whether it has passed matters to a new meeting alone.
	if err := check("Create", req, req.Validate()); err != nil {
		return nil, err
	}
	s, err := c.open(ctx, "Create", doctorID)
	if err != nil {
		return nil, err
	}
	mark := c.marker(doctorID, req.Key)
	entry, err := c.records.Open(ctx, mark)
	if err != nil {
		return nil, s.recordError(ctx, err)
	}
	defer entry.Close(ctx)
	ctx, cancel := context.WithDeadline(ctx, entry.Deadline())
	defer cancel()
	found, err := s.keyed(ctx, entry, mark, req.Normal())
	if err != nil {
		return nil, err
	}
	return found.in(req.Start.Location()), nil
}

// keyed returns the meeting of a Key, whose record is entry.
func (s *session) keyed(ctx context.Context, entry *meetkey.Entry, mark string, req meet.Request) (*meeting, error) {
	// Who was asked, and who is now: an imported token does not tell.
	if s.account == "" && entry.Record.State == meetkey.Asked {
		s.account = s.connected(ctx)
	}
	if s.elsewhere(entry.Record.Account) {
		return nil, s.otherAccount(entry.Record.Meeting)
	}
	switch entry.Record.State {
	case meetkey.Cancelled:
		return nil, s.cancelled(entry.Record.Meeting)
	case meetkey.Made:
		entry.Close(ctx) // who only reads it keeps nobody waiting
		return s.made(ctx, entry.Record, mark, req)
	}
	found, err := s.leftBehind(ctx, entry, mark)
	if err != nil {
		return nil, err
	}
	if found != nil {
		return found, cmp.Or(s.note(ctx, entry, mark, found, req.Start), s.accept(found, req))
	}
	if err := check("Create", req, req.ValidateAt(time.Now())); err != nil {
		s.forget(ctx, entry)
		return nil, err
	}
	return s.create(ctx, entry, mark, req)
}

// made returns the meeting that a record tells of. One that Zoom does not know any more was
// deleted there by hand.
func (s *session) made(ctx context.Context, known meetkey.Record, mark string, req meet.Request) (*meeting, error) {
	id := known.Meeting
	found, err := s.get(ctx, id)
	switch {
	case gone(err):
		if err := s.absent(ctx, known, err); !errors.Is(err, telemed.ErrNotFound) {
			return nil, err
		}
		s.amend(ctx, mark, id, func(entry *meetkey.Entry) { s.noteCancelled(ctx, entry, id, known.Account) })
		return nil, s.cancelled(id)
	case err != nil:
		return nil, err
	}
	return found, s.accept(found, req)
}

// create makes the meeting, and finds out what happened if Zoom's answer is lost.
func (s *session) create(ctx context.Context, entry *meetkey.Entry, mark string, req meet.Request) (*meeting, error) {
	asked := meetkey.Record{State: meetkey.Asked, Account: s.account, Over: entry.Deadline()}
	if err := entry.Write(ctx, asked, req.Start); err != nil {
		return nil, s.recordError(ctx, err)
	}
	code := newPasscode()
	own, err := s.post(ctx, mark, code, req)
	switch {
	case errors.Is(err, telemed.ErrAmbiguous):
		asked.Over = time.Now() // if Zoom made it, it has by now
		s.unnoted(ctx, "", entry.Write(ctx, asked, req.Start))
		if own = s.lookAfter(ctx, mark); own == nil {
			return nil, err // entry says that Zoom was asked
		}
	case err != nil:
		s.forget(ctx, entry)
		return nil, err
	}
	// Another process was first.
	if own.Password != nil && *own.Password != "" && *own.Password != code {
		return own, cmp.Or(s.note(ctx, entry, mark, own, req.Start), s.accept(own, req))
	}
	fields := append(own.misplaced(req, time.Now()), s.overridden(own)...)
	if fields == nil {
		return own, cmp.Or(s.note(ctx, entry, mark, own, req.Start), s.usable(own))
	}
	mismatch := s.mismatch(own, fields)
	if s.withdraw(ctx, entry, own.id()) != nil {
		return nil, cmp.Or(s.note(ctx, entry, mark, own, req.Start), error(mismatch))
	}
	mismatch.MeetingID = ""
	s.forget(ctx, entry)
	return nil, mismatch
}

// post sends the one request that makes a meeting. The transport repeats it only if it
// surely was not taken. It must never carry an idempotency header: Zoom ignores those,
// and the transport would believe them.
func (s *session) post(ctx context.Context, mark, code string, req meet.Request) (*meeting, error) {
	body := newMeeting{
		schedule: newSchedule(req, time.Now()), Type: scheduled, Agenda: mark, Password: code, Settings: s.settings,
	}
	// That of the lock: a process that stood still sends nothing after it.
	if end, ok := ctx.Deadline(); ok {
		ctx = wait.BeginBy(ctx, end)
	}
	call := rest.Request{Method: http.MethodPost, Path: "/users/me/meetings", JSON: body}
	return s.meeting(ctx, call, func(m *meeting) bool { return !m.isOthers(mark) })
}

// accept says whether an earlier meeting is what is asked for now.
func (s *session) accept(found *meeting, req meet.Request) error {
	if fields := found.misplaced(req, time.Now()); fields != nil {
		return &Error{Op: s.op, Fields: fields, MeetingID: found.id(), kind: telemed.ErrConflict, err: errMoved}
	}
	if fields := s.overridden(found); fields != nil {
		return s.mismatch(found, fields)
	}
	return s.usable(found)
}

var errMoved = errors.New("the key's meeting is at another time")

// overridden names what Zoom has made less safe than asked. What Zoom does not tell
// passes.
func (c *Client) overridden(m *meeting) []string {
	var fields []string
	accepted := func(name string) bool { return slices.Contains(c.cfg.AcceptLocked, name) }
	for _, setting := range guarded {
		want, asked := c.settings[setting.name]
		got, told := m.Settings[setting.name]
		same := !asked || !told || got == setting.safest || reflect.DeepEqual(got, want)
		if !same && !accepted(setting.name) {
			fields = append(fields, settingsPrefix+setting.name)
		}
	}
	if m.Password != nil && *m.Password == "" && !accepted(passcode) {
		fields = append(fields, passcode)
	}
	return fields
}

// settingsPrefix is how Zoom spells a setting's path.
const settingsPrefix = "settings."

// withdraw deletes a meeting that must not stay, also if the caller has gone.
func (s *session) withdraw(ctx context.Context, entry *meetkey.Entry, id string) error {
	ctx, end := entry.Undo(ctx)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err := s.delete(ctx, id)
	if gone(err) {
		return nil
	}
	if err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "zoom: meeting was not withdrawn",
			slog.String("meeting_id", id), slog.Any("error", err))
	}
	return err
}
