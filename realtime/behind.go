package realtime

// A connection with a Journal is behind when more waits for it than may. It gets nothing
// further then. When what waits has become less, it reads on from the window of its hub,
// and what was asked of it meanwhile happens in its place in the order.

// lag is what a connection has while it is behind.
type lag struct {
	next uint64 // the number of the next entry that it reads
	ops  []op   // that wait until next has reached their number
	own  int    // bytes of opSend and opEmit among them
}

const (
	// maxLater is how many operations may wait for a connection that is behind.
	maxLater = 10_000
	// maxDrain is how many bytes of entries a connection looks through before others have
	// their turn.
	maxDrain = 1 << 20
)

// behind reports whether the connection is. A connection that has ended is not.
func (c *Conn) behind() bool {
	if c.trail == nil || c.lag == nil {
		return false
	}
	if c.ctx.Err() != nil {
		c.lag = nil
		delete(c.shard.lagging, c)
	}
	return c.lag != nil
}

// fallBehind says that the connection goes on with ops and then the entry of a number, when
// there is room.
func (c *Conn) fallBehind(next uint64, ops ...op) {
	c.lag = &lag{next: next, ops: ops}
	if c.shard.lagging == nil {
		c.shard.lagging = make(map[*Conn]struct{})
	}
	c.shard.lagging[c] = struct{}{}
	c.pending.mu.Lock()
	open := !c.pending.ended
	if open {
		c.pending.behind, c.pending.asked = true, false
		c.hub.lagging.Add(1)
	}
	c.pending.mu.Unlock()
	if open {
		c.hub.observe(Behind, c)
	}
	c.add(0) // it may have become less already
}

// caughtUp says that the connection gets what comes, as it comes.
func (c *Conn) caughtUp() {
	c.lag = nil
	delete(c.shard.lagging, c)
	c.pending.mu.Lock()
	open := c.pending.behind
	if open {
		c.pending.behind = false
		c.hub.lagging.Add(-1)
	}
	c.pending.mu.Unlock()
	if open {
		c.hub.observe(CaughtUp, c)
	}
}

// fewLocked reports whether so little waits that the connection may read on. The caller
// holds pending.mu.
func (c *Conn) fewLocked() bool {
	kept := c.pending.bytes - int(c.sending.Load())
	return kept <= 0 || kept <= c.hub.cfg.MaxPending/2 && !c.hub.tooMuch()
}

func (c *Conn) few() bool {
	c.pending.mu.Lock()
	defer c.pending.mu.Unlock()
	return c.fewLocked()
}

// readOn has the shard let the connection read on.
func (c *Conn) readOn() {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if _, open := c.hub.conns[c]; open {
		c.shard.push(op{kind: opDrain, conn: c})
	}
}

// later keeps an operation for its turn.
func (s *shard) later(o *op) {
	l := o.conn.lag
	l.ops = append(l.ops, *o)
	l.own += o.own()
	if len(l.ops) > maxLater || l.own > s.hub.cfg.MaxPending {
		s.hub.endSlow(o.conn)
	}
}

// drain lets a connection that is behind read on, up to where the shard is. It ends with
// ErrSlow if the window does not go back so far.
func (s *shard) drain(o *op) {
	conn := o.conn
	if !conn.behind() {
		return
	}
	entries, whole := s.hub.entriesBetween(conn.lag.next, o.number)
	if !whole {
		s.hub.endSlow(conn)
		return
	}
	l, looked := conn.lag, 0
	for conn.lag == l && conn.few() && looked < maxDrain {
		ready := min(len(entries), l.until())
		switch {
		case len(l.ops) > 0 && l.ops[0].number <= l.next:
			s.next(conn)
		case ready > 0:
			n, _ := s.putSome(conn, &replay{}, entries[:ready])
			for _, e := range entries[:n] {
				looked += sizeOf(*e)
			}
			entries = entries[n:]
			l.next += uint64(n)
		default:
			conn.caughtUp()
			return
		}
	}
	conn.pending.mu.Lock()
	conn.pending.asked = false
	conn.pending.mu.Unlock()
	conn.add(0) // again, if it may
}

// checkLocked ends with ErrSlow who is behind the window. The caller holds hub.mu.
func (s *shard) checkLocked() {
	if len(s.lagging) == 0 || s.checked == s.hub.past.window.first {
		return
	}
	s.checked = s.hub.past.window.first
	for conn := range s.lagging {
		switch {
		case !conn.behind():
		case conn.lag.next < s.checked:
			s.hub.endLocked(conn, ErrSlow)
			s.hub.log.Warn("realtime: slow connections ended", "connections", 1)
		}
	}
}

// until is how many entries come before the next of ops.
func (l *lag) until() int {
	if len(l.ops) == 0 {
		return 1 << 30
	}
	return int(l.ops[0].number - min(l.next, l.ops[0].number))
}

// next does what waits first, as much as there is room for.
func (s *shard) next(conn *Conn) {
	l := conn.lag
	o := l.ops[0]
	switch o.kind {
	case opReplay:
		if !s.replay(conn, o.replay) {
			return
		}
	case opSend:
		conn.put([][]byte{o.message}, o.message, len(o.message))
	case opMark:
		s.mark(&o)
	default:
		s.change(&o)
	}
	l.own -= o.own()
	l.ops = l.ops[1:]
}

// own is how many bytes of the connection's own an operation has.
func (o *op) own() int {
	switch o.kind {
	case opSend:
		return len(o.message)
	case opEmit:
		return o.event.length() + len(o.event.entry.Name)
	}
	return 0
}

// entriesBetween returns the entries of the window from a number on, and before another. It
// reports false if the first of them is gone.
func (h *Hub) entriesBetween(first, end uint64) ([]*Entry, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entries, whole := h.past.window.from(first)
	if !whole || end <= first {
		return nil, whole
	}
	return entries[:min(uint64(len(entries)), end-first)], true
}
