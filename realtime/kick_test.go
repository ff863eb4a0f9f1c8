package realtime_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/realtime"
)

// aWhile makes newcomers others.
const aWhile = 11 * time.Second

// leaves has a subject disconnected while the test goes on, until it waits for the answer.
func leaves(t *testing.T, hub *realtime.Hub, subject string) (ended func() int) {
	t.Helper()
	answer := make(chan int, 1)
	go func() { answer <- disconnect(t, hub, subject) }()
	synctest.Wait()
	return func() int { return <-answer }
}

// A kick stands in the order of events, in every process.
func TestKicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		one, two := processOf(t, journal), processOf(t, journal)
		here, there, bob := visit(t, one, "ada", "x"), visit(t, two, "ada", "x"), visit(t, one, "bob", "x")
		time.Sleep(aWhile)
		release := journal.holdBack()
		put(t, journal, to("before", "x"))
		ended := leaves(t, one, "ada")
		put(t, journal, to("after", "x"))
		release()
		require.Equal(t, 1, ended())
		synctest.Wait()
		for _, g := range []*guest{here, there} {
			require.ErrorIs(t, context.Cause(g.conn.Context()), telemed.ErrForbidden)
			require.NotContains(t, g.events(), "after")
		}
		require.Equal(t, []string{"before", "after"}, bob.events())
		require.False(t, here.again(t, two).back, "who was kicked reads the present state")

		journal.setFail(telemed.ErrAmbiguous)
		n, err := one.Disconnect(t.Context(), "bob")
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		require.Equal(t, 1, n)
		require.Error(t, bob.conn.Context().Err(), "at once, for nobody knows when else")

		journal.setFail(nil)
		long := strings.Repeat("é", 100)
		for _, subject := range []string{"", long, "#7", "line\nbreak"} {
			g := visit(t, two, subject)
			disconnect(t, one, subject)
			synctest.Wait()
			require.Error(t, g.conn.Context().Err(), subject)
		}
	})
}

// Who logs in anew after Disconnect has returned stays, however late the journal is: it would
// be told to stay away.
func TestLoginAfterDisconnect(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		held time.Duration
		want error
	}{
		"the journal is slow": {3 * time.Second, nil},
		"nobody can wait so long, and she is asked to come again": {time.Minute, telemed.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				journal := &fragile{}
				hub := processOf(t, journal)
				old := visit(t, hub, "ada", "x")
				time.AfterFunc(test.held, journal.holdBack())
				require.Equal(t, 1, disconnect(t, hub, "ada"))
				require.ErrorIs(t, context.Cause(old.conn.Context()), telemed.ErrForbidden)
				ada := visit(t, hub, "ada", "x")
				time.Sleep(2 * time.Minute)
				require.ErrorIs(t, context.Cause(ada.conn.Context()), test.want)
				require.NoError(t, visit(t, hub, "ada", "x").conn.Context().Err())
			})
		})
	}
}

// Who gives up waiting has the connections of this process ended all the same.
func TestDisconnectGivesUpWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		hub := processOf(t, journal)
		ada := visit(t, hub, "ada", "x")
		release := journal.holdBack()
		defer release()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		ended, err := hub.Disconnect(ctx, "ada")
		require.NoError(t, err, "the line is there")
		require.Equal(t, time.Second, time.Since(begin))
		require.Equal(t, 1, ended)
		require.ErrorIs(t, context.Cause(ada.conn.Context()), telemed.ErrForbidden)
	})
}

// A hub that is shut down keeps nobody waiting for its journal.
func TestDisconnectWhileTheHubIsShutDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		hub := processOf(t, journal)
		visit(t, hub, "ada", "x")
		defer journal.holdBack()()
		begin := time.Now()
		ended := leaves(t, hub, "ada")
		require.NoError(t, hub.Shutdown(t.Context()))
		ended()
		require.Zero(t, time.Since(begin))
	})
}

// A line of another process may be older than a connection that is young when it comes, or
// was when it was written: such a one is asked to come again, and its login decides.
func TestKickOfAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		age, late time.Duration
		want      error
	}{
		"of somebody who was there":         {aWhile, 0, telemed.ErrForbidden},
		"of somebody who was there, late":   {aWhile, time.Minute, telemed.ErrForbidden},
		"of somebody who has just come":     {time.Second, 0, telemed.ErrUnavailable},
		"that comes late":                   {time.Second, time.Minute, telemed.ErrUnavailable},
		"of somebody who came when it held": {-time.Second, time.Minute, telemed.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				journal := &fragile{}
				one, two := processOf(t, journal), processOf(t, journal)
				visit(t, one, "bob") // both follow
				visit(t, two, "bob")
				release := journal.holdBack()
				kick := func() { leaves(t, one, "ada") }
				if test.age < 0 {
					kick()
					time.Sleep(-test.age)
				}
				ada := connect(t, two, "ada")
				if test.age >= 0 {
					time.Sleep(test.age)
					kick()
				}
				time.Sleep(test.late)
				release()
				time.Sleep(time.Minute)
				require.ErrorIs(t, context.Cause(ada.Context()), test.want)
			})
		})
	}
}

// ahead is a journal whose engine's clock is.
type ahead struct{ realtime.MemoryJournal }

func (j *ahead) Follow(ctx context.Context, from realtime.Position, deliver func(realtime.Entry)) error {
	return j.MemoryJournal.Follow(ctx, from, func(e realtime.Entry) {
		e.At = e.At.Add(time.Hour)
		deliver(e)
	})
}

func TestKickOfAnotherProcessByAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &ahead{}
		hub := processOf(t, journal)
		visit(t, hub, "bob")
		ada := connect(t, hub, "ada")
		put(t, journal, elsewhere("ada"))
		require.ErrorIs(t, context.Cause(ada.Context()), telemed.ErrUnavailable)
	})
}

// A token that is looked at while a line of another process comes may be of the login after.
func TestKickOfAnotherProcessWhileIdentified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		journal := &fragile{}
		hub := processOf(t, journal)
		visit(t, hub, "bob")
		ada := connect(t, hub, "")
		err := ada.Identify(as("ada", func() { put(t, journal, elsewhere("ada")) }))
		require.ErrorIs(t, err, telemed.ErrClosed)
		require.ErrorIs(t, context.Cause(ada.Context()), telemed.ErrUnavailable)
	})
}
