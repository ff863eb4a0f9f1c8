package realtime

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// ErrReplaced is the cause with which a connection ends whose client has come back on
// another one, see [Conn.Enter].
var ErrReplaced = errors.New("the client has come back on another connection")

// markName is the name of an event without data that carries an offset alone, where a
// client must learn a new one and no event comes.
const markName = "telemed:at"

// place is where a reader goes on.
type place struct {
	older []*Entry // from before the window, or about to be
	bytes int      // of older, roughly
	next  uint64   // the number of the first entry in the window
}

// Return is what a client brings back from an earlier connection, in any process with the
// same Journal and RecoveryKeys. The zero value is a client that comes for the first time.
type Return struct {
	PID    string // what its last Enter has answered
	Offset string // of the last event that it has got; empty if none came
}

// Enter lets the client in that speaks on the connection, behind what the transport has
// agreed with it. A transport calls it once, before Join. granted are rooms that the
// application puts the client into: Authorize is not asked for them.
//
// Nothing of back is trusted. The subject must be the same, and Authorize is asked again for
// each room that is not granted. A room that it refuses is left out without a word. If
// telemed.ErrUnavailable is the answer of one, the client is not recovered. A granted room
// that the client had left stays left. If a room is granted that was not when the client
// came first, it is not recovered: it must read the state of that room.
//
// An earlier connection of the client that is half open, because its end was lost, ends
// with ErrReplaced: at once in this process, and in another one with the next line that this
// hub appends to the Journal about all who have come back, a second later. Until then Members
// has the client there, too. Such a line ends nobody who has connected in the last 10 seconds,
// and if it cannot be appended the heartbeat decides. There is no line for each client: when
// thousands return after a deploy, it would push out of the Journal what they return for.
//
// Enter calls welcome and sends the message that it returns. If the client is recovered,
// pid is the one that it has brought, and all events follow that it has missed, in order.
// Else pid is a new one: the client reads the present state. It is empty without a
// Config.Journal, or while that is away.
//
// Errors match telemed.ErrInvalid if a granted room is none, or one of the hub's own,
// ErrFull if there are too many, telemed.ErrClosed if the connection has ended, and
// telemed.ErrUnavailable if rooms are granted while the Journal is away. Nothing was sent
// then, and the client is not in.
func (c *Conn) Enter(
	ctx context.Context, back Return, granted []string, welcome func(pid string) []byte,
) (recovered bool, err error) {
	granted, err = c.mayEnter(granted)
	if err != nil {
		return false, err
	}
	if c.hub.past != nil {
		away := c.hub.awaitJournal(ctx)
		if back.PID != "" && c.hub.position() != "" {
			if recovered, err = c.comeBack(ctx, back, granted, welcome); recovered || err != nil {
				return recovered, err
			}
		}
		if away != nil && len(granted) > 0 {
			return false, away
		}
	}
	return false, c.comeNew(granted, welcome)
}

// mayEnter returns rooms without doubles.
func (c *Conn) mayEnter(rooms []string) ([]string, error) {
	unique := make([]string, 0, len(rooms))
	for _, room := range rooms {
		if err := CheckRoom(room); err != nil {
			return nil, err
		}
		if c.hub.ownRoom(room) {
			return nil, fault.Invalid("realtime: Enter", "granted", "has a room that is the hub's own")
		}
		if !slices.Contains(unique, room) {
			unique = append(unique, room)
		}
	}
	if len(unique) > c.hub.cfg.MaxRooms {
		return nil, fmt.Errorf("realtime: Enter: %w", ErrFull)
	}
	return unique, nil
}

func (c *Conn) comeNew(granted []string, welcome func(pid string) []byte) error {
	id := rand.Text()
	text := c.newPID(id, granted)
	if c.hub.past != nil && text == "" && len(granted) > 0 {
		return fmt.Errorf("realtime: Enter: the journal is away: %w", telemed.ErrUnavailable)
	}
	message := welcome(text)
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if !c.sendLocked(message) {
		return fmt.Errorf("realtime: Enter: %w", telemed.ErrClosed)
	}
	c.presentLocked(id)
	for _, room := range granted {
		if err := c.enterLocked(room); err != nil { // the journal has gone away just now
			c.hub.endLocked(c, telemed.ErrUnavailable)
			return err
		}
	}
	return nil
}

// newPID returns a sealed pid, or nothing without a journal that is there.
func (c *Conn) newPID(id string, granted []string) string {
	if c.hub.past == nil {
		return ""
	}
	at := c.hub.position()
	if at == "" {
		return ""
	}
	if len(keyOf(granted)) > maxSealed {
		granted = nil // too long to be brought back
	}
	return c.hub.past.tokens.seal(forPID, pid{
		ID: id, Expires: time.Now().Add(pidLife).Unix(), Subject: c.client.Subject, Rooms: granted, At: at,
	})
}

// comeBack reports false if the client cannot be recovered. Nothing has happened then, save
// that Authorize was asked.
func (c *Conn) comeBack(
	ctx context.Context, back Return, granted []string, welcome func(pid string) []byte,
) (recovered bool, err error) {
	h := c.hub
	id, rooms, at, ok := h.past.tokens.openReturn(back, c.client.Subject, granted)
	if !ok || len(rooms) > h.cfg.MaxRooms {
		return false, nil
	}
	allowed, ok := c.stillAllowed(ctx, rooms, granted)
	if !ok {
		return false, nil
	}
	from, err := h.find(ctx, at)
	if err != nil {
		return false, nil
	}
	message := welcome(back.PID)

	h.mu.Lock()
	defer h.mu.Unlock()
	missed, whole := h.past.window.ofRooms(from.next, append([]string{everybody, c.own}, rooms...)...)
	if !whole || h.past.at == "" || c.kickedLocked(from.older, rooms) || c.kickedLocked(missed, rooms) {
		return false, nil
	}
	if !c.sendLocked(message) {
		return false, fmt.Errorf("realtime: Enter: %w", telemed.ErrClosed)
	}
	h.stats.Recovered++
	h.observeLocked(Recovered, c, nil)
	c.presentLocked(id)
	h.returnedLocked(id)
	for _, room := range allowed {
		_ = c.enterLocked(room) // there are not more than MaxRooms
	}
	c.shard.push(op{kind: opReplay, conn: c, replay: &replay{older: from.older, missed: missed}})
	c.markLocked(false)
	return true, nil
}

// stillAllowed asks Authorize again for each room that is not granted. It reports false if
// the application cannot tell.
func (c *Conn) stillAllowed(ctx context.Context, rooms, granted []string) (allowed []string, ok bool) {
	for _, room := range rooms {
		if CheckRoom(room) != nil || c.hub.ownRoom(room) {
			return nil, false
		}
		if slices.Contains(granted, room) {
			allowed = append(allowed, room)
			continue
		}
		err := c.authorize(ctx, room)
		switch {
		case err == nil:
			allowed = append(allowed, room)
		case errors.Is(err, telemed.ErrUnavailable), ctx.Err() != nil:
			return nil, false
		default:
			c.hub.Refuse("join refused")
			c.countRefusal(err)
		}
	}
	return allowed, true
}

// kickedLocked reports whether somebody has moved or kicked the client while it was away.
// Then it is not recovered. rooms are all that it was in.
func (c *Conn) kickedLocked(entries []*Entry, rooms []string) bool {
	in := func(room string) bool { return room == c.own || slices.Contains(rooms, room) }
	for _, e := range entries {
		if e.Kind != KindEvent && e.Reaches(in) {
			return true
		}
	}
	return false
}

// presentLocked says that the client gets what is for everybody and for its subject. An
// older connection of the same pid ends.
func (c *Conn) presentLocked(id string) {
	if c.hub.past != nil {
		pids := c.hub.past.pids
		if old := pids[id]; old != nil && old != c {
			c.hub.endLocked(old, ErrReplaced)
		}
		if c.pid != "" && pids[c.pid] == c {
			delete(pids, c.pid)
		}
		c.pid, pids[id] = id, c
	}
	if c.present {
		return
	}
	c.present = true
	c.hub.present++
	c.shard.push(op{kind: opJoin, conn: c, room: everybody, message: c.suffixLocked()})
	if c.own != "" {
		c.shard.push(op{kind: opJoin, conn: c, room: c.own, message: c.suffixLocked()})
	}
}

func (c *Conn) absentLocked() {
	if c.present {
		c.present = false
		c.hub.present--
		c.shard.push(op{kind: opLeave, conn: c, room: everybody})
		if c.own != "" {
			c.shard.push(op{kind: opLeave, conn: c, room: c.own})
		}
	}
	if c.hub.past != nil && c.hub.past.pids[c.pid] == c {
		delete(c.hub.past.pids, c.pid)
	}
}

// everybody is the room of a shard in which all are. No client can name it; see shard.isIn.
const everybody = ""

// find returns where a reader goes on behind at. Only a position that is not in the window
// costs the journal a read. Errors match ErrGap, or are those of the journal.
func (h *Hub) find(ctx context.Context, at Position) (place, error) {
	if !validPosition(string(at)) {
		return place{}, ErrGap
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := 0; ; n++ {
		found, known, newest := h.placeInWindow(at)
		switch {
		case known:
			return found, nil
		case newest == "":
			return place{}, telemed.ErrUnavailable
		case n%10 == 0: // the journal is asked less often than the window
			if found, ok, err := h.searchInTurn(ctx, at); err != nil || ok {
				return found, err
			}
		}
		select { // another process has delivered at, and this one has not yet
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return place{}, fmt.Errorf("realtime: the window does not reach so far: %w", ErrGap)
		}
	}
}

func (h *Hub) placeInWindow(at Position) (found place, known bool, newest Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next, known := h.past.window.next[at]
	if known {
		found = h.past.window.placeAt(next)
	}
	return found, known, h.past.at
}

// lookAgain is how long a client waits before the window is looked at once more.
const lookAgain = 20 * time.Millisecond

// maxSearches is how many clients look for their place in the journal at once. Each has
// megabytes of the past in its hands; others wait, as long as their patience lasts.
const maxSearches = 4

func (h *Hub) searchInTurn(ctx context.Context, at Position) (found place, ok bool, err error) {
	select {
	case h.past.searches <- struct{}{}:
		defer func() { <-h.past.searches }()
	case <-ctx.Done():
		return place{}, false, fmt.Errorf("realtime: too many look for their place: %w", ErrGap)
	}
	h.mu.Lock()
	newest, end := h.past.at, h.past.window.end()
	h.mu.Unlock()
	if newest == "" {
		return place{}, false, telemed.ErrUnavailable
	}
	return h.search(ctx, at, newest, end)
}

// search asks the journal for what came after at. It reports false if the window does not
// reach so far yet. newest and end are those of the window before the search.
func (h *Hub) search(ctx context.Context, at, newest Position, end uint64) (found place, ok bool, err error) {
	journal := h.past.journal
	caughtUp, err := h.isLast(ctx, newest)
	if err != nil {
		return place{}, false, err
	}
	page := Page{UpTo: at, More: true}
	for page.More {
		if page, err = journal.Since(ctx, page.UpTo, nil, pageSize); err != nil {
			return place{}, false, err
		}
		met := h.meet(&found, page)
		if found.bytes > maxWindow {
			return place{}, false, fmt.Errorf("realtime: too much to catch up with: %w", ErrGap)
		}
		if met {
			return found, true, nil
		}
	}
	// Nothing comes after at, and nothing after the window: so they end at the same place.
	if caughtUp && len(found.older) == 0 {
		return place{next: end}, true, nil
	}
	return place{}, false, nil
}

// isLast reports whether the journal has nothing after at.
func (h *Hub) isLast(ctx context.Context, at Position) (bool, error) {
	page := Page{UpTo: at, More: true}
	for page.More && len(page.Entries) == 0 {
		var err error
		if page, err = h.past.journal.Since(ctx, page.UpTo, nil, 1); err != nil {
			return false, err
		}
	}
	return len(page.Entries) == 0, nil
}

// meet adds the entries of page until one is in the window, and reports whether one is.
func (h *Hub) meet(found *place, page Page) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &h.past.window
	goOn := func(number uint64) bool {
		found.next = w.placeAt(number).next
		found.older = append(found.older, w.placeAt(number).older...)
		return true
	}
	for i := range page.Entries {
		next, in := w.next[page.Entries[i].Position]
		if in && next > w.first { // it is an entry of the window
			return goOn(next - 1)
		}
		found.older = append(found.older, &page.Entries[i])
		found.bytes += sizeOf(page.Entries[i])
		if in { // it is the last before the window
			return goOn(next)
		}
	}
	next, in := w.next[page.UpTo]
	return in && goOn(next)
}

// JoinSince is Join for clients that keep a position themselves. It calls answer and sends
// the message that it returns, if it is not nil, when the connection is in room. at is the
// position that the client must keep for its next JoinSince, until an event of room brings a
// later one: that of the join. If since is not empty, the events of room follow that came
// after it, and as long as they are on their way at is since. gap says that they cannot be
// told: the client reads the present state.
//
// answer must be quick, and must not use the hub. Without a Config.Journal at is empty, and
// gap true if since is not empty. After an error answer is not called.
func (c *Conn) JoinSince(
	ctx context.Context, room string, since Position, answer func(at Position, gap bool) []byte,
) error {
	wasIn, err := c.mayJoin(ctx, room)
	if err != nil {
		return err
	}
	h := c.hub
	from := h.placeAfter(ctx, since)
	h.mu.Lock()
	defer h.mu.Unlock()
	if wasIn && !slices.Contains(c.rooms, room) { // nobody was asked whether it may enter
		return fmt.Errorf("realtime: Join: it was taken out of the room meanwhile: %w", telemed.ErrUnavailable)
	}
	if err := c.enterLocked(room); err != nil {
		return err
	}
	if h.past == nil {
		c.answerLocked(answer("", since != ""))
		return nil
	}
	back := &replay{room: room}
	gap := since != ""
	if from != nil {
		missed, whole := h.past.window.ofRooms(from.next, room)
		if gap = !whole; whole {
			back.older, back.missed = from.older, missed
		}
	}
	at, catchesUp := h.past.at, back.any(c.inLocked)
	if catchesUp {
		at = since // the client may lose the answer's successors, and not the answer
	}
	c.markLocked(catchesUp)
	c.answerLocked(answer(at, gap))
	if catchesUp {
		// Until all of it is out, nobody can go on from an offset of this connection: of the
		// other rooms it would be too old, and of this one too new.
		c.shard.push(op{kind: opReplay, conn: c, replay: back})
		c.markLocked(false)
	}
	return nil
}

// placeAfter returns where a client goes on, nil if there is no such place or it asks for none.
func (h *Hub) placeAfter(ctx context.Context, since Position) *place {
	if since == "" || h.past == nil {
		return nil
	}
	found, err := h.find(ctx, since)
	if err != nil {
		return nil
	}
	return &found
}

func (c *Conn) answerLocked(message []byte) {
	if message != nil {
		c.sendLocked(message)
	}
}

// Mark tells the client its offset, unless it has it. A transport calls it now and then on
// a quiet connection: else the journal forgets the place of a client that missed nothing.
func (c *Conn) Mark() {
	if c.hub.past == nil {
		return
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if _, open := c.hub.conns[c]; open && c.present {
		c.markLocked(false)
	}
}

// markLocked tells the client its offset, or with noWay that nobody can go on from here.
func (c *Conn) markLocked(noWay bool) {
	p := c.hub.past
	if p == nil || p.at == "" || !c.present {
		return
	}
	o := op{kind: opMark, conn: c, room: string(p.at)}
	if noWay {
		o.message = []byte(noReturn)
	}
	c.shard.push(o)
}
