package store

import (
	"log/slog"
	"time"
)

// brake tells a provider that has gone wrong from accounts that have: if most of them
// are rejected within a short time, it is not they who withdrew their consent. It is guarded by Source.mu.
type brake struct {
	limit     int
	window    time.Duration
	rejected  map[Key]time.Time
	refreshed []time.Time
	held      bool
}

func newBrake(limit int, window time.Duration) brake {
	return brake{limit: limit, window: window, rejected: map[Key]time.Time{}}
}

// forget drops what happened before the window.
func (b *brake) forget(now time.Time) {
	for key, at := range b.rejected {
		if now.Sub(at) > b.window {
			delete(b.rejected, key)
		}
	}
	old := 0
	for old < len(b.refreshed) && now.Sub(b.refreshed[old]) > b.window {
		old++
	}
	b.refreshed = append(b.refreshed[:0], b.refreshed[old:]...)
}

// holds reports whether the rejected accounts are too many to be believed.
func (b *brake) holds() bool {
	return b.limit >= 0 && len(b.rejected) > b.limit && len(b.rejected) > len(b.refreshed)
}

func (s *Source) countRefresh(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	delete(s.brake.rejected, key)
	s.brake.refreshed = append(s.brake.refreshed, now)
	s.brake.forget(now)
	s.brake.held = s.brake.holds()
}

// believe counts a rejection and reports whether the account may be marked for it.
func (s *Source) believe(key Key) bool {
	s.mu.Lock()
	now := time.Now()
	s.brake.rejected[key] = now
	s.brake.forget(now)
	held, before, count := s.brake.holds(), s.brake.held, len(s.brake.rejected)
	s.brake.held = held
	s.mu.Unlock()
	if held && !before {
		s.cfg.Logger.Error("store: the provider rejects too many accounts; none is marked", slog.String("provider", s.cfg.Provider), slog.Int("rejected", count))
		if s.cfg.OnBrake != nil {
			s.cfg.OnBrake(count)
		}
	}
	return !held
}
