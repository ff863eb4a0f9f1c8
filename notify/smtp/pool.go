package smtp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
)

// pool keeps connections for the next message. It owns no goroutine: a timer
// ends each idle connection, and close ends the timers.
type pool struct {
	dial  func(context.Context) (*conn, error)
	slots chan struct{} // one taken for each connection in use
	ttl   time.Duration

	closing chan struct{} // held by the close that collects the slots

	// Ends when close stops waiting: a connection that is being made then is given up.
	life context.Context
	cut  context.CancelCauseFunc

	mu     sync.Mutex
	parked int // slots that are out of use, because the server wants fewer connections
	good   int // messages taken since the last that it was too much for
	closed bool
	done   chan struct{} // closed with closed
	idle   []*conn       // the one used last is at the end
	inUse  map[*conn]struct{}
}

func newPool(size int, ttl time.Duration, dial func(context.Context) (*conn, error)) *pool {
	life, cut := context.WithCancelCause(context.Background())
	return &pool{
		dial: dial, ttl: ttl, life: life, cut: cut,
		slots:   make(chan struct{}, size),
		closing: make(chan struct{}, 1),
		done:    make(chan struct{}),
		inUse:   map[*conn]struct{}{},
	}
}

// get waits for a slot and returns an idle or a new connection.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if ctx.Err() != nil { // select picks at random
		return nil, lost(ctx, "connect", telemed.ErrUnavailable, ctx.Err())
	}
	select {
	case p.slots <- struct{}{}:
	case <-p.done:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, lost(ctx, "connect", telemed.ErrUnavailable, ctx.Err())
	}
	for {
		k, closed := p.takeIdle()
		if closed {
			<-p.slots
			return nil, errClosed()
		}
		if k == nil {
			break
		}
		if k.quiet() {
			return k, nil
		}
		p.drop(k)
	}
	return p.fresh(ctx)
}

// fresh returns a new connection, or frees the slot: also if Config.Dial or Token panics.
func (p *pool) fresh(ctx context.Context) (k *conn, err error) {
	verdict := errNoConn
	defer func() {
		if verdict != nil {
			p.release(verdict)
		}
	}()
	k, err = p.make(ctx)
	if err == nil && !p.use(k) {
		k, err = nil, errClosed()
	}
	verdict = err
	return k, err
}

// errNoConn stands for the error of a connection until there is one or the other.
var errNoConn = errors.New("smtp: no connection")

// steady is how many messages must be taken before the pool uses a connection more.
const steady = 10

// release gives a slot back after verdict. A server that says "too much" gets messages over
// one connection less, down to one, and over one more again after some that it took.
func (p *pool) release(verdict error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(verdict, telemed.ErrRateLimited):
		p.good = 0
		if !p.closed && p.parked < cap(p.slots)-1 {
			p.parked++ // and the slot stays taken
			return
		}
	case verdict == nil:
		p.good++
		if p.parked > 0 && p.good >= steady {
			p.good = 0
			p.parked--
			<-p.slots
		}
	}
	<-p.slots
}

// use notes a new connection, unless cutOff has been here and missed it.
func (p *pool) use(k *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() != nil {
		k.kill()
		return false
	}
	p.inUse[k] = struct{}{}
	return true
}

func (p *pool) make(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(p.life, func() { cancel(errCut) })
	defer stop()
	return p.dial(ctx)
}

func errClosed() error { return failed("connect", telemed.ErrClosed, "the client") }

func (p *pool) takeIdle() (_ *conn, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, true
	}
	if len(p.idle) == 0 {
		return nil, false
	}
	k := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	k.reused = true
	p.inUse[k] = struct{}{}
	return k, false
}

// drop ends a connection that get does not want. The slot stays taken.
func (p *pool) drop(k *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inUse, k)
	p.unwatch(k)
	k.kill()
}

// put takes a connection back after verdict, and frees its slot.
func (p *pool) put(k *conn, verdict error) {
	defer p.release(verdict)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.inUse, k)
	switch {
	case k.broken, k.unasked():
		p.unwatch(k)
		k.kill()
	case p.closed || p.ttl < 0 || k.used >= k.client.cfg.MaxMessages:
		p.unwatch(k)
		k.quit()
	default:
		k.idle = time.Now()
		p.watch(k, p.ttl)
		p.idle = append(p.idle, k)
	}
}

// watch has expire look at k after d, or sooner if it will anyhow. The timer runs on while k
// is in use: to stop and set it for each message wakes the runtime's poller each time.
func (p *pool) watch(k *conn, d time.Duration) {
	switch {
	case k.watched:
		return
	case k.expiry == nil:
		k.expiry = time.AfterFunc(d, func() { p.expire(k) })
	default:
		k.expiry.Reset(d)
	}
	k.watched = true
}

// unwatch stops the timer of a connection that is not used again.
func (p *pool) unwatch(k *conn) {
	if k.expiry != nil {
		k.expiry.Stop()
	}
}

// expire ends a connection that nobody has used for a while. It says QUIT without the lock:
// a server that is slow to take it must not stop others from sending.
func (p *pool) expire(k *conn) {
	if p.forget(k) {
		k.quit()
	}
}

// forget takes k from the idle ones if it has been one for as long as may be, and reports
// whether it has.
func (p *pool) forget(k *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k.watched = false
	i := slices.Index(p.idle, k)
	if i < 0 { // put sets the timer again
		return false
	}
	if left := p.ttl - time.Since(k.idle); left > 0 {
		p.watch(k, left)
		return false
	}
	p.idle = slices.Delete(p.idle, i, i+1)
	return true
}

// close lets what is in use come to its end, until ctx ends, and closes the rest.
func (p *pool) close(ctx context.Context) error {
	p.shut()
	select { // two at once, each with some of the slots, would wait for each other
	case p.closing <- struct{}{}:
		defer func() { <-p.closing }()
	case <-ctx.Done():
		p.cutOff()
		return ctx.Err()
	}
	for taken := range cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			p.cutOff()
			for range taken {
				<-p.slots
			}
			return ctx.Err()
		}
	}
	for range cap(p.slots) {
		<-p.slots
	}
	p.cut(errCut)
	return nil
}

func (p *pool) shut() {
	for _, k := range p.end() {
		k.expiry.Stop()
		k.quit()
	}
}

// end closes the pool and returns what was idle.
func (p *pool) end() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		close(p.done)
	}
	for ; p.parked > 0; p.parked-- {
		<-p.slots
	}
	idle := p.idle
	p.idle = nil
	return idle
}

// cutOff breaks what is in use and what is being made.
func (p *pool) cutOff() {
	p.cut(errCut)
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.inUse {
		k.kill()
	}
}
