package oauth

import (
	"errors"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
)

// ErrRejected is what a [RefreshFunc] returns if the provider says that the refresh token
// is dead. A Source asks twice before it believes that.
var ErrRejected = errors.New("grant was rejected")

// failed makes the error of a request whose answer carries no token.
func failed(provider, op string, response *rest.Error) error {
	failure := &Error{Provider: provider, Op: op}
	said := readAnswer(response.Body)
	code := said.text("error")
	switch {
	case response.Status == 0 || response.Status/100 == 2 && response.Err != nil:
		failure.Status, failure.kind, failure.err = response.Status, response.Kind, response.Err
	case response.Status/100 == 2 && code == "":
		failure.kind, failure.err = telemed.ErrAmbiguous, errNoToken
	default:
		failure.Status, failure.RetryAfter = response.Status, response.RetryAfter
		why := meaning(response.Status, said)
		failure.Code, failure.kind, failure.reason = codeWords.Known(code), why.kind, why.reason
	}
	return failure
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
	reason    string // for the record of an account that is dead; may be empty
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
