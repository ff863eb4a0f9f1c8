// Package notifytest has what an application tests its notifications with: a [Recorder]
// that keeps messages in memory and fails when told to, and [Run], the
// conformance suite for every implementation of notify.Notifier.
//
//	told := &notifytest.Recorder{Channel: notify.Email}
//	clinic := hospital.New(hospital.Config{Notifier: told})
//	…
//	msgs := told.Messages()
//
// # Errors
//
// A Recorder checks messages as the real channels do and so gives
// telemed.ErrInvalid for a message that none of them would take.
package notifytest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/notify"
)

// Recorder is a notify.Notifier that keeps what it is given. The zero value is
// ready to use. It is safe for concurrent use; set its fields before the first call.
type Recorder struct {
	// Channel is the channel that it stands for. If empty, notify.Email.
	Channel notify.Channel
	// Renderer makes the Content of messages that have a Template. If nil, they are kept as
	// they come.
	Renderer notify.Renderer

	mu       sync.Mutex
	messages []notify.Message
	next     []error
	always   error
	arrived  chan struct{} // closed and replaced whenever messages grows
}

var _ notify.Notifier = (*Recorder)(nil)

// Notify keeps msg, or fails as told by Fail and FailNext. A message that fails
// is not kept, except with telemed.ErrAmbiguous: that one did arrive, and only
// the answer was lost.
func (r *Recorder) Notify(ctx context.Context, msg notify.Message) (*notify.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := msg.Validate(r.channel()); err != nil {
		return nil, err
	}
	if msg.Content == nil && r.Renderer != nil {
		content, err := r.Renderer.Render(msg)
		if err != nil {
			return nil, err
		}
		if err := content.Validate(r.channel()); err != nil {
			return nil, err
		}
		msg.Content = content
	}
	return r.keep(msg)
}

func (r *Recorder) channel() notify.Channel {
	if r.Channel == "" {
		return notify.Email
	}
	return r.Channel
}

func (r *Recorder) keep(msg notify.Message) (*notify.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.always
	if len(r.next) > 0 {
		err, r.next = r.next[0], r.next[1:]
	}
	if err != nil && !errors.Is(err, telemed.ErrAmbiguous) {
		return nil, err
	}
	r.messages = append(r.messages, msg)
	if r.arrived != nil {
		close(r.arrived)
		r.arrived = nil
	}
	if err != nil {
		return nil, err
	}
	return &notify.Receipt{Channel: r.channel(), ID: "recorded-" + strconv.Itoa(len(r.messages)), At: time.Now()}, nil
}

// FailNext makes the next calls fail with errs, one each; a nil among them lets one
// through.
func (r *Recorder) FailNext(errs ...error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = append(r.next, errs...)
}

// Fail makes every call fail with err until Fail(nil). FailNext goes before it.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.always = err
}

// Messages returns what was kept, oldest first.
func (r *Recorder) Messages() []notify.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]notify.Message(nil), r.messages...)
}

// WaitFor returns the first message that match accepts, waiting for it until ctx ends.
func (r *Recorder) WaitFor(ctx context.Context, match func(notify.Message) bool) (notify.Message, error) {
	for seen := 0; ; {
		r.mu.Lock()
		fresh := r.messages[seen:]
		seen = len(r.messages)
		if r.arrived == nil {
			r.arrived = make(chan struct{})
		}
		arrived := r.arrived
		r.mu.Unlock()
		for _, msg := range fresh {
			if match(msg) {
				return msg, nil
			}
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return notify.Message{}, ctx.Err()
		}
	}
}
