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

// Error is a failure of the database. It has the server's code but not its words, which
// may quote a key or an address. The driver's error is not kept.
//
// Codes: https://www.mongodb.com/docs/manual/reference/error-codes/
type Error struct {
	// Op is the method: "Get", "Put", "Delete", "List", "Claim", "Complete", "Release",
	// "PurgeClaims", "ResealClaims", "Due", "Lease", "Leases", "Erase", "InTx" or
	// "ImportSeed".
	Op string
	// Code is the server's; 0 if it did not answer.
	Code int

	kind      error
	reason    string // in our words; may be empty
	cause     error  // of fixed text; may be nil
	transient bool   // the server says that the transaction may be tried again
}

// Error returns a text such as "mongostore: Put (code 91): outcome unknown".
func (e *Error) Error() string {
	text := fault.Text{Package: "mongostore", Op: e.Op, Kind: e.kind, Detail: e.reason}
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

// LogValue is Error.
func (e *Error) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// Format prints what LogValue tells, whatever the verb.
func (e *Error) Format(f fmt.State, _ rune) { redact.Format(f, e) }

// Is ties the error to telemed.ErrUnavailable if nothing can have been written, to
// telemed.ErrConflict if a transaction met another one, else to telemed.ErrAmbiguous.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// transientTransaction is the driver's label for a transaction that may be tried again.
const transientTransaction = "TransientTransactionError"

// HasErrorLabel tells the driver whether a transaction may be tried again, so that
// Session.WithTransaction does it.
func (e *Error) HasErrorLabel(label string) bool { return e.transient && label == transientTransaction }

// Unwrap returns what is known of the cause: the end of a context, the operating system's
// error for a connection, or nil.
func (e *Error) Unwrap() error { return e.cause }

// unavailable is the failure of a command that can have written nothing.
func unavailable(op string, err error) error {
	return newError(op, telemed.ErrUnavailable, err)
}

// ambiguous is the failure of a command that may have been carried out all the same.
func ambiguous(op string, err error) error {
	return newError(op, telemed.ErrAmbiguous, err)
}

func newError(op string, kind, err error) *Error {
	labeled, ok := errors.AsType[mongo.LabeledError](err)
	return &Error{
		Op: op, Code: code(err), kind: kind, reason: reason(err), cause: fault.Cause(err),
		transient: ok && labeled.HasErrorLabel(transientTransaction),
	}
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
