package realtimetest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	var recorder realtimetest.Recorder
	require.NoError(t, recorder.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "a", Data: map[string]int{"n": 1}}))

	t.Log("it refuses what a hub refuses")
	require.ErrorIs(t, recorder.Broadcast(t.Context(), "", realtime.Event{Name: "a"}), telemed.ErrInvalid)
	require.ErrorIs(t, recorder.Broadcast(t.Context(), "x", realtime.Event{}), telemed.ErrInvalid)
	require.ErrorIs(t, recorder.Broadcast(t.Context(), "x", realtime.Event{Name: "a", Data: math.NaN()}), telemed.ErrInvalid)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, recorder.Broadcast(ended, "x", realtime.Event{Name: "a"}), context.Canceled)

	t.Log("it can be told to fail")
	recorder.FailNext(realtimetest.OpBroadcast, telemed.ErrUnavailable)
	require.Equal(t, telemed.ErrUnavailable, recorder.Broadcast(t.Context(), "x", realtime.Event{Name: "a"}))
	recorder.FailAfter("", telemed.ErrUnavailable)
	require.Equal(t, telemed.ErrUnavailable, recorder.Broadcast(t.Context(), "clinic-8", realtime.Event{Name: "b"}))

	t.Log("it waits")
	third := func(b realtimetest.Broadcast) bool { return b.Name == "c" }
	_, err := recorder.WaitFor(ended, third)
	require.ErrorIs(t, err, context.Canceled)
	go func() { _ = recorder.Broadcast(context.Background(), "clinic-8", realtime.Event{Name: "c"}) }()
	found, err := recorder.WaitFor(within(t), third)
	require.NoError(t, err)
	require.Equal(t, "clinic-8", found.Room)
	require.Equal(t, []realtimetest.Broadcast{
		{Room: "clinic-7", Name: "a", Data: []byte(`{"n":1}`)},
		{Room: "clinic-8", Name: "b", Data: []byte("null")},
		{Room: "clinic-8", Name: "c", Data: []byte("null")},
	}, recorder.All())
}

// serve starts a server that everybody may join any room of.
func serve(t *testing.T) (*realtime.Hub, *httptest.Server) {
	t.Helper()
	hub, err := realtime.NewHub(realtime.Config{Authorize: func(context.Context, realtime.Client, string) error { return nil }})
	require.NoError(t, err)
	sio, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	server := httptest.NewTLSServer(sio)
	t.Cleanup(func() {
		require.NoError(t, hub.Shutdown(context.Background()))
		server.Close()
	})
	return hub, server
}

func trust(server *httptest.Server) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return &tls.Config{RootCAs: roots}
}

func TestClient(t *testing.T) {
	t.Parallel()
	for _, transport := range []realtimetest.Transport{"", realtimetest.WebSocket, realtimetest.Polling} {
		t.Run("transport "+string(transport), func(t *testing.T) {
			t.Parallel()
			hub, server := serve(t)
			ctx := within(t)
			client, err := realtimetest.Dial(ctx, server.URL+"/socket.io/?tenant=1", realtimetest.Options{Transport: transport, TLS: trust(server)})
			require.NoError(t, err)
			require.NotEmpty(t, client.ID())

			require.NoError(t, client.Emit(ctx, "join-clinic", "7"))
			answer, err := client.EmitAck(ctx, "join-clinic", "8")
			require.NoError(t, err)
			require.Equal(t, `{"ok":true}`, string(answer))
			require.NoError(t, hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "a", Data: 1}))
			require.NoError(t, hub.Broadcast(ctx, "clinic-8", realtime.Event{Name: "b"}))
			for _, want := range []realtimetest.Event{{Name: "a", Data: []byte("1")}, {Name: "b", Data: []byte("null")}} {
				event, err := client.Next(ctx)
				require.NoError(t, err)
				require.Equal(t, want, event)
			}

			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			_, err = client.Next(short)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, client.Emit(ctx, "x", math.NaN()), "NaN")
			require.NoError(t, client.Err(), "none of this ended the connection")

			require.NoError(t, client.Close())
			require.NoError(t, client.Close())
			_, err = client.Next(ctx)
			require.ErrorIs(t, err, telemed.ErrClosed)
			_, err = client.EmitAck(ctx, "join-clinic", "7")
			require.ErrorIs(t, err, telemed.ErrClosed)
			require.ErrorIs(t, client.Emit(ctx, "join-clinic", "7"), telemed.ErrClosed)
			require.Eventually(t, func() bool { return hub.Stats().Connections == 0 }, 5*time.Second, time.Millisecond)
		})
	}
}

// A test that reuses its header for the next client does not change what the first one
// sends.
func TestHeaderIsCopied(t *testing.T) {
	t.Parallel()
	var users sync.Map
	hub, err := realtime.NewHub(realtime.Config{Authenticate: func(r *http.Request) (string, error) {
		users.Store(r.Header.Get("User"), true)
		return "", nil
	}})
	require.NoError(t, err)
	sio, err := socketio.New(socketio.Config{Hub: hub})
	require.NoError(t, err)
	server := httptest.NewServer(sio)
	t.Cleanup(server.Close)
	t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })
	header := http.Header{"User": {"ada"}}
	client, err := realtimetest.Dial(within(t), server.URL, realtimetest.Options{Transport: realtimetest.Polling, Header: header})
	require.NoError(t, err)
	header.Set("User", "bob")
	_, err = client.EmitAck(within(t), "x")
	require.NoError(t, err)
	require.NoError(t, client.Close())
	_, bob := users.Load("bob")
	require.False(t, bob)
}

func TestClientHearsTheRestAfterTheEnd(t *testing.T) {
	t.Parallel()
	hub, server := serve(t)
	ctx := within(t)
	client, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{TLS: trust(server)})
	require.NoError(t, err)
	_, err = client.EmitAck(ctx, "join-clinic", "7")
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, hub.Broadcast(ctx, "clinic-7", realtime.Event{Name: "a"}))
	}
	_, err = client.EmitAck(ctx, "leave-clinic", "7") // behind the events
	require.NoError(t, err)
	require.NoError(t, hub.Shutdown(ctx))
	<-client.Done()
	for range 3 {
		event, err := client.Next(ctx)
		require.NoError(t, err)
		require.Equal(t, "a", event.Name)
	}
	for range 2 {
		_, err = client.Next(ctx)
		require.ErrorIs(t, err, telemed.ErrClosed)
	}
	require.NoError(t, client.Close())
}

// script is a server that answers the first polls of a session with these
// bodies, and the others with the last.
func script(answers ...string) http.HandlerFunc {
	var polls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !r.URL.Query().Has("sid"):
			_, _ = io.WriteString(w, `0{"sid":"s"}`)
		case r.Method == http.MethodGet:
			n := min(polls.Add(1), int64(len(answers)))
			_, _ = io.WriteString(w, answers[n-1])
		}
	}
}

// What servers send at moments that they choose, and what they should not send.
func TestServers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []string
		want    []realtimetest.Event
		end     string
	}{
		"a heartbeat before the welcome":  {[]string{"2\x1e40{\"sid\":\"a\"}\x1e2", `42["x",1,2]`, "1"}, []realtimetest.Event{{Name: "x", Data: []byte("1"), More: []json.RawMessage{[]byte("2")}}}, "close packet"},
		"an event right behind it":        {[]string{"40{\"sid\":\"a\"}\x1e42[\"y\"]\x1e6", "1"}, []realtimetest.Event{{Name: "y"}}, "close packet"},
		"an acknowledgement of nothing":   {[]string{`40{"sid":"a"}`, "4399[]\x1e42[\"z\"]", "1"}, []realtimetest.Event{{Name: "z"}}, "close packet"},
		"a broken event":                  {[]string{`40{"sid":"a"}`, "42{}"}, nil, "form of an event"},
		"an event without a name":         {[]string{`40{"sid":"a"}`, "42[1]"}, nil, "event's name"},
		"a broken acknowledgement":        {[]string{`40{"sid":"a"}`, "431"}, nil, "acknowledgement"},
		"a packet of another protocol":    {[]string{`40{"sid":"a"}`, "hello"}, nil, "unexpected packet"},
		"a disconnect from the namespace": {[]string{`40{"sid":"a"}`, "41"}, nil, "disconnected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(script(test.answers...))
			t.Cleanup(server.Close)
			client, err := realtimetest.Dial(within(t), server.URL, realtimetest.Options{Transport: realtimetest.Polling})
			require.NoError(t, err)
			require.Equal(t, "a", client.ID())
			for _, want := range test.want {
				event, err := client.Next(within(t))
				require.NoError(t, err)
				require.Equal(t, want, event)
			}
			<-client.Done()
			_, err = client.Next(within(t))
			require.ErrorIs(t, err, telemed.ErrClosed)
			require.ErrorContains(t, err, test.end)
			require.NoError(t, client.Close())
		})
	}
}

func TestDialFails(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		handler http.Handler
		want    realtimetest.HandshakeError
	}{
		"refused by Engine.IO":  {answer(403, `{"code":4,"message":"Forbidden"}`), realtimetest.HandshakeError{Status: 403, Code: 4, Reason: "Forbidden"}},
		"refused by a proxy":    {answer(502, "<html>"), realtimetest.HandshakeError{Status: 502, Code: -1}},
		"no Socket.IO is there": {http.NotFoundHandler(), realtimetest.HandshakeError{Status: 404, Code: -1}},
	} {
		for _, transport := range []realtimetest.Transport{realtimetest.WebSocket, realtimetest.Polling} {
			t.Run(name+", "+string(transport), func(t *testing.T) {
				t.Parallel()
				server := httptest.NewServer(test.handler)
				t.Cleanup(server.Close)
				_, err := realtimetest.Dial(within(t), server.URL, realtimetest.Options{Transport: transport})
				refusal, ok := errors.AsType[*realtimetest.HandshakeError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, test.want, *refusal)
			})
		}
	}

	t.Run("another protocol answers", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{"", "hello", "0{", "4"} {
			server := httptest.NewServer(answer(200, body))
			t.Cleanup(server.Close)
			_, err := realtimetest.Dial(within(t), server.URL, realtimetest.Options{Transport: realtimetest.Polling})
			require.ErrorContains(t, err, "first packet")
		}
	})
	for name, test := range map[string]struct{ answer, want string }{
		"the namespace is refused": {`44{"message":"no"}`, `refused with the message "no"`},
		"the welcome has no id":    {`40{}`, "welcome"},
		"the server closes":        {"6\x1e1", "close packet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(script(test.answer))
			t.Cleanup(server.Close)
			_, err := realtimetest.Dial(within(t), server.URL, realtimetest.Options{Transport: realtimetest.Polling})
			require.ErrorContains(t, err, test.want)
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		t.Cleanup(server.Close)
		t.Cleanup(func() { close(release) })
		for _, transport := range []realtimetest.Transport{realtimetest.WebSocket, realtimetest.Polling} {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := realtimetest.Dial(ctx, server.URL, realtimetest.Options{Transport: transport})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
	})
	t.Run("wrong arguments", func(t *testing.T) {
		t.Parallel()
		_, err := realtimetest.Dial(t.Context(), "localhost:3001", realtimetest.Options{})
		require.ErrorContains(t, err, "not absolute")
		_, err = realtimetest.Dial(t.Context(), "http://127.0.0.1", realtimetest.Options{Transport: "pigeon"})
		require.ErrorContains(t, err, "pigeon")
	})
	t.Run("an error does not show the session", func(t *testing.T) {
		t.Parallel()
		var server *httptest.Server
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("sid") {
				server.CloseClientConnections()
				return
			}
			_, _ = io.WriteString(w, `0{"sid":"canary"}`)
		}))
		t.Cleanup(server.Close)
		_, err := realtimetest.Dial(within(t), server.URL, realtimetest.Options{Transport: realtimetest.Polling})
		require.Error(t, err)
		require.False(t, strings.Contains(err.Error(), "canary"), err)
	})
}
