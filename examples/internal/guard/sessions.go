package guard

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
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
	// Keep writes down a session that has begun, Forget strikes it out, so that a process
	// that comes after this one can Restore it. A session's key is a hash of its cookie: who
	// reads it cannot log in with it. If nil, logins end with the process.
	Keep   func(Session) error
	Forget func(key string)
}

// Session is a login, as it is kept.
type Session struct {
	Key, Subject string
	Began        time.Time
}

// Sessions are the logins. They are safe for concurrent use.
type Sessions struct {
	guard *Guard
	cfg   SessionsConfig

	mu       sync.Mutex
	byKey    map[string]*session
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
	if cfg.Keep == nil {
		cfg.Keep = func(Session) error { return nil }
	}
	if cfg.Forget == nil {
		cfg.Forget = func(string) {}
	}
	return &Sessions{guard: g, cfg: cfg, byKey: map[string]*session{}, attempts: map[netip.Prefix]int{}}
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

// Restore begins sessions that Keep has written down, for as long as they last still.
func (s *Sessions) Restore(kept ...Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range kept {
		if left := time.Until(k.Began.Add(s.cfg.Lifetime)); left > 0 && len(s.byKey) < s.cfg.Max {
			s.byKey[k.Key] = &session{k.Subject, k.Began, time.AfterFunc(left, func() { s.expire(k.Key) })}
		} else {
			s.cfg.Forget(k.Key)
		}
	}
}

// Begin logs subject in, under a new id. A session that the browser had ends. An error is
// that Keep could not write it down: then nobody is logged in.
func (s *Sessions) Begin(w http.ResponseWriter, r *http.Request, subject string) error {
	id := rand.Text() + rand.Text()
	begun := Session{keyOf(id), subject, time.Now()}
	if err := s.cfg.Keep(begun); err != nil {
		return err
	}
	s.mu.Lock()
	s.drop(s.key(r))
	pushed := s.makeRoom()
	s.byKey[begun.Key] = &session{subject, begun.Began, time.AfterFunc(s.cfg.Lifetime, func() { s.expire(begun.Key) })}
	s.mu.Unlock()
	s.guard.SetCookie(w, r, http.Cookie{Name: s.cfg.Cookie, Value: id, Path: "/", MaxAge: int(s.cfg.Lifetime / time.Second)})
	if pushed != "" {
		s.cfg.OnEnd(pushed)
	}
	return nil
}

// End logs the browser out, and returns who it was, or "".
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) (subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guard.SetCookie(w, r, http.Cookie{Name: s.cfg.Cookie, Path: "/", MaxAge: -1})
	return s.drop(s.key(r))
}

// Subject returns who is logged in, or ErrNoSession.
func (s *Sessions) Subject(r *http.Request) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := s.byKey[s.key(r)]; found != nil {
		return found.subject, nil
	}
	return "", ErrNoSession
}

// Close ends all sessions in this process. Neither OnEnd nor Forget hears of them.
func (s *Sessions) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.byKey {
		found.timer.Stop()
	}
	clear(s.byKey)
}

// key is that of the browser's session, "" if it has none.
func (s *Sessions) key(r *http.Request) string {
	cookie, err := r.Cookie(s.cfg.Cookie)
	if err != nil {
		return ""
	}
	return keyOf(cookie.Value)
}

func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func (s *Sessions) expire(key string) {
	s.mu.Lock()
	subject := s.drop(key)
	s.mu.Unlock()
	if subject != "" {
		s.cfg.OnEnd(subject)
	}
}

// makeRoom ends the oldest session if there are Max. The caller holds mu.
func (s *Sessions) makeRoom() (subject string) {
	if len(s.byKey) < s.cfg.Max {
		return ""
	}
	oldest := ""
	for key, found := range s.byKey {
		if oldest == "" || found.began.Before(s.byKey[oldest].began) {
			oldest = key
		}
	}
	return s.drop(oldest)
}

// drop forgets a session and returns whose it was. The caller holds mu.
func (s *Sessions) drop(key string) (subject string) {
	found := s.byKey[key]
	if found == nil {
		return ""
	}
	found.timer.Stop()
	delete(s.byKey, key)
	s.cfg.Forget(key)
	return found.subject
}
