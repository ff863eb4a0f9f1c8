package realtime

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
)

// Config says who may do what, and how much. Its zero value is a hub that
// nobody can join a room of.
type Config struct {
	// Authorize decides whether client may join room; nil as its answer lets it in.
	// Every error refuses; telemed.ErrUnavailable tells the client that it may ask again.
	// ctx ends with the connection. Authorize is called from many goroutines.
	// If Authorize is nil, every join is refused.
	Authorize func(ctx context.Context, client Client, room string) error

	// Authenticate returns who sent the request that opens a connection, as the
	// application's own session knows it. An error refuses the connection. Transports ask
	// twice for the first request, and again for each further one of the connection. It is
	// called from many goroutines. If nil, every client is anonymous (Subject "").
	Authenticate func(r *http.Request) (subject string, err error)

	// Journal keeps events for clients that were away for a moment, and joins the hubs of
	// several processes: each of them delivers what the journal yields, in its order.
	// Broadcast appends an event, and no more; its errors are then those of
	// [Journal.Append] too. If nil, an event reaches the connections that this hub has now, at
	// most once. With a Journal there are rooms of subjects, see SubjectPrefix.
	Journal Journal
	// StaleAfter is how long the Journal may be away before nobody can join a room any more:
	// see [Staler]. Connections stay, and who returns gets what this process has. If 0, 5
	// seconds.
	StaleAfter time.Duration
	// Presence tells other processes who is here, each 10 seconds, for their [Hub.Presence]:
	// ids and subjects of clients, by room. With a Journal only; one that is no [Roster] has
	// nobody to tell.
	Presence bool
	// SubjectPrefix begins the names of rooms that are the hub's own: each client is in that
	// of its subject, SubjectPrefix + subject, and none can join another. If empty, "user-"
	// with a Journal, and without one there are no such rooms.
	SubjectPrefix string
	// Recover is how long a client may be away, by the journal's clock: the hub keeps the
	// events of that time, up to 16 MiB and for a second more at most, and asks the journal for
	// older ones. With a Journal only. If 0, 2 minutes.
	Recover time.Duration
	// RecoveryKeys seal what clients bring back when they return: the first one seals, all
	// open. Each has 32 random bytes. All processes that share a Journal have the same.
	// Without any, a key at random is taken: who returns to another process is not recovered.
	RecoveryKeys [][]byte

	// MaxPending is how many bytes may wait for one connection whose client takes them more
	// slowly than they come. With more, the connection is ended with ErrSlow and counted in
	// Stats; a client reconnects and reads the present state, which is better than a hole
	// that nobody sees. With a Journal it is not ended but behind: it gets the further events
	// when half of that has gone, and is ended when the hub does not keep them any more. What
	// comes when nothing waits is kept whatever its length. A client that takes nothing at all
	// is ended sooner, by the transport. If 0, 16 MiB, which is more than a burst of some ten
	// thousand events.
	MaxPending int
	// MaxPendingTotal is how many bytes may wait for all connections together. With more,
	// the connection for which most bytes wait is ended with ErrSlow. With a Journal whoever
	// has something waiting is behind. An event counts for each connection that it waits for,
	// though memory has it once. If 0, 1 GiB.
	MaxPendingTotal int

	// MaxConnections is how many connections the hub accepts at once. If 0, 10000.
	// How many one address may have is for the proxy in front to say.
	MaxConnections int
	// MaxPerSubject is how many connections one subject may have at once; anonymous clients
	// are not counted. If 0, as many as there are.
	MaxPerSubject int
	// MaxRooms is how many rooms one connection may be in. If 0, 64.
	MaxRooms int
	// MaxRefusals is how many joins of one connection Authorize may refuse. One more, and
	// the connection is ended with telemed.ErrForbidden. telemed.ErrUnavailable does not
	// count. If 0, 64.
	MaxRefusals int
	// MaxEventSize is how many bytes Data and More of one event may have together, as JSON,
	// and a Binary as it is. If 0, 1000000.
	MaxEventSize int

	// OnJoin and OnLeave hear who has entered and left a room, also because a connection
	// came back or ended. They are called after the fact, in the order of each connection and
	// of many at once. A call that does not return holds up those about its connection, and
	// Shutdown, and nothing else. Rooms of subjects do not count.
	OnJoin, OnLeave func(client Client, room string)

	// Observe hears what happens, for metrics: after the fact, in order, by one goroutine. While
	// it does not return up to 10,000 observations wait; further ones are left out. Shutdown
	// waits for it. If nil, nothing is observed.
	Observe func(Observation)

	// Logger hears of refusals and slow connections, in numbers and never with data, subjects
	// or room names. It also hears of panics in the application's functions: their type and
	// where they came from, not their text. If nil, nothing is logged but panics, which go to
	// slog.Default.
	Logger *slog.Logger
}

// Client is who a connection belongs to.
type Client struct {
	// ID names the connection. It is random and no secret.
	ID string
	// Subject is what Config.Authenticate returned; empty for an anonymous client.
	Subject string
}

// Stats is a snapshot of a hub. The counters only grow.
type Stats struct {
	Connections int // open now
	Unconnected int // of them, those whose client has not entered: see [Conn.Enter]
	Rooms       int // with at least one member now

	Broadcasts uint64 // accepted
	Queued     uint64 // messages on their way to connections, of broadcasts and of transports
	// PendingBytes are the bytes that wait for all connections now, and Stale since when the
	// Journal is away; see [Staler].
	PendingBytes int
	Stale        time.Duration

	Slow    uint64 // connections ended with ErrSlow
	Refused uint64 // joins refused, and connections refused by a limit, Authenticate or a transport
	// RefusedOrigins and RefusedHosts are those of Refused that came from a page of a foreign
	// origin, or asked for a foreign host. Browsers that all stand here may be the
	// application's own, behind a proxy that rewrites Host.
	RefusedOrigins, RefusedHosts uint64

	Behind    int    // connections that will be told later what waits for them, with a Journal
	Recovered uint64 // clients that got all that they had missed
	Gaps      uint64 // times that all connections were ended because the Journal has a gap
}

// Encoder turns an event into the bytes that one transport sends. The hub
// encodes an event once per broadcast and Encoder, and hands the same bytes to
// every connection: nobody may change them. Encoders are compared with ==, and called from
// several goroutines.
//
// An encoder that knows only JSON writes [Message.JSON], and so leaves no attachment out.
type Encoder interface {
	Encode(m Message) []byte
}

// Hub keeps connections and rooms. It is safe for concurrent use. Its goroutines exist only
// while messages are on their way.
type Hub struct {
	// conn.go stands on this file: what a Conn does, it does under the lock of its Hub.
	// The Hub uses Conn in turn, for it keeps the connections, queues for them and ends them.

	cfg Config
	log *slog.Logger // of cfg, or one that discards

	// Held for a few map and channel operations, never across I/O or a call to the
	// application.
	mu       sync.Mutex
	closed   bool
	conns    map[*Conn]struct{}
	subjects map[string]*Conn // the first of a list
	rooms    map[string]map[*Conn]struct{}
	stats    Stats
	work     int           // calls of Conn.Do and Conn.Go, and shards, that have not returned
	idle     chan struct{} // closed when closed && work == 0
	shards   []*shard
	turn     int           // of the shard that gets the next connection
	backlog  int           // bytes of broadcasts that shards have not handed out yet
	present  int           // connections whose client has entered
	less     chan struct{} // if not nil, it is closed when the backlog is small

	past *past // nil without a Journal

	observations []observed // that wait for cfg.Observe
	observing    bool

	decisions decisions

	pending atomic.Int64 // bytes that wait for all connections
	lagging atomic.Int64 // connections that are behind
}

var _ Broadcaster = (*Hub)(nil)

// NewHub returns a hub, or an error that names every wrong field of cfg.
func NewHub(cfg Config) (*Hub, error) {
	var p fault.Problems
	for _, limit := range []struct {
		field string
		value *int
		zero  int
	}{
		{"MaxPending", &cfg.MaxPending, 16 << 20},
		{"MaxPendingTotal", &cfg.MaxPendingTotal, 1 << 30},
		{"MaxConnections", &cfg.MaxConnections, 10_000},
		{"MaxPerSubject", &cfg.MaxPerSubject, math.MaxInt},
		{"MaxRooms", &cfg.MaxRooms, 64},
		{"MaxRefusals", &cfg.MaxRefusals, 64},
		{"MaxEventSize", &cfg.MaxEventSize, 1_000_000},
	} {
		p.Check(*limit.value >= 0, limit.field, "is negative")
		if *limit.value == 0 {
			*limit.value = limit.zero
		}
	}
	past := newPast(&p, &cfg)
	if err := p.Err("realtime"); err != nil {
		return nil, err
	}
	h := &Hub{
		past:     past,
		cfg:      cfg,
		log:      cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		conns:    make(map[*Conn]struct{}),
		subjects: make(map[string]*Conn),
		rooms:    make(map[string]map[*Conn]struct{}),
		idle:     make(chan struct{}),
	}
	for range runtime.GOMAXPROCS(0) {
		h.shards = append(h.shards, &shard{hub: h, rooms: make(map[string]map[*Conn]struct{})})
	}
	return h, nil
}

// Broadcast queues ev for everybody in room and returns; it never waits for a connection.
// When it is called faster than the hub can hand events out, it waits for the hub, at most
// until ctx ends. Broadcasts reach every connection in the same order. See [Broadcaster] for
// errors; telemed.ErrInvalid is also what an event above MaxEventSize gets. With a
// Config.Journal, Broadcast waits for [Journal.Append] alone and returns its errors.
func (h *Hub) Broadcast(ctx context.Context, room string, ev Event) error {
	if err := CheckRoom(room); err != nil {
		return err
	}
	return h.emit(ctx, "Broadcast", Entry{Rooms: []string{room}}, ev)
}

// emit sends ev to whom entry names.
func (h *Hub) emit(ctx context.Context, op string, entry Entry, ev Event) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("realtime: %s: %w", op, err)
	}
	m, err := ev.Encode()
	if err != nil {
		return fmt.Errorf("realtime: %s: %w", op, err)
	}
	if m.size() > h.cfg.MaxEventSize {
		return fault.Invalid("realtime: "+op+": event", "Data", "is longer than %d bytes", h.cfg.MaxEventSize)
	}
	entry.Kind, entry.Name, entry.Args, entry.Attachments = KindEvent, m.Name, m.Args, m.Attachments
	if h.past != nil {
		err = h.append(ctx, entry)
	} else {
		err = h.fanOut(ctx, &entry)
	}
	if err != nil {
		return fmt.Errorf("realtime: %s: %w", op, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Broadcasts++
	return nil
}

// fanOut hands the event to all shards under one lock, which makes one order of events.
func (h *Hub) fanOut(ctx context.Context, e *Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.backlog > maxBacklog && !h.closed {
		if err := h.waitForLess(ctx); err != nil {
			return err
		}
	}
	if h.closed {
		return telemed.ErrClosed
	}
	h.spreadLocked(e)
	return nil
}

// waitForLess waits until the backlog is small. The caller holds mu, and holds it again
// afterwards.
func (h *Hub) waitForLess(ctx context.Context) error {
	if h.less == nil {
		h.less = make(chan struct{})
	}
	less := h.less
	h.mu.Unlock()
	defer h.mu.Lock()
	select {
	case <-less:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hub) workedOffLocked(n int) {
	h.backlog -= n
	if h.less != nil && h.backlog <= maxBacklog/2 {
		close(h.less)
		h.less = nil
	}
}

// Authenticate asks Config.Authenticate who sent r. The error matches
// telemed.ErrForbidden.
func (h *Hub) Authenticate(r *http.Request) (subject string, err error) {
	if h.cfg.Authenticate == nil {
		return "", nil
	}
	subject, err = h.cfg.Authenticate(r)
	if err != nil {
		h.Refuse("authentication refused")
		return "", fault.Tagged(telemed.ErrForbidden, fmt.Errorf("realtime: Authenticate: %w", err))
	}
	return subject, nil
}

// Connect registers a connection for subject, which the transport has from Authenticate.
// It must then call Authenticate again, and close the connection unless the answer is the
// same: who logged out between the first answer and Connect was not there yet for
// Disconnect to find. Messages go to output; without one [Conn.Next] yields them. The
// transport must end the connection with [Conn.Close]. The values of ctx stay with the
// connection, its end does not touch it. The error matches ErrFull or telemed.ErrClosed, or
// telemed.ErrInvalid if encoder is nil or cannot be compared.
func (h *Hub) Connect(ctx context.Context, subject string, encoder Encoder, output Output) (*Conn, error) {
	if encoder == nil || !reflect.ValueOf(encoder).Comparable() {
		return nil, fault.Invalid("realtime: Connect", "encoder", "is nil or cannot be compared")
	}
	if output == nil {
		output = &inbox{ready: make(chan struct{}, 1)}
	}
	conn := &Conn{
		hub:     h,
		client:  Client{ID: rand.Text(), Subject: subject},
		encoder: encoder,
		output:  output,
		life:    lifetime{values: context.WithoutCancel(ctx)},
		began:   time.Now(),
	}
	if h.cfg.SubjectPrefix != "" {
		conn.own = h.subjectRoom(subject)
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, fmt.Errorf("realtime: Connect: %w", telemed.ErrClosed)
	case len(h.conns) >= h.cfg.MaxConnections, h.tooManyLocked(subject):
		h.stats.Refused++
		h.observeLocked(Refused, nil, nil)
		return nil, fmt.Errorf("realtime: Connect: %w", ErrFull)
	}
	h.conns[conn] = struct{}{}
	h.observeLocked(Connected, conn, nil)
	h.listLocked(conn)
	conn.shard = h.shards[h.turn%len(h.shards)]
	h.turn++
	if h.past != nil {
		conn.trail = &trail{}
		h.followLocked()
	}
	return conn, nil
}

func (h *Hub) count(subject string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.countLocked(subject)
}

func (h *Hub) tooManyLocked(subject string) bool {
	return subject != "" && h.cfg.MaxPerSubject < math.MaxInt && h.countLocked(subject) >= h.cfg.MaxPerSubject
}

func (h *Hub) countLocked(subject string) (n int) {
	for conn := h.subjects[subject]; conn != nil; conn = conn.after {
		n++
	}
	return n
}

// listLocked puts conn before the other connections of its subject.
func (h *Hub) listLocked(conn *Conn) {
	if first := h.subjects[conn.client.Subject]; first != nil {
		conn.after, first.before = first, conn
	}
	h.subjects[conn.client.Subject] = conn
}

func (h *Hub) unlistLocked(conn *Conn) {
	if conn.after != nil {
		conn.after.before = conn.before
	}
	switch {
	case conn.before != nil:
		conn.before.after = conn.after
	case conn.after != nil:
		h.subjects[conn.client.Subject] = conn.after
	default:
		delete(h.subjects, conn.client.Subject)
	}
	conn.before, conn.after = nil, nil
}

// Stats returns the present numbers.
func (h *Hub) Stats() Stats {
	stale := h.stale()
	h.mu.Lock()
	defer h.mu.Unlock()
	stats := h.stats
	stats.PendingBytes, stats.Stale = int(h.pending.Load()), stale
	stats.Connections, stats.Rooms, stats.Behind = len(h.conns), len(h.rooms), int(h.lagging.Load())
	stats.Unconnected = len(h.conns) - h.present
	return stats
}

// Shutdown ends every connection, refuses new ones, and waits until all that
// transports do for connections has returned, or until ctx ends: then it
// returns ctx's error, and what is left ends by its own deadlines. It may be
// called again, but not from the application's functions that it would wait for.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		if h.past != nil {
			h.past.endLocked()
		}
		for conn := range h.conns {
			h.endLocked(conn, telemed.ErrClosed)
		}
		if h.work == 0 {
			close(h.idle)
		}
	}
	h.mu.Unlock()

	select {
	case <-h.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("realtime: Shutdown: %w", ctx.Err())
	}
}

func (h *Hub) endLocked(conn *Conn, cause error) {
	if _, open := h.conns[conn]; !open {
		return
	}
	delete(h.conns, conn)
	h.observeLocked(Ended, conn, cause)
	h.unlistLocked(conn)
	conn.leaveAllLocked()
	if errors.Is(cause, ErrSlow) {
		h.stats.Slow++
	}
	conn.absentLocked()
	if h.past != nil {
		conn.dropSetLocked()
	}
	conn.life.end(cause)
	conn.forget()
	if _, own := conn.output.(*inbox); !own {
		h.work++
		go conn.run(func() { conn.output.End(cause) })
	}
}

// leaveLocked is one part of leaving a room; the caller takes it off conn.rooms.
func (h *Hub) leaveLocked(conn *Conn, room string) {
	delete(h.rooms[room], conn)
	h.tellLocked(conn, room, false)
	conn.shard.push(op{kind: opLeave, conn: conn, room: room, message: conn.suffixLocked()})
	if len(h.rooms[room]) == 0 {
		delete(h.rooms, room)
	}
}
