package socketio

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/telemed-go/telemed"
)

const (
	// closeWait is how long a peer may take to answer our close frame.
	closeWait = time.Second
	// maxWriteBatch is how many packets are written under one deadline.
	maxWriteBatch = 64
)

// isHandshake reports whether r asks for a WebSocket in the one way that RFC 6455 has.
func isHandshake(r *http.Request) bool {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	return err == nil && len(key) == 16 &&
		r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && r.Host != "" &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		hasToken(r.Header.Get("Connection"), "upgrade") &&
		r.Header.Get("Sec-WebSocket-Version") == "13"
}

func hasToken(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), token) {
			return true
		}
	}
	return false
}

// openWebSocket begins a session on a WebSocket and stays until it ends.
func (s *session) openWebSocket(w http.ResponseWriter, r *http.Request) {
	ok := s.conn.Do(func() {
		ws, err := s.accept(w, r)
		if err != nil {
			s.conn.Close(errSocketLost)
			return
		}
		if err := ws.send(s.server.openPacket(s.sid), nil); err != nil {
			s.conn.Close(errSocketLost)
		}
		s.promote(ws)
		s.serve(ws)
	})
	if !ok {
		unavailable.write(w)
	}
}

// upgrade moves a session from polling to a WebSocket and stays until it ends.
// If the client does not complete the change, polling goes on.
func (s *session) upgrade(w http.ResponseWriter, r *http.Request) {
	if !s.startProbe() {
		badRequest.write(w)
		return
	}
	ws, err := s.accept(w, r)
	if err != nil {
		s.setPhase(polling)
		return
	}
	if err := s.probe(ws); err != nil {
		s.setPhase(polling)
		ws.close(statusOf(err))
		_ = ws.conn.Close() // nobody waits for the peer's answer on a probe
		return
	}
	s.serve(ws)
}

// probe has the conversation by which client and server agree to change over.
func (s *session) probe(ws *webSocket) error {
	_ = ws.conn.SetReadDeadline(time.Now().Add(s.server.cfg.UpgradeTimeout))
	stop := context.AfterFunc(s.conn.Context(), func() { _ = ws.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	if err := ws.expect("2probe"); err != nil {
		return err
	}
	if err := ws.send([]byte("3probe"), nil); err != nil {
		return err
	}
	s.pausePolls()
	if err := ws.expect(string(packetUpgrade)); err != nil {
		return err
	}
	if !stop() || !s.promote(ws) {
		return telemed.ErrClosed
	}
	return ws.conn.SetReadDeadline(time.Time{})
}

// serve reads until the session ends, however it ends, and says goodbye.
func (s *session) serve(ws *webSocket) {
	ctx := s.conn.Context()
	said := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(said)
		ws.close(statusOf(context.Cause(ctx)))
	})
	defer func() {
		s.conn.Close(errSocketLost) // also if the application's code panics
		<-said
		ws.hangUp()
	}()
	for ctx.Err() == nil {
		text, err := ws.read()
		if err == nil {
			err = s.packet(text)
		}
		if err != nil {
			s.conn.Close(err)
		}
	}
}

// statusOf is the close code with which a WebSocket ends.
func statusOf(cause error) ws.StatusCode {
	if peer, ok := errors.AsType[*peerClosed](cause); ok {
		return peer.status
	}
	switch {
	case errors.Is(cause, errClientLeft):
		return ws.StatusNormalClosure
	case errors.Is(cause, errBinary):
		return ws.StatusUnsupportedData
	case errors.Is(cause, errNotUTF8):
		return ws.StatusInvalidFramePayloadData
	case errors.Is(cause, errTooBig):
		return ws.StatusMessageTooBig
	case errors.Is(cause, telemed.ErrClosed), errors.Is(cause, errPingTimeout):
		return ws.StatusGoingAway
	case errors.As(cause, new(ws.ProtocolError)):
		return ws.StatusProtocolError
	}
	return ws.StatusPolicyViolation
}

// webSocket is the server's end of a WebSocket. One goroutine reads; any may write.
type webSocket struct {
	conn    net.Conn
	frames  frameReader
	timeout time.Duration

	mu      sync.Mutex // one frame after the other
	w       *bufio.Writer
	header  [ws.MaxHeaderSize]byte
	closing bool // our close frame is out: nothing may follow it
}

func (s *session) accept(w http.ResponseWriter, r *http.Request) (*webSocket, error) {
	upgrader := ws.HTTPUpgrader{Timeout: s.server.cfg.WriteTimeout}
	conn, buffers, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, err
	}
	return &webSocket{
		conn:    conn,
		frames:  frameReader{r: buffers.Reader, limit: s.server.cfg.MaxPayload},
		timeout: s.server.cfg.WriteTimeout,
		w:       buffers.Writer,
	}, nil
}

// send writes first, and what waits in more, as text messages.
func (c *webSocket) send(first []byte, more <-chan []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return errSocketLost
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.timeout))
	if err := c.frame(ws.OpText, first); err != nil {
		return err
	}
	for range maxWriteBatch {
		select {
		case next := <-more:
			if err := c.frame(ws.OpText, next); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	return c.w.Flush()
}

// frame buffers one frame. The caller holds mu.
func (c *webSocket) frame(op ws.OpCode, payload []byte) error {
	header := ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))}
	if err := ws.WriteHeaderBuffer(c.w, header, c.header[:]); err != nil {
		return err
	}
	_, err := c.w.Write(payload)
	return err
}

// read returns the next text message, and answers pings on the way. The bytes
// are good until the next call.
func (c *webSocket) read() ([]byte, error) {
	for {
		op, payload, err := c.frames.next()
		switch {
		case err != nil:
			return nil, readCause(err)
		case op == ws.OpText:
			return payload, nil
		case op == ws.OpPing:
			if err := c.pong(payload); err != nil {
				return nil, errSocketLost
			}
		case op == ws.OpClose:
			return nil, closedByPeer(payload)
		}
	}
}

// readCause keeps an error that we made ourselves and hides the network's, which holds an
// address.
func readCause(err error) error {
	switch {
	case errors.Is(err, errBinary), errors.Is(err, errTooBig), errors.Is(err, errNotUTF8), errors.As(err, new(ws.ProtocolError)):
		return err
	}
	return errSocketLost
}

func (c *webSocket) pong(payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.timeout))
	if err := c.frame(ws.OpPong, payload); err != nil {
		return err
	}
	return c.w.Flush()
}

func (c *webSocket) expect(want string) error {
	got, err := c.read()
	if err == nil && string(got) != want {
		err = errGarbage
	}
	return err
}

// close sends a close frame, the last of all frames, and gives the peer a moment to
// answer. A write that is stuck with a peer that does not read ends within that moment
// too.
func (c *webSocket) close(status ws.StatusCode) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(closeWait))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.closing = true
		// A sender may have moved it before we had mu.
		_ = c.conn.SetWriteDeadline(time.Now().Add(closeWait))
		if c.frame(ws.OpClose, ws.NewCloseFrameBody(status, "")) == nil {
			_ = c.w.Flush()
		}
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(closeWait))
}

// hangUp ends the TCP connection: our half at once, which tells the peer to end
// its own, and the whole after what the peer still sends has been read, because
// otherwise TCP may throw away our close frame. close has set a deadline for this.
func (c *webSocket) hangUp() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c.conn)
	}
	_ = c.conn.Close()
}

// peerClosed is the end of a WebSocket that the client closed.
type peerClosed struct{ status ws.StatusCode }

func (*peerClosed) Error() string { return "client closed the WebSocket" }

// closedByPeer checks a close frame and says how to answer it.
func closedByPeer(payload []byte) error {
	if len(payload) == 0 {
		return &peerClosed{ws.StatusNormalClosure}
	}
	status, reason := ws.ParseCloseFrameData(payload)
	if len(payload) == 1 || ws.CheckCloseFrameData(status, reason) != nil {
		return ws.ErrProtocolStatusCodeUnknown
	}
	return &peerClosed{status}
}
