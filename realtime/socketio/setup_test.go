package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// clinic is a server as an application builds it.
type clinic struct {
	hub   *realtime.Hub
	url   string
	polls *polls
}

// polls counts the requests of sessions that poll.
type polls struct{ begun, posts atomic.Int32 }

// setup starts a server where everybody may join clinic-7 and nobody clinic-9;
// the database is down for clinic-8. Who sends "Cookie: user=ada" is ada.
func setup(t *testing.T, change ...func(*realtime.Config, *socketio.Config)) clinic {
	t.Helper()
	return start(t, (*httptest.Server).Start, change...)
}

// start is setup for a server that is to start in another way.
func start(t *testing.T, begin func(*httptest.Server), change ...func(*realtime.Config, *socketio.Config)) clinic {
	t.Helper()
	rooms := realtime.Config{
		Authenticate: func(r *http.Request) (string, error) {
			cookie, err := r.Cookie("user")
			switch {
			case err != nil:
				return "", nil
			case cookie.Value == "mallory":
				return "", errors.New("mallory is not welcome")
			}
			return cookie.Value, nil
		},
		Authorize: func(_ context.Context, _ realtime.Client, room string) error {
			switch {
			case room == "clinic-8":
				return telemed.ErrUnavailable
			case room == "clinic-9":
				return errors.New("patient Asha is in there")
			}
			return nil
		},
	}
	var wire socketio.Config
	for _, apply := range change {
		apply(&rooms, &wire)
	}
	hub, err := realtime.NewHub(rooms)
	require.NoError(t, err)
	wire.Hub = hub
	sio, err := socketio.New(wire)
	require.NoError(t, err)
	polls := new(polls)
	mux := http.NewServeMux()
	mux.HandleFunc("/socket.io/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Query().Has("sid") && r.Header.Get("Upgrade") == "" {
			polls.begun.Add(1)
		}
		if r.Method == http.MethodPost {
			polls.posts.Add(1)
		}
		sio.ServeHTTP(w, r)
	})
	server := httptest.NewUnstartedServer(mux)
	begin(server)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		require.NoError(t, hub.Shutdown(ctx))
		server.Close()
	})
	return clinic{hub, server.URL, polls}
}

// within is for what hangs; a slow machine under the race detector needs some time.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (c clinic) dial(t *testing.T, options realtimetest.Options) *realtimetest.Client {
	t.Helper()
	client, err := realtimetest.Dial(within(t), c.url, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func (c clinic) broadcast(t *testing.T, room, name string, data any) {
	t.Helper()
	require.NoError(t, c.hub.Broadcast(within(t), room, realtime.Event{Name: name, Data: data}))
}

func ack(t *testing.T, client *realtimetest.Client, name string, args ...any) string {
	t.Helper()
	answer, err := client.EmitAck(within(t), name, args...)
	require.NoError(t, err)
	return string(answer)
}

func next(t *testing.T, client *realtimetest.Client) realtimetest.Event {
	t.Helper()
	event, err := client.Next(within(t))
	require.NoError(t, err)
	return event
}

func disconnect(t *testing.T, hub *realtime.Hub, subject string) int {
	t.Helper()
	ended, err := hub.Disconnect(t.Context(), subject)
	require.NoError(t, err)
	return ended
}

var transports = []realtimetest.Transport{realtimetest.WebSocket, realtimetest.Polling}

const ok = `{"ok":true}`

func refusedWith(reason string) string { return `{"ok":false,"error":"` + reason + `"}` }

func cookie(user string) http.Header { return http.Header{"Cookie": {"user=" + user}} }

func repeat(text string, bytes int) string { return strings.Repeat(text, bytes/len(text)+1)[:bytes] }

// whoami answers every event with the client's subject.
func whoami(_ *realtime.Config, wire *socketio.Config) {
	wire.OnEvent = func(_ context.Context, s *socketio.Socket, _ string, _ socketio.Args) (any, error) {
		return s.Client().Subject, nil
	}
}
