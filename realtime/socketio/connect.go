package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/realtime"
)

// The causes with which connections of the hub end while their session may go on.
var (
	errLeft         = errors.New("client left the namespace")
	errTurnedAway   = errors.New("client was not let in")
	errSpare        = errors.New("not needed any more")
	errDisconnected = errors.New("disconnected by the application")
)

// maxTurnedAway is how often a session may be refused to enter before it ends.
const maxTurnedAway = 16

// What a page is told that is not let in. A Refusal has other words.
var (
	notPermitted     = refusalWords{Message: "not permitted"}
	invalidNamespace = refusalWords{Message: "Invalid namespace"} // as the protocol's text has it
)

// authenticate is the engine's.
func (s *Server) authenticate(r *http.Request) (subject string, err error) {
	subject, err = s.cfg.Hub.Authenticate(r)
	if errors.Is(err, telemed.ErrUnavailable) {
		return "", telemed.ErrUnavailable // alone: it is no refusal
	}
	return subject, err
}

// wordsFor speaks of err to a page in fixed words, or in those of a Refusal.
func wordsFor(err error) refusalWords {
	if refusal, ok := errors.AsType[*realtime.Refusal](err); ok {
		words := refusalWords{Message: refusal.Message}
		if words.Message == "" {
			words.Message = notPermitted.Message
		}
		if refusal.Data != nil {
			words.Data, _ = json.Marshal(refusal.Data)
		}
		return words
	}
	return refusalWords{Message: replyTo(err).Error}
}

// enters hears a connect packet.
func (c *client) enters(p packet) error {
	space := c.server.space(p.namespace)
	if space == nil {
		namespace := p.namespace
		c.hand(0, func() { c.refuse(namespace, invalidNamespace) })
		return nil
	}
	if there, _ := c.socketIn(p.namespace); there != nil {
		return engineio.ErrGarbage
	}
	socket := &Socket{client: c, space: space}
	c.sockets = append(slices.DeleteFunc(c.sockets, func(s *Socket) bool { return s.space == space }), socket)
	auth := json.RawMessage(bytes.Clone(p.data))
	if len(auth) == 0 {
		auth = json.RawMessage("{}")
	}
	c.hand(len(auth), func() { c.enter(socket, auth) })
	return nil
}

// enter lets the client into a namespace, or says why not.
func (c *client) enter(socket *Socket, auth json.RawMessage) {
	if c.refused != nil {
		c.farewell(connectErrorMessage(socket.space.name, *c.refused))
		return
	}
	l, err := c.linkFor(socket)
	if err != nil {
		c.session.Close(err)
		return
	}
	socket.link = l
	welcome, err := socket.welcome(auth)
	if err == nil {
		err = socket.enter(readReturn(auth), welcome.Rooms)
	}
	if errors.Is(err, telemed.ErrClosed) {
		if c.isIn(l) {
			return // the client hears why from ends, as whoever is in
		}
		err = context.Cause(l.conn.Context()) // it was kicked meanwhile, say
	}
	switch {
	case err == nil:
		c.session.Enter()
		socket.letIn()
	case errors.Is(err, telemed.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		c.session.Close(telemed.ErrUnavailable) // the client is to come back
	default:
		c.mu.Lock()
		socket.stay, l.in = gone, false
		c.mu.Unlock()
		c.refuse(socket.space.name, wordsFor(err))
		c.retire(l, errTurnedAway)
	}
}

// welcome asks the application.
func (s *Socket) welcome(auth json.RawMessage) (welcome Welcome, err error) {
	onConnect := s.space.OnConnect
	if onConnect == nil {
		return Welcome{}, nil
	}
	ctx := s.call()
	defer ctx.end()
	ask := func() (string, error) {
		welcome, err = onConnect(ctx, s, auth)
		return welcome.Subject, err
	}
	subject := s.Client().Subject
	if subject == "" {
		return welcome, s.link.conn.Identify(ask)
	}
	if _, err := ask(); err != nil {
		return Welcome{}, err
	}
	if welcome.Subject != "" && welcome.Subject != subject {
		s.client.server.cfg.Logger.Error("socketio: OnConnect names a subject where Authenticate has another")
		return Welcome{}, telemed.ErrForbidden
	}
	return welcome, nil
}

// enter makes the client a member of the hub.
func (s *Socket) enter(back realtime.Return, granted []string) error {
	if s.isOut() {
		return telemed.ErrForbidden
	}
	rooms := make([]string, len(granted))
	for i, room := range granted {
		rooms[i] = s.space.Prefix + room
	}
	c := s.client
	c.mu.Lock()
	s.stay, s.link.in = max(s.stay, inside), true // a kick from now on is told
	c.mu.Unlock()
	ctx := s.call()
	defer ctx.end()
	id := s.Client().ID
	recovered, err := s.link.conn.Enter(ctx, back, rooms, func(pid string) []byte {
		return connectedMessage(s.space.name, id, pid)
	})
	if errors.Is(err, telemed.ErrInvalid) {
		c.server.cfg.Logger.Error("socketio: OnConnect grants what is no room")
	}
	s.recovered.Store(recovered)
	return err
}

// linkFor returns the connection with which a client enters a namespace.
func (c *client) linkFor(socket *Socket) (*link, error) {
	c.mu.Lock()
	var spare *link
	if i := slices.IndexFunc(c.links, func(l *link) bool { return l.socket == nil && l.conn.Context().Err() == nil }); i >= 0 {
		spare = c.links[i]
	}
	if spare != nil && socket.space.name == defaultNamespace {
		spare.socket = socket
		c.mu.Unlock()
		return spare, nil
	}
	c.mu.Unlock()
	l, err := c.join(socket.space)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	l.socket = socket
	c.mu.Unlock()
	if spare != nil {
		spare.conn.Close(errSpare)
	}
	return l, nil
}

// join adds a connection of the hub to those that the client has. If its subject was kicked
// before the hub knew the new one, the others have ended.
func (c *client) join(space *space) (*link, error) {
	l, err := c.connect(space)
	if err != nil {
		return nil, err
	}
	if !c.hasBeside(l) {
		l.conn.Close(telemed.ErrForbidden)
		return nil, telemed.ErrForbidden
	}
	return l, nil
}

// hasBeside reports whether the client has a connection beside l that has not ended.
func (c *client) hasBeside(l *link) bool {
	return slices.ContainsFunc(c.conns(), func(conn *realtime.Conn) bool {
		return conn != l.conn && conn.Context().Err() == nil
	})
}

// leave hears that the client has left a namespace.
func (c *client) leave(socket *Socket) {
	c.mu.Lock()
	socket.stay = gone
	i := slices.IndexFunc(c.links, func(l *link) bool { return l.socket == socket })
	if i < 0 {
		c.mu.Unlock()
		return
	}
	l := c.links[i]
	l.in = false
	c.mu.Unlock()
	c.retire(l, errLeft)
	if !c.isInside() {
		c.session.Leave()
	}
}

// retire ends a connection. The session keeps one.
func (c *client) retire(l *link, cause error) {
	if l.conn.Context().Err() == nil && !c.hasBeside(l) {
		if _, err := c.join(c.server.space(defaultNamespace)); err != nil {
			c.session.Close(err)
			return
		}
	}
	l.conn.Close(cause)
}

func (c *client) isIn(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.in
}

// isInside reports whether the client is in a namespace.
func (c *client) isInside() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.links, func(l *link) bool { return l.in })
}

// refuse tells the client that it cannot enter. One that goes on trying is ended.
func (c *client) refuse(namespace string, words refusalWords) {
	message := connectErrorMessage(namespace, words)
	if c.refusals++; c.refusals > maxTurnedAway {
		c.farewell(message)
		return
	}
	c.session.Send(message)
}

// ends hears of the end of a connection, and reports whether the session ends with it.
func (c *client) ends(l *link, cause error) bool {
	kicked := errors.Is(cause, telemed.ErrForbidden) || errors.Is(cause, errDisconnected)
	aside := errors.Is(cause, errLeft) || errors.Is(cause, errTurnedAway) || errors.Is(cause, errSpare)
	c.mu.Lock()
	c.links = slices.DeleteFunc(c.links, func(other *link) bool { return other == l })
	last, over := len(c.links) == 0, c.bye != nil && c.bye.over.Load()
	if l.socket != nil {
		l.socket.stay = gone
	}
	var err error
	if l.in && kicked && !over { // under the lock: whoever is last comes after it
		err = c.sayLocked(disconnectMessage(l.socket.space.name))
	}
	bye := c.bye
	c.mu.Unlock()
	if bye != nil {
		bye.count(0)
	}
	switch {
	case err != nil:
		c.session.Close(err)
	case !kicked && !aside:
		c.session.Close(sessionCause(cause))
	case over: // it ends already
	case !last: // the others are kicked, too, or the worker is about to close the session
		return false
	case bye != nil:
		bye.end(c.server.cfg.WriteTimeout)
	default:
		c.session.Close(telemed.ErrForbidden)
	}
	return true
}

// sayLocked sends what the session does not end before. Whoever calls it calls count without
// the lock.
func (c *client) sayLocked(message []byte) error {
	if c.bye == nil {
		c.bye = &farewell{session: c.session}
	}
	waiting, err := c.session.Put(c.bye, [][]byte{message}, message)
	c.bye.waiting.Add(int64(waiting))
	return err
}

// farewell ends the session once the client has taken message.
func (c *client) farewell(message []byte) {
	c.mu.Lock()
	err := c.sayLocked(message)
	bye := c.bye
	c.mu.Unlock()
	if err != nil {
		c.session.Close(err)
		return
	}
	bye.end(c.server.cfg.WriteTimeout)
}

// farewell counts the bytes of the last messages.
type farewell struct {
	session *engineio.Session
	waiting atomic.Int64
	over    atomic.Bool // nothing more is said
}

// end ends the session once the client has what was said, and after timeout in any case.
func (f *farewell) end(timeout time.Duration) {
	f.over.Store(true)
	timer := time.AfterFunc(timeout, f.close)
	context.AfterFunc(f.session.Context(), func() { timer.Stop() })
	f.count(0)
}

// Sent implements engineio.Sender.
func (f *farewell) Sent(n int) { f.count(-n) }

// count hears of bytes that wait, or of those that are gone, which may come first.
func (f *farewell) count(n int) {
	if f.waiting.Add(int64(n)) == 0 && f.over.Load() {
		f.close()
	}
}

func (f *farewell) close() { f.session.Close(telemed.ErrForbidden) }
