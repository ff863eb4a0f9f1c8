package zoom

import (
	"cmp"
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
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
)

// session is one operation on one doctor's account.
type session struct {
	*Client
	op      string
	id      store.AccountID
	account string // Zoom's id of the connected user; empty if the token does not tell
	rest    rest.Client
}

// open finds the account's API. No token, no session: an error says that nothing was
// sent.
func (c *Client) open(ctx context.Context, op, doctorID string) (*session, error) {
	id := store.AccountID{Provider: ProviderName, Subject: doctorID}
	token, err := c.source.Token(ctx, id)
	if err != nil {
		return nil, sourceError(op, err)
	}
	api := c.api(token, c.source.Client(id, c.http))
	return &session{Client: c, op: op, id: id, account: token.Account.ID, rest: api}, nil
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

// meeting makes a call that is answered with a meeting. fits says whether it is the one
// that was asked for.
func (s *session) meeting(ctx context.Context, call rest.Request, fits func(*meeting) bool) (*meeting, error) {
	var found meeting
	answer, err := s.rest.Do(ctx, call, &found)
	if err == nil && !fits(&found) {
		err = answer.Misfit(errOtherMeeting)
	}
	if err != nil {
		return nil, newError(s.op, err)
	}
	return &found, nil
}

var errOtherMeeting = errors.New("the answer is about another meeting")

// get reads a meeting. Whether it is the doctor's, and what it means that there is none,
// is for the caller to find out.
func (s *session) get(ctx context.Context, id string) (*meeting, error) {
	return s.meeting(ctx, rest.Request{Path: rest.Path("meetings", id)}, func(m *meeting) bool { return m.id() == id })
}

// read reads a meeting of the connected account. Error values are those of the contract.
func (s *session) read(ctx context.Context, id string) (*meeting, error) {
	found, err := s.get(ctx, id)
	switch {
	case gone(err):
		record, unread := s.records.Read(ctx, s.idName(s.id.Subject, id))
		if unread != nil {
			return nil, s.recordError(ctx, unread)
		}
		return nil, s.absent(ctx, record, err)
	case err != nil:
		return nil, err
	}
	return found, s.owned(found)
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
		ID: m.id(), Provider: ProviderName, Account: m.DoctorID, JoinURL: m.JoinURL, Status: meet.StatusScheduled, Topic: m.Topic,
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
	return s.write(ctx, rest.Request{Method: http.MethodDelete, Path: rest.Path("meetings", id), Query: silent})
}

// gone reports whether Zoom says that there is no such meeting. A 404 without its code is
// somebody else's, a proxy's for instance, and proves nothing.
func gone(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Code == meetingGone
}

// Get reads a meeting. One that was cancelled, or whose start is 30 days past, is
// telemed.ErrNotFound, if the connected account is the one that it was made in. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/GET/meetings/{meetingId}.
func (c *Client) Get(ctx context.Context, doctorID, meetingID string) (*meet.Meeting, error) {
	if err := checkID("Get", meetingID); err != nil {
		return nil, err
	}
	s, err := c.open(ctx, "Get", doctorID)
	if err != nil {
		return nil, err
	}
	found, err := s.read(ctx, meetingID)
	if err == nil {
		err = s.usable(found)
	}
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
	found, err := s.update(ctx, c.marker(doctorID, req.Key), meetingID, req.Normal())
	if err != nil {
		return nil, err
	}
	return found.in(req.Start.Location()), nil
}

func (s *session) update(ctx context.Context, mark, id string, req meet.Request) (*meeting, error) {
	found, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	others, err := s.isOthers(ctx, found, mark)
	before := found.start()
	switch {
	case err != nil:
		return nil, err
	case others:
		return nil, &Error{Op: "Update", MeetingID: id, kind: telemed.ErrConflict, err: errOtherKey}
	// What begins soon is moved by seconds too.
	case !found.is(req, time.Now()) || !before.Equal(req.Start):
		if found, err = s.change(ctx, id, req); err != nil {
			return nil, err
		}
	}
	if req.Start.After(before) { // what is kept of it is kept for longer
		s.amend(ctx, mark, id, func(entry *meetkey.Entry) { _ = s.note(ctx, entry, mark, found, req.Start) })
	}
	return found, s.usable(found)
}

// isOthers reports whether a meeting was made for another Key than the mark's. If the
// doctor has written over the agenda, what is written down of it tells. If nothing is, the
// application is believed.
func (s *session) isOthers(ctx context.Context, m *meeting, mark string) (bool, error) {
	if made := m.mark(); made != "" {
		return made != mark, nil
	}
	known, err := s.records.Read(ctx, s.idName(s.id.Subject, m.id()))
	if err != nil {
		return false, s.recordError(ctx, err)
	}
	return known.Key != "" && known.Key != mark, nil
}

var errOtherKey = errors.New("the meeting is another key's")

// marker is what a meeting's agenda begins with: 100 bits that say nothing to whoever
// does not have the key.
func (c *Client) marker(doctorID, key string) string {
	mac := hmac.New(sha256.New, []byte(c.cfg.MarkerKey.Reveal()))
	mac.Write([]byte(doctorID + "\x00" + key))
	return markPrefix + base32.StdEncoding.EncodeToString(mac.Sum(nil))[:markLength-len(markPrefix)]
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

// Cancel deletes a meeting. One that is gone already is no error, if the connected account
// is the one that it was made in; one that is going on may be telemed.ErrConflict. Zoom
// mails nobody about it. See
// https://developers.zoom.us/docs/api/meetings/#tag/meetings/DELETE/meetings/{meetingId}.
func (c *Client) Cancel(ctx context.Context, doctorID, meetingID string) error {
	if err := checkID("Cancel", meetingID); err != nil {
		return err
	}
	s, err := c.open(ctx, "Cancel", doctorID)
	if err != nil {
		return err
	}
	known, err := s.known(ctx, meetingID)
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		return nil
	case err != nil:
		return err
	case known.Key == "": // made by hand, or its agenda was written over
		return s.remove(ctx, known, meetingID)
	}
	entry, err := c.records.Open(ctx, known.Key)
	if err != nil {
		return s.recordError(ctx, err)
	}
	defer entry.Close(ctx)
	ctx, cancel := context.WithDeadline(ctx, entry.Deadline())
	defer cancel()
	return s.end(ctx, entry, known, meetingID)
}

// end deletes the meeting of a Key. That it is the Key's is written down before: whatever
// happens in between, no Create can hold the meeting for one that was never made.
func (s *session) end(ctx context.Context, entry *meetkey.Entry, known meetkey.Record, id string) error {
	if state := entry.Record.State; state == "" || state == meetkey.Asked {
		made := meetkey.Record{State: meetkey.Made, Meeting: id, Account: known.Account}
		if err := entry.Write(ctx, made, time.Now()); err != nil {
			return s.recordError(ctx, err)
		}
	}
	err := s.remove(ctx, known, id)
	if err == nil && entry.Record.State == meetkey.Made && entry.Record.Meeting == id {
		s.noteCancelled(ctx, entry, id, known.Account)
	}
	return err
}

// remove deletes a meeting, or finds that it is gone.
func (s *session) remove(ctx context.Context, known meetkey.Record, id string) error {
	err := s.delete(ctx, id)
	if gone(err) {
		err = s.absent(ctx, known, err)
	}
	if errors.Is(err, telemed.ErrNotFound) {
		return nil
	}
	return err
}

// known returns what is written down of a meeting. If its account is not, Zoom is asked
// for the meeting, and says whose it is.
func (s *session) known(ctx context.Context, id string) (meetkey.Record, error) {
	record, err := s.records.Read(ctx, s.idName(s.id.Subject, id))
	switch {
	case err != nil:
		return record, s.recordError(ctx, err)
	case s.elsewhere(record.Account):
		return record, s.otherAccount(id)
	case record.Account != "":
		return record, nil
	}
	found, err := s.read(ctx, id)
	if err != nil {
		return record, err
	}
	return meetkey.Record{Account: cmp.Or(found.DoctorID, s.account), Key: cmp.Or(record.Key, found.mark())}, nil
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
	found, err := s.read(ctx, meetingID)
	switch {
	case err != nil:
		return telemed.Secret{}, err
	case found.StartURL == "":
		return telemed.Secret{}, &Error{Op: "HostLink", kind: telemed.ErrForbidden, err: errors.New("the account gets no host link")}
	case !c.leadsToZoom(found.StartURL):
		return telemed.Secret{}, s.foreignLink(found)
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
