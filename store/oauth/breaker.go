package oauth

import (
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/store"
)

// brake tells a provider that has gone wrong from accounts that have: if most of them
// are rejected within a short time, it is not they who withdrew their consent. An account that is
// still rejected after patience is believed all the same: a hospital that was closed
// for half a year has many dead tokens at once. It is guarded by Source.mu.
type brake struct {
	limit            int
	window, patience time.Duration
	rejected         map[store.AccountID]rejection
	refreshed        []time.Time
	held             bool
}

// rejection is when an account was rejected first, and last.
type rejection struct{ first, last time.Time }

// maxBrakeMemory is how long it is remembered that an account was rejected.
const maxBrakeMemory = 7 * 24 * time.Hour

func newBrake(cfg SourceConfig) brake {
	return brake{
		limit: cfg.MaxRejections, window: cfg.RejectionWindow, patience: cfg.RetryReconnect, rejected: map[store.AccountID]rejection{},
	}
}

// recent returns how many accounts were rejected within the window, and drops what is old.
func (b *brake) recent(now time.Time) (rejected int) {
	for key, r := range b.rejected {
		switch age := now.Sub(r.last); {
		case age > maxBrakeMemory:
			delete(b.rejected, key)
		case age <= b.window:
			rejected++
		}
	}
	old := 0
	for old < len(b.refreshed) && now.Sub(b.refreshed[old]) > b.window {
		old++
	}
	b.refreshed = append(b.refreshed[:0], b.refreshed[old:]...)
	return rejected
}

// holds reports whether so many rejected accounts are too many to be believed.
func (b *brake) holds(rejected int) bool {
	return b.limit >= 0 && rejected > b.limit && rejected > len(b.refreshed)
}

func (s *Source) countRefresh(key store.AccountID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	delete(s.brake.rejected, key)
	s.brake.refreshed = append(s.brake.refreshed, now)
	s.brake.held = s.brake.holds(s.brake.recent(now))
}

// believe counts a rejection and reports whether the account may be marked for it.
func (s *Source) believe(key store.AccountID) bool {
	rejected, held, alarm, patient := s.countRejection(key)
	if alarm {
		s.cfg.Logger.Error("oauth: the provider rejects too many accounts; none is marked",
			slog.String("provider", s.cfg.Provider), slog.Int("rejected", rejected))
		if s.cfg.OnBrake != nil {
			s.tell("OnBrake", func() { s.cfg.OnBrake(rejected) })
		}
	}
	return !held || !patient
}

func (s *Source) countRejection(key store.AccountID) (rejected int, held, alarm, patient bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	r, known := s.brake.rejected[key]
	if !known {
		r.first = now
	}
	r.last = now
	s.brake.rejected[key] = r
	rejected = s.brake.recent(now)
	held = s.brake.holds(rejected)
	alarm = held && !s.brake.held
	s.brake.held = held
	return rejected, held, alarm, now.Sub(r.first) < s.brake.patience
}
