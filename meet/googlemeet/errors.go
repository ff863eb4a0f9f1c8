package googlemeet

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store/oauth"
)

// Error is a call that did not end as it should. errors.Is finds the error value of
// package telemed behind it. Its text holds nothing of what was sent or answered, save
// the reason.
type Error struct {
	// Op is the method: "Create", "Get", "Update", "Cancel", "Revoke".
	Op string
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// Reason is Google's word for it, "quotaExceeded", or one of the Reason values of
	// this package. May be empty.
	// See https://developers.google.com/workspace/calendar/api/guides/errors.
	Reason string
	// RetryAfter is how long to wait, 0 if nobody said: Google, or this package while
	// another call with the same Key is under way.
	RetryAfter time.Duration
	// Meeting is what exists in spite of the error, with its ID; nil if nothing is known
	// to. It is not part of the error's JSON: its join link lets a patient in.
	Meeting *meet.Meeting `json:"-"`

	kind, err error
}

// The reasons that are not Google's.
const (
	// ReasonNoMeet means that the account or calendar cannot have Meet rooms at all. It
	// comes with telemed.ErrForbidden.
	ReasonNoMeet = "conferenceTypeNotAllowed"
	// ReasonRoomFailed means that the event is there and Google failed to make its room,
	// twice. It comes with telemed.ErrUnavailable and the Meeting; Create with the same
	// Key tries again.
	ReasonRoomFailed = "conferenceFailed"
	// ReasonNoRoom means that the event has no room: somebody removed it. As
	// ReasonRoomFailed.
	ReasonNoRoom = "conferenceMissing"
	// ReasonForeignLink means that the event's link does not lead to Google Meet. It
	// comes with telemed.ErrConflict.
	ReasonForeignLink = "conferenceForeign"
	// ReasonMoved means that there is a meeting under the Key, at another time. It comes
	// with telemed.ErrConflict and the Meeting.
	ReasonMoved = "moved"
	// ReasonOtherKey means that the event belongs to another Key. It comes with
	// telemed.ErrConflict.
	ReasonOtherKey = "otherKey"
	// ReasonCancelled means that the meeting was cancelled, here or in the calendar. It
	// comes with meet.ErrCancelled.
	ReasonCancelled = "cancelled"
	// ReasonTaken means that the event's id is taken in the calendar, and that Google shows
	// no event: it has cleared away what was cancelled long ago. It comes with
	// telemed.ErrConflict; a new Key has another id.
	ReasonTaken = "taken"
	// ReasonGuestsHidden means that Google does not show all guests of the event, so that
	// none can be added. It comes with telemed.ErrConflict.
	ReasonGuestsHidden = "guestsHidden"
)

// Error returns a text such as "googlemeet: Create: 429 (rateLimitExceeded): rate
// limited".
func (e *Error) Error() string {
	return fault.Text{
		Package: "googlemeet", Op: e.Op, Status: e.Status, Codes: []fault.Code{{Word: e.Reason}}, Kind: e.kind, Cause: e.err,
	}.String()
}

// Is ties the error to the values of package telemed. A missing permission is also
// ErrReconnect.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns why there was no answer: a context's error, or the token source's.
func (e *Error) Unwrap() error { return e.err }

// RetryDelay is RetryAfter, for code that takes errors of any package.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// newError types the error of a rest call.
func newError(op string, err error) *Error {
	answer, _ := errors.AsType[*rest.Error](err) // rest has no other
	e := &Error{
		Op: op, Status: answer.Status, Reason: reasonWords.Known(reasonOf(&answer.Answer)), RetryAfter: answer.RetryAfter,
		kind: answer.Kind, err: answer.Err,
	}
	switch {
	case !answer.Unsent:
	case slices.ContainsFunc(accountErrors, func(target error) bool { return errors.Is(e.err, target) }):
		e.kind = nil // err says what it is
	// The call was not made: what became of the token is not the caller's matter.
	case isTokenError(e.err):
		e.kind, e.err = telemed.ErrUnavailable, errors.New(e.err.Error())
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

var (
	errNotEvent = errors.New("answer is not an event")
	errNotJSON  = errors.New("answer is not JSON")
)

// classify says what an answer of Google's means. A success that is no JSON is a
// gateway's page in its place: it is asked for again.
func classify(a *rest.Answer) (rest.Outcome, error) {
	outcome, kind := rest.ByStatus(a)
	switch {
	case outcome == rest.Done && a.Status != http.StatusNoContent && !json.Valid(a.Body):
		a.Err = errNotJSON
		return rest.Open, a.Unknown()
	case outcome == rest.Refused:
		return refusal(a, kind)
	}
	return outcome, kind
}

// refusal reads Google's reason. kind is what the status alone means.
func refusal(a *rest.Answer, kind error) (rest.Outcome, error) {
	reason := reasonOf(a)
	if said := kindOf403[reason]; said != nil && a.Status == http.StatusForbidden {
		kind = said
	}
	switch {
	case !isGoogles(a.Body):
		return rest.Foreign, a.Unknown()
	case a.Status == http.StatusUnauthorized:
		return rest.Refused, telemed.ErrReconnect // a fresh token was tried already
	case reason == ReasonNoMeet:
		return rest.Refused, telemed.ErrForbidden
	case kind == telemed.ErrRateLimited && !lasting[reason]:
		return rest.Busy, kind
	}
	return rest.Refused, kind
}

// reasonWords are the reasons that an Error may hold. Any other is believed as far as it
// goes, and not repeated. See
// https://developers.google.com/workspace/calendar/api/guides/errors and
// https://cloud.google.com/apis/design/errors.
var reasonWords = fault.NewWords(
	`rateLimitExceeded userRateLimitExceeded RATE_LIMIT_EXCEEDED quotaExceeded dailyLimitExceeded
	calendarUsageLimitsExceeded limitExceeded variableTermLimitExceeded
	insufficientPermissions ACCESS_TOKEN_SCOPE_INSUFFICIENT ACCESS_TOKEN_EXPIRED ACCESS_TOKEN_TYPE_UNSUPPORTED
	accessNotConfigured SERVICE_DISABLED appNotInstalled API_KEY_INVALID CONSUMER_INVALID USER_PROJECT_DENIED`,
	`badRequest invalid invalidParameter invalidArgument required parseError timeRangeEmpty invalidSharingRequest
	authError unauthorized expired forbidden forbiddenForNonOrganizer requiredAccessLevel domainPolicy
	notFound notACalendarUser deleted gone duplicate conflict conditionNotMet preconditionFailed updatedMinTooLongAgo
	fullSyncRequired eventTypeRestriction cannotChangeOrganizer backendError internalError serviceUnavailable transientError`,
	`invalid_grant invalid_client invalid_request invalid_token invalid_scope unauthorized_client
	unsupported_grant_type unsupported_token_type access_denied admin_policy_enforced`,
	ReasonNoMeet, ReasonRoomFailed, ReasonNoRoom, ReasonForeignLink, ReasonMoved, ReasonOtherKey, ReasonCancelled, ReasonTaken, ReasonGuestsHidden,
)

// lasting are the limits that hold for hours, so that there is no use in waiting.
var lasting = map[string]bool{"quotaExceeded": true, "dailyLimitExceeded": true}

// kindOf403 tells what the many meanings of 403 ask of the caller; any other is
// ErrForbidden.
var kindOf403 = map[string]error{
	"rateLimitExceeded":               telemed.ErrRateLimited,
	"userRateLimitExceeded":           telemed.ErrRateLimited,
	"RATE_LIMIT_EXCEEDED":             telemed.ErrRateLimited,
	"quotaExceeded":                   telemed.ErrRateLimited,
	"dailyLimitExceeded":              telemed.ErrRateLimited,
	"insufficientPermissions":         fault.MissingScope,
	"ACCESS_TOKEN_SCOPE_INSUFFICIENT": fault.MissingScope,
	"accessNotConfigured":             telemed.ErrUnauthorized,
	"SERVICE_DISABLED":                telemed.ErrUnauthorized,
	"appNotInstalled":                 telemed.ErrUnauthorized,
}

// reasonOf returns Google's word for a refusal, empty if it has none.
func reasonOf(a *rest.Answer) string {
	if a.Status == http.StatusBadRequest && bytes.Contains(a.Body, []byte("Invalid conference type")) {
		return ReasonNoMeet
	}
	return reasonIn(a.Body)
}

// isGoogles reports whether a body is an error of Google's API, and not a gateway's page
// or JSON: an object with a code or a reason. See
// https://developers.google.com/workspace/calendar/api/guides/errors.
func isGoogles(body []byte) bool {
	type item struct{ Reason string }
	var doc struct {
		Error struct {
			Code            int
			Errors, Details []item
		}
	}
	hasReason := func(i item) bool { return i.Reason != "" }
	return json.Unmarshal(body, &doc) == nil &&
		(doc.Error.Code != 0 || slices.ContainsFunc(doc.Error.Errors, hasReason) || slices.ContainsFunc(doc.Error.Details, hasReason))
}

// reasonIn returns the reason of an error body: the first of errors[], else that of an
// ErrorInfo in details[], else the code of an OAuth error. What does not look like a
// reason is dropped.
func reasonIn(body []byte) string {
	var doc struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &doc) != nil {
		return ""
	}
	var code string
	if json.Unmarshal(doc.Error, &code) == nil {
		return fault.Word(code)
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
			if reason := fault.Word(item.Reason); reason != "" {
				return reason
			}
		}
	}
	return ""
}
