package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/notify"
)

// Error is a message that was not sent, or whose outcome is unknown. errors.Is
// finds in it one sentinel of package notify, and the context's error if that ended it.
type Error struct {
	// Op is the method that failed, "Notify", or "Status" for a message that was
	// accepted and failed later.
	Op string
	// Status is the HTTP status, 0 if there was no whole answer.
	Status int
	// Code is Meta's: https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
	// It is meaningful if HasCode, since 0 is a code too.
	Code int
	// HasCode is true if Meta gave a Code.
	HasCode bool
	// RequestID is Meta's fbtrace_id, to be given to its support.
	RequestID string
	// RetryAfter is how long to wait before it is sent again, 0 if nobody said.
	RetryAfter time.Duration
	// Err is the cause if there was no whole answer.
	Err error

	kind error
}

// Error returns a text such as "whatsapp: Notify: 429 (code 130429): rate limited".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("whatsapp: " + e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	if e.HasCode {
		fmt.Fprintf(&b, " (code %d)", e.Code)
	}
	if e.Err != nil {
		b.WriteString(": " + reason(e.Err))
	}
	fmt.Fprintf(&b, ": %v", e.kind)
	return b.String()
}

// reason names a cause in our words, since a network's error names addresses.
func reason(err error) string {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "no whole answer"
}

// Is reports whether target is the sentinel of package notify for this outcome.
func (e *Error) Is(target error) bool { return target == e.kind }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// RetryDelay is RetryAfter, for notify.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// KindOf returns the sentinel of package notify for one of Meta's codes, or nil
// for a code that the table does not have.
//
//   - telemed.ErrUnavailable: Meta is overloaded or in maintenance; repeat later.
//   - telemed.ErrAmbiguous: an unknown failure at Meta, which may have come after the message was taken.
//   - telemed.ErrRateLimited: too many for the number, the account or this recipient.
//   - telemed.ErrForbidden: the account, the number or the template is blocked; alert a person.
//   - telemed.ErrUnauthorized: the token; alert a person.
//   - notify.ErrRecipient: this person cannot be reached or does not want to be; take another channel.
//   - telemed.ErrInvalid: the message does not fit the template or the API.
func KindOf(code int) error {
	switch code {
	case 131016, 133004, 131057, 134101:
		return telemed.ErrUnavailable
	case 1, 2, 131000:
		return telemed.ErrAmbiguous
	case 4, 80007, 80008, 130429, 131056, 132069:
		return telemed.ErrRateLimited
	case 368, 131031, 131042, 131048, 130497, // blocked, payment, spam, country
		132015, 132016, // template paused, disabled
		131037, 131045, 133000, 133005, 133006, 133008, 133009, 133010, 133015, 133016: // the number's name and registration
		return telemed.ErrForbidden
	case 0, 3, 10, 190, 131005:
		return telemed.ErrUnauthorized
	case 130472, 131021, 131026, 131030, 131047, 131049, 131050, 131062:
		return notify.ErrRecipient
	case 33, 100, 131008, 131009, 131051, 131052, 131053, 132000, 132001, 132005, 132007, 132012, 132018, 132068, 135000:
		return telemed.ErrInvalid
	}
	if code >= 200 && code <= 299 { // permissions
		return telemed.ErrUnauthorized
	}
	return nil
}

// waits are the pauses that Meta documents in place of a Retry-After.
var waits = map[int]time.Duration{
	131056: 6 * time.Second, // a message in 6 seconds to one recipient
	131057: time.Minute,
	134101: 10 * time.Minute,
}

// failed makes the error of a call. A code is Meta's word that the message was
// not taken, whatever the HTTP status; without one the status decides, and a
// server's failure or a lost answer leaves the outcome open.
func failed(ctx context.Context, op string, err error) error {
	var call *rest.Error
	if !errors.As(err, &call) {
		return &Error{Op: op, Err: err, kind: telemed.ErrAmbiguous}
	}
	e := &Error{Op: op, Status: call.Status, RequestID: call.RequestID, RetryAfter: call.RetryAfter, Err: call.Err}
	if e.Err != nil && ctx.Err() != nil {
		e.Err = ctx.Err()
	}
	env, ok := parseEnvelope(call.Body)
	if !ok {
		e.kind = byStatus(call)
		return e
	}
	e.Code, e.HasCode = *env.Error.Code, true
	if env.Error.Trace != "" {
		e.RequestID = traceID(env.Error.Trace)
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = waits[e.Code]
	}
	e.kind = kindOf(e.Code, env.Error.Transient, call)
	return e
}

func kindOf(code int, transient bool, call *rest.Error) error {
	kind := KindOf(code)
	switch {
	case kind == telemed.ErrAmbiguous && call.Status < 500: // refused, not broken
		return telemed.ErrUnavailable
	case kind != nil:
		return kind
	case transient && call.Status < 500:
		return telemed.ErrUnavailable
	}
	return byStatus(call)
}

func byStatus(call *rest.Error) error {
	kind := call.Kind(true)
	if kind == telemed.ErrNotFound || kind == telemed.ErrConflict {
		return telemed.ErrInvalid
	}
	if call.Status >= 300 && call.Status < http.StatusBadRequest {
		return telemed.ErrUnavailable
	}
	return kind
}

// traceID keeps what looks like an id, so that nothing else gets into a log by this way.
func traceID(text string) string {
	if len(text) > 64 || strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return ""
	}
	return text
}
