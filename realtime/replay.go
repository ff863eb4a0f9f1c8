package realtime

import "slices"

// What a shard does with a Journal only.

// replay is what a connection has missed, in order.
type replay struct {
	older, missed []*Entry
	room          string // if not empty, only events of this room, and nobody goes on from them
}

// selects reports whether an event is for a connection that is in the rooms that in says.
func (r *replay) selects(e *Entry, in func(room string) bool) bool {
	switch {
	case e.Kind != KindEvent, e.Volatile:
		return false
	case r.room == "":
		return e.Reaches(in)
	}
	return slices.Contains(e.Rooms, r.room) && !slices.ContainsFunc(e.Except, in)
}

func (r *replay) any(in func(room string) bool) bool {
	selected := func(e *Entry) bool { return r.selects(e, in) }
	return slices.ContainsFunc(r.older, selected) || slices.ContainsFunc(r.missed, selected)
}

// follows says what stands behind the position in the connection's offsets from now on.
func (c *Conn) follows(suffix []byte) {
	if c.trail != nil && c.suffix != string(suffix) {
		c.suffix, c.told = string(suffix), ""
	}
}

// reach puts an event to all whom it concerns, once.
func (s *shard) reach(o *op) {
	event, e := o.event, o.event.entry
	rooms := e.Rooms
	if len(rooms) == 0 {
		rooms = []string{everybody}
	}
	for i, room := range rooms {
		for conn := range s.rooms[room] {
			in := func(room string) bool { return s.isIn(conn, room) }
			if conn.behind() || slices.ContainsFunc(rooms[:i], in) || slices.ContainsFunc(e.Except, in) {
				continue
			}
			if conn.trail == nil {
				s.putOne(conn, event.by(conn.encoder, "", s.hub), 0)
				continue
			}
			s.putOne(conn, event.by(conn.encoder, conn.suffix, s.hub), o.number)
			conn.told = e.Position
		}
	}
}

func (s *shard) isIn(conn *Conn, room string) bool {
	_, in := s.rooms[room][conn]
	return in
}

// putOne puts a message. number is that of the entry which comes next.
func (s *shard) putOne(conn *Conn, message []byte, number uint64) {
	if message == nil {
		conn.Close(errPanic)
		return
	}
	s.batch = append(s.batch[:0], message)
	if conn.put(s.batch, message, 0) && !conn.behind() {
		conn.fallBehind(number)
	}
}

// replay puts what a connection has missed, as much as it takes now. It reports whether that
// was all.
func (s *shard) replay(conn *Conn, r *replay) (done bool) {
	for _, entries := range []*[]*Entry{&r.older, &r.missed} {
		for len(*entries) > 0 {
			n, full := s.putSome(conn, r, *entries)
			*entries = (*entries)[n:]
			if full {
				return len(r.older)+len(r.missed) == 0
			}
		}
	}
	return true
}

// putSome puts the first of entries that r selects, some KiB of them. It returns how many
// it has looked at.
func (s *shard) putSome(conn *Conn, r *replay, entries []*Entry) (n int, full bool) {
	in := func(room string) bool { return s.isIn(conn, room) }
	suffix, size := conn.suffix, 0
	if r.room != "" {
		suffix = noReturn
	}
	if s.batch = s.batch[:0]; conn.ctx.Err() != nil {
		return len(entries), false
	}
	for ; n < len(entries) && size < maxCoalesce; n++ {
		e := entries[n]
		if !r.selects(e, in) {
			continue
		}
		event := &encodings{entry: e}
		message := event.encode(conn.encoder, suffix, s.hub)
		if message == nil {
			conn.Close(errPanic)
			return len(entries), false
		}
		s.batch = append(s.batch, message)
		size += len(message)
		if conn.told = e.Position; r.room != "" {
			conn.told = ""
		}
	}
	return n, len(s.batch) > 0 && conn.put(s.batch, joined(s.batch), 0)
}

// mark tells a connection its offset, unless it has it.
func (s *shard) mark(o *op) {
	conn, at := o.conn, Position(o.room)
	if o.message == nil && conn.told == at {
		return
	}
	suffix := conn.suffix
	if o.message != nil {
		suffix = string(o.message)
	}
	marker := &encodings{entry: &Entry{Name: markName, Position: at}}
	s.putOne(conn, marker.encode(conn.encoder, suffix, s.hub), o.number)
	if conn.told = at; o.message != nil {
		conn.told = ""
	}
}
