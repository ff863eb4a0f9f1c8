package fake

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Fault is something that goes wrong with requests. Its zero value does nothing: the
// request that it fits passes unharmed. The kits document the fields.
type Fault struct {
	Op          string
	Times       int
	Status      int
	Header      http.Header
	Body        string
	LoseRequest bool
	LoseAnswer  bool
	Cut         bool
	Hang        bool
	Delay       time.Duration
}

// Done reports whether a request with this fault is carried out.
func (f Fault) Done() bool {
	return !f.Hang && !f.LoseRequest && (f.Status == 0 || f.LoseAnswer || f.Cut)
}

// Lost reports whether the connection ends without an answer.
func (f Fault) Lost() bool { return f.LoseRequest || f.LoseAnswer && f.Status == 0 }

// Script holds faults until their requests come. The zero value is ready to use. It is
// safe for concurrent use.
type Script struct {
	mu     sync.Mutex
	faults []Fault
}

// FailNext adds faults. Next tries them in the order in which they were added.
func (s *Script) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		f.Header = f.Header.Clone()
		s.faults = append(s.faults, f)
	}
}

// Next returns the first fault that fits a request for op, and uses it up by one. It is
// the zero Fault if none fits. A fault without Op fits unless op is one of aside.
func (s *Script) Next(op string, aside ...string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f Fault) bool {
		return f.Op == op || f.Op == "" && !slices.Contains(aside, op)
	})
	if i < 0 {
		return Fault{}
	}
	found := s.faults[i]
	switch {
	case found.Times < 0: // until Reset
	case found.Times <= 1:
		s.faults = slices.Delete(s.faults, i, i+1)
	default:
		s.faults[i].Times--
	}
	return found
}

// Pending returns the faults that still wait for their requests, each with the Times that
// are left.
func (s *Script) Pending() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// Reset drops all faults.
func (s *Script) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}
