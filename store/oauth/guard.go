package oauth

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/telemed-go/telemed"
)

// guarded calls the application's code from an attempt and turns its panic into an error.
// Let through, a panic there would end the process, and with it the tokens of others that
// are not saved yet. It is logged by its type and place, since its text may hold
// anything.
func guarded(log *slog.Logger, what string, f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			log.Error("oauth: code of the application panicked", slog.String("what", what),
				slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("oauth: %s panicked with a %T: %w", what, cause, telemed.ErrAmbiguous)
		}
	}()
	return f()
}

// tell calls a hook. That it panics is nobody's error.
func tell(log *slog.Logger, what string, hook func()) {
	_ = guarded(log, what, func() error { hook(); return nil })
}
