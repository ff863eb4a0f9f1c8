package realtime

import (
	"context"
	"fmt"
	"time"
)

// Roster is a [Journal] that also tells processes who is in the rooms of the others.
type Roster interface {
	// Announce says who is in rooms of a process now, in place of what the process has said
	// of these rooms before. A room without clients is left. The engine forgets it after the
	// time that it holds, by its own clock. Errors are those of a Journal.
	Announce(ctx context.Context, process string, rooms map[string][]Client, holds time.Duration) error
	// Announced returns who is in room by what other processes have announced and holds.
	Announced(ctx context.Context, process, room string) ([]Client, error)
}

const (
	// announceEach is how often a hub tells who is there.
	announceEach = 10 * time.Second
	// announceHolds is how long that is believed.
	announceHolds = 30 * time.Second
	// announceEnd is how long a hub that is shut down takes to say that nobody is there.
	announceEnd = time.Second
)

// Presence returns the clients that are in room now, in all processes, once for each of
// their connections and in no order: the [Hub.Members] of this one, and of others with the
// same Journal what they said last, which is at most 30 seconds old. Who was connected to a
// process that was killed is there that long. It says who may be there, and nothing about
// rights.
//
// Other processes are known if the Journal is a [Roster] and they have Config.Presence.
// Errors are those of the Journal; the clients are then those of this process.
func (h *Hub) Presence(ctx context.Context, room string) ([]Client, error) {
	if err := CheckRoom(room); err != nil {
		return nil, err
	}
	members := h.Members(room)
	roster := h.roster()
	if roster == nil {
		return members, nil
	}
	others, err := roster.Announced(ctx, h.past.process, room)
	if err != nil {
		return members, fmt.Errorf("realtime: Presence: %w", err)
	}
	return append(members, others...), nil
}

// roster is the journal, if it is one.
func (h *Hub) roster() Roster {
	if h.past == nil {
		return nil
	}
	roster, _ := h.past.journal.(Roster)
	return roster
}

// announceLocked tells other processes who is here, for as long as the hub lives.
func (h *Hub) announceLocked() {
	roster := h.roster()
	if roster == nil || !h.cfg.Presence {
		return
	}
	h.work++
	go func() {
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.workDoneLocked()
		}()
		h.announce(roster)
	}()
}

func (h *Hub) announce(roster Roster) {
	ctx := h.past.ctx
	told := map[string]struct{}{} // the rooms that others may have clients in
	ticker := time.NewTicker(announceEach)
	defer ticker.Stop()
	for failed := false; ctx.Err() == nil; {
		err := h.announceOnce(ctx, roster, h.occupied(), told, announceEach)
		if err != nil && !failed && ctx.Err() == nil {
			h.log.Warn("realtime: other processes cannot be told who is here")
		}
		failed = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	// If that fails, the engine forgets by itself.
	_ = h.announceOnce(context.WithoutCancel(ctx), roster, nil, told, announceEnd)
}

// announceOnce tells who is in rooms, and that the others of told are left.
func (h *Hub) announceOnce(
	ctx context.Context, roster Roster, rooms map[string][]Client, told map[string]struct{}, limit time.Duration,
) (err error) {
	defer func() {
		if cause := recover(); cause != nil { // in the application's Journal
			h.logPanic(cause)
			err = errPanic
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	all := make(map[string][]Client, len(rooms))
	for room := range told {
		all[room] = nil
	}
	for room, clients := range rooms {
		all[room], told[room] = clients, struct{}{}
	}
	if len(all) == 0 {
		return nil
	}
	if err := roster.Announce(ctx, h.past.process, all, announceHolds); err != nil {
		return err
	}
	for room := range told {
		if len(all[room]) == 0 {
			delete(told, room)
		}
	}
	return nil
}

// occupied returns who is in which room of this process.
func (h *Hub) occupied() map[string][]Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	rooms := make(map[string][]Client, len(h.rooms))
	for room, conns := range h.rooms {
		for conn := range conns {
			rooms[room] = append(rooms[room], conn.client)
		}
	}
	for conn := range h.conns {
		if conn.present && conn.own != "" {
			rooms[conn.own] = append(rooms[conn.own], conn.client)
		}
	}
	return rooms
}
