package realtime

import (
	"fmt"

	"github.com/telemed-go/telemed"
)

// decisions are the calls of [Conn.Identify] under way, and who was disconnected meanwhile.
// hub.mu guards them.
type decisions struct {
	open  int
	kicks uint64            // all that were, to tell earlier from later
	last  map[string]uint64 // by the room of the subject; kept while one is open
}

func (d *decisions) kickedLocked(room string) {
	if d.open == 0 {
		return
	}
	if d.last == nil {
		d.last = make(map[string]uint64)
	}
	d.kicks++
	d.last[room] = d.kicks
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
	since := c.decideFrom()
	subject, err := "", error(nil)
	defer c.decided()
	if subject, err = decide(); err != nil || subject == "" {
		return err
	}
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.decisions.last[h.subjectRoom(subject)] > since {
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

func (c *Conn) decideFrom() (kicks uint64) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.hub.decisions.open++
	return c.hub.decisions.kicks
}

func (c *Conn) decided() {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if d := &c.hub.decisions; d.open == 1 {
		*d = decisions{kicks: d.kicks}
	} else {
		d.open--
	}
}
