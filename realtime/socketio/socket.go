package socketio

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/realtime"
)

// maxAcks is how many acknowledgements of one client may be waited for.
const maxAcks = 256

// maxHeld is how many events OnConnect may emit.
const maxHeld = 256

// Socket is one client in one namespace. Config.OnConnect and Config.OnEvent get it; an
// application may keep it, and use it from many goroutines. Once the client has left, or its
// connection has ended, its methods do nothing and say telemed.ErrClosed: a client that
// comes back has a new Socket.
type Socket struct {
	client    *client
	space     *space
	link      *link // set by the worker before OnConnect hears of the socket
	recovered atomic.Bool
	stay      stay // guarded by client.mu
	left      bool // the client has said goodbye; the reader's own

	mu      sync.Mutex
	in      bool          // the client has the answer that lets it in
	out     bool          // Disconnect was called before that
	held    []func() bool // what is sent behind that answer
	lastAck uint64
	acks    map[string]chan Args
}

// stay is how far a client is on its way through a namespace.
type stay byte

const (
	outside stay = iota // it has asked to be let in
	inside              // it hears it when it is kicked
	gone                // it was refused, kicked or left
)

// Client returns who it is. Until OnConnect has returned, an anonymous client has no Subject.
func (s *Socket) Client() realtime.Client { return s.link.conn.Client() }

// Transport returns "websocket" or "polling". A client that polls may change over later.
func (s *Socket) Transport() string {
	if s.client.session.OverWebSocket() {
		return "websocket"
	}
	return "polling"
}

// Recovered reports whether the client gets all that it has missed since its last
// connection. It is false until OnConnect has returned.
func (s *Socket) Recovered() bool { return s.recovered.Load() }

// Context ends when the client has left or its connection has ended. It has the values of
// the request that has opened the connection.
func (s *Socket) Context() context.Context { return s.link.conn.Context() }

// Emit sends an event to this client alone. It does not wait, and what is emitted in
// OnConnect follows the answer that lets the client in. The event is not kept for a client
// that is away. Errors match telemed.ErrInvalid if name or args cannot be sent, see
// [realtime.Event], or telemed.ErrClosed.
func (s *Socket) Emit(name string, args ...any) error {
	m, err := named(name, args)
	if err != nil {
		return fmt.Errorf("socketio: Emit: %w", err)
	}
	if err := s.send(func() bool { return s.link.conn.Emit(m) }); err != nil {
		return fmt.Errorf("socketio: Emit: %w", err)
	}
	return nil
}

// EmitWithAck sends an event and waits for the arguments with which the page's listener
// calls back. A page may never do so: give ctx a limit. In OnConnect it would wait for the
// client to be let in, and that waits for OnConnect; call it from another goroutine. The
// error is that of ctx, or matches telemed.ErrInvalid, telemed.ErrClosed if the client goes
// away meanwhile, and realtime.ErrFull if 256 answers of the client are waited for already.
func (s *Socket) EmitWithAck(ctx context.Context, name string, args ...any) (Args, error) {
	m, err := named(name, args)
	if err != nil {
		return nil, fmt.Errorf("socketio: EmitWithAck: %w", err)
	}
	id, answer := s.expectAck()
	if answer == nil {
		return nil, fmt.Errorf("socketio: EmitWithAck: %w", realtime.ErrFull)
	}
	defer s.forgetAck(id)
	message := eventMessage(s.space.name, id, m)
	if err := s.send(func() bool { return s.link.conn.Send(message) }); err != nil {
		return nil, fmt.Errorf("socketio: EmitWithAck: %w", err)
	}
	var heard Args
	s.client.session.Await(func() {
		select {
		case heard = <-answer:
		case <-s.Context().Done():
			err = telemed.ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("socketio: EmitWithAck: %w", err)
	}
	return heard, nil
}

// Join puts the client into a room if the hub's Authorize agrees; see [realtime.Conn.Join]
// for errors. The room's name is behind the namespace's Prefix. In OnConnect it is
// telemed.ErrInvalid: there a room stands in the Welcome.
func (s *Socket) Join(ctx context.Context, room string) error {
	if !s.isIn() {
		return fmt.Errorf("socketio: Join: before the client is let in: %w", telemed.ErrInvalid)
	}
	return s.link.conn.Join(ctx, s.space.Prefix+room)
}

// Leave takes the client out of a room. Not to be in it is no error.
func (s *Socket) Leave(room string) { s.link.conn.Leave(s.space.Prefix + room) }

// Disconnect ends the client's stay in the namespace, behind what was emitted before, and
// tells the page: it stays away until its code calls connect(). In OnConnect the client is
// told that it is not permitted. For all connections of a person see
// [realtime.Hub.Disconnect].
func (s *Socket) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.in {
		s.out = true
		return
	}
	s.link.out.Store(true)
	s.link.conn.Send(endMessage)
}

// send sends now, or behind the answer that lets the client in.
func (s *Socket) send(do func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.Context().Err() != nil:
		return telemed.ErrClosed
	case s.in:
		if !do() {
			return telemed.ErrClosed
		}
	case len(s.held) >= maxHeld:
		return realtime.ErrFull
	default:
		s.held = append(s.held, do)
	}
	return nil
}

// letIn says that the client has its answer.
func (s *Socket) letIn() {
	s.mu.Lock()
	for _, do := range s.held {
		do()
	}
	s.in, s.held = true, nil
	out := s.out
	s.mu.Unlock()
	if out {
		s.Disconnect()
	}
}

func (s *Socket) isIn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in
}

// isOut reports whether Disconnect was called before the client was let in.
func (s *Socket) isOut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out
}

// expectAck returns nil if too many are waited for.
func (s *Socket) expectAck() (id string, answer <-chan Args) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acks) >= maxAcks {
		return "", nil
	}
	if s.acks == nil {
		s.acks = make(map[string]chan Args)
	}
	id = strconv.FormatUint(s.lastAck, 10)
	s.lastAck++
	waits := make(chan Args, 1)
	s.acks[id] = waits
	return id, waits
}

func (s *Socket) forgetAck(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.acks, id); len(s.acks) == 0 {
		s.acks = nil // gives the memory back
	}
}

// acknowledged hears an answer. One that nobody waits for, or not any more, is passed over.
// It is not for the worker, which may be what waits.
func (s *Socket) acknowledged(id string, args Args) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if waits := s.acks[id]; waits != nil {
		waits <- args // has room: an id is answered once
		delete(s.acks, id)
	}
}

// isInside reports whether the client was let in and has not left.
func (s *Socket) isInside() bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.stay == inside
}

// named encodes an event.
func named(name string, args []any) (realtime.Message, error) {
	if name == "" {
		return realtime.Message{}, errors.Join(telemed.ErrInvalid, errors.New("the event has no name"))
	}
	return message(name, args)
}

var _ engineio.Sender = (*farewell)(nil)
