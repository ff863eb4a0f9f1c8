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

// One clock is enough for all who have not entered, and each has its own time.
func TestClockOfTheLobby(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		after := func(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
		at := func(seconds int) {
			time.Sleep(after(seconds) - time.Since(began))
			synctest.Wait()
		}
		var all []*Session
		server := newServer(t, Config{
			Open: func(s *Session, _ *http.Request) (Handler, error) {
				all = append(all, s)
				return silent{}, nil
			},
			ConnectTimeout: after(10), PingInterval: time.Hour,
		})
		open := func() {
			server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling", nil))
		}
		requireOver := func(want ...bool) {
			t.Helper()
			for i, s := range all {
				require.Equal(t, want[i], s.isOver(), "session %d after %v", i, time.Since(began))
			}
		}
		open()
		at(4)
		open()
		open()
		at(8)
		open()
		all[0].Enter()
		all[2].Enter()
		at(13)
		requireOver(false, false, false, false)
		at(14)
		requireOver(false, true, false, false)
		all[2].Leave()
		at(18)
		requireOver(false, true, false, true)
		at(23)
		all[0].Leave()
		requireOver(false, true, false, true)
		at(24)
		requireOver(false, true, true, true)
		all[0].Enter()
		require.False(t, server.lobby.ticking, "nobody is there")
		at(50)
		open()
		at(59)
		requireOver(false, true, true, true, false)
		at(60)
		requireOver(false, true, true, true, true)
		require.ErrorIs(t, all[4].why(), errNoConnect)
		require.NoError(t, server.Shutdown(context.Background()))
	})
}
