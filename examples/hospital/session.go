package main

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
)

// sessions is the hospital's login. In this example anybody who presses the button is the
// doctor.
type sessions struct {
	mu   sync.Mutex
	byID map[string]string // the doctor's id by the session's
}

func newSessions() *sessions { return &sessions{byID: map[string]string{}} }

const sessionCookie = "hospital_session"

var errNoSession = errors.New("nobody is logged in")

func (s *sessions) login(w http.ResponseWriter, doctor string) {
	id := rand.Text() + rand.Text()
	s.mu.Lock()
	s.byID[id] = doctor
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// logout ends the session and returns whose it was.
func (s *sessions) logout(w http.ResponseWriter, r *http.Request) (doctor string) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		doctor = s.byID[cookie.Value]
		delete(s.byID, cookie.Value)
		s.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return doctor
}

// doctor returns who is logged in. It is the Subject of connect and the Authenticate of
// realtime.
func (s *sessions) doctor(r *http.Request) (string, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", errNoSession
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if doctor := s.byID[cookie.Value]; doctor != "" {
		return doctor, nil
	}
	return "", errNoSession
}
