package payments_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/payments"
)

func claim(t *testing.T, d payments.Deduper, keys ...string) payments.Claim {
	t.Helper()
	c, err := d.Claim(t.Context(), keys, time.Minute)
	require.NoError(t, err)
	return c
}

func TestMemoryDeduper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := payments.NewMemoryDeduper(0)
		first := claim(t, d, "a", "b")
		require.Equal(t, payments.ClaimNew, first.State)
		require.Equal(t, payments.ClaimInFlight, claim(t, d, "b", "c").State)
		require.Equal(t, payments.ClaimNew, claim(t, d, "c").State, "a claim that failed must leave nothing behind")

		require.NoError(t, d.Release(t.Context(), []string{"a", "b"}, first.Token))
		second := claim(t, d, "a", "b")
		require.Equal(t, payments.ClaimNew, second.State)
		require.NoError(t, d.Release(t.Context(), []string{"a", "b"}, first.Token), "the lease of somebody else")
		require.Equal(t, payments.ClaimInFlight, claim(t, d, "a").State)

		time.Sleep(time.Minute) // the lease runs out: its holder has died
		third := claim(t, d, "a", "b")
		require.Equal(t, payments.ClaimNew, third.State)
		require.NoError(t, d.Complete(t.Context(), []string{"a", "b"}, time.Hour))
		require.NoError(t, d.Release(t.Context(), []string{"a", "b"}, third.Token), "what is done stays done")
		require.Equal(t, payments.ClaimDone, claim(t, d, "x", "a").State)
		require.Equal(t, payments.ClaimNew, claim(t, d, "x").State)

		time.Sleep(time.Hour)
		require.Equal(t, payments.ClaimNew, claim(t, d, "a").State, "forgotten after its time")
	})
}

func TestMemoryDeduperIsBounded(t *testing.T) {
	t.Parallel()
	d := payments.NewMemoryDeduper(10)
	for i := range 100 {
		key := fmt.Sprint(i)
		require.Equal(t, payments.ClaimNew, claim(t, d, key).State)
		require.NoError(t, d.Complete(t.Context(), []string{key}, time.Hour))
		require.LessOrEqual(t, d.Len(), 10)
	}
	require.Equal(t, payments.ClaimDone, claim(t, d, "99").State)
	require.Equal(t, payments.ClaimNew, claim(t, d, "0").State, "the oldest is forgotten first")

	for i := range 9 {
		require.Equal(t, payments.ClaimNew, claim(t, d, fmt.Sprint("flight", i)).State)
	}
	_, err := d.Claim(t.Context(), []string{"one too many"}, time.Minute)
	require.ErrorIs(t, err, telemed.ErrUnavailable, "claims in flight are never pushed out")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Claim(ctx, []string{"late"}, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
}

func TestMemoryDeduperRace(t *testing.T) {
	t.Parallel()
	d := payments.NewMemoryDeduper(0)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			c, err := d.Claim(t.Context(), []string{"body", fmt.Sprint("evt", i)}, time.Minute)
			if err == nil && c.State == payments.ClaimNew {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
}
