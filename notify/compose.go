package notify

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// Fallback returns a Notifier that tries each of ns in turn until one accepts.
//
// It goes on to the next channel only after an error that says this channel cannot take
// the message: ErrRecipient, telemed.ErrForbidden, telemed.ErrUnauthorized, or
// telemed.ErrInvalid (a recipient without a phone number, for instance). It stops at
// telemed.ErrAmbiguous, since the message may have gone out; at telemed.ErrRateLimited
// and telemed.ErrUnavailable, since waiting is better (put a [Retry] inside); and when
// ctx ends. The error then holds those of every channel that was tried, and ctx's if its
// end is why there were no more.
func Fallback(ns ...Notifier) Notifier {
	return NotifierFunc(func(ctx context.Context, msg Message) (*Receipt, error) {
		if len(ns) == 0 {
			return nil, errNoNotifier
		}
		var errs []error
		for i, n := range ns {
			if i > 0 && ctx.Err() != nil {
				errs = append(errs, ctx.Err())
				break
			}
			receipt, err := n.Notify(ctx, msg)
			if err == nil {
				return receipt, nil
			}
			errs = append(errs, err)
			if !elsewhere(err) {
				break
			}
		}
		return nil, errors.Join(errs...)
	})
}

var errNoNotifier = errors.New("notify: there is no notifier to send with")

func elsewhere(err error) bool {
	return !isAny(err, telemed.ErrAmbiguous, telemed.ErrRateLimited, telemed.ErrUnavailable) &&
		isAny(err, ErrRecipient, telemed.ErrForbidden, telemed.ErrUnauthorized, telemed.ErrInvalid)
}

func isAny(err error, kinds ...error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// Fanout sends msg over all of ns at once and waits for every one. It returns a
// receipt for each that accepted, in the order of ns, and the joined errors of
// the others: both may be there. Use it where a patient is to be told on every
// channel; [Fallback] tells them on one. If one of ns panics, Fanout does, when
// the others are through.
func Fanout(ctx context.Context, msg Message, ns ...Notifier) ([]*Receipt, error) {
	receipts := make([]*Receipt, len(ns))
	errs := make([]error, len(ns))
	panics := make([]string, len(ns))
	var wg sync.WaitGroup
	for i, n := range ns {
		wg.Go(func() {
			defer func() {
				if cause := recover(); cause != nil { // here it would end the whole program
					panics[i] = fmt.Sprintf("%v\n\n%s", cause, debug.Stack())
				}
			}()
			receipts[i], errs[i] = n.Notify(ctx, msg)
		})
	}
	wg.Wait()
	for _, text := range panics {
		if text != "" {
			panic(text)
		}
	}
	accepted := receipts[:0]
	for i, receipt := range receipts {
		if errs[i] == nil {
			accepted = append(accepted, receipt)
		}
	}
	return accepted, errors.Join(errs...)
}

// RetryPolicy says how often and how patiently [Retry] repeats. The zero value
// is three attempts, about one and two seconds apart.
type RetryPolicy struct {
	// Attempts is how often a message is tried in all. If 0, 3.
	Attempts int
	// Base is the wait before the second attempt; it doubles from there, and a
	// random part of up to a half is taken off. If 0, 1 second.
	Base time.Duration
	// Max bounds one wait. An answer that asks to come back later than this ends
	// the attempts: keep the message for a queue. If 0, 30 seconds.
	Max time.Duration
}

// Retry returns a Notifier that repeats what n surely did not send: after
// telemed.ErrRateLimited and telemed.ErrUnavailable, while ctx lives, waiting as long as
// the provider asked for. It never repeats after telemed.ErrAmbiguous or any other error.
// The error is that of the last attempt, with ctx's if that ended the wait.
//
// Package whatsapp repeats by itself: set its Config.Attempts to 1 inside Retry,
// or the attempts of both multiply. Package smtp makes one attempt.
func Retry(n Notifier, policy RetryPolicy) Notifier {
	if policy.Attempts <= 0 {
		policy.Attempts = 3
	}
	if policy.Base <= 0 {
		policy.Base = time.Second
	}
	if policy.Max <= 0 {
		policy.Max = 30 * time.Second
	}
	return NotifierFunc(func(ctx context.Context, msg Message) (*Receipt, error) {
		for attempt := 1; ; attempt++ {
			receipt, err := n.Notify(ctx, msg)
			if err == nil || attempt == policy.Attempts || !unsent(err) {
				return receipt, err
			}
			if pause, ok := policy.pause(attempt, err); !ok || !sleep(ctx, pause) {
				return nil, ended(ctx, err)
			}
		}
	})
}

// ended adds the end of ctx to err, if ctx has ended and err does not say so.
func ended(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ctx.Err())
}

func unsent(err error) bool {
	return isAny(err, telemed.ErrRateLimited, telemed.ErrUnavailable) && !errors.Is(err, telemed.ErrAmbiguous)
}

func (p RetryPolicy) pause(attempt int, err error) (time.Duration, bool) {
	if asked := RetryAfter(err); asked > 0 {
		return asked, asked <= p.Max
	}
	pause := p.Base
	for range attempt - 1 {
		pause = min(2*pause, p.Max)
	}
	return wait.Jitter(min(pause, p.Max)), true
}

// sleep reports whether d went by; if ctx would end first it does not begin.
func sleep(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	return wait.For(ctx, d) == nil
}

// RetryAfter returns how long the provider asked to wait before the message is
// repeated, or 0 if err does not say. It asks the first error in err's tree that
// has the method RetryDelay() time.Duration.
func RetryAfter(err error) time.Duration {
	if delayed, ok := errors.AsType[interface {
		RetryDelay() time.Duration
		error
	}](err); ok {
		return max(0, delayed.RetryDelay())
	}
	return 0
}
