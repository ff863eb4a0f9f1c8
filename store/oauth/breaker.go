package oauth

import (
	"sync"
	"time"

	"github.com/telemed-go/telemed/store"
)

// breaker tells a provider that has gone wrong from accounts that have. If most of them
// are rejected within a short time, it is not they who withdrew their consent: the
// breaker opens, and rejections are not believed. An account that is still rejected after
// patience is believed all the same: a hospital that was closed for half a year has many
// dead tokens at once.
//
// It is safe for concurrent use.
type breaker struct {
	limit            int // negative: it never opens
	window, patience time.Duration

	mu        sync.Mutex
	open      bool
	rejected  map[store.AccountID]rejection
	refreshed []time.Time
}

// rejection is when an account was rejected first, and last.
type rejection struct{ first, last time.Time }

// verdict is what a breaker says of one rejection.
type verdict struct {
	// believed is true if the account may be marked for it.
	believed bool
	// opened is true if this rejection opened the breaker.
	opened bool
	// rejected is how many accounts were rejected within the window.
	rejected int
}

// maxRejectionAge is how long it is remembered that an account was rejected.
const maxRejectionAge = 7 * 24 * time.Hour

func newBreaker(t Tuning) *breaker {
	return &breaker{
		limit: t.MaxRejections, window: t.RejectionWindow, patience: t.RetryReconnect,
		rejected: map[store.AccountID]rejection{},
	}
}

// refresh counts a refresh that the provider granted.
func (b *breaker) refresh(id store.AccountID, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rejected, id)
	b.refreshed = append(b.refreshed, now)
	b.open = b.tooMany(b.count(now))
}

// reject counts a rejection.
func (b *breaker) reject(id store.AccountID, now time.Time) verdict {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, known := b.rejected[id]
	if !known {
		r.first = now
	}
	r.last = now
	b.rejected[id] = r
	rejected, wasOpen := b.count(now), b.open
	b.open = b.tooMany(rejected)
	return verdict{
		believed: !b.open || now.Sub(r.first) >= b.patience,
		opened:   b.open && !wasOpen,
		rejected: rejected,
	}
}

// count returns how many accounts were rejected within the window, and drops what is old.
// mu is held.
func (b *breaker) count(now time.Time) (rejected int) {
	for id, r := range b.rejected {
		switch age := now.Sub(r.last); {
		case age > maxRejectionAge:
			delete(b.rejected, id)
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

// tooMany reports whether so many rejected accounts are too many to be believed. mu is
// held.
func (b *breaker) tooMany(rejected int) bool {
	return b.limit >= 0 && rejected > b.limit && rejected > len(b.refreshed)
}
