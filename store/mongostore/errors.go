package mongostore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/redact"
)

// Error is a failure of the database. Its text has the server's code but not its
// words, which may quote a key or an address. The driver's error is behind Unwrap.
//
// Codes: https://www.mongodb.com/docs/manual/reference/error-codes/
type Error struct {
	// Op is the method: "Get", "Put", "Delete", "List", "Claim", "Complete", "Release",
	// "PurgeClaims", "ResealClaims" or "ImportSeed".
	Op string
	// Code is the server's; 0 if it did not answer.
	Code int

	kind, err error
}

// Error returns a text such as "mongostore: Put (code 91): outcome unknown".
func (e *Error) Error() string {
	text := fault.Text{Package: "mongostore", Op: e.Op, Kind: e.kind, Detail: reason(e.err)}
	if e.Code != 0 {
		text.Codes = []fault.Code{{Label: "code", Word: strconv.Itoa(e.Code)}}
	}
	return text.String()
}

// reason names a cause that the driver has words of its own for.
func reason(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled.Error()
	case mongo.IsTimeout(err):
		return "timeout"
	}
	reason := fault.Reason(err)
	if reason == "" && mongo.IsNetworkError(err) {
		return "connection lost"
	}
	return reason
}

// LogValue is Error, without the driver's error.
func (e *Error) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// Format prints what LogValue tells, whatever the verb.
func (e *Error) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// Is ties the error to telemed.ErrUnavailable if nothing can have been written, else to
// telemed.ErrAmbiguous.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns the driver's error. Its text may hold what must not be logged.
func (e *Error) Unwrap() error { return e.err }

// unavailable is the failure of a command that can have written nothing.
func unavailable(op string, err error) error {
	return &Error{Op: op, Code: code(err), kind: telemed.ErrUnavailable, err: err}
}

// ambiguous is the failure of a command that may have been carried out all the same.
func ambiguous(op string, err error) error {
	return &Error{Op: op, Code: code(err), kind: telemed.ErrAmbiguous, err: err}
}

func code(err error) int {
	if server, ok := errors.AsType[mongo.ServerError](err); ok {
		for _, code := range server.ErrorCodes() {
			if code != 0 {
				return code
			}
		}
	}
	return 0
}
