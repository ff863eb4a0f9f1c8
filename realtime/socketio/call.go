package socketio

import (
	"context"
	"sync"
	"time"
)

// call is the context of one call of the application's: that of the connection, with a limit
// of time. Most functions return without having waited for its end. So the timer and the
// channels that it takes to tell of the end are made for whoever waits.
type call struct {
	conn  lifetime
	until time.Time

	mu     sync.Mutex
	err    error           // of Err, once there is one
	waited context.Context // nil until somebody waits
	cancel context.CancelFunc
}

var _ context.Context = (*call)(nil)

// lifetime is the context of a connection, which can tell of its end without a channel.
type lifetime interface {
	context.Context
	AfterFunc(f func()) (stop func() bool)
}

// call returns a context that the caller must end.
func (s *Socket) call() *call {
	return &call{conn: s.Context().(lifetime), until: time.Now().Add(s.client.server.cfg.HandlerTimeout)}
}

// Deadline implements context.Context.
func (c *call) Deadline() (deadline time.Time, ok bool) { return c.until, true }

// Done implements context.Context.
func (c *call) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waited == nil {
		c.wait()
	}
	return c.waited.Done()
}

// Err implements context.Context.
func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errLocked()
}

func (c *call) errLocked() error {
	switch {
	case c.err != nil:
	case c.waited != nil:
		c.err = c.waited.Err()
	case c.conn.Err() != nil:
		c.err = c.conn.Err()
	case !time.Now().Before(c.until):
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// Value implements context.Context. Package context finds here the cause of the end, and
// what it derives from.
func (c *call) Value(key any) any {
	c.mu.Lock()
	waited := c.waited
	c.mu.Unlock()
	if waited != nil {
		return waited.Value(key)
	}
	return c.conn.Value(key)
}

// wait makes waited. Package context would ask the connection for a channel, which that had
// for the rest of its life.
func (c *call) wait() {
	lasting, end := context.WithCancelCause(context.WithoutCancel(c.conn))
	stop := c.conn.AfterFunc(func() { end(context.Cause(c.conn)) })
	if c.conn.Err() != nil {
		end(context.Cause(c.conn)) // at once
	}
	waited, cancel := context.WithDeadline(lasting, c.until)
	c.waited, c.cancel = waited, func() {
		stop()
		cancel()
		end(nil)
	}
	if c.err != nil {
		c.cancel()
	}
}

// end is for when the function has returned.
func (c *call) end() {
	c.mu.Lock()
	if c.errLocked() == nil {
		c.err = context.Canceled
	}
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
