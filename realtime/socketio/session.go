package socketio

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed/realtime"
)

// session is one Engine.IO session: first over polling or a WebSocket, and from
// an upgrade on over a WebSocket.
//
// Its goroutine, run, keeps the heartbeat and ends it. Packets
// of the client are handled by whoever reads them, one after the other: a POST
// holds posts, and the reader of a WebSocket starts with posts in its hand.
type session struct {
	server *Server
	sid    string
	conn   *realtime.Conn

	pong  chan struct{} // the client answered a heartbeat
	polls chan struct{} // full while a poll waits for messages
	posts chan struct{} // full while a POST is handled

	connected atomic.Bool // the client has connected to the default namespace

	out    output
	paused atomic.Bool // the client's reader waits until the client reads

	wake chan struct{} // ends a poll that waits when pausing becomes true

	mu    sync.Mutex
	phase phase
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

// run is the session's life.
func (s *session) run() {
	defer s.server.forget(s)
	beat := heartbeat{session: s, timer: time.NewTimer(s.server.cfg.PingInterval)}
	defer beat.timer.Stop()

	ctx := s.conn.Context()
	for {
		select {
		case <-ctx.Done():
			s.logEnd(ctx)
			return
		case <-s.pong:
			beat.answered()
		case <-beat.timer.C:
			beat.due()
		}
	}
}

func (s *session) logEnd(ctx context.Context) {
	s.server.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "socketio: connection ended",
		slog.String("connection", s.conn.Client().ID), slog.String("cause", context.Cause(ctx).Error()))
}

// heartbeat pings the client and ends the session if it does not answer.
type heartbeat struct {
	session *session
	timer   *time.Timer
	waiting bool // for the answer to a ping
	beats   int
}

func (b *heartbeat) answered() {
	b.waiting = false
	b.timer.Reset(b.session.server.cfg.PingInterval)
}

func (b *heartbeat) due() {
	s := b.session
	switch {
	case b.waiting:
		select {
		case <-s.pong: // it came while run was busy writing
			b.answered()
		default:
			if s.paused.Load() || s.out.busy() { // it reads, or WriteTimeout ends it
				b.timer.Reset(s.server.cfg.PingTimeout)
				return
			}
			s.conn.Close(errPingTimeout)
		}
		return
	case b.beats > 0 && !s.connected.Load(): // it had time enough, and only costs
		s.conn.Close(errNoConnect)
		return
	}
	s.conn.Send(pingMessage)
	b.waiting = true
	b.beats++
	b.timer.Reset(s.server.cfg.PingTimeout)
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

// pausePolls tells polls to return: the client pauses polling before it upgrades.
func (s *session) pausePolls() {
	s.setPhase(pausing)
	select {
	case s.wake <- struct{}{}:
	default: // left over from a probe that failed; it serves as well
	}
}

// promote makes ws the transport once no poll waits and no POST is handled.
func (s *session) promote(ws *webSocket) bool {
	if !s.whileIdle(func() { s.setPhase(onWebSocket) }) {
		return false
	}
	ws.reply = func(pong []byte) {
		s.conn.Send(pong)
		s.pause()
	}
	sent, err := s.out.attach(ws)
	s.conn.Sent(sent)
	if err != nil {
		s.conn.Close(err)
	}
	return true
}

// pause waits while much waits for the client: whoever asks faster than it reads is not
// read meanwhile.
func (s *session) pause() {
	s.paused.Store(true)
	s.conn.Wait()
	s.paused.Store(false)
}

// whileIdle calls f while no poll waits and no POST is handled, unless the session ends
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

func (s *Server) forget(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session.sid)
}
