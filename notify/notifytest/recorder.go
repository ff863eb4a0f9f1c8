// Package notifytest has what an application tests its notifications with: a [Recorder]
// that keeps messages in memory and fails when told to, and [Run], the
// conformance suite for every implementation of notify.Notifier.
//
//	told := &notifytest.Recorder{Channel: notify.Email}
//	clinic := hospital.New(hospital.Config{Notifier: told})
//	…
//	msgs := told.Messages()
//
// With [Recorder.Reports] it also tells later what became of a message, as providers do by
// webhook, and it can be asked as a notify.Evidence.
//
// # Errors
//
// A Recorder checks messages as the real channels do and so gives
// telemed.ErrInvalid for a message that none of them would take.
package notifytest

import (
	"context"
	"strconv"
	"time"

	"github.com/telemed-go/telemed/internal/fake"
	"github.com/telemed-go/telemed/notify"
)

// Recorder is a notify.Notifier that keeps what it is given. The zero value is
// ready to use. It is safe for concurrent use; set its fields before the first call.
type Recorder struct {
	// Channel is the channel that it stands for. If empty, notify.Email.
	Channel notify.Channel
	// Renderer makes the Content of messages that have a Template. If nil, they are kept
	// as they come.
	Renderer notify.Renderer
	// Reports takes what Report and Stop tell, as a provider's webhook would. If nil, they
	// fail.
	Reports func(ctx context.Context, r notify.Report) error

	errors   fake.Errors
	messages fake.Log[notify.Message]
}

// OpNotify is the one operation, for FailNext and FailAfter.
const OpNotify = "Notify"

var (
	_ notify.Notifier = (*Recorder)(nil)
	_ notify.Evidence = (*Recorder)(nil)
)

// Notify keeps msg, or fails as told by FailNext and FailAfter.
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
	return fake.Do(&r.errors, OpNotify, func() (*notify.Receipt, error) {
		number := r.messages.Add(msg) + 1
		return &notify.Receipt{Channel: r.channel(), ID: "recorded-" + strconv.Itoa(number), At: time.Now()}, nil
	})
}

// FailNext makes the next calls of op fail, each with one of errs, and the messages are
// not kept. The op is OpNotify or empty. A nil among errs lets a call through.
func (r *Recorder) FailNext(op string, errs ...error) { r.errors.FailNext(op, errs...) }

// FailAfter is FailNext for messages that are kept all the same: only the answers are
// lost.
func (r *Recorder) FailAfter(op string, errs ...error) { r.errors.FailAfter(op, errs...) }

// Messages returns what was kept, oldest first.
func (r *Recorder) Messages() []notify.Message { return r.messages.All() }

// WaitFor returns the first message that match accepts, waiting for it until ctx ends.
func (r *Recorder) WaitFor(ctx context.Context, match func(notify.Message) bool) (notify.Message, error) {
	return r.messages.WaitFor(ctx, match)
}
