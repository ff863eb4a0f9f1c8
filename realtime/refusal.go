package realtime

import (
	"fmt"
	"log/slog"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/redact"
)

// Reason is why a client was turned away, in a sentence of the code that did so, without a
// word of the client's.
type Reason string

// The reasons that Stats counts apart.
const (
	ForeignHost   Reason = "the request's Host is not one of AllowedHosts"
	ForeignOrigin Reason = "the page's origin is not one of AllowedOrigins"
)

// Refuse counts a client in Stats.Refused and logs why. It is for a transport that turns one
// away before it asks the hub.
func (h *Hub) Refuse(reason Reason) {
	h.mu.Lock()
	h.stats.Refused++
	switch reason {
	case ForeignHost:
		h.stats.RefusedHosts++
	case ForeignOrigin:
		h.stats.RefusedOrigins++
	}
	h.observeLocked(Refused, nil, nil)
	h.mu.Unlock()
	h.log.Info("realtime: refused", "reason", string(reason))
}

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
