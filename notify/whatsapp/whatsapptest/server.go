package whatsapptest

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fake"
)

// The operations, for Fault and Request.
const (
	OpSend      = "send"
	OpMedia     = "media"     // upload, look up, fetch and delete
	OpTemplates = "templates" // list, make and delete
	OpProfile   = "profile"
	OpUnknown   = "unknown" // what Meta does not have
)

// Config describes the account that the server stands for. The zero value is ready to
// use.
type Config struct {
	// Addr is where to listen, "host:port". If empty, at a free port of 127.0.0.1.
	Addr string
	// InMemory listens nowhere: only Server.Client and Server.Dial lead there.
	InMemory bool
	// TLS serves https, with a certificate of its own; see Server.Certificate.
	TLS bool
	// HTTPClient sends webhooks. If nil, one that waits 10 seconds.
	HTTPClient *http.Client

	// PhoneNumberID is the id of the number that may send. If empty, "100000000000001".
	PhoneNumberID string
	// BusinessAccountID is the id of the account. If empty, "200000000000002".
	BusinessAccountID string
	// LateWindow takes free text outside the 24 hours, and tells 131047 by a failed status,
	// as Meta does at times.
	LateWindow bool
	// Token is the access token. If empty, "test-token".
	Token string
	// AppSecret signs webhooks. If empty, "test-app-secret".
	AppSecret string
	// Templates are approved beside Builtin, and over those of the same name and
	// language.
	Templates []Template
	// WebhookURL is where statuses and inbound messages go; see also SetWebhookURL. If
	// empty, nowhere.
	WebhookURL string
	// People are those of whom Meta tells more than the number. Of all others it tells that.
	People []Person
	// Statuses are sent there by themselves after each accepted message: "sent",
	// "delivered", "read". What is not taken comes again. If empty, none; see SendStatus.
	Statuses []string
}

// Message is a message that was accepted.
type Message struct {
	// ID is "wamid.…".
	ID string
	// To is the recipient as the request had it.
	To string
	// Template, Language and Parameters are the call. Empty for free text.
	Template, Language string
	Parameters         []string
	// Text is what the recipient reads: the template's body with the parameters in it, or
	// free text.
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
	engine    *fake.Server
	client    *http.Client // for webhooks

	messages fake.Log[Message]
	hooks    *fake.Webhooks

	mu      sync.Mutex
	next    int                 // number of the next id
	inbound map[string]*inbound // by Person.key
	files   map[string]file     // media, by id
	made    []*made             // templates that were made by the API
	profile map[string]any

	peopleMu sync.Mutex
	people   []Person
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

// Start starts a server. Close it.
func Start(cfg Config) (*Server, error) {
	cfg.PhoneNumberID = cmp.Or(cfg.PhoneNumberID, "100000000000001")
	cfg.BusinessAccountID = cmp.Or(cfg.BusinessAccountID, "200000000000002")
	cfg.Token = cmp.Or(cfg.Token, "test-token")
	cfg.AppSecret = cmp.Or(cfg.AppSecret, "test-app-secret")
	engine, err := fake.NewServer(fake.Config{
		Kit: "whatsapptest", Addr: cfg.Addr, InMemory: cfg.InMemory, TLS: cfg.TLS, Aside: []string{OpUnknown},
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, templates: slices.Concat(cfg.Templates, Builtin()),
		engine: engine, client: cfg.HTTPClient, inbound: map[string]*inbound{}, files: map[string]file{},
		profile: map[string]any{"messaging_product": "whatsapp"}, people: slices.Clone(cfg.People),
	}
	if s.client == nil {
		s.client = &http.Client{Timeout: deliveryTimeout, Transport: &http.Transport{}}
	}
	s.hooks = startWebhooks(cfg, s.client, engine.Now)
	// The handlers stand in api.go: methods of the Server, which use its state.
	engine.Handle(OpSend, "POST /{version}/{id}/messages", s.serveMessages)
	s.handleAccount()
	engine.Handle(OpUnknown, "/", s.serveUnknown)
	engine.Serve()
	return s, nil
}

// Close ends all connections and waits for everything that the server began.
func (s *Server) Close() {
	s.hooks.Close()
	s.engine.Close()
}

// URL returns the address of the API, for the client's BaseURL.
func (s *Server) URL() string { return s.engine.URL() }

// Client returns a client for whatsapp.Config that reaches the server, also in memory,
// and trusts its certificate.
func (s *Server) Client() *http.Client { return s.engine.Client() }

// Dial connects to the server, whatever the network and the address are. It is for a
// client's http.Transport.
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.engine.Dial(ctx, network, addr)
}

// Certificate returns the server's certificate in PEM, nil without Config.TLS.
func (s *Server) Certificate() []byte { return s.engine.Certificate() }

// PhoneNumberID returns the id of the number that may send.
func (s *Server) PhoneNumberID() string { return s.cfg.PhoneNumberID }

// Token returns the access token.
func (s *Server) Token() telemed.Secret { return telemed.NewSecret(s.cfg.Token) }

// BusinessAccountID returns the id of the account that templates belong to.
func (s *Server) BusinessAccountID() string { return s.cfg.BusinessAccountID }

// AppSecret returns the secret that webhooks are signed with.
func (s *Server) AppSecret() telemed.Secret { return telemed.NewSecret(s.cfg.AppSecret) }

// Messages returns what was accepted, oldest first.
func (s *Server) Messages() []Message { return s.messages.All() }

// WaitFor returns the first accepted message that match takes, and waits for it until ctx
// ends.
func (s *Server) WaitFor(ctx context.Context, match func(Message) bool) (Message, error) {
	return s.messages.WaitFor(ctx, match)
}

// Reset forgets the messages and the requests, and the faults that have not shown.
func (s *Server) Reset() {
	s.engine.Reset()
	s.messages.Reset()
}
