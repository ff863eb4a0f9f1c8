package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Error is a message that was not sent, or whose outcome is unknown. errors.Is
// finds in it one of the sentinels of package notify, and the context's error or
// the network's if there was one. It never holds an address, a word of the
// message, a credential or the server's prose, which may echo any of them.
type Error struct {
	// Op is the step that failed: "connect", "greeting", "ehlo", "starttls",
	// "auth", "mail", "rcpt", "data", "noop" or "compose".
	Op string
	// Code is the server's reply code (RFC 5321, 4.2), 0 if there was no reply.
	Code int
	// Enhanced is the enhanced status code (RFC 3463), "5.1.1", or empty.
	Enhanced string
	// Reason says what was wrong if the server did not say it by a code.
	Reason string
	// RetryAfter is how long to wait at least, 0 if nobody knows. A limit on what may be sent
	// in an hour or a day is waited for an hour.
	RetryAfter time.Duration
	// Err is a *telemed.FieldError if a field of the message was wrong or a copy was refused,
	// or the cause if there was no reply, as far as it is known: the context's, the
	// operating system's or the application's error.
	Err error

	kind error
}

// Error returns a text such as "smtp: rcpt: 550 (5.1.1): recipient cannot be reached".
func (e *Error) Error() string {
	return fault.Text{
		Package: "smtp", Op: e.Op, Status: e.Code, Codes: []fault.Code{{Word: e.Enhanced}}, Kind: e.kind, Detail: e.Reason,
	}.String()
}

// Is reports whether target is the sentinel of package notify for this outcome.
func (e *Error) Is(target error) bool { return errors.Is(e.kind, target) }

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// RetryDelay is RetryAfter, for notify.RetryAfter.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// Temporary reports whether the message was not sent and may be repeated.
func (e *Error) Temporary() bool {
	return e.kind == telemed.ErrUnavailable || e.kind == telemed.ErrRateLimited
}

// failed is an error of our own making: something about the server or its
// answer that makes going on wrong.
func failed(op string, kind error, reason string) *Error {
	return &Error{Op: op, Reason: reason, kind: kind}
}

// lost is an error of the network or the context. kind is ErrAmbiguous if the
// whole message was out by then, else ErrUnavailable.
func lost(ctx context.Context, op string, kind, err error) *Error {
	cause := causeOf(ctx, err)
	return &Error{Op: op, Reason: reasonOf(cause), Err: known(cause), kind: kind}
}

// known returns what is known of a cause: one of our own errors, the end of a context or
// the operating system's error. Others could quote the server.
func known(cause error) error {
	for _, own := range []error{errDialTimeout, errCut, errReply} {
		if errors.Is(cause, own) {
			return own
		}
	}
	return fault.Cause(cause)
}

// What ends a context of ours.
var (
	errDialTimeout = errors.New("the server could not be reached in time")
	errCut         = errors.New("the client was closed")
)

// causeOf returns the end of the context, the caller's or our DialTimeout, if
// that is why the connection failed: it is imposed on the connection as a
// deadline, whose error says less.
func causeOf(ctx context.Context, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // the dialer has a timer of its own, which may be the first by a hair
	}
	if ctx.Err() == nil {
		return err
	}
	for _, own := range []error{errDialTimeout, errCut} {
		if context.Cause(ctx) == own {
			return own
		}
	}
	return ctx.Err()
}

// reasonOf names a cause in our words. The texts of dial and TLS errors name
// hosts only; others could quote the server.
func reasonOf(err error) string {
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), err == errDialTimeout, err == errCut:
		return err.Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the server did not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case errors.Is(err, errReply):
		return err.Error()
	case errors.As(err, &op) && op.Op == "dial":
		return op.Error()
	}
	return "the connection broke"
}

// refused is the server's own no.
func refused(op string, r reply) *Error {
	wait, kind := kindOf(op, r)
	return &Error{Op: op, Code: r.code, Enhanced: r.enhanced, RetryAfter: wait, kind: kind}
}
