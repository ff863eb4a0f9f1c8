package realtimetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/telemed-go/telemed/realtime"
)

// Broadcast is what a Recorder was told to send.
type Broadcast struct {
	Room string
	Name string          // the event's
	Data json.RawMessage // the event's, encoded as a client would get it
}

// Recorder is a realtime.Broadcaster that sends nothing and remembers
// everything. The zero value is ready. It is safe for concurrent use.
type Recorder struct {
	mu   sync.Mutex
	list []Broadcast
	more chan struct{} // closed at the next broadcast; nil if nobody waits
	fail error
}

var _ realtime.Broadcaster = (*Recorder)(nil)

// Broadcast records ev. It refuses what a Hub refuses, with the same errors, save
// an event that is too large: it knows no hub's Config.MaxEventSize.
func (r *Recorder) Broadcast(ctx context.Context, room string, ev realtime.Event) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("realtimetest: Broadcast: %w", err)
	}
	if err := realtime.CheckRoom(room); err != nil {
		return err
	}
	data, err := ev.Encode()
	if err != nil {
		return fmt.Errorf("realtimetest: Broadcast: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.list = append(r.list, Broadcast{Room: room, Name: ev.Name, Data: data})
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
	return nil
}

// Fail makes the following broadcasts return err, and record nothing. nil ends that.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// All returns what was recorded until now, the oldest first.
func (r *Recorder) All() []Broadcast {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// Wait returns the first n broadcasts as soon as there are so many, or ctx's
// error and what there is. Use it where the application broadcasts in the background.
func (r *Recorder) Wait(ctx context.Context, n int) ([]Broadcast, error) {
	for {
		list, more := r.atLeast(n)
		if more == nil {
			return list, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return list, fmt.Errorf("realtimetest: Wait: %d of %d broadcasts: %w", len(list), n, ctx.Err())
		}
	}
}

// atLeast returns n broadcasts, or those that there are and a channel to wait on.
func (r *Recorder) atLeast(n int) ([]Broadcast, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) >= n {
		return slices.Clone(r.list[:n]), nil
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return slices.Clone(r.list), r.more
}
