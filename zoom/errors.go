package zoom

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
)

var (
	// ErrDailyLimit means that the doctor's meetings were made or changed too often today
	// (100 times, until 00:00 UTC), or that the account's requests of the day are used
	// up. It comes with telemed.ErrRateLimited; Error.RetryAfter says how long. Nothing
	// happened.
	// See https://developers.zoom.us/docs/api/rate-limits/.
	ErrDailyLimit = fault.Tagged(telemed.ErrRateLimited, errors.New("daily limit reached"))
	// ErrMismatch means that Zoom made the meeting otherwise than it was asked to;
	// Error.Fields names in what. For a time it comes with telemed.ErrConflict, for a
	// setting that the account has locked with telemed.ErrForbidden.
	ErrMismatch = errors.New("not as requested")
)

// Error is a call to Zoom that did not succeed. Its text has none of Zoom's words.
type Error struct {
	// Op is the method: "Create".
	Op string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Code is Zoom's error code, 0 if there was none:
	// https://developers.zoom.us/docs/api/errors/.
	Code int
	// Fields names the fields that Zoom refused or made otherwise, as Zoom spells them:
	// "settings.waiting_room".
	Fields []string
	// RequestID is Zoom's tracking id, for its support. Empty if there was none, or none
	// that looks random.
	RequestID string
	// RetryAfter is how long to wait, 0 if nobody said: Zoom, or this package while another
	// call with the same Key is under way.
	RetryAfter time.Duration
	// MeetingID is the meeting that exists all the same, with ErrMismatch and
	// telemed.ErrConflict, or that was cancelled, with meet.ErrCancelled. Empty if there is
	// none.
	MeetingID string

	kind error // nil if err says it
	err  error
}

// Error returns a text such as "zoom: Create: 400 (code 300, settings.jbh_time): invalid
// request".
func (e *Error) Error() string {
	var codes []fault.Code
	if e.Code != 0 {
		codes = append(codes, fault.Code{Label: "code", Word: strconv.Itoa(e.Code)})
	}
	for _, field := range e.Fields {
		codes = append(codes, fault.Code{Word: field})
	}
	return fault.Text{
		Package: "zoom", Op: e.Op, Status: e.Status, Codes: codes, Kind: e.kind, Cause: e.err, RequestID: e.RequestID,
	}.String()
}

// Is ties the error to the values of package telemed and to ErrDailyLimit and
// ErrMismatch.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns why there was no answer: a context's error, or one of package store.
func (e *Error) Unwrap() error { return e.err }

// RetryDelay is RetryAfter, for code that takes errors of any package.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// trackingID is the header with Zoom's id for a request.
const trackingID = "X-Zm-Trackingid"

// newError types the error of a rest call.
func newError(op string, err error) *Error {
	answer, _ := errors.AsType[*rest.Error](err) // rest has no other
	if answer.Unsent && fromSource(answer.Err) {
		return sourceError(op, answer.Err)
	}
	said := readFailure(answer.Body)
	return &Error{
		Op: op, Status: answer.Status, Code: int(said.Code), Fields: said.fields(),
		RequestID: fault.RandomID(answer.Header.Get(trackingID)), RetryAfter: answer.RetryAfter,
		kind: answer.Kind, err: answer.Err,
	}
}

// fromSource recognises errors of the token source: with them, the call was not carried
// out.
func fromSource(err error) bool {
	for _, target := range []error{
		telemed.ErrNotConnected, telemed.ErrReconnect, telemed.ErrUnauthorized, telemed.ErrRateLimited, telemed.ErrUnavailable,
		telemed.ErrAmbiguous, telemed.ErrInvalid, telemed.ErrDecrypt, telemed.ErrClosed,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// sourceError wraps an error of the token source. A refresh whose outcome is unknown
// must not make the call look as if its own were.
func sourceError(op string, err error) *Error {
	if errors.Is(err, telemed.ErrAmbiguous) {
		return &Error{Op: op, kind: telemed.ErrUnavailable, err: errors.New("the access token could not be renewed")}
	}
	return &Error{Op: op, err: err}
}

// The codes of Zoom that more than an error's kind hangs on.
const (
	tokenEnded  = 124  // the access token does not work any more; the token source renews it first
	meetingGone = 3001 // the meeting was deleted, has expired, or never was
)

// classify says what an answer of Zoom's means. Some of its errors come with a good
// status: those are told by their code, once the answer turned out not to be what was
// asked for.
func classify(a *rest.Answer) (rest.Outcome, error) {
	outcome, kind := rest.ByStatus(a)
	switch outcome {
	case rest.Done, rest.Open:
		return outcome, kind
	case rest.Busy:
		return outcome, busyKind(a)
	}
	said := readFailure(a.Body)
	if said.Code == tokenEnded && a.Status == http.StatusBadRequest {
		a.Status = http.StatusUnauthorized // so that the token source renews it
	}
	zooms := said.zooms(a.Status)
	if known := kindOf(said.Code); known != nil && zooms && a.Status < 500 {
		return rest.Refused, known
	}
	switch {
	case outcome == rest.Foreign:
		return outcome, kind
	// Only a code that is known to say so says that something is not there.
	case !zooms, errors.Is(kind, telemed.ErrNotFound):
		return rest.Foreign, a.Unknown()
	}
	return outcome, kind
}

// zooms reports whether f is what Zoom answers, and not a gateway in its place: those send
// pages, JSON without a code, or the status once more as the code.
func (f failure) zooms(status int) bool {
	if oauthWords.Known(f.OAuth) != "" {
		return true
	}
	repeats := status >= 400 && int(f.Code) == status && status != http.StatusForbidden && status != http.StatusTooManyRequests
	return f.Code != 0 && !repeats
}

// oauthWords are the errors of an authorization server (RFC 6749 §5.2 and RFC 7009).
var oauthWords = fault.NewWords(`invalid_request invalid_client invalid_grant invalid_token invalid_scope
	unauthorized_client unsupported_grant_type unsupported_token_type access_denied deleted_client`)

// busyKind tells a limit of the day from one of the second. An answer that refuses until
// midnight gets the RetryAfter that Zoom leaves out, so that it is not tried again.
func busyKind(a *rest.Answer) error {
	if !readFailure(a.Body).daily(a.Header) {
		return telemed.ErrRateLimited
	}
	now := time.Now()
	if _, told := rest.RetryAfter(a.Header, now); !told {
		a.RetryAfter = untilMidnight(now) + time.Second
	}
	return ErrDailyLimit
}

// untilMidnight is the time to the next 00:00 UTC, when Zoom counts anew.
func untilMidnight(now time.Time) time.Duration {
	return now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
}

// kindOf returns what a code of Zoom's means to a caller, nil if that is not known.
func kindOf(code flexInt) error {
	switch code {
	// The grant of this one doctor: a fresh token does not work either, the owner is gone,
	// it was not found, an administrator has switched the app off, a newer consent.
	case tokenEnded, 4735, 4737, 4738, 4740, 4741:
		return telemed.ErrReconnect
	case 1001, 1010: // the doctor's Zoom user is gone, or in another account
		return telemed.ErrReconnect
	case 4700, 4711: // the token lacks a scope
		return fault.MissingScope
	case 4702, 4704, 4705, 4706, 4709, 4717: // the application
		return telemed.ErrUnauthorized
	case meetingGone, 12702:
		return telemed.ErrNotFound
	// No permission, a paid plan needed, not the host, no licence.
	case 200, 403, 3003, 3063, 3161:
		return telemed.ErrForbidden
	case 303, 404, 3002, 3007, 3018, 3037, 3038: // in progress, over, of another kind
		return telemed.ErrConflict
	case 300, 2300, 3000:
		return telemed.ErrInvalid
	}
	return nil
}

// failure is the body of an error, of the API or of the authorization server.
type failure struct {
	Code    flexInt `json:"code"`
	Message string  `json:"message"`
	Errors  []struct {
		Field string `json:"field"`
	} `json:"errors"`
	OAuth string `json:"error"`
}

// readFailure reads what can be read: a body in XML or HTML is an empty failure.
func readFailure(body []byte) failure {
	var said failure
	if json.Unmarshal(body, &said) != nil {
		return failure{}
	}
	return said
}

// daily tells a limit of the day from one of the second. The limit of a doctor's meetings
// can be told by its message alone: its headers may speak of another one.
func (f failure) daily(header http.Header) bool {
	return strings.EqualFold(header.Get("X-Ratelimit-Type"), "Daily-limit") || strings.Contains(strings.ToLower(f.Message), "daily rate limit")
}

// fieldWords are the fields that this package sends, and those that users and webhooks
// have beside them. Any other name may be a patient's.
var fieldWords = fault.NewWords(
	"topic type start_time duration timezone agenda password settings schedule_for template_id tracking_fields",
	`settings.host_video settings.participant_video settings.join_before_host settings.jbh_time
	settings.mute_upon_entry settings.waiting_room settings.approval_type settings.audio settings.auto_recording
	settings.meeting_authentication settings.registrants_email_notification settings.email_notification
	settings.alternative_hosts settings.watermark settings.use_pmi settings.private_meeting settings.encryption_type`,
	"meetingId meeting_id userId user_id action page_size next_page_token from to scope grant_type code redirect_uri token",
)

// fields returns the names of the refused fields. What is no name of ours or Zoom's is
// left out.
func (f failure) fields() []string {
	var names []string
	for _, problem := range f.Errors {
		if name := fieldWords.Known(problem.Field); name != "" && len(names) < 20 {
			names = append(names, name)
		}
	}
	return names
}
