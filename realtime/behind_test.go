package realtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// tap is a wire that keeps all until somebody takes it.
type tap struct {
	wire
	kept [][]byte
	conn *realtime.Conn
}

func newTap() *tap {
	w := &tap{}
	w.put = func(messages [][]byte) (int, error) {
		w.kept = append(w.kept, messages...)
		n := 0
		for _, message := range messages {
			n += len(message)
		}
		return n, nil
	}
	return w
}

// take lets the client have n messages, or all if n is negative, until no more come.
func (w *tap) take(n int) {
	for n != 0 {
		synctest.Wait()
		w.mu.Lock()
		some := w.kept
		if n > 0 && len(some) > n {
			some = some[:n]
		}
		w.kept = w.kept[len(some):]
		w.mu.Unlock()
		if len(some) == 0 {
			return
		}
		n -= len(some)
		for _, message := range some {
			w.conn.Sent(len(message))
		}
	}
	synctest.Wait()
}

// told is what the client has: a part of what the wire got.
func (w *tap) told() (events []string) {
	all := w.heard()
	for _, message := range all[:len(all)-len(w.kept)] {
		if name, _, _ := strings.Cut(message, "@"); name != "telemed:at" && name != "welcome" {
			events = append(events, name)
		}
	}
	return events
}

// slowly is a client that takes what comes when it likes.
type slowly struct {
	*tap
	rooms []string
	want  []string
}

// People read as fast or slowly as they like, join, leave and ask in between: they get the
// same as if they read at once, in order, without a hole and without doubles. What waits for
// them stays within its bounds.
func TestBehindAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			m := &slowModel{t: t, random: rand.New(rand.NewPCG(seed, 3))}
			total := 0
			if seed%3 == 0 {
				total = 2000
			}
			m.journal = &realtime.MemoryJournal{}
			m.hub = processOf(t, m.journal, func(cfg *realtime.Config) { cfg.MaxPending, cfg.MaxPendingTotal = 300, total })
			for range 8 {
				m.come(realtime.Return{})
			}
			most := 0
			for n := range 600 {
				m.step(n)
				synctest.Wait()
				most = max(most, m.hub.Stats().Behind)
			}
			require.Positive(t, most, "the test is about who is behind")
			for _, who := range m.people {
				who.take(-1)
				require.NoError(t, who.conn.Context().Err())
				require.Equal(t, who.want, who.told(), "seed %d", seed)
				require.Empty(t, who.kept)
			}
			require.Zero(t, m.hub.Stats().Behind)
			require.Zero(t, m.hub.Stats().Slow)
		})
	}
}

type slowModel struct {
	t       *testing.T
	random  *rand.Rand
	journal *realtime.MemoryJournal
	hub     *realtime.Hub
	people  []*slowly
}

func (m *slowModel) come(back realtime.Return) *slowly {
	who := &slowly{tap: newTap()}
	var err error
	who.conn, err = m.hub.Connect(m.t.Context(), strconv.Itoa(len(m.people)), offsets{}, who.tap)
	require.NoError(m.t, err)
	_, err = who.conn.Enter(m.t.Context(), back, nil, func(string) []byte { return []byte("welcome@") })
	require.NoError(m.t, err)
	m.people = append(m.people, who)
	return who
}

func (m *slowModel) step(n int) {
	who := m.people[m.random.IntN(len(m.people))]
	room := "r" + strconv.Itoa(m.random.IntN(3))
	switch action := m.random.IntN(100); {
	case action < 60:
		m.send(n, room)
	case action < 75:
		who.take(m.random.IntN(12))
	case action < 78:
		who.take(-1)
	case action < 81:
		require.True(m.t, who.conn.Emit(realtime.Message{Name: fmt.Sprint("own", n)}))
		who.want = append(who.want, "own"+strconv.Itoa(n))
	case action < 84:
		require.True(m.t, who.conn.Send(fmt.Appendf(nil, "own%d", n)))
		who.want = append(who.want, "own"+strconv.Itoa(n))
	case action < 92:
		require.NoError(m.t, who.conn.Join(m.t.Context(), room))
		if !slices.Contains(who.rooms, room) {
			who.rooms = append(who.rooms, room)
		}
	default:
		who.conn.Leave(room)
		who.rooms = slices.DeleteFunc(who.rooms, func(r string) bool { return r == room })
	}
}

// send appends an event of a random kind.
func (m *slowModel) send(n int, room string) {
	e := realtime.Entry{Kind: realtime.KindEvent, Name: "e" + strconv.Itoa(n), Rooms: []string{room}}
	switch m.random.IntN(6) {
	case 0:
		e.Rooms = nil
	case 1:
		e.Rooms = append(e.Rooms, "user-3", "r0")
	case 2:
		e.Except = []string{"r1"}
	}
	_, err := m.journal.Append(m.t.Context(), e)
	require.NoError(m.t, err)
	for i, who := range m.people {
		in := func(room string) bool { return slices.Contains(who.rooms, room) || room == "user-"+strconv.Itoa(i) }
		if e.Reaches(in) {
			who.want = append(who.want, e.Name)
		}
	}
}

// Who is behind the window is ended, and nobody else; also if it never takes anything.
func TestBehindTheWindow(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]bool{"takes at last": true, "never takes": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				journal := &realtime.MemoryJournal{}
				hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.MaxPending = 1000 })
				m := &slowModel{t: t, journal: journal, hub: hub}
				slow, fast := m.come(realtime.Return{}), m.come(realtime.Return{})
				require.NoError(t, slow.conn.Join(t.Context(), "x"))
				require.NoError(t, fast.conn.Join(t.Context(), "y"))
				long := realtime.Event{Name: "e", Data: strings.Repeat("x", 900_000)}
				for n := range 25 {
					require.NoError(t, hub.Broadcast(t.Context(), []string{"x", "y"}[n%2], long))
					fast.take(-1)
					if n == 10 {
						require.Equal(t, 1, hub.Stats().Behind)
						require.NoError(t, slow.conn.Context().Err())
					}
				}
				require.NoError(t, hub.Broadcast(t.Context(), "nobody", long))
				if takes {
					slow.take(-1)
				} else {
					require.NoError(t, hub.Broadcast(t.Context(), "x", long))
				}
				synctest.Wait()
				require.ErrorIs(t, context.Cause(slow.conn.Context()), realtime.ErrSlow)
				require.NoError(t, fast.conn.Context().Err())
				stats := hub.Stats()
				require.Equal(t, []int{0, 1}, []int{stats.Behind, int(stats.Slow)})
			})
		})
	}
}

// What was not read when a connection broke is there after a return, from wherever its
// client was.
func TestBehindAndBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.MaxPending = 200 })
		g := visit(t, hub, "ada", "x")
		m := &slowModel{t: t, journal: journal, hub: hub}
		g.conn.Close(nil)
		var want []string
		for n := range 3000 {
			put(t, journal, to(fmt.Sprint(n), "x"))
			want = append(want, fmt.Sprint(n))
		}
		back := &slowly{tap: newTap()}
		var err error
		back.conn, err = hub.Connect(t.Context(), "ada", offsets{}, back.tap)
		require.NoError(t, err)
		recovered, err := back.conn.Enter(t.Context(), realtime.Return{PID: g.pid, Offset: g.offset()}, nil, func(string) []byte { return []byte("welcome@") })
		require.NoError(t, err)
		require.True(t, recovered)
		synctest.Wait()
		require.Equal(t, 1, hub.Stats().Behind, "it is not told all at once")
		m.people = append(m.people, back)
		put(t, journal, to("live", "x"))
		back.take(-1)
		require.Equal(t, append(want, "live"), back.told())
	})
}

// An application that sends more to one client than it takes ends it.
func TestBehindWithTooMuchOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := processOf(t, &realtime.MemoryJournal{}, func(cfg *realtime.Config) { cfg.MaxPending = 1000 })
		m := &slowModel{t: t, hub: hub}
		who := m.come(realtime.Return{})
		for n := 0; n < 1000 && who.conn.Send(make([]byte, 100)); n++ {
			synctest.Wait()
		}
		require.ErrorIs(t, context.Cause(who.conn.Context()), realtime.ErrSlow)
	})
}

// Events that come between the moment when a connection may read on and that when it does
// are told once. Each shard has a connection that holds it up.
func TestBehindWhileEventsCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.MaxPending = 300 })
		m := &slowModel{t: t, random: rand.New(rand.NewPCG(1, 1)), journal: journal, hub: hub}
		who := m.come(realtime.Return{})
		require.NoError(t, who.conn.Join(t.Context(), "x"))
		var held chan struct{}
		for range runtime.GOMAXPROCS(0) {
			conn := connectTo(t, hub, offsets{}, &wire{put: func([][]byte) (int, error) { <-held; return 0, nil }})
			conn.Leave("x")
			require.NoError(t, conn.Join(t.Context(), "hold"))
		}
		synctest.Wait()
		var want []string
		send := func(name string) {
			put(t, journal, to(name, "x"))
			want = append(want, name)
		}
		for round := range 20 {
			for n := range 20 {
				send(fmt.Sprint(round, "-", n))
			}
			require.Equal(t, 1, hub.Stats().Behind)
			held = make(chan struct{})
			put(t, journal, to("hold", "hold"))
			who.take(len(who.kept)) // it may read on, and its shard does not come to that
			for n := range 3 {
				send(fmt.Sprint(round, "+", n))
			}
			who.conn.Leave("x")
			put(t, journal, to("while it was out", "x"))
			require.NoError(t, who.conn.Join(t.Context(), "x"))
			send(fmt.Sprint(round, " in again"))
			close(held)
			who.take(-1)
			require.Equal(t, want, who.told())
			require.Zero(t, hub.Stats().Behind)
		}
	})
}
