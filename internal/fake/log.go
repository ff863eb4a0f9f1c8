package fake

import (
	"context"
	"slices"
	"sync"
)

// Changes tells those who wait that something changed. The zero value is ready to use.
// It is safe for concurrent use.
type Changes struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next change; nil if nobody waits
}

// Note wakes all who wait.
func (c *Changes) Note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next != nil {
		close(c.next)
		c.next = nil
	}
}

func (c *Changes) wait() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next = make(chan struct{})
	}
	return c.next
}

// WaitFor calls look now and after each change until it has found something or ctx ends.
// Then the error is ctx.Err().
func WaitFor[T any](ctx context.Context, c *Changes, look func() (T, bool)) (T, error) {
	for {
		changed := c.wait()
		if found, ok := look(); ok {
			return found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}

// Log keeps what happened, and lets others wait for it. The zero value is ready to use.
// It is safe for concurrent use.
type Log[T any] struct {
	changes Changes

	mu      sync.Mutex
	entries []T
	dropped int // by Reset
}

// Add appends an entry. By the number that it returns the entry can be edited.
func (l *Log[T]) Add(entry T) (number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changes.Note()
	l.entries = append(l.entries, entry)
	return l.dropped + len(l.entries) - 1
}

// Edit changes an entry, unless Reset took it away.
func (l *Log[T]) Edit(number int, change func(*T)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := number - l.dropped; i >= 0 {
		change(&l.entries[i])
		l.changes.Note()
	}
}

// All returns the entries, oldest first.
func (l *Log[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// Reset forgets all entries. Who waits goes on waiting.
func (l *Log[T]) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped += len(l.entries)
	l.entries = nil
}

// WaitFor returns the first entry that match accepts, and waits for it until ctx ends.
func (l *Log[T]) WaitFor(ctx context.Context, match func(T) bool) (T, error) {
	return WaitFor(ctx, &l.changes, func() (found T, ok bool) {
		all := l.All()
		i := slices.IndexFunc(all, match)
		if i < 0 {
			return found, false
		}
		return all[i], true
	})
}
