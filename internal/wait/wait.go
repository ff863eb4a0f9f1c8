// Package wait has the pauses between two tries.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for d. The error says why ctx ended first.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Jitter returns between half of d and d, so that many who failed together do not try
// again together.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
