package razorpaytest

import "time"

// Advance moves Razorpay's clock ahead, past all that happens meanwhile: webhooks that were
// not taken are sent again when they are due, and what nobody captured in time is given
// back. It returns when all that is done.
//
//	srv.Advance(24 * time.Hour) // Razorpay's day of redelivery
func (s *Server) Advance(d time.Duration) {
	end := s.now().Add(d)
	for {
		s.expire()
		if s.hooks.WaitIdle(s.engine.Life()) != nil {
			return
		}
		next := s.nextExpiry()
		if due := s.hooks.NextDue(); next.IsZero() || !due.IsZero() && due.Before(next) {
			next = due
		}
		if next.IsZero() || next.After(end) {
			break
		}
		s.moveTo(next)
	}
	s.moveTo(end)
	s.expire()
	_ = s.hooks.WaitIdle(s.engine.Life()) // the server is closed
}

func (s *Server) moveTo(at time.Time) {
	s.engine.Advance(max(at.Sub(s.now()), 0))
	s.hooks.Wake()
}

func (s *Server) now() time.Time { return s.engine.Now() }

// expiry is when an authorized payment is given back.
func (p *payment) expiry() time.Time { return time.Unix(p.created+60*p.order.wait, 0) }

// expire gives back what nobody captured in time.
func (s *Server) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.payments {
		if p.status == "authorized" && !p.expiry().After(s.now()) && !s.beingRefunded(p) {
			s.autoRefund(p)
		}
	}
}

// beingRefunded reports whether a refund of the payment was begun: one that failed is not
// begun again by itself.
func (s *Server) beingRefunded(p *payment) bool {
	return find(s.refunds, func(r *refund) bool { return r.payment == p }) != nil
}

// nextExpiry is when something is given back next, zero if never.
func (s *Server) nextExpiry() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for _, p := range s.payments {
		if p.status == "authorized" && !s.beingRefunded(p) && (next.IsZero() || p.expiry().Before(next)) {
			next = p.expiry()
		}
	}
	return next
}
