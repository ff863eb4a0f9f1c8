package zoom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/rest"
)

var (
	// ErrDailyLimit means that the doctor's meetings were made or changed too often today (100 times, until
	// 00:00 UTC), or that the account's requests of the day are used up. It comes with
	// telemed.ErrRateLimited; Error.RetryAfter says how long. Nothing happened.
	// See https://developers.zoom.us/docs/api/rate-limits/.
	ErrDailyLimit = errors.New("daily limit reached")
	// ErrMismatch means that Zoom made the meeting otherwise than it was asked to; Error.Fields names in
	// what. For a time it comes with telemed.ErrConflict, for a setting that the account has locked with telemed.ErrForbidden.
	ErrMismatch = errors.New("not as requested")
)

// Error is a call to Zoom that did not succeed. Its text has none of Zoom's words.
type Error struct {
	// Op is the method: "Create".
	Op string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Code is Zoom's error code, 0 if there was none: https://developers.zoom.us/docs/api/errors/.
	Code int
	// Fields names the fields that Zoom refused or made otherwise, as Zoom spells them: "settings.waiting_room".
	Fields []string
	// RequestID is Zoom's tracking id, for its support.
	RequestID string
	// RetryAfter is how long to wait, 0 if Zoom did not say.
	RetryAfter time.Duration
	// MeetingID is the meeting that exists all the same, with ErrMismatch and ErrConflict. Empty if there is none.
	MeetingID string

	kinds []error
	err   error
}

// Error returns operation, status, code, fields and what it means.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("zoom: " + e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	if details := e.details(); details != "" {
		b.WriteString(" (" + details + ")")
	}
	for _, kind := range e.kinds {
		b.WriteString(": " + kind.Error())
	}
	if e.err != nil {
		b.WriteString(": " + e.err.Error())
	}
	return b.String()
}

func (e *Error) details() string {
	var parts []string
	if e.Code != 0 {
		parts = append(parts, fmt.Sprintf("code %d", e.Code))
	}
	return strings.Join(append(parts, e.Fields...), "; ")
}

// Is ties the error to the values of package meet and to ErrDailyLimit and ErrMismatch.
func (e *Error) Is(target error) bool { return slices.Contains(e.kinds, target) }

// Unwrap returns why there was no answer: a context's error, or one of package store.
func (e *Error) Unwrap() error { return e.err }

// RetryDelay is RetryAfter, for code that takes errors of any package.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// newError types the error of a rest call. write says whether the call was to change something.
func newError(op string, err error, write bool) *Error {
	var answer *rest.Error
	if !errors.As(err, &answer) {
		return &Error{Op: op, err: err}
	}
	if answer.Status == 0 && fromSource(answer.Err) {
		return sourceError(op, answer.Err)
	}
	said := readFailure(answer.Body)
	e := &Error{
		Op: op, Status: answer.Status, Code: int(said.Code), Fields: said.fields(),
		RequestID: printableID(answer.RequestID), RetryAfter: answer.RetryAfter, err: answer.Err,
	}
	e.kinds = kinds(answer, said, write)
	return e
}

// fromSource recognises errors of the token source: with them, the call was not carried out.
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
		return &Error{Op: op, kinds: []error{telemed.ErrUnavailable}, err: errors.New("the access token could not be renewed")}
	}
	return &Error{Op: op, err: err}
}

// The codes of Zoom that more than an error's kind hangs on.
const (
	tokenEnded  = 124  // the access token does not work any more, or never did
	meetingGone = 3001 // the meeting was deleted, has expired, or never was
)

// kinds returns what the answer means to a caller.
func kinds(answer *rest.Error, said failure, write bool) []error {
	switch {
	case answer.Status == 429 && said.daily(answer.Header):
		return []error{telemed.ErrRateLimited, ErrDailyLimit}
	case answer.Status == 0 || answer.Status == 429 || answer.Status >= 500:
		return []error{answer.Kind(write)}
	}
	switch said.Code {
	case tokenEnded:
		return []error{telemed.ErrUnauthorized}
	case 4700, 4711: // the token lacks a scope
		return []error{telemed.ErrMissingScope, telemed.ErrReconnect}
	case 1001, 1010: // the doctor's Zoom user is gone, or in another account
		return []error{telemed.ErrReconnect}
	case meetingGone, 12702:
		return []error{telemed.ErrNotFound}
	case 200, 403, 3003, 3063, 3161: // no permission, a paid plan needed, not the host, no licence
		return []error{telemed.ErrForbidden}
	case 303, 404, 3002, 3007, 3018, 3037, 3038: // in progress, over, of another kind
		return []error{telemed.ErrConflict}
	case 300, 2300, 3000:
		return []error{telemed.ErrInvalid}
	}
	return []error{answer.Kind(write)}
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

// daily tells a limit of the day from one of the second. The limit of a doctor's meetings can be
// told by its message alone: its headers may speak of another one.
func (f failure) daily(header http.Header) bool {
	return strings.EqualFold(header.Get("X-Ratelimit-Type"), "Daily-limit") || strings.Contains(strings.ToLower(f.Message), "daily rate limit")
}

var (
	fieldName = regexp.MustCompile(`^[A-Za-z0-9_.\[\]]{1,64}$`)
	idText    = regexp.MustCompile(`^[A-Za-z0-9_.;=:+/-]{1,128}$`)
)

// fields returns the names of the refused fields. What does not look like a name is left out.
func (f failure) fields() []string {
	var names []string
	for _, problem := range f.Errors {
		if fieldName.MatchString(problem.Field) && len(names) < 20 {
			names = append(names, problem.Field)
		}
	}
	return names
}

func printableID(id string) string {
	if !idText.MatchString(id) {
		return ""
	}
	return id
}
