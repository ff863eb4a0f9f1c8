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
func (s *shard) reach(event *encodings) {
	e := event.entry
	rooms := e.Rooms
	if len(rooms) == 0 {
		rooms = []string{everybody}
	}
	for i, room := range rooms {
		for conn := range s.rooms[room] {
			in := func(room string) bool { return s.isIn(conn, room) }
			if slices.ContainsFunc(rooms[:i], in) || slices.ContainsFunc(e.Except, in) {
				continue
			}
			s.putOne(conn, event.by(conn.encoder, conn.suffix, s.hub))
			conn.told = e.Position
		}
	}
}

func (s *shard) isIn(conn *Conn, room string) bool {
	_, in := s.rooms[room][conn]
	return in
}

func (s *shard) putOne(conn *Conn, message []byte) {
	if message == nil {
		conn.Close(errPanic)
		return
	}
	s.batch = append(s.batch[:0], message)
	conn.put(s.batch, message, 0)
}

// replay puts what a connection has missed.
func (s *shard) replay(conn *Conn, r *replay) {
	in := func(room string) bool { return s.isIn(conn, room) }
	suffix, size := conn.suffix, 0
	if r.room != "" {
		suffix = noReturn
	}
	s.batch = s.batch[:0]
	for _, entries := range [][]*Entry{r.older, r.missed} {
		for _, e := range entries {
			if !r.selects(e, in) {
				continue
			}
			event := &encodings{entry: e}
			message := event.encode(conn.encoder, suffix, s.hub)
			if message == nil {
				conn.Close(errPanic)
				return
			}
			s.batch = append(s.batch, message)
			if size += len(message); size >= maxCoalesce {
				conn.put(s.batch, joined(s.batch), 0)
				s.batch, size = s.batch[:0], 0
			}
		}
	}
	if len(s.batch) > 0 {
		conn.put(s.batch, joined(s.batch), 0)
	}
}

// mark tells a connection its offset, unless it has it.
func (s *shard) mark(o op) {
	conn, at := o.conn, Position(o.room)
	if o.message == nil && conn.told == at {
		return
	}
	suffix := conn.suffix
	if o.message != nil {
		suffix = string(o.message)
	}
	marker := &encodings{entry: &Entry{Name: markName, Position: at}}
	s.putOne(conn, marker.encode(conn.encoder, suffix, s.hub))
	if conn.told = at; o.message != nil {
		conn.told = ""
	}
}
