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

// pause ends at its time, or when the record changes.
type pause struct {
	revision string
	until    time.Time
	err      error
}

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

// pause leaves rec alone for d: until then paused returns err. 0 does nothing.
func (m *memory) pause(rec store.Record, d time.Duration, err error) {
	if d <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for id, p := range m.pauses {
		if !p.until.After(now) {
			delete(m.pauses, id)
		}
	}
	m.pauses[rec.ID] = pause{rec.Revision, now.Add(d), err}
}

// paused returns why rec is to be left alone, or nil.
func (m *memory) paused(rec store.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.pauses[rec.ID]
	if !ok || p.revision != rec.Revision || !p.until.After(time.Now()) {
		return nil
	}
	return fmt.Errorf("%w (asked again in %v)", p.err, time.Until(p.until).Round(time.Second))
}
