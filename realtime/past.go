package realtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

const (
	// patience is how long a client waits for the journal before it is told that there is
	// none now.
	patience = 5 * time.Second
	// pageSize is how many entries one Since asks for.
	pageSize = 1000
	// minReach is how far back a hub looks for kicks at least, however short its window is.
	minReach = 2 * time.Minute
	minPause = 50 * time.Millisecond
	maxPause = 5 * time.Second
)

// past is what a hub with a Journal has beside its connections. hub.mu guards it.
type past struct {
	journal Journal
	process string // a name for this one
	tokens  *sealer

	ctx     context.Context // the life of the hub
	stop    context.CancelFunc
	started bool

	window window
	expiry *time.Timer   // calls expire; nil before the first entry
	armed  bool          // it will
	gapped bool          // the next window begins at the end of the journal; of follow alone
	at     Position      // the newest entry that the connections have; "" while nobody follows
	live   chan struct{} // closed once at is known
	away   time.Time     // since when the journal cannot be followed; zero if it can

	kicks  map[string]chan struct{} // of each Disconnect under way, by its mark
	kicked uint64                   // how many there were

	returns []string    // pids of those who have come back, to be told of
	telling *time.Timer // calls tellReturns; nil before the first return

	sets map[string]*roomSet // of those who are in the same rooms
	pids map[string]*Conn    // by the name of the pid

	searches chan struct{} // has room for as many as may read the journal at once
}

// trail is what a connection has with a Journal only.
type trail struct {
	pid    string   // its name; guarded by hub.mu
	set    *roomSet // of rooms; guarded by hub.mu
	suffix string   // of offsets; the shard's own
	told   Position // that the client has with that suffix; the shard's own
	lag    *lag     // nil unless the connection is behind; the shard's own
}

func newPast(p *fault.Problems, cfg *Config) *past {
	p.Check(cfg.Recover >= 0, "Recover", "is negative")
	p.Check(cfg.StaleAfter >= 0, "StaleAfter", "is negative")
	// The room of a subject that has no name of its own must fit.
	p.Check(validName(cfg.SubjectPrefix) && len(cfg.SubjectPrefix) <= maxName/2, "SubjectPrefix", "is longer than 64 bytes, or not plain text")
	p.Optional("Journal", cfg.Journal)
	if cfg.Journal == nil {
		p.Check(cfg.Recover == 0, "Recover", "is taken with a Journal only")
		p.Check(len(cfg.RecoveryKeys) == 0, "RecoveryKeys", "are taken with a Journal only")
		p.Check(!cfg.Presence, "Presence", "is taken with a Journal only")
		p.Check(cfg.StaleAfter == 0, "StaleAfter", "is taken with a Journal only")
		return nil
	}
	cfg.SubjectPrefix = cmp.Or(cfg.SubjectPrefix, "user-")
	cfg.StaleAfter = cmp.Or(cfg.StaleAfter, 5*time.Second)
	if cfg.Recover == 0 {
		cfg.Recover = 2 * time.Minute
	}
	ctx, stop := context.WithCancel(context.Background())
	return &past{
		journal: cfg.Journal,
		process: rand.Text(),
		tokens:  newSealer(p, cfg.RecoveryKeys),
		ctx:     ctx, stop: stop,
		window: window{age: cfg.Recover},
		live:   make(chan struct{}),
		sets:   make(map[string]*roomSet),
		pids:   make(map[string]*Conn),
		kicks:  make(map[string]chan struct{}),

		searches: make(chan struct{}, maxSearches),
	}
}

// followLocked starts to follow the journal, with the first connection.
func (h *Hub) followLocked() {
	if h.past.started {
		return
	}
	h.past.started = true
	h.announceLocked()
	h.work++
	go func() {
		defer h.workDone()
		h.follow()
	}()
}

// follow delivers what the journal yields until the hub is shut down.
func (h *Hub) follow() {
	ctx := h.past.ctx
	told := "" // what was logged last
	for pause := minPause; ctx.Err() == nil; pause = min(pause*2, maxPause) {
		start := time.Now()
		err := h.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > maxPause {
			pause, told = minPause, ""
		}
		words := h.stopped(err)
		h.setAway()
		if words != told {
			h.log.Warn(words)
			told = words
		}
		select {
		case <-time.After(pause/2 + mathrand.N(pause/2)):
		case <-ctx.Done():
		}
	}
}

// stopped does what must be done when the journal is not followed any more, and says why.
func (h *Hub) stopped(err error) (words string) {
	switch {
	case errors.Is(err, ErrGap):
		h.past.gapped = true
		h.lost(ErrGap)
		return "realtime: the journal has a gap, all connections are ended"
	case errors.Is(err, telemed.ErrClosed):
		h.lost(telemed.ErrUnavailable)
		return "realtime: the journal was shut down before its hub, all connections are ended"
	}
	return "realtime: the journal cannot be followed"
}

// followOnce follows from where the hub is, or from the start of its window.
func (h *Hub) followOnce(ctx context.Context) (err error) {
	defer func() {
		if cause := recover(); cause != nil { // in the application's Journal
			h.logPanic(cause)
			err = errPanic
		}
	}()
	from := h.position()
	if from == "" {
		if from, err = h.fill(ctx); err != nil {
			return err
		}
	}
	return h.past.journal.Follow(ctx, from, h.deliver)
}

// fill reads the window. Nobody is let in before.
func (h *Hub) fill(ctx context.Context) (Position, error) {
	p := h.past
	reaches := time.Now()
	base, err := h.base(ctx)
	if err != nil {
		return "", err
	}
	if !p.gapped { // half of it is for clocks that differ
		reaches = reaches.Add(-max(p.window.age, minReach) / 2)
	}
	h.mu.Lock()
	p.window.reset(base)
	h.mu.Unlock()
	var kicks []*Entry
	from, more := base, true
	for more {
		page, err := p.journal.Since(ctx, from, nil, pageSize)
		if errors.Is(err, ErrGap) { // nobody has missed anything yet
			p.gapped = true
			return "", errTrimmed
		}
		if err != nil {
			return "", err
		}
		h.mu.Lock()
		for i := range page.Entries {
			p.window.add(&page.Entries[i])
			if page.Entries[i].Kind == KindKick && !h.tellsReturns(&page.Entries[i]) {
				kicks = append(kicks, &page.Entries[i])
			}
		}
		h.mu.Unlock()
		from, more = page.UpTo, page.More
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.window.seen(from)
	p.window.caughtUp(time.Now())
	h.armLocked(0)
	p.away = time.Time{}
	p.at, p.gapped = from, false
	h.doubtLocked(reaches, kicks)
	close(p.live)
	return from, nil
}

// doubtLocked ends the connections that were there before the hub knew its journal, if a kick
// may have passed them over: whoever one of kicks names, and who is older than the window
// reaches. They come back, and are authenticated anew. A kick of before the connection does
// the same, since clocks of two machines do not tell which came first.
func (h *Hub) doubtLocked(reaches time.Time, kicks []*Entry) {
	for _, e := range kicks {
		for _, room := range e.Rooms {
			h.decisions.kickedLocked(room, telemed.ErrUnavailable)
		}
	}
	for conn := range h.conns {
		kicked := slices.ContainsFunc(kicks, func(e *Entry) bool { return e.Reaches(conn.inLocked) })
		if kicked || conn.began.Before(reaches) {
			h.endLocked(conn, telemed.ErrUnavailable)
		}
	}
}

// base is where the window begins. After a gap nothing before it can be told.
func (h *Hub) base(ctx context.Context) (Position, error) {
	if h.past.gapped {
		return h.past.journal.Head(ctx)
	}
	return h.past.journal.At(ctx, time.Now().Add(-max(h.past.window.age, minReach)))
}

var errTrimmed = errors.New("the journal cannot tell the whole window")

// lost ends all connections: nobody knows what they have missed. The window begins anew.
func (h *Hub) lost(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.past.at != "" {
		h.past.at, h.past.live = "", make(chan struct{})
	}
	if errors.Is(cause, ErrGap) {
		h.stats.Gaps++
		h.observeLocked(Gap, nil, nil)
	}
	for conn := range h.conns {
		h.endLocked(conn, cause)
	}
}

// position is that of the newest entry which the connections have, "" if nobody knows.
func (h *Hub) position() Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.past.at
}

// awaitJournal waits a while for the hub to follow its journal.
func (h *Hub) awaitJournal(ctx context.Context) error {
	h.mu.Lock()
	live := h.past.live
	h.mu.Unlock()
	if h.stale() > h.cfg.StaleAfter {
		return fmt.Errorf("realtime: the journal is away: %w", telemed.ErrUnavailable)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-live:
		return nil
	case <-timer.C:
		return fmt.Errorf("realtime: the journal is away: %w", telemed.ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// append is what Broadcast and Disconnect do with a Journal.
func (h *Hub) append(ctx context.Context, e Entry) error {
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return telemed.ErrClosed
	}
	_, err := h.past.journal.Append(ctx, e)
	return err
}

// deliver takes the next entry of the journal. It waits while shards have much to do.
func (h *Hub) deliver(e Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.backlog > maxBacklog && !h.closed {
		if h.waitForLess(h.past.ctx) != nil {
			return
		}
	}
	if h.closed {
		return
	}
	p := h.past
	p.window.add(&e)
	h.armLocked(0)
	p.at = e.Position
	switch {
	case e.Kind == KindEvent:
		h.spreadLocked(&e)
	case h.tellsReturns(&e):
		h.replaceLocked(&e)
	case e.Kind == KindKick:
		h.kickLocked(&e)
	case e.Kind == KindJoin, e.Kind == KindLeave:
		for _, conn := range h.reachedLocked(&e) {
			conn.moveLocked(&e)
		}
	}
}

// spreadLocked hands an event to the shards.
func (h *Hub) spreadLocked(e *Entry) {
	o := op{kind: opReach, event: &encodings{entry: e}}
	if len(e.Rooms) == 1 && len(e.Except) == 0 {
		o.kind, o.room = opBroadcast, e.Rooms[0]
		members := len(h.rooms[o.room])
		if members == 0 && !h.ownRoom(o.room) {
			return
		}
		h.stats.Queued += uint64(members)
	}
	for _, shard := range h.shards {
		h.backlog += o.event.size()
		shard.push(o)
	}
}

func (h *Hub) reachedLocked(e *Entry) (reached []*Conn) {
	for conn := range h.conns {
		if e.Reaches(conn.inLocked) {
			reached = append(reached, conn)
		}
	}
	return reached
}

// inLocked reports whether the connection is in room. Everybody is in a room of their own
// subject, also before Enter.
func (c *Conn) inLocked(room string) bool { return room == c.own || slices.Contains(c.rooms, room) }

// moveLocked does what another process has said: nobody is asked. Who has not entered yet is
// in no room.
func (c *Conn) moveLocked(e *Entry) {
	if e.Kind == KindJoin && !c.present {
		return
	}
	for _, room := range e.Moved {
		if c.hub.ownRoom(room) || CheckRoom(room) != nil {
			continue
		}
		if e.Kind == KindJoin {
			_ = c.enterLocked(room) // ErrFull stands in Stats
		} else {
			c.leaveRoomLocked(room)
		}
	}
	c.markLocked(false)
}

// ownRoom reports whether room is that of a subject.
func (h *Hub) ownRoom(room string) bool {
	return h.cfg.SubjectPrefix != "" && strings.HasPrefix(room, h.cfg.SubjectPrefix)
}

// subjectRoom is the room of a subject. A subject that no room can be named for has one by
// its hash.
func (h *Hub) subjectRoom(subject string) string {
	room := h.cfg.SubjectPrefix + subject
	if CheckRoom(room) == nil && !strings.HasPrefix(subject, "#") {
		return room
	}
	return h.cfg.SubjectPrefix + "#" + digest(subject)
}
