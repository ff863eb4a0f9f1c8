package realtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// member is what must reach a connection, by a model that has no shards.
type member struct {
	conn  *realtime.Conn
	wire  *wire
	rooms map[string]bool
	want  []string
	open  bool
}

// People come, join, leave, ask and are thrown out in any order, as fast as it goes: each hears
// what is sent to its rooms while it is in them, once and in order. Who has been thrown out
// has heard a first part of it, and nothing that was sent afterwards.
func TestHubAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			m := model{t: t, hub: newHub(t, realtime.Config{Authorize: anybody}), random: rand.New(rand.NewPCG(seed, 1))}
			for n := range 1000 {
				m.step(n)
				if m.random.IntN(100) == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			for i, who := range m.members {
				heard := who.wire.heard()
				if who.open {
					require.Len(t, heard, len(who.want), "seed %d, connection %d", seed, i)
				} else {
					require.LessOrEqual(t, len(heard), len(who.want), "seed %d, connection %d", seed, i)
					require.Len(t, who.wire.ended, 1)
				}
				require.Equal(t, strings.Join(who.want[:len(heard)], " "), strings.Join(heard, " "), "seed %d, connection %d", seed, i)
			}
		})
	}
}

type model struct {
	t       *testing.T
	hub     *realtime.Hub
	random  *rand.Rand
	members []*member
}

func (m *model) step(n int) {
	action := m.random.IntN(100)
	if len(m.members) == 0 || action < 3 {
		m.connect()
		return
	}
	who := m.members[m.random.IntN(len(m.members))]
	room := "r" + strconv.Itoa(m.random.IntN(3))
	switch {
	case action < 50:
		m.broadcast(room, n)
	case action < 65:
		if who.conn.Send(fmt.Append(nil, n)) {
			who.want = append(who.want, strconv.Itoa(n))
		}
	case action < 85:
		require.Equal(m.t, who.open, who.conn.Join(m.t.Context(), room) == nil)
		who.rooms[room] = true
	case action < 95:
		who.conn.Leave(room)
		delete(who.rooms, room)
	case action < 97:
		who.conn.LeaveAll()
		clear(who.rooms)
	case action < 98:
		who.conn.Close(nil)
		who.open = false
	case action < 99:
		m.hub.Disconnect(context.Background(), who.conn.Client().Subject)
		for _, other := range m.members {
			other.open = other.open && other.conn.Client().Subject != who.conn.Client().Subject
		}
	}
}

func (m *model) connect() {
	way := &wire{}
	conn, err := m.hub.Connect(m.t.Context(), strconv.Itoa(m.random.IntN(30)), newPlain(), way)
	require.NoError(m.t, err)
	m.members = append(m.members, &member{conn: conn, wire: way, rooms: map[string]bool{}, open: true})
}

func (m *model) broadcast(room string, n int) {
	require.NoError(m.t, m.hub.Broadcast(m.t.Context(), room, realtime.Event{Name: "e", Data: n}))
	for _, who := range m.members {
		if who.open && who.rooms[room] {
			who.want = append(who.want, fmt.Sprintf("e=%d", n))
		}
	}
}
