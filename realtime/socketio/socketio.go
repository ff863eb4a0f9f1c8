// Package socketio lets browsers with the Socket.IO client, version 3 or 4,
// listen to the events of a realtime.Hub.
//
//	hub, err := realtime.NewHub(realtime.Config{Authorize: mayWatch})
//	origins := []string{"https://clinic.example"}
//	sio, err := socketio.New(socketio.Config{Hub: hub, AllowedOrigins: origins})
//	mux.Handle("/socket.io/", sio)
//
// and in the browser
//
//	const socket = io("https://api.clinic.example", { withCredentials: true });
//	// answer is {ok: true} or {ok: false, error: "…"}
//	socket.on("connect", () => socket.emit("join-clinic", clinicId, (answer) => { … }));
//	socket.on("new-appointment", (appointment) => { … });
//
// Join rooms in the "connect" handler: a new connection starts in none. The
// server speaks revision 4 of Engine.IO, over WebSocket and HTTP long-polling
// with the upgrade between them, and revision 5 of Socket.IO, with the default
// namespace and text packets only.
//
// Protocols: https://socket.io/docs/v4/engine-io-protocol/ and
// https://socket.io/docs/v4/socket-io-protocol/.
//
// # Errors
//
// A request that breaks the protocol gets a 4xx and Engine.IO's JSON, such as
// {"code":1,"message":"Session ID unknown"}; a WebSocket is closed with the
// status that RFC 6455 has for the case. A refused join is answered with
// {ok: false, error}, where error is one of "not permitted", "unavailable",
// "invalid request", "too many rooms", "unknown event" and, for an event of
// the application's own, "failed". It is never the text
// of an application's error.
//
// # Security
//
// A page of another origin is refused unless Config.AllowedOrigins names it, a WebSocket
// as well as a poll: browsers send cookies with both. The hub's Authenticate is asked on
// every HTTP request, so that a session id alone, read in an access log, opens nothing.
// It is asked once more when a session has begun, so that a logout at that very moment
// counts. The id is in the URL, as the protocol wants it. The client's `auth` option is
// not read: use cookies, or the `extraHeaders` and `query` options.
//
// The Host header is a stranger's word too: see Config.AllowedHosts.
//
// A body must arrive within 10 seconds, whatever timeouts the http.Server has.
//
// A client costs the application no more than it should: a POST with more than 256
// packets, a POST whose client hangs up while it is handled, and one refused join more
// than the hub's MaxRefusals end the connection.
//
// # Several processes
//
// A session lives in one process. Behind a load balancer, either all requests
// of a browser go to the same process, or clients are told to begin with a
// WebSocket: io(url, { transports: ["websocket"] }). To reach the rooms of all
// processes, the application passes its events on between them and broadcasts in each.
//
// # Shutdown
//
// Hub.Shutdown ends every connection of this package and waits for its
// goroutines. Call it before http.Server.Shutdown, which waits for long polls
// and knows nothing of WebSockets.
//
// # Testing
//
// realtime/realtimetest has a client that speaks the protocol from Go.
package socketio

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// Config is what New needs. Only Hub is required.
type Config struct {
	// Hub has the rooms and decides who may join. Required.
	Hub *realtime.Hub

	// AllowedOrigins lists the origins of the pages that may connect, besides
	// the server's own: "https://clinic.example", "http://localhost:5173". No
	// path, no wildcard. They may send credentials. If empty, only pages of the
	// same host as the request's Host may connect, and clients that send no
	// Origin, which browsers do not leave out across origins.
	AllowedOrigins []string
	// AllowAnyOrigin lets pages of every other origin connect too, anonymously:
	// Authenticate is not asked for them, their Subject is empty, and the
	// answer never allows credentials. It is for public rooms only.
	AllowAnyOrigin bool

	// AllowedHosts lists the names under which browsers reach the server: "api.clinic.example"
	// for every port, "api.clinic.example:8443" for one. No scheme, no wildcard. A request
	// with another Host header is refused, and counted and logged by the Hub.
	//
	// A stranger's page can let its own name lead to this machine (DNS rebinding). For the
	// browser it is then the server's own page, and only the Host header tells. Behind TLS
	// that fails, since the stranger's name has no certificate here. A server on a loopback
	// address has no TLS.
	//
	// So if AllowedHosts is empty, each Host is taken, save on a connection to a loopback
	// address. There it must be localhost or another name without a dot, an IP address, the
	// host of one of AllowedOrigins, or a name under which a browser came by https, through a
	// proxy on the same machine. Name the hosts here if programs that are no browsers come
	// through such a proxy.
	AllowedHosts []string

	// Joins lists the events by which clients enter and leave rooms. If nil,
	// "join-clinic" and "leave-clinic" with a clinic's id, for the room "clinic-<id>".
	Joins []Join
	// OnEvent answers the other events that clients emit. reply is encoded as
	// JSON and sent if the client asked for an acknowledgement, nil as {ok: true};
	// an error is answered with {ok: false}. The events of one connection are handled one
	// after the other, and ctx ends with the connection. args come from a
	// stranger. If nil, such events do nothing and are acknowledged as unknown.
	OnEvent func(ctx context.Context, client realtime.Client, name string, args []json.RawMessage) (reply any, err error)

	// PingInterval is the time between heartbeats. If 0, 25 seconds.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a heartbeat. If 0, 20 seconds.
	PingTimeout time.Duration
	// UpgradeTimeout is how long the change from polling to WebSocket may take. If 0, 10
	// seconds.
	UpgradeTimeout time.Duration
	// WriteTimeout is how long a peer may take to accept a write before it counts as gone.
	// If 0, 10 seconds.
	WriteTimeout time.Duration
	// MaxPayload is how many bytes one message or POST of a client may have. If 0, 1000000.
	MaxPayload int

	// Logger hears how connections end, with their ids and never with what they
	// carried. If nil, nothing is logged.
	Logger *slog.Logger
}

// Join maps a pair of events to rooms. The client sends an id, a non-empty
// string or an integer, as the first argument; the room is Prefix + id.
type Join struct {
	Event  string // enters the room; required
	Leave  string // leaves it; if empty, nothing does
	Prefix string // keeps ids of different kinds apart; required
}

// Server is an http.Handler for the path /socket.io/. It is safe for concurrent use.
type Server struct {
	cfg     Config
	origins map[string]bool
	hosts   hosts

	// session.go stands on this file, for a session reads cfg. Back up there goes only this
	// map, in which a request finds its session.
	mu       sync.Mutex
	sessions map[string]*session // by Engine.IO session id
}

var _ http.Handler = (*Server)(nil)

// New returns a server, or an error that names every wrong field of cfg.
func New(cfg Config) (*Server, error) {
	var p fault.Problems
	p.Check(cfg.Hub != nil, "Hub", "is required")
	origins := checkOrigins(&p, cfg.AllowedOrigins)
	hosts := checkHosts(&p, cfg.AllowedHosts, origins)
	checkJoins(&p, cfg.Joins)
	if cfg.Joins == nil {
		cfg.Joins = []Join{{Event: "join-clinic", Leave: "leave-clinic", Prefix: "clinic-"}}
	}
	setDefault(&p, "PingInterval", &cfg.PingInterval, 25*time.Second)
	setDefault(&p, "PingTimeout", &cfg.PingTimeout, 20*time.Second)
	setDefault(&p, "UpgradeTimeout", &cfg.UpgradeTimeout, 10*time.Second)
	setDefault(&p, "WriteTimeout", &cfg.WriteTimeout, 10*time.Second)
	setDefault(&p, "MaxPayload", &cfg.MaxPayload, 1_000_000)
	if err := p.Err("socketio"); err != nil {
		return nil, err
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	return &Server{cfg: cfg, origins: origins, hosts: hosts, sessions: make(map[string]*session)}, nil
}

func setDefault[T int | time.Duration](p *fault.Problems, field string, value *T, zero T) {
	p.Check(*value >= 0, field, "is negative")
	*value = cmp.Or(*value, zero)
}

func checkJoins(p *fault.Problems, joins []Join) {
	seen := make(map[string]bool)
	for _, join := range joins {
		p.Required("Joins.Event", join.Event)
		p.Required("Joins.Prefix", join.Prefix)
		for _, event := range []string{join.Event, join.Leave} {
			p.Check(event == "" || !seen[event], "Joins", "uses an event twice")
			seen[event] = true
		}
	}
}
