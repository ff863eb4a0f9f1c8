package engineio

import (
	"container/list"
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/telemed-go/telemed"
)

// Session is one client: first over polling or a WebSocket, and from an upgrade on over a
// WebSocket. Its methods are safe for concurrent use.
//
// Packets of the client are read one after the other: a POST holds posts, and the reader of
// a WebSocket begins with posts in its hand.
type Session struct {
	out     output // first: with thousands of sessions each line of the processor's cache counts
	server  *Server
	id      string
	subject string
	addr    netip.Addr    // of the client; not valid if nobody tells
	place   *list.Element // guarded by server.lobby
	handler Handler       // set before the first packet is read
	tasks   tasks
	life

	// A session that began as a WebSocket has none of these.
	polls chan struct{} // full while a poll waits for messages
	posts chan struct{} // full while a POST is read
	wake  chan struct{} // ends a poll that waits when the phase changes

	counted bool        // guarded by server.lobby
	left    bool        // the client has said goodbye; the reader's own
	refused bool        // Config.OpenRefused has made it; set before anybody knows it
	paused  atomic.Bool // the reader waits for the worker
	stalled atomic.Bool // the worker waits for the client
	parted  atomic.Bool // the client has taken the answer to its goodbye

	awaiting atomic.Int32 // calls of Await that have not returned
	moved    atomic.Bool  // the client has taken something, or may have answered unread

	mu     sync.Mutex
	clocks clocks
	phase  phase
}

// phase is how far a session is on its way from polling to a WebSocket.
type phase byte

const (
	polling phase = iota
	probing       // a WebSocket asks; polls go on
	// The client was told to upgrade as soon as its poll is answered: polls do not wait
	// long.
	pausing
	// The client says that it polls no more. A poll that waits nevertheless is refused.
	promoting
	onWebSocket
)

func (s *Server) newSession(transport, id, subject string, addr netip.Addr) *Session {
	session := &Session{server: s, id: id, subject: subject, addr: addr}
	session.life.session = session
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

// Subject returns what Config.Authenticate says of the client.
func (s *Session) Subject() string { return s.subject }

// OverWebSocket reports whether the session is on a WebSocket. It may begin with polls.
func (s *Session) OverWebSocket() bool { return s.currentPhase() == onWebSocket }

// Put sends messages that Text and Binary have made, behind those that were put before.
// Nothing of another Put comes between them. It does not block, and returns how many bytes
// it keeps; from hears of those when they are gone. from may be nil. joined is the messages
// one behind the other. Put may keep a message or joined, but not the slice messages. An
// error says that the client is lost: the caller must end the session.
func (s *Session) Put(from Sender, messages [][]byte, joined []byte) (waiting int, err error) {
	return s.out.put(from, messages, joined)
}

// Near looks at what Put is about to need, and reports whether a socket is there to take it at
// once. Whoever puts to many sessions calls it for some of them before: the processor then
// fetches their memory at the same time.
func (s *Session) Near() bool {
	ws := s.out.ws.Load()
	return ws != nil && ws.raw.there()
}

// Send puts one message that nobody counts, and ends the session if the client is lost.
// Whoever sends what a client asks for calls Wait before it goes on.
func (s *Session) Send(message []byte) {
	if _, err := s.Put(nil, [][]byte{message}, message); err != nil {
		s.Close(err)
	}
}

// Wait returns when fewer than 64 KiB wait for the client, or when the session has ended.
func (s *Session) Wait() { s.out.wait(s.Done) }

// Enter says that the client has begun with what it came for.
func (s *Session) Enter() {
	s.server.lobby.leave(s)
}

// Leave undoes Enter: the client has to begin anew, in time.
func (s *Session) Leave() {
	if s.server.cfg.ConnectTimeout > 0 {
		s.server.admit(s)
	}
}

// finish says goodbye to the client of a session that has ended, and gives back what the
// server has of it.
func (s *Session) finish() {
	s.release()
	if ws := s.out.webSocket(); ws != nil {
		ws.close(statusOf(s.why()))
	}
}

// release gives back what the server has of the session. A second call does nothing.
func (s *Session) release() {
	s.stopClocks()
	s.server.lobby.leave(s)
	s.server.lobby.discount(s)
	s.server.forget(s)
}

// startProbe reserves the upgrade for one WebSocket.
func (s *Session) startProbe() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != polling {
		return false
	}
	s.phase = probing
	return true
}

func (s *Session) setPhase(next phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = next
}

func (s *Session) currentPhase() phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}

// changePolls sets a phase that polls and POSTs which wait must know of.
func (s *Session) changePolls(next phase) {
	s.setPhase(next)
	select {
	case s.wake <- struct{}{}:
	default: // left over from a probe that failed; it serves as well
	}
	s.tasks.wakeReader()
}

// promote makes ws the transport once no poll waits and no POST is read.
func (s *Session) promote(ws *webSocket) bool {
	if s.polls != nil {
		s.changePolls(promoting)
		if !s.whileIdle(func() { s.setPhase(onWebSocket) }) {
			return false
		}
	}
	ws.shared = true
	if err := s.out.attach(ws); err != nil {
		s.Close(err)
	}
	return true
}

// whileIdle calls f while no poll waits and no POST is read, unless the session ends
// before. They are free again before the client can hear of f: a late poll must not
// overlap with it.
func (s *Session) whileIdle(f func()) bool {
	for _, busy := range []chan struct{}{s.polls, s.posts} {
		select {
		case busy <- struct{}{}:
			defer func() { <-busy }()
		case <-s.Done():
			return false
		}
	}
	f()
	return true
}

// openPacket is the first packet of a session.
func (s *Server) openPacket(id string, upgrades ...string) []byte {
	body, err := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"` // milliseconds
		PingTimeout  int64    `json:"pingTimeout"`  // milliseconds
		MaxPayload   int      `json:"maxPayload"`   // bytes
	}{
		id, append([]string{}, upgrades...),
		s.cfg.PingInterval.Milliseconds(), s.cfg.PingTimeout.Milliseconds(), s.cfg.MaxPayload,
	})
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return append([]byte{packetOpen}, body...)
}

func (s *Server) session(id string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

func (s *Server) remember(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[session.id] = session
}

func (s *Server) forget(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session.id)
}

// live returns the sessions that there are.
func (s *Server) live() (all []*Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		all = append(all, session)
	}
	return all
}

// Shutdown ends all sessions and waits for what they do, at most until ctx ends. It is for a
// Server whose sessions nobody else ends. Later requests are the caller's to keep out.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, session := range s.live() {
		session.Close(telemed.ErrClosed)
		select {
		case <-session.Finished():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
