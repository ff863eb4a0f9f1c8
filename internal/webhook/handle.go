package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/inbound"
	"github.com/telemed-go/telemed/store"
)

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		inbound.Bound(w, r)
		w.Header().Set("Allow", http.MethodPost)
		respond(w, http.StatusMethodNotAllowed, "method not allowed")
		return
	}
	if d.runs.closed() {
		inbound.Bound(w, r)
		respondAgain(w, "shutting down")
		return
	}
	body, err := inbound.Read(w, r, d.cfg.MaxBody)
	if err != nil {
		d.refuse(w, r, inbound.Status(err), errors.New("the body could not be read"))
		return
	}
	delivery, err := d.cfg.Open(r.Context(), r.Header, body)
	if err == nil {
		err = d.checkAge(delivery.SignedAt, time.Now())
	}
	switch {
	case errors.Is(err, telemed.ErrInvalid):
		d.refuse(w, r, http.StatusBadRequest, err)
	case err != nil:
		d.refuse(w, r, http.StatusUnauthorized, err)
	case delivery.Answer != nil:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(delivery.Answer)
	case len(delivery.Events) == 0:
		respond(w, http.StatusOK, "ignored")
	default:
		d.answer(r.Context(), w, delivery.Events)
	}
}

var errAge = errors.New("the delivery was signed too long ago or in the future")

func (d *Door) checkAge(signed, now time.Time) error {
	if d.cfg.Tolerance == 0 {
		return nil
	}
	if age := now.Sub(signed); age > d.cfg.Tolerance || age < -Ahead {
		return errAge
	}
	return nil
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	d.cfg.Logger.LogAttrs(r.Context(), slog.LevelWarn, "webhook refused",
		slog.Int("status", status), slog.Any("error", err))
	respond(w, status, refusals[status])
}

// refusals are what a sender is told. That is the same whatever was wrong with a
// signature.
var refusals = map[int]string{
	http.StatusBadRequest:            "cannot be read",
	http.StatusUnauthorized:          "signature mismatch",
	http.StatusRequestTimeout:        "the body came too slowly",
	http.StatusRequestEntityTooLarge: "too large",
}

func respond(w http.ResponseWriter, status int, text string) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func respondAgain(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", retryAfter)
	respond(w, http.StatusServiceUnavailable, text)
}

// answer hands events to the application and answers in time, whether that returns or not.
func (d *Door) answer(ctx context.Context, w http.ResponseWriter, events []Event) {
	run := d.runs.begin()
	if run == nil {
		d.cfg.Logger.LogAttrs(ctx, slog.LevelError, "webhook not handled: shut down, or too many handlers do not return")
		respondAgain(w, "try again later")
		return
	}
	result := make(chan result, 1)
	go d.run(ctx, run, events, result)
	timer := time.NewTimer(d.cfg.Timeout + Grace)
	defer timer.Stop()
	select {
	case got := <-result:
		got.respond(w)
	case <-timer.C:
		d.runs.outlives(run)
		d.log(ctx, run.current.Load(), "webhook handler does not return in time: it runs on",
			slog.Duration("timeout", d.cfg.Timeout), slog.Int("events", len(events)))
		respondAgain(w, "still being handled")
	}
}

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
