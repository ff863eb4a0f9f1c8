package realtimetest

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/realtime"
)

// Broadcast is what a Recorder was told to send.
type Broadcast struct {
	Room string
	Name string            // the event's
	Data json.RawMessage   // the event's, as a client that knows only JSON would get it
	More []json.RawMessage // the event's, likewise
}

// Recorder is a realtime.Broadcaster that sends nothing and remembers
// everything. The zero value is ready. It is safe for concurrent use.
type Recorder struct {
	errors fake.Errors
	sent   fake.Log[Broadcast]
}

// OpBroadcast is the one operation, for FailNext and FailAfter.
const OpBroadcast = "Broadcast"

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
	m, err := ev.Encode()
	if err != nil {
		return fmt.Errorf("realtimetest: Broadcast: %w", err)
	}
	_, err = fake.Do(&r.errors, OpBroadcast, func() (int, error) {
		data, more := m.JSON()[0], m.JSON()[1:]
		return r.sent.Add(Broadcast{Room: room, Name: m.Name, Data: data, More: append([]json.RawMessage(nil), more...)}), nil
	})
	return err
}

// FailNext makes the next calls of op fail, each with one of errs, and nothing is
// recorded. The op is OpBroadcast or empty. A nil among errs lets a call through.
func (r *Recorder) FailNext(op string, errs ...error) { r.errors.FailNext(op, errs...) }

// FailAfter is FailNext for broadcasts that are recorded all the same.
func (r *Recorder) FailAfter(op string, errs ...error) { r.errors.FailAfter(op, errs...) }

// All returns what was recorded until now, the oldest first.
func (r *Recorder) All() []Broadcast { return r.sent.All() }

// WaitFor returns the first broadcast that match accepts, and waits for it until ctx
// ends. Use it where the application broadcasts in the background.
func (r *Recorder) WaitFor(ctx context.Context, match func(Broadcast) bool) (Broadcast, error) {
	return r.sent.WaitFor(ctx, match)
}
