package realtime

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/telemed-go/telemed"
)

// newcomer is how young a connection may be to be taken for one that began after what a line
// of another process tells of.
const newcomer = 10 * time.Second

// Disconnect ends every connection of subject and returns how many there were in this
// process. The clients are sent away: those of realtime/socketio are told so, and do not come
// back before their page says connect().
//
// Call it after a person has logged out or lost a right, or a login has expired,
// so that Authenticate and Authorize know: a client that connects again is authenticated
// and authorised afresh, and stays. The empty subject is every anonymous client.
//
// Without a Config.Journal ctx does not count and the error is nil. With one, Disconnect
// appends a line to it, and each process ends its connections when it comes to that: no
// event that is appended later reaches them. It returns once this process has come to it.
// If the line cannot be appended, or this process does not come to it within 5 seconds and
// ctx, the connections of this process are ended at once. The error is that of
// [Journal.Append]: other processes may not know.
//
// Another process cannot tell whether a connection that is younger than 10 seconds when it
// comes to the line began before or after it. One that was only about to read the journal,
// because it has just started or the journal has a gap, can tell it of none. Both end with
// telemed.ErrUnavailable: their clients come back, and are authenticated again.
func (h *Hub) Disconnect(ctx context.Context, subject string) (ended int, err error) {
	if h.past != nil {
		there := h.count(subject) // the line may be read before Append returns
		done, err := h.tellKick(ctx, subject)
		if err != nil {
			return h.kick(subject), fmt.Errorf("realtime: Disconnect: %w", err)
		}
		if done {
			return there, nil
		}
	}
	return h.kick(subject), nil
}

// kick ends every connection of subject that is here.
func (h *Hub) kick(subject string) (ended int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.decisions.kickedLocked(h.subjectRoom(subject), telemed.ErrForbidden)
	for conn := h.subjects[subject]; conn != nil; conn = h.subjects[subject] {
		h.endLocked(conn, telemed.ErrForbidden)
		ended++
	}
	return ended
}

// tellKick appends the line of a Disconnect and reports whether this process has come to it.
// The line has a mark, by which it does: a room of the hub's own, which nobody is in.
func (h *Hub) tellKick(ctx context.Context, subject string) (done bool, err error) {
	follows := h.position() != "" // if not yet, it may pass the line over
	mark, come := h.markKick()
	defer h.forgetKick(mark)
	e := Entry{Kind: KindKick, Rooms: []string{h.subjectRoom(subject)}, Except: []string{mark}}
	if err := h.append(ctx, e); err != nil || !follows {
		return false, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-come:
		return true, nil
	case <-timer.C:
	case <-ctx.Done():
	case <-h.past.ctx.Done(): // the hub is shut down
	}
	return false, nil
}

func (h *Hub) markKick() (mark string, come <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.past
	p.kicked++
	mark = h.pidRoom(p.process) + "-" + strconv.FormatUint(p.kicked, 10)
	c := make(chan struct{})
	p.kicks[mark] = c
	return mark, c
}

func (h *Hub) forgetKick(mark string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.past.kicks, mark)
}

// kickLocked ends the connections of those whom a line of the journal names. Who calls
// Disconnect here has waited for it, and nobody has logged in anew meanwhile.
func (h *Hub) kickLocked(e *Entry) {
	own := h.ownKickLocked(e)
	cause := telemed.ErrUnavailable
	if own {
		cause = telemed.ErrForbidden
	}
	for _, room := range e.Rooms {
		h.decisions.kickedLocked(room, cause)
	}
	for _, conn := range h.reachedLocked(e) {
		if own || conn.beforeLocked(e) {
			h.endLocked(conn, telemed.ErrForbidden)
		} else {
			h.endLocked(conn, telemed.ErrUnavailable)
		}
	}
}

// ownKickLocked reports whether a Disconnect of this process waits for e, and lets it go on.
func (h *Hub) ownKickLocked(e *Entry) bool {
	if len(e.Except) == 0 {
		return false
	}
	come, own := h.past.kicks[e.Except[0]]
	if own {
		close(come)
		delete(h.past.kicks, e.Except[0])
	}
	return own
}

// beforeLocked reports whether the connection surely began before e was appended, however
// late e comes here and whatever the journal's clock says.
func (c *Conn) beforeLocked(e *Entry) bool {
	return time.Since(c.began) > newcomer && e.At.Sub(c.began) > newcomer
}
