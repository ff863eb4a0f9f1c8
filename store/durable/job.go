package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// job is a row in a worker's hands. It is used by one goroutine.
type job struct {
	runner *Runner
	kind   Kind
	owner  string
	item   Item      // as it was read or written last
	begin  time.Time // when the write of the lease began
}

// newJob returns the job of a row that was leased. There may be an older job of the row
// that has given it back and not ended, or that lost it: the lease is the new one's.
func (r *Runner) newJob(item Item, begin time.Time) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mine[item.ID] = item.Lease.Owner
	return &job{runner: r, kind: r.cfg.Kinds[item.ID.Kind], owner: item.Lease.Owner, item: item, begin: begin}
}

// end forgets the row, unless a newer job has it.
func (j *job) end() {
	j.runner.mu.Lock()
	defer j.runner.mu.Unlock()
	if j.runner.mine[j.item.ID] == j.owner {
		delete(j.runner.mine, j.item.ID)
	}
}

// has reports whether the row is in this process's hands.
func (r *Runner) has(id ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, busy := r.mine[id]
	return busy
}

// burst is how many effects of one row follow each other before others have their turn.
const burst = 16

// run does what is to be done about the row until nothing is, and gives it back. When ctx
// ends it begins nothing more.
func (j *job) run(ctx context.Context) {
	defer j.end()
	done := outcome{}
	for n := 0; ; n++ {
		effect, ok := j.write(done, n < burst && ctx.Err() == nil)
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

var errLate = errors.New("the lease is half over")

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

// write writes down what came of an effect together with what follows from it: the next
// effect, for which the lease is kept, or that the row is given back. It returns the
// effect; ok is false if the row is out of this worker's hands.
//
// It goes on for a lease's time, whatever happens to this lease meanwhile: what was found
// out is merged into the row as it is by then.
func (j *job) write(done outcome, more bool) (effect Effect, ok bool) {
	ctx, cancel := wait.Timeout(context.Background(), j.runner.cfg.LeaseTTL)
	defer cancel()
	for n := 0; ; n++ {
		next, effect, failure := j.follow(done, more)
		begin, revision, err := time.Now(), next.Revision, error(nil)
		if !sameRow(next, j.item) {
			revision, err = j.runner.cfg.Store.Put(ctx, next)
		}
		if err == nil {
			if revision != next.Revision {
				next.Revision, j.begin = revision, begin
			}
			j.item = Kept(next)
			j.tell(failure)
			return effect, effect.Do != nil
		}
		if !j.again(ctx, n, err) {
			return Effect{}, false
		}
	}
}

func sameRow(a, b Item) bool {
	return string(a.Data) == string(b.Data) && string(a.Audit) == string(b.Audit) && a.Due.Equal(b.Due) &&
		a.EraseAt.Equal(b.EraseAt) && a.Version == b.Version && a.Attempts == b.Attempts && a.Stuck == b.Stuck && a.Lease == b.Lease
}

// follow returns the row as it is to be written, and the effect that comes next: none if
// the row is, or will be, out of this worker's hands. told is done, or why it could not be
// gone on from there.
func (j *job) follow(done outcome, more bool) (next Item, effect Effect, told outcome) {
	next = j.item.Clone()
	if done.fact != nil {
		if err := j.guarded("Fact", func() error { return done.fact(&next) }); err != nil {
			next, done.err = j.item.Clone(), err
		}
	}
	switch {
	case j.item.Lease.Owner != j.owner: // others have it, and decide what follows
		return next, Effect{}, done
	case done.err != nil:
		j.failed(&next, done.effect, done.err)
		return next, Effect{}, done
	case done.effect != "":
		next.Attempts = 0
	}
	known := next.Clone()
	effect, err := j.plan(&next, more)
	if err != nil {
		j.failed(&known, "plan", err)
		return known, Effect{}, outcome{effect: "plan", err: err}
	}
	return next, effect, done
}

// plan asks what is next and prepares the row for it: for the effect, or to be given back.
func (j *job) plan(next *Item, more bool) (effect Effect, err error) {
	now := time.Now()
	err = j.guarded("Plan", func() (err error) {
		effect, err = j.kind.Plan(next.Clone(), now)
		return err
	})
	switch {
	case err != nil:
		return Effect{}, err
	case effect.Do == nil:
		next.Due, next.Lease = millisUp(effect.At), Lease{}
	case !more:
		next.Due, next.Lease = now, Lease{}
		return Effect{}, nil
	case effect.Ahead != nil:
		err = j.guarded("Ahead", func() error { return effect.Ahead(next) })
	}
	return effect, err
}

// failed gives the row back after a failure, to be tried again later, or stuck.
func (j *job) failed(next *Item, effect string, err error) {
	next.Lease = Lease{}
	now := time.Now()
	var delayed interface{ RetryDelay() time.Duration }
	switch {
	case errors.Is(err, errLate): // nothing was begun
		next.Due = now
		return
	case errors.As(err, &delayed) && delayed.RetryDelay() > 0:
		next.Due = now.Add(min(delayed.RetryDelay(), longestDelay))
		return
	case errors.Is(err, telemed.ErrUnauthorized), errors.Is(err, telemed.ErrReconnect):
		next.Due = now.Add(jittered(refusedDelay))
		return
	}
	next.Attempts++
	if _, ok := errors.AsType[*panicked](err); ok {
		next.Attempts += 3
	}
	if next.Attempts >= j.runner.cfg.MaxAttempts {
		next.Due, next.Stuck = time.Time{}, stuckBecause(effect, err)
		return
	}
	next.Due = now.Add(jittered(retryDelay(next.Attempts)))
}

const (
	// longestDelay bounds what a provider may ask for.
	longestDelay = 25 * time.Hour
	// refusedDelay is how long a row waits while credentials are refused.
	refusedDelay = 10 * time.Minute
)

// retryDelay is how long the nth failure is waited after.
func retryDelay(n int) time.Duration {
	return min(30*time.Second<<min(n-1, 10), 30*time.Minute)
}

// jittered is d ± 20 percent.
func jittered(d time.Duration) time.Duration { return d*8/10 + rand.N(d*4/10+1) }

// poll is the nth pause between two looks at a store.
func poll(n int) time.Duration { return min(20*time.Millisecond<<min(n, 10), 2*time.Second) }

// stuckBecause is in our own words: an error's may be anybody's.
func stuckBecause(effect string, err error) string {
	because := "failed"
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			because = kind.Error()
			break
		}
	}
	if p, ok := errors.AsType[*panicked](err); ok {
		because = p.Error()
	}
	text := effect + ": " + because
	return text[:min(len(text), MaxStuck)]
}

var kinds = []error{
	telemed.ErrInvalid, telemed.ErrNotFound, telemed.ErrConflict, telemed.ErrForbidden, telemed.ErrAmbiguous,
	telemed.ErrRateLimited, telemed.ErrUnavailable, telemed.ErrDecrypt, telemed.ErrNotConnected,
}

// again reads the row anew after a Put that failed, and reports whether to try once more.
func (j *job) again(ctx context.Context, n int, cause error) bool {
	for {
		if wait.For(ctx, wait.Jitter(poll(n))) != nil {
			j.runner.cfg.Logger.Error("durable: what was found out cannot be written down",
				slog.Any("row", j.item), slog.Any("error", cause))
			return false
		}
		item, err := j.runner.cfg.Store.Get(ctx, j.item.ID)
		switch {
		case err == nil:
			j.item = item
			return true
		case errors.Is(err, telemed.ErrNotFound):
			return false
		}
		n++
	}
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
