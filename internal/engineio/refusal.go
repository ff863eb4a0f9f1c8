package engineio

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/telemed-go/telemed"
)

// refusal is an HTTP answer of Engine.IO: the numbers are the protocol's own.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

var (
	unknownTransport = refusal{0, "Transport unknown", http.StatusBadRequest}
	unknownSession   = refusal{1, "Session ID unknown", http.StatusBadRequest}
	badHandshake     = refusal{2, "Bad handshake method", http.StatusBadRequest}
	badRequest       = refusal{3, "Bad request", http.StatusBadRequest}
	tooLarge         = refusal{3, "Payload too large", http.StatusRequestEntityTooLarge}
	tooSlow          = refusal{3, "Payload too slow", http.StatusRequestTimeout}
	unavailable      = refusal{3, "Service unavailable", http.StatusServiceUnavailable}
	forbidden        = refusal{4, "Forbidden", http.StatusForbidden}
	badVersion       = refusal{5, "Unsupported protocol version", http.StatusBadRequest}
)

func (f refusal) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(f) // whoever broke the protocol may also be gone
}

// refusalFor tells a client why the hub does not take it.
func refusalFor(err error) refusal {
	if errors.Is(err, telemed.ErrForbidden) {
		return forbidden
	}
	return unavailable
}
