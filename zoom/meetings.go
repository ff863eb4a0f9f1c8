package zoom

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
)

// session is one operation on one doctor's account.
type session struct {
	*Client
	op   string
	rest rest.Client
}

// open finds the account's API. No token, no session: an error says that nothing was
// sent.
func (c *Client) open(ctx context.Context, op, doctorID string) (*session, error) {
	id := store.AccountID{Provider: ProviderName, Subject: doctorID}
	token, err := c.source.Token(ctx, id)
	if err != nil {
		return nil, sourceError(op, err)
	}
	return &session{Client: c, op: op, rest: c.api(token, c.source.Client(id, c.http))}, nil
}

// ask makes a call and reads its answer into out.
func (s *session) ask(ctx context.Context, call rest.Request, out any) error {
	if _, err := s.rest.Do(ctx, call, out); err != nil {
		return newError(s.op, err)
	}
	return nil
}

// write makes a call that changes something, and that Zoom answers without a word.
func (s *session) write(ctx context.Context, call rest.Request) error {
	answer, err := s.rest.Do(ctx, call, nil)
	if err == nil && len(answer.Body) > 0 {
		err = answer.Misfit(errIncomplete)
	}
	if err != nil {
		return newError(s.op, err)
	}
	return nil
}

// meeting makes a call that is answered with a meeting.
func (s *session) meeting(ctx context.Context, call rest.Request) (*meeting, error) {
	var found meeting
	if err := s.ask(ctx, call, &found); err != nil {
		return nil, err
	}
	return &found, nil
}

func (s *session) get(ctx context.Context, id string) (*meeting, error) {
	return s.meeting(ctx, rest.Request{Path: rest.Path("meetings", id)})
}

// in returns the meeting with its start in zone, or if that is nil in the zone that Zoom
// tells.
func (m *meeting) in(zone *time.Location) *meet.Meeting {
	if zone == nil {
		zone = time.UTC
		if loaded, err := time.LoadLocation(m.TimeZone); err == nil {
			zone = loaded
		}
	}
	found := &meet.Meeting{
		ID: m.id(), Provider: ProviderName, JoinURL: m.JoinURL, Status: meet.StatusScheduled, Topic: m.Topic,
		Start: m.start().In(zone), Duration: time.Duration(m.Duration) * time.Minute,
	}
	if m.Password != nil {
		found.Passcode = *m.Password
	}
	return found
}

// silent keeps Zoom from mailing about a cancellation.
var silent = url.Values{"schedule_for_reminder": {"false"}, "cancel_meeting_reminder": {"false"}}

func (s *session) delete(ctx context.Context, id string) error {
	err := s.write(ctx, rest.Request{Method: http.MethodDelete, Path: rest.Path("meetings", id), Query: silent})
	if gone(err) {
		return nil
	}
	return err
}

// gone reports whether Zoom says that there is no such meeting. A 404 without its code is
// somebody else's, a proxy's for instance, and proves nothing.
func gone(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Code == meetingGone
}

// Get reads a meeting. One that was cancelled, or whose start is 30 days past, is
// telemed.ErrNotFound. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/GET/meetings/{meetingId}.
func (c *Client) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	if err := checkID("Get", meetingID); err != nil {
		return nil, err
	}
	s, err := c.open(ctx, "Get", doctorID)
	if err != nil {
		return nil, err
	}
	found, err := s.get(ctx, meetingID)
	if err != nil {
		return nil, err
	}
	return found.in(nil), nil
}

// Update moves or renames a meeting; its ID, join link, passcode and settings stay. A
// meeting that was made for another Key is telemed.ErrConflict; one that is as req wants
// it already is left alone, since each change counts towards the doctor's 100 of the day.
// Update reads the meeting back and returns ErrMismatch, with Error.MeetingID, if Zoom
// has another time than the request. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/PATCH/meetings/{meetingId}.
func (c *Client) Update(ctx context.Context, doctorID, meetingID string, req meet.Request) (*meet.Meeting, error) {
	if err := check("Update", req, req.ValidateAt(time.Now())); err != nil {
		return nil, err
	}
	if err := checkID("Update", meetingID); err != nil {
		return nil, err
	}
	s, err := c.open(ctx, "Update", doctorID)
	if err != nil {
		return nil, err
	}
	req = req.Normal()
	found, err := s.get(ctx, meetingID)
	switch {
	case err != nil:
		return nil, err
	case found.isOthers(c.marker(doctorID, req.Key)):
		return nil, &Error{Op: "Update", MeetingID: meetingID, kind: telemed.ErrConflict, err: errOtherKey}
	// What begins soon is moved by seconds too.
	case !found.is(req, time.Now()) || !found.start().Equal(req.Start):
		found, err = s.change(ctx, meetingID, req)
	}
	if err != nil {
		return nil, err
	}
	return found.in(req.Start.Location()), nil
}

var errOtherKey = errors.New("the meeting is another key's")

// marker is what a meeting's agenda begins with: 100 bits that say nothing to whoever
// does not have the key.
func (c *Client) marker(doctorID, key string) string {
	mac := hmac.New(sha256.New, []byte(c.cfg.MarkerKey.Reveal()))
	mac.Write([]byte(doctorID + "\x00" + key))
	return markPrefix + base32.StdEncoding.EncodeToString(mac.Sum(nil))[:20]
}

// change makes the meeting what req, which must be normal, says, and reads it back.
func (s *session) change(ctx context.Context, id string, req meet.Request) (*meeting, error) {
	patch := rest.Request{Method: http.MethodPatch, Path: rest.Path("meetings", id), JSON: newSchedule(req, time.Now())}
	changed := s.write(rest.Repeatable(ctx), patch) // the whole new state: twice is once
	if changed != nil && !errors.Is(changed, telemed.ErrAmbiguous) {
		return nil, changed
	}
	found, err := s.get(ctx, id)
	switch {
	case gone(err):
		return nil, err
	case err != nil: // changed or not, nobody has seen it
		return nil, &Error{Op: s.op, MeetingID: id, kind: telemed.ErrAmbiguous, err: hidden(ctx, err)}
	case changed != nil && !found.is(req, time.Now()):
		return nil, changed
	}
	if fields := found.misplaced(req, time.Now()); fields != nil {
		return nil, s.mismatch(found, fields)
	}
	return found, nil
}

// Cancel deletes a meeting. One that is gone already is no error; one that is going on
// may be telemed.ErrConflict. Zoom mails nobody about it. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/DELETE/meetings/{meetingId}.
func (c *Client) Cancel(ctx context.Context, doctorID, meetingID string) error {
	if err := checkID("Cancel", meetingID); err != nil {
		return err
	}
	s, err := c.open(ctx, "Cancel", doctorID)
	if err != nil {
		return err
	}
	return s.delete(ctx, meetingID)
}

// HostLink returns a fresh link that makes whoever opens it the doctor of the meeting. It
// works for two hours. Fetch it when the doctor clicks, redirect to it, and keep it
// nowhere.
func (c *Client) HostLink(ctx context.Context, doctorID, meetingID string) (telemed.Secret, error) {
	if err := checkID("HostLink", meetingID); err != nil {
		return telemed.Secret{}, err
	}
	s, err := c.open(ctx, "HostLink", doctorID)
	if err != nil {
		return telemed.Secret{}, err
	}
	found, err := s.get(ctx, meetingID)
	if err != nil {
		return telemed.Secret{}, err
	}
	if found.StartURL == "" {
		return telemed.Secret{}, &Error{Op: "HostLink", kind: telemed.ErrForbidden, err: errors.New("the account gets no host link")}
	}
	return telemed.NewSecret(found.StartURL), nil
}

// check adds to what is wrong with a request, as its Validate found, what Zoom cannot do.
func check(op string, req meet.Request, invalid error) error {
	var p fault.Problems
	for _, field := range telemed.Fields(invalid) {
		p.Add(field.Field, "%s", field.Problem)
	}
	if len(req.Attendees) > 0 {
		p.Add("Attendees", "are not invited by Zoom: leave them out and send the join link")
	}
	return p.Err("zoom: " + op)
}

// checkID refuses what Zoom cannot have made, an id of another provider for instance.
func checkID(op, id string) error {
	switch {
	case id == "":
		return fault.Invalid("zoom: "+op, "meetingID", "is required")
	case !isMeetingID(id):
		return fault.Invalid("zoom: "+op, "meetingID", "is not a Zoom meeting's: those are digits")
	}
	return nil
}

// isMeetingID reports whether id is up to 19 digits.
func isMeetingID(id string) bool { return len(id) <= 19 && strings.Trim(id, "0123456789") == "" }

// mismatch is the error about a meeting that exists, but otherwise than asked for.
func (s *session) mismatch(m *meeting, fields []string) *Error {
	kind := telemed.ErrConflict
	// The account does not allow it.
	if !slices.Contains(fields, "start_time") && !slices.Contains(fields, "duration") {
		kind = telemed.ErrForbidden
	}
	return &Error{Op: s.op, Fields: fields, MeetingID: m.id(), kind: fault.Tagged(kind, ErrMismatch)}
}

// hidden keeps the text of a cause whose kind would contradict the one above it. That
// the caller's context ended stays to be found.
func hidden(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return errors.New(err.Error())
}
