package realtime

import (
	"container/list"
	"errors"
	"fmt"

	"github.com/telemed-go/telemed"
)

// decisions are the calls of [Conn.Identify] under way, and who was disconnected meanwhile.
// hub.mu guards them.
type decisions struct {
	open  list.List // of *int: how many of kicks were there when each began; the oldest first
	kicks []kick    // since the oldest began
}

type kick struct {
	room  string // of the subject that was disconnected
	cause error  // with which its connections end
}

func (d *decisions) kickedLocked(room string, cause error) {
	if d.open.Len() > 0 {
		d.kicks = append(d.kicks, kick{room, cause})
	}
}

func (d *decisions) beginLocked() *list.Element {
	from := len(d.kicks)
	return d.open.PushBack(&from)
}

// sinceLocked returns why the subject of room was disconnected since a call began, and nil if
// it was not. That it must stay away says more than a doubt about it.
func (d *decisions) sinceLocked(call *list.Element, room string) (cause error) {
	for _, k := range d.kicks[*call.Value.(*int):] {
		if k.room == room && !errors.Is(cause, telemed.ErrForbidden) {
			cause = k.cause
		}
	}
	return cause
}

// endLocked forgets what no call that is left needs.
func (d *decisions) endLocked(call *list.Element) {
	d.open.Remove(call)
	oldest := d.open.Front()
	if oldest == nil {
		d.kicks = nil
		return
	}
	gone := *oldest.Value.(*int)
	if gone <= len(d.kicks)/2 {
		return
	}
	d.kicks = append([]kick(nil), d.kicks[gone:]...)
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
	defer c.decided(call)
	subject, err := decide()
	if err != nil || subject == "" {
		return err
	}
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if cause := h.decisions.sinceLocked(call, h.subjectRoom(subject)); cause != nil {
		h.endLocked(c, cause)
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
