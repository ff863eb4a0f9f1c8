package realtimetest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// maxMessage bounds what a confused server can make the client keep, in bytes.
const maxMessage = 64 << 20

// socket is a wire on a WebSocket.
type socket struct {
	conn net.Conn
	r    *bufio.Reader
	mu   sync.Mutex // one frame after the other
}

func dialWebSocket(ctx context.Context, endpoint *url.URL, options Options) (wire, error) {
	address := withQuery(endpoint, WebSocket, "")
	address.Scheme = strings.Replace(address.Scheme, "http", "ws", 1)

	var refusal *HandshakeError
	dialer := ws.Dialer{
		Header:    ws.HandshakeHeaderHTTP(options.Header),
		TLSConfig: options.TLS,
		OnStatusError: func(status int, _ []byte, response io.Reader) {
			refusal = &HandshakeError{Status: status, Code: -1}
			if parsed, err := http.ReadResponse(bufio.NewReader(response), nil); err == nil {
				refusal = newHandshakeError(status, readText(parsed.Body))
				_ = parsed.Body.Close()
			}
		},
	}
	conn, buffered, _, err := dialer.Dial(ctx, address.String())
	if refusal != nil {
		return nil, refusal
	}
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, r: buffered}
	if buffered == nil { // nothing came right behind the handshake
		s.r = bufio.NewReader(conn)
	}
	if _, err := firstPacket(s.read(ctx)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// handshake is what the client needs of the server's first packet.
type handshake struct {
	SID string `json:"sid"`
}

// firstPacket takes what read returned first.
func firstPacket(packets []string, err error) (handshake, error) {
	var opened handshake
	if err != nil {
		return opened, err
	}
	if len(packets) == 0 || !strings.HasPrefix(packets[0], "0") || json.Unmarshal([]byte(packets[0][1:]), &opened) != nil {
		return opened, errors.New("the first packet does not open a session")
	}
	return opened, nil
}

func newHandshakeError(status int, body string) *HandshakeError {
	answer := struct {
		Code    int
		Message string
	}{Code: -1}
	if json.Unmarshal([]byte(body), &answer) != nil {
		answer.Code = -1
	}
	return &HandshakeError{Status: status, Code: answer.Code, Reason: answer.Message}
}

func readText(r io.Reader) string {
	// An error page that breaks off is still worth reading.
	text, _ := io.ReadAll(io.LimitReader(r, 64<<10))
	return string(text)
}

func withQuery(endpoint *url.URL, transport Transport, sid string) *url.URL {
	address := *endpoint
	query := address.Query()
	query.Set("EIO", "4")
	query.Set("transport", string(transport))
	if sid != "" {
		query.Set("sid", sid)
	}
	address.RawQuery = query.Encode()
	return &address
}

func (s *socket) read(ctx context.Context) ([]string, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		header, err := ws.ReadHeader(s.r)
		if err != nil {
			return nil, err
		}
		if header.Length > maxMessage || header.Masked || !header.Fin {
			return nil, errors.New("unexpected form of a frame")
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(s.r, payload); err != nil {
			return nil, err
		}
		switch header.OpCode {
		case ws.OpText:
			return []string{string(payload)}, nil
		case ws.OpBinary: // as polls carry it
			return []string{"b" + base64.StdEncoding.EncodeToString(payload)}, nil
		case ws.OpPing:
			err = s.frame(ctx, ws.OpPong, payload)
		case ws.OpClose:
			status, _ := ws.ParseCloseFrameData(payload)
			_ = s.frame(ctx, ws.OpClose, payload) // the connection ends either way
			return nil, fmt.Errorf("the server closed the WebSocket with status %d", status)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *socket) write(ctx context.Context, packet string) error {
	return s.frame(ctx, ws.OpText, []byte(packet))
}

func (s *socket) frame(ctx context.Context, op ws.OpCode, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	return ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewFrame(op, true, payload)))
}

// close says goodbye if that takes no time, and hangs up.
func (s *socket) close() {
	if s.mu.TryLock() {
		_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_ = ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, ""))))
		s.mu.Unlock()
	}
	_ = s.conn.Close()
}
