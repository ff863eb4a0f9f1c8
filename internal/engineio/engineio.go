// Package engineio speaks revision 4 of Engine.IO, the protocol below Socket.IO: sessions
// over HTTP long-polling and WebSocket, the upgrade between them, and heartbeats. It carries
// messages, text and binary, and knows nothing of what is in them.
//
// Protocol: https://socket.io/docs/v4/engine-io-protocol/
//
// # Sessions
//
// A [Session] begins with [Config.Open], which returns the [Handler] of its messages, and ends
// with [Session.Close]. Its reader hands the messages of the client to the Handler one after
// the other. What takes longer the Handler gives to [Session.Hand], whose worker is beside
// the reader: so a slow application holds up neither heartbeats nor the answer to a POST.
//
// An idle session has no goroutine, save the reader of a WebSocket.
//
// # Sending
//
// What is sent is made by [Text] and [Binary]: whole WebSocket frames, which a poll takes
// apart. So a message is made once and goes to many sessions of both transports, and nobody
// may change it. [Session.Put] takes messages of several senders and does not block. What
// the client does not take at once waits, and each [Sender] hears when its part is gone.
//
// # Deviations
//
// Every clause of the official text is met. Of what the text leaves open, these differ from
// the server for Node.js: revision 3 is refused, there is no permessage-deflate and no
// WebTransport, a body of type application/octet-stream is refused, and a second poll or POST
// is answered with 400, not 500.
package engineio

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/origin"
)

// Config is what New needs. Open is required.
type Config struct {
	// Open is called when a client has asked for a session, and returns its handler. With an
	// error the client is refused: with 403 if it matches telemed.ErrForbidden, else with 503.
	// s ends then. It may have ended before Open returns, and its Handler hears of it.
	Open func(s *Session, r *http.Request) (Handler, error)
	// OpenRefused is called instead of Open where Authenticate says telemed.ErrForbidden, for a
	// session in which the client only hears why. Authenticate is not asked for its further
	// requests. If nil, such a client is refused with 403.
	OpenRefused func(s *Session, r *http.Request, why error) (Handler, error)
	// Authenticate returns who sent r. It is asked for each request of a session, whose
	// answers must be the same, and for the first request once more behind Open. If nil,
	// everybody is "".
	Authenticate func(r *http.Request) (subject string, err error)
	// Refused hears of each client that was turned away. If nil, nobody does.
	Refused func(reason Reason)

	// As those of socketio.Config.
	AllowedOrigins []string
	AllowAnyOrigin bool
	AllowedHosts   []string

	// As those of socketio.Config. If 0, 25, 20, 10 and 10 seconds.
	PingInterval, PingTimeout, UpgradeTimeout, WriteTimeout time.Duration
	// ConnectTimeout is how long a session may be before [Session.Enter], or behind
	// [Session.Leave]. If 0, there is nothing to enter, and the limits of those who have not
	// do not apply.
	ConnectTimeout time.Duration

	// As those of socketio.Config. If 0, 1000 and 64.
	MaxUnconnected, MaxUnconnectedPerAddr int
	ClientAddr                            func(r *http.Request) netip.Addr
	// As that of socketio.Config. If 0, there is no limit.
	MaxPerAddr int
	// As those of socketio.Config. If 0, 1000000 and 4096.
	MaxPayload, MaxPackets int

	// Logger hears of refused hosts and origins, at most once a second, and of panics. If nil,
	// slog.Default hears of panics alone.
	Logger *slog.Logger
}

// Handler is what a session's messages are for.
type Handler interface {
	// Message hears of one message of the client. It is called by one goroutine at a time.
	// data is good until it returns. An error ends the session.
	Message(data []byte, binary bool) error
	// Wait returns when the client has taken most of what was sent, or the session has
	// ended. It is called behind each function of Session.Hand.
	Wait()
	// Beat is called before a heartbeat is sent.
	Beat()
	// Closed is called once, when the session has ended. It must not block.
	Closed(cause error)
}

// Server is an http.Handler. It is safe for concurrent use.
type Server struct {
	cfg   Config
	rules *origin.Rules

	// session.go stands on this file, for a session reads cfg. Back up there goes only this
	// map, in which a request finds its session.
	mu       sync.Mutex
	sessions map[string]*Session // by id

	lobby     lobby
	strangers seldom
}

var _ http.Handler = (*Server)(nil)

// New returns a server. What is wrong with cfg is added to p; then the server must not be
// used.
func New(cfg Config, p *fault.Problems) *Server {
	rules := origin.New(p, origin.Config{
		AllowedOrigins: cfg.AllowedOrigins, AllowAnyOrigin: cfg.AllowAnyOrigin, AllowedHosts: cfg.AllowedHosts,
	})
	setDefault(p, "PingInterval", &cfg.PingInterval, 25*time.Second)
	setDefault(p, "PingTimeout", &cfg.PingTimeout, 20*time.Second)
	setDefault(p, "ConnectTimeout", &cfg.ConnectTimeout, 0)
	setDefault(p, "UpgradeTimeout", &cfg.UpgradeTimeout, 10*time.Second)
	setDefault(p, "WriteTimeout", &cfg.WriteTimeout, 10*time.Second)
	setDefault(p, "MaxPayload", &cfg.MaxPayload, 1_000_000)
	setDefault(p, "MaxPackets", &cfg.MaxPackets, 4096)
	setDefault(p, "MaxUnconnected", &cfg.MaxUnconnected, 1000)
	setDefault(p, "MaxUnconnectedPerAddr", &cfg.MaxUnconnectedPerAddr, 64)
	setDefault(p, "MaxPerAddr", &cfg.MaxPerAddr, 0)
	return &Server{
		cfg: cfg, rules: rules, sessions: make(map[string]*Session),
		lobby: lobby{limit: cfg.MaxUnconnected, perAddr: cfg.MaxUnconnectedPerAddr, time: cfg.ConnectTimeout},
	}
}

func setDefault[T int | time.Duration](p *fault.Problems, field string, value *T, zero T) {
	p.Check(*value >= 0, field, "is negative")
	*value = cmp.Or(*value, zero)
}

// Evict ends the session that must go next because its client has not entered. It reports
// false if there is none.
func (s *Server) Evict() bool {
	excess := s.lobby.evict()
	if excess != nil {
		excess.Close(errNoConnect) // nothing happens if it has ended already
	}
	return excess != nil
}
