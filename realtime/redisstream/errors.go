package redisstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// Error is what went wrong between this package and Redis. It matches
// telemed.ErrUnavailable, ErrUnauthorized or ErrAmbiguous.
type Error struct {
	// Op is the method: "Append".
	Op string
	// Code is the first word of Redis's answer, if it was an error that Redis documents:
	// "READONLY", "NOAUTH". What follows it is not kept.
	Code string

	is    error
	cause error
}

// Error returns operation, code and meaning.
func (e *Error) Error() string {
	words := []string{"redisstream", e.Op}
	if e.Code != "" {
		words = append(words, e.Code)
	}
	for _, err := range e.Unwrap() {
		words = append(words, err.Error())
	}
	return strings.Join(words, ": ")
}

// Unwrap returns what the error matches.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.is, e.cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// codes are the error codes of https://redis.io/docs/latest/develop/reference/protocol-spec/
// and of the server's sources.
var codes = fault.NewWords("ERR WRONGTYPE NOAUTH WRONGPASS NOPERM READONLY LOADING BUSY OOM MISCONF NOREPLICAS " +
	"MASTERDOWN CLUSTERDOWN MOVED ASK TRYAGAIN CROSSSLOT UNBLOCKED NOPROTO EXECABORT DENIED")

// failed tells what an error of go-redis means for a command that changes nothing.
func failed(op string, err error) error {
	e := &Error{Op: op, is: telemed.ErrUnavailable, cause: fault.Cause(err)}
	if answer, ok := errors.AsType[redis.Error](err); ok {
		word, _, _ := strings.Cut(answer.Error(), " ")
		e.Code = codes.Known(word)
		switch {
		// The last is said of a command with more than ten parts.
		case e.Code == "NOAUTH", e.Code == "WRONGPASS", e.Code == "NOPERM",
			strings.HasPrefix(answer.Error(), "ERR Protocol error: unauthenticated"):
			e.is = telemed.ErrUnauthorized
		}
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, telemed.ErrClosed) {
		return fmt.Errorf("redisstream: %s: %w", op, fault.Cause(err))
	}
	return e
}

// failedAppend tells what an error means for an entry that may have been sent. Redis refuses
// before it does anything. A proxy in front of it has words of its own, and may have lost the
// answer.
func failedAppend(err error) error {
	if refusedByRedis(err) || notSent(err) {
		return failed("Append", err)
	}
	return &Error{Op: "Append", is: telemed.ErrAmbiguous, cause: fault.Cause(err)}
}

func refusedByRedis(err error) bool {
	answer, ok := errors.AsType[redis.Error](err)
	if !ok {
		return false
	}
	word, _, _ := strings.Cut(answer.Error(), " ")
	return codes.Known(word) != ""
}

// notSent reports whether no connection was ever there.
func notSent(err error) bool {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return true
	}
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) || errors.Is(err, redis.ErrClosed) ||
		errors.Is(err, telemed.ErrClosed)
}

// gap counts and returns a gap.
func (j *Client) gap(op string) error {
	j.gaps.Add(1)
	return fmt.Errorf("redisstream: %s: %w", op, realtime.ErrGap)
}
