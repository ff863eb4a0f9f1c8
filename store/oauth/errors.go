package oauth

import (
	"errors"
	"net/http"
	"slices"
	"time"

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

// failed makes the error of a request whose answer carries no token.
func (p Provider) failed(op string, response *rest.Error) error {
	failure := &Error{Provider: p.Name, Op: op}
	code := readAnswer(response.Body).text("error")
	switch {
	case response.Status == 0 || response.Status/100 == 2 && response.Err != nil:
		failure.Status, failure.kind, failure.err = response.Status, response.Kind, response.Err
	case response.Status/100 == 2 && code == "":
		failure.kind, failure.err = telemed.ErrAmbiguous, errNoToken
	default:
		failure.Status, failure.RetryAfter = response.Status, response.RetryAfter
		failure.Code, failure.kind = fault.Word(code), kindOf(response.Status, code)
	}
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

// errNoToken is why an answer with a good status is an error. It quotes nothing.
var errNoToken = errors.New("the answer was cut or is no token")

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
