package razorpaytest

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/internal/fault"
)

// The operations, for Fault and Request. The checkout page is none.
const (
	OpCreateOrder   = "create order"
	OpListOrders    = "list orders"
	OpOrder         = "order"
	OpEditOrder     = "edit order"
	OpOrderPayments = "order payments"
	OpListPayments  = "list payments"
	OpPayment       = "payment"
	OpEditPayment   = "edit payment"
	OpCapture       = "capture"
	OpCreateRefund  = "create refund"
	OpRefund        = "refund"
	OpEditRefund    = "edit refund"
	OpListRefunds   = "list refunds" // all, or those of a payment
	OpUnknown       = "unknown"      // what Razorpay does not have, or this has not
)

// DefaultMaxAmount is the most that one order may be, in the smallest unit: 500,000
// rupees.
const DefaultMaxAmount = 50_000_000

// Config configures Start. The zero value is ready to use.
type Config struct {
	// Addr is where to listen, "host:port". If empty, at a free port of 127.0.0.1.
	Addr string
	// InMemory listens nowhere: only Server.Client and Server.Dial lead there.
	InMemory bool
	// TLS serves https, with a certificate of its own; see Server.Certificate.
	TLS bool
	// HTTPClient sends webhooks. If nil, one that waits five seconds, as Razorpay does.
	HTTPClient *http.Client

	// KeyID is the key to ask for, "rzp_test_…". If empty, a random one. Live keys are
	// refused.
	KeyID string
	// KeySecret and WebhookSecret are random if empty.
	KeySecret, WebhookSecret telemed.Secret
	// WebhookURL is where webhooks go. If empty, nowhere; see Server.SetWebhookURL.
	WebhookURL string
	// ManualCapture leaves payments authorized, unless the order says otherwise.
	ManualCapture bool
	// UniqueReceipt gives the account the feature of that name: one receipt, one order,
	// if an order asks for it. Without it such an order is refused.
	UniqueReceipt bool
	// PendingRefunds leaves refunds pending until Server.SettleRefund.
	PendingRefunds bool
	// MaxAmount is the most that one order may be, in the smallest unit. If 0,
	// DefaultMaxAmount.
	MaxAmount int64
}

// Server is Razorpay for one account. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	url     string
	account string
	engine  *fake.Server

	mu       sync.Mutex
	orders   []*order // these three in the order of their making
	payments []*payment
	refunds  []*refund
	byKey    map[string]refundRecord

	holdRefunds bool

	hooks *fake.Webhooks
}

// Start returns a running server; Close it.
func Start(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	engine, err := fake.NewServer(fake.Config{
		Kit: "razorpaytest", Addr: cfg.Addr, InMemory: cfg.InMemory, TLS: cfg.TLS, Aside: []string{OpUnknown},
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, url: engine.URL(), engine: engine, account: newID("acc"),
		byKey: map[string]refundRecord{},
	}
	s.route()
	s.hooks = startWebhooks(cfg, engine.Now)
	engine.Serve()
	return s, nil
}

func (cfg *Config) complete() error {
	if cfg.KeyID == "" {
		cfg.KeyID = newID("rzp_test")
	}
	if cfg.KeySecret.IsZero() {
		cfg.KeySecret = telemed.NewSecret(rand.Text())
	}
	if cfg.WebhookSecret.IsZero() {
		cfg.WebhookSecret = telemed.NewSecret(rand.Text())
	}
	if cfg.MaxAmount == 0 {
		cfg.MaxAmount = DefaultMaxAmount
	}
	var p fault.Problems
	_, _, err := net.SplitHostPort(cfg.Addr)
	p.Check(err == nil || cfg.Addr == "", "Addr", "is not a host and a port")
	p.Check(strings.HasPrefix(cfg.KeyID, "rzp_test_"), "KeyID", "does not start with rzp_test_: a live key has no business here")
	p.Check(cfg.WebhookURL == "" || webAddress(cfg.WebhookURL), "WebhookURL", "is not an http(s) address")
	p.Check(cfg.MaxAmount > 0, "MaxAmount", "must be more than zero")
	return p.Err("razorpaytest")
}

// TB is the part of testing.TB that NewServer needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// NewServer returns a server that closes itself when the test ends. Without a
// cfg it has the zero Config; of several, the first counts.
func NewServer(tb TB, cfg ...Config) *Server {
	tb.Helper()
	s, err := Start(append(cfg, Config{})[0])
	if err != nil {
		tb.Fatalf("%v", err)
		return nil
	}
	tb.Cleanup(s.Close)
	return s
}

// Close ends all connections and the delivery of webhooks, and waits until they
// have ended. It may be called more than once.
func (s *Server) Close() {
	s.hooks.Close()
	s.engine.Close()
}

// URL is the server's address, without a slash at its end.
func (s *Server) URL() string { return s.url }

// Client returns a client for razorpay.Config that reaches the server, also in memory,
// and trusts its certificate.
func (s *Server) Client() *http.Client { return s.engine.Client() }

// Dial connects to the server, whatever the network and the address are. It is for a
// client's http.Transport.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.engine.Dial(ctx, network, addr)
}

// Certificate returns the server's certificate in PEM, nil without Config.TLS.
func (s *Server) Certificate() []byte { return s.engine.Certificate() }

// KeyID returns the public half of the key.
func (s *Server) KeyID() string { return s.cfg.KeyID }

// KeySecret returns the private half of the key.
func (s *Server) KeySecret() telemed.Secret { return s.cfg.KeySecret }

// WebhookSecret returns what webhooks are signed with.
func (s *Server) WebhookSecret() telemed.Secret { return s.cfg.WebhookSecret }

// AccountID returns the account that the webhooks name.
func (s *Server) AccountID() string { return s.account }

// CheckoutURL returns the address of the page where a browser pays the order;
// the page then posts the outcome to callbackURL.
func (s *Server) CheckoutURL(orderID, callbackURL string) string {
	return s.url + "/checkout?" + url.Values{"order_id": {orderID}, "callback_url": {callbackURL}}.Encode()
}

func webAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// newID returns an id as Razorpay makes them: prefix_ and 14 letters and digits.
func newID(prefix string) string { return prefix + "_" + rand.Text()[:14] }

// newRequestID looks random at any time: razorpay repeats no id that could be a word.
func newRequestID() string { return fake.RequestID("req_") }

// route wires the doors: the API, which needs the key, and the checkout page, which does
// not. They stand in api.go and checkout.go: methods of the Server, which use its state.
func (s *Server) route() {
	s.engine.Handle("", "GET /checkout", s.showCheckout)
	s.engine.Handle("", "POST /checkout", s.finishCheckout)
	s.engine.Handle("", "POST /v1/checkout/embedded", s.showCheckout)
	expandables := []string{expandCard, expandEMI, expandOffers, expandRefunds, expandToken}
	s.handle(OpCreateOrder, "POST /v1/orders", taking(s.createOrder, orderParams))
	s.handle(OpListOrders, "GET /v1/orders", taking(s.listOrders, append([]string{"authorized", "receipt"}, pageParams...), expandPayments, expandCards))
	s.handle(OpOrder, "GET /v1/orders/{id}", taking(s.withOrder(s.getOrder), nil, expandPayments, expandCards))
	s.handle(OpEditOrder, "PATCH /v1/orders/{id}", taking(s.withOrder(s.editOrder), editParams))
	s.handle(OpOrderPayments, "GET /v1/orders/{id}/payments", taking(s.withOrder(s.getOrderPayments), nil))
	s.handle(OpListPayments, "GET /v1/payments", taking(s.listPayments, pageParams, expandables...))
	s.handle(OpPayment, "GET /v1/payments/{id}", taking(s.withPayment(s.getPayment), nil, expandables...))
	s.handle(OpEditPayment, "PATCH /v1/payments/{id}", taking(s.withPayment(s.editPayment), editParams))
	s.handle(OpCapture, "POST /v1/payments/{id}/capture", taking(s.withPayment(s.capture), captureParams))
	s.handle(OpCreateRefund, "POST /v1/payments/{id}/refund", taking(s.withPayment(s.createRefund), refundParams))
	s.handle(OpCreateRefund, "POST /v1/refunds", taking(s.withPayment(s.createRefund), append([]string{"payment_id"}, refundParams...)))
	s.handle(OpListRefunds, "GET /v1/refunds", taking(s.listRefunds, pageParams))
	s.handle(OpRefund, "GET /v1/refunds/{refund}", taking(s.withRefund(s.getRefund), nil))
	s.handle(OpEditRefund, "PATCH /v1/refunds/{refund}", taking(s.withRefund(s.editRefund), editParams))
	s.handle(OpListRefunds, "GET /v1/payments/{id}/refunds", taking(s.withPayment(s.listPaymentRefunds), pageParams))
	s.handle(OpRefund, "GET /v1/payments/{id}/refunds/{refund}", taking(s.withRefund(s.getRefund), nil))
	unknown := func(call) (object, *Refusal) {
		return nil, refusal(http.StatusNotFound, "The requested URL was not found on the server.", "")
	}
	s.engine.Handle(OpUnknown, "/", func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, unknown) })
}
