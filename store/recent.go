package store

import (
	"time"
)

// recent remembers the last token seen of each key, to be served while the store is
// down, and the new tokens that the store could not take yet. It is guarded by Source.mu.
type recent struct {
	seen    map[Key]Token
	unsaved map[Key]Token
}

// maxSeen bounds what is remembered. Unsaved tokens are never dropped.
const maxSeen = 4096

func newRecent() recent {
	return recent{seen: map[Key]Token{}, unsaved: map[Key]Token{}}
}

func (s *Source) remember(rec Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.recent.seen[rec.Key]; !known && len(s.recent.seen) >= maxSeen {
		s.recent.makeRoom(time.Now())
	}
	s.recent.seen[rec.Key] = rec.Token
}

// makeRoom drops what has expired, or else whatever comes first.
func (r *recent) makeRoom(now time.Time) {
	for key, token := range r.seen {
		if !token.usable(now, useMargin, Secret{}) {
			delete(r.seen, key)
		}
	}
	for key := range r.seen {
		if len(r.seen) < maxSeen {
			return
		}
		delete(r.seen, key)
	}
}

func (s *Source) last(key Key) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.recent.seen[key]
	return token, ok
}

func (s *Source) forget(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.recent.seen, key)
}

// unsaved returns the new token that waits to be saved, if it works.
func (s *Source) unsaved(key Key, stale Secret) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.recent.unsaved[key]
	return token, ok && token.usable(time.Now(), useMargin, stale)
}

func (s *Source) setUnsaved(key Key, token Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.unsaved[key] = token
}

func (s *Source) clearUnsaved(key Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.recent.unsaved, key)
}
