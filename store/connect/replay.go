package connect

import (
	"context"
	"sync"
	"time"
)

// ReplayGuard remembers which flows came back, for all servers of a host. An
// implementation on a database inserts id under a unique index.
type ReplayGuard interface {
	// Once returns true the first time that it is called with id, and false until then ever after.
	// It may forget id after until. It is safe for concurrent use.
	Once(ctx context.Context, id string, until time.Time) (bool, error)
}

// NewMemoryReplayGuard returns a guard for a host with one process.
func NewMemoryReplayGuard() ReplayGuard { return &memoryGuard{seen: map[string]time.Time{}} }

type memoryGuard struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// Once implements ReplayGuard. What has expired is forgotten on the way.
func (g *memoryGuard) Once(_ context.Context, id string, until time.Time) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for old, end := range g.seen {
		if now.After(end) {
			delete(g.seen, old)
		}
	}
	if _, seen := g.seen[id]; seen {
		return false, nil
	}
	g.seen[id] = until
	return true, nil
}
