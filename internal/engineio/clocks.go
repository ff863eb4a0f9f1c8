package engineio

import "time"

// clocks are the times of a session, guarded by its mu. They cost no goroutine.
type clocks struct {
	beat    *time.Timer
	due     time.Time // when beat has something to do; zero while it does it
	waiting bool      // for the answer to a heartbeat
	over    bool      // the session has ended
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
}

func (s *Session) stopClocks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clocks.over = true
	if s.clocks.beat != nil {
		s.clocks.beat.Stop()
	}
}

// beat sends a heartbeat, or ends the session if the client has not answered the last one.
func (s *Session) beat() {
	if s.hold() {
		s.run(s.beatNow)
	}
}

// beatNow does nothing before its time.
func (s *Session) beatNow() {
	due, ok := s.strike()
	switch cfg := &s.server.cfg; {
	case !ok:
	case s.await(true):
		s.moved.Store(false)
		s.nextBeat(due, cfg.PingTimeout) // before the answer can come
		s.handler.Beat()
		s.Send(pingMessage)
	case s.paused.Load() && !s.stalled.Load():
		// The answer may be unread. Another ping, for a client hangs up that hears none; and if
		// it is gone, a write finds out.
		s.moved.Store(false)
		s.Send(pingMessage)
		s.nextBeat(due, cfg.PingTimeout)
	case s.moved.Swap(false), s.out.busy():
		// The ping may be unsent. WriteTimeout is for a WebSocket that takes nothing.
		s.nextBeat(due, cfg.PingTimeout)
	default:
		s.Close(errPingTimeout)
	}
}

// answered hears of the client's answer to a heartbeat.
func (s *Session) answered() {
	if s.await(false) {
		s.nextBeat(time.Now(), s.server.cfg.PingInterval)
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

// strike returns when there was something to do, and false if it is too early, as after the
// clock was set anew while it struck. After true the clock stands still until nextBeat.
func (s *Session) strike() (due time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if due = s.clocks.due; due.IsZero() || now.Before(due) {
		return due, false
	}
	s.clocks.due = time.Time{}
	if limit := s.server.cfg.PingTimeout / maxLate; now.Sub(due) > limit {
		due = now
	}
	return due, true
}

// maxLate is which part of PingTimeout a clock may be late without giving the client more
// time.
const maxLate = 4

// nextBeat sets the clock. An answer that comes while it stands still sets it, too.
func (s *Session) nextBeat(from time.Time, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clocks.over {
		s.clocks.due = from.Add(after)
		s.clocks.beat.Reset(time.Until(s.clocks.due))
	}
}
