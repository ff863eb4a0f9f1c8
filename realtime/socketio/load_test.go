package socketio_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// A client that does not read is dropped, and the others notice nothing.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	join := func(t *testing.T, c clinic) (slow socket, fast *realtimetest.Client) {
		slow = c.connectSocket(t)
		slow.send(`420["join-clinic","7"]`)
		require.Equal(t, `430[{"ok":true}]`, slow.text())
		fast = c.dial(t, realtimetest.Options{})
		require.Equal(t, ok, ack(t, fast, "join-clinic", "7"))
		return slow, fast
	}
	data := repeat("x", 200_000)

	t.Run("its queue is full", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.MaxPending = 100_000 })
		_, fast := join(t, c)
		for n := 0; c.hub.Stats().Slow == 0; n++ {
			require.Less(t, n, 1000, "200 MB are in no buffer")
			c.broadcast(t, "clinic-7", "e", data)
			next(t, fast)
		}
		require.Eventually(t, func() bool { return c.hub.Stats().Connections == 1 }, 5*time.Second, time.Millisecond)
	})

	t.Run("a write takes too long", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(rooms *realtime.Config, wire *socketio.Config) {
			rooms.MaxPending, wire.WriteTimeout = 100<<20, time.Second
		})
		_, fast := join(t, c)
		for range 60 {
			c.broadcast(t, "clinic-7", "e", data)
			next(t, fast)
		}
		require.Eventually(t, func() bool { return c.hub.Stats().Connections == 1 }, 5*time.Second, time.Millisecond)
		require.EqualValues(t, 1, c.hub.Stats().Slow)
	})

	t.Run("it never polls", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(rooms *realtime.Config, _ *socketio.Config) { rooms.MaxPending = 20 })
		p := c.connectPolling(t)
		require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`).body)
		for c.hub.Stats().Slow == 0 {
			c.broadcast(t, "clinic-7", "e", nil)
		}
		p.gone(t)
	})
}

// A poll whose answer nobody takes ends the session: what was in it is lost.
func TestPollIsNotRead(t *testing.T) {
	t.Parallel()
	c := setup(t, func(rooms *realtime.Config, wire *socketio.Config) {
		rooms.MaxEventSize, wire.WriteTimeout = 64<<20, 100*time.Millisecond
	})
	p := c.connectPolling(t)
	require.Equal(t, "ok", p.post(t, `420["join-clinic","7"]`).body)
	p.get(t)
	before := c.polls.begun.Load()
	conn := c.sendRaw(t, "GET /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Eventually(t, func() bool { return c.polls.begun.Load() > before }, 5*time.Second, time.Millisecond)
	c.broadcast(t, "clinic-7", "e", repeat("x", 24<<20))
	p.gone(t)
	require.NoError(t, conn.Close())
}

// A POST that never ends does not hold up a shutdown.
func TestShutdownDuringPost(t *testing.T) {
	t.Parallel()
	c := setup(t)
	p := c.connectPolling(t)
	conn := c.sendRaw(t, "POST /socket.io/?EIO=4&"+p.query()+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n420[")
	require.Eventually(t, func() bool { return c.polls.posts.Load() == 2 }, 5*time.Second, time.Millisecond)
	start := time.Now()
	require.NoError(t, c.hub.Shutdown(within(t)))
	require.Less(t, time.Since(start), 5*time.Second)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.Equal(t, 400, response.StatusCode)
}

// A ResponseWriter without Hijack, as careless middleware makes it.
func TestNoHijack(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)
	sio, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	r := httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=websocket", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	w := httptest.NewRecorder()
	sio.ServeHTTP(w, r)
	require.Equal(t, 500, w.Code)
	require.Zero(t, hub.Stats().Connections)
	require.NoError(t, hub.Shutdown(t.Context()))
}

// Thousands of events while sessions fail to upgrade, and then do: none is lost, doubled
// or out of order.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	const clients, count, window = 4, 2000, 200
	c := setup(t)
	ctx := within(t)
	var all sync.WaitGroup
	for n := range clients {
		u := &upgrader{poller: c.connectPolling(t), room: fmt.Sprintf("clinic-%d", 100+n), open: make(chan struct{}, window)}
		u.join(t, strconv.Itoa(100+n))
		all.Go(func() {
			for i := range count {
				select {
				case u.open <- struct{}{}: // never so far ahead that the client is too slow
				case <-ctx.Done():
					return
				}
				if err := c.hub.Broadcast(ctx, u.room, realtime.Event{Name: "n", Data: i}); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for u.next < count/4 {
				u.poll(t)
			}
			failed := u.probe(t)
			failed.send("nonsense")
			_, _ = io.Copy(io.Discard, failed.r) // the server has given the change up when it hangs up
			for u.next < count/2 {
				u.poll(t)
			}
			s := u.probe(t)
			s.send("5")
			for u.next < count {
				u.take(t, s.text())
			}
		})
	}
	all.Wait()
}

// upgrader is a session that receives its room's events, which are numbered.
type upgrader struct {
	poller
	room string
	next int
	open chan struct{} // full while as many events are on their way as may be
}

func (u *upgrader) poll(t *testing.T) {
	for packet := range strings.SplitSeq(u.get(t).body, "\x1e") {
		u.take(t, packet)
	}
}

func (u *upgrader) take(t *testing.T, packet string) {
	if packet == "6" || strings.HasPrefix(packet, "43") {
		return
	}
	if want := fmt.Sprintf(`42["n",%d]`, u.next); packet != want {
		t.Errorf("got %q, want %q", packet, want)
	}
	u.next++
	<-u.open
}

// probe polls until the server has answered on a WebSocket and the last poll is
// over, as clients do.
func (u *upgrader) probe(t *testing.T) socket {
	s := u.dialSocket(t, "&sid="+u.sid, nil)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.send("2probe")
		if got := s.text(); got != "3probe" {
			t.Errorf("got %q to a probe", got)
		}
	}()
	for {
		u.poll(t)
		select {
		case <-answered:
			return s
		default:
		}
	}
}

func TestClientsComeAndGo(t *testing.T) {
	t.Parallel()
	c := setup(t)
	listener := c.dial(t, realtimetest.Options{})
	require.Equal(t, ok, ack(t, listener, "join-clinic", "7"))

	ctx := within(t)
	var clients, sender sync.WaitGroup
	stop := make(chan struct{})
	sent := 0
	sender.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := c.hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "n", Data: sent}); err != nil {
				t.Error(err)
				return
			}
			sent++
			select { // as often as a large hospital might
			case <-time.After(100 * time.Microsecond):
			case <-stop:
			}
		}
	})
	for n := range 10 {
		clients.Go(func() {
			for range 2 {
				client, err := realtimetest.Dial(ctx, c.url, realtimetest.Options{Transport: transports[n%2]})
				if err != nil {
					t.Error(err)
					return
				}
				for range 50 { // 1000 joins in all
					joined, err := client.EmitAck(ctx, "join-clinic", "7")
					left, err2 := client.EmitAck(ctx, "leave-clinic", "7")
					if string(joined) != ok || string(left) != ok {
						t.Error(string(joined), err, string(left), err2)
					}
				}
				if err := client.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	sender.Wait()
	for n := range sent {
		event := next(t, listener)
		require.JSONEq(t, encode(t, n), string(event.Data), "in order, none missing")
	}
}

func TestShutdownDuringBroadcasts(t *testing.T) {
	t.Parallel()
	c := setup(t)
	var clients []*realtimetest.Client
	for n := range 20 {
		client := c.dial(t, realtimetest.Options{Transport: transports[n%2]})
		require.Equal(t, ok, ack(t, client, "join-clinic", "7"))
		clients = append(clients, client)
	}
	ctx := within(t)
	require.NoError(t, c.hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "e", Data: "x"}))
	_, err := clients[0].Next(ctx)
	require.NoError(t, err)
	broken, flowing := make(chan error, 1), make(chan struct{})
	go func() { // faster than clients read: some of them end as slow, which is as it should be
		for n := 0; ; n++ {
			if n == 100 {
				close(flowing)
			}
			if err := c.hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "e", Data: "x"}); err != nil {
				broken <- err
				return
			}
		}
	}()
	<-flowing
	require.NoError(t, c.hub.Shutdown(ctx))
	require.ErrorIs(t, <-broken, telemed.ErrClosed)
	for _, client := range clients {
		<-client.Done()
	}
	c.request(t, "GET", "transport=polling", "", nil).refused(t, 503, 3)
	_, err = realtimetest.Dial(ctx, c.url, realtimetest.Options{})
	require.ErrorContains(t, err, "503")
}

// An application's server has timeouts, for requests that are not polls.
func TestHostTimeouts(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{Authorize: func(context.Context, realtime.Client, string) error { return nil }})
	require.NoError(t, err)
	sio, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(sio)
	const limit = 300 * time.Millisecond
	server.Config.ReadTimeout, server.Config.WriteTimeout = limit, limit
	server.Start()
	t.Cleanup(func() {
		require.NoError(t, hub.Shutdown(context.Background()))
		require.NoError(t, server.Config.Shutdown(context.Background()), "it needs no force after the hub's")
		server.Close()
	})
	c := clinic{hub: hub, url: server.URL}
	for _, transport := range transports {
		client := c.dial(t, realtimetest.Options{Transport: transport})
		require.Equal(t, ok, ack(t, client, "join-clinic", "7"))
		time.AfterFunc(2*limit, func() { _ = hub.Broadcast(context.Background(), "clinic-7", realtime.Event{Name: "late"}) })
		require.Equal(t, "late", next(t, client).Name, transport)
		require.NoError(t, client.Close())
	}
}

// An application's function that panics costs its own connection and nothing else.
func TestPanicOfTheHost(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			var out syncBuffer
			c := setup(t, func(rooms *realtime.Config, wire *socketio.Config) {
				rooms.Logger = slog.New(slog.NewTextHandler(&out, nil))
				rooms.Authorize = func(context.Context, realtime.Client, string) error { panic("Asha's record") }
			})
			client, other := c.dial(t, realtimetest.Options{Transport: transport}), c.dial(t, realtimetest.Options{Transport: transport})
			_, err := client.EmitAck(within(t), "join-clinic", "7")
			require.ErrorIs(t, err, telemed.ErrClosed)
			require.Equal(t, refusedWith("unknown event"), ack(t, other, "x"))
			require.Contains(t, out.String(), "TestPanicOfTheHost", "the log says where")
			require.NotContains(t, out.String(), "Asha")
		})
	}
}

// An application's Authenticate that panics when it is asked the second time leaves no
// connection behind that counts for ever.
func TestPanicDuringHandshake(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"transport=polling", "transport=websocket"} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			asked := 0
			hub, err := realtime.NewHub(realtime.Config{Authenticate: func(*http.Request) (string, error) {
				if asked++; asked > 1 {
					panic("bug")
				}
				return "ada", nil
			}})
			require.NoError(t, err)
			sio, err := socketio.New(socketio.Config{Hub: hub})
			require.NoError(t, err)
			r := httptest.NewRequest("GET", "/socket.io/?EIO=4&"+query, nil)
			r.Header = http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
				"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			require.PanicsWithValue(t, "bug", func() { sio.ServeHTTP(httptest.NewRecorder(), r) })
			require.Zero(t, hub.Stats().Connections)
			require.NoError(t, hub.Shutdown(t.Context()))
		})
	}
}

// Nothing that a patient or a session could be known by is logged or sent to a stranger.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const canary = "Asha-Patel-canary"
	var out syncBuffer
	c := setup(t, func(rooms *realtime.Config, wire *socketio.Config) {
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		rooms.Logger, wire.Logger = logger, logger
		rooms.Authorize = func(_ context.Context, _ realtime.Client, room string) error {
			if strings.HasSuffix(room, "x") {
				return errors.New(canary)
			}
			return nil
		}
	})
	s := c.dialSocket(t, "&token="+canary, cookie(canary))
	sid := strings.Split(s.text(), `"`)[3]
	s.send("40")
	s.text()
	s.send(`420["join-clinic","` + canary + `-x"]`)
	require.Equal(t, `430[{"ok":false,"error":"not permitted"}]`, s.text())
	s.send(`421["join-clinic","` + canary + `"]`)
	require.Equal(t, `431[{"ok":true}]`, s.text())
	c.broadcast(t, "clinic-"+canary, "new-appointment", canary)
	require.Contains(t, s.text(), canary, "who is in the room hears it")
	s.send(`42["` + canary)
	s.closed(ws.StatusPolicyViolation)
	p := c.openPolling(t, cookie(canary))
	p.post(t, canary).refused(t, 400, 3)
	require.Eventually(t, func() bool { return strings.Count(out.String(), "connection ended") == 2 }, 5*time.Second, time.Millisecond)
	for _, hidden := range []string{canary, sid, p.sid, "127.0.0.1"} {
		require.NotContains(t, out.String(), hidden)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
