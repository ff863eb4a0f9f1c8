package socketio

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/realtime"
)

// deaf is the context of a connection that must not be asked for a channel.
type deaf struct {
	lifetime
	t *testing.T
}

func (d deaf) Done() <-chan struct{} {
	d.t.Error("the connection has a channel for life")
	return d.lifetime.Done()
}

type callKey struct{}

// A call's context is one like any other, whether somebody waits for its end or asks later.
func TestCallIsAContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for name, test := range map[string]struct {
		end        func(conn *realtime.Conn, c *call)
		err, cause error
	}{
		"its time is over":         {func(*realtime.Conn, *call) { time.Sleep(time.Minute) }, context.DeadlineExceeded, context.DeadlineExceeded},
		"the connection has ended": {func(conn *realtime.Conn, _ *call) { conn.Close(gone) }, context.Canceled, gone},
		"it has returned":          {func(_ *realtime.Conn, c *call) { c.end() }, context.Canceled, context.Canceled},
	} {
		for _, waits := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { callEnds(t, waits, test.end, test.err, test.cause) })
			})
		}
	}
}

func callEnds(t *testing.T, waits bool, end func(*realtime.Conn, *call), err, cause error) {
	t.Helper()
	hub, hubErr := realtime.NewHub(realtime.Config{})
	require.NoError(t, hubErr)
	conn, hubErr := hub.Connect(context.WithValue(t.Context(), callKey{}, "ada"), "", &space{}, nil)
	require.NoError(t, hubErr)
	c := &call{conn: deaf{conn.Context().(lifetime), t}, until: time.Now().Add(time.Minute)}
	all := []context.Context{c}
	derive := func() {
		derived, cancel := context.WithCancel(c)
		t.Cleanup(cancel)
		all = append(all, derived)
	}
	ran := false
	if waits {
		derive()
		context.AfterFunc(c, func() { ran = true })
	}
	until, limited := c.Deadline()
	require.True(t, limited)
	require.Equal(t, time.Minute, time.Until(until))
	for _, ctx := range all {
		require.NoError(t, ctx.Err())
		require.NoError(t, context.Cause(ctx))
	}

	end(conn, c)
	synctest.Wait()
	require.Equal(t, err, c.Err())
	derive()
	for _, ctx := range all {
		<-ctx.Done()
		require.Equal(t, err, ctx.Err())
		require.Equal(t, cause, context.Cause(ctx))
		require.Equal(t, "ada", ctx.Value(callKey{}))
	}
	require.Equal(t, waits, ran)
	c.end()
	conn.Close(nil)
	require.Equal(t, err, c.Err(), "it does not change")
	require.NoError(t, hub.Shutdown(t.Context()))
}

// A function that does not wait costs no timer and no channel. How it has ended stays so.
func TestCallThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	hub, err := realtime.NewHub(realtime.Config{})
	require.NoError(t, err)
	conn, err := hub.Connect(t.Context(), "", &space{}, nil)
	require.NoError(t, err)
	c := &call{conn: conn.Context().(lifetime), until: time.Now().Add(time.Minute)}
	require.NoError(t, c.Err())
	require.Nil(t, c.Value(callKey{}))
	require.NoError(t, context.Cause(c))
	late := &call{conn: c.conn, until: time.Now()}
	require.ErrorIs(t, late.Err(), context.DeadlineExceeded)
	c.end()
	late.end()
	conn.Close(nil)
	require.ErrorIs(t, c.Err(), context.Canceled)
	require.ErrorIs(t, late.Err(), context.DeadlineExceeded)
	require.Nil(t, c.waited)
	require.NoError(t, hub.Shutdown(t.Context()))
}
