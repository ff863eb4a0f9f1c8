package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
	"github.com/telemed-go/telemed/realtime/socketio"
)

// burst is how many numbered events come while a client reads nothing: together they are far
// more than MaxPending and what the sockets take.
const burst = 400

// journalled gives the hub a Journal, and grants clinic-7 in "/" and "/staff".
func journalled(rooms *realtime.Config, wire *socketio.Config) {
	rooms.Journal, rooms.MaxPending = &realtime.MemoryJournal{}, 20_000
	grant := func(context.Context, *socketio.Socket, json.RawMessage) (socketio.Welcome, error) {
		return socketio.Welcome{Rooms: []string{"clinic-7"}}, nil
	}
	wire.OnConnect, wire.WriteTimeout = grant, time.Minute
	wire.Namespaces = map[string]socketio.Namespace{"/staff": {OnConnect: grant}}
}

func (c clinic) bursts(t *testing.T, from int) {
	t.Helper()
	pad := repeat("x", 5000)
	for n := range burst {
		event := realtime.Event{Name: "e", Data: from + n, More: []any{pad}}
		require.NoError(t, c.hub.Broadcast(within(t), "clinic-7", event))
	}
}

// behind waits until connections are behind.
func (c clinic) behind(t *testing.T, connections int) {
	t.Helper()
	require.Eventually(t, func() bool { return c.hub.Stats().Behind == connections }, 30*time.Second, 5*time.Millisecond)
}

// tally is what a client has got: the number of the next event in each namespace.
type tally map[string]int

// takes judges a packet: each namespace gets every number once, in order.
func (n tally) takes(t *testing.T, packet string) {
	t.Helper()
	namespace, list := "/", strings.TrimPrefix(packet, "42")
	if rest, staff := strings.CutPrefix(list, "/staff,"); staff {
		namespace, list = "/staff", rest
	}
	switch {
	case strings.HasPrefix(list, `["telemed:at"`), packet == "6", packet == "2", strings.HasPrefix(packet, "40"):
		return
	}
	require.True(t, strings.HasPrefix(list, fmt.Sprintf(`["e",%d,"x`, n[namespace])), "%.40s is not number %d", packet, n[namespace])
	n[namespace]++
}

func (n tally) over(end int) bool { return n["/"] >= end && (n["/staff"] >= end || n["/staff"] < 0) }

// Who reads nothing during a burst is behind, and gets all of it in order, once: in each of
// its namespaces, twice, and what comes while it catches up.
func TestBehindOverWebSocket(t *testing.T) {
	t.Parallel()
	eachWriter(t, func(t *testing.T, begin func(*httptest.Server)) {
		c := start(t, begin, journalled)
		s := c.narrowGuest(t)
		s.send("40/staff,")
		got := tally{}
		for packet := ""; !strings.HasPrefix(packet, "40/staff,"); {
			packet = s.text()
			got.takes(t, packet)
		}
		for round := range 2 {
			c.bursts(t, round*burst)
			c.behind(t, 2)
			for !got.over((round + 1) * burst) {
				got.takes(t, s.text())
			}
			c.behind(t, 0)
		}
		require.Zero(t, c.hub.Stats().Slow)
		c.broadcast(t, "clinic-7", "last", nil)
		require.Contains(t, s.text()+s.text(), `["last",null,`)
	})
}

func TestBehindOverPolling(t *testing.T) {
	t.Parallel()
	c := setup(t, journalled)
	p := c.connectPolling(t)
	got := tally{"/staff": -1}
	for round := range 2 {
		c.bursts(t, round*burst)
		c.behind(t, 1)
		for !got.over((round + 1) * burst) {
			answer := p.get(t)
			require.Equal(t, 200, answer.status, answer.body)
			for packet := range strings.SplitSeq(answer.body, "\x1e") {
				got.takes(t, packet)
			}
		}
		c.behind(t, 0)
	}
	require.Zero(t, c.hub.Stats().Slow)
}

// Without a Journal nobody could tell the rest.
func TestBurstWithoutJournal(t *testing.T) {
	t.Parallel()
	c := setup(t, journalled, func(rooms *realtime.Config, _ *socketio.Config) { rooms.Journal = nil })
	p := c.connectPolling(t)
	c.bursts(t, 0)
	p.gone(t)
	require.EqualValues(t, 1, c.hub.Stats().Slow)
}
