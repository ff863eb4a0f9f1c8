package whatsapp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/notify"
)

// Error is a message that was not sent, or whose outcome is unknown. errors.Is
// finds in it one sentinel of package notify, and the context's error if that ended it.
type Error struct {
	// Op is the method that failed, "Notify", or "Status" for a message that was
	// accepted and failed later.
	Op string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Code is Meta's:
	// https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
	// It is meaningful if HasCode, since 0 is a code too.
	Code int
	// HasCode is true if Meta gave a Code.
	HasCode bool
	// RequestID is Meta's fbtrace_id, to be given to its support. Empty if there was none,
	// or none that looks random.
	RequestID string
	// RetryAfter is how long to wait before it is sent again, 0 if nobody said.
	RetryAfter time.Duration
	// Err is the cause if there was no whole answer.
	Err error

	kind error
}

// Error returns a text such as "whatsapp: Notify: 429 (code 130429): rate limited".
func (e *Error) Error() string {
	var code string
	if e.HasCode {
		code = strconv.Itoa(e.Code)
	}
	return fault.Text{
		Package: "whatsapp", Op: e.Op, Status: e.Status, Codes: []fault.Code{{Label: "code", Word: code}},
		Kind: e.kind, Detail: reason(e.Err), RequestID: e.RequestID,
	}.String()
}

// reason names a cause in our words, since a network's error names addresses.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return cmp.Or(fault.Reason(err), "no whole answer")
}

// Is reports whether target is the sentinel of package notify for this outcome.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// RetryDelay is RetryAfter, for notify.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// KindOf returns the sentinel of package notify for one of Meta's codes, or nil
// for a code that the table does not have.
//
//   - telemed.ErrUnavailable: Meta is overloaded or in maintenance; repeat later.
//   - telemed.ErrAmbiguous: an unknown failure at Meta, which may have come after the
//     message was taken.
//   - telemed.ErrRateLimited: too many for the number, the account or this recipient.
//   - telemed.ErrForbidden: the account, the number or the template is blocked; alert a
//     person.
//   - telemed.ErrUnauthorized: the token; alert a person.
//   - notify.ErrRecipient: this person cannot be reached or does not want to be; take
//     another channel.
//   - telemed.ErrInvalid: the message does not fit the template or the API.
//
// Media or a template that is looked up and is not there is telemed.ErrNotFound: Meta says
// code 100 with the subcode 33 or 2593002, or the status 404.
func KindOf(code int) error {
	switch code {
	case 131016, 133004, 131057, 134101:
		return telemed.ErrUnavailable
	case 1, 2, 131000:
		return telemed.ErrAmbiguous
	case 4, 17, 32, 613, 80007, 80008, 130429, 131056, 132069:
		return telemed.ErrRateLimited
	case 368, 131031, 131042, 131048, 130497, // blocked, payment, spam, country
		132015, 132016, // template paused, disabled
		// The number's name and registration.
		131037, 131045, 133000, 133005, 133006, 133008, 133009, 133010, 133015, 133016:
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

// envelope is Meta's error answer. Its texts are left out: they may quote what was sent.
type envelope struct {
	Error *struct {
		Code      *int   `json:"code"`
		Subcode   int    `json:"error_subcode"`
		Trace     string `json:"fbtrace_id"`
		Transient bool   `json:"is_transient"`
	} `json:"error"`
}

func parseEnvelope(body []byte) (envelope, bool) {
	var e envelope
	err := json.Unmarshal(body, &e)
	return e, err == nil && e.Error != nil && e.Error.Code != nil
}

// newError types the error of a rest call.
func newError(ctx context.Context, op string, err error) *Error {
	answer, _ := errors.AsType[*rest.Error](err) // rest has no other
	e := &Error{
		Op: op, Status: answer.Status, RequestID: fault.RandomID(answer.Header.Get("X-Fb-Trace-Id")), RetryAfter: answer.RetryAfter,
		Err: answer.Err, kind: answer.Kind,
	}
	if e.Err != nil && ctx.Err() != nil {
		e.Err = ctx.Err()
	}
	if env, ok := parseEnvelope(answer.Body); ok && answer.Status/100 != 2 {
		e.Code, e.HasCode = *env.Error.Code, true
		e.RequestID = cmp.Or(fault.RandomID(env.Error.Trace), e.RequestID)
		if env.lacks() {
			e.missing(op)
		}
	}
	if e.Status == http.StatusNotFound {
		e.missing(op)
	}
	return e
}

// missing makes what was looked up and is not there telemed.ErrNotFound. To a message it
// stays telemed.ErrInvalid: the number's id, or the template, is wrong.
func (e *Error) missing(op string) {
	if e.kind == telemed.ErrInvalid && !slices.Contains([]string{"Notify", "Send", "MarkRead"}, op) {
		e.kind = telemed.ErrNotFound
	}
}

// lacks reports whether Meta says that there is no such object, or no such template.
func (e envelope) lacks() bool {
	return *e.Error.Code == 100 && (e.Error.Subcode == 33 || e.Error.Subcode == 2593002)
}

// classify says what an answer of Meta's means. A code is Meta's word that the message
// was not taken, whatever the HTTP status; without one the status decides, and a server's
// failure or a lost answer leaves the outcome open.
func classify(a *rest.Answer) (rest.Outcome, error) {
	outcome, kind := rest.ByStatus(a)
	if kind == telemed.ErrNotFound || kind == telemed.ErrConflict {
		kind = telemed.ErrInvalid
	}
	env, ok := parseEnvelope(a.Body)
	switch {
	case a.Status/100 == 2:
		return outcome, kind
	case !ok && outcome == rest.Refused:
		return rest.Foreign, kind
	case !ok:
		return outcome, kind
	}
	a.RetryAfter = cmp.Or(a.RetryAfter, waits[*env.Error.Code])
	if known := kindOf(*env.Error.Code, env.Error.Transient, a.Status); known != nil {
		kind = known
	}
	switch kind {
	case telemed.ErrUnavailable, telemed.ErrRateLimited:
		return rest.Busy, kind
	case telemed.ErrAmbiguous:
		return rest.Open, kind
	}
	return rest.Refused, kind
}

func kindOf(code int, transient bool, status int) error {
	kind := KindOf(code)
	refused := status < 500 // and not broken
	if refused && (kind == telemed.ErrAmbiguous || kind == nil && transient) {
		return telemed.ErrUnavailable
	}
	return kind
}
