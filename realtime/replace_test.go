package realtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// A half open connection in another process ends when its client is back, and its client's
// new one does not, nor does that of anybody else.
func TestReplacedInAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &realtime.MemoryJournal{}
		a, b := processOf(t, journal), processOf(t, journal)
		old, other := visit(t, a, "ada", "x"), visit(t, a, "ada", "x")
		time.Sleep(time.Minute)
		back := comeBack(t, b, "ada", realtime.Return{PID: old.pid, Offset: old.offset()})
		require.True(t, back.back)
		time.Sleep(2 * time.Second)
		require.Equal(t, realtime.ErrReplaced, context.Cause(old.conn.Context()))
		require.Equal(t, []realtime.Client{other.conn.Client()}, a.Members("x"))
		require.Equal(t, []realtime.Client{back.conn.Client()}, b.Members("x"))

		// What was told about is not told of the client when it comes back once more.
		time.Sleep(time.Minute)
		put(t, journal, to("1", "x"))
		require.Equal(t, []string{"1"}, back.events())
		again := back.again(t, a)
		require.True(t, again.back)
		time.Sleep(time.Minute)
		require.NoError(t, again.conn.Context().Err())
		require.NoError(t, other.conn.Context().Err())
	})
}

// A client that goes from one process to another, and back before all have heard of it, keeps
// the connection that it has.
func TestQuickReturnsAreSpared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		a, b := processOf(t, journal), processOf(t, journal)
		g := visit(t, a, "ada", "x")
		for range 5 {
			for _, hub := range []*realtime.Hub{b, a} {
				time.Sleep(300 * time.Millisecond)
				g = comeBack(t, hub, "ada", realtime.Return{PID: g.pid, Offset: g.offset()})
				require.True(t, g.back)
			}
		}
		time.Sleep(time.Minute)
		require.NoError(t, g.conn.Context().Err())
		// The process that reads late what it has told itself ends nobody.
		g = comeBack(t, b, "ada", realtime.Return{PID: g.pid, Offset: g.offset()})
		release := journal.holdBack()
		time.Sleep(time.Minute)
		release()
		synctest.Wait()
		require.NoError(t, g.conn.Context().Err())
		require.Empty(t, a.Members("x"))
	})
}

// Thousands come back after a deploy: the journal has few lines about them. Without it, or
// after Shutdown, nobody waits.
func TestMassReturnIsToldInFewLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const clients = 1200
		journal := &fragile{}
		a, b := processOf(t, journal), processOf(t, journal)
		var old []*guest
		for range clients {
			old = append(old, visit(t, a, "ada", "x"))
		}
		before, err := journal.Head(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		for _, g := range old {
			require.True(t, comeBack(t, b, "ada", realtime.Return{PID: g.pid, Offset: g.offset()}).back)
		}
		time.Sleep(2 * time.Second)
		page, err := journal.Since(t.Context(), before, nil, 100)
		require.NoError(t, err)
		require.Len(t, page.Entries, 3)
		require.Empty(t, a.Members("x"))
		require.Len(t, b.Members("x"), clients)

		journal.setFail(errors.Join(telemed.ErrUnavailable))
		g := comeBack(t, a, "ada", realtime.Return{PID: old[0].pid, Offset: old[0].offset()})
		require.True(t, g.back)
		time.Sleep(2 * time.Second)
		require.Len(t, b.Members("x"), clients, "the heartbeat decides")
		journal.setFail(nil)
		comeBack(t, a, "ada", realtime.Return{PID: old[1].pid, Offset: old[1].offset()})
		require.NoError(t, a.Shutdown(t.Context()))
		time.Sleep(time.Minute)
		require.Len(t, b.Members("x"), clients)
	})
}
