package realtime

import (
	"container/list"
	"fmt"
	"slices"

	"github.com/telemed-go/telemed"
)

// decisions are the calls of [Conn.Identify] under way, and who was disconnected meanwhile.
// hub.mu guards them.
type decisions struct {
	open  list.List // of *int: how many of rooms were there when each began; the oldest first
	rooms []string  // of the subjects that were disconnected since the oldest began
}

func (d *decisions) kickedLocked(room string) {
	if d.open.Len() > 0 {
		d.rooms = append(d.rooms, room)
	}
}

func (d *decisions) beginLocked() *list.Element {
	from := len(d.rooms)
	return d.open.PushBack(&from)
}

// sinceLocked returns the rooms of those who were disconnected since a call began.
func (d *decisions) sinceLocked(call *list.Element) []string { return d.rooms[*call.Value.(*int):] }

// endLocked forgets what no call that is left needs.
func (d *decisions) endLocked(call *list.Element) {
	d.open.Remove(call)
	oldest := d.open.Front()
	if oldest == nil {
		d.rooms = nil
		return
	}
	gone := *oldest.Value.(*int)
	if gone <= len(d.rooms)/2 {
		return
	}
	d.rooms = append([]string(nil), d.rooms[gone:]...)
	for call := oldest; call != nil; call = call.Next() {
		*call.Value.(*int) -= gone
	}
}

// Identify gives an anonymous connection the subject that decide returns: of a token, say,
// that the client sends once the connection is open. A transport calls it once, before
// Enter. An empty subject changes nothing.
//
// Whoever is disconnected by [Hub.Disconnect] while decide runs may have been let in by what
// does not count any more: then the connection ends, too. Errors are those of decide, or
// match telemed.ErrClosed if the connection has ended, telemed.ErrInvalid if it has a
// subject already, or ErrFull if Config.MaxPerSubject of it are open.
func (c *Conn) Identify(decide func() (subject string, err error)) error {
	call := c.decides()
	subject, err := "", error(nil)
	defer c.decided(call)
	if subject, err = decide(); err != nil || subject == "" {
		return err
	}
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.decisions.sinceLocked(call), h.subjectRoom(subject)) {
		h.endLocked(c, telemed.ErrForbidden)
	}
	if _, open := h.conns[c]; !open {
		return fmt.Errorf("realtime: Identify: %w", telemed.ErrClosed)
	}
	if c.client.Subject != "" {
		return fmt.Errorf("realtime: Identify: the connection has a subject: %w", telemed.ErrInvalid)
	}
	if h.tooManyLocked(subject) {
		return fmt.Errorf("realtime: Identify: %w", ErrFull)
	}
	h.unlistLocked(c)
	c.client.Subject = subject
	h.listLocked(c)
	if h.cfg.SubjectPrefix != "" {
		c.own = h.subjectRoom(subject)
	}
	return nil
}

func (c *Conn) decides() *list.Element {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return c.hub.decisions.beginLocked()
}

func (c *Conn) decided(call *list.Element) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.hub.decisions.endLocked(call)
}
