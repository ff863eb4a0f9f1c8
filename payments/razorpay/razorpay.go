package razorpay

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	razorpaygo "github.com/razorpay/razorpay-go"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/rest"
	"github.com/telemed-go/telemed/payments"
	"github.com/telemed-go/telemed/store"
)

// DefaultBaseURL is Razorpay's API.
const DefaultBaseURL = "https://api.razorpay.com"

// Mode tells test money from real money.
type Mode string

// The modes, by the prefix of the key id.
const (
	Test Mode = "test" // rzp_test_…
	Live Mode = "live" // rzp_live_…
)

// Config configures New.
type Config struct {
	// KeyID is the public half of the API key, "rzp_test_…" or "rzp_live_…". Required.
	KeyID string
	// KeySecret is the private half. It also signs the checkout's result. Required.
	KeySecret telemed.Secret

	// WebhookSecrets are the secrets of the webhook, the present one and, while
	// Razorpay still delivers what was signed before a change, the former ones.
	// They are not the KeySecret. If empty, ParseWebhook refuses everything.
	WebhookSecrets []telemed.Secret
	// BaseURL is where the API is. If empty, DefaultBaseURL. Plain http is for
	// test keys on this machine only.
	BaseURL string
	// HTTPClient sends the requests; its transport may be a tracing one. If
	// nil, one with a 30-second timeout. Redirects are never followed.
	HTTPClient *http.Client
	// Logger hears of each call at debug level: operation, status, time. New warns it if
	// FromEnv has found no secret for webhooks. If nil, nothing is logged.
	Logger *slog.Logger
	// Claims says who makes the order of a Key, and which order that is, in all processes of
	// the application: sqlstore, mongostore or Claims of your own. See Client.CreateOrder.
	// Orders that were made before, or without them, are not known to them. Clients of
	// several Razorpay accounts need Claims apart. Each Key is kept for ten years.
	//
	// If nil, a store.Memory of the Client's own: calls in one process make one order. For
	// what an earlier process did, CreateOrder then asks Razorpay for the receipt before it
	// makes an order, which is a second request. Two processes may make two orders.
	Claims store.Claims
	// UniqueReceipt has Razorpay itself see to it that a receipt makes one order, in all
	// processes, with one request, whatever becomes of its answer. Claims are not asked then.
	// The account must have the feature, else Razorpay refuses the order.
	UniqueReceipt bool
	// AutoCapture makes VerifyPayment capture a payment that is only
	// authorized. Without it such a payment is returned as it is.
	AutoCapture bool

	env *fault.Env // of FromEnv
}

// Client is a payments.PaymentGateway on Razorpay. It is safe for concurrent use.
type Client struct {
	api      *razorpaygo.Client // builds requests; never changed after New
	http     *http.Client
	logger   *slog.Logger
	keyID    string
	secret   telemed.Secret
	webhooks []telemed.Secret
	claims   store.Claims
	unique   bool
	capture  bool
	// forgetful is set if claims do not know what an earlier process did.
	forgetful bool
}

var (
	_ payments.PaymentGateway   = (*Client)(nil)
	_ payments.OrderFinder      = (*Client)(nil)
	_ payments.RefundFinder     = (*Client)(nil)
	_ payments.CheckoutProvider = (*Client)(nil)
	_ payments.CallbackParser   = (*Client)(nil)
	_ payments.WebhookParser    = (*Client)(nil)
)

// New returns a Client, or an ErrInvalid that names everything that is wrong
// with cfg. It makes no request.
func New(cfg Config) (*Client, error) {
	cfg.BaseURL = cmp.Or(cfg.BaseURL, DefaultBaseURL)
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	forgetful := cfg.Claims == nil
	if forgetful {
		cfg.Claims = store.NewMemory()
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if cfg.env != nil && len(cfg.WebhookSecrets) == 0 {
		cfg.Logger.Warn("razorpay: webhooks are refused, for there is no secret", slog.String("set", webhookVariable))
	}
	api := razorpaygo.NewClient(cfg.KeyID, cfg.KeySecret.Reveal())
	api.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	api.SetUserAgent("telemed-go")
	return &Client{
		api:      api,
		http:     rest.HTTPClient(cfg.HTTPClient, rest.Transport{Classify: classify, IdempotencyHeaders: []string{idempotencyHeader}}),
		logger:   cfg.Logger,
		keyID:    cfg.KeyID,
		secret:   cfg.KeySecret,
		webhooks: append([]telemed.Secret(nil), cfg.WebhookSecrets...),
		claims:   cfg.Claims,
		unique:   cfg.UniqueReceipt,
		capture:  cfg.AutoCapture,

		forgetful: forgetful,
	}, nil
}

func (cfg Config) validate() error {
	var p fault.Problems
	p.From(cfg.env)
	p.Optional("Claims", cfg.Claims)
	_, known := modeOf(cfg.KeyID)
	p.Required("KeyID", cfg.KeyID)
	p.Check(known || cfg.KeyID == "", "KeyID", "does not start with rzp_test_ or rzp_live_")
	p.Check(clean(cfg.KeyID), "KeyID", "has a blank or control character in it")
	p.Check(!cfg.KeySecret.IsZero(), "KeySecret", "is required")
	p.Check(clean(cfg.KeySecret.Reveal()), "KeySecret", "has a blank or control character in it")
	for i, s := range cfg.WebhookSecrets {
		p.Check(strings.TrimSpace(s.Reveal()) != "", "WebhookSecrets["+strconv.Itoa(i)+"]", "is empty: anybody could sign with it")
		p.Check(strings.IndexFunc(s.Reveal(), unicode.IsControl) < 0, "WebhookSecrets["+strconv.Itoa(i)+"]", "has a control character in it: no signature would fit")
		p.Check(s.IsZero() || !s.Equal(cfg.KeySecret), "WebhookSecrets["+strconv.Itoa(i)+"]", "is the KeySecret; a webhook has a secret of its own")
	}
	if problem := baseProblem(cfg.BaseURL, strings.HasPrefix(cfg.KeyID, "rzp_live_")); problem != "" {
		p.Add("BaseURL", "%s", problem)
	}
	return p.Err("razorpay")
}

func baseProblem(base string, live bool) string {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is not an http(s) address"
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.Trim(u.Path, "/") != "":
		return "has more than scheme and host in it"
	case u.Scheme == "http" && (live || !address.Loopback(u.Hostname())):
		return "must be https: the key would cross the network in the clear"
	}
	return ""
}

func clean(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}

func modeOf(keyID string) (Mode, bool) {
	switch {
	case strings.HasPrefix(keyID, "rzp_test_"):
		return Test, true
	case strings.HasPrefix(keyID, "rzp_live_"):
		return Live, true
	}
	return "", false
}

// Mode says whether the client moves test money or real money.
func (c *Client) Mode() Mode {
	mode, _ := modeOf(c.keyID)
	return mode
}

// KeyID returns the public half of the key, which the payment page needs.
func (c *Client) KeyID() string { return c.keyID }
