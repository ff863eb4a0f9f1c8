package realtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// An event for one client stands in order with those of its rooms, and counts like them.
func TestConnEmit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{Authorize: anybody})
		var to, other wire
		conn := connectTo(t, hub, newPlain(), &to)
		connectTo(t, hub, newPlain(), &other)
		for n := range 3 {
			require.NoError(t, hub.Broadcast(t.Context(), "x", realtime.Event{Name: "e", Data: n}))
			require.True(t, conn.Emit(realtime.Message{Name: "own", Args: []json.RawMessage{json.RawMessage("1")}}))
		}
		synctest.Wait()
		require.Equal(t, []string{"e=0", "own=1", "e=1", "own=1", "e=2", "own=1"}, to.heard())
		require.Equal(t, []string{"e=0", "e=1", "e=2"}, other.heard())
		conn.Close(nil)
		require.False(t, conn.Emit(realtime.Message{Name: "own"}))
	})
}

// What is emitted to a client that takes nothing counts against MaxPending, and nothing of
// it stays counted in the hub.
func TestConnEmitCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{Authorize: anybody, MaxPending: 100})
		conn := connectTo(t, hub, newPlain(), &wire{put: keep})
		long := realtime.Message{Name: "own", Args: []json.RawMessage{json.RawMessage(fmt.Sprintf("%090d", 1))}}
		require.True(t, conn.Emit(long))
		synctest.Wait()
		require.NoError(t, conn.Context().Err())
		require.True(t, conn.Emit(long))
		synctest.Wait()
		require.ErrorIs(t, context.Cause(conn.Context()), realtime.ErrSlow)
		next := connectTo(t, hub, newPlain(), &wire{})
		require.True(t, next.Emit(long))
		synctest.Wait()
		next.Wait()
		require.NoError(t, next.Context().Err())
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	var refusal error = &realtime.Refusal{Message: "Asha's visit is over", Data: "Asha"}
	require.ErrorIs(t, fmt.Errorf("Authenticate: %w", refusal), telemed.ErrForbidden)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, refusal), "Asha")
	}
}
