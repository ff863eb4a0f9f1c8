package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime/socketio"
)

// What the official text of Socket.IO's protocol asks of a server, clause by clause:
// https://socket.io/docs/v4/socket-io-protocol/#test-suite

// start serves what the program does. With slow heartbeats they disturb no clause.
func start(t *testing.T, change func(*socketio.Config)) string {
	t.Helper()
	cfg := config()
	change(&cfg)
	live, err := socketio.New(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(live)
	t.Cleanup(func() {
		require.NoError(t, live.Shutdown(context.Background()))
		server.Close()
	})
	return server.URL + "/socket.io/?"
}

func calm(cfg *socketio.Config) {
	cfg.PingInterval, cfg.PingTimeout, cfg.ConnectTimeout = time.Minute, time.Minute, time.Minute
}

// patient is for the clauses about heartbeats that are answered.
func patient(cfg *socketio.Config) { cfg.PingTimeout, cfg.ConnectTimeout = time.Minute, time.Minute }

// hasty is for those about heartbeats that are not.
func hasty(cfg *socketio.Config) { cfg.ConnectTimeout = time.Minute }

func request(t *testing.T, method, url, body string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(got)
}

func refused(t *testing.T, method, url string) {
	t.Helper()
	status, _ := request(t, method, url, "")
	require.Equal(t, http.StatusBadRequest, status)
}

// opened checks the packet that opens a session and returns its id.
func opened(t *testing.T, packet string, cfg socketio.Config, upgrades ...any) (sid string) {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(packet, "0")), &fields), packet)
	sid, _ = fields["sid"].(string)
	require.NotEmpty(t, sid)
	require.Equal(t, map[string]any{
		"sid": sid, "upgrades": append([]any{}, upgrades...), "maxPayload": 1e6,
		"pingInterval": float64(cfg.PingInterval.Milliseconds()), "pingTimeout": float64(cfg.PingTimeout.Milliseconds()),
	}, fields)
	return sid
}

func poll(t *testing.T, base string) (url string) {
	t.Helper()
	status, packet := request(t, "GET", base+"EIO=4&transport=polling", "")
	require.Equal(t, http.StatusOK, status)
	var fields struct{ SID string }
	require.NoError(t, json.Unmarshal([]byte(packet[1:]), &fields))
	return base + "EIO=4&transport=polling&sid=" + fields.SID
}

// socket is a WebSocket by hand.
type socket struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, url string) socket {
	t.Helper()
	conn, early, _, err := ws.DefaultDialer.Dial(t.Context(), strings.Replace(url, "http", "ws", 1))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	if early == nil {
		early = bufio.NewReader(conn)
	}
	return socket{t, conn, early}
}

// open begins a session on a WebSocket.
func open(t *testing.T, base string) socket {
	t.Helper()
	s := dial(t, base+"EIO=4&transport=websocket")
	require.True(t, strings.HasPrefix(s.read(), "0{"))
	return s
}

// connect enters the main namespace.
func connect(t *testing.T, base string) socket {
	t.Helper()
	s := open(t, base)
	s.send("40")
	s.entered("", "{}")
	return s
}

func (s socket) send(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		require.NoError(s.t, ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))))
	}
}

func (s socket) sendBinary(parts ...[]byte) {
	s.t.Helper()
	for _, part := range parts {
		require.NoError(s.t, ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewBinaryFrame(part))))
	}
}

func (s socket) frame() ws.Frame {
	s.t.Helper()
	frame, err := s.tryFrame()
	require.NoError(s.t, err)
	return frame
}

func (s socket) tryFrame() (frame ws.Frame, err error) {
	s.t.Helper()
	if frame.Header, err = ws.ReadHeader(s.r); err != nil {
		return frame, err
	}
	require.Less(s.t, frame.Header.Length, int64(1<<20))
	frame.Payload = make([]byte, frame.Header.Length)
	_, err = io.ReadFull(s.r, frame.Payload)
	return frame, err
}

func (s socket) read() string {
	s.t.Helper()
	frame := s.frame()
	require.Equal(s.t, ws.OpText, frame.Header.OpCode, "%q", frame.Payload)
	return string(frame.Payload)
}

func (s socket) reads(want string) {
	s.t.Helper()
	require.Equal(s.t, want, s.read())
}

func (s socket) readsBinary(parts ...[]byte) {
	s.t.Helper()
	for _, part := range parts {
		frame := s.frame()
		require.Equal(s.t, ws.OpBinary, frame.Header.OpCode)
		require.Equal(s.t, part, frame.Payload)
	}
}

// entered requires the answer to a connect packet, and the event that follows.
func (s socket) entered(namespace, auth string) {
	s.t.Helper()
	s.requireWelcome(namespace)
	s.reads("42" + namespace + `["auth",` + auth + "]")
}

func (s socket) requireWelcome(namespace string) {
	s.t.Helper()
	body, ok := strings.CutPrefix(s.read(), "40"+namespace)
	require.True(s.t, ok, body)
	var fields map[string]string
	require.NoError(s.t, json.Unmarshal([]byte(body), &fields))
	require.Equal(s.t, map[string]string{"sid": fields["sid"]}, fields)
	require.NotEmpty(s.t, fields["sid"])
}

// closed requires the end of the WebSocket, behind heartbeats at most.
func (s socket) closed() {
	s.t.Helper()
	frame, err := s.tryFrame()
	for err == nil && frame.Header.OpCode == ws.OpText {
		require.Equal(s.t, "2", string(frame.Payload))
		frame, err = s.tryFrame()
	}
	require.NotErrorIs(s.t, err, os.ErrDeadlineExceeded)
	if err == nil {
		require.Equal(s.t, ws.OpClose, frame.Header.OpCode)
	}
}

// clause is one of the text. It gets the address of a server, up to the query.
type clause struct {
	name   string
	change func(*socketio.Config)
	test   func(t *testing.T, base string)
}

func TestSocketIOText(t *testing.T) {
	t.Parallel()
	for _, part := range [][]clause{handshake, heartbeat, end, upgrade, connecting, leaving, messages} {
		for _, clause := range part {
			t.Run(clause.name, func(t *testing.T) {
				t.Parallel()
				clause.test(t, start(t, clause.change))
			})
		}
	}
}

const polls, sockets = "EIO=4&transport=polling", "EIO=4&transport=websocket"

func settings(change func(*socketio.Config)) socketio.Config {
	cfg := config()
	change(&cfg)
	return cfg
}

func asIs(*socketio.Config) {}

var handshake = []clause{
	{"a session over polling", asIs, func(t *testing.T, base string) {
		status, packet := request(t, "GET", base+polls, "")
		require.Equal(t, http.StatusOK, status)
		opened(t, packet, settings(asIs), "websocket")
	}},
	{"polling of another revision", calm, func(t *testing.T, base string) {
		refused(t, "GET", base+"transport=polling")
		refused(t, "GET", base+"EIO=abc&transport=polling")
	}},
	{"no transport", calm, func(t *testing.T, base string) {
		refused(t, "GET", base+"EIO=4")
		refused(t, "GET", base+"EIO=4&transport=abc")
	}},
	{"a handshake that is no GET", calm, func(t *testing.T, base string) {
		refused(t, "POST", base+polls)
		refused(t, "PUT", base+polls)
	}},
	{"a session over WebSocket", asIs, func(t *testing.T, base string) {
		opened(t, dial(t, base+sockets).read(), settings(asIs))
	}},
	{"a WebSocket of another revision", calm, func(t *testing.T, base string) {
		noSocket(t, base+"transport=websocket")
		noSocket(t, base+"EIO=abc&transport=websocket")
	}},
	{"a WebSocket without transport", calm, func(t *testing.T, base string) {
		noSocket(t, base+"EIO=4")
		noSocket(t, base+"EIO=4&transport=abc")
	}},
}

func noSocket(t *testing.T, url string) {
	t.Helper()
	conn, _, _, err := ws.DefaultDialer.Dial(t.Context(), strings.Replace(url, "http", "ws", 1))
	require.Error(t, err)
	if conn != nil {
		_ = conn.Close()
	}
}

var heartbeat = []clause{
	{"heartbeats of polls", patient, func(t *testing.T, base string) {
		url := poll(t, base)
		for range 3 {
			_, packet := request(t, "GET", url, "")
			require.Equal(t, "2", packet)
			status, _ := request(t, "POST", url, "3")
			require.Equal(t, http.StatusOK, status)
		}
	}},
	{"a poller that is silent", hasty, func(t *testing.T, base string) {
		url := poll(t, base)
		require.Eventually(t, func() bool {
			status, _ := request(t, "GET", url, "")
			return status == http.StatusBadRequest
		}, time.Minute, 10*time.Millisecond)
	}},
	{"heartbeats of a WebSocket", patient, func(t *testing.T, base string) {
		s := open(t, base)
		for range 3 {
			s.reads("2")
			s.send("3")
		}
	}},
	{"a WebSocket that is silent", hasty, func(t *testing.T, base string) {
		open(t, base).closed()
	}},
}

var end = []clause{
	{"a poller closes", calm, func(t *testing.T, base string) {
		url := poll(t, base)
		waits := make(chan string)
		go func() {
			answer, err := http.Get(url)
			if err != nil {
				waits <- err.Error()
				return
			}
			defer answer.Body.Close()
			text, _ := io.ReadAll(answer.Body)
			waits <- string(text)
		}()
		// Whether the poll is there first is nobody's to say: without it, the session is gone.
		status, _ := request(t, "POST", url, "1")
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, []string{"6", `{"code":1,"message":"Session ID unknown"}` + "\n"}, <-waits)
		refused(t, "GET", url)
	}},
	{"a WebSocket closes", calm, func(t *testing.T, base string) {
		s := open(t, base)
		s.send("1")
		s.closed()
	}},
}

// upgraded begins with polls and goes over to a WebSocket.
func upgraded(t *testing.T, base string) (s socket, url string) {
	t.Helper()
	url = poll(t, base)
	s = dial(t, strings.Replace(url, "polling", "websocket", 1))
	s.send("2probe")
	s.reads("3probe")
	s.send("5")
	return s, url
}

var upgrade = []clause{
	{"from polls to a WebSocket", calm, func(t *testing.T, base string) {
		s, _ := upgraded(t, base)
		s.send("40")
		s.entered("", "{}")
	}},
	{"a poll behind the upgrade", calm, func(t *testing.T, base string) {
		s, url := upgraded(t, base)
		s.send("40")
		s.entered("", "{}")
		refused(t, "GET", url)
	}},
	{"a WebSocket behind the upgrade", calm, func(t *testing.T, base string) {
		_, url := upgraded(t, base)
		dial(t, strings.Replace(url, "polling", "websocket", 1)).closed()
	}},
}

var connecting = []clause{
	{"the main namespace", calm, func(t *testing.T, base string) {
		connect(t, base)
	}},
	{"the main namespace with auth", calm, func(t *testing.T, base string) {
		s := open(t, base)
		s.send(`40{"token":"123"}`)
		s.entered("", `{"token":"123"}`)
	}},
	{"another namespace", calm, func(t *testing.T, base string) {
		s := open(t, base)
		s.send("40/custom,")
		s.entered("/custom,", "{}")
	}},
	{"another namespace with auth", calm, func(t *testing.T, base string) {
		s := open(t, base)
		s.send(`40/custom,{"token":"abc"}`)
		s.entered("/custom,", `{"token":"abc"}`)
	}},
	{"a namespace that there is not", calm, func(t *testing.T, base string) {
		s := open(t, base)
		s.send("40/random")
		s.reads(`44/random,{"message":"Invalid namespace"}`)
	}},
	{"no connect packet", calm, func(t *testing.T, base string) {
		s := open(t, base)
		s.send("4abc")
		s.closed()
	}},
	{"nothing", func(cfg *socketio.Config) { cfg.PingInterval = time.Minute }, func(t *testing.T, base string) {
		open(t, base).closed()
	}},
}

var leaving = []clause{
	{"the main namespace", patient, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send("41")
		s.reads("2")
	}},
	{"another namespace", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send("40/custom")
		s.entered("/custom,", "{}")
		s.send("41/custom", `42["message","message to main namespace"]`)
		s.reads(`42["message-back","message to main namespace"]`)
	}},
}

const twoParts = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`

var parts = [][]byte{{1, 2, 3}, {4, 5, 6}}

var messages = []clause{
	{"an event", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send(`42["message",1,"2",{"3":[true]}]`)
		s.reads(`42["message-back",1,"2",{"3":[true]}]`)
	}},
	{"an event with attachments", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send(`452-["message",` + twoParts + "]")
		s.sendBinary(parts...)
		s.reads(`452-["message-back",` + twoParts + "]")
		s.readsBinary(parts...)
	}},
	{"an acknowledgement", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send(`42456["message-with-ack",1,"2",{"3":[false]}]`)
		s.reads(`43456[1,"2",{"3":[false]}]`)
	}},
	{"an acknowledgement with attachments", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send(`452-789["message-with-ack",` + twoParts + "]")
		s.sendBinary(parts...)
		s.reads("462-789[" + twoParts + "]")
		s.readsBinary(parts...)
	}},
	{"an unknown packet", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send("4abc")
		s.closed()
	}},
	{"an event that is no list", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send("42{}")
		s.closed()
	}},
	{"an id that is no number", calm, func(t *testing.T, base string) {
		s := connect(t, base)
		s.send(`42abc["message-with-ack",1,"2",{"3":[false]}]`)
		s.closed()
	}},
}
