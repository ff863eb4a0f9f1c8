package oauth

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
)

// TestOneAsksForAll has thousands begin at the moment at which a pause is over.
func TestOneAsksForAll(t *testing.T) {
	t.Parallel()
	for range 2000 {
		var c credentials
		c.refuse(nth(1), telemed.ErrUnauthorized, noon)
		require.NoError(t, c.begin(noon, time.Second), "one account alone pauses nobody")
		c.refuse(nth(2), telemed.ErrUnauthorized, noon)
		over := noon.Add(shortestCooldown)
		require.ErrorIs(t, c.begin(over.Add(-1), time.Second), telemed.ErrUnauthorized)
		var all sync.WaitGroup
		var asking atomic.Int32
		begin := make(chan struct{})
		for range 50 {
			all.Go(func() {
				<-begin
				if c.begin(over, time.Second) == nil {
					asking.Add(1)
				}
			})
		}
		close(begin)
		all.Wait()
		require.EqualValues(t, 1, asking.Load())
		require.NoError(t, c.begin(over.Add(time.Second), time.Second), "its answer was lost: the next one asks")
		c.accept()
		require.NoError(t, c.begin(over, time.Second))
	}
}
