package socketio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

// Clients that speak the wire by hand, and may break every rule of it.

type answer struct {
	status int
	header http.Header
	body   string
}

// request sends one HTTP request. query is added to EIO=4.
func (c clinic) request(t *testing.T, method, query, body string, header http.Header) answer {
	t.Helper()
	got, err := c.try(within(t), method, "EIO=4&"+query, body, header)
	require.NoError(t, err)
	return got
}

func (c clinic) try(ctx context.Context, method, query, body string, header http.Header) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+"/socket.io/?"+query, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// sendRaw opens a connection and writes text to it.
func (c clinic) sendRaw(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

func (a answer) refused(t *testing.T, status, code int) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	var body struct {
		Code    *int
		Message string
	}
	require.NoError(t, json.Unmarshal([]byte(a.body), &body), a.body)
	require.NotNil(t, body.Code)
	require.Equal(t, code, *body.Code)
	require.NotEmpty(t, body.Message)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
}

// poller is a polling session by hand.
type poller struct {
	clinic
	sid    string
	header http.Header
}

func (c clinic) openPolling(t *testing.T, header http.Header) poller {
	t.Helper()
	opened := c.request(t, "GET", "transport=polling", "", header)
	require.Equal(t, 200, opened.status, opened.body)
	var body struct{ SID string }
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(opened.body, "0")), &body))
	require.Len(t, body.SID, 26)
	return poller{c, body.SID, header}
}

// connectPolling opens a session and enters the default namespace.
func (c clinic) connectPolling(t *testing.T) poller {
	t.Helper()
	p := c.openPolling(t, nil)
	require.Equal(t, "ok", p.post(t, "40").body)
	connected := false
	for !connected {
		for packet := range strings.SplitSeq(p.get(t).body, "\x1e") {
			if packet == "2" { // where heartbeats are fast
				require.Equal(t, "ok", p.post(t, "3").body)
				continue
			}
			require.Regexp(t, `^40\{"sid":"[A-Z2-7]{26}"(,"pid":"[\w-]+")?\}$`, packet)
			connected = true
		}
	}
	return p
}

func (p poller) query() string { return "transport=polling&sid=" + p.sid }

func (p poller) get(t *testing.T) answer {
	t.Helper()
	return p.request(t, "GET", p.query(), "", p.header)
}

// hears polls until all these packets have come, and no other.
func (p poller) hears(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for len(got) < len(want) {
		answer := p.get(t)
		require.Equal(t, 200, answer.status, answer.body)
		got = append(got, strings.Split(answer.body, "\x1e")...)
	}
	require.Equal(t, want, got)
}

// join enters a room as polling clients do: the POST is answered before the join is.
func (p poller) join(t *testing.T, clinic string) {
	t.Helper()
	require.Equal(t, "ok", p.post(t, `4209["join-clinic",`+clinic+`]`).body)
	p.hears(t, `4309[{"ok":true}]`)
}

// getInBackground returns when the poll has reached the server. It yields the
// zero answer if the request fails.
func (p poller) getInBackground(t *testing.T) <-chan answer {
	t.Helper()
	ctx := within(t)
	result := make(chan answer, 1)
	before := p.polls.begun.Load()
	go func() {
		got, _ := p.try(ctx, "GET", "EIO=4&"+p.query(), "", p.header)
		result <- got
	}()
	require.Eventually(t, func() bool { return p.polls.begun.Load() > before }, 5*time.Second, time.Millisecond)
	return result
}

func (p poller) post(t *testing.T, body string) answer {
	t.Helper()
	return p.request(t, "POST", p.query(), body, p.header)
}

// gone requires that the server has ended the session.
func (p poller) gone(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return p.hub.Stats().Connections == 0 }, 20*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return p.get(t).status == 400 }, 5*time.Second, time.Millisecond)
	p.get(t).refused(t, 400, 1)
	p.post(t, "3").refused(t, 400, 1)
}

// socket is a WebSocket by hand.
type socket struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (c clinic) dialSocket(t *testing.T, query string, header http.Header) socket {
	t.Helper()
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	conn, buffered, _, err := dialer.Dial(within(t), strings.Replace(c.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket"+query)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if buffered == nil {
		buffered = bufio.NewReader(conn)
	}
	require.NoError(t, conn.SetDeadline(time.Now().Add(3*time.Minute)))
	return socket{t, conn, buffered}
}

func (c clinic) openSocket(t *testing.T) socket {
	t.Helper()
	s := c.dialSocket(t, "", nil)
	require.True(t, strings.HasPrefix(s.text(), `0{"sid":"`))
	return s
}

// connectSocket opens a session and enters the default namespace.
func (c clinic) connectSocket(t *testing.T) socket {
	t.Helper()
	s := c.openSocket(t)
	s.send("40")
	welcome := s.text()
	for welcome == "2" { // where heartbeats are fast
		s.send("3")
		welcome = s.text()
	}
	require.Regexp(t, `^40\{"sid":"[A-Z2-7]{26}"(,"pid":"[\w-]+")?\}$`, welcome)
	return s
}

func (s socket) frame(f ws.Frame) {
	s.t.Helper()
	require.NoError(s.t, ws.WriteFrame(s.conn, ws.MaskFrame(f)))
}

func (s socket) send(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		s.frame(ws.NewTextFrame([]byte(text)))
	}
}

func (s socket) read() (ws.OpCode, string) {
	s.t.Helper()
	header, err := ws.ReadHeader(s.r)
	require.NoError(s.t, err)
	require.False(s.t, header.Masked)
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(s.r, payload)
	require.NoError(s.t, err)
	return header.OpCode, string(payload)
}

func (s socket) text() string {
	s.t.Helper()
	op, text := s.read()
	require.Equal(s.t, ws.OpText, op, "close status %q", text)
	return text
}

// closed requires a close frame with status and then the end of the TCP connection.
func (s socket) closed(status ws.StatusCode) {
	s.t.Helper()
	op, payload := s.read()
	require.Equal(s.t, ws.OpClose, op, payload)
	got, _ := ws.ParseCloseFrameData([]byte(payload))
	require.Equal(s.t, status, got)
	_, err := s.r.ReadByte()
	require.ErrorIs(s.t, err, io.EOF)
}
