package realtime_test

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// secret returns an entry, and what tells whether its data is in memory still.
func secret(text string) (realtime.Entry, func() bool) {
	data := json.RawMessage(`"` + text + strings.Repeat("x", 1000) + `"`)
	first := weak.Make(&data[0])
	e := realtime.Entry{Kind: realtime.KindEvent, Name: "visit", Rooms: []string{"clinic-7"}, Args: []json.RawMessage{data}}
	return e, func() bool {
		runtime.GC()
		return first.Value() != nil
	}
}

// Nobody does anything, and what an event held of a patient is gone when its time is over.
func TestIdleJournalForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &realtime.MemoryJournal{MaxAge: 10 * time.Minute}
		e, there := secret("asha")
		_, err := j.Append(t.Context(), e)
		require.NoError(t, err)
		later, laterThere := secret("ben")
		time.Sleep(time.Minute)
		_, err = j.Append(t.Context(), later)
		require.NoError(t, err)

		time.Sleep(9 * time.Minute)
		require.True(t, there())
		time.Sleep(time.Second)
		require.False(t, there())
		require.True(t, laterThere())
		time.Sleep(time.Minute)
		require.False(t, laterThere())

		// And again: the clock is set anew by what comes.
		e, there = secret("chen")
		_, err = j.Append(t.Context(), e)
		require.NoError(t, err)
		time.Sleep(9 * time.Minute)
		require.True(t, there())
		time.Sleep(2 * time.Minute)
		require.False(t, there())
		runtime.KeepAlive(j)
	})
}

// So does a hub, whose journal may keep more, by the journal's clock, and with a client that
// has got all of it.
func TestIdleHubForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := &realtime.MemoryJournal{MaxAge: time.Second}
		hub, err := realtime.NewHub(realtime.Config{
			Journal: skewed{j}, Recover: 5 * time.Minute,
			Authorize: anybody,
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, hub.Shutdown(t.Context())) }()
		conn := connect(t, hub, "ada", "clinic-7")
		say := func(text string) func() bool {
			e, there := secret(text)
			_, err := j.Append(t.Context(), e)
			require.NoError(t, err)
			synctest.Wait()
			_, err = conn.Next(t.Context())
			require.NoError(t, err)
			return there
		}
		first := say("asha")
		time.Sleep(time.Minute)
		second := say("ben")
		time.Sleep(4*time.Minute - time.Second)
		require.True(t, first())
		time.Sleep(3 * time.Second)
		require.False(t, first())
		require.True(t, second())
		time.Sleep(time.Minute)
		require.False(t, second())
		third := say("chen")
		require.True(t, third())
		require.NoError(t, hub.Shutdown(t.Context()))
		time.Sleep(2 * time.Second) // of the journal
		require.False(t, third(), "a hub that is shut down keeps nothing")
		runtime.KeepAlive(hub)
	})
}

// skewed is a journal of a machine whose clock is an hour ahead.
type skewed struct{ *realtime.MemoryJournal }

func (j skewed) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	return j.MemoryJournal.Follow(ctx, from, func(e realtime.Entry) {
		e.At = e.At.Add(time.Hour)
		deliver(e)
	})
}
