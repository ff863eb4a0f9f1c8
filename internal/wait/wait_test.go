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
