package whatsapptest

import "time"

// Advance moves Meta's clock ahead: webhooks that were not taken come again when they are
// due, and the 24 hours end in which free text is taken. It returns when all that is done.
func (s *Server) Advance(d time.Duration) {
	end := s.engine.Now().Add(d)
	for {
		if s.hooks.WaitIdle(s.engine.Life()) != nil {
			return
		}
		next := s.hooks.NextDue()
		if next.IsZero() || next.After(end) {
			break
		}
		s.moveTo(next)
	}
	s.moveTo(end)
	_ = s.hooks.WaitIdle(s.engine.Life()) // the server is closed
}

func (s *Server) moveTo(at time.Time) {
	s.engine.Advance(max(at.Sub(s.engine.Now()), 0))
	s.hooks.Wake()
}
