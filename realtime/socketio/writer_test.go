package socketio_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// narrow is a listener whose connections take few bytes at once.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(32 << 10)
	}
	return conn, err
}

// eachWriter runs a test where the socket is written to, and where TLS is between.
func eachWriter(t *testing.T, test func(t *testing.T, begin func(*httptest.Server))) {
	for name, begin := range map[string]func(*httptest.Server){"TCP": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(server *httptest.Server) {
				server.Listener = narrow{server.Listener}
				begin(server)
			})
		})
	}
}

// narrowSocket is in the default namespace, and has a small window.
func (c clinic) narrowSocket(t *testing.T) socket {
	t.Helper()
	dialer := ws.Dialer{
		TLSConfig: &tls.Config{InsecureSkipVerify: true}, // httptest made the certificate
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetReadBuffer(32 << 10)
			}
			return conn, err
		},
	}
	conn, buffered, _, err := dialer.Dial(within(t), strings.Replace(c.url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if buffered == nil {
		buffered = bufio.NewReader(conn)
	}
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	s := socket{t, conn, buffered}
	require.True(t, strings.HasPrefix(s.text(), "0{"))
	s.send("40")
	require.True(t, strings.HasPrefix(s.text(), "40{"))
	s.send(`420["join-clinic","7"]`)
	require.Equal(t, `430[{"ok":true}]`, s.text())
	return s
}

// Frames are written in parts while the window is full, and arrive whole and in order, with
// pongs among them.
func TestPartialWriteKeepsFrames(t *testing.T) {
	t.Parallel()
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		c := start(t, begin)
		s := c.narrowSocket(t)
		const events = 60
		for n := range events {
			c.broadcast(t, "clinic-7", "e", strconv.Itoa(n)+repeat("x", 1+n*1000))
		}
		s.frame(ws.NewPingFrame([]byte("hello")))
		pongs := 0
		for n := 0; n < events || pongs == 0; {
			op, text := s.read()
			if op == ws.OpPong {
				require.Equal(t, "hello", text)
				pongs++
				continue
			}
			require.Equal(t, `42["e","`+strconv.Itoa(n)+repeat("x", 1+n*1000)+`"]`, text)
			n++
		}
		require.Equal(t, 1, pongs)
		require.Zero(t, c.hub.Stats().Slow)
	})
}

// The deadline of a drain is over when it is, and the connection is as good as new.
func TestWriterAfterADrain(t *testing.T) {
	t.Parallel()
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		const limit = 2 * time.Second
		c := start(t, begin, func(_ *realtime.Config, wire *socketio.Config) { wire.WriteTimeout = limit })
		s := c.narrowSocket(t)
		long := repeat("x", 900_000)
		c.broadcast(t, "clinic-7", "e", long)
		require.Equal(t, `42["e","`+long+`"]`, s.text())
		time.Sleep(limit + limit/4)
		for n := range 3 {
			c.broadcast(t, "clinic-7", "e", n)
			require.Equal(t, fmt.Sprintf(`42["e",%d]`, n), s.text())
		}
	})
}

// A close frame follows the frame that is partly written, and what waits behind is dropped.
func TestCloseBehindAPart(t *testing.T) {
	t.Parallel()
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		c := start(t, begin)
		s := c.narrowSocket(t)
		long := repeat("x", 300_000)
		for range 10 {
			c.broadcast(t, "clinic-7", "e", long)
		}
		require.Equal(t, `42["e","`+long+`"]`, s.text(), "the others have begun")
		go func() { _ = c.hub.Shutdown(within(t)) }()
		op, text := s.read()
		for ; op == ws.OpText; op, text = s.read() {
			require.Len(t, text, len(long)+len(`42["e",""]`))
		}
		require.Equal(t, ws.OpClose, op)
	})
}

// A client that asks and does not read is not answered, and in the end not read. It is not
// ended for it, and hears every answer when it reads.
func TestAcksWaitForTheirReader(t *testing.T) {
	t.Parallel()
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		var handled atomic.Int32
		answer := repeat("x", 5000)
		c := start(t, begin, func(rooms *realtime.Config, wire *socketio.Config) {
			rooms.MaxPending = 100_000
			wire.OnEvent = func(context.Context, *socketio.Socket, string, socketio.Args) (any, error) {
				handled.Add(1)
				return answer, nil
			}
		})
		s := c.narrowSocket(t)
		const asked = 400 // 2 MB of answers
		var asking sync.WaitGroup
		asking.Go(func() {
			for n := range asked {
				if err := ws.WriteFrame(s.conn, ws.MaskFrame(ws.NewTextFrame(fmt.Appendf(nil, `42%d["q"]`, n)))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		require.Never(t, func() bool { return handled.Load() == asked }, 200*time.Millisecond, 10*time.Millisecond)
		for n := range asked {
			require.Equal(t, fmt.Sprintf(`43%d["%s"]`, n, answer), s.text())
		}
		asking.Wait()
		require.Zero(t, c.hub.Stats().Slow)
	})
}

// Whoever takes a little is not lost, however long the whole takes.
func TestSlowReaderMakesProgress(t *testing.T) {
	t.Parallel()
	const limit, part = 2 * time.Second, 64 << 10
	long := repeat("x", 900_000)
	slowly := func(t *testing.T, r io.Reader) string {
		var text bytes.Buffer
		for text.Len() < len(long) {
			_, err := io.CopyN(&text, r, min(part, int64(len(long)-text.Len())))
			require.NoError(t, err)
			time.Sleep(limit / 10)
		}
		return text.String()
	}
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		c := start(t, begin, func(_ *realtime.Config, wire *socketio.Config) { wire.WriteTimeout = limit })
		s := c.narrowSocket(t)
		c.broadcast(t, "clinic-7", "e", long)
		require.Contains(t, slowly(t, s.r), long[:len(long)-100])
	})
	t.Run("polling", func(t *testing.T) {
		t.Parallel()
		c := start(t, func(server *httptest.Server) {
			server.Listener = narrow{server.Listener}
			server.Start()
		}, func(_ *realtime.Config, wire *socketio.Config) { wire.WriteTimeout = limit })
		p := c.connectPolling(t)
		p.join(t, "7")
		c.broadcast(t, "clinic-7", "e", long)
		conn, err := new(net.Dialer).DialContext(within(t), "tcp", strings.TrimPrefix(c.url, "http://"))
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(32<<10))
		_, err = io.WriteString(conn, "GET /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		require.Contains(t, slowly(t, conn), long[:len(long)-1000])
		require.NoError(t, conn.Close())
	})
}

// A connection whose Write panics, as a listener of the application's own may have, ends
// alone.
func TestPanicOfAWrite(t *testing.T) {
	t.Parallel()
	var armed atomic.Bool
	c := start(t, func(server *httptest.Server) {
		server.Listener = mined{server.Listener, &armed}
		server.Start()
	}, quiet)
	s := c.connectSocket(t)
	s.send(`420["join-clinic","7"]`)
	require.Equal(t, `430[{"ok":true}]`, s.text())
	armed.Store(true)
	c.broadcast(t, "clinic-7", "e", 1)
	_, err := s.r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	armed.Store(false)
	require.Equal(t, ok, ack(t, c.dial(t, realtimetest.Options{}), "join-clinic", "7"))
}

// quiet is for panics that are planted.
func quiet(rooms *realtime.Config, wire *socketio.Config) {
	rooms.Logger, wire.Logger = slog.New(slog.DiscardHandler), slog.New(slog.DiscardHandler)
}

// Neither a log that panics nor a connection whose first write does leaves a socket behind.
func TestPanicsLeaveNoSocket(t *testing.T) {
	t.Parallel()
	t.Run("log", func(t *testing.T) {
		t.Parallel()
		c := setup(t, quiet, func(_ *realtime.Config, wire *socketio.Config) { wire.Logger = slog.New(minedLog{}) })
		s := c.connectSocket(t)
		ended, err := c.hub.Disconnect(t.Context(), "")
		require.NoError(t, err)
		require.Equal(t, 1, ended)
		require.Equal(t, "41", s.text())
		s.closed(1008)
	})
	t.Run("write", func(t *testing.T) {
		t.Parallel()
		var writes atomic.Int32
		c := start(t, func(server *httptest.Server) {
			server.Listener = minedSecond{server.Listener, &writes}
			server.Start()
		}, quiet)
		s := c.dialSocket(t, "", nil)
		_, err := s.r.ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, 2, writes.Load(), "the handshake was answered")
	})
}

type minedLog struct{}

func (minedLog) Enabled(context.Context, slog.Level) bool  { return true }
func (minedLog) Handle(context.Context, slog.Record) error { panic("bug") }
func (l minedLog) WithAttrs([]slog.Attr) slog.Handler      { return l }
func (l minedLog) WithGroup(string) slog.Handler           { return l }

// minedSecond is a listener whose connections panic in their second write.
type minedSecond struct {
	net.Listener
	writes *atomic.Int32
}

func (l minedSecond) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return minedSecondConn{conn, l.writes}, err
}

type minedSecondConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c minedSecondConn) Write(b []byte) (int, error) {
	if c.writes.Add(1) == 2 {
		panic("bug")
	}
	return c.Conn.Write(b)
}

type mined struct {
	net.Listener
	armed *atomic.Bool
}

func (l mined) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return minedConn{conn, l.armed}, err
}

type minedConn struct {
	net.Conn
	armed *atomic.Bool
}

func (c minedConn) Write(b []byte) (int, error) {
	if c.armed.Load() {
		panic("bug")
	}
	return c.Conn.Write(b)
}

// Clients of all shards and both transports see all broadcasts of several goroutines in one
// order.
func TestOrderOverShards(t *testing.T) {
	t.Parallel()
	const senders, events = 4, 200
	c := setup(t)
	var clients []*realtimetest.Client
	for n := range 8 {
		client := c.dial(t, realtimetest.Options{Transport: transports[n%2]})
		require.Equal(t, ok, ack(t, client, "join-clinic", "7"))
		clients = append(clients, client)
	}
	ctx := within(t)
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for i := range events {
				if err := c.hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "n", Data: n*events + i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var first []string
	for n, client := range clients {
		var got []string
		for range senders * events {
			got = append(got, string(next(t, client).Data))
		}
		if n == 0 {
			first = got
		}
		require.Equal(t, first, got)
	}
}

// What a client sends together with its handshake is not lost.
func TestEarlyBytesAfterTheHandshake(t *testing.T) {
	t.Parallel()
	c := setup(t)
	var early strings.Builder
	for _, text := range []string{"40", `420["join-clinic","7"]`, `421["join-clinic","` + repeat("long", 300) + `"]`} {
		require.NoError(t, ws.WriteFrame(&early, ws.MaskFrame(ws.NewTextFrame([]byte(text)))))
	}
	conn := c.sendRaw(t, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+early.String())
	s := socket{t, conn, bufio.NewReader(conn)}
	for line := "x"; line != "\r\n"; {
		var err error
		line, err = s.r.ReadString('\n')
		require.NoError(t, err)
	}
	require.True(t, strings.HasPrefix(s.text(), "0{"))
	require.True(t, strings.HasPrefix(s.text(), "40{"))
	require.Equal(t, `430[{"ok":true}]`, s.text())
	require.Equal(t, `431[{"ok":false,"error":"invalid request"}]`, s.text())
}
