package engineio

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
)

// A session that ends while it is opened is not kept, whether the lobby takes it or not.
func TestEndedWhileOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var opened *Session
		asked := 0
		server := newServer(t, Config{
			Open: func(s *Session, _ *http.Request) (Handler, error) {
				opened = s
				return silent{}, nil
			},
			Authenticate: func(r *http.Request) (string, error) {
				if asked++; asked%2 == 0 && r.Header.Get("X-User") == "ada" {
					opened.Close(telemed.ErrForbidden) // behind Open, and before the lobby
					synctest.Wait()
				}
				return r.Header.Get("X-User"), nil
			},
			ConnectTimeout: time.Minute, MaxUnconnectedPerAddr: 1,
			ClientAddr: func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("X-Real-Ip")) },
		})
		open := func(user, addr string) {
			r := httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling", nil)
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
		require.NoError(t, server.Shutdown(context.Background()))
	})
}
