package googlemeet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/api/calendar/v3"
	"google.golang.org/api/googleapi"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/meet"
)

// recordName names what is kept of an event in Config.Claims: how far its Key is, and its
// account. An event's id follows from its Key, so one record serves both.
func (c *Client) recordName(doctorID, eventID string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "record %q %q %q", c.cfg.Namespace, doctorID, eventID))
	return hex.EncodeToString(sum[:20])
}

// elsewhere reports whether an account is known to be another than the connected one.
func (k *call) elsewhere(account string) bool {
	return account != "" && k.account != "" && account != k.account
}

func (k *call) otherAccount() *Error { return &Error{Op: k.op, kind: meet.ErrOtherAccount} }

func (k *call) cancelled() *Error {
	return &Error{Op: k.op, Reason: ReasonCancelled, kind: meet.ErrCancelled}
}

// primary is the calendar of whoever is connected.
const primary = "primary"

// owned refuses an event of another account that has its copy here: its guest was
// connected, whose changes and cancellation nobody else would see. Other calendars have
// writers whose events are not their own.
func (k *call) owned(event *calendar.Event) error {
	if k.cfg.Calendar == primary && event.Creator != nil && !event.Creator.Self {
		return k.otherAccount()
	}
	return nil
}

// read reads an event of the connected account. Error values are those of the contract.
func (k *call) read(ctx context.Context, id string, fields googleapi.Field) (*calendar.Event, error) {
	event, err := k.get(ctx, id, fields)
	switch {
	case isGone(err):
		known, unread := k.records.Read(ctx, k.recordName(k.id.Subject, id))
		if unread != nil {
			return nil, k.recordError(ctx, unread)
		}
		return nil, k.absent(ctx, known, err)
	case err != nil:
		return nil, err
	}
	return event, k.owned(event)
}

var errWhichAccount = errors.New("the event is not found, and nobody knows in which account it was made")

// absent says what it is worth that Google knows no such event, as err says, by what is
// written down of it. That an event was deleted, Google says in its own calendar alone.
func (k *call) absent(ctx context.Context, known meetkey.Record, err error) error {
	if wasHere(err) && !k.elsewhere(known.Account) {
		return err
	}
	var now string
	if token, err := k.tokens.Token(ctx, k.id); err == nil {
		now = token.Account.ID
	}
	failed, _ := errors.AsType[*Error](err)
	switch k.records.Absent(known, k.account, now) {
	case meetkey.Elsewhere:
		return k.otherAccount()
	case meetkey.Unknown:
		return &Error{Op: k.op, Status: failed.Status, Reason: failed.Reason, kind: telemed.ErrAmbiguous, err: errWhichAccount}
	}
	return err
}

// note writes down that the Key of entry has an event. If that fails, the next Create
// finds it by its id, and nobody may be given it before.
func (k *call) note(ctx context.Context, entry *meetkey.Entry, event *calendar.Event, start time.Time) error {
	made := meetkey.Record{State: meetkey.Made, Meeting: event.Id, Account: k.account}
	if err := entry.Write(ctx, made, start); err != nil {
		k.unnoted(ctx, err)
		return &Error{Op: k.op, kind: telemed.ErrAmbiguous, err: errUnnoted}
	}
	return nil
}

var errUnnoted = errors.New("the event is there, and could not be written down")

// noteCancelled writes down that the Key of entry will not get another event.
func (k *call) noteCancelled(ctx context.Context, entry *meetkey.Entry, id string) {
	r := meetkey.Record{State: meetkey.Cancelled, Meeting: id, Account: k.account}
	k.unnoted(ctx, entry.Write(ctx, r, time.Time{}))
}

// unnoted logs what could not be written down. What happened at Google happened all the
// same, and the caller is told that.
func (k *call) unnoted(ctx context.Context, err error) {
	if err != nil {
		k.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "googlemeet: what became of a meeting was not written down",
			slog.String("op", k.op), slog.Any("error", err))
	}
}

// noteTime bounds how long a call that is done waits for others to write its outcome.
const noteTime = 5 * time.Second

// amend changes the record of an event whose Key is not cancelled.
func (k *call) amend(ctx context.Context, id string, change func(*meetkey.Entry)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	entry, err := k.records.Open(ctx, k.recordName(k.id.Subject, id))
	if err != nil {
		k.unnoted(ctx, err)
		return
	}
	defer entry.Close(ctx)
	if entry.Record.State != meetkey.Cancelled {
		change(entry)
	}
}

// recordError is the error of Config.Claims, before anything was sent. That the caller's
// context ended stays to be found.
func (k *call) recordError(ctx context.Context, err error) *Error {
	cause := context.Cause(ctx)
	if cause == nil {
		cause = errors.New(err.Error())
	}
	if errors.Is(err, fault.UnderWay) {
		return &Error{Op: k.op, RetryAfter: meetkey.AskAgain, kind: fault.UnderWay, err: cause}
	}
	return &Error{Op: k.op, kind: telemed.ErrUnavailable, err: cause}
}
