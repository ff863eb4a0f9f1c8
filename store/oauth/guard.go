package oauth

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/telemed-go/telemed"
)

// guarded calls the host's code from a refresh and turns its panic into an error. Let through, a panic there would
// end the process, and with it the tokens of others that are not saved yet. It is logged by
// its type and place, since its text may hold anything.
func (s *Source) guarded(what string, f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.cfg.Logger.Error("oauth: code of the host panicked", slog.String("what", what),
				slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("oauth: %s panicked with a %T: %w", what, cause, telemed.ErrAmbiguous)
		}
	}()
	return f()
}

// tell calls a hook. That it panics is nobody's error.
func (s *Source) tell(what string, hook func()) {
	_ = s.guarded(what, func() error { hook(); return nil })
}
