package realtime

// Emit sends m to this client alone, behind the events that are on their way already. It is
// not in the Journal: who is away does not get it. With a Journal it brings the offset of
// the client's place; m.Offset is ignored. Emit does not block; see [Conn.Wait]. It reports
// whether the connection is still open. Nobody may change what m points to.
func (c *Conn) Emit(m Message) bool {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.conns[c]; !open {
		return false
	}
	entry := &Entry{Name: m.Name, Args: m.Args, Attachments: m.Attachments}
	if h.past != nil && c.present {
		entry.Position = h.past.at
	}
	o := op{kind: opEmit, conn: c, event: &encodings{entry: entry}}
	size := o.own()
	h.stats.Queued++
	h.backlog += o.event.size()
	c.sending.Add(int64(size))
	if _, readOn := c.count(size); readOn {
		c.shard.push(op{kind: opDrain, conn: c})
	}
	c.shard.push(o)
	return true
}

// emit puts an event that is for one connection alone.
func (s *shard) emit(o *op) {
	conn, at := o.conn, o.event.entry.Position
	suffix := ""
	if conn.trail != nil {
		suffix = conn.suffix
	}
	message := o.event.encode(conn.encoder, suffix, s.hub)
	if message == nil {
		conn.Close(errPanic)
		return
	}
	if conn.put([][]byte{message}, message, o.own()) && !conn.behind() {
		conn.fallBehind(o.number)
	}
	if at != "" {
		conn.told = at
	}
}
