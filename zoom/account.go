package zoom

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/meet"
)

// What is kept of a meeting, in Config.Claims: under the Key's mark how far it is, with
// its id and account; under the id the account and the mark. So Cancel, which has the id
// alone, finds both.

// idName names the record of a meeting by its id.
func (c *Client) idName(doctorID, meetingID string) string {
	mac := hmac.New(sha256.New, []byte(c.cfg.MarkerKey.Reveal()))
	mac.Write([]byte(doctorID + "\x00id\x00" + meetingID))
	return "id:" + hex.EncodeToString(mac.Sum(nil)[:16])
}

// elsewhere reports whether an account is known to be another than the connected one.
func (s *session) elsewhere(account string) bool {
	return account != "" && s.account != "" && account != s.account
}

func (s *session) otherAccount(id string) *Error {
	return &Error{Op: s.op, MeetingID: id, kind: meet.ErrOtherAccount}
}

func (s *session) cancelled(id string) *Error {
	return &Error{Op: s.op, MeetingID: id, kind: meet.ErrCancelled}
}

// owned refuses a meeting that can be read here and is another user's.
func (s *session) owned(found *meeting) error {
	if s.elsewhere(found.DoctorID) {
		return s.otherAccount(found.id())
	}
	return nil
}

var errWhichAccount = errors.New("the meeting is not found, and nobody knows in which account it was made")

// absent says what it is worth that Zoom knows no such meeting, as err says, by what is
// written down of the meeting.
func (s *session) absent(ctx context.Context, known meetkey.Record, err error) error {
	failed, _ := errors.AsType[*Error](err)
	switch s.records.Absent(known, s.account, s.connected(ctx)) {
	case meetkey.Elsewhere:
		return s.otherAccount("")
	case meetkey.Unknown:
		return &Error{
			Op: s.op, Status: failed.Status, Code: failed.Code, RequestID: failed.RequestID,
			kind: telemed.ErrAmbiguous, err: errWhichAccount,
		}
	}
	return err
}

// connected is the account that is connected at this moment. Zoom is asked if the token
// does not tell. Empty if that fails.
func (s *session) connected(ctx context.Context) string {
	token, err := s.source.Token(ctx, s.id)
	if err != nil {
		return ""
	}
	if token.Account.ID != "" {
		return token.Account.ID
	}
	account, err := s.identify(ctx, token, "")
	if err != nil {
		return ""
	}
	return account.ID
}

// note writes down that the Key of mark has a meeting: under its id first, since the record
// under the Key says that all is written. If that fails, the next Create looks for the
// meeting in Zoom's list, and nobody may be given it before.
func (s *session) note(ctx context.Context, entry *meetkey.Entry, mark string, m *meeting, start time.Time) error {
	account := cmp.Or(m.DoctorID, s.account)
	err := s.records.Note(ctx, s.idName(s.id.Subject, m.id()), meetkey.Record{Key: mark, Account: account}, start)
	if err == nil {
		err = entry.Write(ctx, meetkey.Record{State: meetkey.Made, Meeting: m.id(), Account: account}, start)
	}
	if err != nil {
		s.unnoted(ctx, m.id(), err)
		return &Error{Op: s.op, MeetingID: m.id(), kind: telemed.ErrAmbiguous, err: errUnnoted}
	}
	return nil
}

var errUnnoted = errors.New("the meeting is there, and could not be written down")

// noteCancelled writes down that the Key of entry will not get another meeting.
func (s *session) noteCancelled(ctx context.Context, entry *meetkey.Entry, id, account string) {
	r := meetkey.Record{State: meetkey.Cancelled, Meeting: id, Account: account}
	s.unnoted(ctx, id, entry.Write(ctx, r, time.Time{}))
}

// forget frees a Key for which no meeting was made.
func (s *session) forget(ctx context.Context, entry *meetkey.Entry) {
	s.unnoted(ctx, "", entry.Clear(ctx))
}

// unnoted logs what could not be written down. What happened at Zoom happened all the
// same, and the caller is told that.
func (s *session) unnoted(ctx context.Context, id string, err error) {
	if err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "zoom: what became of a meeting was not written down",
			slog.String("op", s.op), slog.String("meeting_id", id), slog.Any("error", err))
	}
}

// noteTime bounds how long a call that is done waits for others to write its outcome.
const noteTime = 5 * time.Second

// amend changes the record of a Key, if it is the meeting's or nobody's.
func (s *session) amend(ctx context.Context, mark, id string, change func(*meetkey.Entry)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	entry, err := s.records.Open(ctx, mark)
	if err != nil {
		s.unnoted(ctx, id, err)
		return
	}
	defer entry.Close(ctx)
	if r := entry.Record; r.State == "" || r.State == meetkey.Asked || r.State == meetkey.Made && r.Meeting == id {
		change(entry)
	}
}

// recordError is the error of Config.Claims, before anything was sent.
func (s *session) recordError(ctx context.Context, err error) *Error {
	if errors.Is(err, fault.UnderWay) {
		return &Error{Op: s.op, RetryAfter: meetkey.AskAgain, kind: fault.UnderWay, err: hidden(ctx, err)}
	}
	return &Error{Op: s.op, kind: telemed.ErrUnavailable, err: hidden(ctx, err)}
}
