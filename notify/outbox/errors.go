package outbox

import (
	"errors"
	"fmt"

	"github.com/telemed-go/telemed/internal/fault"
)

// ErrUntrue is what Config.Compose returns if a message is not true any more. It is dropped.
var ErrUntrue = errors.New("not true any more")

// appError is an error of the application's own function. Its text may be anybody's words,
// so that it tells only what errors.Is finds.
type appError struct {
	what string
	err  error
}

func ofApplication(what string, err error) error {
	if err == nil {
		return nil
	}
	return &appError{what, err}
}

// Error implements error.
func (e *appError) Error() string {
	if cause := fault.Cause(e.err); cause != nil {
		return fmt.Sprintf("%s failed with a %T: %v", e.what, e.err, cause)
	}
	return fmt.Sprintf("%s failed with a %T", e.what, e.err)
}

// Unwrap returns the application's error.
func (e *appError) Unwrap() error { return e.err }
