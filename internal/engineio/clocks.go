package engineio

import "time"

// clocks are the times of a session, guarded by its mu. They cost no goroutine.
type clocks struct {
	beat    *time.Timer
	due     time.Time   // when beat has something to do
	waiting bool        // for the answer to a heartbeat
	connect *time.Timer // for the client to enter; nil if it is in
	over    bool        // the session has ended
}

func (s *Session) startClocks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clocks.over {
		return
	}
	interval := s.server.cfg.PingInterval
	s.clocks.due = time.Now().Add(interval)
	s.clocks.beat = time.AfterFunc(interval, s.beat)
	s.expectConnect()
}

func (s *Session) stopClocks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clocks.over = true
	for _, timer := range []*time.Timer{s.clocks.beat, s.clocks.connect} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// expectConnect ends the session unless the client enters in time. The caller holds mu.
func (s *Session) expectConnect() {
	if limit := s.server.cfg.ConnectTimeout; limit > 0 && !s.clocks.over {
		s.clocks.connect = time.AfterFunc(limit, func() { s.Close(errNoConnect) })
	}
}

func (s *Session) stopConnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clocks.connect != nil {
		s.clocks.connect.Stop()
		s.clocks.connect = nil
	}
}

// beat sends a heartbeat, or ends the session if the client has not answered the last one.
func (s *Session) beat() {
	if s.hold() {
		s.run(s.beatNow)
	}
}

func (s *Session) beatNow() {
	switch cfg := &s.server.cfg; {
	case !s.isDue():
	case s.await(true):
		s.moved.Store(false)
		s.handler.Beat()
		s.Send(pingMessage)
		s.nextBeat(cfg.PingTimeout)
	case s.paused.Load() && !s.stalled.Load():
		// The answer may be unread. Another ping, for a client hangs up that hears none; and if
		// it is gone, a write finds out.
		s.moved.Store(false)
		s.Send(pingMessage)
		s.nextBeat(cfg.PingTimeout)
	case s.moved.Swap(false), s.out.busy():
		// The ping may be unsent. WriteTimeout is for a WebSocket that takes nothing.
		s.nextBeat(cfg.PingTimeout)
	default:
		s.Close(errPingTimeout)
	}
}

// answered hears of the client's answer to a heartbeat.
func (s *Session) answered() {
	if s.await(false) {
		s.nextBeat(s.server.cfg.PingInterval)
	}
}

// await sets whether an answer is waited for, and reports whether that is a change.
func (s *Session) await(waiting bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clocks.waiting == waiting {
		return false
	}
	s.clocks.waiting = waiting
	return true
}

// isDue reports false if the clock was set anew while it struck.
func (s *Session) isDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !time.Now().Before(s.clocks.due)
}

func (s *Session) nextBeat(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clocks.over {
		s.clocks.due = time.Now().Add(after)
		s.clocks.beat.Reset(after)
	}
}
