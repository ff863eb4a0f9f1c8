package socketio

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/telemed-go/telemed/realtime"
)

// session is one Engine.IO session: first over polling or a WebSocket, and from
// an upgrade on over a WebSocket.
//
// Packets of the client are read one after the other: a POST holds posts, and the reader of
// a WebSocket begins with posts in its hand. What they ask for is done by a worker. An idle
// session has no goroutine, save the reader of a WebSocket.
type session struct {
	server *Server
	sid    string
	conn   *realtime.Conn
	addr   netip.Addr    // of the client; not valid if nobody tells
	place  *list.Element // guarded by server.lobby
	out    output
	tasks  tasks

	// A session that began as a WebSocket has none of these.
	polls chan struct{} // full while a poll waits for messages
	posts chan struct{} // full while a POST is read
	wake  chan struct{} // ends a poll that waits when pausing becomes true

	connected bool        // the client is in the default namespace; the reader's own
	left      bool        // the client has said goodbye; the reader's own
	paused    atomic.Bool // the reader waits for the worker
	stalled   atomic.Bool // the worker waits for the client
	pinging   atomic.Bool // the ping that is to be answered is still with the hub
	moved     atomic.Bool // the client has taken something, or may have answered unread

	mu     sync.Mutex
	phase  phase
	clocks clocks
}

// phase is how far a session is on its way from polling to a WebSocket.
type phase int

const (
	polling phase = iota
	probing       // a WebSocket asks; polls go on
	// The client was told to upgrade as soon as its poll is answered: polls do not wait
	// long.
	pausing
	onWebSocket
)

func (s *Server) newSession(transport, sid string, addr netip.Addr) *session {
	session := &session{server: s, sid: sid, addr: addr}
	if transport == webSocketTransport {
		session.phase = onWebSocket
		return session
	}
	session.out.ready = make(chan struct{}, 1)
	session.polls = make(chan struct{}, 1)
	session.posts = make(chan struct{}, 1)
	session.wake = make(chan struct{}, 1)
	return session
}

// begin makes the session a connection of the hub. If the hub is full, one goes that has not
// entered a namespace.
func (s *session) begin(ctx context.Context, subject string) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock() // End, which may come at once, waits for conn
	hub := s.server.cfg.Hub
	for s.conn, err = hub.Connect(ctx, subject, encoder{}, s); errors.Is(err, realtime.ErrFull); {
		excess := s.server.lobby.evict()
		if excess == nil {
			break
		}
		excess.conn.Close(errNoConnect) // again if it had ended, or another took the place
		s.conn, err = hub.Connect(ctx, subject, encoder{}, s)
	}
	return err
}

// Put implements realtime.Output.
func (s *session) Put(messages [][]byte, joined []byte) (waiting int, err error) {
	if s.pinging.Load() && slices.ContainsFunc(messages, isPing) {
		s.pinging.Store(false)
		s.nextBeat(s.server.cfg.PingTimeout)
	}
	return s.out.put(messages, joined)
}

// End implements realtime.Output.
func (s *session) End(cause error) {
	s.release()
	if ws := s.out.webSocket(); ws != nil {
		ws.close(statusOf(cause))
	}
	s.server.cfg.Logger.LogAttrs(context.Background(), slog.LevelDebug, "socketio: connection ended",
		slog.String("connection", s.conn.Client().ID), slog.String("cause", cause.Error()))
}

// release gives back what the server has of the session. A second call does nothing.
func (s *session) release() {
	s.stopClocks()
	s.server.lobby.leave(s)
	s.server.forget(s)
}

// startProbe reserves the upgrade for one WebSocket.
func (s *session) startProbe() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != polling {
		return false
	}
	s.phase = probing
	return true
}

func (s *session) setPhase(next phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = next
}

func (s *session) currentPhase() phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}

// pausePolls tells polls to return, and POSTs not to wait: the client pauses polling before
// it upgrades.
func (s *session) pausePolls() {
	s.setPhase(pausing)
	select {
	case s.wake <- struct{}{}:
	default: // left over from a probe that failed; it serves as well
	}
	s.tasks.wakeReader()
}

// promote makes ws the transport once no poll waits and no POST is read.
func (s *session) promote(ws *webSocket) bool {
	if s.polls != nil && !s.whileIdle(func() { s.setPhase(onWebSocket) }) {
		return false
	}
	ws.shared = true
	sent, err := s.out.attach(ws)
	s.conn.Sent(sent)
	if err != nil {
		s.conn.Close(err)
	}
	return true
}

// whileIdle calls f while no poll waits and no POST is read, unless the session ends
// before. They are free again before the client can hear of f: a late poll must not
// overlap with it.
func (s *session) whileIdle(f func()) bool {
	ctx := s.conn.Context()
	for _, busy := range []chan struct{}{s.polls, s.posts} {
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
		case <-ctx.Done():
			return false
		}
	}
	f()
	return true
}

// openPacket is the first packet of a session.
func (s *Server) openPacket(sid string, upgrades ...string) []byte {
	body, err := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"` // milliseconds
		PingTimeout  int64    `json:"pingTimeout"`  // milliseconds
		MaxPayload   int      `json:"maxPayload"`   // bytes
	}{
		sid, append([]string{}, upgrades...),
		s.cfg.PingInterval.Milliseconds(), s.cfg.PingTimeout.Milliseconds(), s.cfg.MaxPayload,
	})
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return append([]byte{packetOpen}, body...)
}

func (s *Server) session(sid string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sid]
}

func (s *Server) remember(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[session.sid] = session
}

func (s *Server) forget(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session.sid)
}
