package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// gate holds up the application's answers until it is opened.
func gate(open <-chan struct{}) func(*realtime.Config, *socketio.Config) {
	return func(rooms *realtime.Config, _ *socketio.Config) {
		rooms.Authorize = func(ctx context.Context, _ realtime.Client, _ string) error {
			select {
			case <-open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// Heartbeats do not wait for the application. Nor do POSTs, without whose answer a client
// sends no heartbeat.
func TestSlowApplicationIsNoDeadClient(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			open := make(chan struct{})
			c := setup(t, quickly, gate(open))
			client := c.dial(t, realtimetest.Options{Transport: transport})
			time.AfterFunc(4*time.Second, func() { close(open) }) // more than an answer may take
			require.Equal(t, ok, ack(t, client, "join-clinic", "7"))
		})
	}
}

// When the client has asked for so much that it is not read, its silence says nothing.
func TestPausedReaderStopsTheHeartbeatClock(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	c := setup(t, quickly, gate(open))
	s := c.connectSocket(t)
	const asked = 100
	for n := range asked {
		s.send(fmt.Sprintf(`42%d["join-clinic","7"]`, n))
	}
	time.AfterFunc(4*time.Second, func() { close(open) })
	for n := 0; n < asked; {
		switch text := s.text(); text {
		case "2":
			s.send("3")
		default:
			require.Equal(t, fmt.Sprintf(`43%d[{"ok":true}]`, n), text)
			n++
		}
	}
}

// While the client is not read it goes on to hear heartbeats: without one, it would hang up.
func TestPausedReaderHearsHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		_, get, post := inMemory(t, socketio.Config{
			PingInterval: time.Second, PingTimeout: 3 * time.Second,
			OnEvent: func(ctx context.Context, _ *socketio.Socket, _ string, _ socketio.Args) (any, error) {
				select {
				case <-open:
				case <-ctx.Done():
				}
				return nil, nil
			},
		})
		time.AfterFunc(time.Minute, func() { close(open) })
		require.Contains(t, get(), "40{")
		posted := make(chan string, 1)
		go func() { posted <- post(strings.TrimSuffix(strings.Repeat("42[\"q\"]\x1e", 100), "\x1e")) }()
		start := time.Now()
		for range 5 {
			require.Equal(t, "2", get())
		}
		require.Equal(t, 13*time.Second, time.Since(start))
		require.Equal(t, "ok", <-posted)
	})
}

// A client that is gone is found out, though it is not read and the application never ends.
func TestPausedReaderIsGone(t *testing.T) {
	t.Parallel()
	c := setup(t, gate(nil), func(_ *realtime.Config, wire *socketio.Config) {
		wire.PingInterval, wire.PingTimeout = 50*time.Millisecond, 2*time.Second
	})
	s := c.connectSocket(t)
	for range 100 {
		s.send(`42["join-clinic","7"]`)
	}
	require.Equal(t, "2", s.text())
	require.NoError(t, s.conn.Close())
	require.Eventually(t, func() bool { return c.hub.Stats().Connections == 0 }, 20*time.Second, 10*time.Millisecond)
}

// A page that was offline sends all that it has kept, and is answered in order.
func TestOfflineBufferOverPolling(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.connectPolling(t)
	var asked, want []string
	for n := range 300 {
		asked = append(asked, fmt.Sprintf(`42%d["join-clinic","7"]`, n))
		want = append(want, fmt.Sprintf(`43%d[{"ok":true}]`, n))
	}
	require.Equal(t, "ok", p.post(t, strings.Join(asked, "\x1e")).body)
	p.hears(t, want...)
}

// A client that pauses polling waits for its POST, and the worker for a poll: the change to
// a WebSocket must not wait for either.
func TestUpgradeWhileAPostWaits(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
		wire.UpgradeTimeout = 3 * time.Minute // as within
		wire.OnEvent = func(context.Context, *socketio.Socket, string, socketio.Args) (any, error) {
			return repeat("x", 70_000), nil // more than may wait
		}
	})
	p := c.connectPolling(t)
	var asked []string
	for n := range 200 {
		asked = append(asked, fmt.Sprintf(`42%d["q"]`, n))
	}
	posted := make(chan answer, 1)
	ctx := within(t)
	go func() {
		got, _ := p.try(ctx, "POST", "EIO=4&"+p.query(), strings.Join(asked, "\x1e"), nil)
		posted <- got
	}()
	s := c.dialSocket(t, "&sid="+p.sid, nil)
	s.send("2probe")
	require.Equal(t, "3probe", s.text())
	require.Equal(t, "ok", (<-posted).body)
	s.send("5")
	for n := range asked {
		require.True(t, strings.HasPrefix(s.text(), fmt.Sprintf(`43%d["x`, n)))
	}
}

// A client that has been told to upgrade, does not, and goes on to ask is held up like any
// other.
func TestPausingKeepsTheBounds(t *testing.T) {
	t.Parallel()
	const posts, size = 10, 100_000
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
		wire.MaxPayload, wire.UpgradeTimeout = size, time.Minute
		wire.OnEvent = func(ctx context.Context, _ *socketio.Socket, _ string, _ socketio.Args) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	p := c.connectPolling(t)
	s := c.dialSocket(t, "&sid="+p.sid, nil)
	s.send("2probe")
	require.Equal(t, "3probe", s.text())
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for range posts {
		got, err := p.try(ctx, "POST", "EIO=4&"+p.query(), `42["q","`+repeat("x", size-100)+`"]`, nil)
		if ctx.Err() != nil {
			return
		}
		require.NoError(t, err)
		require.Equal(t, "ok", got.body)
	}
	require.Fail(t, "all was taken, though nothing is done")
}

// What a page asks for before it says goodbye is done.
func TestGoodbyeComesLast(t *testing.T) {
	t.Parallel()
	for _, goodbye := range []string{"1", "41\x1e1"} {
		done := make(chan string, 3)
		c := setup(t, func(_ *realtime.Config, wire *socketio.Config) {
			wire.OnEvent = func(ctx context.Context, _ *socketio.Socket, name string, _ socketio.Args) (any, error) {
				done <- name
				return nil, ctx.Err()
			}
		})
		p := c.connectPolling(t)
		require.Equal(t, "ok", p.post(t, `42["a"]`+"\x1e"+`42["b"]`+"\x1e"+goodbye+"\x1e"+`42["c"]`).body)
		p.gone(t)
		s := c.connectSocket(t)
		s.send(`42["d"]`)
		s.send("1")
		s.closed(1000)
		require.Equal(t, []string{"a", "b", "d"}, []string{<-done, <-done, <-done})
	}
}

// To leave the namespace is not to leave the session: the rooms are gone, and the client may
// come back.
func TestNamespaceDisconnectKeepsTheSession(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.ConnectTimeout = 2 * time.Second })
	s := c.connectSocket(t)
	s.send(`420["join-clinic","7"]`)
	require.Equal(t, `430[{"ok":true}]`, s.text())
	s.send("41")
	require.Eventually(t, func() bool { return c.hub.Stats().Rooms == 0 }, 5*time.Second, time.Millisecond)
	s.send("40")
	require.True(t, strings.HasPrefix(s.text(), `40{"sid":`))
	s.send(`421["join-clinic","7"]`)
	require.Equal(t, `431[{"ok":true}]`, s.text())
	s.send("41")
	s.send(`42["join-clinic","7"]`)
	s.closed(1008)
}

// inMemory is a session over polling in a bubble of synctest, in clinic-7.
func inMemory(t *testing.T, wire socketio.Config, wrap ...func(net.Listener) net.Listener) (hub *realtime.Hub, get func() string, post func(string) string) {
	t.Helper()
	hub, err := realtime.NewHub(realtime.Config{Authorize: func(context.Context, realtime.Client, string) error { return nil }})
	require.NoError(t, err)
	wire.Hub = hub
	sio, err := socketio.New(wire)
	require.NoError(t, err)
	ask := serveProtocol(t, 1, &http.Server{Handler: sio}, wrap...)
	t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })
	target := "/socket.io/?EIO=4&transport=polling"
	var opened struct{ SID string }
	require.NoError(t, json.Unmarshal([]byte(ask("GET", target, "")[1:]), &opened))
	target += "&sid=" + opened.SID
	require.Equal(t, "ok", ask("POST", target, "40\x1e42[\"join-clinic\",\"7\"]"))
	synctest.Wait()
	return hub, func() string { return ask("GET", target, "") }, func(body string) string { return ask("POST", target, body) }
}

// A poll carries at most a megabyte; the rest waits for the next one. A burst of several is
// no reason to end a client that polls.
func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub, get, _ := inMemory(t, socketio.Config{})
		for range 10 {
			require.NoError(t, hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "e", Data: repeat("x", 300_000)}))
		}
		synctest.Wait()
		var got []int
		for range 4 {
			got = append(got, strings.Count(get(), `42["e"`))
		}
		require.Equal(t, []int{3, 3, 3, 1}, got)
	})
}

// Who is far behind has not seen the heartbeat, and is not dead for it.
func TestBehindIsNotDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub, get, post := inMemory(t, socketio.Config{PingInterval: time.Second, PingTimeout: 3 * time.Second})
		for range 15 {
			require.NoError(t, hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "e", Data: repeat("x", 900_000)}))
		}
		time.Sleep(1500 * time.Millisecond) // now the heartbeat is behind them
		for n := range 15 {
			got := get()
			require.Contains(t, got, `42["e"`, n)
			require.Equal(t, n == 14, strings.HasSuffix(got, "\x1e2"), n)
			time.Sleep(2 * time.Second)
		}
		require.Equal(t, "ok", post("3"))
		time.Sleep(2 * time.Second)
		require.Equal(t, "2", get(), "it goes on")
		require.Equal(t, 1, hub.Stats().Connections)
		time.Sleep(7 * time.Second)
		require.Zero(t, hub.Stats().Connections, "until it is silent")
	})
}

// Who asks, never polls and holds a POST open takes nothing, and is not kept for it.
func TestPostThatNeverPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub, _, post := inMemory(t, socketio.Config{
			PingInterval: time.Second, PingTimeout: 3 * time.Second,
			OnEvent: func(context.Context, *socketio.Socket, string, socketio.Args) (any, error) {
				return repeat("x", 70_000), nil
			},
		})
		require.Contains(t, post(strings.TrimSuffix(strings.Repeat("420[\"q\"]\x1e", 200), "\x1e")), `"code":3`)
		require.Zero(t, hub.Stats().Connections)
	})
}

// late is an Output that holds its shard up, as thousands of connections in one room do.
type late struct{ pause time.Duration }

func (l late) Put([][]byte, []byte) (int, error) {
	time.Sleep(l.pause)
	return 0, nil
}

func (late) End(error) {}

type plain struct{}

func (plain) Encode(realtime.Message) []byte { return []byte("x") }

// A heartbeat does not wait for a busy hub, and the client has its time to answer.
func TestHeartbeatBesideABusyHub(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub, get, post := inMemory(t, socketio.Config{PingInterval: time.Second, PingTimeout: 3 * time.Second})
		require.Contains(t, get(), "40{")
		for range 2 * runtime.GOMAXPROCS(0) { // two for each shard
			conn, err := hub.Connect(t.Context(), "", plain{}, late{5 * time.Second})
			require.NoError(t, err)
			require.NoError(t, conn.Join(t.Context(), "busy"))
		}
		start := time.Now()
		require.NoError(t, hub.Broadcast(t.Context(), "busy", realtime.Event{Name: "e"}))
		require.Equal(t, "2", get())
		require.Equal(t, time.Second, time.Since(start))
		time.Sleep(2 * time.Second)
		require.Equal(t, "ok", post("3"))
		require.Equal(t, "2", get())
		require.Equal(t, 4*time.Second, time.Since(start), "a new interval")
		require.Equal(t, "1", get(), "who does not answer is dead, though it took the heartbeat")
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

// Who takes a long answer to a poll slowly, and all the while, is not dead: it cannot see a
// heartbeat before.
func TestSlowPollIsNotDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const parts = 10
		hub, get, post := inMemory(t, socketio.Config{
			PingInterval: time.Second, PingTimeout: 2 * time.Second, WriteTimeout: 10 * time.Second,
		}, func(l net.Listener) net.Listener { return slowly{l, time.Second} })
		text := repeat("x", parts*64<<10)
		require.NoError(t, hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "e", Data: text}))
		synctest.Wait()
		require.Contains(t, get(), text)
		require.Equal(t, "2", get())
		require.Equal(t, "ok", post("3"))
		time.Sleep(2 * time.Second)
		require.Equal(t, "2", get(), "it goes on")
	})
}

// slowly is a listener whose connections take a while for each long write.
type slowly struct {
	net.Listener
	pause time.Duration
}

func (l slowly) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return slowConn{conn, l.pause}, err
}

type slowConn struct {
	net.Conn
	pause time.Duration
}

func (c slowConn) Write(b []byte) (int, error) {
	if len(b) > 32<<10 {
		time.Sleep(c.pause)
	}
	return c.Conn.Write(b)
}
