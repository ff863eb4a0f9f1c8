package socketio

import (
	"context"
	"encoding/base64"
	"errors"
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

// openWebSocket begins a session on a WebSocket and stays until it ends.
func (s *session) openWebSocket(w http.ResponseWriter, r *http.Request) {
	ok := s.conn.Do(func() {
		ws, err := s.accept(w, r)
		if err != nil {
			s.conn.Close(errSocketLost)
			return
		}
		if err := ws.say(textFrame(s.server.openPacket(s.sid))); err != nil {
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
	if err := ws.say(textFrame([]byte("3probe"))); err != nil {
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
			s.pause()
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
		raw:     rawConn(conn),
		spawn:   s.conn.Go,
		sent:    s.conn.Sent,
		lost:    s.conn.Close,
		frames:  frameReader{r: buffers.Reader, limit: s.server.cfg.MaxPayload},
		timeout: s.server.cfg.WriteTimeout,
	}, nil
}
