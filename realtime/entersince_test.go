package realtime_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// enterSince lets a client into its rooms at once, and returns its offset.
func enterSince(t *testing.T, hub *realtime.Hub, since string, rooms ...string) (conn *realtime.Conn, offset string, gap bool) {
	t.Helper()
	conn, err := hub.Connect(t.Context(), "ada", offsets{}, nil)
	require.NoError(t, err)
	require.NoError(t, conn.EnterSince(t.Context(), rooms, since, func(at string, hole bool) []byte {
		offset, gap = at, hole
		return []byte("welcome")
	}))
	return conn, offset, gap
}

func newHubWith(t *testing.T, cfg realtime.Config) *realtime.Hub {
	t.Helper()
	if cfg.Authorize == nil {
		cfg.Authorize = anybody
	}
	hub, err := realtime.NewHub(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hub.Shutdown(context.Background())) })
	return hub
}

// What came for everybody and for the subject is missed, too, and follows. What the
// application has moved meanwhile cannot be told.
func TestEnterSince(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		hub := newHubWith(t, realtime.Config{Journal: journal})
		conn, offset, gap := enterSince(t, hub, "", "x", "y")
		require.False(t, gap)
		conn.Close(nil)
		for _, rooms := range [][]string{{"user-ada"}, nil, {"x", "y"}, {"z"}} {
			_, err := journal.Append(t.Context(), realtime.Entry{Kind: realtime.KindEvent, Rooms: rooms, Name: "n"})
			require.NoError(t, err)
		}
		conn, again, gap := enterSince(t, hub, offset, "y", "x", "y")
		require.False(t, gap)
		require.Equal(t, offset, again)
		synctest.Wait()
		messages, err := conn.Next(t.Context())
		require.NoError(t, err)
		require.Len(t, messages, 5, "welcome, three events, and the offset behind them")
		require.Equal(t, uint64(1), hub.Stats().Recovered)

		_, err = journal.Append(t.Context(), realtime.Entry{Kind: realtime.KindJoin, Rooms: []string{"user-ada"}, Moved: []string{"z"}})
		require.NoError(t, err)
		synctest.Wait()
		messages, err = conn.Next(t.Context())
		require.NoError(t, err)
		require.Contains(t, string(messages[0]), "telemed:at@")
		_, _, gap = enterSince(t, hub, string(messages[0][len("telemed:at@"):]), "x", "y")
		require.True(t, gap, "it was in z")
	})
}

// After an error the client is in no room, and nothing is sent.
func TestEnterSinceErrors(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]realtime.Config{"with a journal": {Journal: &realtime.MemoryJournal{}}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.MaxRooms = 2
			cfg.Authorize = func(_ context.Context, _ realtime.Client, room string) error {
				if room == "no" {
					return telemed.ErrForbidden
				}
				return nil
			}
			hub := newHubWith(t, cfg)
			conn, err := hub.Connect(t.Context(), "ada", offsets{}, nil)
			require.NoError(t, err)
			enter := func(rooms ...string) error {
				return conn.EnterSince(t.Context(), rooms, "", func(string, bool) []byte { t.Error("answered"); return nil })
			}
			require.ErrorIs(t, enter("a", "no"), telemed.ErrForbidden)
			require.ErrorIs(t, enter("a", ""), telemed.ErrInvalid)
			require.ErrorIs(t, enter("a", "b", "a", "c"), realtime.ErrFull)
			require.Zero(t, hub.Stats().Rooms)
			conn.Close(nil)
			require.ErrorIs(t, enter("a"), telemed.ErrClosed)
		})
	}
}
