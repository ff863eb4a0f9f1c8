// Package googlemeettest is Google on loopback, as far as package googlemeet needs it:
// the consent page, the token endpoint, revocation, and the events of Google Calendar
// with their Meet rooms.
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
// [Server.Authorize] does what a doctor does who clicks Allow; in a browser the page is
// there to be clicked. Everything that was asked can be read ([Server.Events],
// [Server.Requests]), and everything can be made to go wrong ([Server.FailNext],
// [Server.DelayRooms], [Server.FailRooms]).
//
// It answers with Google's status codes and error bodies, and is stricter in two things: a
// consent without PKCE (S256) is refused, and so is a name that the API does not know, in
// a body or in a query. Config.Lenient ends that. Nothing leaves the machine, save the
// notifications of channels that a client opens.
//
// # Other languages
//
// Google's own clients work with it, also from another process: see Config.Addr and
// Config.TLS. One for Node.js takes Server.URL as its root and the addresses of
// [Server.Endpoints] for OAuth; tokeninfo is beside them. What a client sends has its
// effect or Google's refusal: nothing is taken and ignored. A method of the API that is
// not here is refused with 501.
//
// With Config.InMemory a whole story fits into a testing/synctest bubble: hours pass at
// once.
package googlemeettest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/meet/googlemeet"
)

// The operations, for Fault and Request.
const (
	OpInsert          = "insert"
	OpGet             = "get"
	OpPatch           = "patch"
	OpUpdate          = "update"
	OpDelete          = "delete"
	OpList            = "list"
	OpInstances       = "instances"
	OpQuickAdd        = "quickAdd"
	OpWatch           = "watch"
	OpStop            = "stop"
	OpFreeBusy        = "freeBusy"
	OpCalendar        = "calendar"
	OpCalendarList    = "calendarList"
	OpCalendarListGet = "calendarListGet"
	OpToken           = "token"
	OpRevoke          = "revoke"
	OpTokenInfo       = "tokeninfo"
	OpUnknown         = "unknown" // what the fake does not have
)

// Config configures a Server. The zero value is ready to use.
type Config struct {
	// Addr is where to listen, "host:port". If empty, at a free port of 127.0.0.1.
	Addr string
	// InMemory listens nowhere: only Server.Client and Server.Dial lead there.
	InMemory bool
	// TLS serves https, with a certificate of its own; see Server.Certificate.
	TLS bool

	// ClientID and ClientSecret are the application's. If empty, ones that look like
	// Google's.
	ClientID, ClientSecret string
	// RedirectURLs are the registered callbacks. If empty, every address on loopback is.
	RedirectURLs []string
	// Email is the account that is signed in in the browser. If empty,
	// "doctor@example.org".
	Email string
	// Calendars are ids of calendars that every account has beside its primary one.
	Calendars []string
	// TimeZone is that of all calendars, an IANA name: a day of an event that lasts the
	// whole day is one of it. If empty, "UTC".
	TimeZone string
	// TokenLifetime is how long an access token works, in whole seconds. If 0, 1 hour.
	TokenLifetime time.Duration
	// Lenient takes what Google takes of clients in other languages: a consent without a
	// PKCE challenge, and bodies and queries that name what the API does not know, which it
	// passes over.
	Lenient bool
	// HTTPClient sends the notifications of channels. If nil, one that waits 10 seconds.
	HTTPClient *http.Client
}

// Server is Google. It is safe for concurrent use.
type Server struct {
	cfg    Config
	zone   *time.Location
	url    string
	engine *fake.Server

	mu       sync.Mutex
	oauth    oauthState
	accounts map[string]*account
	rooms    rooms
	lists    lists
	channels map[string]*channel // by id
	edits    int                 // makes etags
	closed   bool

	pushes sync.WaitGroup // notifications that are on their way
}

// rooms makes the rooms of events.
type rooms struct {
	codes    map[string]string // by account and requestId: the same request is the same room
	delay    int
	failures int
}

// account has its calendars and in them events by id, cancelled ones too.
type account struct {
	email     string
	calendars map[string]map[string]*event
	order     []*event
}

// event is the document that is answered, and how far its room is.
type event struct {
	account   string
	calendar  string
	doc       object
	edit      int // the last one of it
	polls     int // until the room is ready
	roomFails bool
	purged    bool
}

// Start returns a running Server. Close it at the end.
func Start(cfg Config) (*Server, error) {
	cfg.ClientID = cmp.Or(cfg.ClientID, "000000000000-test.apps.googleusercontent.com")
	cfg.ClientSecret = cmp.Or(cfg.ClientSecret, "GOCSPX-test-only")
	cfg.Email = cmp.Or(cfg.Email, "doctor@example.org")
	cfg.TokenLifetime = cmp.Or(cfg.TokenLifetime, time.Hour)
	cfg.TimeZone = cmp.Or(cfg.TimeZone, "UTC")
	zone, err := time.LoadLocation(cfg.TimeZone)
	if err != nil || !knownZone(cfg.TimeZone) {
		return nil, fmt.Errorf("googlemeettest: Config.TimeZone is no time zone: %q", cfg.TimeZone)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	}
	engine, err := fake.NewServer(fake.Config{
		Kit: "googlemeettest", Addr: cfg.Addr, InMemory: cfg.InMemory, TLS: cfg.TLS,
		Aside:  []string{OpToken, OpRevoke, OpTokenInfo, OpUnknown},
		Header: func(h http.Header) { h.Set("Cache-Control", "no-store") },
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, zone: zone, url: engine.URL(), engine: engine,
		oauth: newOAuthState(), accounts: map[string]*account{}, rooms: rooms{codes: map[string]string{}},
		lists: lists{pages: map[string]page{}, syncs: map[string]synced{}}, channels: map[string]*channel{},
	}
	s.route()
	engine.Serve()
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

// Close ends the server and its connections, and waits until they have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.engine.Close()
	s.pushes.Wait()
}

// URL is the server's address, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Client returns a client for googlemeet.Config that reaches the server, also in memory,
// and trusts its certificate.
func (s *Server) Client() *http.Client { return s.engine.Client() }

// Dial connects to the server, whatever the network and the address are. It is for a
// client's http.Transport.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.engine.Dial(ctx, network, addr)
}

// Certificate returns the server's certificate in PEM, nil without Config.TLS.
func (s *Server) Certificate() []byte { return s.engine.Certificate() }

// Advance moves Google's clock ahead: codes and access tokens expire.
func (s *Server) Advance(d time.Duration) { s.engine.Advance(d) }

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

// route names the handlers. They stand in consent.go, oauth.go and, as method.go says,
// beside what the Calendar API is about.
func (s *Server) route() {
	s.engine.Handle("", "GET /o/oauth2/v2/auth", s.consentPage)
	s.engine.Handle("", "POST /o/oauth2/v2/auth", s.consentAnswer)
	s.engine.Handle("", "GET /meet/{code}", s.roomPage)
	s.handle(OpToken, "POST /token", s.token)
	s.handle(OpRevoke, "POST /revoke", s.revoke)
	s.handle(OpTokenInfo, "/tokeninfo", s.tokenInfo)
	for _, m := range methods() {
		verb, path, _ := strings.Cut(m.pattern, " ")
		s.handle(m.op, verb+" "+apiPath+path, s.calendar(m))
	}
	s.handle(OpUnknown, "/", unknown)
}

// apiPath is where the Calendar API begins.
const apiPath = "/calendar/v3"

// handle serves an operation.
func (s *Server) handle(op, pattern string, answer func(*incoming) reply) {
	s.engine.Handle(op, pattern, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // from memory
		answer(&incoming{Request: r, body: body}).send(w)
	})
}

// touch gives the event a new etag, and tells the channels.
func (s *Server) touch(e *event) {
	s.edits++
	e.edit = s.edits
	e.doc["etag"] = fmt.Sprintf(`"%016d"`, s.edits)
	e.doc["updated"] = s.now()
	s.notify(e)
}

// updatedForm is how Google writes a time of its own.
const updatedForm = "2006-01-02T15:04:05.000Z"

func (s *Server) now() string { return s.engine.Now().UTC().Format(updatedForm) }

// Refreshes returns how often a refresh token was presented.
func (s *Server) Refreshes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oauth.refreshes
}

// ErrNoEvent is returned for an id that no event has.
var ErrNoEvent = errors.New("googlemeettest: there is no such event")
