package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// client is one session of the engine's. It has a connection of the hub for each namespace
// that it has entered, and one from the handshake on while there is none: Hub.Disconnect
// finds it at any time.
type client struct {
	server  *Server
	session *engineio.Session
	request context.Context // of the first request, for its values alone
	refused *refusalWords   // not nil: it is let into no namespace

	// The reader's own.
	sockets []*Socket // one for each namespace that it is or was in, or is on its way into
	partial *partial  // an event whose attachments have not all come

	mu    sync.Mutex
	links []*link
	bye   *farewell // nil while the client is told of no end

	refusals int32 // the worker's own
}

// link is a connection of the hub. Its methods are those of a realtime.Output.
type link struct {
	session *engineio.Session // the client's: each Put needs it
	client  *client
	conn    *realtime.Conn // set under client.mu
	socket  *Socket        // nil while the client has entered no namespace; guarded by client.mu
	in      bool           // the client is let in; guarded by client.mu
	out     atomic.Bool    // Socket.Disconnect was called: the end is among the messages
}

var (
	_ engineio.Handler = (*client)(nil)
	_ realtime.Output  = (*link)(nil)
)

// open makes a client of a session.
func (s *Server) open(session *engineio.Session, r *http.Request) (engineio.Handler, error) {
	return s.openFor(&client{server: s, session: session, request: r.Context()})
}

// openRefused makes one whom Authenticate refuses. Its session is opened all the same,
// because only there a page hears why.
func (s *Server) openRefused(session *engineio.Session, r *http.Request, why error) (engineio.Handler, error) {
	words := wordsFor(why)
	return s.openFor(&client{server: s, session: session, request: r.Context(), refused: &words})
}

func (s *Server) openFor(c *client) (engineio.Handler, error) {
	// If the hub is full, one goes that has not entered a namespace.
	_, err := c.connect(s.space(defaultNamespace))
	for errors.Is(err, realtime.ErrFull) && s.engine.Evict() {
		_, err = c.connect(s.space(defaultNamespace)) // again if somebody else took the place
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// connect adds a connection of the hub.
func (c *client) connect(space *space) (*link, error) {
	l := &link{session: c.session, client: c}
	c.mu.Lock()
	defer c.mu.Unlock() // End, which may come at once, waits for conn
	conn, err := c.server.cfg.Hub.Connect(c.request, c.subject(), space, l)
	if err != nil {
		return nil, err
	}
	l.conn = conn
	c.links = append(c.links, l)
	return l, nil
}

// subject is what the hub's Authenticate says of the client.
func (c *client) subject() string {
	if c.refused != nil {
		return ""
	}
	return c.session.Subject()
}

// Message implements engineio.Handler: it reads one Socket.IO packet.
func (c *client) Message(data []byte, binary bool) error {
	if binary {
		return c.attachment(data)
	}
	if c.partial != nil {
		return engineio.ErrGarbage
	}
	p, err := parsePacket(data, c.server.cfg.MaxAttachments)
	if err != nil {
		return err
	}
	if p.kind == kindConnect {
		return c.enters(p)
	}
	socket, had := c.socketIn(p.namespace)
	switch {
	case socket == nil && had:
		return c.passOver(p)
	case socket == nil:
		return engineio.ErrGarbage
	}
	if p.kind == kindDisconnect {
		socket.left = true
		c.hand(0, func() { c.leave(socket) })
		return nil
	}
	event := &partial{socket: socket, packet: p, data: len(p.data)}
	if event.list, err = p.list(); err != nil {
		return err
	}
	return c.hear(event)
}

// passOver hears what a client has sent before it knew that it is in a namespace no more.
func (c *client) passOver(p packet) error {
	if p.attachments > 0 {
		c.partial = &partial{packet: p}
	}
	return nil
}

// partial is an event or an acknowledgement whose attachments may be on their way.
type partial struct {
	packet
	socket      *Socket // nil if nobody is there to hear it
	list        []json.RawMessage
	attached    [][]byte
	data, bytes int // of the JSON, and of the attachments
}

// hear hands an event on once all of it is there.
func (c *client) hear(event *partial) error {
	if len(event.attached) < event.attachments {
		c.partial = event
		return nil
	}
	c.partial = nil
	if event.socket == nil {
		return nil
	}
	event.packet.data = nil // it is the reader's
	if event.kind == kindAck {
		args, err := readArgs(event.list, event.attached)
		if err == nil {
			event.socket.acknowledged(event.ack, args)
		}
		return err
	}
	return c.event(event)
}

// attachment takes the next of an event's.
func (c *client) attachment(data []byte) error {
	event := c.partial
	if event == nil {
		return engineio.ErrGarbage
	}
	if event.bytes += len(data); event.bytes > c.server.cfg.MaxPayload {
		return engineio.ErrGarbage
	}
	event.attached = append(event.attached, slices.Clone(data))
	return c.hear(event)
}

func (c *client) event(event *partial) error {
	name, ok := eventName(event.list)
	if !ok {
		return engineio.ErrGarbage
	}
	args, err := readArgs(event.list[1:], event.attached)
	if err != nil {
		return err
	}
	socket, id := event.socket, event.ack
	c.hand(event.data+event.bytes, func() {
		if socket.isInside() {
			socket.handle(id, name, args)
		}
	})
	return nil
}

// socketIn returns the client's socket in a namespace, nil if it has none. Then it may have
// had one.
func (c *client) socketIn(namespace string) (socket *Socket, had bool) {
	i := slices.IndexFunc(c.sockets, func(s *Socket) bool { return s.space.name == namespace })
	if i < 0 {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if socket = c.sockets[i]; socket.left || socket.stay == gone {
		return nil, true
	}
	return socket, true
}

// hand has the worker do something, unless the session ends before.
func (c *client) hand(size int, do func()) {
	c.session.Hand(size, func() {
		for _, conn := range c.conns() {
			if conn.Do(do) { // the hub's Shutdown waits for it
				return
			}
		}
	})
}

func (c *client) conns() []*realtime.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	conns := make([]*realtime.Conn, len(c.links))
	for i, link := range c.links {
		conns[i] = link.conn
	}
	return conns
}

// Wait implements engineio.Handler.
func (c *client) Wait() {
	for _, conn := range c.conns() {
		conn.Wait()
	}
	c.session.Wait()
}

// Beat implements engineio.Handler.
func (c *client) Beat() {
	for _, conn := range c.conns() {
		conn.Mark()
	}
}

// Closed implements engineio.Handler.
func (c *client) Closed(cause error) {
	for _, conn := range c.conns() {
		conn.Close(causeOf(cause))
	}
}

// Near is called before Put, for some connections in a row.
func (l *link) Near() bool { return l.session.Near() }

// Put implements realtime.Output.
func (l *link) Put(messages [][]byte, joined []byte) (waiting int, err error) {
	over := -1
	if l.out.Load() {
		over = slices.IndexFunc(messages, isEnd)
	}
	if over >= 0 {
		messages = messages[:over]
		joined = bytes.Join(messages, nil)
	}
	if len(messages) > 0 {
		waiting, err = l.session.Put(l.conn, messages, joined)
	}
	if over >= 0 {
		l.conn.Close(errDisconnected)
	}
	return waiting, causeOf(err)
}

// endMessage is never sent. It stands in the hub's queue where Socket.Disconnect was called.
var endMessage = []byte("end")

func isEnd(message []byte) bool { return len(message) > 0 && &message[0] == &endMessage[0] }

// End implements realtime.Output.
func (l *link) End(cause error) {
	c := l.client
	last := c.ends(l, cause)
	c.server.cfg.Logger.LogAttrs(context.Background(), slog.LevelDebug, "socketio: connection ended",
		slog.String("connection", l.conn.Client().ID), slog.String("cause", cause.Error()))
	if last {
		<-c.session.Finished() // Hub.Shutdown waits for all that the session does
	}
}

// causeOf says with the hub's words why a session ends.
func causeOf(err error) error {
	if errors.Is(err, engineio.ErrSlow) {
		return realtime.ErrSlow
	}
	return err
}

// sessionCause says with the engine's words why a connection has ended.
func sessionCause(cause error) error {
	if errors.Is(cause, realtime.ErrGap) { // the client is to come back
		return fault.Tagged(telemed.ErrUnavailable, cause)
	}
	return cause
}
