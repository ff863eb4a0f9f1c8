package engineio

import (
	"bytes"
	"sync"
	"sync/atomic"
)

// maxOwn is how many bytes may wait for a client before Session.Wait waits.
const maxOwn = 64 << 10

// Sender is whose messages a Session.Put sends. It must be comparable.
type Sender interface {
	// Sent says that n bytes are gone that Put had kept.
	Sent(n int)
}

// output takes a session's messages to its WebSocket, and keeps them for polls until it
// has one. A message is one WebSocket frame or several; polls strip the headers.
type output struct {
	mu      sync.Mutex
	ws      atomic.Pointer[webSocket] // set under mu
	waiting queue
	ready   chan struct{} // has room for one: polls find waiting; nil without polls

	gauge gauge
}

func (o *output) put(from Sender, messages [][]byte, joined []byte) (waiting int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ws := o.ws.Load(); ws != nil {
		return ws.put(from, messages, joined)
	}
	waiting = o.waiting.add(from, messages)
	o.gauge.add(waiting)
	select {
	case o.ready <- struct{}{}:
	default:
	}
	return waiting, nil
}

// attach makes ws the way out, and puts there what waits.
func (o *output) attach(ws *webSocket) error {
	gone, err := o.move(ws)
	o.tell(gone)
	return err
}

// move returns what has left the queue and does not wait for ws either.
func (o *output) move(ws *webSocket) (gone []share, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ws.Store(ws)
	before := o.waiting
	o.waiting = queue{}
	for len(before.messages) > 0 {
		part := before.cut(before.next(maxBatch))
		all := part.shares[0]
		o.gauge.add(-all.bytes) // ws counts what it keeps
		kept, err := ws.put(all.from, part.messages, bytes.Join(part.messages, nil))
		if err != nil {
			return gone, err
		}
		all.bytes -= kept
		gone = append(gone, all)
	}
	return gone, nil
}

// take returns a polling payload of what waits, nil if nothing does.
func (o *output) take() (payload []byte) {
	part := o.cut()
	for i, message := range part.messages {
		if i > 0 {
			payload = append(payload, separator)
		}
		payload = appendPackets(payload, message)
	}
	o.gone(part.shares)
	return payload
}

func (o *output) cut() queue {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting.cut(o.waiting.batch(maxBatch))
}

// gone says that shares do not wait any more.
func (o *output) gone(shares []share) {
	for _, share := range shares {
		o.gauge.add(-share.bytes)
	}
	o.tell(shares)
}

// tell lets the senders know. It is called without a lock.
func (o *output) tell(shares []share) {
	for _, share := range shares {
		if share.from != nil && share.bytes > 0 {
			share.from.Sent(share.bytes)
		}
	}
}

func (o *output) wait(done func() <-chan struct{}) { o.gauge.wait(done) }

// webSocket returns the way out, nil while there are only polls.
func (o *output) webSocket() *webSocket {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ws.Load()
}

// busy reports whether something waits for the WebSocket.
func (o *output) busy() bool {
	ws := o.webSocket()
	return ws != nil && ws.busy()
}

// gauge counts the bytes that wait.
type gauge struct {
	mu    sync.Mutex
	bytes int           // may be below 0 for a moment: what is gone may be told before it is counted
	low   chan struct{} // if not nil, it is closed when few bytes wait
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes += n
	if g.low != nil && g.bytes < maxOwn {
		close(g.low)
		g.low = nil
	}
}

func (g *gauge) wait(done func() <-chan struct{}) {
	for low := g.high(); low != nil; low = g.high() {
		select {
		case <-low:
		case <-done():
			return
		}
	}
}

// high returns what is closed when few bytes wait, nil if few do.
func (g *gauge) high() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes < maxOwn {
		return nil
	}
	if g.low == nil {
		g.low = make(chan struct{})
	}
	return g.low
}
