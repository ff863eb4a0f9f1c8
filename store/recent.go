package store

import (
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
)

// recent is what a process remembers of its keys. It is guarded by Source.mu.
type recent struct {
	// seen has the last token read of each key, to be served while the store is down.
	seen map[Key]sighting
	// unsaved has the new tokens that the store could not take yet.
	unsaved map[Key]Token
	// cool has the keys that are to be left alone for a while.
	cool map[Key]coolness
}

// sighting is a token as it was at a revision.
type sighting struct {
	revision string
	token    Token
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
	return recent{seen: map[Key]sighting{}, unsaved: map[Key]Token{}, cool: map[Key]coolness{}}
}

func (s *Source) remember(rec Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.recent.seen[rec.Key]
	if known && old.revision == rec.Revision {
		return
	}
	if !known && len(s.recent.seen) >= maxSeen {
		s.recent.makeRoom(time.Now())
	}
	s.recent.seen[rec.Key] = sighting{rec.Revision, rec.Token.clone()}
}

// makeRoom drops what has expired, and then whatever comes first until an eighth is
// free, so that it is not called again soon.
func (r *recent) makeRoom(now time.Time) {
	for key, seen := range r.seen {
		if !seen.token.usable(now, useMargin, telemed.Secret{}) {
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
func (s *Source) last(key Key, stale telemed.Secret) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.recent.seen[key]
	return seen.token.clone(), seen.token.usable(time.Now(), useMargin, stale)
}

// remembers reports whether last would return a token.
func (s *Source) remembers(key Key, stale telemed.Secret) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recent.seen[key].token.usable(time.Now(), useMargin, stale)
}

func (s *Source) forget(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.recent.seen, key)
	delete(s.recent.cool, key)
}

// unsaved returns the new token that waits to be saved, if it works.
func (s *Source) unsaved(key Key, stale telemed.Secret) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.recent.unsaved[key]
	if !ok || !token.usable(time.Now(), useMargin, stale) {
		return Token{}, false
	}
	return token.clone(), true
}

func (s *Source) setUnsaved(key Key, token Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.unsaved[key] = token
}

func (s *Source) clearUnsaved(key Key, token Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recent.unsaved[key].same(token) {
		delete(s.recent.unsaved, key)
	}
}

// coolDown leaves rec alone for a while: until then callers get err.
func (s *Source) coolDown(rec Record, pause time.Duration, err error) {
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
	s.recent.cool[rec.Key] = coolness{rec.Revision, now.Add(pause), err}
}

// cooling returns why rec is to be left alone, or nil.
func (s *Source) cooling(rec Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.recent.cool[rec.Key]
	if !ok || c.revision != rec.Revision || !c.until.After(time.Now()) {
		return nil
	}
	return fmt.Errorf("%w (asked again in %v)", c.err, time.Until(c.until).Round(time.Second))
}
