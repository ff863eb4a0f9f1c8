package oauth

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed/store"
)

func nth(i int) store.AccountID {
	return store.AccountID{Provider: "zoom", Subject: fmt.Sprint("dr-", i)}
}

func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(Tuning{MaxRejections: 3}.withDefaults()), noon
	for i := range 3 {
		require.Equal(t, verdict{believed: true, rejected: i + 1}, b.reject(nth(i), now))
	}
	require.Equal(t, verdict{believed: true, rejected: 3}, b.reject(nth(2), now), "the same account is one")
	require.Equal(t, verdict{opened: true, rejected: 4}, b.reject(nth(3), now))
	require.Equal(t, verdict{rejected: 5}, b.reject(nth(4), now), "told once")

	later := now.Add(time.Hour)
	require.Equal(t, verdict{believed: true, rejected: 1}, b.reject(nth(0), later), "the window is over")
	for i := range 5 {
		b.refresh(nth(10+i), later)
	}
	for i := 1; i < 5; i++ {
		require.True(t, b.reject(nth(i), later).believed, "five have been refreshed meanwhile")
	}
	require.Equal(t, verdict{opened: true, rejected: 6}, b.reject(nth(20), later), "and told again")
}

func TestBreakerBelievesWhoIsStillRejected(t *testing.T) {
	t.Parallel()
	b, now := newBreaker(Tuning{MaxRejections: 1}.withDefaults()), noon
	for range 6 { // each ten minutes
		b.reject(nth(0), now)
		b.reject(nth(1), now)
		require.False(t, b.reject(nth(2), now).believed)
		now = now.Add(10 * time.Minute)
	}
	b.reject(nth(0), now)
	b.reject(nth(1), now)
	require.Equal(t, verdict{believed: true, rejected: 3}, b.reject(nth(2), now), "for an hour by now")
	require.False(t, b.reject(nth(3), now).believed)
	b.refresh(nth(2), now)
	require.False(t, b.reject(nth(2), now).believed, "its hour begins anew")
}

func TestBreakerForgets(t *testing.T) {
	t.Parallel()
	b := newBreaker(Tuning{MaxRejections: -1}.withDefaults())
	for i := range 1000 {
		require.True(t, b.reject(nth(i), noon).believed, "there is none")
		b.refresh(nth(i+1000), noon)
	}
	b.reject(nth(0), noon.Add(maxRejectionAge+time.Second))
	require.Len(t, b.rejected, 1)
	require.Empty(t, b.refreshed)
}

func TestBreakerConcurrently(t *testing.T) {
	t.Parallel()
	b := newBreaker(Tuning{MaxRejections: 10}.withDefaults())
	var all sync.WaitGroup
	var mu sync.Mutex
	opened := 0
	for i := range 100 {
		all.Go(func() {
			v := b.reject(nth(i), noon)
			mu.Lock()
			defer mu.Unlock()
			if v.opened {
				opened++
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, opened)
}
