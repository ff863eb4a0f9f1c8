package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/telemed-go/telemed/store"
)

// result is what came of the events of one delivery.
type result struct{ handled, duplicates, busy, failed int }

func (r result) respond(w http.ResponseWriter) {
	switch {
	case r.failed > 0:
		respond(w, http.StatusInternalServerError, "failed")
	case r.busy > 0:
		respondAgain(w, "try again")
	case r.handled == 0:
		respond(w, http.StatusOK, "duplicate")
	default:
		respond(w, http.StatusOK, "ok")
	}
}

// run handles events in a goroutine of its own, which d.runs owns. Of the request's
// context it keeps the values: a provider that hangs up ends nothing.
func (d *Door) run(ctx context.Context, run *run, events []Event, into chan<- result) {
	defer d.runs.end(run)
	got := result{failed: 1} // if Handle ends this goroutine
	defer func() { into <- got }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Timeout)
	defer cancel()
	got = d.handleAll(ctx, run, events)
}

func (d *Door) handleAll(ctx context.Context, run *run, events []Event) result {
	var got result
	for i := range events {
		if ctx.Err() != nil {
			got.busy++ // there was no time for it
			continue
		}
		run.current.Store(&events[i])
		d.handle(ctx, &events[i], &got)
	}
	if again := got.busy + got.failed; again > 0 && len(events) > 1 {
		d.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "webhook will be sent again",
			slog.Int("events", len(events)), slog.Int("failures", again))
	}
	return got
}

// handle handles an event, unless that was done before or is being done.
func (d *Door) handle(ctx context.Context, e *Event, got *result) {
	h, state, err := d.claim(ctx, e)
	switch {
	case err != nil:
		d.log(ctx, e, "webhook event could not be claimed", slog.Any("error", err))
		got.busy++
		return
	case state == store.ClaimDone:
		got.duplicates++
		return
	case state != store.ClaimNew:
		got.busy++
		return
	}
	err = errExit
	defer func() { // also if Handle ends this goroutine
		if d.settle(ctx, e, h, err) {
			got.handled++
		} else {
			got.failed++
		}
	}()
	err = d.call(ctx, e)
}

// bookTime is how long a call of Claims may take after the event was handled.
const bookTime = 5 * time.Second

// settle notes what came of an event and reports whether it is over and done with.
func (d *Door) settle(ctx context.Context, e *Event, h *hold, err error) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTime)
	defer cancel()
	permanent := IsPermanent(err)
	if err != nil {
		d.log(ctx, e, "webhook event was not handled", d.cause(err), slog.Bool("permanent", permanent))
	}
	if err != nil && !permanent {
		if err := h.release(ctx); err != nil {
			d.log(ctx, e, "webhook event could not be released", slog.Any("error", err))
		}
		return false
	}
	if err := h.complete(ctx, d.cfg.Keep); err != nil {
		// It was handled: without the provider's 200 it would surely be handled again.
		d.log(ctx, e, "webhook event was handled but could not be marked as done", slog.Any("error", err))
	}
	return true
}

// call runs Handle. A panic is an error, told by its type and place: its text may hold
// anything.
func (d *Door) call(ctx context.Context, e *Event) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w with %T at %s", errPanic, cause, place())
		}
	}()
	return e.Handle(ctx)
}

// place names the functions from the one that panicked up to call, without their
// arguments.
func place() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	var found []string
	panicked := false
	for {
		frame, more := frames.Next()
		if panicked && strings.HasSuffix(frame.Function, ".(*Door).call") || !more {
			return strings.Join(found, " < ")
		}
		if panicked && !strings.HasPrefix(frame.Function, "runtime.") {
			found = append(found, fmt.Sprintf("%s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line))
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
	}
}

// log tells of an event; e may be nil.
func (d *Door) log(ctx context.Context, e *Event, message string, attrs ...slog.Attr) {
	if e != nil {
		attrs = append(attrs, e.Attrs...)
	}
	d.cfg.Logger.LogAttrs(ctx, slog.LevelError, message, attrs...)
}

// cause is what the log says of an error.
func (d *Door) cause(err error) slog.Attr {
	own := errors.Is(err, errPanic) || errors.Is(err, errExit) || errors.Is(err, errUnread)
	if d.cfg.HideErrors && !own {
		return slog.String("error_type", fmt.Sprintf("%T", err))
	}
	return slog.Any("error", err)
}
