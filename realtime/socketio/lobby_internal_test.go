package socketio

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// A session that ends while it is opened is not kept, whether the lobby takes it or not.
func TestEndedWhileOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var hub *realtime.Hub
		var err error
		asked := 0
		hub, err = realtime.NewHub(realtime.Config{Authenticate: func(r *http.Request) (string, error) {
			if asked++; asked%2 == 0 {
				hub.Disconnect(t.Context(), "ada") // behind Connect, and before the lobby
				synctest.Wait()
			}
			return r.Header.Get("X-User"), nil
		}})
		require.NoError(t, err)
		server, err := New(Config{Hub: hub, MaxUnconnectedPerAddr: 1, ClientAddr: func(r *http.Request) netip.Addr {
			return netip.MustParseAddr(r.Header.Get("X-Real-Ip"))
		}})
		require.NoError(t, err)
		open := func(user, addr string) {
			r := httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil)
			r.Header.Set("X-Real-Ip", addr)
			r.Header.Set("X-User", user)
			server.ServeHTTP(httptest.NewRecorder(), r)
			synctest.Wait()
		}
		open("bob", "192.0.2.1")
		for _, addr := range []string{"192.0.2.1", "192.0.2.2"} {
			open("ada", addr)
			require.Len(t, server.sessions, 1)
			require.Len(t, server.lobby.addrs, 1)
			require.Len(t, server.lobby.crowds, 1)
		}
		require.NoError(t, hub.Shutdown(context.Background()))
	})
}
