package fake

import (
	"sync/atomic"
	"time"
)

// Clock is the time in a fake: the machine's and what Advance added. The zero value is
// ready to use. It is safe for concurrent use.
type Clock struct{ ahead atomic.Int64 }

// Now returns the time in the fake.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves the time in the fake ahead by d.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }
