package oauth

import (
	"fmt"
	"sync"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
)

// pending is the attempts that are under way. It is safe for concurrent use.
type pending struct {
	// closing is closed when Shutdown begins: nothing is begun any more.
	closing chan struct{}

	mu      sync.Mutex
	closed  bool
	results map[store.AccountID]*result // those that callers join
	working sync.WaitGroup
}

// result is what the callers of one attempt wait for.
type result struct {
	done  chan struct{} // closed once token and err are set
	token store.Token
	err   error
}

var errClosed = fmt.Errorf("oauth: source: %w", telemed.ErrClosed)

func newPending() *pending {
	return &pending{closing: make(chan struct{}), results: map[store.AccountID]*result{}}
}

// join returns the result of the account's attempt. If there is none, work becomes one:
// started is true, and work runs in a goroutine of its own.
func (p *pending) join(id store.AccountID, work func(*result)) (r *result, started bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.results[id]; ok {
		return r, false, nil
	}
	if p.closed {
		return nil, false, errClosed
	}
	r = p.start(id, work)
	p.results[id] = r
	return r, true, nil
}

// add begins work even if the account has an attempt. prepare is called before anything
// is begun, and says whether callers shall join this one rather than the other, and
// whether there is no need for it at all.
func (p *pending) add(id store.AccountID, prepare func() (newest, needless bool), work func(*result)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errClosed
	}
	newest, needless := prepare()
	if needless {
		return nil
	}
	r := p.start(id, work)
	if _, busy := p.results[id]; !busy || newest {
		p.results[id] = r
	}
	return nil
}

// start runs work in a goroutine of its own. mu is held.
func (p *pending) start(id store.AccountID, work func(*result)) *result {
	r := &result{done: make(chan struct{})}
	p.working.Go(func() {
		defer p.remove(id, r)
		work(r)
	})
	return r
}

// remove makes room for the account's next attempt.
func (p *pending) remove(id store.AccountID, r *result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.results[id] == r {
		delete(p.results, id)
	}
}

// close lets nothing begin any more. The channel is closed when all that has begun has
// ended.
func (p *pending) close() (ended <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.closing)
	}
	done := make(chan struct{})
	go func() {
		p.working.Wait()
		close(done)
	}()
	return done
}

// count returns how many accounts have an attempt.
func (p *pending) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.results)
}

// isClosing reports whether Shutdown has begun.
func (p *pending) isClosing() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}
