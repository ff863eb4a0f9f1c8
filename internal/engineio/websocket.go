package engineio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

const (
	// closeWait is how long a peer may take to answer our close frame.
	closeWait = time.Second
	// maxChunk is how many bytes a blocking write has at once. A whole frame may be longer.
	maxChunk = 64 << 10
)

// webSocket is the server's end of a WebSocket. One goroutine reads; any may write.
//
// A write does not block. What the socket does not take waits, and a goroutine writes it
// that exists only meanwhile.
type webSocket struct {
	mu      sync.Mutex
	partial bool          // the head of the first of pending is written
	broken  bool          // no byte may follow
	drained chan struct{} // closed when the goroutine ends; nil if there is none
	raw     rawSocket     // not there where only conn may be written to
	bye     []byte        // our close frame: nothing may follow it
	pending queue         // whole frames, save the first if partial

	conn    net.Conn
	session *Session
	shared  bool // others write too: control frames go among theirs; the reader's own
	frames  frameReader
}

// put writes messages, and keeps what the socket does not take: so many bytes wait.
func (c *webSocket) put(from Sender, messages [][]byte, joined []byte) (waiting int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || c.bye != nil || (c.drained == nil && len(c.pending.messages) > 0) {
		return 0, errSocketLost
	}
	if c.drained != nil {
		return c.keep(from, messages), nil
	}
	n := 0
	if c.raw.there() {
		if n, err = c.raw.write(joined); err != nil {
			c.broken = true
			return 0, errSocketLost
		}
	}
	if n == len(joined) {
		return 0, nil
	}
	for n >= len(messages[0]) {
		n -= len(messages[0])
		messages = messages[1:]
	}
	waiting = c.keep(from, [][]byte{messages[0][n:]})
	waiting += c.keep(from, messages[1:])
	c.partial = n > 0
	c.drained = make(chan struct{})
	if !c.session.start(c.drain) { // it has ended: close writes what is left of a frame
		close(c.drained)
		c.drained = nil
		return 0, errSocketLost
	}
	return waiting, nil
}

func (c *webSocket) keep(from Sender, messages [][]byte) int {
	n := c.pending.add(from, messages)
	c.session.out.gauge.add(n)
	return n
}

func (c *webSocket) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drained != nil
}

// drain writes what waits, until nothing does.
func (c *webSocket) drain() {
	over := false
	defer func() {
		if !over { // an error, or a panic
			c.giveUp()
		}
	}()
	for chunk, shares := c.chunk(); chunk != nil; chunk, shares = c.chunk() {
		if err := c.write(chunk); err != nil {
			c.session.Close(err)
			return
		}
		c.session.out.gone(shares)
		if !bytes.Equal(chunk, pingMessage) { // which every socket takes
			c.session.moved.Store(true)
		}
	}
	over = true // the next drain may have begun already: what is in c is not ours
}

// giveUp ends the drain that calls it before its time.
func (c *webSocket) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken, c.pending = true, queue{}
	close(c.drained)
	c.drained = nil
}

// chunkSize is how many bytes a blocking write has at once. Under TLS a write that has
// taken too long cannot be taken up again: there, so many must be taken within the timeout.
func (c *webSocket) chunkSize() int {
	if !c.raw.there() {
		return maxChunk / 4
	}
	return maxChunk
}

// chunk takes whole frames from what waits. With nil the drain has ended, and our close
// frame, if there is one, is out.
func (c *webSocket) chunk() (chunk []byte, shares []share) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending.messages) == 0 {
		if c.bye != nil {
			_, _ = c.conn.Write(c.bye)
		} else {
			_ = c.conn.SetWriteDeadline(time.Time{}) // once passed, it would fail the next write
		}
		close(c.drained)
		c.drained = nil
		return nil, nil
	}
	part := c.pending.cut(c.pending.batch(c.chunkSize()))
	c.partial = false
	if len(part.messages) == 1 {
		return part.messages[0], part.shares
	}
	return bytes.Join(part.messages, nil), part.shares
}

// write blocks until b is written, or the peer takes no byte for the timeout.
func (c *webSocket) write(b []byte) error {
	for len(b) > 0 {
		c.mu.Lock()
		closing := c.bye != nil
		if !closing {
			_ = c.conn.SetWriteDeadline(time.Now().Add(c.session.server.cfg.WriteTimeout))
		}
		c.mu.Unlock()
		n, err := c.conn.Write(b[:min(len(b), c.chunkSize())])
		b = b[n:]
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return errSocketLost
		case closing, n == 0, !c.raw.there(): // TLS cannot go on after a deadline
			return ErrSlow
		}
	}
	return nil
}

// say writes one packet and blocks. It is for what comes before put.
func (c *webSocket) say(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken || c.bye != nil {
		return errSocketLost
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.session.server.cfg.WriteTimeout))
	if _, err := c.conn.Write(frame); err != nil {
		c.broken = true
		return errSocketLost
	}
	_ = c.conn.SetWriteDeadline(time.Time{})
	return nil
}

// read returns the next message, and answers pings on the way. The bytes are good until
// the next call.
func (c *webSocket) read() (message []byte, binary bool, err error) {
	for {
		op, payload, err := c.frames.next()
		switch {
		case err != nil:
			return nil, false, readCause(err)
		case op == ws.OpText, op == ws.OpBinary:
			return payload, op == ws.OpBinary, nil
		case op == ws.OpPing:
			if err := c.pong(payload); err != nil {
				return nil, false, errSocketLost
			}
		case op == ws.OpClose:
			return nil, false, closedByPeer(payload)
		}
	}
}

// readCause keeps an error that we made ourselves and hides the network's, which holds an
// address.
func readCause(err error) error {
	switch {
	case errors.Is(err, errTooBig), errors.Is(err, errNotUTF8), errors.As(err, new(ws.ProtocolError)):
		return err
	}
	return errSocketLost
}

func (c *webSocket) pong(payload []byte) error {
	frame := frameOf(ws.OpPong, payload)
	if !c.shared {
		return c.say(frame)
	}
	c.session.Send(frame)
	c.session.Wait() // whoever asks faster than it reads is not read meanwhile
	return nil
}

func (c *webSocket) expect(want string) error {
	got, binary, err := c.read()
	if err == nil && (binary || string(got) != want) {
		err = ErrGarbage
	}
	return err
}

// close sends a close frame, the last of all frames, and gives the peer a moment to
// answer. A frame that is partly written ends before it, and what else waits is dropped. A
// peer that does not read has only that moment.
func (c *webSocket) close(status ws.StatusCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bye == nil {
		c.bye = frameOf(ws.OpClose, ws.NewCloseFrameBody(status, ""))
		_ = c.conn.SetWriteDeadline(time.Now().Add(closeWait))
		first := queue{}
		if c.partial {
			first = c.pending.cut(1)
		}
		c.pending = first
		if c.drained == nil && !c.broken {
			_, _ = c.conn.Write(append(bytes.Join(first.messages, nil), c.bye...))
		}
	}
	for c.drained != nil { // the drain ends with our close frame
		drained := c.drained
		c.mu.Unlock()
		<-drained
		c.mu.Lock()
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
