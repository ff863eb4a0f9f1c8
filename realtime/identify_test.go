package realtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// as is a decision that names ada after something has happened.
func as(subject string, meanwhile ...func()) func() (string, error) {
	return func() (string, error) {
		for _, do := range meanwhile {
			do()
		}
		return subject, nil
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	for _, journal := range []realtime.Journal{nil, &realtime.MemoryJournal{}} {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(t, realtime.Config{Authorize: anybody, Journal: journal})
			conn := connect(t, hub, "")
			require.NoError(t, conn.Identify(as("")))
			require.Empty(t, conn.Client().Subject)
			no := errors.New("no")
			require.ErrorIs(t, conn.Identify(func() (string, error) { return "ada", no }), no)
			require.Empty(t, conn.Client().Subject)

			require.NoError(t, conn.Identify(as("ada")))
			require.Equal(t, "ada", conn.Client().Subject)
			require.ErrorIs(t, conn.Identify(as("bob")), telemed.ErrInvalid)
			other := connect(t, hub, "")
			_, err := hub.Disconnect(t.Context(), "ada")
			require.NoError(t, err)
			synctest.Wait()
			require.ErrorIs(t, context.Cause(conn.Context()), telemed.ErrForbidden)
			require.NoError(t, other.Context().Err(), "it is nobody's")
			require.ErrorIs(t, conn.Identify(as("ada")), telemed.ErrClosed)
		})
	}
}

// A subject has as many connections as it may, however it has made itself known.
func TestIdentifyOneTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := newHub(t, realtime.Config{MaxPerSubject: 1})
		require.NoError(t, connect(t, hub, "").Identify(as("ada")))
		second := connect(t, hub, "")
		require.ErrorIs(t, second.Identify(as("ada")), realtime.ErrFull)
		require.Empty(t, second.Client().Subject)
		require.NoError(t, second.Identify(as("bob")))
	})
}

// Who logs out while a token of theirs is looked at is not let in by it. Who did so before is.
func TestDisconnectWhileIdentified(t *testing.T) {
	t.Parallel()
	for _, journal := range []realtime.Journal{nil, &realtime.MemoryJournal{}} {
		synctest.Test(t, func(t *testing.T) {
			hub := newHub(t, realtime.Config{Authorize: anybody, Journal: journal})
			late, early, bob := connect(t, hub, ""), connect(t, hub, ""), connect(t, hub, "")
			synctest.Wait() // it follows its journal
			logout := func() {
				_, err := hub.Disconnect(t.Context(), "ada")
				require.NoError(t, err)
				synctest.Wait()
				require.NoError(t, early.Identify(as("ada")), "a login of later")
				require.NoError(t, bob.Identify(as("bob")))
			}
			require.ErrorIs(t, late.Identify(as("ada", logout)), telemed.ErrClosed)
			require.ErrorIs(t, context.Cause(late.Context()), telemed.ErrForbidden)
			require.NoError(t, early.Context().Err())
			require.NoError(t, bob.Context().Err())
			require.NoError(t, connect(t, hub, "").Identify(as("ada")))
		})
	}
}
