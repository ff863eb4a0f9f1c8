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

// Ended returns why nothing may be begun any more under ctx, or nil. In a process that has
// just been frozen ctx does not know yet that its deadline has passed, and with it perhaps a
// lease. Either clock counts: the one that only runs may stop while the machine sleeps.
func Ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := time.Now()
	if end, ok := ctx.Deadline(); ok && (!now.Before(end) || !now.Round(0).Before(end.Round(0))) {
		return context.DeadlineExceeded
	}
	return nil
}

// Jitter returns between half of d and d, so that many who failed together do not try
// again together.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
