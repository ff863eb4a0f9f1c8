// Package zoomtest is Zoom on loopback, for tests and examples of hosts that use package
// zoom: a consent page, rotating refresh tokens, meetings, webhooks, and faults on
// demand.
//
//	fake := zoomtest.NewServer(t)
//	z, err := zoom.New(zoom.Config{
//		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(),
//		RedirectURL: "http://127.0.0.1:3001/callback", Tokens: store.NewMemory(),
//	})
//
// A doctor who clicks "Allow" is [Server.Authorize]. What arrived is in [Server.Requests]
// and [Server.Meetings]. [Server.FailNext] makes operations fail, as a [Fault] says.
//
// With Config.InMemory a whole story fits into a testing/synctest bubble: hours pass at
// once.
//
// The fake is as strict as Zoom and in the same places as careless: a start in the past
// or in another form than Zoom's silently becomes "now". Like Zoom it passes over names
// that Zoom does not know, in bodies and in queries. It is stricter in one thing: a consent
// needs a state. What Zoom has and the fake does not, such as recurring meetings, is
// refused with 501.
//
// # Other programs
//
// A user's token takes "me", the user's own id and e-mail address. A token for a whole
// account, as a server-to-server app has it, is given for grant_type account_credentials
// and the AccountID of one of Config.Users: it takes ids and addresses of that account's
// users, and not "me".
package zoomtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/zoom"
)

// The operations, for Fault and Request.
const (
	OpAuthorize = "authorize"
	OpToken     = "token"
	OpRevoke    = "revoke"
	OpMe        = "me"
	OpCreate    = "create"
	OpList      = "list"
	OpGet       = "get"
	OpUpdate    = "update"
	OpDelete    = "delete"
	OpStatus    = "status"
	OpPage      = "page"    // of a join or host link
	OpUnknown   = "unknown" // what Zoom does not have
)

// Config configures a Server. The zero value is ready to use.
type Config struct {
	// Addr is where to listen, "host:port". If empty, at a free port of 127.0.0.1.
	Addr string
	// InMemory listens nowhere: only Server.Client and Server.Dial lead there.
	InMemory bool
	// TLS serves https, with a certificate of its own; see Server.Certificate.
	TLS bool
	// HTTPClient sends webhooks. If nil, one that waits 3 seconds, as Zoom does.
	HTTPClient *http.Client

	// ClientID, ClientSecret and WebhookSecret are the app's. If empty,
	// "zoomtest-client", "zoomtest-secret" and "zoomtest-webhook".
	ClientID      string
	ClientSecret  string
	WebhookSecret string
	// RedirectURLs are registered with the app. If empty, any is.
	RedirectURLs []string
	// Users have Zoom accounts; the first one consents unless another is chosen. If
	// empty, one: DefaultUser.
	Users []User
	// Scopes are registered with the app. If nil, zoom.DefaultScopes.
	Scopes []string
	// Grant, if not nil, is what a consent gives, whatever was asked for.
	Grant []string
	// TokenLifetime is how long access tokens live. If 0, 3599 seconds.
	TokenLifetime time.Duration
	// KeepAccessTokens lets an access token work until it expires. Without it, the token
	// ends when its grant is refreshed, as with Zoom: the newest one alone works.
	KeepAccessTokens bool
	// APIURL is told with each token as the account's region. If empty, the server's own.
	APIURL string
	// DailyLimit is how often a user's meetings may be made and changed a day. If 0, 100.
	DailyLimit int
	// Locked are settings that the account's administrator has locked: they replace what
	// is asked for.
	Locked map[string]any
	// MaxPage is how many meetings are listed a page at most. If 0, 300.
	MaxPage int
	// ListLag is how long a new meeting is missing from lists. If 0, it is there at once.
	ListLag time.Duration
	// MeetingID gives the nth meeting its id, n from 1. The real Zoom's ids are in no
	// order: whoever relies on one can try another here. If nil, they increase from
	// 82000000001.
	MeetingID func(n int) int64
}

// User is somebody with a Zoom account.
type User struct {
	// ID is Zoom's id of the user, AccountID that of the hospital's account.
	ID, AccountID string
	// Email and Name are shown on the consent page.
	Email, Name string
}

// DefaultUser returns the user of a Server that was given none.
func DefaultUser() User {
	return User{ID: "u-dr-rao", AccountID: "a-clinic", Email: "dr.rao@clinic.example", Name: "Dr. Rao"}
}

func (c Config) withDefaults() Config {
	setDefault(&c.ClientID, "zoomtest-client")
	setDefault(&c.ClientSecret, "zoomtest-secret")
	setDefault(&c.WebhookSecret, "zoomtest-webhook")
	setDefault(&c.TokenLifetime, 3599*time.Second)
	setDefault(&c.DailyLimit, 100)
	setDefault(&c.MaxPage, 300)
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	}
	if c.MeetingID == nil {
		c.MeetingID = func(n int) int64 { return 82_000_000_000 + int64(n) }
	}
	if len(c.Users) == 0 {
		c.Users = []User{DefaultUser()}
	}
	if c.Scopes == nil {
		c.Scopes = zoom.DefaultScopes()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server is Zoom on loopback. It is safe for concurrent use.
type Server struct {
	cfg    Config
	url    string
	engine *fake.Server

	mu       sync.Mutex
	auth     authState
	meetings []*meeting
	spent    map[string]int  // user and UTC day: creates and updates
	pages    map[string]page // by token
}

// Start returns a running server. Close it.
func Start(cfg Config) (*Server, error) {
	engine, err := fake.NewServer(fake.Config{
		Kit: "zoomtest", Addr: cfg.Addr, InMemory: cfg.InMemory, TLS: cfg.TLS,
		Aside:  []string{OpAuthorize, OpToken, OpRevoke, OpPage, OpUnknown},
		Header: func(h http.Header) { h.Set("X-Zm-Trackingid", newTrackingID()) },
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg.withDefaults(), url: engine.URL(), engine: engine,
		auth: newAuthState(), spent: map[string]int{}, pages: map[string]page{},
	}
	s.route()
	engine.Serve()
	return s, nil
}

// TB is the part of testing.TB that NewServer needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// NewServer returns a running server that is closed when the test ends.
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
func (s *Server) Close() { s.engine.Close() }

// URL is the server's address, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Client returns a client for zoom.Config that reaches the server, also in memory, and
// trusts its certificate.
func (s *Server) Client() *http.Client { return s.engine.Client() }

// Dial connects to the server, whatever the network and the address are. It is for a
// client's http.Transport.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.engine.Dial(ctx, network, addr)
}

// Certificate returns the server's certificate in PEM, nil without Config.TLS.
func (s *Server) Certificate() []byte { return s.engine.Certificate() }

// Advance moves Zoom's clock ahead: tokens expire, the day of Config.DailyLimit ends.
func (s *Server) Advance(d time.Duration) { s.engine.Advance(d) }

// Endpoints are for zoom.Config.
func (s *Server) Endpoints() zoom.Endpoints {
	return zoom.Endpoints{
		Authorize: s.url + "/oauth/authorize", Token: s.url + "/oauth/token", Revoke: s.url + "/oauth/revoke", API: s.url + "/v2",
		Join: s.url,
	}
}

// ClientID is the app's.
func (s *Server) ClientID() string { return s.cfg.ClientID }

// ClientSecret is the app's.
func (s *Server) ClientSecret() telemed.Secret { return telemed.NewSecret(s.cfg.ClientSecret) }

// WebhookSecret is what SendWebhook signs with.
func (s *Server) WebhookSecret() telemed.Secret { return telemed.NewSecret(s.cfg.WebhookSecret) }

// route names the handlers. They stand in oauth.go and meetings.go, beside what the Server
// keeps for them: methods of the Server, which use the rest of its state.
func (s *Server) route() {
	handle := s.engine.Handle
	handle(OpAuthorize, "GET /oauth/authorize", s.consentPage)
	handle(OpAuthorize, "POST /oauth/authorize", s.consent)
	handle(OpToken, "/oauth/token", s.token)
	handle(OpRevoke, "/oauth/revoke", s.revoke)
	handle(OpMe, "GET /v2/users/{user}", s.api("user:read:user", s.me))
	handle(OpCreate, "POST /v2/users/{user}/meetings", s.api("meeting:write:meeting", s.create))
	handle(OpList, "GET /v2/users/{user}/meetings", s.api("meeting:read:list_meetings", s.list))
	handle(OpGet, "GET /v2/meetings/{id}", s.api("meeting:read:meeting", s.get))
	handle(OpUpdate, "PATCH /v2/meetings/{id}", s.api("meeting:update:meeting", s.update))
	handle(OpDelete, "DELETE /v2/meetings/{id}", s.api("meeting:delete:meeting", s.remove))
	handle(OpStatus, "PUT /v2/meetings/{id}/status", s.api("meeting:update:status", s.status))
	handle(OpPage, "GET /j/{id}", s.joinPage)
	handle(OpPage, "GET /s/{id}", s.hostPage)
	handle(OpUnknown, "/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, 2300, "This API endpoint is not recognized.")
	})
}

// Authorize does what a doctor does who clicks "Allow" on the consent page at authURL: it
// returns the address that Zoom sends the browser back to, which it does not open. The
// first user consents.
func (s *Server) Authorize(authURL string) (callbackURL string, err error) {
	return s.AuthorizeAs(authURL, s.cfg.Users[0].ID)
}

// AuthorizeAs is Authorize for the user with an id.
func (s *Server) AuthorizeAs(authURL, userID string) (callbackURL string, err error) {
	return s.decide(authURL, url.Values{"decision": {"allow"}, "user": {userID}})
}

// Deny does what a doctor does who clicks "Deny".
func (s *Server) Deny(authURL string) (callbackURL string, err error) {
	return s.decide(authURL, url.Values{"decision": {"deny"}, "user": {s.cfg.Users[0].ID}})
}

func (s *Server) decide(authURL string, answer url.Values) (string, error) {
	client := s.engine.Browser()
	page, err := client.Get(authURL)
	if err != nil {
		return "", fmt.Errorf("zoomtest: consent page: %w", err)
	}
	_ = page.Body.Close()
	id := page.Header.Get(consentHeader)
	if page.StatusCode != http.StatusOK || id == "" {
		return "", fmt.Errorf("zoomtest: the consent page refuses with %d: %s", page.StatusCode, page.Header.Get(refusalHeader))
	}
	answer.Set("consent", id)
	resp, err := client.PostForm(s.url+"/oauth/authorize", answer)
	if err != nil {
		return "", fmt.Errorf("zoomtest: consent: %w", err)
	}
	_ = resp.Body.Close()
	callback := resp.Header.Get("Location")
	if callback == "" {
		return "", errors.New("zoomtest: consent: " + resp.Header.Get(refusalHeader))
	}
	return callback, nil
}

func (s *Server) user(id string) (User, bool) {
	for _, user := range s.cfg.Users {
		if user.ID == id {
			return user, true
		}
	}
	return User{}, false
}

// newTrackingID looks like Zoom's.
func newTrackingID() string { return fake.RequestID("v=2.0;clid=us06;rid=WEB_") }
