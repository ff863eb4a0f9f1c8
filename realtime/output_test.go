package realtime_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// wire is an Output that takes what it is told to.
type wire struct {
	mu    sync.Mutex
	put   func(messages [][]byte) (waiting int, err error) // nil: all is sent
	got   []string
	ended []error
}

func (w *wire) Put(messages [][]byte, joined []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !bytes.Equal(joined, bytes.Join(messages, nil)) {
		panic("joined is not the messages")
	}
	for _, message := range messages {
		w.got = append(w.got, string(message))
	}
	if w.put == nil {
		return 0, nil
	}
	return w.put(messages)
}

func (w *wire) End(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = append(w.ended, cause)
}

func (w *wire) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got
}

// keep is a wire that sends nothing.
func keep(messages [][]byte) (int, error) { return len(bytes.Join(messages, nil)), nil }

func connectTo(t *testing.T, hub *realtime.Hub, encoder realtime.Encoder, output realtime.Output) *realtime.Conn {
	t.Helper()
	conn, err := hub.Connect(t.Context(), "", encoder, output)
	require.NoError(t, err)
	require.NoError(t, conn.Join(t.Context(), "x"))
	return conn
}

// bomb is an encoder that panics.
type bomb struct{}

func (bomb) Encode(realtime.Message) []byte { panic("about Asha") }

// A panic of a transport's code ends its own connections, whatever it comes from, and the
// hub goes on.
func TestPanicsEndOneConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		hub := newHub(t, realtime.Config{Authorize: anybody, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		var good wire
		fine := connectTo(t, hub, newPlain(), &good)
		outputs := []*wire{{}, {put: func([][]byte) (int, error) { panic("about Asha") }}, {}}
		conns := []*realtime.Conn{
			connectTo(t, hub, bomb{}, outputs[0]), connectTo(t, hub, newPlain(), outputs[1]), connectTo(t, hub, newPlain(), outputs[2]),
		}
		require.True(t, conns[2].Go(func() { panic("about Asha") }))
		for range 2 {
			require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}))
			synctest.Wait()
		}
		for i, conn := range conns {
			require.Error(t, conn.Context().Err(), i)
			require.Equal(t, []error{context.Cause(conn.Context())}, outputs[i].ended)
		}
		require.NoError(t, fine.Context().Err())
		require.Equal(t, []string{"e=null", "e=null"}, good.heard())
		require.Equal(t, 1, hub.Stats().Connections)
		require.Equal(t, 3, strings.Count(log.String(), "panic=string"))
		require.NotContains(t, log.String(), "Asha")
	})
}

// listed is an encoder that cannot be compared.
type listed []string

func (listed) Encode(realtime.Message) []byte { return []byte("x") }

// What would end the program at the second connection is refused at the first.
func TestEncoderMustBeComparable(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	for _, encoder := range []realtime.Encoder{nil, listed{}} {
		_, err := hub.Connect(t.Context(), "", encoder, nil)
		require.ErrorIs(t, err, telemed.ErrInvalid)
	}
	connectTo(t, hub, &listed{}, nil)
	connectTo(t, hub, &listed{}, nil)
	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}))
	require.Equal(t, 2, hub.Stats().Connections)
}

// An error of an Output ends its connection with it.
func TestOutputFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{Authorize: anybody})
		gone := errors.New("gone")
		output := &wire{put: func([][]byte) (int, error) { return 0, gone }}
		conn := connectTo(t, hub, newPlain(), output)
		conn.Send([]byte("m"))
		synctest.Wait()
		require.Equal(t, gone, context.Cause(conn.Context()))
		require.Equal(t, []error{gone}, output.ended)
		_, err := conn.Next(t.Context())
		require.ErrorIs(t, err, telemed.ErrInvalid)
	})
}

// A message of Send counts once, before the Output has it and after.
func TestSendCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{Authorize: anybody, MaxPending: 100, MaxPendingTotal: 100})
		output := &wire{put: keep}
		conn := connectTo(t, hub, newPlain(), output)
		require.True(t, conn.Send(make([]byte, 100)))
		synctest.Wait()
		require.NoError(t, conn.Context().Err())
		conn.Sent(100)
		for range 100 { // and nothing stays counted
			require.True(t, conn.Send(make([]byte, 100)))
			synctest.Wait()
			conn.Sent(100)
		}
		require.NoError(t, conn.Context().Err())
		require.True(t, conn.Send(make([]byte, 60)))
		synctest.Wait()
		require.True(t, conn.Send(make([]byte, 60)))
		synctest.Wait()
		require.ErrorIs(t, context.Cause(conn.Context()), realtime.ErrSlow)

		next := connectTo(t, hub, newPlain(), &wire{put: keep})
		require.True(t, next.Send(make([]byte, 100)), "what the other had is given back")
		synctest.Wait()
		require.NoError(t, next.Context().Err())
	})
}

// Who calls Broadcast faster than the hub hands events out is held up, until ctx or the hub
// ends.
func TestBroadcastWaitsForTheHub(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{Authorize: anybody})
		open := make(chan struct{})
		output := &wire{put: func([][]byte) (int, error) { <-open; return 0, nil }}
		connectTo(t, hub, newPlain(), output)
		event := realtime.Event{Name: "e", Data: strings.Repeat("x", 900_000)}
		ctx, cancel := context.WithCancel(t.Context())
		sent := 0
		held := make(chan error, 1)
		go func() {
			for {
				if err := hub.Broadcast(ctx, "x", event); err != nil {
					held <- err
					return
				}
				sent++
			}
		}()
		synctest.Wait()
		require.Less(t, sent, 200, "the first of them waits in the wire")
		cancel()
		require.ErrorIs(t, <-held, context.Canceled)
		done := make(chan error)
		go func() { done <- hub.Broadcast(t.Context(), "x", realtime.Event{Name: "last"}) }()
		synctest.Wait()
		require.Empty(t, done)
		close(open)
		require.NoError(t, <-done)
		synctest.Wait()
		got := output.heard()
		require.Len(t, got, sent+1)
		require.Equal(t, "last=null", got[sent])
	})
}

// Disconnect finds whom it looks for, however people come and go.
func TestDisconnectFindsAll(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{})
	open := map[string][]*realtime.Conn{}
	for n := range 60 {
		subject := []string{"ada", "bob", ""}[n%3]
		open[subject] = append(open[subject], connect(t, hub, subject))
	}
	for _, i := range []int{19, 0, 7, 16} { // the ends of the list, and its middle
		for subject, conns := range open {
			conns[i].Close(nil)
			open[subject] = append(conns[:i:i], conns[i+1:]...)
		}
	}
	for _, subject := range []string{"bob", "", "ada"} {
		require.Equal(t, 16, disconnect(t, hub, subject))
		for _, conn := range open[subject] {
			require.ErrorIs(t, context.Cause(conn.Context()), telemed.ErrForbidden)
		}
		require.Zero(t, disconnect(t, hub, subject))
	}
	require.Zero(t, hub.Stats().Connections)
	connect(t, hub, "ada")
	require.Equal(t, 1, disconnect(t, hub, "ada"))
}

func TestLeaveAll(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{Authorize: anybody})
	conn, other := connect(t, hub, "", "x", "y"), connect(t, hub, "", "x")
	conn.LeaveAll()
	conn.LeaveAll()
	require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}))
	require.NoError(t, hub.Broadcast(t.Context(), "y", realtime.Event{Name: "e"}))
	require.Empty(t, queued(conn))
	require.Len(t, queued(other), 1)
	require.Equal(t, 1, hub.Stats().Rooms)
	require.NoError(t, conn.Join(t.Context(), "y"))
	require.NoError(t, hub.Broadcast(t.Context(), "y", realtime.Event{Name: "e"}))
	require.Len(t, queued(conn), 1)
}
