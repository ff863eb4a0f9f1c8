package whatsapp

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/internal/webhook"
	"github.com/telemed-go/telemed/notify"
)

const (
	// DefaultVersion is the version of the Graph API that this package was written for.
	DefaultVersion = "v24.0"
	// DefaultBaseURL is Meta's Graph API.
	DefaultBaseURL = "https://graph.facebook.com"
)

// Config is what New needs.
type Config struct {
	// PhoneNumberID is Meta's id of the number that messages come from: digits, not the
	// number itself. Required.
	PhoneNumberID string
	// Token is a system user's access token with whatsapp_business_messaging. Required.
	Token telemed.Secret

	// WebhookSecrets are the app secrets that sign what Meta reports; several while one is
	// replaced. If empty, [Client.Reports] refuses everything, and nobody learns whether a
	// message arrived.
	WebhookSecrets []telemed.Secret
	// VerifyToken is the text that the application chose for registering the address of
	// Reports at Meta. If empty, the registration is refused.
	VerifyToken telemed.Secret

	// Renderer makes the words of messages that name a Template. If nil, every message needs
	// a Content.
	Renderer notify.Renderer
	// Version is the Graph API's. If empty, DefaultVersion. Meta serves a version
	// that has expired as a later one; a warning is logged then.
	Version string
	// BaseURL is where the API is: https, or http on loopback. If empty, DefaultBaseURL.
	BaseURL string
	// Attempts is how often a message is sent at most, while Meta surely does not take
	// it and asks to wait for 5 seconds at most. If 0, 3; 1 under notify.Retry or a queue.
	Attempts int
	// HTTPClient sends the requests; its redirects are not followed, and its Timeout bounds
	// a message with all its attempts. If nil, one with a 30-second timeout.
	HTTPClient *http.Client
	// Logger gets warnings about the API's version and template pacing, without anything
	// personal. If nil, nothing is logged.
	Logger *slog.Logger

	// BusinessAccountID is Meta's id of the account that templates belong to: digits. Sending
	// needs none.
	BusinessAccountID string
	env               *fault.Env // of FromEnv
}

// Client sends messages from one number. It is safe for concurrent use.
type Client struct {
	cfg Config
	api *rest.Client
}

var _ notify.Notifier = (*Client)(nil)

var (
	idPattern       = regexp.MustCompile(`^[0-9]{1,32}$`)
	versionPattern  = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)
	languagePattern = regexp.MustCompile(`^[a-z]{2,3}(_[A-Za-z]{2,4})?$`)
)

// New returns a Client. It names everything that is wrong with cfg at once, as
// telemed.ErrInvalid, and uses no network.
func New(cfg Config) (*Client, error) {
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.WebhookSecrets = slices.Clone(cfg.WebhookSecrets)
	return &Client{cfg: cfg, api: &rest.Client{
		Base: strings.TrimRight(cfg.BaseURL, "/"),
		HTTP: rest.HTTPClient(cfg.HTTPClient, rest.Transport{
			Classify: classify, MaxBody: 1 << 20,
			Attempts: cfg.Attempts, MinWait: 500 * time.Millisecond, MaxWait: 5 * time.Second,
		}),
		Header: http.Header{"Authorization": {"Bearer " + cfg.Token.Reveal()}},
	}}, nil
}

func (cfg *Config) validate() error {
	var p fault.Problems
	p.From(cfg.env)
	p.Optional("Renderer", cfg.Renderer)
	p.Check(cfg.BusinessAccountID == "" || idPattern.MatchString(cfg.BusinessAccountID), "BusinessAccountID", "is not an id of digits alone")
	p.Required("PhoneNumberID", cfg.PhoneNumberID)
	p.Check(cfg.PhoneNumberID == "" || idPattern.MatchString(cfg.PhoneNumberID), "PhoneNumberID", "is not an id of digits alone")
	p.Check(!cfg.Token.IsZero(), "Token", "is required")
	p.Check(!strings.ContainsAny(cfg.Token.Reveal(), " \t\r\n"), "Token", "has a space or line break")
	p.Check(versionPattern.MatchString(cfg.Version), "Version", `is not like "v24.0"`)
	p.Check(baseURL(cfg.BaseURL), "BaseURL", "is not an https address (or http on loopback)")
	p.Check(cfg.Attempts >= 0, "Attempts", "is negative")
	webhook.CheckEach(&p, "WebhookSecrets", cfg.WebhookSecrets)
	return p.Err("whatsapp")
}

func baseURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	return address.Encrypted(u)
}

// Notify sends msg as a template message (POST /{version}/{phone-number-id}/messages).
// The receipt's ID is Meta's id of the message, "wamid.…", which statuses carry too. Meta
// is given [notify.Reference] of the Key and sends it back with each status.
func (c *Client) Notify(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
	if err := msg.Validate(notify.WhatsApp); err != nil {
		return nil, err
	}
	call, err := c.call(msg)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, newRequest(msg.To.Phone, notify.Reference(msg.Key), call))
}

// call returns the template call of msg, checked as far as Meta's rules are known here.
func (c *Client) call(msg notify.Message) (*notify.WhatsAppTemplate, error) {
	content := msg.Content
	if content == nil {
		if c.cfg.Renderer == nil {
			return nil, fault.Invalid("whatsapp", "Content", "is required, since there is no Renderer")
		}
		var err error
		if content, err = c.cfg.Renderer.Render(msg); err != nil {
			return nil, err
		}
		if err := content.Validate(notify.WhatsApp); err != nil {
			return nil, err
		}
	}
	return content.WhatsApp, checkCall(content.WhatsApp)
}

func checkCall(call *notify.WhatsAppTemplate) error {
	var p fault.Problems
	p.Check(languagePattern.MatchString(call.Language), "Content.WhatsApp.Language", `is not like "en" or "en_US"`)
	for i, value := range call.Body {
		if problem := parameterProblem(value); problem != "" {
			p.Add("Content.WhatsApp.Body["+strconv.Itoa(i)+"]", "%s", problem)
		}
	}
	if call.Code != "" {
		p.Check(utf8.RuneCountInString(call.Code) <= 15, "Content.WhatsApp.Code", "is longer than 15 characters")
		p.Check(len(call.Body) == 1 && call.Body[0] == call.Code, "Content.WhatsApp.Code", "is not the only parameter of the body")
	}
	return p.Err("whatsapp")
}

// send sends a message, again while Meta surely did not take it.
func (c *Client) send(ctx context.Context, req *request) (*notify.Receipt, error) {
	var answer response
	resp, err := c.api.Do(ctx, rest.Request{
		Method: http.MethodPost,
		Path:   rest.Path(c.cfg.Version, c.cfg.PhoneNumberID, "messages"),
		JSON:   req,
	}, &answer)
	if err != nil {
		return nil, newError(ctx, "Notify", err)
	}
	c.checkVersion(ctx, resp)
	if status := answer.Messages[0].Status; status == "paused" || status == "held_for_quality_assessment" {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "whatsapp holds messages of this template back",
			slog.String("template", req.Template.Name), slog.String("message_status", status))
	}
	return &notify.Receipt{Channel: notify.WhatsApp, ID: answer.Messages[0].ID, At: time.Now()}, nil
}

// checkVersion warns when Meta answers with another version than was asked for,
// which it does, without an error, when that one has expired.
func (c *Client) checkVersion(ctx context.Context, resp *rest.Answer) {
	served := resp.Header.Get("Facebook-Api-Version")
	if versionPattern.MatchString(served) && served != c.cfg.Version {
		c.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "whatsapp serves another version of the API than was asked for",
			slog.String("asked", c.cfg.Version), slog.String("served", served))
	}
}
