package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// job is a row in a worker's hands. It is used by one goroutine.
type job struct {
	runner *Runner
	kind   Kind
	owners []string  // of this job's leases: each write that keeps the lease has a new one
	due    time.Time // Item.Due, as far as this job has a hand in it
	item   Item      // as it was read or written last
	begin  time.Time // when the write of the lease began
	died   bool      // whoever had the row before ended while it had it
	turn   *turn
}

// burst is how many effects of one row follow each other before others have their turn.
const burst = 16

// run does what is to be done about the row until nothing is, and gives it back. When ctx
// ends it begins nothing more.
func (j *job) run(ctx context.Context) {
	entered := j.enter(ctx)
	defer func() { j.leave(entered) }()
	done := outcome{}
	if j.died {
		done = outcome{effect: unnamed, err: errDied}
	}
	for n := 0; ; n++ {
		effect, ok := j.write(done, entered && n < burst && ctx.Err() == nil)
		if !ok {
			return
		}
		done = j.do(effect)
	}
}

// outcome is what came of an effect. The zero value is that there was none.
type outcome struct {
	effect string
	fact   Fact
	err    error
	took   time.Duration
}

var (
	errLate = errors.New("the lease is half over")
	// errDied is counted by the write that leases the row anew: it may be the last thing
	// that this process does too.
	errDied = errors.New("the process ended while it ran")
)

// unnamed is an effect whose name nobody knows.
const unnamed = "effect"

// over reports whether half of the lease has passed, by either clock of this process: the
// one that only runs may stop while the machine sleeps, and the other one may be set. A
// context does not tell: after a freeze it may not have ended yet.
func (j *job) over() bool {
	now, half := time.Now(), j.item.Lease.TTL/2
	return now.Sub(j.begin) >= half || now.Round(0).Sub(j.begin.Round(0)) >= half
}

// do does the effect, within half of the lease. What came too late is written down as
// known, but whether it is believed is decided by who has the row then.
func (j *job) do(effect Effect) outcome {
	if j.over() {
		return outcome{effect: effect.Name, err: errLate}
	}
	ctx, cancel := context.WithDeadline(context.Background(), j.begin.Add(j.item.Lease.TTL/2))
	defer cancel()
	begin := time.Now()
	done := outcome{effect: effect.Name}
	done.err = j.guarded("Do", func() (err error) {
		done.fact, err = effect.Do(ctx)
		return err
	})
	done.took = time.Since(begin)
	return done
}

// panicked is an error for a panic. Its text may hold anything, so it is not told.
type panicked struct{ what, kind string }

// Error implements error.
func (p *panicked) Error() string { return fmt.Sprintf("%s panicked with a %s", p.what, p.kind) }

func (j *job) guarded(what string, f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			p := &panicked{what, fmt.Sprintf("%T", cause)}
			j.runner.cfg.Logger.Error("durable: code of the application panicked", slog.Any("row", j.item),
				slog.String("what", what), slog.String("type", p.kind), slog.String("stack", string(debug.Stack())))
			err = p
		}
	}()
	return f()
}

// tell tells who wants to know what came of an effect.
func (j *job) tell(done outcome) {
	if done.effect == "" {
		return
	}
	stuck := j.item.Stuck != "" && done.err != nil
	cfg := j.runner.cfg
	if done.err != nil {
		cfg.Logger.Warn("durable: effect failed", slog.Any("row", j.item), slog.String("effect", done.effect), slog.Any("error", done.err))
	}
	if cfg.Observe != nil {
		_ = j.guarded("Observe", func() error {
			cfg.Observe(Event{ID: j.item.ID, Tenant: j.item.Tenant, Effect: done.effect, Err: done.err, Took: done.took, Attempts: j.item.Attempts, Stuck: stuck})
			return nil
		})
	}
	if stuck && cfg.OnStuck != nil {
		_ = j.guarded("OnStuck", func() error { cfg.OnStuck(j.item.Clone()); return nil })
	}
}
