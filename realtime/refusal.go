package realtime

import (
	"fmt"
	"log/slog"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/redact"
)

// Refusal is an error by which an application chooses the words for a client that it does
// not let in, where the transport has words for that: those of a page's connect_error in
// realtime/socketio. Config.Authenticate may return it. It matches telemed.ErrForbidden.
type Refusal struct {
	// Message is for the page, as it stands here. If empty, "not permitted".
	Message string
	// Data is encoded as JSON, for the page's code: a reason that it can act on. nil is left
	// out, and so is what cannot be encoded.
	Data any
}

// Error says that the client was refused, and not with which words: they are the client's.
func (r *Refusal) Error() string { return "refused in the application's words" }

// Is matches telemed.ErrForbidden.
func (r *Refusal) Is(target error) bool { return target == telemed.ErrForbidden }

// Format tells the same for every verb.
func (r *Refusal) Format(f fmt.State, _ rune) { redact.Format(f, r) }

// LogValue leaves out what is for the client alone.
func (r *Refusal) LogValue() slog.Value { return slog.StringValue(r.Error()) }
