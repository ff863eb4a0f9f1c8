package whatsapptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
)

// Config describes the account that the server stands for. The zero value is ready to use.
type Config struct {
	// PhoneNumberID is the id of the number that may send. If empty, "100000000000001".
	PhoneNumberID string
	// Token is the access token. If empty, "test-token".
	Token string
	// AppSecret signs webhooks. If empty, "test-app-secret".
	AppSecret string
	// Templates are approved beside Builtin, and over those of the same name and language.
	Templates []Template
	// WebhookURL is where statuses and inbound messages go; see also SetWebhookURL. If empty, nowhere.
	WebhookURL string
	// Statuses are sent there by themselves after each accepted message, in order:
	// "sent", "delivered", "read". If empty, none; see SendStatus.
	Statuses []string
}

// Message is a message that was accepted.
type Message struct {
	// ID is "wamid.…".
	ID string
	// To is the recipient as the request had it.
	To string
	// Template, Language and Parameters are the call.
	Template, Language string
	Parameters         []string
	// Text is the template's body with the parameters in it: what the recipient reads.
	Text string
	// Reference is the request's biz_opaque_callback_data.
	Reference string
	// At is when it was accepted.
	At time.Time
	// Request is the request's body.
	Request json.RawMessage
}

// TB is the part of testing.TB that NewServer needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is the API on loopback. It is safe for concurrent use.
type Server struct {
	cfg       Config
	templates []Template
	url       string
	http      *http.Server
	served    chan struct{}
	client    *http.Client

	background sync.WaitGroup // statuses that are on their way
	ctx        context.Context
	stop       context.CancelFunc

	mu       sync.Mutex
	closed   bool
	webhook  string
	messages []Message
	calls    int
	faults   []Fault
	arrived  chan struct{} // closed and replaced whenever messages grows
	next     int           // number of the next id
}

// NewServer is Start for tests: it fails tb if the server does not start, and
// closes it at tb's end. Of cfg the first is used, or the zero Config.
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

// Start starts a server on a free port of 127.0.0.1. Close it.
func Start(cfg Config) (*Server, error) {
	cfg.PhoneNumberID = or(cfg.PhoneNumberID, "100000000000001")
	cfg.Token = or(cfg.Token, "test-token")
	cfg.AppSecret = or(cfg.AppSecret, "test-app-secret")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("whatsapptest: %w", err)
	}
	s := &Server{
		cfg: cfg, webhook: cfg.WebhookURL, templates: slices.Concat(cfg.Templates, Builtin()),
		url: "http://" + listener.Addr().String(), served: make(chan struct{}), arrived: make(chan struct{}),
		client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}},
	}
	s.ctx, s.stop = context.WithCancel(context.Background()) // ended by Close
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{version}/{id}/messages", s.serveMessages)
	mux.HandleFunc("/", s.serveUnknown)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// Close ends all connections and waits for everything that the server began.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	_ = s.http.Close() // the listener may be closed already
	<-s.served
	s.background.Wait()
	s.client.CloseIdleConnections()
}

// URL returns the address of the API, for the client's BaseURL.
func (s *Server) URL() string { return s.url }

// PhoneNumberID returns the id of the number that may send.
func (s *Server) PhoneNumberID() string { return s.cfg.PhoneNumberID }

// Token returns the access token.
func (s *Server) Token() telemed.Secret { return telemed.NewSecret(s.cfg.Token) }

// AppSecret returns the secret that webhooks are signed with.
func (s *Server) AppSecret() telemed.Secret { return telemed.NewSecret(s.cfg.AppSecret) }

// SetWebhookURL changes where statuses and inbound messages go; "" is nowhere.
func (s *Server) SetWebhookURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhook = url
}

// Messages returns what was accepted, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Count returns how many requests came for messages, accepted or not.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// WaitFor returns the first accepted message that match takes, waiting for it until ctx ends.
func (s *Server) WaitFor(ctx context.Context, match func(Message) bool) (Message, error) {
	for seen := 0; ; {
		s.mu.Lock()
		fresh := s.messages[seen:]
		seen = len(s.messages)
		arrived := s.arrived
		s.mu.Unlock()
		for _, m := range fresh {
			if match(m) {
				return m, nil
			}
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

var errClosed = errors.New("whatsapptest: the server is closed")

// accept keeps a message and sends its statuses.
func (s *Server) accept(m Message) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	m.ID, m.At = fmt.Sprintf("wamid.TEST%08d", s.next), time.Now()
	s.messages = append(s.messages, m)
	close(s.arrived)
	s.arrived = make(chan struct{})
	if s.webhook != "" && len(s.cfg.Statuses) > 0 && !s.closed {
		s.background.Go(func() {
			for _, state := range s.cfg.Statuses {
				if s.SendStatus(s.ctx, m.ID, state) != nil {
					return // the receiver is told again by nobody: a test sees that it is missing
				}
			}
		})
	}
	return m
}
