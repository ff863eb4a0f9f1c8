package webhook

import (
	"sync"
	"sync/atomic"
)

// maxOutliving is how many runs may go on after their answer. Beyond it deliveries are
// refused: handlers that never return must not fill the memory.
const maxOutliving = 1000

// runs counts the deliveries that are being handled. The zero value is ready to use.
type runs struct {
	mu       sync.Mutex
	running  int
	outlived int // of those running
	stopped  bool
	idle     chan struct{} // closed once stopped and nothing runs; nil before
}

// run is the handling of one delivery.
type run struct {
	ended, outlived bool                  // runs.mu guards them
	current         atomic.Pointer[Event] // what is being handled, for the log; nil at first
}

// begin returns a run that must end, or nil if there may be none.
func (r *runs) begin() *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.outlived >= maxOutliving {
		return nil
	}
	r.running++
	return &run{}
}

func (r *runs) end(one *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.ended = true
	r.running--
	if one.outlived {
		r.outlived--
	}
	if r.stopped && r.running == 0 {
		close(r.idle)
	}
}

// outlives notes that a run was answered before its end.
func (r *runs) outlives(one *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !one.ended {
		one.outlived = true
		r.outlived++
	}
}

func (r *runs) closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// close lets nothing begin any more and returns a channel that closes when nothing runs.
func (r *runs) close() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return r.idle
	}
	r.stopped, r.idle = true, make(chan struct{})
	if r.running == 0 {
		close(r.idle)
	}
	return r.idle
}
