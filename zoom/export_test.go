package zoom

import "time"

// ListSettlesIn has the client believe a list in which a meeting is missing after d, where
// the list of a test is never further behind. Call it before the client is used.
func (c *Client) ListSettlesIn(d time.Duration) { c.minSettle = d }
