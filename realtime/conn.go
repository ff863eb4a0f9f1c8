package realtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Conn is one connection of a hub, whatever carries it. It is what a transport
// package works with; applications need it only to write a transport of their own.
// Its methods are safe for concurrent use.
//
// A transport for Server-Sent Events is an http.Handler that calls [Hub.Authenticate],
// [Hub.Connect] and Authenticate again, joins the rooms that the request names, and then,
// inside [Conn.Do], writes what Next yields until Context ends.
type Conn struct {
	// What a broadcast looks at stands first: with thousands of connections each line of the
	// processor's cache counts.
	encoder Encoder
	output  Output
	*trail  // nil without a Journal
	life    lifetime

	hub     *Hub
	client  Client
	shard   *shard
	pending pending
	sending atomic.Int64 // bytes of Send that the Output does not have yet
	began   time.Time
	own     string   // the room of the subject; empty if there are no such rooms
	rooms   []string // guarded by hub.mu
	tells   []tell   // guarded by hub.mu
	present bool     // Enter was called; guarded by hub.mu
	refused int32    // joins that Authorize refused; guarded by hub.mu

	before, after *Conn // of the same subject; guarded by hub.mu

	fewTells chan struct{} // if not nil, it is closed when few tells wait; guarded by hub.mu
}

// Client returns who the connection belongs to.
func (c *Conn) Client() Client {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return c.client
}

// Context ends when the connection does; context.Cause tells why: what Close was called
// with, ErrSlow, telemed.ErrClosed after Shutdown, telemed.ErrForbidden after Disconnect, or
// ErrReplaced, ErrGap, or an error of the hub's own after a panic.
func (c *Conn) Context() context.Context { return &c.life }

// Send sends a message of the transport's own, such as an answer, behind the events that
// are on their way already. It does not block; see [Conn.Wait]. It reports whether the
// connection is still open.
func (c *Conn) Send(message []byte) bool {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return c.sendLocked(message)
}

func (c *Conn) sendLocked(message []byte) bool {
	if _, open := c.hub.conns[c]; !open {
		return false
	}
	c.hub.stats.Queued++
	c.sending.Add(int64(len(message)))
	if _, readOn := c.count(len(message)); readOn {
		c.shard.push(op{kind: opDrain, conn: c})
	}
	c.shard.push(op{kind: opSend, conn: c, message: message})
	return true
}

// Join puts the connection into room if the application's Authorize agrees. To be in the
// room already is no error, and asks nobody. Errors match telemed.ErrInvalid,
// telemed.ErrForbidden (and with it whatever Authorize returned), ErrFull or
// telemed.ErrClosed, and with a Config.Journal that is away telemed.ErrUnavailable. After
// Config.MaxRefusals refusals one more ends the connection.
func (c *Conn) Join(ctx context.Context, room string) error {
	in, err := c.mayJoin(ctx, room)
	if in || err != nil {
		return err
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if err := c.enterLocked(room); err != nil {
		return err
	}
	c.markLocked(false)
	return nil
}

// mayJoin reports whether the connection is in room. If not, and without an error, it may
// join. Limits and lives change after the answer.
func (c *Conn) mayJoin(ctx context.Context, room string) (in bool, err error) {
	if err := CheckRoom(room); err != nil {
		return false, err
	}
	if c.hub.ownRoom(room) {
		c.hub.Refuse("join refused")
		c.countRefusal(telemed.ErrForbidden)
		return false, fmt.Errorf("realtime: Join: %w", telemed.ErrForbidden)
	}
	if c.hub.past != nil {
		if err := c.hub.awaitJournal(ctx); err != nil {
			return false, err
		}
	}
	if in, err := c.isIn(room); in || err != nil {
		return in, err
	}
	if err := c.awaitTells(ctx); err != nil {
		return false, err
	}
	if err := c.authorize(ctx, room); err != nil {
		c.hub.Refuse("join refused")
		c.countRefusal(err)
		return false, fault.Tagged(telemed.ErrForbidden, fmt.Errorf("realtime: Join: %w", err))
	}
	return false, nil
}

func (c *Conn) authorize(ctx context.Context, room string) error {
	if c.hub.cfg.Authorize == nil {
		return telemed.ErrForbidden
	}
	return c.hub.cfg.Authorize(ctx, c.client, room)
}

// countRefusal ends a connection that goes on guessing rooms. That the application could
// not find out is no guess of the client's.
func (c *Conn) countRefusal(err error) {
	if errors.Is(err, telemed.ErrUnavailable) {
		return
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.refused++; int(c.refused) > c.hub.cfg.MaxRefusals {
		c.hub.endLocked(c, telemed.ErrForbidden)
	}
}

// isIn reports whether the connection is in room, or an error if it cannot enter.
func (c *Conn) isIn(room string) (bool, error) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return c.isInLocked(room)
}

func (c *Conn) isInLocked(room string) (bool, error) {
	if _, open := c.hub.conns[c]; !open {
		return false, fmt.Errorf("realtime: Join: %w", telemed.ErrClosed)
	}
	if slices.Contains(c.rooms, room) {
		return true, nil
	}
	if len(c.rooms) >= c.hub.cfg.MaxRooms {
		c.hub.stats.Refused++
		c.hub.observeLocked(Refused, c, nil)
		return false, fmt.Errorf("realtime: Join: %w", ErrFull)
	}
	return false, nil
}

// enterLocked puts the connection into room; its rights are checked already.
func (c *Conn) enterLocked(room string) error {
	h := c.hub
	if in, err := c.isInLocked(room); in || err != nil {
		return err
	}
	if h.past != nil && h.past.at == "" {
		return fmt.Errorf("realtime: Join: the journal is away: %w", telemed.ErrUnavailable)
	}
	if h.rooms[room] == nil {
		h.rooms[room] = make(map[*Conn]struct{})
	}
	h.rooms[room][c] = struct{}{}
	c.rooms = append(c.rooms, room)
	h.tellLocked(c, room, true)
	h.observeLocked(Joined, c, nil)
	c.shard.push(op{kind: opJoin, conn: c, room: room, message: c.suffixLocked()})
	return nil
}

// Leave takes the connection out of room. Not to be in it is no error.
func (c *Conn) Leave(room string) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.leaveRoomLocked(room) {
		c.markLocked(false)
	}
}

func (c *Conn) leaveRoomLocked(room string) bool {
	i := slices.Index(c.rooms, room)
	if i < 0 {
		return false
	}
	c.rooms = slices.Delete(c.rooms, i, i+1)
	c.hub.leaveLocked(c, room)
	return true
}

// LeaveAll takes the connection out of every room, and undoes [Conn.Enter].
func (c *Conn) LeaveAll() {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.leaveAllLocked()
	c.absentLocked()
}

func (c *Conn) leaveAllLocked() {
	rooms := c.rooms
	c.rooms = nil
	for _, room := range rooms {
		c.hub.leaveLocked(c, room)
	}
}

// Close ends the connection with cause, or with telemed.ErrClosed if cause is nil. The
// first call counts. Transports log cause: it must not hold anything of a patient.
func (c *Conn) Close(cause error) {
	if cause == nil {
		cause = telemed.ErrClosed
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.hub.endLocked(c, cause)
}

// Do runs f in the caller's goroutine; Shutdown waits for it. It reports false,
// and does not run f, if the connection has ended. A panic of f ends the connection, as one
// of Go does.
func (c *Conn) Do(f func()) bool {
	if !c.begin() {
		return false
	}
	defer c.done()
	defer c.guard()
	f()
	return true
}

// Go runs f in a goroutine that Shutdown waits for. It reports false, and does
// not run f, if the connection has ended. A panic of f ends the connection, and not the
// program; the log hears of it.
func (c *Conn) Go(f func()) bool {
	if !c.begin() {
		return false
	}
	go c.run(f)
	return true
}

func (c *Conn) run(f func()) {
	defer c.done()
	defer c.guard()
	f()
}

// guard is deferred where a panic is in the code of one connection, or of the application
// that it calls. No net/http is above to recover.
func (c *Conn) guard() {
	if cause := recover(); cause != nil {
		c.hub.logPanic(cause)
		c.Close(errPanic)
	}
}

func (c *Conn) begin() bool {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if _, open := c.hub.conns[c]; !open {
		return false
	}
	c.hub.work++
	return true
}

func (c *Conn) done() { c.hub.workDone() }

func (h *Hub) workDone() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.workDoneLocked()
}

func (h *Hub) workDoneLocked() {
	h.work--
	if h.closed && h.work == 0 {
		close(h.idle)
	}
}
