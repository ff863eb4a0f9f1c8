package socketio

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/engineio"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/realtime"
)

// client is a session of the engine's and its connection of the hub: whichever ends first
// ends the other. It has the connection from the handshake on, so that Hub.Disconnect finds
// it before it has entered a namespace.
type client struct {
	server  *Server
	session *engineio.Session
	conn    *realtime.Conn
	opening sync.Mutex // held until conn is set

	connected bool // the client is in the default namespace; the reader's own
}

var (
	_ engineio.Handler = (*client)(nil)
	_ realtime.Output  = (*client)(nil)
)

// open makes a session a connection of the hub. If the hub is full, one goes that has not
// entered a namespace.
func (s *Server) open(session *engineio.Session, r *http.Request) (engineio.Handler, error) {
	c := &client{server: s, session: session}
	c.opening.Lock()
	defer c.opening.Unlock() // End, which may come at once, waits for conn
	connect := func() (err error) {
		c.conn, err = s.cfg.Hub.Connect(r.Context(), session.Subject(), encoder{}, c)
		return err
	}
	err := connect()
	for errors.Is(err, realtime.ErrFull) && s.engine.Evict() {
		err = connect() // again if the other had ended, or somebody else took the place
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Put implements realtime.Output.
func (c *client) Put(messages [][]byte, joined []byte) (waiting int, err error) {
	waiting, err = c.session.Put(c.conn, messages, joined)
	return waiting, causeOf(err)
}

// End implements realtime.Output. Hub.Shutdown waits for all that the session does.
func (c *client) End(cause error) {
	c.opening.Lock()
	id := c.conn.Client().ID
	c.opening.Unlock()
	if errors.Is(cause, realtime.ErrGap) { // the client is to come back
		cause = fault.Tagged(telemed.ErrUnavailable, cause)
	}
	c.session.Close(cause)
	defer func() { <-c.session.Finished() }()
	c.server.cfg.Logger.LogAttrs(context.Background(), slog.LevelDebug, "socketio: connection ended",
		slog.String("connection", id), slog.String("cause", cause.Error()))
}

// Wait implements engineio.Handler.
func (c *client) Wait() { c.conn.Wait() }

// Beat implements engineio.Handler.
func (c *client) Beat() { c.conn.Mark() }

// Closed implements engineio.Handler.
func (c *client) Closed(cause error) { c.conn.Close(causeOf(cause)) }

// causeOf says with the hub's words why a session ends.
func causeOf(err error) error {
	if errors.Is(err, engineio.ErrSlow) {
		return realtime.ErrSlow
	}
	return err
}

// hand has the worker do something for the connection. A panic ends it, and the hub's log
// hears of that.
func (c *client) hand(size int, do func()) {
	c.session.Hand(size, func() { c.conn.Do(do) })
}
