package realtime

import (
	"context"
	"errors"
	"sync"

	"github.com/telemed-go/telemed"
)

// pending counts the bytes that wait for one connection.
type pending struct {
	mu    sync.Mutex
	bytes int           // may be below 0 for a moment: Sent can come before what it is about
	low   chan struct{} // if not nil, it is closed when few bytes wait
	ended bool          // nothing is counted any more
	// With a Journal only.
	behind bool // the connection reads on when few bytes wait
	asked  bool // to read on, and has not yet
}

// add counts n bytes, or takes them off, and returns how many wait then.
func (c *Conn) add(n int) int {
	bytes, readOn := c.count(n)
	if readOn {
		c.readOn()
	}
	return bytes
}

// count is add for who holds hub.mu. With readOn the connection must be told to read on.
func (c *Conn) count(n int) (bytes int, readOn bool) {
	p := &c.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return 0, false
	}
	p.bytes += n
	c.hub.pending.Add(int64(n))
	if p.low != nil && p.bytes < maxOwn {
		close(p.low)
		p.low = nil
	}
	if p.behind && !p.asked && c.fewLocked() {
		p.asked, readOn = true, true
	}
	return p.bytes, readOn
}

// forget gives back what the connection has of the hub's limit.
func (c *Conn) forget() {
	p := &c.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.behind {
		p.behind = false
		c.hub.lagging.Add(-1)
	}
	c.hub.pending.Add(-int64(p.bytes))
	p.bytes = 0
	if p.low != nil {
		close(p.low)
		p.low = nil
	}
}

func (c *Conn) waiting() int {
	c.pending.mu.Lock()
	defer c.pending.mu.Unlock()
	return c.pending.bytes
}

// Sent says that n bytes are gone that an [Output] had kept. Transports without an Output
// do not call it.
func (c *Conn) Sent(n int) { c.add(-n) }

// Wait returns when fewer than 64 KiB wait for the connection, at once in most cases, or
// when the connection has ended. A transport calls it before it reads on, so that a client
// which asks faster than it reads waits, and is not ended.
func (c *Conn) Wait() {
	p := &c.pending
	p.mu.Lock()
	if p.ended || p.bytes < maxOwn {
		p.mu.Unlock()
		return
	}
	if p.low == nil {
		p.low = make(chan struct{})
	}
	low := p.low
	p.mu.Unlock()
	<-low
}

// put hands messages to the Output. If too much waits then, it ends the connection, or with
// a Journal reports that the connection is full. Only the shard calls it. What came when
// nothing waited is kept whatever its length. own is how many bytes of the messages Send has
// counted already.
func (c *Conn) put(messages [][]byte, joined []byte, own int) (full bool) {
	defer c.guard()
	if c.life.Err() != nil {
		return false
	}
	waiting, err := c.output.Put(messages, joined)
	if err != nil {
		c.Close(err)
		return false
	}
	if waiting == 0 && own == 0 {
		return false
	}
	// What Send has counted and no Output has yet is no reason to end anybody: for that there
	// is Wait.
	sending := c.sending.Add(-int64(own))
	kept := c.add(waiting-own) - int(sending)
	tooMuch := waiting > 0 && kept > waiting && kept > c.hub.cfg.MaxPending
	if c.trail != nil {
		return tooMuch || waiting > 0 && c.hub.tooMuch()
	}
	if tooMuch {
		c.hub.endSlow(c)
	}
	c.hub.boundPending()
	return false
}

// tooMuch reports whether more waits for all connections together than may.
func (h *Hub) tooMuch() bool { return h.pending.Load() > int64(h.cfg.MaxPendingTotal) }

// Next waits for messages and takes all that wait, in order. It is for a transport that
// gave Connect no Output, and for one goroutine at a time. The error is ctx's, or the cause
// with which the connection ended.
func (c *Conn) Next(ctx context.Context) ([][]byte, error) {
	box, ok := c.output.(*inbox)
	if !ok {
		return nil, errors.Join(telemed.ErrInvalid, errors.New("realtime: Next: the connection has an Output"))
	}
	for {
		if c.life.Err() != nil {
			return nil, context.Cause(&c.life)
		}
		if messages := box.take(); len(messages) > 0 {
			c.Sent(length(messages))
			return messages, nil
		}
		select {
		case <-box.ready:
		case <-c.life.Done():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (h *Hub) endSlow(conn *Conn) {
	conn.Close(ErrSlow)
	h.log.Warn("realtime: slow connections ended", "connections", 1)
}

// boundPending ends who is furthest behind while more waits than the hub may hold.
func (h *Hub) boundPending() {
	for h.tooMuch() {
		if furthest := h.furthestBehind(); furthest != nil {
			h.endSlow(furthest)
			continue
		}
		return
	}
}

func (h *Hub) furthestBehind() (furthest *Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	most := 0
	for conn := range h.conns {
		if waiting := conn.waiting(); waiting > most {
			furthest, most = conn, waiting
		}
	}
	return furthest
}
