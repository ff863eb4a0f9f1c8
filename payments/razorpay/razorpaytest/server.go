package razorpaytest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/address"
	"github.com/telemed-go/telemed/internal/fault"
)

// DefaultMaxAmount is the most that one order may be, in the smallest unit: 500,000 rupees.
const DefaultMaxAmount = 50_000_000

// Config configures Start. The zero value is ready to use.
type Config struct {
	// Addr is where to listen, a loopback address with a port. If empty, "127.0.0.1:0".
	Addr string
	// KeyID is the key to ask for, "rzp_test_…". If empty, a random one. Live keys are refused.
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
	// MaxAmount is the most that one order may be, in the smallest unit. If 0, DefaultMaxAmount.
	MaxAmount int64
}

// Server is Razorpay for one account. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	url     string
	account string
	http    *http.Server
	served  sync.WaitGroup

	mu       sync.Mutex
	orders   []*order // in the order of their making
	payments map[string]*payment
	refunds  map[string]*refund
	byKey    map[string]refundRecord
	faults   []Fault
	requests []Request

	hooks hooks
}

// Start returns a running server; Close it.
func Start(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("razorpaytest: listen: %w", err)
	}
	s := &Server{
		cfg: cfg, url: "http://" + listener.Addr().String(), account: newID("acc"),
		payments: map[string]*payment{}, refunds: map[string]*refund{}, byKey: map[string]refundRecord{},
	}
	s.http = &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	s.hooks.start(cfg.WebhookURL, cfg.WebhookSecret)
	s.served.Go(func() { _ = s.http.Serve(listener) })
	return s, nil
}

func (cfg *Config) complete() error {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
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
	host, _, err := net.SplitHostPort(cfg.Addr)
	p.Check(err == nil && address.Loopback(host), "Addr", "is not a loopback address with a port")
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
	s.hooks.stop()
	if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return // the listener is gone already
	}
	s.served.Wait()
}

// URL returns the address for razorpay.Config.BaseURL, without a slash at its end.
func (s *Server) URL() string { return s.url }

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

// routes wires the doors: the API, which needs the key, and the checkout page, which does not.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout", s.showCheckout)
	mux.HandleFunc("POST /checkout", s.finishCheckout)
	mux.HandleFunc("POST /v1/checkout/embedded", s.showCheckout)
	mux.HandleFunc("/", s.serveAPI)
	return mux
}

// hangUp ends the connection without a word.
func hangUp() { panic(http.ErrAbortHandler) }

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
