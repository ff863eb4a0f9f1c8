package mongostore

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/telemed-go/telemed"
)

// Error is a failure of the database. Its text has the server's code but not its
// words, which may quote a key or an address. The driver's error is behind Unwrap.
//
// Codes: https://www.mongodb.com/docs/manual/reference/error-codes/
type Error struct {
	// Op is the method: "Get", "Put", "Delete", "List" or "ImportSeed".
	Op string
	// Code is the server's; 0 if it did not answer.
	Code int

	kind, err error
}

func (e *Error) Error() string {
	text := "mongostore: " + e.Op + ": "
	if e.Code != 0 {
		text += fmt.Sprintf("code %d: ", e.Code)
	}
	text += e.kind.Error()
	var errno syscall.Errno
	switch {
	case errors.Is(e.err, context.Canceled):
		text += ": " + context.Canceled.Error()
	case mongo.IsTimeout(e.err):
		text += ": timeout"
	case errors.As(e.err, &errno):
		text += ": " + errno.Error()
	case mongo.IsNetworkError(e.err):
		text += ": connection lost"
	}
	return text
}

// GoString is Error, so that %#v does not print the driver's error either.
func (e *Error) GoString() string { return e.Error() }

// Is ties the error to telemed.ErrUnavailable if nothing was to be written, else to telemed.ErrAmbiguous.
func (e *Error) Is(target error) bool { return target == e.kind }

// Unwrap returns the driver's error. Its text may hold what must not be logged.
func (e *Error) Unwrap() error { return e.err }

func failed(op string, err error) error {
	kind := telemed.ErrUnavailable
	if op == "Put" || op == "Delete" {
		kind = telemed.ErrAmbiguous
	}
	return &Error{Op: op, Code: code(err), kind: kind, err: err}
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
