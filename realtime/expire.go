package realtime

import "time"

// What a hub keeps of its journal goes at its age, also if nothing happens: it is about
// patients.

// armLocked sets the timer for the age of the oldest entry of the window, but not within the
// time of least.
func (h *Hub) armLocked(least time.Duration) {
	p := h.past
	if p.armed || h.closed || len(p.window.entries) == 0 {
		return
	}
	after := max(p.window.over(), least)
	if p.armed = true; p.expiry == nil {
		p.expiry = time.AfterFunc(after, h.expire)
		return
	}
	p.expiry.Reset(after)
}

func (h *Hub) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.past.armed = false
	h.past.window.trim()
	h.past.window.release()
	h.armLocked(expireEach)
}

// endLocked forgets what was kept. The hub is closed.
func (p *past) endLocked() {
	p.stop()
	p.window.reset("")
	for _, timer := range []*time.Timer{p.expiry, p.telling} {
		if timer != nil {
			timer.Stop()
		}
	}
}
