package googlemeet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store/oauth"
)

// Error is a call that did not end as it should. errors.Is finds the error value of package
// telemed behind it. Its text holds nothing of what was sent or answered, save the reason.
type Error struct {
	// Op is the method: "Create", "Get", "Update", "Cancel", "Revoke".
	Op string
	// Status is the HTTP status; 0 if there was no whole answer.
	Status int
	// Reason is Google's word for it, "quotaExceeded", or one of the Reason values of this package. May be empty.
	// See https://developers.google.com/workspace/calendar/api/guides/errors.
	Reason string
	// RetryAfter is how long Google asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Meeting is what exists in spite of the error, with its ID; nil if nothing is known to. It is not
	// part of the error's JSON: its join link lets a patient in.
	Meeting *meet.Meeting `json:"-"`

	kind, err error
}

// The reasons that are not Google's.
const (
	// ReasonNoMeet means that the account or calendar cannot have Meet rooms at all. It comes with telemed.ErrForbidden.
	ReasonNoMeet = "conferenceTypeNotAllowed"
	// ReasonRoomFailed means that the event is there and Google failed to make its room, twice. It
	// comes with telemed.ErrUnavailable and the Meeting; Create with the same Key tries again.
	ReasonRoomFailed = "conferenceFailed"
	// ReasonNoRoom means that the event has no room: somebody removed it. As ReasonRoomFailed.
	ReasonNoRoom = "conferenceMissing"
	// ReasonForeignLink means that the event's link does not lead to Google Meet. It comes with telemed.ErrConflict.
	ReasonForeignLink = "conferenceForeign"
	// ReasonMoved means that there is a meeting under the Key, at another time. It comes with telemed.ErrConflict and the Meeting.
	ReasonMoved = "moved"
	// ReasonOtherKey means that the event belongs to another Key. It comes with telemed.ErrConflict.
	ReasonOtherKey = "otherKey"
	// ReasonCancelled means that the meeting was cancelled, here or in the calendar. It comes with telemed.ErrConflict.
	ReasonCancelled = "cancelled"
	// ReasonTooOften means that a Key was cancelled more often than there are ids for it. It comes with telemed.ErrConflict.
	ReasonTooOften = "cancelledTooOften"
)

func (e *Error) Error() string {
	text := "googlemeet: " + e.Op + ": "
	if e.Status != 0 {
		text += fmt.Sprintf("%d ", e.Status)
	}
	if e.Reason != "" {
		text += "(" + e.Reason + ") "
	}
	text = strings.TrimSuffix(text, " ")
	if !strings.HasSuffix(text, ":") {
		text += ":"
	}
	switch {
	case e.kind == nil && e.err != nil:
		return text + " " + e.err.Error()
	case e.err != nil:
		return text + " " + e.kind.Error() + ": " + e.err.Error()
	}
	return text + " " + e.kind.Error()
}

// Is ties the error to the values of package telemed. A missing permission is also ErrReconnect.
func (e *Error) Is(target error) bool {
	return target == e.kind && target != nil || e.kind == telemed.ErrMissingScope && target == telemed.ErrReconnect
}

// Unwrap returns why there was no answer: a context's error, or the token source's.
func (e *Error) Unwrap() error { return e.err }

// RetryDelay is RetryAfter, for code that takes errors of any package.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// failed sorts what Google's library returned. write says whether the call was to change something.
func failed(op string, err error, write bool) error {
	if answer, ok := errors.AsType[*googleapi.Error](err); ok {
		return answered(op, answer, write)
	}
	e := &Error{Op: op, err: rest.WithoutURL(err)}
	if isDecodeError(err) {
		e.err = errNotEvent
	}
	switch {
	case slices.ContainsFunc(accountErrors, func(target error) bool { return errors.Is(err, target) }):
		return e // it says what it is by itself
	case isTokenError(err): // the call was not made: what became of the token is not the caller's matter
		e.kind, e.err = telemed.ErrUnavailable, errors.New(e.err.Error())
	case write && !rest.Unsent(err) && !neverBegun(err):
		e.kind = telemed.ErrAmbiguous
	default:
		e.kind = telemed.ErrUnavailable
	}
	return e
}

// accountErrors are those of the token source that a caller acts on.
var accountErrors = []error{
	telemed.ErrNotConnected, telemed.ErrReconnect, telemed.ErrUnauthorized, telemed.ErrInvalid, telemed.ErrDecrypt, telemed.ErrClosed,
}

func isTokenError(err error) bool {
	_, ok := errors.AsType[*oauth.Error](err)
	return ok || errors.Is(err, telemed.ErrUnavailable) || errors.Is(err, telemed.ErrRateLimited)
}

var errNotEvent = errors.New("answer is not an event")

// isDecodeError recognises errors that quote what could not be read.
func isDecodeError(err error) bool {
	_, wrongType := errors.AsType[*json.UnmarshalTypeError](err)
	_, wrongSyntax := errors.AsType[*json.SyntaxError](err)
	return wrongType || wrongSyntax
}

// errNotBegun wraps the error of a context that had ended before the call.
type errNotBegun struct{ error }

func (e errNotBegun) Unwrap() error { return e.error }

func neverBegun(err error) bool {
	_, ok := errors.AsType[errNotBegun](err)
	return ok
}

// begun refuses to begin a call whose context has ended.
func begun(ctx context.Context) error {
	if ctx.Err() != nil {
		return errNotBegun{context.Cause(ctx)}
	}
	return nil
}

// answered reads the error that wire left of Google's.
func answered(op string, answer *googleapi.Error, write bool) error {
	e := &Error{Op: op, Status: answer.Code, Reason: reasonIn([]byte(answer.Body))}
	e.RetryAfter, _ = rest.RetryAfter(answer.Header, time.Now())
	byStatus := rest.Error{Status: answer.Code, Unsent: answer.Code == http.StatusTooManyRequests}
	e.kind = byStatus.Kind(write)
	switch {
	case answer.Code == http.StatusUnauthorized:
		e.kind = telemed.ErrReconnect // a fresh token was tried already
	case answer.Code == http.StatusForbidden && kindOf403[e.Reason] != nil:
		e.kind = kindOf403[e.Reason]
	case e.Reason == ReasonNoMeet:
		e.kind = telemed.ErrForbidden
	}
	return e
}

// kindOf403 tells what the many meanings of 403 ask of the caller; any other is ErrForbidden.
var kindOf403 = map[string]error{
	"rateLimitExceeded":               telemed.ErrRateLimited,
	"userRateLimitExceeded":           telemed.ErrRateLimited,
	"RATE_LIMIT_EXCEEDED":             telemed.ErrRateLimited,
	"quotaExceeded":                   telemed.ErrRateLimited,
	"dailyLimitExceeded":              telemed.ErrRateLimited,
	"insufficientPermissions":         telemed.ErrMissingScope,
	"ACCESS_TOKEN_SCOPE_INSUFFICIENT": telemed.ErrMissingScope,
	"accessNotConfigured":             telemed.ErrUnauthorized,
	"SERVICE_DISABLED":                telemed.ErrUnauthorized,
	"appNotInstalled":                 telemed.ErrUnauthorized,
}

// reasonIn returns the reason of an error body: the first of errors[], else that of an
// ErrorInfo in details[], else the code of an OAuth error. What does not look like a reason is dropped.
func reasonIn(body []byte) string {
	var doc struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return ""
	}
	var code string
	if json.Unmarshal(doc.Error, &code) == nil {
		return printable(code)
	}
	var api struct {
		Errors  []struct{ Reason string }
		Details []struct{ Reason string }
	}
	if json.Unmarshal(doc.Error, &api) != nil {
		return ""
	}
	for _, list := range [][]struct{ Reason string }{api.Errors, api.Details} {
		for _, item := range list {
			if reason := printable(item.Reason); reason != "" {
				return reason
			}
		}
	}
	return ""
}

func printable(reason string) string {
	odd := strings.IndexFunc(reason, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
	})
	if len(reason) > 64 || odd >= 0 {
		return ""
	}
	return reason
}
