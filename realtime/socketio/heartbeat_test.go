package socketio_test

import (
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/realtimetest"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// quickly has heartbeats that come soon, and a client that has time to answer.
func quickly(_ *realtime.Config, wire *socketio.Config) {
	wire.PingInterval, wire.PingTimeout = 50*time.Millisecond, 3*time.Second
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()

	t.Run("WebSocket", func(t *testing.T) {
		t.Parallel()
		s := setup(t, quickly).connectSocket(t)
		for range 3 {
			require.Equal(t, "2", s.text())
			s.send("3")
		}
		require.Equal(t, "2", s.text())
		s.closed(1001) // we did not answer the last one
	})

	t.Run("polling", func(t *testing.T) {
		t.Parallel()
		p := setup(t, quickly).connectPolling(t)
		for range 3 {
			require.Equal(t, "2", p.get(t).body)
			require.Equal(t, "ok", p.post(t, "3").body)
		}
		require.Equal(t, "2", p.get(t).body)
		require.Contains(t, []string{"1", `{"code":1,"message":"Session ID unknown"}` + "\n"}, p.get(t).body)
		p.gone(t)
	})

	t.Run("a client that never connects to a namespace", func(t *testing.T) {
		t.Parallel()
		s := setup(t, quickly, func(_ *realtime.Config, wire *socketio.Config) { wire.ConnectTimeout = 200 * time.Millisecond }).openSocket(t)
		op, text := s.read()
		for ; op == ws.OpText; op, text = s.read() {
			require.Equal(t, "2", text)
			s.send("3")
		}
		require.Equal(t, ws.OpClose, op)
	})

	t.Run("a client that only asks for a session", func(t *testing.T) {
		t.Parallel()
		setup(t, quickly).openPolling(t, nil).gone(t)
	})

	for _, transport := range transports {
		t.Run("client of realtimetest, "+string(transport), func(t *testing.T) {
			t.Parallel()
			c := setup(t, quickly)
			client := c.dial(t, realtimetest.Options{Transport: transport})
			require.Equal(t, ok, ack(t, client, "join-clinic", "7"))
			time.AfterFunc(3500*time.Millisecond, func() { // more than one interval and timeout
				_ = c.hub.Broadcast(t.Context(), "clinic-7", realtime.Event{Name: "late"})
			})
			require.Equal(t, "late", next(t, client).Name)
		})
	}
}
