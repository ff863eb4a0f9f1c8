package socketio_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// A poll waits longer than the server's timeouts. HTTP/2 keeps them in other ways than
// HTTP/1.
func TestPollOutlivesTheServersTimeouts(t *testing.T) {
	t.Parallel()
	for _, major := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			hub, err := realtime.NewHub(realtime.Config{Authorize: func(context.Context, realtime.Client, string) error { return nil }})
			require.NoError(t, err)
			sio, err := socketio.New(socketio.Config{Hub: hub})
			require.NoError(t, err)
			ask := serveProtocol(t, major, &http.Server{Handler: sio, ReadTimeout: time.Second, WriteTimeout: time.Second})
			t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })

			target := "/socket.io/?EIO=4&transport=polling"
			var opened struct{ SID string }
			require.NoError(t, json.Unmarshal([]byte(ask("GET", target, "")[1:]), &opened))
			target += "&sid=" + opened.SID
			require.Equal(t, "ok", ask("POST", target, "40\x1e420[\"join-clinic\",\"7\"]"))
			require.Contains(t, ask("GET", target, ""), `430[{"ok":true}]`)
			for range 3 {
				time.AfterFunc(5*time.Second, func() {
					_ = hub.Broadcast(context.Background(), "clinic-7", realtime.Event{Name: "a", Data: 1})
				})
				require.Equal(t, `42["a",1]`, ask("GET", target, ""), "HTTP/%d", major)
			}
		})
	}
}

// serveProtocol runs server in memory until the test ends. What it returns sends a request
// by the protocol of that major version.
func serveProtocol(t *testing.T, major int, server *http.Server, wrap ...func(net.Listener) net.Listener) func(method, target, body string) string {
	t.Helper()
	l, err := fake.Listen("", true)
	require.NoError(t, err)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(major == 1)
	protocols.SetUnencryptedHTTP2(major == 2)
	server.Protocols = protocols
	ended := make(chan error, 1)
	var listener net.Listener = l
	for _, around := range wrap {
		listener = around(listener)
	}
	go func() { ended <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: l.Dial, Protocols: protocols}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
	})
	return func(method, target, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Address()+target, strings.NewReader(body))
		require.NoError(t, err)
		response, err := transport.RoundTrip(r)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, major, response.ProtoMajor)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(text)
	}
}
