package realtime

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type lifetimeKey struct{}

func newLifetime() *lifetime {
	return &lifetime{values: context.WithValue(context.Background(), lifetimeKey{}, "ada")}
}

// A connection's context is one like any other for what is derived from it.
func TestLifetimeIsAContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLifetime()
		call, cancel := context.WithTimeout(l, time.Minute)
		defer cancel()
		ran := 0
		context.AfterFunc(l, func() { ran++ })
		stop := context.AfterFunc(l, func() { ran += 100 })
		require.True(t, stop())
		require.NoError(t, l.Err())
		require.NoError(t, context.Cause(l))
		require.NoError(t, call.Err())

		l.end(ErrSlow)
		l.end(ErrFull) // the first counts
		synctest.Wait()
		<-l.Done()
		<-call.Done()
		for _, ctx := range []context.Context{l, call} {
			require.ErrorIs(t, ctx.Err(), context.Canceled)
			require.Equal(t, ErrSlow, context.Cause(ctx))
			require.Equal(t, "ada", ctx.Value(lifetimeKey{}))
		}
		require.Equal(t, 1, ran)
	})
}

// Who comes after the end finds it.
func TestLifetimeThatIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLifetime()
		l.end(ErrSlow)
		call, cancel := context.WithCancel(l)
		defer cancel()
		ran := false
		stop := l.AfterFunc(func() { ran = true })
		synctest.Wait()
		<-l.Done()
		require.Equal(t, ErrSlow, context.Cause(call))
		require.True(t, ran)
		require.False(t, stop())
	})
}

// Of a call that is over nothing stays with a connection that lasts.
func TestLifetimeKeepsNothing(t *testing.T) {
	t.Parallel()
	l := newLifetime()
	stop := l.AfterFunc(func() {})
	require.Len(t, l.after, 1)
	require.True(t, stop())
	require.False(t, stop())
	require.Nil(t, l.after)
	require.Nil(t, l.done)
	_, cancel := context.WithTimeout(l, time.Hour)
	cancel()
	require.Nil(t, l.after)
}
