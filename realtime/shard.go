package realtime

import "sync"

const (
	// maxCoalesce is how many bytes of messages one Output gets at once.
	maxCoalesce = 32 << 10
	// maxOwn is how many bytes may wait for a connection before Conn.Wait waits.
	maxOwn = 64 << 10
	// keepOps is how many operations a shard has room for while it has none.
	keepOps = 64
	// maxBacklog is how many bytes of broadcasts may be on their way to all shards before
	// Broadcast waits.
	maxBacklog = 64 << 20
)

// Output takes the messages of one connection to the wire.
//
// Put is called by one goroutine at a time, in order, and must not block: what the wire
// does not take at once, the Output keeps and sends later. It returns how many bytes of
// messages it keeps, and calls [Conn.Sent] when they are gone. joined is the messages one
// behind the other, for a wire that takes them so. Other connections get the same: Put may
// keep a message or joined, but not the slice messages, and changes none. An error ends the
// connection with it. So does a panic.
//
// End is called once, in a goroutine of its own, when the connection has ended with cause.
// Shutdown waits for it.
type Output interface {
	Put(messages [][]byte, joined []byte) (waiting int, err error)
	End(cause error)
}

// shard owns a part of the connections. Its goroutine exists while there is work. It
// applies the operations in their order, so the order of a connection needs no more.
type shard struct {
	hub     *Hub
	ops     []op // guarded by hub.mu
	running bool // guarded by hub.mu

	rooms map[string]map[*Conn]struct{} // the goroutine's own
	spare []op                          // the goroutine's own
	batch [][]byte                      // the goroutine's own
	made  batches                       // the goroutine's own
	// With a Journal only, and the goroutine's own.
	lagging map[*Conn]struct{} // who is behind
	checked uint64             // the first entry of the window when all of them were looked at
}

type opKind int

const (
	opSend opKind = iota
	opBroadcast
	opJoin
	opLeave
	// With a Journal only.
	opReach  // an event that is not for one room alone
	opReplay // what a connection has missed
	opMark   // tells a connection its offset
	opDrain  // lets a connection that is behind read on
	// With a Journal or without.
	opEmit // an event for one connection alone
)

type op struct {
	kind    opKind
	number  uint64     // of the entry that comes next; with a Journal only
	conn    *Conn      // all but opBroadcast and opReach
	room    string     // opBroadcast, opJoin, opLeave; the position of opMark
	message []byte     // opSend; the suffix from now on of opJoin and opLeave, and for once of opMark
	event   *encodings // opBroadcast, opReach, opEmit
	replay  *replay    // opReplay
}

// push hands an operation to the shard. The caller holds hub.mu.
func (s *shard) push(o op) {
	if s.hub.past != nil {
		o.number = s.hub.past.window.end()
	}
	s.ops = append(s.ops, o)
	if !s.running {
		s.running = true
		s.hub.work++
		go s.run()
	}
}

func (s *shard) run() {
	done := 0
	for ops := s.take(done); ops != nil; ops = s.take(done) {
		done = 0
		for i := 0; i < len(ops); {
			i = s.apply(ops, i)
		}
		for i := range ops {
			if ops[i].event != nil {
				done += ops[i].event.size()
			}
		}
		clear(ops)
		s.spare = ops[:0]
	}
}

// take returns all operations that wait. If there are none, the goroutine must end. done is
// how many bytes of broadcasts it has handed out since the last call.
func (s *shard) take(done int) []op {
	s.check()
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.workedOffLocked(done)
	if len(s.ops) == 0 {
		s.running = false
		if cap(s.ops)+cap(s.spare) > keepOps { // else the next few cost no memory
			s.ops, s.spare, s.batch, s.made = nil, nil, nil, batches{}
		}
		clear(s.batch[:cap(s.batch)])
		s.hub.workDoneLocked()
		return nil
	}
	ops := s.ops
	s.ops, s.spare = s.spare, nil
	return ops
}

// apply applies ops[i], and with it the like that follow. It returns the index of the next.
func (s *shard) apply(ops []op, i int) int {
	switch o := &ops[i]; {
	case o.kind == opBroadcast:
		return s.broadcast(ops, i)
	case o.kind == opReach:
		s.reach(o)
	case o.kind == opDrain:
		s.drain(o)
	case o.conn.behind():
		s.later(o)
	case o.kind == opSend:
		return s.send(ops, i)
	default:
		s.change(o)
	}
	return i + 1
}

// change applies what is about one connection, save opSend.
func (s *shard) change(o *op) {
	switch o.kind {
	case opJoin:
		if s.rooms[o.room] == nil {
			s.rooms[o.room] = make(map[*Conn]struct{})
		}
		s.rooms[o.room][o.conn] = struct{}{}
		o.conn.follows(o.message)
	case opLeave:
		delete(s.rooms[o.room], o.conn)
		if len(s.rooms[o.room]) == 0 {
			delete(s.rooms, o.room)
		}
		o.conn.follows(o.message)
	case opReplay:
		if !s.replay(o.conn, o.replay) {
			o.conn.fallBehind(o.number, *o)
		}
	case opMark:
		s.mark(o)
	case opEmit:
		s.emit(o)
	}
}

// send puts the messages to one connection that follow each other.
func (s *shard) send(ops []op, i int) int {
	conn, size, number := ops[i].conn, 0, uint64(0)
	s.batch = s.batch[:0]
	for ; i < len(ops) && ops[i].kind == opSend && ops[i].conn == conn && size < maxCoalesce; i++ {
		s.batch = append(s.batch, ops[i].message)
		size += len(ops[i].message)
		number = ops[i].number
	}
	if conn.put(s.batch, joined(s.batch), size) {
		conn.fallBehind(number)
	}
	return i
}

// broadcast puts the broadcasts to one room that follow each other.
func (s *shard) broadcast(ops []op, i int) int {
	room, size, end := ops[i].room, 0, i
	for ; end < len(ops) && ops[end].kind == opBroadcast && ops[end].room == room && size < maxCoalesce; end++ {
		size += ops[end].event.length()
	}
	var few [nearby]member
	n := 0
	for conn := range s.rooms[room] {
		few[n] = member{conn, conn.trail}
		if n++; n == nearby {
			s.hand(few[:], ops[i:end])
			n = 0
		}
	}
	s.hand(few[:n], ops[i:end])
	s.made.reset()
	return end
}

// nearby is how many connections a broadcast looks at before it writes to them: the processor
// fetches their memory at once, and does not wait for each between two writes.
const nearby = 16

type member struct {
	conn *Conn
	*trail
}

// near is what an Output may have that looks at its own memory before Put.
type near interface{ Near() bool }

// hand puts broadcasts to members of their room.
func (s *shard) hand(few []member, ops []op) {
	last := &ops[len(ops)-1]
	for _, m := range few {
		if output, ok := m.conn.output.(near); ok {
			output.Near()
		}
	}
	for _, m := range few {
		suffix := ""
		if m.trail != nil {
			if m.conn.behind() {
				continue
			}
			suffix = m.suffix
		}
		made := s.made.by(m.conn.encoder, suffix, ops, s.hub)
		if made.broken {
			m.conn.Close(errPanic)
			continue
		}
		full := m.conn.put(made.messages, made.joined, 0)
		if m.trail != nil {
			m.told = last.event.entry.Position
		}
		if full {
			m.conn.fallBehind(last.number)
		}
	}
}

// inbox is the Output of a connection without one: Conn.Next reads it.
type inbox struct {
	mu       sync.Mutex
	messages [][]byte
	ready    chan struct{} // has room for one
}

func (b *inbox) Put(messages [][]byte, _ []byte) (waiting int, err error) {
	b.mu.Lock()
	b.messages = append(b.messages, messages...)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return length(messages), nil
}

// End does nothing: Conn.Next hears of it from the context.
func (b *inbox) End(error) {}

func (b *inbox) take() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	messages := b.messages
	b.messages = nil
	return messages
}

func length(messages [][]byte) (n int) {
	for _, message := range messages {
		n += len(message)
	}
	return n
}
