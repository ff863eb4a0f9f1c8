package socketio_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// A stranger's page under its own name, which leads to this machine.
func TestHosts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg     socketio.Config
		host    string
		header  map[string]string
		refused bool
	}{
		"stranger":                 {host: "evil.example", refused: true},
		"stranger with a port":     {host: "evil.example:3001", refused: true},
		"stranger as own page":     {host: "evil.example", header: map[string]string{"Origin": "http://evil.example"}, refused: true},
		"stranger with a dot":      {host: "evil.example.", refused: true},
		"stranger, page by TLS":    {host: "evil.example:3001", header: map[string]string{"Origin": "https://evil.example"}, refused: true},
		"localhost":                {host: "localhost:3001"},
		"localhost in capitals":    {host: "LOCALHOST"},
		"below localhost":          {host: "clinic.localhost:3001"},
		"IP address":               {host: "127.0.0.1:3001"},
		"IP address of version 6":  {host: "[::1]:3001"},
		"a name of the own net":    {host: "backend:3001"},
		"a name like an address":   {host: "127.0.0.1.evil.example", refused: true},
		"a name like localhost":    {host: "localhost.evil.example", refused: true},
		"name of a page":           {cfg: socketio.Config{AllowedOrigins: []string{"https://clinic.example"}}, host: "clinic.example"},
		"proxy with TLS, script":   {host: "clinic.example", header: map[string]string{"Origin": "https://clinic.example"}},
		"proxy with TLS, poll":     {host: "clinic.example", header: map[string]string{"Sec-Fetch-Site": "same-origin"}},
		"listed":                   {cfg: socketio.Config{AllowedHosts: []string{"Clinic.example"}}, host: "clinic.EXAMPLE:8443"},
		"listed with its port":     {cfg: socketio.Config{AllowedHosts: []string{"clinic.example:8443"}}, host: "clinic.example:8443"},
		"another port":             {cfg: socketio.Config{AllowedHosts: []string{"clinic.example:8443"}}, host: "clinic.example", refused: true},
		"a list has all":           {cfg: socketio.Config{AllowedHosts: []string{"clinic.example"}}, host: "127.0.0.1", refused: true},
		"a list against a header":  {cfg: socketio.Config{AllowedHosts: []string{"clinic.example"}}, host: "evil.example", header: map[string]string{"Sec-Fetch-Site": "none"}, refused: true},
		"a listed IPv6 address":    {cfg: socketio.Config{AllowedHosts: []string{"[::1]"}}, host: "[::1]:80"},
		"listed beside a stranger": {cfg: socketio.Config{AllowedHosts: []string{"a.example", "b.example"}}, host: "b.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			c := setup(t, func(hub *realtime.Config, wire *socketio.Config) {
				wire.AllowedOrigins, wire.AllowedHosts = test.cfg.AllowedOrigins, test.cfg.AllowedHosts
				hub.Logger = slog.New(slog.NewTextHandler(&log, nil))
			})
			for n, method := range []string{http.MethodGet, http.MethodOptions} {
				r, err := http.NewRequestWithContext(within(t), method, c.url+"/socket.io/?EIO=4&transport=polling", nil)
				require.NoError(t, err)
				r.Host = test.host
				for name, value := range test.header {
					r.Header.Set(name, value)
				}
				response, err := http.DefaultTransport.RoundTrip(r)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
				if !test.refused {
					require.Less(t, response.StatusCode, 300)
					require.Zero(t, c.hub.Stats().Refused)
					continue
				}
				require.Equal(t, http.StatusMisdirectedRequest, response.StatusCode)
				require.EqualValues(t, n+1, c.hub.Stats().Refused)
				require.EqualValues(t, n+1, c.hub.Stats().RefusedHosts)
				require.Contains(t, log.String(), "the request's Host is not one of AllowedHosts")
				require.NotContains(t, log.String(), "evil.example", "a stranger's words are not logged")
			}
		})
	}
}

// A server that others can reach takes any name, unless hosts are listed.
func TestHostsOfAServerThatIsNotLocal(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{nil, {"clinic.example"}} {
		hub, err := realtime.NewHub(realtime.Config{})
		require.NoError(t, err)
		server, err := socketio.New(socketio.Config{Hub: hub, AllowedHosts: list})
		require.NoError(t, err)
		for host, listed := range map[string]bool{"clinic.example": true, "other.example": false} {
			r := httptest.NewRequest(http.MethodOptions, "/socket.io/?EIO=4&transport=polling", nil)
			r.Host = host
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}))
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			require.Equal(t, list == nil || listed, w.Code == http.StatusNoContent, "%s in %q: %d", host, list, w.Code)
		}
	}
}

func TestHostsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "*", "*.clinic.example", "https://clinic.example", "clinic.example/x", "a b", "klinik.müller.example", "a@b", "clinic.example:x"} {
		hub, err := realtime.NewHub(realtime.Config{})
		require.NoError(t, err)
		_, err = socketio.New(socketio.Config{Hub: hub, AllowedHosts: []string{host}})
		require.ErrorIs(t, err, telemed.ErrInvalid, host)
		require.ErrorContains(t, err, "AllowedHosts", host)
	}
}

// A proxy that rewrites Host makes the own page a stranger's. Its operator hears of it.
func TestRefusedOriginIsCounted(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := setup(t, func(hub *realtime.Config, _ *socketio.Config) { hub.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	c.request(t, "GET", "transport=polling", "", http.Header{"Origin": {"https://clinic.example"}}).refused(t, 403, 4)
	stats := c.hub.Stats()
	require.Equal(t, []uint64{1, 1, 0}, []uint64{stats.Refused, stats.RefusedOrigins, stats.RefusedHosts})
	require.Contains(t, log.String(), "the page's origin is not one of AllowedOrigins")
}
