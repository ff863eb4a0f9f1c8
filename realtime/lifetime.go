package realtime

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lifetime is the context of a connection. One of package context would keep a channel for
// whoever has waited for its end, and a map for what was derived from it. Most connections are
// idle, and many: this one keeps of a call nothing that is over.
type lifetime struct {
	ended  atomic.Bool     // over is there, for who asks often
	values context.Context // it does not end

	mu    sync.Mutex
	done  chan struct{}   // nil until somebody asks for it
	over  context.Context // has ended, with the cause; nil while the connection is open
	after []*func()       // to be called at the end
}

var _ context.Context = (*lifetime)(nil)

// Deadline implements context.Context.
func (*lifetime) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements context.Context.
func (l *lifetime) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
		if l.over != nil {
			close(l.done)
		}
	}
	return l.done
}

// Err implements context.Context.
func (l *lifetime) Err() error {
	if !l.ended.Load() {
		return nil
	}
	if over := l.end(nil); over != nil {
		return over.Err()
	}
	return nil
}

// Value implements context.Context. Once the connection has ended, context.Cause finds the
// cause here.
func (l *lifetime) Value(key any) any {
	if over := l.end(nil); over != nil {
		return over.Value(key)
	}
	return l.values.Value(key)
}

// AfterFunc runs f in a goroutine of its own once the connection has ended, unless stop comes
// first. Package context calls it for what it derives.
func (l *lifetime) AfterFunc(f func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil {
		go f()
		return func() bool { return false }
	}
	entry := &f
	l.after = append(l.after, entry)
	return func() bool { return l.forget(entry) }
}

// forget reports whether entry was to be called, and is not any more.
func (l *lifetime) forget(entry *func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.after, entry)
	if i < 0 {
		return false
	}
	if l.after = slices.Delete(l.after, i, i+1); len(l.after) == 0 {
		l.after = nil // gives the memory back
	}
	return true
}

// end ends the lifetime with cause, unless cause is nil. It returns a context that has ended,
// or nil while the lifetime lasts.
func (l *lifetime) end(cause error) (over context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over != nil || cause == nil {
		return l.over
	}
	ended, cancel := context.WithCancelCause(l.values)
	cancel(cause)
	l.over = ended
	l.ended.Store(true)
	if l.done != nil {
		close(l.done)
	}
	for _, f := range l.after {
		go (*f)()
	}
	l.after = nil
	return ended
}
