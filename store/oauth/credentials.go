package oauth

import (
	"sync"
	"time"

	"github.com/telemed-go/telemed/store"
)

// credentials remembers that the provider refuses the application itself, whose secret
// has run out, say. Then a pause holds for all accounts: without it each doctor's next
// call would ask in vain. One account alone may be odd, so it takes two in a row. When
// the pause is over, one account asks for all.
//
// The zero value is ready to use. It is safe for concurrent use.
type credentials struct {
	mu    sync.Mutex
	last  store.AccountID // with which they were refused last
	err   error           // how; nil: they were not
	until time.Time
	times int // pauses so far
}

// paused returns why no account is to be refreshed now, or nil.
func (c *credentials) paused(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why(now)
}

// why is paused. mu is held.
func (c *credentials) why(now time.Time) error {
	if left := c.until.Sub(now); left > 0 {
		return &pausedError{c.err, left}
	}
	return nil
}

// begin is paused for an attempt that is about to ask. If it may, others wait for as long
// as that takes at most: of many that begin at once when a pause is over, one may.
func (c *credentials) begin(now time.Time, atMost time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.why(now); err != nil {
		return err
	}
	if c.times > 0 {
		c.until = now.Add(atMost)
	}
	return nil
}

// refuse notes that they were refused.
func (c *credentials) refuse(id store.AccountID, err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alone := c.times == 0 && (c.err == nil || c.last == id)
	c.last, c.err = id, err
	if alone {
		return
	}
	c.until = now.Add(min(shortestCooldown<<min(c.times, 10), longestCooldown))
	c.times++
}

// accept notes that they were not.
func (c *credentials) accept() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.err, c.until, c.times = store.AccountID{}, nil, time.Time{}, 0
}
