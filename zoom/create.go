package zoom

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/meet"
)

// Create makes a meeting at the request's time, once for each Key: it returns the one
// that is there, if there is one, also if another process made it, and also when its
// start has passed. If that has another time than the request, the error is
// telemed.ErrConflict with its Error.MeetingID: use Update to move it.
//
// If Zoom makes the meeting at another time, or with a less safe setting, it is cancelled
// and the error is ErrMismatch; Error.MeetingID is empty unless cancelling failed. The
// account's administrator must unlock the setting then, or the application accept it in
// Config.AcceptLocked. A doctor's calls with the same Key wait for each other. If the
// error is telemed.ErrAmbiguous, call again.
//
// Request.Attendees must be empty: Zoom invites nobody. Beside the request that makes the
// meeting, Create lists the doctor's meetings before and after, 300 at a time. See
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
	unlock, err := c.creating.lock(ctx, mark)
	if err != nil {
		return nil, &Error{Op: "Create", kind: telemed.ErrUnavailable, err: err}
	}
	defer unlock()

	found, err := s.find(ctx, mark)
	if err == nil && found == nil {
		err = check("Create", req, req.ValidateAt(time.Now()))
	}
	if err != nil {
		return nil, err
	}
	req = req.Normal()
	if found == nil {
		found, err = s.create(ctx, mark, req)
	} else {
		err = s.accept(found, req)
	}
	if err != nil {
		return nil, err
	}
	return found.in(req.Start.Location()), nil
}

// create makes the meeting, and finds out what happened if Zoom's answer is lost.
func (s *session) create(ctx context.Context, mark string, req meet.Request) (*meeting, error) {
	code := newPasscode()
	own, err := s.post(ctx, mark, code, req)
	switch {
	case errors.Is(err, telemed.ErrAmbiguous):
		found := s.lookAfter(ctx, mark)
		if found == nil {
			return nil, err
		}
		if found.Password == nil || *found.Password != code { // another process was first
			return found, s.accept(found, req)
		}
		own = found
	case err != nil:
		return nil, err
	default:
		if first := s.earlier(ctx, mark, own); first != nil {
			_ = s.withdraw(ctx, own.id()) // logged; a spare meeting harms less than a dead link
			return first, s.accept(first, req)
		}
	}
	fields := append(own.misplaced(req, time.Now()), s.overridden(own)...)
	if fields == nil {
		return own, nil
	}
	mismatch := s.mismatch(own, fields)
	if s.withdraw(ctx, own.id()) == nil {
		mismatch.MeetingID = ""
	}
	return nil, mismatch
}

// post sends the one request that makes a meeting. The transport repeats it only if it
// surely was not taken. It must never carry an idempotency header: Zoom ignores those,
// and the transport would believe them.
func (s *session) post(ctx context.Context, mark, code string, req meet.Request) (*meeting, error) {
	body := newMeeting{
		schedule: newSchedule(req, time.Now()), Type: scheduled, Agenda: mark, Password: code, Settings: s.settings,
	}
	return s.meeting(ctx, rest.Request{Method: http.MethodPost, Path: "/users/me/meetings", JSON: body})
}

// lookAfter looks, after a pause, for the meeting of a create whose answer was lost.
func (s *session) lookAfter(ctx context.Context, mark string) *meeting {
	if wait.For(ctx, s.cfg.LookAfter) != nil {
		return nil
	}
	found, err := s.find(ctx, mark)
	if err != nil {
		return nil
	}
	return found
}

// earlier returns the meeting of another process that goes before own, which has just
// been made and which nobody was given yet. It is nil if own is the first, or if that
// cannot be found out. Since all processes put meetings in the same order, at most one of
// them withdraws its own.
func (s *session) earlier(ctx context.Context, mark string, own *meeting) *meeting {
	marked, err := s.marked(ctx, mark)
	if err != nil {
		return nil
	}
	marked = slices.DeleteFunc(marked, func(m meeting) bool { return inOrder(m, *own) >= 0 })
	first, err := s.first(ctx, marked)
	if err != nil {
		return nil
	}
	return first
}

// inOrder compares meetings by age. Zoom tells it in seconds; within one, the id decides.
func inOrder(a, b meeting) int {
	return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// accept says whether an earlier meeting is what is asked for now.
func (s *session) accept(found *meeting, req meet.Request) error {
	if fields := found.misplaced(req, time.Now()); fields != nil {
		return &Error{Op: s.op, Fields: fields, MeetingID: found.id(), kind: telemed.ErrConflict, err: errMoved}
	}
	if fields := s.overridden(found); fields != nil {
		return s.mismatch(found, fields)
	}
	return nil
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

// find returns the meeting with the mark, nil if there is none. If there are several, it
// is the oldest. The others stay: somebody may have been given their links.
func (s *session) find(ctx context.Context, mark string) (*meeting, error) {
	marked, err := s.marked(ctx, mark)
	if err != nil {
		return nil, err
	}
	return s.first(ctx, marked)
}

// first reads the oldest of the listed meetings that is still there; nil if none is.
func (s *session) first(ctx context.Context, listed []meeting) (*meeting, error) {
	slices.SortFunc(listed, inOrder)
	for _, m := range listed {
		found, err := s.get(ctx, m.id())
		if !gone(err) {
			return found, err
		}
	}
	return nil, nil
}

// The list is read in pages, as many as a doctor can fill by 100 meetings a day over
// months.
const (
	pageSize = "300"
	maxPages = 100
)

// marked lists the meetings with the mark. It reads all that are not expired and asks for
// no date: a meeting that was moved is still its key's.
func (s *session) marked(ctx context.Context, mark string) ([]meeting, error) {
	var all []meeting
	query := url.Values{"type": {"scheduled"}, "page_size": {pageSize}}
	for range maxPages {
		var page page
		if err := s.ask(ctx, rest.Request{Path: "/users/me/meetings", Query: query}, &page); err != nil {
			return nil, err
		}
		for _, m := range page.Meetings {
			if strings.HasPrefix(m.Agenda, mark) {
				all = append(all, m)
			}
		}
		if page.Next == "" {
			return all, nil
		}
		query.Set("next_page_token", page.Next)
	}
	return nil, &Error{Op: s.op, kind: telemed.ErrUnavailable, err: errors.New("the list of meetings does not end")}
}

// withdraw deletes a meeting that must not stay, also if the caller has gone.
func (s *session) withdraw(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	err := s.delete(ctx, id)
	if err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "zoom: meeting was not withdrawn",
			slog.String("meeting_id", id), slog.Any("error", err))
	}
	return err
}
