package redisstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// names is an encoder that writes the name alone.
type names struct{}

func (names) Encode(m realtime.Message) []byte { return []byte(m.Name + "\n") }

// guest is a client that is in room clinic-7.
func guest(t *testing.T, hub *realtime.Hub) *realtime.Conn {
	t.Helper()
	conn, err := hub.Connect(t.Context(), "ada", names{}, nil)
	require.NoError(t, err)
	_, err = conn.Enter(t.Context(), realtime.Return{}, []string{"clinic-7"}, func(string) []byte { return nil })
	require.NoError(t, err)
	return conn
}

// laterGuest is a guest of a hub that may be about to read its journal anew: until it has,
// nobody is let in.
func laterGuest(t *testing.T, hub *realtime.Hub) (conn *realtime.Conn) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		if conn, err = hub.Connect(t.Context(), "ada", names{}, nil); err != nil {
			return false
		}
		_, err = conn.Enter(t.Context(), realtime.Return{}, []string{"clinic-7"}, func(string) []byte { return nil })
		if err != nil {
			conn.Close(nil)
		}
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	return conn
}

// heard returns what conn gets, up to and with last.
func heard(t *testing.T, conn *realtime.Conn, last string) (all string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !strings.HasSuffix(all, last+"\n") {
		messages, err := conn.Next(ctx)
		require.NoError(t, err, all)
		all += string(bytes.Join(messages, nil))
	}
	return all
}

// Without Redis a broadcast is an error, and nobody joins. Who is connected stays, and hears
// all that was said when Redis is back. When the stream is lost, everybody is told.
func TestDeadRedisIsAnError(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	hubs := make([]*realtime.Hub, 2)
	for i := range hubs {
		journal := s.open(nil)
		hub, err := realtime.NewHub(realtime.Config{
			Journal: journal, StaleAfter: time.Millisecond,
			Authorize: func(context.Context, realtime.Client, string) error { return nil },
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })
		hubs[i] = hub
	}
	say := func(hub *realtime.Hub, name string) error {
		return hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: name, Data: realtime.Binary{1}})
	}
	conns := []*realtime.Conn{guest(t, hubs[0]), guest(t, hubs[1])}
	require.NoError(t, say(hubs[0], "first"))
	for _, conn := range conns {
		require.Equal(t, "first\n", heard(t, conn, "first"))
	}
	s.kill()
	for i, conn := range conns {
		err := say(hubs[i], "lost")
		require.Error(t, err)
		require.True(t, errorIsOneOf(err, telemed.ErrUnavailable, telemed.ErrAmbiguous), "%v", err)
		require.Eventually(t, func() bool { return hubs[i].Stats().Stale > time.Millisecond }, 20*time.Second, 10*time.Millisecond)
		require.ErrorIs(t, conn.Join(t.Context(), "clinic-8"), telemed.ErrUnavailable)
		require.NoError(t, conn.Context().Err())
	}
	s.start()
	require.NoError(t, say(hubs[1], "second"))
	for i, conn := range conns {
		require.Equal(t, "second\n", heard(t, conn, "second"), i)
		require.Eventually(t, func() bool { return conn.Join(t.Context(), "clinic-8") == nil }, 20*time.Second, 10*time.Millisecond)
	}

	require.NoError(t, s.client.FlushAll(t.Context()).Err())
	for i, conn := range conns {
		select {
		case <-conn.Context().Done():
			require.ErrorIs(t, context.Cause(conn.Context()), realtime.ErrGap)
		case <-time.After(30 * time.Second):
			require.FailNow(t, "a lost stream is not said", fmt.Sprint(i))
		}
	}
	again := laterGuest(t, hubs[0])
	require.NoError(t, say(hubs[1], "anew"))
	require.Equal(t, "anew\n", heard(t, again, "anew"))
}

func errorIsOneOf(err error, wanted ...error) bool {
	for _, want := range wanted {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// A kick stands between the events of the stream, in both processes.
func TestKickIsOrderedWithEvents(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var hubs []*realtime.Hub
	var conns []*realtime.Conn
	for range 2 {
		hub, journal, err := hubOf(s.client)
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, hub.Shutdown(context.Background()))
			require.NoError(t, journal.Shutdown(context.Background()))
		})
		hubs = append(hubs, hub)
		conns = append(conns, guest(t, hub))
	}
	const events = 200
	outputs := make(chan string, len(conns))
	for _, conn := range conns {
		go func() {
			var all []byte
			for {
				messages, err := conn.Next(context.Background())
				if err != nil {
					outputs <- string(all)
					return
				}
				all = append(all, bytes.Join(messages, nil)...)
			}
		}()
	}
	for n := range events {
		require.NoError(t, hubs[n%2].Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "before"}))
	}
	_, err := hubs[0].Disconnect(t.Context(), "ada")
	require.NoError(t, err)
	for n := range events {
		require.NoError(t, hubs[n%2].Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "after"}))
	}
	// The other process does not know that its connection, which is young, was there before.
	for i, cause := range []error{telemed.ErrForbidden, telemed.ErrUnavailable} {
		<-conns[i].Context().Done()
		require.ErrorIs(t, context.Cause(conns[i].Context()), cause, i)
		require.NotContains(t, <-outputs, "after")
	}
}
