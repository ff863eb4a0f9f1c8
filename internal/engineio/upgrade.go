package engineio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/telemed-go/telemed"
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

// openWebSocket begins a session on a WebSocket.
func (s *Session) openWebSocket(w http.ResponseWriter, r *http.Request) {
	ok := s.do(func() {
		ws, err := s.accept(w, r)
		if err != nil {
			s.Close(errSocketLost)
			return
		}
		s.goOn(ws, s.serveOpened)
	})
	if !ok {
		unavailable.write(w)
	}
}

// goOn serves ws in a goroutine of its own, so that the request's may end: a connection
// needs neither its headers nor net/http's buffers and stack.
func (s *Session) goOn(ws *webSocket, serve func(*webSocket)) {
	served := false
	closeUnserved := func() {
		if !served { // the session has ended, or there was a panic
			_ = ws.conn.Close()
		}
	}
	ok := s.start(func() {
		defer closeUnserved()
		serve(ws)
		served = true
	})
	if !ok {
		closeUnserved()
	}
}

func (s *Session) serveOpened(ws *webSocket) {
	if err := ws.say(textFrame(s.server.openPacket(s.id))); err != nil {
		s.Close(errSocketLost)
	}
	s.promote(ws)
	s.serve(ws)
}

// upgrade moves a session from polling to a WebSocket. If the client does not complete the
// change, polling goes on.
func (s *Session) upgrade(w http.ResponseWriter, r *http.Request) {
	probes := s.startProbe()
	ws, err := s.accept(w, r)
	switch {
	case err != nil && probes:
		s.setPhase(polling)
	case err != nil:
	case probes:
		s.goOn(ws, s.serveUpgraded)
	default: // there is one already: clients raise an HTTP error, and understand a close
		ws.close(statusOf(errSecond))
		ws.hangUp()
	}
}

func (s *Session) serveUpgraded(ws *webSocket) {
	if err := s.probe(ws); err != nil {
		s.setPhase(polling)
		ws.close(statusOf(err))
		_ = ws.conn.Close() // nobody waits for the peer's answer on a probe
		return
	}
	s.serve(ws)
}

// probe has the conversation by which client and server agree to change over.
func (s *Session) probe(ws *webSocket) error {
	_ = ws.conn.SetReadDeadline(time.Now().Add(s.server.cfg.UpgradeTimeout))
	stop := context.AfterFunc(s.Context(), func() { _ = ws.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	if err := ws.expect("2probe"); err != nil {
		return err
	}
	if err := ws.say(textFrame([]byte("3probe"))); err != nil {
		return err
	}
	s.changePolls(pausing)
	if err := ws.expect(string(packetUpgrade)); err != nil {
		return err
	}
	if !stop() || !s.promote(ws) {
		return telemed.ErrClosed
	}
	return ws.conn.SetReadDeadline(time.Time{})
}

// serve reads until the session ends, however it ends, and says goodbye. After a message that
// took more than a small stack it goes on in a new goroutine: stacks of this size are never
// given back, and most connections are idle for the rest of their lives.
func (s *Session) serve(ws *webSocket) {
	goesOn := false
	defer func() {
		if !goesOn {
			s.hangUp(ws)
		}
	}()
	for !s.isOver() && !s.left {
		ws.frames.in.wait() // in read, the smallest stack would not suffice
		message, binary, err := ws.read()
		small := err == nil && len(message) == 1 // the answer to a heartbeat
		switch {
		case err != nil:
		case binary:
			err = s.handler.Message(message, true)
		default:
			err = s.packet(message)
		}
		if peer, ok := errors.AsType[*peerClosed](err); ok {
			s.goodbye(peer)
		} else if err != nil {
			s.Close(err)
		}
		if !small && !s.left && ws.frames.in.buffered() == 0 {
			if goesOn = s.start(func() { s.serve(ws) }); goesOn {
				return
			}
		}
	}
	<-s.Done() // after a goodbye, the worker ends the session
}

func (s *Session) hangUp(ws *webSocket) {
	s.Close(errSocketLost) // it has ended already, unless there was a panic
	ws.close(statusOf(s.why()))
	ws.hangUp()
}

// statusOf is the close code with which a WebSocket ends.
func statusOf(cause error) ws.StatusCode {
	if peer, ok := errors.AsType[*peerClosed](cause); ok {
		return peer.status
	}
	switch {
	case errors.Is(cause, errClientLeft):
		return ws.StatusNormalClosure
	case errors.Is(cause, ErrUnsupported):
		return ws.StatusUnsupportedData
	case errors.Is(cause, errNotUTF8):
		return ws.StatusInvalidFramePayloadData
	case errors.Is(cause, errTooBig):
		return ws.StatusMessageTooBig
	case errors.Is(cause, telemed.ErrClosed), errors.Is(cause, telemed.ErrUnavailable), errors.Is(cause, errPingTimeout):
		return ws.StatusGoingAway
	case errors.As(cause, new(ws.ProtocolError)):
		return ws.StatusProtocolError
	}
	return ws.StatusPolicyViolation
}

func (s *Session) accept(w http.ResponseWriter, r *http.Request) (*webSocket, error) {
	upgrader := ws.HTTPUpgrader{Timeout: s.server.cfg.WriteTimeout}
	conn, buffers, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		return nil, err
	}
	frames := frameReader{in: smallReader{from: behind(buffers.Reader, conn)}, limit: s.server.cfg.MaxPayload}
	ws := &webSocket{conn: conn, session: s, frames: frames}
	ws.raw.open(conn)
	return ws, nil
}

// behind returns a reader of what the client has sent with its handshake, which is in early,
// and then of conn.
func behind(early *bufio.Reader, conn net.Conn) io.Reader {
	if early.Buffered() == 0 {
		return conn
	}
	head, _ := early.Peek(early.Buffered()) // it is there
	return io.MultiReader(bytes.NewReader(bytes.Clone(head)), conn)
}
