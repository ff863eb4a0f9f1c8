package realtime

import "time"

// Observed is what an [Observation] is about.
type Observed string

// What Config.Observe hears of.
const (
	Connected Observed = "connected" // a connection has begun
	Refused   Observed = "refused"   // a connection or a join was, see Stats.Refused
	Joined    Observed = "joined"    // a connection is in one more room
	Behind    Observed = "behind"    // more waits for a connection than may
	CaughtUp  Observed = "caught up" // a connection is not behind any more
	Recovered Observed = "recovered" // a client has come back, and misses nothing
	Gap       Observed = "gap"       // the journal has one: all connections end
	Ended     Observed = "ended"     // a connection has ended
)

// Observation is one thing that has happened in a hub. It holds nothing of an event, and no
// names of rooms, clients or subjects.
type Observation struct {
	What  Observed
	Cause error         // of Ended, as that of [Conn.Context]
	Age   time.Duration // of the connection, where there is one
	// Transport is what the connection's Output says of itself by a method
	// Transport() string, if it has one.
	Transport string
}

// maxObservations is how many may wait for Config.Observe.
const maxObservations = 10_000

type observed struct {
	Observation
	conn *Conn
}

func (h *Hub) observe(what Observed, conn *Conn) {
	if h.cfg.Observe == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observeLocked(what, conn, nil)
}

// observeLocked has Config.Observe called, in a goroutine that exists while it has work.
func (h *Hub) observeLocked(what Observed, conn *Conn, cause error) {
	if h.cfg.Observe == nil || len(h.observations) >= maxObservations {
		return
	}
	o := observed{Observation{What: what, Cause: cause}, conn}
	if conn != nil {
		o.Age = time.Since(conn.began)
	}
	h.observations = append(h.observations, o)
	if !h.observing {
		h.observing = true
		h.work++
		go h.observeAll()
	}
}

func (h *Hub) observeAll() {
	for list := h.takeObservations(); list != nil; list = h.takeObservations() {
		for _, o := range list {
			h.observeOne(o)
		}
	}
}

func (h *Hub) takeObservations() []observed {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.observations
	h.observations = nil
	if list == nil {
		h.observing = false
		h.workDoneLocked()
	}
	return list
}

func (h *Hub) observeOne(o observed) {
	defer func() {
		if cause := recover(); cause != nil {
			h.logPanic(cause)
		}
	}()
	if o.conn != nil {
		if output, ok := o.conn.output.(interface{ Transport() string }); ok {
			o.Transport = output.Transport()
		}
	}
	h.cfg.Observe(o.Observation)
}
