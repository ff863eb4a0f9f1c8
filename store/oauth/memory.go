package oauth

import (
	"fmt"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// memory is what a process remembers of its accounts. It is safe for concurrent use.
type memory struct {
	mu sync.Mutex
	// seen has the last token read of each account, to be served while the store is down.
	seen map[store.AccountID]seenToken
	// unsaved has the new tokens that the store could not take yet.
	unsaved map[store.AccountID]store.Token
	// pauses has the accounts whose refresh failed and is not to be tried again at once.
	pauses map[store.AccountID]pause
}

// seenToken is a token as it was at a revision.
type seenToken struct {
	revision string
	token    store.Token
}

// pause ends at its time, or when the record says something new.
type pause struct {
	rec   store.Record
	until time.Time
	err   error
	// refusals is how many attempts at this record have failed.
	refusals int
}

// refusalMemory is how long after a pause the number of refusals is remembered.
const refusalMemory = time.Hour

// maxSeen bounds what is remembered. Unsaved tokens are never dropped.
const maxSeen = 4096

func newMemory() *memory {
	return &memory{
		seen:    map[store.AccountID]seenToken{},
		unsaved: map[store.AccountID]store.Token{},
		pauses:  map[store.AccountID]pause{},
	}
}

// remember keeps rec's token as the one seen last.
func (m *memory) remember(rec store.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, known := m.seen[rec.ID]
	if known && old.revision == rec.Revision {
		return
	}
	if !known && len(m.seen) >= maxSeen {
		m.makeRoom(time.Now())
	}
	m.seen[rec.ID] = seenToken{rec.Revision, rec.Token.Clone()}
}

// makeRoom drops what has expired, and then whatever comes first until an eighth is free,
// so that it is not called again soon. mu is held.
func (m *memory) makeRoom(now time.Time) {
	for id, seen := range m.seen {
		if !usable(seen.token, now, useMargin, telemed.Secret{}) {
			delete(m.seen, id)
		}
	}
	for id := range m.seen {
		if len(m.seen) <= maxSeen-maxSeen/8 {
			return
		}
		delete(m.seen, id)
	}
}

// last returns the token seen last, if it works.
func (m *memory) last(id store.AccountID, stale telemed.Secret) (store.Token, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.seen[id]
	return seen.token.Clone(), usable(seen.token, time.Now(), useMargin, stale)
}

// remembers reports whether last would return a token that works.
func (m *memory) remembers(id store.AccountID, stale telemed.Secret) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return usable(m.seen[id].token, time.Now(), useMargin, stale)
}

// forget drops what is known of an account that is not connected any more.
func (m *memory) forget(id store.AccountID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, id)
	delete(m.pauses, id)
}

// notSaved returns the new token that waits to be saved, if it works.
func (m *memory) notSaved(id store.AccountID, stale telemed.Secret) (store.Token, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	token, ok := m.unsaved[id]
	if !ok || !usable(token, time.Now(), useMargin, stale) {
		return store.Token{}, false
	}
	return token.Clone(), true
}

// setUnsaved keeps a new token until clearUnsaved.
func (m *memory) setUnsaved(id store.AccountID, token store.Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsaved[id] = token
}

// addUnsaved is setUnsaved for a token that another process left. Two may have been left
// of one account: newest is false, and nothing is kept, if the other one lasts longer.
// known is true if it is here already.
func (m *memory) addUnsaved(id store.AccountID, token store.Token) (newest, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	other, ok := m.unsaved[id]
	if ok && other.Same(token) {
		return false, true
	}
	if ok && !token.Expiry.After(other.Expiry) {
		return false, false
	}
	m.unsaved[id] = token
	return true, false
}

// clearUnsaved drops token, and no other.
func (m *memory) clearUnsaved(id store.AccountID, token store.Token) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unsaved[id].Same(token) {
		delete(m.unsaved, id)
	}
}

// pause leaves rec alone for d: until then paused returns err.
func (m *memory) pause(rec store.Record, d time.Duration, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setPause(pause{rec: rec, until: time.Now().Add(d), err: err})
}

// refuse is pause after an attempt that failed. 0 does nothing.
func (m *memory) refuse(rec store.Record, d time.Duration, err error) {
	if d <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.pauses[rec.ID].refusalsOf(rec)
	m.setPause(pause{rec: rec, until: time.Now().Add(d), err: err, refusals: n + 1})
}

// setPause also drops what is old. mu is held.
func (m *memory) setPause(p pause) {
	now := time.Now()
	for id, old := range m.pauses {
		if now.Sub(old.until) >= refusalMemory {
			delete(m.pauses, id)
		}
	}
	m.pauses[p.rec.ID] = p
}

// refusals returns how many attempts at rec have failed of late.
func (m *memory) refusals(rec store.Record) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pauses[rec.ID].refusalsOf(rec)
}

// paused returns why rec is to be left alone, or nil.
func (m *memory) paused(rec store.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pauses[rec.ID]
	left := time.Until(p.until)
	if left <= 0 || !saysTheSame(p.rec, rec) {
		return nil
	}
	return &pausedError{p.err, left}
}

func (p pause) refusalsOf(rec store.Record) int {
	if time.Since(p.until) >= refusalMemory || !saysTheSame(p.rec, rec) {
		return 0
	}
	return p.refusals
}

// saysTheSame reports whether two records differ in nothing but the lease. A lease moves
// whenever another process tries, which ends no pause here: a new consent does, and a new
// token.
func saysTheSame(a, b store.Record) bool {
	return a.ID == b.ID && a.Token.Same(b.Token) && a.Status == b.Status && a.Reason == b.Reason && a.UpdatedAt.Equal(b.UpdatedAt)
}

// pausedError is why an account is left alone, and for how long.
type pausedError struct {
	err  error
	left time.Duration
}

// Error returns the reason and the time left.
func (e *pausedError) Error() string {
	return fmt.Sprintf("%v (asked again in %v)", e.err, e.left.Round(time.Second))
}

// Unwrap returns the reason.
func (e *pausedError) Unwrap() error { return e.err }

// RetryDelay is the time left, for code that takes errors of any package.
func (e *pausedError) RetryDelay() time.Duration { return e.left }
