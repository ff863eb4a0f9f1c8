package wait

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A process can stand still: SIGSTOP, a paused container, a function platform between
// two requests, a stalled machine. A deadline on the clock has passed when it goes on,
// and throws away the answer that came meanwhile and lies in the socket. What follows
// counts only time in which this process was seen to run, so that it reads on first.

const (
	// tick is how often a process looks at the clock while something is bounded.
	tick = time.Second
	// late is how much later than asked for a tick may come on a busy machine. One that is
	// later still shows that the process stood still.
	late = tick / 2
	// moment is left at least after that: enough to read what is here already.
	moment = 3 * time.Second
)

// After calls f once this process has been seen to run for d, in a goroutine of its own.
// stop keeps it from that; it may be called more than once.
func After(d time.Duration, f func()) (stop func()) {
	return after(d, f, time.Now).stop
}

// Timeout is context.WithTimeout, but for what is counted. Its deadline is what it would
// be if the process did not stand still any more.
func Timeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return timeout(ctx, d, time.Now)
}

// Alive returns a context that ends when ctx does, save that a deadline is counted as in
// [Timeout].
func Alive(ctx context.Context) (context.Context, context.CancelFunc) {
	return alive(ctx, time.Now)
}

func timeout(ctx context.Context, d time.Duration, now func() time.Time) (context.Context, context.CancelFunc) {
	inner, cancel := context.WithCancelCause(ctx)
	c := after(d, func() { cancel(context.DeadlineExceeded) }, now)
	return &bounded{inner, c}, func() {
		c.stop()
		cancel(context.Canceled)
	}
}

func alive(ctx context.Context, now func() time.Time) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	inner, cancel := timeout(context.WithoutCancel(ctx), end.Sub(now()), now)
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel()
		}
	})
	return inner, func() {
		stop()
		cancel()
	}
}

// bounded is a context that a countdown ends.
type bounded struct {
	context.Context
	countdown *countdown
}

// Deadline implements context.Context.
func (b *bounded) Deadline() (time.Time, bool) {
	end := b.countdown.end()
	if outer, ok := b.Context.Deadline(); ok && outer.Before(end) {
		return outer, true
	}
	return end, true
}

// Err implements context.Context.
func (b *bounded) Err() error {
	err := b.Context.Err()
	if err != nil && errors.Is(context.Cause(b.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}

// countdown is time that runs while the process does.
type countdown struct {
	f   func()
	now func() time.Time

	mu    sync.Mutex
	timer *time.Timer
	over  bool
	left  time.Duration
	last  time.Time     // when it was looked at
	step  time.Duration // what the timer was set to then
}

func after(d time.Duration, f func(), now func() time.Time) *countdown {
	c := &countdown{f: f, now: now, left: d, last: now(), step: min(max(d, 0), tick)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(c.step, c.look)
	return c
}

// look takes off what has passed since the last look, or less if nobody saw it pass.
func (c *countdown) look() {
	if c.count() {
		c.f()
	}
}

func (c *countdown) count() (ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	now := c.now()
	passed := now.Sub(c.last)
	c.left -= min(passed, c.step)
	if passed > c.step+late {
		c.left = max(c.left, moment)
	}
	if c.left <= 0 {
		c.over = true
		return true
	}
	c.last, c.step = now, min(c.left, tick)
	c.timer.Reset(c.step)
	return false
}

func (c *countdown) end() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.Add(c.left)
}

func (c *countdown) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.timer.Stop()
}
