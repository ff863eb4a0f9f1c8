package realtime

import (
	"context"
	"strings"
	"time"
)

// A client that comes back may have left a connection in another process, half open because
// its end was lost. Until its heartbeat fails, others see the client there. So a hub tells
// through the journal who has come back to it, by the names of the pids, in the Rooms of a
// KindKick: rooms of the hub's own, which a Node server has nobody in.
//
// After a deploy thousands come back, and a journal that counts entries must not lose the
// past that they come for. So all who come within a second share an entry. If it cannot be
// appended, the heartbeat decides.

const (
	// returnsEach is for how long a hub collects who has come back.
	returnsEach = time.Second
	// returnsMost is how many one entry tells of.
	returnsMost = 500
)

// pidRoom is the room of a pid, and of a process if it stands in Except. No subject has it.
func (h *Hub) pidRoom(id string) string { return h.cfg.SubjectPrefix + "#pid:" + id }

// tellsReturns reports whether e tells who has come back to another process.
func (h *Hub) tellsReturns(e *Entry) bool {
	return e.Kind == KindKick && len(e.Rooms) > 0 && strings.HasPrefix(e.Rooms[0], h.pidRoom(""))
}

// returnedLocked remembers to tell of a client that has come back.
func (h *Hub) returnedLocked(id string) {
	p := h.past
	if p.returns = append(p.returns, id); len(p.returns) > 1 || h.closed {
		return
	}
	if p.telling == nil {
		p.telling = time.AfterFunc(returnsEach, h.tellReturns)
		return
	}
	p.telling.Reset(returnsEach)
}

func (h *Hub) tellReturns() {
	rooms := h.beginReturns()
	if rooms == nil {
		return
	}
	defer h.workDone()
	defer func() {
		if cause := recover(); cause != nil { // in the application's Journal
			h.logPanic(cause)
		}
	}()
	ctx, cancel := context.WithTimeout(h.past.ctx, patience)
	defer cancel()
	for len(rooms) > 0 {
		some := rooms[:min(len(rooms), returnsMost)]
		rooms = rooms[len(some):]
		e := Entry{Kind: KindKick, Rooms: some, Except: []string{h.pidRoom(h.past.process)}}
		if _, err := h.past.journal.Append(ctx, e); err != nil {
			return
		}
	}
}

// beginReturns returns the rooms of all who have come back and are here still, nil if there
// is nobody to tell of. Else Shutdown waits for workDone.
func (h *Hub) beginReturns() (rooms []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	returns := h.past.returns
	h.past.returns = nil
	for _, id := range returns {
		if h.past.pids[id] != nil && !h.closed {
			rooms = append(rooms, h.pidRoom(id))
		}
	}
	if rooms != nil {
		h.work++
	}
	return rooms
}

// replaceLocked ends the connections of those who have come back to another process. A young
// one may be the next of the same client: it came after what the entry tells of.
func (h *Hub) replaceLocked(e *Entry) {
	for _, room := range e.Except {
		if room == h.pidRoom(h.past.process) {
			return
		}
	}
	for _, room := range e.Rooms {
		id, _ := strings.CutPrefix(room, h.pidRoom(""))
		if old := h.past.pids[id]; old != nil && time.Since(old.began) > newcomer {
			h.endLocked(old, ErrReplaced)
		}
	}
}
