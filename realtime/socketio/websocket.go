package socketio

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const (
	// closeWait is how long a peer may take to answer our close frame.
	closeWait = time.Second
	// maxWriteBatch is how many packets are written under one deadline.
	maxWriteBatch = 64
)

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
