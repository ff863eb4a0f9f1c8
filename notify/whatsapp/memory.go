package whatsapp

import "sync"

// memory remembers the last ids that it was given.
type memory struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring []string
	next int
}

func newMemory(size int) *memory {
	return &memory{ids: map[string]bool{}, ring: make([]string, max(0, size))}
}

// has never knows the empty id, which stands for "none".
func (m *memory) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[id]
}

func (m *memory) add(id string) {
	if id == "" || len(m.ring) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids[id] {
		return
	}
	delete(m.ids, m.ring[m.next])
	m.ring[m.next], m.ids[id] = id, true
	m.next = (m.next + 1) % len(m.ring)
}
