package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
)

// Outcome is what an answer says about its request.
type Outcome int

const (
	// Done means that what was asked for is done.
	Done Outcome = iota
	// Refused means that the provider said no, and would say it again.
	Refused
	// Busy means that the provider turned the request away for now. Nothing happened.
	Busy
	// Open means that nobody knows whether it is done: the provider, or what stands
	// before it, failed.
	Open
	// Foreign means that the answer is not the provider's, or not one to this request: a
	// gateway's page, a redirect. It proves nothing, and would come again.
	Foreign
)

// Answer is what came back for one request, read to its end.
type Answer struct {
	// Request is what was answered. Never log it.
	Request *http.Request
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Header and Body are the answer's. Body is nil if it was cut or too long. Never log
	// them.
	Header http.Header
	Body   []byte
	// Part is what came of a body that was cut or too long. Never log it.
	Part []byte
	// RetryAfter is how long the provider asks to wait, 0 if it does not.
	RetryAfter time.Duration
	// Err is why the answer is not whole, or not what was asked for. Its text has no URL,
	// no header and no body in it.
	Err error

	classify func(*Answer) (Outcome, error) // nil is ByStatus
}

// Error is a call that did not end as it should.
type Error struct {
	Answer
	// Kind is the error for a caller, one of package telemed or the leaf's.
	Kind error
	// Unsent is true if the request surely never left this machine.
	Unsent bool
}

// Error returns status and cause, for instance "200: answer is empty".
func (e *Error) Error() string {
	switch {
	case e.Status == 0:
		return fmt.Sprintf("no answer: %v", e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%d: %v", e.Status, e.Err)
	}
	return fmt.Sprintf("%d %s", e.Status, strings.ToLower(http.StatusText(e.Status)))
}

// Unwrap returns the cause: a context's error, for instance.
func (e *Error) Unwrap() error { return e.Err }

// Unsent reports whether the request behind err surely had no effect: it never left this
// machine.
func Unsent(err error) bool {
	failure, ok := errors.AsType[*Error](err)
	return ok && failure.Unsent
}

// judge asks the provider's classifier what the answer means.
func (a *Answer) judge() (Outcome, error) {
	if a.classify == nil {
		return ByStatus(a)
	}
	return a.classify(a)
}

// ByStatus says what the HTTP status alone tells. A provider's own codes tell more: its
// classifier looks at them first, and calls ByStatus for the rest.
func ByStatus(a *Answer) (Outcome, error) {
	switch a.Status {
	case http.StatusTooManyRequests:
		return Busy, telemed.ErrRateLimited
	case http.StatusUnauthorized:
		return Refused, telemed.ErrUnauthorized
	case http.StatusForbidden:
		return Refused, telemed.ErrForbidden
	case http.StatusNotFound, http.StatusGone:
		return Refused, telemed.ErrNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return Refused, telemed.ErrConflict
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Open, a.Unknown()
	}
	switch class := a.Status / 100; {
	case class == 2 && a.Err == nil:
		return Done, nil
	case class == 3: // a redirect, which is not followed
		return Foreign, telemed.ErrUnavailable
	case class == 4:
		return Refused, telemed.ErrInvalid
	}
	return Foreign, a.Unknown()
}

// Unknown is the error for an outcome that nobody knows: telemed.ErrAmbiguous if the
// request was to change something, else telemed.ErrUnavailable.
func (a *Answer) Unknown() error {
	if changes(a.Request) {
		return telemed.ErrAmbiguous
	}
	return telemed.ErrUnavailable
}

// changes reports whether a request may change something at the provider.
func changes(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	return true
}

// Misfit returns the *Error for an answer that was Done and, as why says, is not what was
// asked for. The classifier is asked again.
func (a *Answer) Misfit(why error) error {
	failure := &Error{Answer: *a}
	failure.Err = why
	_, failure.Kind = failure.judge()
	return failure
}

// Decode reads the JSON of the body into out. If out has a method Check() error, that
// says whether what was read is what was asked for. An error is a [Answer.Misfit], and
// quotes nothing: the body may hold a patient's data.
func (a *Answer) Decode(out any) error {
	why := a.decode(out)
	if document, ok := out.(interface{ Check() error }); ok && why == nil {
		why = document.Check()
	}
	if why != nil {
		return a.Misfit(why)
	}
	return nil
}

func (a *Answer) decode(out any) error {
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return errors.New("answer is empty")
	}
	if json.Unmarshal(a.Body, out) == nil {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if kind != "" && kind != "application/json" && !json.Valid(a.Body) {
		return fmt.Errorf("answer is %.40q, not JSON", kind)
	}
	return errors.New("answer is not the JSON that was expected")
}

// errCut is in the error of an answer that broke off.
var errCut = errors.New("answer was cut off")

// failureTime bounds the reading of an answer that may be repeated: a gateway that says
// 503 and never ends must leave time for another attempt.
const failureTime = time.Second

// read reads the body, up to limit bytes, and closes it. Beside an error it returns what
// came before that.
func read(response *http.Response, limit int64) ([]byte, error) {
	if response.Body == nil {
		return nil, nil
	}
	defer response.Body.Close()
	if s := response.StatusCode; s >= 500 || s == http.StatusTooManyRequests || s == http.StatusRequestTimeout {
		stop := time.AfterFunc(failureTime, func() { _ = response.Body.Close() })
		defer stop.Stop()
	}
	var body bytes.Buffer
	body.Grow(int(min(max(response.ContentLength, 0), limit, 64<<10)) + bytes.MinRead)
	switch n, err := body.ReadFrom(io.LimitReader(response.Body, limit+1)); {
	case err != nil:
		return body.Bytes(), fmt.Errorf("%w: %w", errCut, err)
	case n > limit:
		return body.Bytes(), fmt.Errorf("answer is longer than %d bytes", limit)
	}
	return body.Bytes(), nil
}

// RetryAfter reads the Retry-After header: seconds and HTTP dates (RFC 9110) and
// the RFC 3339 times that Zoom sends. A time that has passed is 0.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if isDigits(value) {
		const century = 100 * 365 * 24 * time.Hour
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(century/time.Second) {
			return century, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		at, err = time.Parse(time.RFC3339, value)
	}
	if err != nil {
		return 0, false
	}
	return max(at.Sub(now), 0), true
}

func isDigits(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }) < 0
}
