package engineio

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
)

// world is a server in memory, in a bubble of synctest.
type world struct {
	t      *testing.T
	engine *Server
	at     *fake.Listener
	http   *http.Transport
}

// inMemory runs test with a server that echoes, unless cfg says otherwise.
func inMemory(t *testing.T, cfg Config, test func(w world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		if cfg.Open == nil {
			cfg.Open = func(s *Session, _ *http.Request) (Handler, error) { return echo{s}, nil }
		}
		l, err := fake.Listen("", true)
		require.NoError(t, err)
		w := world{t, newServer(t, cfg), l, &http.Transport{DialContext: l.Dial}}
		server := &http.Server{Handler: w.engine}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(l) }()
		t.Cleanup(func() {
			require.NoError(t, w.engine.Shutdown(context.Background()))
			w.http.CloseIdleConnections()
			require.NoError(t, server.Close())
			require.ErrorIs(t, <-ended, http.ErrServerClosed)
		})
		test(w)
	})
}

// echo sends back what a session hears.
type echo struct{ session *Session }

func (e echo) Message(data []byte, binary bool) error {
	if binary {
		e.session.Send(Binary(data))
	} else {
		e.session.Send(Text(data))
	}
	return nil
}

func (e echo) Wait()      { e.session.Wait() }
func (echo) Beat()        {}
func (echo) Closed(error) {}

const poll, socket = "EIO=4&transport=polling", "EIO=4&transport=websocket"

type answer struct {
	status int
	body   string
}

func (w world) try(ctx context.Context, method, query, body string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+w.at.Address()+"/engine.io/?"+query, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	response, err := w.http.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(text)}, err
}

func (w world) ask(method, query, body string) answer {
	w.t.Helper()
	got, err := w.try(w.t.Context(), method, query, body)
	require.NoError(w.t, err)
	return got
}

// begin asks in the background.
func (w world) begin(method, query, body string) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		answer, _ := w.try(w.t.Context(), method, query, body)
		got <- answer
	}()
	synctest.Wait() // it has arrived, and waits if it is to
	return got
}

// opened is the first packet of a session.
type opened struct {
	SID                                   string
	Upgrades                              []string
	PingInterval, PingTimeout, MaxPayload int
}

func (w world) parse(packet string) (open opened) {
	w.t.Helper()
	require.True(w.t, strings.HasPrefix(packet, "0"), packet)
	decoder := json.NewDecoder(strings.NewReader(packet[1:]))
	decoder.DisallowUnknownFields()
	require.NoError(w.t, decoder.Decode(&open))
	return open
}

// open begins a session over polling, and returns the query of its polls.
func (w world) open() (polls string) {
	w.t.Helper()
	return poll + "&sid=" + w.parse(w.ask("GET", poll, "").body).SID
}

// wire is a client's end of a WebSocket.
type wire struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (w world) tryDial(query string) (wire, error) {
	dialer := ws.Dialer{NetDial: w.at.Dial}
	conn, early, _, err := dialer.Dial(w.t.Context(), "ws://"+w.at.Address()+"/engine.io/?"+query)
	if err != nil {
		return wire{}, err
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	if early == nil {
		early = bufio.NewReader(conn)
	}
	return wire{w.t, conn, early}, nil
}

func (w world) dial(query string) wire {
	w.t.Helper()
	c, err := w.tryDial(query)
	require.NoError(w.t, err)
	return c
}

// openSocket begins a session over a WebSocket.
func (w world) openSocket() wire {
	w.t.Helper()
	c := w.dial(socket)
	w.parse(c.text())
	return c
}

// probe asks for the upgrade of a session that polls.
func (w world) probe(polls string) wire {
	w.t.Helper()
	c := w.dial(strings.Replace(polls, "polling", "websocket", 1))
	c.send("2probe")
	require.Equal(w.t, "3probe", c.text())
	return c
}

func (c wire) frame(f ws.Frame) {
	c.t.Helper()
	require.NoError(c.t, ws.WriteFrame(c.conn, ws.MaskFrame(f)))
}

func (c wire) send(text string) {
	c.t.Helper()
	c.frame(ws.NewTextFrame([]byte(text)))
}

func (c wire) read() (ws.OpCode, string) {
	c.t.Helper()
	header, err := ws.ReadHeader(c.r)
	require.NoError(c.t, err)
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(c.r, payload)
	require.NoError(c.t, err)
	return header.OpCode, string(payload)
}

func (c wire) text() string {
	c.t.Helper()
	op, text := c.read()
	require.Equal(c.t, ws.OpText, op, "%q", text)
	return text
}

// closed requires a close frame behind what still comes, and the end of the connection.
func (c wire) closed() (status ws.StatusCode) {
	c.t.Helper()
	op, text := c.read()
	for op != ws.OpClose {
		op, text = c.read()
	}
	_, err := c.r.ReadByte()
	require.ErrorIs(c.t, err, io.EOF)
	status, _ = ws.ParseCloseFrameData([]byte(text))
	return status
}

const moment = 10 * time.Millisecond

// quiet is for panics that are planted.
var quiet = slog.New(slog.DiscardHandler)
