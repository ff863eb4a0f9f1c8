package engineio

import "sync"

// What a client has asked for and nobody has begun. With more, its reader waits.
const (
	maxTasks     = 64
	maxTaskBytes = 64 << 10
)

// tasks are done one after the other by a worker that exists only while there are some.
// So a slow function of the application's holds up neither heartbeats nor the answer to a
// POST.
type tasks struct {
	mu      sync.Mutex
	list    []task
	bytes   int
	working bool
	room    chan struct{} // if not nil, the reader waits for it to be closed
}

type task struct {
	size int // of what the client sent
	do   func()
}

// Hand gives the worker something to do, behind what it has to do already, and waits first
// while that is much. size is how many bytes of what the client sent stay with do. The
// Handler calls it while it hears a message. If the session has ended, or ends meanwhile, do
// is not called.
func (s *Session) Hand(size int, do func()) {
	for room := s.put(task{size, do}); room != nil; room = s.put(task{size, do}) {
		s.paused.Store(true)
		select {
		case <-room:
		case <-s.Done():
			return
		}
		s.moved.Store(true)
	}
	s.paused.Store(false)
	if s.tasks.start() {
		s.start(s.work) // not if the session has ended, and with it all tasks
	}
}

// put adds a task. If there is no room, it returns what is closed when there may be.
// While the client pauses polling there is room for two POSTs more: it waits for its POST to
// be answered, and the worker may wait for a poll. One is being read when the pause begins,
// and one may be on its way. With more, the client breaks the protocol, and waits.
func (s *Session) put(add task) (room <-chan struct{}) {
	t := &s.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	tasks, bytes := maxTasks, maxTaskBytes
	if s.pausesPolling() || s.awaiting.Load() > 0 {
		tasks += 2 * s.server.cfg.MaxPackets
		bytes += 2 * s.server.cfg.MaxPayload
	}
	if len(t.list) >= tasks || t.bytes >= bytes {
		if t.room == nil {
			t.room = make(chan struct{})
		}
		return t.room
	}
	t.list = append(t.list, add)
	t.bytes += add.size
	return nil
}

// Await runs f, which waits for what the client is to send. Meanwhile as much is read as while
// the client pauses polling: f may run in the worker, and the answer stand behind much else.
func (s *Session) Await(f func()) {
	s.awaiting.Add(1)
	defer s.awaiting.Add(-1)
	s.tasks.wakeReader()
	f()
}

// pausesPolling reports whether the client stops to poll, or may.
func (s *Session) pausesPolling() bool {
	phase := s.currentPhase()
	return phase == pausing || phase == promoting
}

// start reports whether a worker is needed.
func (t *tasks) start() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.working
	t.working = true
	return !was
}

func (t *tasks) next() (next task, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.list) == 0 {
		t.list, t.working = nil, false
		return task{}, false
	}
	next = t.list[0]
	t.list[0] = task{}
	t.list = t.list[1:]
	t.bytes -= next.size
	t.wakeLocked()
	return next, true
}

func (t *tasks) wakeReader() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wakeLocked()
}

func (t *tasks) wakeLocked() {
	if t.room != nil {
		close(t.room)
		t.room = nil
	}
}

// work is the worker. After each task it waits while much waits for the client: whoever
// asks faster than it reads is not answered meanwhile, and then not read.
func (s *Session) work() {
	for next, ok := s.tasks.next(); ok; next, ok = s.tasks.next() {
		if !s.isOver() {
			next.do()
			s.stalled.Store(true)
			s.handler.Wait()
			s.stalled.Store(false)
		}
	}
}

// goodbye ends the session with cause, behind what the client has asked for before.
func (s *Session) goodbye(cause error) {
	s.left = true
	s.Hand(0, func() {
		if !s.OverWebSocket() {
			s.endPolls()
		}
		s.Close(cause)
	})
}
