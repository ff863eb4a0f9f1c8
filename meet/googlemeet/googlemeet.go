package googlemeet

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// ProviderName is the Provider of the store.AccountIDs and of the Meetings of this
// package.
const ProviderName = "google"

// The scopes that let an application write events, and those that tell whose account
// it is. Google asks for a review of applications that use the first four.
// See https://developers.google.com/workspace/calendar/api/auth.
const (
	// ScopeEvents allows events in every calendar that the doctor can write to.
	ScopeEvents = "https://www.googleapis.com/auth/calendar.events"
	// ScopeEventsOwned allows events in the doctor's own calendars. It is enough for
	// "primary".
	ScopeEventsOwned = "https://www.googleapis.com/auth/calendar.events.owned"
	// ScopeAppCreated allows events in calendars that the application made: set
	// Config.Calendar to one.
	ScopeAppCreated = "https://www.googleapis.com/auth/calendar.app.created"
	// ScopeCalendar allows everything. Nothing here needs it.
	ScopeCalendar = "https://www.googleapis.com/auth/calendar"
	// ScopeOpenID tells which account was connected, by a number that stays.
	ScopeOpenID = "openid"
	// ScopeEmail tells the account's address, to be shown to the doctor.
	ScopeEmail = "email"
)

// writeScopes are those of which one is required.
var writeScopes = []string{ScopeEventsOwned, ScopeEvents, ScopeAppCreated, ScopeCalendar}

// Config configures a Client.
type Config struct {
	// ClientID and ClientSecret are those of the application's OAuth client of the type
	// "Web application". Required. While its consent screen is in "Testing", Google ends
	// every connection after 7 days. See https://console.cloud.google.com/auth/clients.
	ClientID     string
	ClientSecret telemed.Secret
	// RedirectURL is the callback as it is registered there, to the letter. Required.
	RedirectURL string
	// Tokens keeps the doctors' tokens. Required.
	Tokens store.TokenStore

	// Claims says what became of a Key, and which account a meeting is in, in all processes
	// of the application, until a year after its start. If nil, it is Tokens, if that
	// implements store.Claims as store/sqlstore and store/mongostore do. If it does not, it
	// is the memory of the Client: then what was made before a restart is
	// telemed.ErrAmbiguous when Google does not know it, and a doctor who connects another
	// account can be given a second meeting under one Key.
	Claims store.Claims

	// Endpoints are Google's addresses. The zero value is production.
	Endpoints Endpoints
	// Scopes are asked of the doctor. One must allow writing events. If nil, ScopeEvents,
	// ScopeOpenID and ScopeEmail. Without the last two, nobody knows which account it is:
	// an event that is not found is telemed.ErrAmbiguous then, unless Google remembers it.
	Scopes []string
	// Calendar is the id of the calendar that events go into. If empty, "primary", the
	// doctor's own.
	Calendar string
	// Namespace separates the Keys of applications that may meet in one calendar: a doctor
	// of two hospitals. If empty, ClientID. Set it, and keep it, to change the ClientID
	// later on.
	Namespace string
	// ConferenceWait is how long Create and Update wait for Google to make the room. If 0, 8
	// seconds; if negative, not at all.
	ConferenceWait time.Duration
	// RetryWait is the pause before a call is repeated for the first time; each further
	// one doubles, up to 10 seconds. If 0, 500 ms.
	RetryWait time.Duration

	// HTTPClient sends all requests. If nil, one with a timeout of 30 seconds a call.
	HTTPClient *http.Client
	// Logger gets what no error tells. If nil, nothing is logged.
	Logger *slog.Logger
	// Refreshing tunes how tokens are refreshed: timing, hooks, the breaker, and a spool for
	// deploys during a database outage. The zero value is right for most.
	Refreshing oauth.Tuning

	env *fault.Env // of FromEnv
}

// Endpoints are the addresses of Google. Each empty one is that of production. Others are
// https too, or http on loopback; googlemeettest's Server.Endpoints returns its own.
type Endpoints struct {
	// Authorize is the consent page.
	Authorize string
	// Token is where codes and refresh tokens are exchanged.
	Token string
	// Revoke is where grants are withdrawn.
	Revoke string
	// Calendar is the base of the Calendar API, version included.
	Calendar string
	// Join is the scheme and host of join links. A meeting whose link leads elsewhere is not
	// handed on.
	Join string
}

func (e *Endpoints) setDefaults() {
	e.Authorize = cmp.Or(e.Authorize, "https://accounts.google.com/o/oauth2/v2/auth")
	e.Token = cmp.Or(e.Token, "https://oauth2.googleapis.com/token")
	e.Revoke = cmp.Or(e.Revoke, "https://oauth2.googleapis.com/revoke")
	e.Calendar = cmp.Or(e.Calendar, "https://www.googleapis.com/calendar/v3/")
	e.Join = cmp.Or(e.Join, "https://meet.google.com")
	if !strings.HasSuffix(e.Calendar, "/") {
		e.Calendar += "/" // without it the library drops the last segment, silently
	}
}

func (c *Config) setDefaults() {
	c.Endpoints.setDefaults()
	if c.Scopes == nil {
		c.Scopes = []string{ScopeEvents, ScopeOpenID, ScopeEmail}
	}
	c.Scopes = slices.Clone(c.Scopes)
	c.Calendar = cmp.Or(c.Calendar, "primary")
	c.Namespace = cmp.Or(c.Namespace, c.ClientID)
	c.ConferenceWait = cmp.Or(c.ConferenceWait, 8*time.Second)
	if c.RetryWait <= 0 {
		c.RetryWait = 500 * time.Millisecond
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
}

func (c *Config) validate() error {
	var p fault.Problems
	p.From(c.env)
	p.Required("ClientID", c.ClientID)
	p.Check(!c.ClientSecret.IsZero(), "ClientSecret", "is required")
	p.NotNil("Tokens", c.Tokens)
	p.Optional("Claims", c.Claims)
	p.Required("RedirectURL", c.RedirectURL)
	for _, endpoint := range []struct{ field, value string }{
		{"RedirectURL", c.RedirectURL},
		{"Endpoints.Authorize", c.Endpoints.Authorize},
		{"Endpoints.Token", c.Endpoints.Token},
		{"Endpoints.Revoke", c.Endpoints.Revoke},
		{"Endpoints.Calendar", c.Endpoints.Calendar},
		{"Endpoints.Join", c.Endpoints.Join},
	} {
		p.Check(endpoint.value == "" || address.Secure(endpoint.value), endpoint.field, "is not an https address (http is for loopback only)")
	}
	p.Check(c.calendarScope() != "", "Scopes", "have none that allows writing events")
	p.Check(calendarID(c.Calendar), "Calendar", "is not a calendar's id")
	return p.Err("googlemeet")
}

// calendarScope returns the one of the scopes without which nothing works.
func (c *Config) calendarScope() string {
	for _, scope := range c.Scopes {
		if slices.Contains(writeScopes, scope) {
			return scope
		}
	}
	return ""
}

// calendarID refuses what would climb out of the path of the calendar.
func calendarID(id string) bool {
	return len(id) <= 254 && id != "." && id != ".." && strings.IndexFunc(id, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || r == '/'
	}) < 0
}

// Client makes meetings in the calendars of all doctors. It implements
// meet.MeetingProvider and is safe for concurrent use. Call Shutdown at the end.
type Client struct {
	cfg     Config
	oauth   oauth.Provider
	tokens  *oauth.Source
	http    *http.Client
	join    *url.URL
	records meetkey.Records
}

// New returns a Client. The error names everything that is wrong with cfg; nothing is
// sent.
func New(cfg Config) (*Client, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, http: newHTTPClient(cfg), records: meetkey.NewRecords(ProviderName+":meeting:", cfg.Claims, cfg.Tokens)}
	c.join, _ = url.Parse(cfg.Endpoints.Join) // validated
	// oauth.go stands above this file: its Provider calls back methods of this Client.
	c.oauth = c.newProvider()
	tokens, err := c.oauth.NewSource(cfg.Tokens, cfg.Refreshing, cfg.Logger)
	if err != nil {
		return nil, err
	}
	c.tokens = tokens
	return c, nil
}

// newHTTPClient returns what API calls go through. An event of ours has some 2 kB.
func newHTTPClient(cfg Config) *http.Client {
	return rest.HTTPClient(cfg.HTTPClient, rest.Transport{Classify: classify, MaxBody: 1 << 20, Attempts: 4, MinWait: cfg.RetryWait})
}

// Tokens returns the source of the doctors' access tokens, for calls of your own to
// Google's APIs: Tokens().Client(id, nil).
func (c *Client) Tokens() *oauth.Source { return c.tokens }

// Shutdown waits until tokens that are being refreshed are saved, or ctx ends. Meetings
// stay.
func (c *Client) Shutdown(ctx context.Context) error { return c.tokens.Shutdown(ctx) }
