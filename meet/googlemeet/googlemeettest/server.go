// Package googlemeettest is Google on loopback, as far as package googlemeet needs it: the
// consent page, the token endpoint, revocation, and the events of Google Calendar with their Meet rooms.
//
//	fake := googlemeettest.NewServer(t)
//	google, err := googlemeet.New(googlemeet.Config{
//		ClientID:     fake.ClientID(),
//		ClientSecret: fake.ClientSecret(),
//		RedirectURL:  "http://127.0.0.1:3001/callback",
//		Tokens:       tokens,
//		Endpoints:    fake.Endpoints(),
//	})
//
// [Server.Authorize] does what a doctor does who clicks Allow; in a browser the page is there to be
// clicked. Everything that was asked can be read ([Server.Events], [Server.Requests]), and everything
// can be made to go wrong ([Server.FailNext], [Server.DelayRooms], [Server.FailRooms]).
//
// It answers with Google's status codes and error bodies, and is stricter in one thing: a
// consent without PKCE (S256) is refused. Nothing leaves the machine.
package googlemeettest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/meet/googlemeet"
)

// Config configures a Server. The zero value is ready to use.
type Config struct {
	// ClientID and ClientSecret are the application's. If empty, ones that look like Google's.
	ClientID, ClientSecret string
	// RedirectURLs are the registered callbacks. If empty, every address on loopback is.
	RedirectURLs []string
	// Email is the account that is signed in in the browser. If empty, "doctor@example.org".
	Email string
	// Calendars are ids of calendars that every account has beside its primary one.
	Calendars []string
	// TokenLifetime is how long an access token works, in whole seconds. If 0, 1 hour.
	TokenLifetime time.Duration
}

// Server is Google. It is safe for concurrent use.
type Server struct {
	cfg    Config
	url    string
	http   *http.Server
	served chan struct{}
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	oauth    oauthState
	accounts map[string]*account
	rooms    rooms
	faults   []Fault
	requests []Request
	edits    int // makes etags
}

// Start returns a Server that listens on a free port of 127.0.0.1. Close it at the end.
func Start(cfg Config) (*Server, error) {
	cfg.ClientID = cmp.Or(cfg.ClientID, "000000000000-test.apps.googleusercontent.com")
	cfg.ClientSecret = cmp.Or(cfg.ClientSecret, "GOCSPX-test-only")
	cfg.Email = cmp.Or(cfg.Email, "doctor@example.org")
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, time.Hour)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("googlemeettest: %w", err)
	}
	s := &Server{
		cfg: cfg, url: "http://" + listener.Addr().String(),
		served: make(chan struct{}), closed: make(chan struct{}),
		oauth: newOAuthState(), accounts: map[string]*account{}, rooms: rooms{codes: map[string]string{}},
	}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // ends with Close
	}()
	return s, nil
}

// TB is what NewServer needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// NewServer returns a Server that is closed at the end of the test.
func NewServer(tb TB, cfg ...Config) *Server {
	tb.Helper()
	s, err := Start(append(cfg, Config{})[0])
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Close ends the Server and cuts what is under way.
func (s *Server) Close() {
	s.once.Do(func() { close(s.closed) })
	_ = s.http.Close()
	<-s.served
}

// URL is the scheme, host and port.
func (s *Server) URL() string { return s.url }

// ClientID is the id of the one registered application.
func (s *Server) ClientID() string { return s.cfg.ClientID }

// ClientSecret is its secret.
func (s *Server) ClientSecret() telemed.Secret { return telemed.NewSecret(s.cfg.ClientSecret) }

// Endpoints are the addresses for googlemeet.Config.
func (s *Server) Endpoints() googlemeet.Endpoints {
	return googlemeet.Endpoints{
		Authorize: s.url + "/o/oauth2/v2/auth", Token: s.url + "/token", Revoke: s.url + "/revoke",
		Calendar: s.url + "/calendar/v3", Join: s.url,
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /o/oauth2/v2/auth", s.consentPage)
	mux.HandleFunc("POST /o/oauth2/v2/auth", s.consentAnswer)
	mux.HandleFunc("POST /token", s.op("token", s.token))
	mux.HandleFunc("POST /revoke", s.op("revoke", s.revoke))
	const events = "/calendar/v3/calendars/{calendar}/events"
	mux.HandleFunc("POST "+events, s.op("insert", s.calendar(insert)))
	mux.HandleFunc("GET "+events+"/{event}", s.op("get", s.calendar(get)))
	mux.HandleFunc("PATCH "+events+"/{event}", s.op("patch", s.calendar(patch)))
	mux.HandleFunc("DELETE "+events+"/{event}", s.op("delete", s.calendar(remove)))
	mux.HandleFunc("GET /meet/{code}", s.roomPage)
	return mux
}

// Request is a call that the Server got.
type Request struct {
	// Op is "insert", "get", "patch", "delete", "token" or "revoke".
	Op string
	// Method and Path are of its first line.
	Method, Path string
	// Header is its header without Authorization.
	Header http.Header
	// Query is the query of its address, and Body is the JSON body. Both are empty for token and revoke, which
	// have secrets in them.
	Query, Body string
	// Status is the answer's; 0 if the answer was dropped.
	Status int
}

// Requests returns the calls in the order of their answers.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count returns how many calls of an op there were.
func (s *Server) Count(op string) int {
	n := 0
	for _, request := range s.Requests() {
		if request.Op == op {
			n++
		}
	}
	return n
}

// Refreshes returns how often a refresh token was presented.
func (s *Server) Refreshes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oauth.refreshes
}

// ErrNoEvent is returned for an id that no event has.
var ErrNoEvent = errors.New("googlemeettest: there is no such event")
