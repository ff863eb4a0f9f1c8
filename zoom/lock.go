package zoom

import (
	"context"
	"sync"
)

// keyLock is a mutex for each key, which a context can stop waiting for. The zero value
// is ready to use.
type keyLock struct {
	mu   sync.Mutex
	held map[string]*waiters
}

// waiters is one key's lock: free while its channel holds the token.
type waiters struct {
	token chan struct{}
	count int // who holds it or waits for it; guarded by keyLock.mu
}

func (l *keyLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	w := l.join(key)
	select {
	case <-w.token:
		return func() { w.token <- struct{}{}; l.leave(key, w) }, nil
	case <-ctx.Done():
		l.leave(key, w)
		return nil, context.Cause(ctx)
	}
}

func (l *keyLock) join(key string) *waiters {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*waiters{}
	}
	w, ok := l.held[key]
	if !ok {
		w = &waiters{token: make(chan struct{}, 1)}
		w.token <- struct{}{}
		l.held[key] = w
	}
	w.count++
	return w
}

func (l *keyLock) leave(key string, w *waiters) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.count--; w.count == 0 {
		delete(l.held, key)
	}
}
