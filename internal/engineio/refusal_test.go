package engineio

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Each stranger is counted, and once a second the operator reads who it was: nothing but what
// may be in a host's name.
func TestStrangersAreCountedAndSeldomLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		refused := map[Reason]int{}
		server := newServer(t, Config{
			Refused:      func(reason Reason) { refused[reason]++ },
			AllowedHosts: []string{"clinic.example"},
			Logger:       slog.New(slog.NewTextHandler(&log, nil)),
		})
		ask := func(host, origin string) int {
			r := httptest.NewRequest(http.MethodGet, "/engine.io/?EIO=4&transport=polling&token=Asha", nil)
			r.Host = host
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, 421, ask("evil.example", "http://evil.example"))
		for range 9 {
			require.Equal(t, 403, ask("clinic.example", "https://other.example/?\x1b[31m आशा@"+strings.Repeat("x", 500)))
		}
		require.Equal(t, map[Reason]int{ForeignHost: 1, ForeignOrigin: 9}, refused)
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), "level=WARN")
		require.Contains(t, log.String(), "host=evil.example")
		time.Sleep(time.Second)
		require.Equal(t, 403, ask("clinic.example", "https://other.example/?\x1b[31m आशा@"+strings.Repeat("x", 500)))
		require.Equal(t, 2, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), `skipped=9`)
		require.Contains(t, log.String(), "origin=https://other.example/**[31m")
		require.NotContains(t, log.String(), "Asha")
		require.Less(t, log.Len(), 500)
	})
}

// An address has so many sessions at once, whether they have entered or not.
func TestMaxPerAddr(t *testing.T) {
	t.Parallel()
	refused := 0
	var sessions []*Session
	cfg := Config{
		Open: func(s *Session, _ *http.Request) (Handler, error) {
			sessions = append(sessions, s)
			return echo{s}, nil
		},
		ConnectTimeout: time.Minute, MaxPerAddr: 3, MaxUnconnectedPerAddr: 2,
		ClientAddr: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		Refused:    func(Reason) { refused++ },
	}
	inMemory(t, cfg, func(w world) {
		for range 3 {
			w.open()
			sessions[len(sessions)-1].Enter()
		}
		for range 2 {
			require.Equal(w.t, 503, w.ask("GET", poll, "").status)
		}
		require.Equal(w.t, 2, refused)
		sessions[0].Close(nil)
		synctest.Wait()
		w.open()
		require.Equal(w.t, 503, w.ask("GET", poll, "").status)
		for _, s := range sessions {
			s.Close(nil)
		}
		synctest.Wait()
		require.Empty(w.t, w.engine.lobby.all)
		require.Empty(w.t, w.engine.live())
	})
}
