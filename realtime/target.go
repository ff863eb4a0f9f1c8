package realtime

import (
	"context"

	"github.com/telemed-go/telemed/internal/fault"
)

// Target says whom an event is for. Each client gets it once, however many of Rooms it is
// in. The zero value is refused.
type Target struct {
	// Rooms are those whose clients get the event. A Config.SubjectPrefix makes rooms of
	// subjects.
	Rooms []string
	// Everybody is instead of Rooms: all clients that have entered, in rooms or not.
	Everybody bool
	// Except are rooms whose clients do not get the event, whatever else they are in.
	Except []string
}

// Emit is [Hub.Broadcast] for several rooms, or everybody, and with exceptions. The same
// errors, and telemed.ErrInvalid for a Target without rooms or with wrong names.
func (h *Hub) Emit(ctx context.Context, to Target, ev Event) error {
	var p fault.Problems
	p.Check((len(to.Rooms) > 0) != to.Everybody, "Rooms", "or Everybody is required, and not both")
	checkRooms(&p, "Rooms", to.Rooms)
	checkRooms(&p, "Except", to.Except)
	if err := p.Err("realtime: Emit: target"); err != nil {
		return err
	}
	// The lists are the caller's, and stay with the journal.
	return h.emit(ctx, "Emit", Entry{Rooms: append([]string(nil), to.Rooms...), Except: append([]string(nil), to.Except...)}, ev)
}

// Members returns the clients that are in room now, in this process, once for each of their
// connections and in no order. They say who may be there, and nothing about rights.
func (h *Hub) Members(room string) []Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	members := make([]Client, 0, len(h.rooms[room]))
	for conn := range h.rooms[room] {
		members = append(members, conn.client)
	}
	if h.ownRoom(room) {
		for conn := range h.conns {
			if conn.present && conn.own == room {
				members = append(members, conn.client)
			}
		}
	}
	return members
}

// tell is a call of OnJoin or OnLeave.
type tell struct {
	room   string
	joined bool
}

// tellLocked has OnJoin or OnLeave called, in order for each connection.
func (h *Hub) tellLocked(c *Conn, room string, joined bool) {
	if joined && h.cfg.OnJoin == nil || !joined && h.cfg.OnLeave == nil {
		return
	}
	if c.tells = append(c.tells, tell{room, joined}); len(c.tells) == 1 {
		h.work++
		go c.tellAll()
	}
}

func (c *Conn) tellAll() {
	defer c.done()
	for next, more := c.nextTell(false); more; next, more = c.nextTell(true) {
		c.tellOne(next)
	}
}

// maxTells is how many calls may wait for one connection before it cannot join further rooms.
const maxTells = 1000

// awaitTells returns when few calls wait for the connection, or the error of ctx. Whoever
// enters and leaves faster than OnJoin takes it waits.
func (c *Conn) awaitTells(ctx context.Context) error {
	few := c.manyTells()
	if few == nil {
		return nil
	}
	select {
	case <-few:
	case <-c.life.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// manyTells returns what is closed when few calls wait, nil if few do.
func (c *Conn) manyTells() <-chan struct{} {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if len(c.tells) < maxTells {
		return nil
	}
	if c.fewTells == nil {
		c.fewTells = make(chan struct{})
	}
	return c.fewTells
}

// nextTell returns the first call, behind that which is done.
func (c *Conn) nextTell(done bool) (next tell, more bool) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if done {
		c.tells = c.tells[1:]
	}
	if c.fewTells != nil && len(c.tells) < maxTells {
		close(c.fewTells)
		c.fewTells = nil
	}
	if len(c.tells) == 0 {
		c.tells = nil
		return tell{}, false
	}
	return c.tells[0], true
}

func (c *Conn) tellOne(t tell) {
	defer c.guard()
	if t.joined {
		c.hub.cfg.OnJoin(c.client, t.room)
		return
	}
	c.hub.cfg.OnLeave(c.client, t.room)
}
