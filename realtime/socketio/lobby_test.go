package socketio_test

import (
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// Whoever asks for sessions and leaves them keeps nobody out, be it the lobby that is full
// or the hub.
func TestHandshakeFloodLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]func(*realtime.Config, *socketio.Config){
		"lobby": func(_ *realtime.Config, wire *socketio.Config) { wire.MaxUnconnected = 20 },
		"hub":   func(rooms *realtime.Config, _ *socketio.Config) { rooms.MaxConnections = 20 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, limits)
			client := c.dial(t, realtimetest.Options{})
			first := c.openPolling(t, nil)
			for range 100 {
				c.openPolling(t, nil)
			}
			require.LessOrEqual(t, c.hub.Stats().Connections, 21)
			first.get(t).refused(t, 400, 1)
			for _, transport := range transports {
				require.Equal(t, ok, ack(t, c.dial(t, realtimetest.Options{Transport: transport}), "join-clinic", "7"))
			}
			require.Equal(t, ok, ack(t, client, "join-clinic", "7"), "who is connected stays")
		})
	}
}

// Whoever must go is of the crowd. A login, or an address of its own, keeps a client on a slow
// line from going with them.
func TestFloodEndsItsOwn(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(n int) http.Header{
		"anonymous":   func(int) http.Header { return nil },
		"a login":     func(int) http.Header { return cookie("eve") },
		"one address": func(int) http.Header { return http.Header{"X-Real-Ip": {"192.0.2.1"}} },
		"a network":   func(n int) http.Header { return http.Header{"X-Real-Ip": {"192.0.2." + strconv.Itoa(n%4)}} },
	} {
		for _, full := range []string{"lobby", "hub"} {
			t.Run(name+", "+full, func(t *testing.T) {
				t.Parallel()
				c := setup(t, byRealIP, func(rooms *realtime.Config, wire *socketio.Config) {
					if full == "lobby" {
						wire.MaxUnconnected = 20
					} else {
						rooms.MaxConnections = 20
					}
				})
				slow := c.openPolling(t, http.Header{"X-Real-Ip": {"192.0.2.77"}, "Cookie": {"user=ada"}})
				stranger := c.openPolling(t, http.Header{"X-Real-Ip": {"192.0.2.78"}})
				for n := range 60 {
					c.openPolling(t, flood(n))
				}
				require.LessOrEqual(t, c.hub.Stats().Connections, 20)
				for _, p := range []poller{slow, stranger} {
					require.Equal(t, "ok", p.post(t, "40").body)
					require.Contains(t, p.get(t).body, "40{")
				}
			})
		}
	}
}

// byRealIP takes the address from a header, as behind a proxy.
func byRealIP(_ *realtime.Config, wire *socketio.Config) {
	wire.ClientAddr = func(r *http.Request) netip.Addr {
		addr, _ := netip.ParseAddr(r.Header.Get("X-Real-Ip"))
		return addr
	}
}

func TestUnconnectedPerAddress(t *testing.T) {
	t.Parallel()
	c := setup(t, byRealIP, func(_ *realtime.Config, wire *socketio.Config) { wire.MaxUnconnectedPerAddr = 3 })
	from := func(addr string) http.Header { return http.Header{"X-Real-Ip": {addr}} }
	p := c.openPolling(t, from("192.0.2.1"))
	c.openPolling(t, from("192.0.2.1"))
	last := c.openPolling(t, from("192.0.2.1"))
	c.request(t, "GET", "transport=polling", "", from("192.0.2.1")).refused(t, 503, 3)
	require.EqualValues(t, 1, c.hub.Stats().Refused)
	require.Equal(t, 3, c.hub.Stats().Connections)
	c.openPolling(t, from("192.0.2.2"))
	for range 5 {
		c.openPolling(t, nil) // nobody tells
	}
	again := func() bool { return c.request(t, "GET", "transport=polling", "", from("192.0.2.1")).status == 200 }
	require.Equal(t, "ok", p.post(t, "40").body)
	require.Eventually(t, again, 5*time.Second, time.Millisecond, "who connects does not count any more")
	c.request(t, "GET", "transport=polling", "", from("192.0.2.1")).refused(t, 503, 3)
	require.Equal(t, "ok", last.post(t, "1").body)
	require.Eventually(t, again, 5*time.Second, time.Millisecond, "nor does who leaves")
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	c := setup(t, func(_ *realtime.Config, wire *socketio.Config) { wire.ConnectTimeout = 2 * time.Second })
	stays := c.connectSocket(t)
	s, p := c.openSocket(t), c.openPolling(t, nil)
	require.Equal(t, "1", p.get(t).body, "a poll that waits hears of it")
	s.closed(1008)
	require.Eventually(t, func() bool { return c.hub.Stats().Connections == 1 }, 5*time.Second, time.Millisecond)
	stays.send(`420["join-clinic","7"]`)
	require.Equal(t, `430[{"ok":true}]`, stays.text())

	s = c.connectSocket(t)
	s.send("41")
	s.closed(1008)
}

// Who has a network of IPv6 has more addresses than anybody can count.
func TestUnconnectedPerNetwork(t *testing.T) {
	t.Parallel()
	c := setup(t, byRealIP, func(_ *realtime.Config, wire *socketio.Config) { wire.MaxUnconnectedPerAddr = 3 })
	from := func(addr string) http.Header { return http.Header{"X-Real-Ip": {addr}} }
	for _, addr := range []string{
		"2001:db8::1", "2001:db8::2%eth0", "2001:db8::abcd:1:2:3", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1",
	} {
		c.openPolling(t, from(addr))
	}
	c.request(t, "GET", "transport=polling", "", from("2001:db8::4")).refused(t, 503, 3)
	c.openPolling(t, from("192.0.2.1"))
	c.request(t, "GET", "transport=polling", "", from("::ffff:192.0.2.1")).refused(t, 503, 3)
	c.openPolling(t, from("2001:db8:0:1::2"))
}
