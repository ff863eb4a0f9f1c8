package realtime_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// roll is a MemoryJournal that is a Roster.
type roll struct {
	realtime.MemoryJournal
	mu   sync.Mutex
	fail error
	deaf bool                       // what is announced is lost
	said map[[2]string]announcement // by process and room
}

type announcement struct {
	clients []realtime.Client
	until   time.Time
}

func (j *roll) Announce(_ context.Context, process string, rooms map[string][]realtime.Client, holds time.Duration) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil || j.deaf {
		return j.fail
	}
	if j.said == nil {
		j.said = make(map[[2]string]announcement)
	}
	for room, clients := range rooms {
		if j.said[[2]string{process, room}] = (announcement{clients, time.Now().Add(holds)}); len(clients) == 0 {
			delete(j.said, [2]string{process, room})
		}
	}
	return nil
}

func (j *roll) Announced(_ context.Context, process, room string) (clients []realtime.Client, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for who, said := range j.said {
		if who[0] != process && who[1] == room && time.Now().Before(said.until) {
			clients = append(clients, said.clients...)
		}
	}
	return clients, j.fail
}

func (j *roll) setFail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
}

func (j *roll) setDeaf() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.deaf = true
}

func announces(cfg *realtime.Config) { cfg.Presence = true }

// present returns the subjects that are in room, in all processes.
func present(t *testing.T, hub *realtime.Hub, room string) []string {
	t.Helper()
	clients, err := hub.Presence(t.Context(), room)
	require.NoError(t, err)
	subjects := map[string]bool{}
	for _, client := range clients {
		require.NotEmpty(t, client.ID)
		subjects[client.Subject] = true
	}
	return slices.Sorted(maps.Keys(subjects))
}

func TestPresence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &roll{}
		one, two, three := processOf(t, journal, announces), processOf(t, journal, announces), processOf(t, journal, announces)
		ada, bob := visit(t, one, "ada", "x", "y"), visit(t, two, "bob", "x")
		visit(t, three, "eve", "z")
		time.Sleep(11 * time.Second)
		for _, hub := range []*realtime.Hub{one, two, three} {
			require.Equal(t, []string{"ada", "bob"}, present(t, hub, "x"))
			require.Equal(t, []string{"ada"}, present(t, hub, "y"))
			require.Equal(t, []string{"ada"}, present(t, hub, "user-ada"))
			require.Empty(t, present(t, hub, "nowhere"))
		}
		ada.conn.Leave("y")
		bob.conn.Close(nil)
		require.Equal(t, []string{"ada"}, present(t, two, "x"), "its own members are those of now")
		time.Sleep(11 * time.Second)
		require.Equal(t, []string{"ada"}, present(t, three, "x"))
		require.Empty(t, present(t, three, "y"))
		require.Empty(t, present(t, one, "user-bob"))

		// What is not told while the engine is away is told later.
		journal.setFail(telemed.ErrUnavailable)
		ada.conn.Leave("x")
		time.Sleep(11 * time.Second)
		_, err := three.Presence(t.Context(), "z")
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		journal.setFail(nil)
		time.Sleep(11 * time.Second)
		require.Empty(t, present(t, three, "x"))

		require.NoError(t, ada.conn.Join(t.Context(), "x"))
		time.Sleep(11 * time.Second)
		require.Equal(t, []string{"ada"}, present(t, three, "x"))
		require.NoError(t, one.Shutdown(t.Context()))
		require.Empty(t, present(t, three, "x"), "at once")
	})
}

// Who is not heard of any more is not there after half a minute.
func TestPresenceOfWhoIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &roll{}
		one, two := processOf(t, journal, announces), processOf(t, journal)
		visit(t, one, "ada", "x")
		visit(t, two, "bob", "x")
		time.Sleep(11 * time.Second)
		require.Equal(t, []string{"ada", "bob"}, present(t, two, "x"))
		require.Equal(t, []string{"ada"}, present(t, one, "x"), "who does not announce is not known elsewhere")
		for range 10 {
			time.Sleep(10 * time.Second)
			require.Equal(t, []string{"ada", "bob"}, present(t, two, "x"), "it is renewed")
		}
		journal.setDeaf() // as if one were killed
		time.Sleep(19 * time.Second)
		require.Equal(t, []string{"ada", "bob"}, present(t, two, "x"))
		time.Sleep(12 * time.Second)
		require.Equal(t, []string{"bob"}, present(t, two, "x"))
	})
}

// A journal that is no Roster has nobody to tell, and Members are all.
func TestPresenceWithoutRoster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, journal := range []realtime.Journal{nil, &realtime.MemoryJournal{}} {
			hub := newHub(t, realtime.Config{Authorize: anybody, Journal: journal, Presence: journal != nil})
			require.NoError(t, connect(t, hub, "ada").Join(t.Context(), "x"))
			require.Equal(t, []string{"ada"}, present(t, hub, "x"))
			_, err := hub.Presence(t.Context(), "")
			require.ErrorIs(t, err, telemed.ErrInvalid)
		}
		_, err := realtime.NewHub(realtime.Config{Presence: true})
		require.ErrorIs(t, err, telemed.ErrInvalid)
	})
}
