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
// lease.
func Ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if end, ok := ctx.Deadline(); ok && Over(end) {
		return context.DeadlineExceeded
	}
	if end, ok := ctx.Value(beginKey{}).(time.Time); ok && Over(end) {
		return context.DeadlineExceeded
	}
	return nil
}

// Over reports whether it is end by now. Either clock counts: the one that only runs may
// stop while the machine sleeps, and the other one may be set.
func Over(end time.Time) bool {
	now := time.Now()
	return !now.Before(end) || !now.Round(0).Before(end.Round(0))
}

type beginKey struct{}

// BeginBy has [Ended] say of ctx that it is over at end, and ends nothing that has begun.
// It is for what a lease allows: a [Timeout] gives a process that stood still a moment more
// to read what came meanwhile, and in that moment nothing may be begun.
func BeginBy(ctx context.Context, end time.Time) context.Context {
	return context.WithValue(ctx, beginKey{}, end)
}

// HasBegin reports whether ctx is of [BeginBy].
func HasBegin(ctx context.Context) bool { return ctx.Value(beginKey{}) != nil }

// Jitter returns between half of d and d, so that many who failed together do not try
// again together.
func Jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
