package engineio

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// lobby has the sessions whose client has not entered. Whoever asks for
// sessions and does nothing with them must not keep the others out. So who must go is of the
// largest crowd, and the oldest in it: an honest client enters after one round trip. And all
// must go whose time is over. One clock is enough for that: it is set for the oldest.
type lobby struct {
	limit   int
	perAddr int
	time    time.Duration // that a session may be here

	mu      sync.Mutex
	waiting list.List   // of *guest, the oldest first
	clock   *time.Timer // nil before the first guest
	ticking bool
	addrs   map[netip.Addr]int
	crowds  map[crowd]int
	all     map[netip.Addr]int // with those that have entered; only if there is a limit
}

type guest struct {
	session *Session
	until   time.Time
}

// crowd is one login at one address. Without both, all are one crowd.
type crowd struct {
	subject string
	addr    netip.Addr
}

// networkOf returns what one client can hardly have more than one of: an IPv4 address, or the
// first 64 bits of an IPv6 address.
func networkOf(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if !addr.Is6() {
		return addr
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr // never, for 64 is within an IPv6 address
	}
	return network.Addr()
}

func crowdOf(s *Session) crowd { return crowd{s.subject, s.addr} }

// enter lets a session in, unless too many of its address are there. It returns the
// session that must end because too many are there in all, or nil.
func (l *lobby) enter(s *Session) (excess *Session, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.place != nil { // it is here already
		return nil, true
	}
	if s.addr.IsValid() {
		if l.addrs[s.addr] >= l.perAddr {
			return nil, false
		}
		if l.addrs == nil {
			l.addrs = make(map[netip.Addr]int)
		}
		l.addrs[s.addr]++
	}
	if l.crowds == nil {
		l.crowds = make(map[crowd]int)
	}
	l.crowds[crowdOf(s)]++
	s.place = l.waiting.PushBack(&guest{s, time.Now().Add(l.time)})
	l.tickLocked(l.time)
	if l.waiting.Len() > l.limit {
		excess = l.evictLocked()
	}
	return excess, true
}

// leave lets a session out. If it is not there, nothing happens.
func (l *lobby) leave(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.place != nil {
		l.removeLocked(s.place)
	}
}

// evict removes the session that must go next, nil if none is here.
func (l *lobby) evict() *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.evictLocked()
}

func (l *lobby) evictLocked() *Session {
	most := 0
	for _, count := range l.crowds {
		most = max(most, count)
	}
	for place := l.waiting.Front(); place != nil; place = place.Next() {
		if l.crowds[crowdOf(place.Value.(*guest).session)] == most {
			return l.removeLocked(place)
		}
	}
	return nil
}

// tickLocked sets the clock, unless it is set already.
func (l *lobby) tickLocked(after time.Duration) {
	switch {
	case l.ticking:
		return
	case l.clock == nil:
		l.clock = time.AfterFunc(after, l.strike)
	default:
		l.clock.Reset(after)
	}
	l.ticking = true
}

// strike ends the sessions whose time is over.
func (l *lobby) strike() {
	for _, s := range l.late() {
		s.Close(errNoConnect)
	}
}

// late removes the sessions whose time is over, and sets the clock for the others.
func (l *lobby) late() (late []*Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ticking = false
	for place := l.waiting.Front(); place != nil; place = l.waiting.Front() {
		if left := time.Until(place.Value.(*guest).until); left > 0 {
			l.tickLocked(left)
			break
		}
		late = append(late, l.removeLocked(place))
	}
	return late
}

func (l *lobby) removeLocked(place *list.Element) *Session {
	s := l.waiting.Remove(place).(*guest).session
	s.place = nil
	if l.waiting.Len() == 0 && l.ticking {
		l.ticking = !l.clock.Stop() // unless it strikes just now
	}
	if s.addr.IsValid() {
		if l.addrs[s.addr]--; l.addrs[s.addr] == 0 {
			delete(l.addrs, s.addr)
		}
	}
	if l.crowds[crowdOf(s)]--; l.crowds[crowdOf(s)] == 0 {
		delete(l.crowds, crowdOf(s))
	}
	return s
}

// admit puts a session into the lobby. A false answer has ended it.
func (s *Server) admit(session *Session) bool {
	excess, ok := s.lobby.enter(session)
	if excess != nil {
		excess.Close(errNoConnect)
	}
	if !ok {
		s.refuse(Crowd)
		session.Close(errNoConnect)
	}
	if session.isOver() {
		s.lobby.leave(session) // its end may have come before it was there
	}
	return ok
}

// admitAddr counts a session among those of its address. A false answer has ended it.
func (s *Server) admitAddr(session *Session) bool {
	limit := s.cfg.MaxPerAddr
	if limit == 0 || !session.addr.IsValid() || s.lobby.count(session, limit) {
		return true
	}
	s.refuse(Crowd)
	session.Close(errFull)
	return false
}

func (l *lobby) count(s *Session, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[s.addr] >= limit {
		return false
	}
	if l.all == nil {
		l.all = make(map[netip.Addr]int)
	}
	l.all[s.addr]++
	s.counted = true
	return true
}

// discount undoes count, once.
func (l *lobby) discount(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !s.counted {
		return
	}
	s.counted = false
	if l.all[s.addr]--; l.all[s.addr] == 0 {
		delete(l.all, s.addr)
	}
}
