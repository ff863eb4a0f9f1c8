package realtime_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// An event for several rooms, or for everybody, reaches each client once, with a journal and
// without.
func TestEmit(t *testing.T) {
	t.Parallel()
	for _, journaled := range []bool{false, true} {
		t.Run(fmt.Sprint(journaled), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := realtime.Config{Authorize: anybody, SubjectPrefix: "of:"}
				if journaled {
					cfg.Journal = &realtime.MemoryJournal{}
				}
				hub := newHub(t, cfg)
				ada, bob, eve := visit(t, hub, "ada", "x", "y"), visit(t, hub, "bob", "y"), visit(t, hub, "eve")
				_, err := hub.Connect(t.Context(), "eve", offsets{}, &wire{put: func([][]byte) (int, error) { panic("not entered") }})
				require.NoError(t, err)
				emit := func(name string, to realtime.Target) {
					require.NoError(t, hub.Emit(t.Context(), to, realtime.Event{Name: name}))
					synctest.Wait()
				}
				emit("1", realtime.Target{Rooms: []string{"x", "y", "z"}})
				emit("2", realtime.Target{Everybody: true, Except: []string{"x"}})
				emit("3", realtime.Target{Rooms: []string{"of:eve", "x"}, Except: []string{"of:bob"}})
				emit("4", realtime.Target{Rooms: []string{"y"}, Except: []string{"of:ada", "z"}})
				require.Equal(t, []string{"1 null", "3 null"}, ada.events())
				require.Equal(t, []string{"1 null", "2 null", "4 null"}, bob.events())
				require.Equal(t, []string{"2 null", "3 null"}, eve.events())
				require.ErrorIs(t, eve.conn.Join(t.Context(), "of:ada"), telemed.ErrForbidden)

				names := func(room string) (names []string) {
					for _, client := range hub.Members(room) {
						names = append(names, client.Subject)
					}
					return names
				}
				require.ElementsMatch(t, []string{"ada", "bob"}, names("y"))
				require.Equal(t, []string{"eve"}, names("of:eve"))
				require.Empty(t, names("z"))

				for _, wrong := range []realtime.Target{
					{}, {Except: []string{"x"}}, {Rooms: []string{"x"}, Everybody: true}, {Rooms: []string{""}}, {Everybody: true, Except: []string{"\n"}},
				} {
					require.ErrorIs(t, hub.Emit(t.Context(), wrong, realtime.Event{Name: "e"}), telemed.ErrInvalid)
				}
				eve.conn.Close(nil)
				emit("5", realtime.Target{Everybody: true})
				require.Equal(t, []string{"2 null", "3 null"}, eve.events())
			})
		})
	}
}

// OnJoin and OnLeave are called in the order of a connection. One that does not return
// holds up nobody else.
func TestOnJoinAndOnLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		heard := map[string][]string{}
		hold := make(chan struct{})
		note := func(what string) func(realtime.Client, string) {
			return func(client realtime.Client, room string) {
				if client.Subject == "held" {
					<-hold
				}
				mu.Lock()
				defer mu.Unlock()
				heard[client.Subject] = append(heard[client.Subject], what+room)
			}
		}
		hub := newHub(t, realtime.Config{Authorize: anybody, OnJoin: note("+"), OnLeave: note("-")})
		held, ada := visit(t, hub, "held", "x"), visit(t, hub, "ada", "x", "y", "x")
		ada.conn.Leave("x")
		ada.conn.Leave("z")
		require.NoError(t, ada.conn.Join(t.Context(), "x"))
		ada.conn.Close(nil)
		held.conn.LeaveAll()
		require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e"}))
		synctest.Wait()
		require.Equal(t, map[string][]string{"ada": {"+x", "+y", "-x", "+x", "-y", "-x"}}, heard)
		close(hold)
		synctest.Wait()
		require.Equal(t, []string{"+x", "-x"}, heard["held"])
	})
}

func TestMaxPerSubject(t *testing.T) {
	t.Parallel()
	hub := newHub(t, realtime.Config{MaxPerSubject: 2})
	first := connect(t, hub, "ada")
	for _, subject := range []string{"ada", "bob", "", "", ""} {
		connect(t, hub, subject)
	}
	_, err := hub.Connect(t.Context(), "ada", newPlain(), nil)
	require.ErrorIs(t, err, realtime.ErrFull)
	require.EqualValues(t, 1, hub.Stats().Refused)
	first.Close(nil)
	connect(t, hub, "ada")
}

// awayJournal says that its engine is away.
type awayJournal struct {
	realtime.MemoryJournal
	mu    sync.Mutex
	stale time.Duration
}

func (j *awayJournal) Stale() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stale
}

func (j *awayJournal) set(stale time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stale = stale
}

// While the journal is away nobody joins; who is there stays, and who returns is recovered
// from what the hub has.
func TestStaleJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &awayJournal{}
		hub := processOf(t, journal, func(cfg *realtime.Config) { cfg.StaleAfter = 7 * time.Second })
		g, other := visit(t, hub, "ada", "x"), visit(t, hub, "bob", "x")
		journal.set(7 * time.Second)
		require.NoError(t, g.conn.Join(t.Context(), "y"))
		synctest.Wait()
		journal.set(8 * time.Second)
		require.Equal(t, 8*time.Second, hub.Stats().Stale)
		require.ErrorIs(t, g.conn.Join(t.Context(), "z"), telemed.ErrUnavailable)
		require.NoError(t, g.conn.Context().Err())
		_, err := comeBackOnly(t, hub, "x")
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		g.granted = nil
		back := g.again(t, hub)
		require.True(t, back.back)
		journal.set(0)
		require.NoError(t, back.conn.Join(t.Context(), "z"))
		require.NoError(t, other.conn.Context().Err())
	})
}

func comeBackOnly(t *testing.T, hub *realtime.Hub, granted ...string) (bool, error) {
	conn, err := hub.Connect(t.Context(), "eve", offsets{}, &wire{})
	require.NoError(t, err)
	return conn.Enter(context.Background(), realtime.Return{}, granted, func(string) []byte { return []byte("welcome@") })
}

// A journal that cannot be followed from the start is away, and then is not.
func TestStaleFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{fail: telemed.ErrUnavailable}
		hub := processOf(t, journal)
		conn := connect(t, hub, "ada")
		time.Sleep(time.Minute)
		require.Greater(t, hub.Stats().Stale, 50*time.Second)
		start := time.Now()
		require.ErrorIs(t, conn.Join(t.Context(), "x"), telemed.ErrUnavailable)
		require.Equal(t, start, time.Now(), "it does not wait for what is long away")
		journal.setFail(nil)
		time.Sleep(time.Minute)
		require.Zero(t, hub.Stats().Stale)
		require.NoError(t, conn.Join(t.Context(), "x"))
		_, err := realtime.NewHub(realtime.Config{StaleAfter: time.Second})
		require.ErrorIs(t, err, telemed.ErrInvalid)
		_, err = realtime.NewHub(realtime.Config{SubjectPrefix: strings.Repeat("x", 65)})
		require.ErrorIs(t, err, telemed.ErrInvalid)
	})
}
