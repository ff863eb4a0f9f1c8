package realtime

import "time"

// Staler is a [Journal] that knows whether its engine is there. A hub asks it before it lets
// a client join a room: who joined now would believe that it hears what happens.
type Staler interface {
	// Stale returns how long the engine has not answered a Follow, and 0 while it does, or
	// nobody follows. It must not block.
	Stale() time.Duration
}

// staleLocked returns how long the journal has been away.
func (h *Hub) staleLocked() (stale time.Duration) {
	if h.past == nil {
		return 0
	}
	if !h.past.away.IsZero() {
		stale = time.Since(h.past.away)
	}
	if journal, ok := h.past.journal.(Staler); ok {
		stale = max(stale, journal.Stale())
	}
	return stale
}

// setAway says that the journal cannot be followed, unless the hub only has to ask again.
func (h *Hub) setAway() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.past.at == "" && h.past.away.IsZero() {
		h.past.away = time.Now()
	}
}
