package guard

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// SessionsConfig configures NewSessions. Each zero stands for a bound, not for none.
type SessionsConfig struct {
	// Cookie is the cookie's name. Required.
	Cookie string
	// Lifetime is how long a login lasts, used or not. If 0, 12 hours.
	Lifetime time.Duration
	// Max is how many sessions there are at most. One more ends the oldest: refusing it
	// would lock everybody out. If 0, 1000.
	Max int
	// Attempts is how many logins one network may try in a minute. If 0, 20.
	Attempts int
	// OnEnd hears of a session that was ended by its Lifetime or by Max, so that what it
	// opened can be closed. If nil, nobody does.
	OnEnd func(subject string)
}

// Sessions are the logins of one process. They are safe for concurrent use.
type Sessions struct {
	guard *Guard
	cfg   SessionsConfig

	mu       sync.Mutex
	byID     map[string]*session
	minute   time.Time // when attempts were last forgotten
	attempts map[netip.Prefix]int
}

type session struct {
	subject string
	began   time.Time
	timer   *time.Timer
}

var (
	// ErrNoSession says that nobody is logged in.
	ErrNoSession = errors.New("nobody is logged in")
	// ErrTooMany says that a network tries to log in too often. Answer it with 429.
	ErrTooMany = errors.New("too many logins, try again in a minute")
)

// maxNetworks bounds the memory for attempts. Who comes after so many in one minute waits.
const maxNetworks = 10_000

// NewSessions returns Sessions whose cookies are as safe as g says. Call Close in the end.
func (g *Guard) NewSessions(cfg SessionsConfig) *Sessions {
	cfg.Lifetime, cfg.Max, cfg.Attempts = cmp.Or(cfg.Lifetime, 12*time.Hour), cmp.Or(cfg.Max, 1000), cmp.Or(cfg.Attempts, 20)
	if cfg.OnEnd == nil {
		cfg.OnEnd = func(string) {}
	}
	return &Sessions{guard: g, cfg: cfg, byID: map[string]*session{}, attempts: map[netip.Prefix]int{}}
}

// Attempt counts a login that r's network tries. Call it before the password is looked
// at. The error is ErrTooMany.
func (s *Sessions) Attempt(r *http.Request) error {
	network := s.guard.network(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.minute) >= time.Minute {
		s.minute = time.Now()
		clear(s.attempts)
	}
	before, known := s.attempts[network]
	if before >= s.cfg.Attempts || !known && len(s.attempts) >= maxNetworks {
		return ErrTooMany
	}
	s.attempts[network]++
	return nil
}

// Begin logs subject in, under a new id. A session that the browser had ends.
func (s *Sessions) Begin(w http.ResponseWriter, r *http.Request, subject string) {
	id := rand.Text() + rand.Text()
	s.mu.Lock()
	s.drop(s.id(r))
	pushed := s.makeRoom()
	s.byID[id] = &session{subject, time.Now(), time.AfterFunc(s.cfg.Lifetime, func() { s.expire(id) })}
	s.mu.Unlock()
	s.guard.SetCookie(w, r, http.Cookie{Name: s.cfg.Cookie, Value: id, Path: "/", MaxAge: int(s.cfg.Lifetime / time.Second)})
	if pushed != "" {
		s.cfg.OnEnd(pushed)
	}
}

// End logs the browser out, and returns who it was, or "".
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) (subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guard.SetCookie(w, r, http.Cookie{Name: s.cfg.Cookie, Path: "/", MaxAge: -1})
	return s.drop(s.id(r))
}

// Subject returns who is logged in, or ErrNoSession.
func (s *Sessions) Subject(r *http.Request) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.byID[s.id(r)]; found != nil {
		return found.subject, nil
	}
	return "", ErrNoSession
}

// Close ends all sessions. OnEnd does not hear of them.
func (s *Sessions) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.byID {
		s.drop(id)
	}
}

func (s *Sessions) id(r *http.Request) string {
	cookie, err := r.Cookie(s.cfg.Cookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (s *Sessions) expire(id string) {
	s.mu.Lock()
	subject := s.drop(id)
	s.mu.Unlock()
	if subject != "" {
		s.cfg.OnEnd(subject)
	}
}

// makeRoom ends the oldest session if there are Max. The caller holds mu.
func (s *Sessions) makeRoom() (subject string) {
	if len(s.byID) < s.cfg.Max {
		return ""
	}
	oldest := ""
	for id, found := range s.byID {
		if oldest == "" || found.began.Before(s.byID[oldest].began) {
			oldest = id
		}
	}
	return s.drop(oldest)
}

// drop forgets a session and returns whose it was. The caller holds mu.
func (s *Sessions) drop(id string) (subject string) {
	found := s.byID[id]
	if found == nil {
		return ""
	}
	found.timer.Stop()
	delete(s.byID, id)
	return found.subject
}
