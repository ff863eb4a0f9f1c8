package wiretest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Server is one running server. Its methods are safe for concurrent use. Those that
// answer a command stand in read.go and write.go: run calls them, and they use the
// collections and cursors that are kept here.
type Server struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu           sync.Mutex
	conns        map[net.Conn]struct{}
	closed       bool
	collections  map[string]*collection
	cursors      map[int64]*cursor
	lastCursor   int64
	sessions     map[string]written
	transactions map[string]*transaction // by session
	fault        func(Command) Fault
	commands     []Command
	stats        Stats
	clock        func() time.Time
	commandTime  bson.DateTime
}

// Stats counts what happened so far.
type Stats struct {
	// Faults is how many faults were made.
	Faults int
	// Replayed is how many writes came a second time and were answered without being
	// applied again.
	Replayed int
}

// Fault is what goes wrong with one command.
type Fault int

const (
	// NoFault answers as a server should.
	NoFault Fault = iota
	// CutBefore closes the connection without applying the command.
	CutBefore
	// CutAfter applies the command, then closes the connection instead of answering.
	CutAfter
	// NotPrimary refuses the command as a member does that has just stepped down.
	NotPrimary
	// Collide refuses an upsert as a server does when two of them meet.
	Collide
)

// Start returns a running server on a free port of 127.0.0.1.
func Start() (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		listener: listener, conns: map[net.Conn]struct{}{}, collections: map[string]*collection{},
		cursors: map[int64]*cursor{}, sessions: map[string]written{}, transactions: map[string]*transaction{}, clock: time.Now,
	}
	s.serving.Go(s.accept)
	return s, nil
}

// URI returns the connection string of the replica set.
func (s *Server) URI() string { return "mongodb://" + s.address() + "/?replicaSet=" + setName }

func (s *Server) address() string { return s.listener.Addr().String() }

// SetFault has choose asked about each command but hello and endSessions. Calls are
// made one at a time. nil ends the faults.
func (s *Server) SetFault(choose func(Command) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = choose
}

// SetClock has the server read its time from now: that is $$NOW. A real server's clock is
// not its clients' either.
func (s *Server) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = now
}

// now is $$NOW: one time for a whole command. The caller holds s.mu.
func (s *Server) now() bson.DateTime { return s.commandTime }

// Commands returns the commands received so far, but hello and endSessions.
func (s *Server) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Command(nil), s.commands...)
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close ends all connections and waits for their goroutines.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.serving.Wait()
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if s.admit(conn) {
			s.serving.Go(func() { s.serve(conn) })
		}
	}
}

func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

// errCut ends a connection on purpose.
var errCut = errors.New("wiretest: connection cut")

func (s *Server) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	}()
	for {
		msg, err := readMessage(conn)
		if err != nil {
			return
		}
		reply, err := s.handle(msg.body)
		if err != nil {
			return
		}
		if err := writeReply(conn, msg, reply); err != nil {
			return
		}
	}
}

// handle applies one command, with the fault that was chosen for it.
func (s *Server) handle(body bson.Raw) (bson.D, error) {
	command, err := commandOf(body)
	if err != nil {
		return nil, err
	}
	if reply, ok := s.monitor(command.Name); ok {
		return reply, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, command)
	switch s.choose(command) {
	case CutBefore:
		return nil, errCut
	case NotPrimary:
		return notPrimary(), nil
	case Collide:
		return (&failure{codeDuplicateKey, "E11000 duplicate key error"}).reply(), nil
	case CutAfter:
		s.apply(command)
		return nil, errCut
	}
	return s.apply(command), nil
}

// monitor answers what drivers ask by themselves.
func (s *Server) monitor(name string) (bson.D, bool) {
	switch name {
	case "hello", "isMaster", "ismaster":
		return s.hello(), true
	case "endSessions":
		return ok(), true
	}
	return nil, false
}

func (s *Server) hello() bson.D {
	return ok(
		bson.E{Key: "helloOk", Value: true},
		bson.E{Key: "isWritablePrimary", Value: true},
		bson.E{Key: "ismaster", Value: true},
		bson.E{Key: "setName", Value: setName}, // without it a driver never uses retryable writes
		bson.E{Key: "setVersion", Value: int32(1)},
		bson.E{Key: "hosts", Value: bson.A{s.address()}},
		bson.E{Key: "primary", Value: s.address()},
		bson.E{Key: "me", Value: s.address()},
		bson.E{Key: "secondary", Value: false},
		bson.E{Key: "maxBsonObjectSize", Value: int32(16 << 20)},
		bson.E{Key: "maxMessageSizeBytes", Value: int32(maxMessage)},
		bson.E{Key: "maxWriteBatchSize", Value: int32(100_000)},
		bson.E{Key: "localTime", Value: bson.NewDateTimeFromTime(time.Now())},
		bson.E{Key: "logicalSessionTimeoutMinutes", Value: int32(30)},
		bson.E{Key: "minWireVersion", Value: int32(0)},
		bson.E{Key: "maxWireVersion", Value: int32(21)}, // MongoDB 7.0
	)
}

const setName = "rs-wiretest"

func (s *Server) choose(command Command) Fault {
	if s.fault == nil {
		return NoFault
	}
	fault := s.fault(command)
	if fault != NoFault {
		s.stats.Faults++
	}
	return fault
}

// written is the last retryable write of a session and its answer.
type written struct {
	number int64
	reply  bson.D
}

// apply runs a command, and a retried write only once. The caller holds s.mu.
func (s *Server) apply(command Command) bson.D {
	session, number, retryable := retryable(command.Body)
	retryable = retryable && !inTransaction(command.Body)
	if retryable {
		if last := s.sessions[session]; last.reply != nil && last.number == number {
			s.stats.Replayed++
			return last.reply
		}
	}
	s.commandTime = bson.NewDateTimeFromTime(s.clock())
	reply, refused := s.run(command)
	if refused != nil {
		return refused.reply()
	}
	if retryable {
		s.sessions[session] = written{number, reply}
	}
	return reply
}

func retryable(body bson.Raw) (session string, number int64, ok bool) {
	number, ok = body.Lookup("txnNumber").Int64OK()
	if !ok {
		return "", 0, false
	}
	_, id, ok := body.Lookup("lsid", "id").BinaryOK()
	return string(id), number, ok
}

func (s *Server) run(command Command) (bson.D, *failure) {
	if inTransaction(command.Body) {
		return s.transact(command)
	}
	return s.command(command)
}

func (s *Server) command(command Command) (bson.D, *failure) {
	switch command.Name {
	case "ping":
		return ok(), nil
	case "insert":
		return s.insert(command.Body)
	case "update":
		return s.update(command.Body)
	case "findAndModify":
		return s.findAndModify(command.Body)
	case "delete":
		return s.remove(command.Body)
	case "find":
		return s.find(command.Body)
	case "getMore":
		return s.getMore(command.Body)
	case "killCursors":
		return s.killCursors(command.Body)
	}
	return nil, &failure{codeCommandNotFound, "no such command"}
}
