package socketio

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed/realtime"
)

// The causes with which a session ends, besides those of package realtime.
var (
	errPingTimeout = errors.New("no answer to a heartbeat")
	errNoConnect   = errors.New("client did not connect to a namespace")
	errOverlap     = errors.New("two polls or two POSTs at once")
	errGarbage     = errors.New("packet breaks the protocol")
	errTooMany     = errors.New("too many packets in one POST")
	errBinary      = errors.New("binary packets are not supported")
	errClientLeft  = errors.New("client closed")
	errPollLost    = errors.New("poll could not be answered")
	errSocketLost  = errors.New("WebSocket broke")
)

// session is one Engine.IO session: first over polling or a WebSocket, and from
// an upgrade on over a WebSocket.
//
// Its goroutine, run, keeps the heartbeat and writes to the WebSocket. Packets
// of the client are handled by whoever reads them, one after the other: a POST
// holds posts, and the reader of a WebSocket starts with posts in its hand.
type session struct {
	server *Server
	sid    string
	conn   *realtime.Conn

	pong     chan struct{}   // the client answered a heartbeat
	upgraded chan *webSocket // run takes over writing
	polls    chan struct{}   // full while a poll waits for messages
	posts    chan struct{}   // full while a POST is handled

	connected atomic.Bool // the client has connected to the default namespace

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
	var ws *webSocket
	var queue <-chan []byte // nil, which blocks, while polls read the queue
	for {
		select {
		case <-ctx.Done():
			s.logEnd(ctx)
			return
		case ws = <-s.upgraded:
			queue = s.conn.Queue()
		case packet := <-queue:
			if err := ws.send(packet, queue); err != nil {
				s.conn.Close(errSocketLost)
			}
		case <-s.pong:
			beat.answered()
		case <-beat.timer.C:
			beat.due(ws)
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

func (b *heartbeat) due(ws *webSocket) {
	s := b.session
	switch {
	case b.waiting:
		select {
		case <-s.pong: // it came while run was busy writing
			b.answered()
		default:
			s.conn.Close(errPingTimeout)
		}
		return
	case b.beats > 0 && !s.connected.Load(): // it had time enough, and only costs
		s.conn.Close(errNoConnect)
		return
	case ws == nil:
		s.conn.Send(pingPacket)
	default:
		if err := ws.send(pingPacket, nil); err != nil {
			s.conn.Close(errSocketLost)
		}
	}
	b.waiting = true
	b.beats++
	b.timer.Reset(s.server.cfg.PingTimeout)
}

// packet handles one Engine.IO packet of the client. After an error the session must end.
func (s *session) packet(text []byte) error {
	if len(text) == 0 {
		return errGarbage
	}
	switch kind, body := text[0], text[1:]; kind {
	case packetMessage:
		return s.message(body)
	case packetPong:
		select {
		case s.pong <- struct{}{}:
		default:
		}
		return nil
	case packetNoop:
		return nil
	case packetClose:
		return errClientLeft
	case packetBinary:
		return errBinary
	}
	return errGarbage
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
	s.upgraded <- ws // has room: promote succeeds once
	return true
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
