package zoom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/meetkey"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// ProviderName is the Provider of the store.AccountID of each account and of each
// meet.Meeting.
const ProviderName = "zoom"

// DefaultScopes are what a Client needs from a doctor, in the granular names of
// user-managed apps: https://developers.zoom.us/docs/integrations/oauth-scopes-granular/.
func DefaultScopes() []string {
	return []string{
		"user:read:user", "meeting:write:meeting", "meeting:read:meeting", "meeting:read:list_meetings",
		"meeting:update:meeting", "meeting:delete:meeting",
	}
}

// Endpoints are Zoom's addresses. Each empty one is production's.
type Endpoints struct {
	// Authorize is where doctors consent. If empty, https://zoom.us/oauth/authorize.
	Authorize string
	// Token is where tokens are bought. If empty, https://zoom.us/oauth/token.
	Token string
	// Revoke is where grants are withdrawn. If empty, https://zoom.us/oauth/revoke.
	Revoke string
	// API is the base of the API, without a slash at its end. If empty,
	// https://api.zoom.us/v2. Accounts in another region are called at the address that came
	// with their token, if that is in the same domain, zoom.us or zoomgov.com.
	API string
	// Join is the scheme and host of the links to meetings; hosts below it are as good. A
	// meeting whose link leads elsewhere is not handed on. If empty, https://zoom.us, or
	// https://zoomgov.com for an API there. Set it for an account with a domain of its own.
	Join string
}

func (e Endpoints) withDefaults() Endpoints {
	e.Authorize = cmp.Or(e.Authorize, "https://zoom.us/oauth/authorize")
	e.Token = cmp.Or(e.Token, "https://zoom.us/oauth/token")
	e.Revoke = cmp.Or(e.Revoke, "https://zoom.us/oauth/revoke")
	e.API = cmp.Or(e.API, "https://api.zoom.us/v2")
	join := "https://zoom.us"
	if api, err := url.Parse(e.API); err == nil && within(api.Hostname(), "zoomgov.com") {
		join = "https://zoomgov.com"
	}
	e.Join = cmp.Or(e.Join, join)
	return e
}

// Config configures a Client.
type Config struct {
	// ClientID and ClientSecret are the app's, from https://marketplace.zoom.us/ (a
	// user-managed OAuth app). Required.
	ClientID     string
	ClientSecret telemed.Secret
	// RedirectURL is where Zoom sends a doctor back to, exactly as it is registered with the
	// app: https, or http on loopback. Required.
	RedirectURL string
	// Tokens keeps the tokens of the doctors, under store.AccountID{Provider: ProviderName,
	// Subject: doctorID}. Required.
	Tokens store.TokenStore

	// Claims says which meeting a Key has, and which account a meeting is in, in all
	// processes of the application, until a year after its start. If nil, it is Tokens, if
	// that implements store.Claims as store/sqlstore and store/mongostore do. If it does
	// not, it is the memory of the Client: enough for one process that never ends. Then
	// Create looks through Zoom's list before it makes a meeting, two processes can make
	// two with one Key, and what was made before a restart is telemed.ErrAmbiguous when it
	// is not found.
	Claims store.Claims

	// Endpoints are Zoom's addresses. The zero value is production.
	Endpoints Endpoints
	// Scopes are asked for and required of each doctor. If nil, DefaultScopes. Set them for
	// an app with classic or admin scopes; empty, not nil, asks for whatever the app is
	// registered with.
	Scopes []string
	// Settings are sent with each new meeting over the defaults of this package, under
	// Zoom's names: {"encryption_type": "e2ee"}. A nil value leaves a default out. They are
	// copied. See https://developers.zoom.us/docs/api/meetings/ under "Create a meeting".
	Settings map[string]any
	// AcceptLocked names what the account may make less safe than asked: "waiting_room",
	// "join_before_host", "use_pmi", "auto_recording", "auto_start_meeting_summary",
	// "auto_start_ai_companion_questions", "encryption_type", and "password" for no
	// passcode. If empty, such a meeting is cancelled, and Create returns ErrMismatch.
	AcceptLocked []string
	// MarkerKey keys the hash of the request's Key in a meeting's agenda. It must stay the
	// same for as long as meetings live, and be the same in all processes. If zero, ClientID
	// is used: then whoever sees a meeting can tell whether a Key they guess is its.
	MarkerKey telemed.Secret
	// LookAfter is how long Create waits, when an answer was lost, until it looks whether
	// the meeting was made. That it was not is believed after five times as long, ten
	// seconds at least: Zoom's list may lag behind. If 0, 2 seconds.
	LookAfter time.Duration

	// HTTPClient sends all requests. If nil, one with a timeout of 30 seconds. Redirects are
	// not followed.
	HTTPClient *http.Client
	// Refreshing tunes how tokens are refreshed: timing, hooks, the breaker, and a spool for
	// deploys during a database outage. The zero value is right for most.
	Refreshing oauth.Tuning
	// Logger gets what goes wrong without anybody being told by an error, without names and
	// links. If nil, nothing is logged.
	Logger *slog.Logger
	// WebhookSecrets are the secret tokens that Zoom signs its notices with. With them,
	// store/connect takes the notice that a doctor has removed the app, by its action
	// "events". A Webhook of your own has them in WebhookConfig.Secrets.
	WebhookSecrets []telemed.Secret

	env *fault.Env // of FromEnv
}

func (c Config) withDefaults() Config {
	c.Endpoints = c.Endpoints.withDefaults()
	c.Scopes, c.AcceptLocked = slices.Clone(c.Scopes), slices.Clone(c.AcceptLocked)
	if c.Scopes == nil {
		c.Scopes = DefaultScopes()
	}
	if c.LookAfter <= 0 {
		c.LookAfter = 2 * time.Second
	}
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.MarkerKey.IsZero() {
		c.MarkerKey = telemed.NewSecret(c.ClientID)
	}
	return c
}

// providerFields are the names of oauth.Provider's fields in a Config.
var providerFields = strings.NewReplacer("AuthURL", "Endpoints.Authorize", "TokenURL", "Endpoints.Token")

func (c Config) validate(provider oauth.Provider) error {
	var p fault.Problems
	p.From(c.env)
	for _, field := range telemed.Fields(provider.Validate()) {
		p.Add(providerFields.Replace(field.Field), "%s", field.Problem)
	}
	p.NotNil("Tokens", c.Tokens)
	p.Optional("Claims", c.Claims)
	p.Check(address.Secure(c.Endpoints.Revoke), "Endpoints.Revoke", "is not an https address (http is for loopback only)")
	p.Check(address.Secure(c.Endpoints.API), "Endpoints.API", "is not an https address (http is for loopback only)")
	p.Check(address.Secure(c.Endpoints.Join), "Endpoints.Join", "is not an https address (http is for loopback only)")
	webhook.CheckEach(&p, "WebhookSecrets", c.WebhookSecrets)
	_, err := mergedSettings(c.Settings)
	p.Check(err == nil, "Settings", "cannot be written as JSON")
	for i, name := range c.AcceptLocked {
		p.Check(isGuarded(name), fmt.Sprintf("AcceptLocked[%d]", i), "is no setting that is checked")
	}
	return p.Err("zoom")
}

// Client makes and keeps meetings in the Zoom accounts of doctors. It is safe for
// concurrent use. Call Shutdown when the process ends.
type Client struct {
	cfg      Config
	settings map[string]any
	http     *http.Client
	provider oauth.Provider
	source   *oauth.Source
	records  meetkey.Records
	join     *url.URL
	// minSettle is listSettles, but in tests whose list is not behind.
	minSettle time.Duration
	webhooks  sync.Map // *Webhook: those that events has made
}

var (
	_ meet.MeetingProvider = (*Client)(nil)
	_ meet.HostLinker      = (*Client)(nil)
)

// New returns a Client, or an error that names everything that is wrong with cfg and
// matches telemed.ErrInvalid. It makes no network call.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, minSettle: listSettles, records: meetkey.NewRecords(ProviderName+":meeting:", cfg.Claims, cfg.Tokens)}
	// oauth.go stands above this file: its Provider calls back methods of this Client.
	c.provider = c.oauth()
	if err := cfg.validate(c.provider); err != nil {
		return nil, err
	}
	c.join, _ = url.Parse(cfg.Endpoints.Join) // validated
	c.http = rest.HTTPClient(cfg.HTTPClient, rest.Transport{Classify: classify})
	var err error
	if c.settings, err = mergedSettings(cfg.Settings); err != nil {
		return nil, err
	}
	c.source, err = c.provider.NewSource(cfg.Tokens, cfg.Refreshing, cfg.Logger)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// OAuth describes Zoom's authorization server and this app, for store/connect.
func (c *Client) OAuth() oauth.Provider { return c.provider }

// Tokens returns the source of the doctors' access tokens, for calls that this package
// does not make:
//
//	api := z.Tokens().Client(store.AccountID{Provider: zoom.ProviderName, Subject: doctorID}, nil)
func (c *Client) Tokens() *oauth.Source { return c.source }

// Shutdown waits until tokens that are being refreshed are saved, or ctx ends; see
// oauth.Source.Shutdown. The action "events" of store/connect has its last notices heeded
// first, and takes none any more.
func (c *Client) Shutdown(ctx context.Context) error {
	var errs []error
	for w := range c.webhooks.Range {
		errs = append(errs, w.(*Webhook).Shutdown(ctx))
	}
	return errors.Join(append(errs, c.source.Shutdown(ctx))...)
}
