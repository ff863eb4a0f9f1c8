// Package socketio lets browsers with the Socket.IO client, version 3 or 4,
// listen to the events of a realtime.Hub.
//
//	live, err := socketio.New(socketio.Config{
//		Authenticate:   loggedIn, // func(*http.Request) (string, error)
//		Authorize:      mayWatch, // func(context.Context, realtime.Client, string) error
//		AllowedOrigins: []string{"https://clinic.example"},
//	})
//	mux.Handle("/socket.io/", live)
//	err = live.Broadcast(ctx, "clinic-"+id, realtime.Event{Name: "new-appointment", Data: a})
//
// and in the browser
//
//	const socket = io("https://api.clinic.example", { withCredentials: true });
//	// answer is {ok: true} or {ok: false, error: "…"}
//	socket.on("connect", () => socket.emit("join-clinic", clinicId, (answer) => { … }));
//	socket.on("new-appointment", (appointment) => { … });
//
// Join rooms in the "connect" handler: a new connection starts in none, and is in a room when
// the answer has come. Or let [Config.OnConnect] grant them: then a page needs no join, and
// one that joins but once is in its room again after each interruption.
//
// # Who comes in
//
// Config.Authenticate knows cookies and headers. A page that has a token instead gives it as
// io(url, { auth: { token } }), and OnConnect looks at it:
//
//	OnConnect: func(
//		ctx context.Context, s *socketio.Socket, auth json.RawMessage,
//	) (welcome socketio.Welcome, err error) {
//		doctor, err := tokens.Doctor(ctx, auth)
//		if err != nil {
//			return welcome, &realtime.Refusal{Message: "please log in"}
//		}
//		return socketio.Welcome{Subject: doctor.ID, Rooms: doctor.Rooms}, nil
//	},
//
// Who is refused, be it by Authenticate or OnConnect, gets the page's connect_error and stays
// away until the page calls connect(). So does who is sent away, by realtime.Hub.Disconnect,
// [Socket.Disconnect] or MaxRefusals: the page gets "disconnect" with the reason "io server
// disconnect". Where another login may be good, the page asks again:
//
//	socket.on("disconnect", (reason) => {
//		if (reason === "io server disconnect") socket.connect();
//	});
//
// Everybody else comes back without a word of the page's: after a Shutdown, when the client
// was too slow, or when the Journal has a gap.
//
// The [Socket] of OnConnect and Config.OnEvent is for one client: it emits to it, waits for
// its answers, joins it to rooms and sends it away. Config.Namespaces are further ones over
// the same connection.
//
// # Coming back
//
// If the Hub has a Journal, the client's connectionStateRecovery works: a page that was away
// for a moment is in its rooms again, and gets what it has missed, behind "connect". It
// reads the present state only if it must. A join whose answer has not come may not have
// been heard, and is emitted again:
//
//	let joined = false;
//	socket.on("connect", () => {
//		if (socket.recovered && joined) return;
//		socket.emit("join-clinic", clinicId, (answer) => { joined = answer.ok; readAll(); });
//	});
//
// For that each event has one more argument, the offset, and an event "telemed:at" brings an
// offset where no other comes. A page that keeps positions itself, or has an older client,
// joins with the position that it has of a room:
//
//	// answer is {ok: true, at: "…"}, and has gap: true if the page must read the state
//	socket.emit("join-clinic", clinicId, { since }, (answer) => { since = answer.at; … });
//	socket.on("new-appointment", (appointment, offset) => { since = offset; … });
//
// What has come since follows behind the answer. Each room has a since of its own. An event
// that is for several rooms at once may come again for each.
//
// # Protocol
//
// The server speaks revision 4 of Engine.IO, over WebSocket and HTTP long-polling with the
// upgrade between them, and revision 5 of Socket.IO, with namespaces, several arguments,
// acknowledgements both ways and attachments. Every clause of the official texts is met. Of
// what they leave open, these differ from the server for Node.js:
//
//   - Clients of version 2 (revision 3 of Engine.IO) are refused: their heartbeats go the
//     other way, and nobody maintains them.
//   - There is no permessage-deflate, and no compression of polls: what is compressed beside a
//     stranger's words tells its length, and a small frame may become a large one.
//   - There is no WebTransport.
//   - The attachments of a client stand in the order of their placeholders, once each, so that
//     none is copied as often as a stranger likes.
//   - A packet for a namespace that the client was never in ends the connection; one for a
//     namespace that it has left, or was sent away from, is passed over.
//   - An event has one name, a string. JavaScript's reserved names are an application's to
//     refuse.
//   - Names of namespaces are exact; there are no patterns.
//
// Protocols: https://socket.io/docs/v4/engine-io-protocol/ and
// https://socket.io/docs/v4/socket-io-protocol/.
//
// # Errors
//
// A request that breaks the protocol gets a 4xx and Engine.IO's JSON, such as
// {"code":1,"message":"Session ID unknown"}; a WebSocket is closed with the
// status that RFC 6455 has for the case. A refused join or event is answered with
// {ok: false, error}, where error is one of "not permitted", "unavailable", "invalid
// request", "too many rooms", "unknown event" and "failed". They are the messages of
// connect_error, too, beside "Invalid namespace" and what a [realtime.Refusal] says. Neither
// is ever the text of an application's error.
//
// Authenticate's telemed.ErrUnavailable is 503, OnConnect's ends the connection: the client
// comes back by itself.
//
// # Security
//
// A page of another origin is refused unless Config.AllowedOrigins names it, a WebSocket
// as well as a poll: browsers send cookies with both. The hub's Authenticate is asked on
// every HTTP request, so that a session id alone, read in an access log, opens nothing.
// It is asked once more when a session has begun, so that a logout at that very moment
// counts, and not again for a session that only tells the page that it was refused.
// The id is in the URL, as the protocol wants it. A token in the
// client's `auth` option is for OnConnect: it stands in no URL, and a page of another origin
// has none.
//
// The Host header is a stranger's word too: see Config.AllowedHosts.
//
// A body must arrive within 10 seconds, whatever timeouts the http.Server has.
//
// A client costs the application no more than it should. These end the connection: a POST
// with more packets than MaxPackets, a poll that the client breaks off, a client that enters no
// namespace in time or is refused to enter some more than a dozen times, and one refused join
// more than the hub's MaxRefusals. A client that
// asks faster than it reads, or than the application answers, is not read meanwhile.
//
// # Several processes
//
// A session lives in one process. Behind a load balancer, either all requests
// of a browser go to the same process, or clients are told to begin with a
// WebSocket: io(url, { transports: ["websocket"] }). A realtime.Hub with a Journal that all
// processes share reaches the rooms of all; without one, the application passes its events
// on between them and broadcasts in each.
//
// # Shutdown
//
// [Server.Shutdown] ends every connection and waits for its goroutines. Call it before
// http.Server.Shutdown, which waits for long polls and knows nothing of WebSockets:
// telemed.Shutdown(limit, live, server) does. A realtime.Hub with limits of its own, or one
// that several servers share, is made by the application, given as Config.Hub, and ended
// by Hub.Shutdown.
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
	"net/netip"
	"time"

	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// Config is what New needs. Either Hub or Authorize is required.
type Config struct {
	// Hub has the rooms and decides who may join. If nil, the server makes one of its own,
	// of Authorize and Authenticate, with the limits that are a Hub's default.
	Hub *realtime.Hub
	// Authorize decides whether client may join room, as that of a realtime.Config. Required
	// without a Hub, and not taken with one.
	Authorize func(ctx context.Context, client realtime.Client, room string) error
	// Authenticate returns who sent a request, as that of a realtime.Config. If nil, every
	// client is anonymous. It is not taken with a Hub, which has its own.
	Authenticate func(r *http.Request) (subject string, err error)

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
	// with another Host header is refused with 421, and counted by the Hub.
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
	// OnConnect decides whether a client may enter, each time that it connects, and so also
	// when it comes back. auth is the JSON object of the page's io(url, {auth}), {} if there is
	// none; a client that comes back adds pid and offset to it. It comes from a stranger.
	//
	// With an error the page gets connect_error, and stays away until its code calls connect():
	// with the words of a [realtime.Refusal], or in fixed ones, see Errors. Only after
	// telemed.ErrUnavailable, and when ctx has ended, the connection ends instead, and the page
	// comes back by itself. If nil, everybody may enter.
	OnConnect func(ctx context.Context, s *Socket, auth json.RawMessage) (Welcome, error)
	// OnEvent answers the other events that clients emit. reply is sent if the client asked for
	// an acknowledgement: [Args] as several values, nil as {ok: true}, and an error as
	// {ok: false}. A panic ends the connection, and is logged. args come from a stranger. If
	// nil, such events do nothing and are acknowledged as unknown.
	//
	// Packets of one connection are handled one after the other, beside its heartbeats: what
	// takes longer belongs into a goroutine of the application's, which may keep s. ctx ends
	// with the connection, and after HandlerTimeout.
	OnEvent func(ctx context.Context, s *Socket, name string, args Args) (reply any, err error)
	// Namespaces are those beside "/", by their names: "/staff". If nil, others than "/" are
	// refused as invalid.
	Namespaces map[string]Namespace

	// PingInterval is the time between heartbeats. If 0, 25 seconds.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a heartbeat. If 0, 20 seconds.
	PingTimeout time.Duration
	// ConnectTimeout is how long a client may take to enter a namespace once it has a session,
	// OnConnect included, or has left the last one. If 0, 10 seconds.
	ConnectTimeout time.Duration
	// HandlerTimeout is how long OnConnect, OnEvent and the hub's Authorize have for one
	// packet: then their ctx ends. If 0, 30 seconds.
	HandlerTimeout time.Duration
	// UpgradeTimeout is how long the change from polling to WebSocket may take. If 0, 10
	// seconds.
	UpgradeTimeout time.Duration
	// WriteTimeout is how long a peer may take no byte of what waits for it before it counts
	// as gone. If 0, 10 seconds. Behind TLS of the server's own, and in the answer to a poll, it
	// must take a few kilobytes within that time.
	WriteTimeout time.Duration
	// MaxUnconnected is how many sessions there may be whose client has not entered a
	// namespace. With more, one ends, and so it does when the Hub is full: the oldest
	// of the subject and ClientAddr that have most of them. Who opens sessions and leaves them
	// keeps out nobody who has a login or, with ClientAddr, another address. If 0, 1000.
	MaxUnconnected int
	// ClientAddr returns the address that a request comes from: of r.RemoteAddr, or of the
	// header that the proxy in front sets. The zero Addr is nobody's. It is called from many
	// goroutines. IPv6 addresses count as one that have the first 64 bits in common. If nil,
	// no limit by address applies.
	ClientAddr func(r *http.Request) netip.Addr
	// MaxUnconnectedPerAddr is how many sessions of one ClientAddr may be without namespace at
	// once; more are refused with 503. A hospital may be one address: its staff connects
	// quickly, and does not count any more. If 0, 64.
	MaxUnconnectedPerAddr int
	// MaxPerAddr is how many sessions of one ClientAddr there may be at once, connected or not;
	// more are refused with 503. If 0, there is no limit.
	MaxPerAddr int
	// MaxPayload is how many bytes one message or POST of a client may have. If 0, 1000000.
	MaxPayload int

	// MaxPackets is how many packets one POST may have. A page that was offline sends all that
	// it has kept in one. If 0, 4096.
	MaxPackets int
	// MaxAttachments is how many binary parts one event of a client may have; together they
	// have MaxPayload bytes at most. If 0, 8.
	MaxAttachments int

	// Logger hears how connections end, with their ids and never with what they
	// carried, at most once a second which origin and Host were refused, and what a Hub of the
	// server's own has to say. If nil, nothing is logged but
	// panics, which go to slog.Default.
	Logger *slog.Logger

	env *fault.Env // of FromEnv
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
	cfg    Config // with a Hub
	ownHub bool   // the server made it
	engine *engineio.Server
	spaces map[string]*space // by name
}

var (
	_ http.Handler         = (*Server)(nil)
	_ realtime.Broadcaster = (*Server)(nil)
)

// New returns a server, or an error that names every wrong field of cfg.
func New(cfg Config) (*Server, error) {
	var p fault.Problems
	p.From(cfg.env)
	checkHub(&p, cfg)
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 10*time.Second) // the engine checks these three
	cfg.WriteTimeout = cmp.Or(cfg.WriteTimeout, 10*time.Second)
	cfg.MaxPayload = cmp.Or(cfg.MaxPayload, 1_000_000)
	setDefault(&p, "HandlerTimeout", &cfg.HandlerTimeout, 30*time.Second)
	setDefault(&p, "MaxAttachments", &cfg.MaxAttachments, 8)
	server := &Server{ownHub: cfg.Hub == nil, spaces: spaces(&p, &cfg)}
	server.cfg = cfg
	server.engine = engineio.New(server.engineConfig(), &p)
	if err := p.Err("socketio"); err != nil {
		return nil, err
	}
	server.cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if server.ownHub {
		hub, err := realtime.NewHub(realtime.Config{Authorize: cfg.Authorize, Authenticate: cfg.Authenticate, Logger: server.cfg.Logger})
		if err != nil {
			return nil, err
		}
		server.cfg.Hub = hub
	}
	return server, nil
}

// ServeHTTP speaks Engine.IO. It answers polls and POSTs, and keeps a WebSocket
// until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

func (s *Server) engineConfig() engineio.Config {
	return engineio.Config{
		Open:           s.open,
		OpenRefused:    s.openRefused,
		Authenticate:   s.authenticate,
		Refused:        func(reason engineio.Reason) { s.cfg.Hub.Refuse(realtime.Reason(reason)) },
		AllowedOrigins: s.cfg.AllowedOrigins, AllowAnyOrigin: s.cfg.AllowAnyOrigin, AllowedHosts: s.cfg.AllowedHosts,
		PingInterval: s.cfg.PingInterval, PingTimeout: s.cfg.PingTimeout, UpgradeTimeout: s.cfg.UpgradeTimeout,
		WriteTimeout: s.cfg.WriteTimeout, ConnectTimeout: s.cfg.ConnectTimeout,
		MaxUnconnected: s.cfg.MaxUnconnected, MaxUnconnectedPerAddr: s.cfg.MaxUnconnectedPerAddr, ClientAddr: s.cfg.ClientAddr,
		MaxPerAddr: s.cfg.MaxPerAddr,
		MaxPayload: s.cfg.MaxPayload, MaxPackets: s.cfg.MaxPackets, Logger: s.cfg.Logger,
	}
}

func checkHub(p *fault.Problems, cfg Config) {
	if cfg.Hub == nil {
		p.Check(cfg.Authorize != nil, "Authorize", "is required without a Hub")
		return
	}
	p.Check(cfg.Authorize == nil, "Authorize", "is not taken with a Hub, which has its own")
	p.Check(cfg.Authenticate == nil, "Authenticate", "is not taken with a Hub, which has its own")
}

// Hub returns the Hub, given or made: for its Disconnect when a person logs out, its Stats,
// and other transports that are to share its rooms.
func (s *Server) Hub() *realtime.Hub { return s.cfg.Hub }

// Broadcast sends ev to everybody in room of the server's Hub; see realtime.Hub.Broadcast.
func (s *Server) Broadcast(ctx context.Context, room string, ev realtime.Event) error {
	return s.cfg.Hub.Broadcast(ctx, room, ev)
}

// Shutdown ends a Hub that the server made, and waits for what it does; see
// realtime.Hub.Shutdown. It does nothing to a Hub that it was given: whoever made that
// one ends it.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.ownHub {
		return nil
	}
	return s.cfg.Hub.Shutdown(ctx)
}

func setDefault[T int | time.Duration](p *fault.Problems, field string, value *T, zero T) {
	p.Check(*value >= 0, field, "is negative")
	*value = cmp.Or(*value, zero)
}
