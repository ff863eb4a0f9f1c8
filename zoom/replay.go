package zoom

import (
	"sync"
	"time"
)

// maxReplays bounds the cache: some 2 MB. Beyond it the oldest deliveries are forgotten.
const maxReplays = 16384

// replayCache remembers deliveries for as long as their timestamps would pass.
type replayCache struct {
	mu    sync.Mutex
	keep  time.Duration
	state map[string]replayState
	order []replay // by time; what end removed from state stays here until its time is up
}

type replay struct {
	id    string
	until time.Time
}

type replayState int

const (
	replayNew replayState = iota
	replayRunning
	replayDone
)

func newReplayCache(keep time.Duration) *replayCache {
	return &replayCache{keep: keep, state: map[string]replayState{}}
}

// begin returns what is known of a delivery. If it is new, it is running from now on.
func (c *replayCache) begin(id string, now time.Time) replayState {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.order) > 0 && (len(c.order) >= maxReplays || now.After(c.order[0].until)) {
		delete(c.state, c.order[0].id)
		c.order = c.order[1:]
	}
	if state, known := c.state[id]; known {
		return state
	}
	c.state[id] = replayRunning
	c.order = append(c.order, replay{id, now.Add(c.keep)})
	return replayNew
}

// end notes that a delivery was handled, or forgets it so that it can be sent again.
func (c *replayCache) end(id string, handled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !handled {
		delete(c.state, id)
		return
	}
	c.state[id] = replayDone
}
