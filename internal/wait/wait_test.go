package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/internal/wait"
)

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.NoError(t, wait.For(t.Context(), time.Hour))
		require.Equal(t, time.Hour, time.Since(begin))

		why := errors.New("shutdown")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(why) })
		require.Equal(t, why, wait.For(ctx, time.Hour))
		require.Equal(t, time.Hour+time.Minute, time.Since(begin))
	})
}

func TestJitter(t *testing.T) {
	t.Parallel()
	for range 1000 {
		d := wait.Jitter(time.Second)
		require.True(t, d >= time.Second/2 && d <= time.Second, d)
	}
	require.Zero(t, wait.Jitter(0))
}

// asleep is a context whose timer has not noticed that its time is over: the process was
// frozen.
type asleep struct{ context.Context }

func (asleep) Err() error { return nil }

func TestEnded(t *testing.T) {
	t.Parallel()
	require.NoError(t, wait.Ended(t.Context()))
	open, cancel := context.WithTimeout(t.Context(), time.Hour)
	require.NoError(t, wait.Ended(open))
	cancel()
	require.ErrorIs(t, wait.Ended(open), context.Canceled)
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	require.ErrorIs(t, wait.Ended(asleep{over}), context.DeadlineExceeded)
	require.False(t, wait.HasBegin(open))
	early, late := wait.BeginBy(t.Context(), time.Now().Add(time.Hour)), wait.BeginBy(t.Context(), time.Now())
	require.NoError(t, wait.Ended(early))
	require.ErrorIs(t, wait.Ended(late), context.DeadlineExceeded)
	require.NoError(t, late.Err(), "what has begun goes on")
	require.True(t, wait.HasBegin(late))
	why := errors.New("why")
	caused, end := context.WithCancelCause(t.Context())
	end(why)
	require.Equal(t, why, wait.Ended(caused))
}
