package oauth

import (
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// recent is what a process remembers of its keys. It is guarded by Source.mu.
type recent struct {
	// seen has the last token read of each key, to be served while the store is down.
	seen map[store.AccountID]sighting
	// unsaved has the new tokens that the store could not take yet.
	unsaved map[store.AccountID]store.Token
	// cool has the keys that are to be left alone for a while.
	cool map[store.AccountID]coolness
}

// sighting is a token as it was at a revision.
type sighting struct {
	revision string
	token    store.Token
}

// coolness is a refresh that failed and is not to be tried again at once, unless the record changes.
type coolness struct {
	revision string
	until    time.Time
	err      error
}

// maxSeen bounds what is remembered. Unsaved tokens are never dropped.
const maxSeen = 4096

func newRecent() recent {
	return recent{seen: map[store.AccountID]sighting{}, unsaved: map[store.AccountID]store.Token{}, cool: map[store.AccountID]coolness{}}
}

func (s *Source) remember(rec store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.recent.seen[rec.ID]
	if known && old.revision == rec.Revision {
		return
	}
	if !known && len(s.recent.seen) >= maxSeen {
		s.recent.makeRoom(time.Now())
	}
	s.recent.seen[rec.ID] = sighting{rec.Revision, rec.Token.Clone()}
}

// makeRoom drops what has expired, and then whatever comes first until an eighth is
// free, so that it is not called again soon.
func (r *recent) makeRoom(now time.Time) {
	for key, seen := range r.seen {
		if !usable(seen.token, now, useMargin, telemed.Secret{}) {
			delete(r.seen, key)
		}
	}
	for key := range r.seen {
		if len(r.seen) <= maxSeen-maxSeen/8 {
			return
		}
		delete(r.seen, key)
	}
}

// last returns the token seen last, if it works.
func (s *Source) last(key store.AccountID, stale telemed.Secret) (store.Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.recent.seen[key]
	return seen.token.Clone(), usable(seen.token, time.Now(), useMargin, stale)
}

// remembers reports whether last would return a token.
func (s *Source) remembers(key store.AccountID, stale telemed.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return usable(s.recent.seen[key].token, time.Now(), useMargin, stale)
}

func (s *Source) forget(key store.AccountID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.recent.seen, key)
	delete(s.recent.cool, key)
}

// unsaved returns the new token that waits to be saved, if it works.
func (s *Source) unsaved(key store.AccountID, stale telemed.Secret) (store.Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.recent.unsaved[key]
	if !ok || !usable(token, time.Now(), useMargin, stale) {
		return store.Token{}, false
	}
	return token.Clone(), true
}

func (s *Source) setUnsaved(key store.AccountID, token store.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.unsaved[key] = token
}

func (s *Source) clearUnsaved(key store.AccountID, token store.Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recent.unsaved[key].Same(token) {
		delete(s.recent.unsaved, key)
	}
}

// coolDown leaves rec alone for a while: until then callers get err.
func (s *Source) coolDown(rec store.Record, pause time.Duration, err error) {
	if pause <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for key, c := range s.recent.cool {
		if !c.until.After(now) {
			delete(s.recent.cool, key)
		}
	}
	s.recent.cool[rec.ID] = coolness{rec.Revision, now.Add(pause), err}
}

// cooling returns why rec is to be left alone, or nil.
func (s *Source) cooling(rec store.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.recent.cool[rec.ID]
	if !ok || c.revision != rec.Revision || !c.until.After(time.Now()) {
		return nil
	}
	return fmt.Errorf("%w (asked again in %v)", c.err, time.Until(c.until).Round(time.Second))
}
