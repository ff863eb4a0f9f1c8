package socketio

import (
	"container/list"
	"net/netip"
	"sync"
)

// lobby has the sessions whose client has not entered a namespace. Whoever asks for
// sessions and does nothing with them must not keep the others out. An honest client enters
// after one round trip, so that it is hardly ever the oldest.
type lobby struct {
	limit   int
	perAddr int

	mu      sync.Mutex
	waiting list.List // of *session, the oldest first
	addrs   map[netip.Addr]int
}

// enter lets a session in, unless too many of its address are there. It returns the
// session that must end because too many are there in all, or nil.
func (l *lobby) enter(s *session) (oldest *session, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.addr.IsValid() {
		if l.addrs[s.addr] >= l.perAddr {
			return nil, false
		}
		if l.addrs == nil {
			l.addrs = make(map[netip.Addr]int)
		}
		l.addrs[s.addr]++
	}
	s.place = l.waiting.PushBack(s)
	if l.waiting.Len() > l.limit {
		oldest = l.removeLocked(l.waiting.Front())
	}
	return oldest, true
}

// leave lets a session out. If it is not there, nothing happens.
func (l *lobby) leave(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.place != nil {
		l.removeLocked(s.place)
	}
}

// oldest removes the session that has been here longest, nil if none is here.
func (l *lobby) oldest() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.Len() == 0 {
		return nil
	}
	return l.removeLocked(l.waiting.Front())
}

func (l *lobby) removeLocked(place *list.Element) *session {
	s := l.waiting.Remove(place).(*session)
	s.place = nil
	if s.addr.IsValid() {
		if l.addrs[s.addr]--; l.addrs[s.addr] == 0 {
			delete(l.addrs, s.addr)
		}
	}
	return s
}

// admit puts a session into the lobby. A false answer has ended it.
func (s *Server) admit(session *session) bool {
	oldest, ok := s.lobby.enter(session)
	if oldest != nil {
		oldest.conn.Close(errNoConnect)
	}
	if !ok {
		s.cfg.Hub.Refuse("socketio: too many sessions of one address that do not connect")
		session.conn.Close(errNoConnect)
	}
	if session.conn.Context().Err() != nil {
		s.lobby.leave(session) // its End may have come before it was there
	}
	return ok
}
