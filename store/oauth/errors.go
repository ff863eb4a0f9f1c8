package oauth

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
)

// ErrRejected is what a [RefreshFunc] returns if the provider says that the refresh token
// is dead. A Source asks twice before it believes that.
var ErrRejected = errors.New("grant was rejected")

// configErrors are the codes of RFC 6749 §5.2 that say that the application is at fault,
// not the account.
var configErrors = []string{"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}

// failed sorts the errors of x/oauth2, whose text may hold the whole answer.
func (p Provider) failed(op string, err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return p.noAnswer(op, err)
	}
	failure := &Error{Provider: p.Name, Op: op, Code: codeWords.Known(answer.ErrorCode)}
	if answer.Response != nil {
		failure.Status = answer.Response.StatusCode
		failure.RetryAfter, _ = rest.RetryAfter(answer.Response.Header, time.Now())
	}
	failure.kind = kindOf(failure.Status, answer.ErrorCode)
	return failure
}

// kindOf believes a code only where RFC 6749 allows it: a server in trouble that says
// invalid_grant says nothing about the grant.
func kindOf(status int, code string) error {
	switch {
	case status == http.StatusTooManyRequests:
		return telemed.ErrRateLimited
	case status >= 500 || status == http.StatusRequestTimeout:
		return telemed.ErrAmbiguous
	case slices.Contains(configErrors, code):
		return telemed.ErrUnauthorized
	case code == "invalid_grant":
		return ErrRejected
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return telemed.ErrUnauthorized
	case status >= 400:
		return telemed.ErrInvalid
	}
	return telemed.ErrAmbiguous
}

// errNoToken stands for x/oauth2's complaints about an answer, which may quote it.
var errNoToken = errors.New("the answer was cut or is no token")

// noAnswer is for a request whose answer x/oauth2 did not get, or could not read.
func (p Provider) noAnswer(op string, err error) error {
	failure := &Error{Provider: p.Name, Op: op, kind: telemed.ErrAmbiguous, err: errNoToken}
	if lost, ok := errors.AsType[*rest.Error](err); ok {
		failure.Status, failure.kind, failure.err = lost.Status, lost.Kind, lost.Err
	}
	return failure
}

// Error is a token request that failed. Its text has neither tokens nor the server's
// words.
type Error struct {
	// Provider and Op say what was asked: "zoom", "Refresh".
	Provider, Op string
	// Status is the HTTP status, 0 if there was no answer.
	Status int
	// Code is the error code of RFC 6749 §5.2, "invalid_grant"; empty if there was none.
	Code string
	// RetryAfter is how long the server wants to be left alone, 0 if it did not say.
	RetryAfter time.Duration

	kind, err error
}

// Error returns a text such as "zoom: Refresh: 400 (invalid_grant): grant was rejected".
func (e *Error) Error() string {
	return fault.Text{
		Package: e.Provider, Op: e.Op, Status: e.Status, Codes: []fault.Code{{Word: e.Code}}, Kind: e.kind, Cause: e.err,
	}.String()
}

// Is ties the error to one of ErrRejected, telemed.ErrUnauthorized,
// telemed.ErrRateLimited, telemed.ErrUnavailable, telemed.ErrAmbiguous and
// telemed.ErrInvalid.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns why there was no answer: a context's error, for instance.
func (e *Error) Unwrap() error { return e.err }

// RetryDelay is RetryAfter, for code that takes errors of any package.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// jsonAnswers mends answers that are JSON and say that they are plain text, as a proxy or
// a server without a Content-Type makes them. x/oauth2 would not find the token in them,
// and the refresh token would be spent for nothing.
type jsonAnswers struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (j jsonAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := j.base.RoundTrip(req)
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		return resp, err
	}
	body := bufio.NewReader(resp.Body)
	if first, err := body.Peek(1); err == nil && first[0] == '{' {
		resp.Header.Set("Content-Type", "application/json")
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, resp.Body}
	return resp, nil
}
