package realtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// plain is a transport's encoder. It counts.
type plain struct{ calls *atomic.Int32 }

func newPlain() plain { return plain{new(atomic.Int32)} }

func (p plain) Encode(m realtime.Message) []byte {
	p.calls.Add(1)
	return []byte(m.Name + "=" + string(m.Args[0]))
}

func anybody(context.Context, realtime.Client, string) error { return nil }

func newHub(t testing.TB, cfg realtime.Config) *realtime.Hub {
	t.Helper()
	hub, err := realtime.NewHub(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })
	return hub
}

func connect(t testing.TB, hub *realtime.Hub, subject string, rooms ...string) *realtime.Conn {
	t.Helper()
	conn, err := hub.Connect(t.Context(), subject, newPlain(), nil)
	require.NoError(t, err)
	for _, room := range rooms {
		require.NoError(t, conn.Join(t.Context(), room))
	}
	return conn
}

// queued returns what waits for conn.
func queued(conn *realtime.Conn) []string {
	const last = "the last message"
	if !conn.Send([]byte(last)) {
		return nil
	}
	var list []string
	for {
		messages, err := conn.Next(conn.Context())
		if err != nil {
			return nil
		}
		for _, message := range messages {
			if string(message) == last {
				return list
			}
			list = append(list, string(message))
		}
	}
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	a, b, c := connect(t, hub, "", "x"), connect(t, hub, "", "x", "y"), connect(t, hub, "")

	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "one", Data: map[string]int{"n": 1}}))
	require.NoError(t, hub.Broadcast(t.Context(), "y", realtime.Event{Name: "two"}))
	require.NoError(t, hub.Broadcast(t.Context(), "nobody", realtime.Event{Name: "three"}))
	require.Equal(t, []string{`one={"n":1}`}, queued(a))
	require.Equal(t, []string{`one={"n":1}`, "two=null"}, queued(b))
	require.Empty(t, queued(c))

	b.Leave("x")
	b.Leave("x")
	b.Leave("never joined")
	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "four"}))
	require.Len(t, queued(a), 1)
	require.Empty(t, queued(b))
	stats := hub.Stats()
	require.EqualValues(t, 4+5, stats.Queued, "and queued sends one message")
	stats.Queued = 0
	require.Equal(t, realtime.Stats{Connections: 3, Unconnected: 3, Rooms: 2, Broadcasts: 4}, stats)

	a.Close(nil)
	b.Close(nil)
	stats = hub.Stats()
	stats.Queued = 0
	require.Equal(t, realtime.Stats{Connections: 1, Unconnected: 1, Broadcasts: 4}, stats, "rooms end with their last member")
}

func TestBroadcastEncodesOnce(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	one, two := newPlain(), newPlain()
	var conns []*realtime.Conn
	for i := range 20 {
		conn, err := hub.Connect(t.Context(), "", []plain{one, two}[i%2], nil)
		require.NoError(t, err)
		require.NoError(t, conn.Join(t.Context(), "x"))
		conns = append(conns, conn)
	}
	data := &countedJSON{}
	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: data}))
	require.Equal(t, 1, data.calls)
	for _, conn := range conns {
		require.Equal(t, []string{"e=1"}, queued(conn))
	}
	require.EqualValues(t, 1, one.calls.Load())
	require.EqualValues(t, 1, two.calls.Load())
}

type countedJSON struct{ calls int }

func (c *countedJSON) MarshalJSON() ([]byte, error) {
	c.calls++
	return []byte(strconv.Itoa(c.calls)), nil
}

func TestBroadcastRefused(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody, MaxEventSize: 10})
	conn := connect(t, hub, "", "x")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx   context.Context
		room  string
		event realtime.Event
		is    error
		field string
	}{
		"no room":         {t.Context(), "", realtime.Event{Name: "e"}, telemed.ErrInvalid, "room"},
		"line in room":    {t.Context(), "a\nb", realtime.Event{Name: "e"}, telemed.ErrInvalid, "room"},
		"long room":       {t.Context(), strings.Repeat("x", 129), realtime.Event{Name: "e"}, telemed.ErrInvalid, "room"},
		"broken room":     {t.Context(), "\xff", realtime.Event{Name: "e"}, telemed.ErrInvalid, "room"},
		"no name":         {t.Context(), "x", realtime.Event{}, telemed.ErrInvalid, "Name"},
		"reserved name":   {t.Context(), "x", realtime.Event{Name: "disconnect"}, telemed.ErrInvalid, "Name"},
		"unencodable":     {t.Context(), "x", realtime.Event{Name: "e", Data: math.Inf(1)}, telemed.ErrInvalid, "Data"},
		"too large":       {t.Context(), "x", realtime.Event{Name: "e", Data: "123456789"}, telemed.ErrInvalid, "Data"},
		"ended context":   {ended, "x", realtime.Event{Name: "e"}, context.Canceled, ""},
		"largest is good": {t.Context(), "x", realtime.Event{Name: "e", Data: "12345678"}, nil, ""},
	} {
		err := hub.Broadcast(test.ctx, test.room, test.event)
		require.ErrorIs(t, err, test.is, name)
		if test.field != "" {
			require.Equal(t, test.field, telemed.Fields(err)[0].Field, name)
		}
	}
	require.Equal(t, []string{`e="12345678"`}, queued(conn))
}

func TestJoin(t *testing.T) {
	t.Parallel()

	t.Run("nobody without Authorize", func(t *testing.T) {
		t.Parallel()
		hub := newHub(t, realtime.Config{})
		conn := connect(t, hub, "ada")
		require.ErrorIs(t, conn.Join(t.Context(), "x"), telemed.ErrForbidden)
		require.Equal(t, realtime.Stats{Connections: 1, Unconnected: 1, Refused: 1}, hub.Stats())
	})

	t.Run("whom Authorize lets in", func(t *testing.T) {
		t.Parallel()
		down := errors.New("database is down")
		var asked []string
		hub := newHub(t, realtime.Config{Authorize: func(_ context.Context, client realtime.Client, room string) error {
			asked = append(asked, client.Subject+" "+room)
			switch room {
			case "down":
				return fmt.Errorf("%w: %w", telemed.ErrUnavailable, down)
			case "x":
				return nil
			}
			return telemed.ErrForbidden
		}})
		conn := connect(t, hub, "ada")
		require.NoError(t, conn.Join(t.Context(), "x"))
		require.NoError(t, conn.Join(t.Context(), "x"))
		require.ErrorIs(t, conn.Join(t.Context(), "y"), telemed.ErrForbidden)
		err := conn.Join(t.Context(), "down")
		require.ErrorIs(t, err, telemed.ErrForbidden)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.ErrorIs(t, err, down)
		require.ErrorIs(t, conn.Join(t.Context(), ""), telemed.ErrInvalid)
		require.Equal(t, []string{"ada x", "ada y", "ada down"}, asked)
	})

	t.Run("limits", func(t *testing.T) {
		t.Parallel()
		hub := newHub(t, realtime.Config{Authorize: anybody, MaxRooms: 2, MaxConnections: 1})
		conn := connect(t, hub, "", "a", "b")
		require.NoError(t, conn.Join(t.Context(), "b"))
		require.ErrorIs(t, conn.Join(t.Context(), "c"), realtime.ErrFull)
		conn.Leave("a")
		require.NoError(t, conn.Join(t.Context(), "c"))
		_, err := hub.Connect(t.Context(), "", newPlain(), nil)
		require.ErrorIs(t, err, realtime.ErrFull)
		conn.Close(nil)
		connect(t, hub, "")
	})

	t.Run("the connection ends while Authorize thinks", func(t *testing.T) {
		t.Parallel()
		var conn *realtime.Conn
		hub := newHub(t, realtime.Config{Authorize: func(context.Context, realtime.Client, string) error {
			conn.Close(nil)
			return nil
		}})
		conn = connect(t, hub, "")
		require.ErrorIs(t, conn.Join(t.Context(), "x"), telemed.ErrClosed)
		require.Zero(t, hub.Stats().Rooms, "no ghost is left in the room")
	})
}

func TestSlowConnection(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody, MaxPending: 30})
	slow, fast := connect(t, hub, "", "x"), connect(t, hub, "", "x")
	for n := 0; slow.Context().Err() == nil; n++ {
		require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: n}))
		require.Equal(t, []string{fmt.Sprintf("e=%d", n)}, queued(fast))
	}
	<-slow.Context().Done()
	require.ErrorIs(t, context.Cause(slow.Context()), realtime.ErrSlow)
	require.NoError(t, fast.Context().Err())
	require.EqualValues(t, 1, hub.Stats().Slow)
	require.Equal(t, 1, hub.Stats().Connections)
}

// A burst is no reason to end anybody: until the limit in bytes is reached, everything
// waits.
func TestBurst(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	conn := connect(t, hub, "", "x")
	const events = 5000
	for n := range events {
		require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: n}))
	}
	got := queued(conn)
	require.Len(t, got, events)
	for n, message := range got {
		require.Equal(t, fmt.Sprintf("e=%d", n), message)
	}
	require.Zero(t, hub.Stats().Slow)
}

// An event that is longer than the limit arrives if nothing waits before it.
func TestLongEvent(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody, MaxPending: 1})
	conn := connect(t, hub, "", "x")
	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: "long"}))
	messages, err := conn.Next(t.Context())
	require.NoError(t, err)
	require.Len(t, messages, 1)
}

func TestMaxPendingTotalEndsTheFurthestBehind(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody, MaxPendingTotal: 100})
	far, near := connect(t, hub, "", "x"), connect(t, hub, "", "y")
	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: strings.Repeat("x", 60)}))
	require.NoError(t, hub.Broadcast(t.Context(), "y", realtime.Event{Name: "e", Data: strings.Repeat("y", 50)}))
	<-far.Context().Done()
	require.ErrorIs(t, context.Cause(far.Context()), realtime.ErrSlow)
	require.Len(t, queued(near), 1)
}

// Wait holds a client up that asks faster than it reads, and nobody is ended for asking.
func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{})
		conn := connect(t, hub, "")
		conn.Wait()
		require.True(t, conn.Send(make([]byte, 64<<10)))
		passed := make(chan struct{})
		go func() { conn.Wait(); close(passed) }()
		synctest.Wait()
		select {
		case <-passed:
			t.Fatal("64 KiB wait")
		default:
		}
		_, err := conn.Next(t.Context())
		require.NoError(t, err)
		<-passed

		require.True(t, conn.Send(make([]byte, 64<<10)))
		ended := make(chan struct{})
		go func() { conn.Wait(); close(ended) }()
		synctest.Wait()
		conn.Close(nil)
		<-ended
	})
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	first, second, other := connect(t, hub, "ada", "x"), connect(t, hub, "ada"), connect(t, hub, "bob", "x")
	require.Equal(t, 2, disconnect(t, hub, "ada"))
	require.Equal(t, 0, disconnect(t, hub, "ada"))
	for _, conn := range []*realtime.Conn{first, second} {
		require.ErrorIs(t, context.Cause(conn.Context()), telemed.ErrForbidden)
	}
	require.NoError(t, other.Context().Err())
	require.NotEqual(t, first.Client().ID, second.Client().ID)
}

// A connection that goes on asking for rooms that are not its own is ended.
func TestMaxRefusals(t *testing.T) {
	t.Parallel()
	asked := 0
	hub := newHub(t, realtime.Config{MaxRefusals: 2, Authorize: func(_ context.Context, _ realtime.Client, room string) error {
		asked++
		switch room {
		case "mine":
			return nil
		case "unknown":
			return fmt.Errorf("database: %w", telemed.ErrUnavailable)
		}
		return errors.New("no")
	}})
	conn := connect(t, hub, "ada", "mine")
	for _, room := range []string{"a", "unknown", "b", "unknown", "unknown"} {
		require.ErrorIs(t, conn.Join(t.Context(), room), telemed.ErrForbidden)
	}
	require.ErrorIs(t, conn.Join(t.Context(), ""), telemed.ErrInvalid)
	require.NoError(t, conn.Context().Err(), "two guesses; what the host could not tell is none")
	require.ErrorIs(t, conn.Join(t.Context(), "c"), telemed.ErrForbidden)
	require.ErrorIs(t, context.Cause(conn.Context()), telemed.ErrForbidden)
	require.ErrorIs(t, conn.Join(t.Context(), "d"), telemed.ErrClosed)
	require.Equal(t, 7, asked, "the host is left in peace")
	require.Zero(t, hub.Stats().Rooms)
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	subject, err := newHub(t, realtime.Config{}).Authenticate(r)
	require.NoError(t, err)
	require.Empty(t, subject)

	expired := errors.New("session expired")
	hub := newHub(t, realtime.Config{Authenticate: func(*http.Request) (string, error) { return "ada", expired }})
	subject, err = hub.Authenticate(r)
	require.ErrorIs(t, err, expired)
	require.ErrorIs(t, err, telemed.ErrForbidden)
	require.Empty(t, subject, "what came with the error does not count")
}

func TestShutdown(t *testing.T) {
	t.Parallel()

	t.Run("waits for the work of connections", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(t, realtime.Config{Authorize: anybody})
			conn := connect(t, hub, "", "x")
			release := make(chan struct{})
			var finished atomic.Int32
			require.True(t, conn.Go(func() {
				<-conn.Context().Done()
				<-release
				finished.Add(1)
			}))
			inside := make(chan struct{})
			go conn.Do(func() { close(inside); <-release; finished.Add(1) })
			<-inside

			early, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, hub.Shutdown(early), context.Canceled)
			require.ErrorIs(t, context.Cause(conn.Context()), telemed.ErrClosed)

			done := make(chan error, 2)
			for range 2 {
				go func() { done <- hub.Shutdown(t.Context()) }()
			}
			synctest.Wait()
			require.Empty(t, done)
			close(release)
			require.NoError(t, <-done)
			require.NoError(t, <-done)
			require.EqualValues(t, 2, finished.Load())
		})
	})

	t.Run("and then nothing happens", func(t *testing.T) {
		t.Parallel()
		hub := newHub(t, realtime.Config{Authorize: anybody})
		conn := connect(t, hub, "", "x")
		require.NoError(t, hub.Shutdown(t.Context()))
		require.ErrorIs(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}), telemed.ErrClosed)
		require.ErrorIs(t, conn.Join(t.Context(), "y"), telemed.ErrClosed)
		require.False(t, conn.Send([]byte("m")))
		require.False(t, conn.Do(func() { t.Error("must not run") }))
		require.False(t, conn.Go(func() { t.Error("must not run") }))
		_, err := hub.Connect(t.Context(), "", newPlain(), nil)
		require.ErrorIs(t, err, telemed.ErrClosed)
		conn.Leave("x")
		conn.Close(nil)
		require.Empty(t, queued(conn))
		require.Equal(t, realtime.Stats{}, hub.Stats())
	})
}

// A connection outlives the request that opened it, and keeps its values.
func TestConnectionContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "trace-1"))
	hub := newHub(t, realtime.Config{})
	conn, err := hub.Connect(ctx, "", newPlain(), nil)
	require.NoError(t, err)
	cancel()
	require.NoError(t, conn.Context().Err())
	require.Equal(t, "trace-1", conn.Context().Value(key{}))
	own := errors.New("own cause")
	conn.Close(own)
	conn.Close(nil)
	require.Equal(t, own, context.Cause(conn.Context()))
}

// Every connection that stays sees all broadcasts in one order while a thousand
// others come and go.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const joins, broadcasters, events = 1000, 4, 50
	hub := newHub(t, realtime.Config{Authorize: anybody})
	stay := []*realtime.Conn{connect(t, hub, "", "x"), connect(t, hub, "", "x")}

	var wg sync.WaitGroup
	for n := range broadcasters {
		wg.Go(func() {
			for i := range events {
				if err := hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: n*events + i}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 8 {
		wg.Go(func() {
			for i := range joins / 8 {
				conn, err := hub.Connect(t.Context(), "guest", newPlain(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				conn.Go(func() {
					for {
						if _, err := conn.Next(conn.Context()); err != nil {
							return
						}
					}
				})
				if err := conn.Join(conn.Context(), "x"); err != nil && !errors.Is(err, telemed.ErrClosed) {
					t.Error(err)
				}
				switch i % 3 {
				case 0:
					conn.Leave("x")
				case 1:
					conn.Close(nil)
				case 2:
					_, _ = hub.Disconnect(t.Context(), "guest")
				}
				conn.Close(nil)
			}
		})
	}
	wg.Wait()
	first, second := queued(stay[0]), queued(stay[1])
	require.Len(t, first, broadcasters*events)
	require.Equal(t, first, second)
	require.Equal(t, 2, hub.Stats().Connections)
}

func TestShutdownDuringBroadcasts(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	for range 50 {
		conn := connect(t, hub, "", "x")
		conn.Go(func() {
			for {
				if _, err := conn.Next(conn.Context()); err != nil {
					return
				}
			}
		})
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if err := hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}); err != nil {
					if !errors.Is(err, telemed.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	require.NoError(t, hub.Shutdown(t.Context()))
	wg.Wait()
	require.Zero(t, hub.Stats().Connections)
}

func TestNewHub(t *testing.T) {
	t.Parallel()
	_, err := realtime.NewHub(realtime.Config{MaxPending: -1, MaxPendingTotal: -1, MaxConnections: -1, MaxRooms: -1, MaxRefusals: -1, MaxEventSize: -1})
	require.ErrorIs(t, err, telemed.ErrInvalid)
	require.EqualError(t, err, "realtime: MaxPending is negative; MaxPendingTotal is negative; MaxConnections is negative; MaxRooms is negative; MaxRefusals is negative; MaxEventSize is negative")
}

const canary = "Asha-Patel-canary"

func TestNothingOfAPatientIsPrinted(t *testing.T) {
	t.Parallel()
	event := realtime.Event{Name: "new-appointment", Data: map[string]string{"patientName": canary}}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb, event)
		require.NotContains(t, text, canary)
		require.Contains(t, text, "new-appointment")
		require.NotContains(t, fmt.Sprintf(verb, struct{ E realtime.Event }{event}), canary)
	}
	logger.Info("m", "event", event)

	hub := newHub(t, realtime.Config{
		MaxPending:   1,
		Logger:       logger,
		Authenticate: func(*http.Request) (string, error) { return "", errors.New(canary) },
		Authorize: func(_ context.Context, client realtime.Client, _ string) error {
			if client.Subject == canary {
				return errors.New(canary)
			}
			return nil
		},
	})
	_, err := hub.Authenticate(httptest.NewRequest(http.MethodGet, "/", nil))
	require.Error(t, err)
	require.Error(t, connect(t, hub, canary).Join(t.Context(), canary))
	connect(t, hub, "", canary)
	for hub.Stats().Slow == 0 {
		require.NoError(t, hub.Broadcast(t.Context(), canary, event))
	}
	require.NoError(t, hub.Shutdown(t.Context()), "which waits for what is on its way")
	err = hub.Broadcast(t.Context(), canary, realtime.Event{Name: "e", Data: []any{canary, math.NaN()}})
	require.NotContains(t, err.Error(), canary)
	require.Contains(t, log.String(), "slow connections ended", "the log works")
	require.NotContains(t, log.String(), canary)
}

func BenchmarkFanOut(b *testing.B) {
	for _, members := range []int{1, 100, 1000} {
		b.Run(strconv.Itoa(members), func(b *testing.B) {
			hub := newHub(b, realtime.Config{Authorize: anybody})
			conns, encoder := make([]*realtime.Conn, members), newPlain()
			for i := range conns {
				var err error
				conns[i], err = hub.Connect(b.Context(), "", encoder, nil)
				require.NoError(b, err)
				require.NoError(b, conns[i].Join(b.Context(), "x"))
			}
			shared := realtime.Event{Name: "new-appointment", Data: map[string]string{"patientName": "A", "time": "10:30"}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				if err := hub.Broadcast(b.Context(), "x", shared); err != nil {
					b.Fatal(err)
				}
				for _, conn := range conns {
					if _, err := conn.Next(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N*members), "allocs/delivered")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/delivered")
		})
	}
}

func disconnect(t *testing.T, hub *realtime.Hub, subject string) int {
	t.Helper()
	ended, err := hub.Disconnect(t.Context(), subject)
	require.NoError(t, err)
	return ended
}
