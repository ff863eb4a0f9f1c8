package durable

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
)

// job is a row in a worker's hands. It is used by one goroutine.
type job struct {
	runner *Runner
	kind   Kind
	owners []string  // of this job's leases: each write that keeps the lease has a new one
	due    time.Time // Item.Due, as far as this job has a hand in it
	item   Item      // as it was read or written last
	begin  time.Time // when the write of the lease began
	turn   *turn
}

// turn is whose turn it is with a row, among the jobs of this process. There are two for a
// moment if a row is leased again while the job that gave it back is leaving, and for
// longer if one stood still until its lease was dead.
type turn struct {
	free chan struct{} // holds a value while it is nobody's
	jobs int
}

// newJob returns the job of a row that was leased. It must run.
func (r *Runner) newJob(item Item, begin time.Time) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.mine[item.ID]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		r.mine[item.ID] = t
	}
	t.jobs++
	return &job{
		runner: r, kind: r.cfg.Kinds[item.ID.Kind], owners: []string{item.Lease.Owner}, due: item.Due, item: item, begin: begin, turn: t,
	}
}

// has reports whether the row is in this process's hands.
func (r *Runner) has(id ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mine[id] != nil
}

// enter waits until no other job of this process has the row, at most for half of the
// lease, and reports whether that is so.
func (j *job) enter(ctx context.Context) bool {
	select {
	case <-j.turn.free:
		return true
	default:
	}
	timer := time.NewTimer(time.Until(j.begin.Add(j.item.Lease.TTL / 2)))
	defer timer.Stop()
	select {
	case <-j.turn.free:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (j *job) leave(entered bool) {
	if entered {
		j.turn.free <- struct{}{}
	}
	j.runner.mu.Lock()
	defer j.runner.mu.Unlock()
	if j.turn.jobs--; j.turn.jobs == 0 {
		delete(j.runner.mine, j.item.ID)
	}
}

// burst is how many effects of one row follow each other before others have their turn.
const burst = 16

// run does what is to be done about the row until nothing is, and gives it back. When ctx
// ends it begins nothing more.
func (j *job) run(ctx context.Context) {
	entered := j.enter(ctx)
	defer func() { j.leave(entered) }()
	done := outcome{}
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
		next, effect, told := j.follow(done, more)
		if sameRow(next, j.item) {
			j.tell(told)
			return effect, effect.Do != nil
		}
		if j.owns(next) {
			next.Lease.Owner = rand.Text()
			j.owners = append(j.owners, next.Lease.Owner)
		}
		begin := time.Now()
		revision, err := j.runner.cfg.Store.Put(ctx, next)
		if errors.Is(err, telemed.ErrInvalid) && !isUnwritable(done.err) {
			done = outcome{effect: cmp.Or(done.effect, "plan"), err: &unwritable{err}, took: done.took}
			continue
		}
		landed := err == nil
		if landed {
			next.Revision = revision
			j.item = Kept(next)
		} else if !j.again(ctx, n, err) {
			return Effect{}, false
		}
		// A Put whose answer was lost may have happened. Plan must not be asked again then:
		// it would take what Ahead wrote for a death in the middle.
		if landed || sameRow(j.item, Kept(next)) {
			j.begin, j.due = begin, j.item.Due
			j.tell(told)
			return effect, effect.Do != nil
		}
	}
}

// owns reports whether item is under one of this job's leases.
func (j *job) owns(item Item) bool {
	return item.Lease.Owner != "" && slices.Contains(j.owners, item.Lease.Owner)
}

func sameRow(a, b Item) bool {
	return string(a.Data) == string(b.Data) && string(a.Audit) == string(b.Audit) && a.Due.Equal(b.Due) &&
		a.EraseAt.Equal(b.EraseAt) && a.Version == b.Version && a.Attempts == b.Attempts && a.Stuck == b.Stuck && a.Lease == b.Lease
}

// follow returns the row as it is to be written, and the effect that comes next: none if
// the row is, or will be, out of this worker's hands. told is done, or why it could not be
// gone on from there.
func (j *job) follow(done outcome, more bool) (next Item, effect Effect, told outcome) {
	if j.item.Version > j.kind.Version {
		return j.leaveAlone(done)
	}
	next = j.item.Clone()
	if done.fact != nil {
		if err := j.apply("Fact", done.fact, &next); err != nil {
			next, done.err = j.item.Clone(), err
		}
	}
	switch {
	case !j.owns(j.item):
		// Others have it, and decide what follows. If nobody has it, somebody must.
		if next.Lease.Owner == "" && next.Stuck == "" && !sameRow(next, j.item) {
			next.Due = time.Now()
		}
		return next, Effect{}, done
	case done.err != nil:
		j.failed(&next, done.effect, done.err)
		return next, Effect{}, done
	case done.effect != "":
		next.Attempts, next.Stuck = 0, ""
	}
	known := next.Clone()
	effect, err := j.plan(&next, more)
	if err != nil {
		j.failed(&known, "plan", err)
		return known, Effect{}, outcome{effect: "plan", err: err}
	}
	return next, effect, done
}

// leaveAlone gives back a row that a process of a later version has written meanwhile. A
// fact of this version would spoil it: what was found out is unknown to the other one.
func (j *job) leaveAlone(done outcome) (next Item, effect Effect, told outcome) {
	next = j.item.Clone()
	if j.owns(next) {
		next.Lease = Lease{}
		if next.Stuck == "" {
			next.Due = time.Now()
		}
	}
	if done.effect != "" && done.err == nil {
		done.err = errLaterVersion
	}
	return next, Effect{}, done
}

var errLaterVersion = errors.New("a process of a later version has written the row, which does not learn of it")

// apply has fact change what is the kind's. What is the Runner's stays as it is.
func (j *job) apply(what string, fact Fact, next *Item) error {
	changed := next.Clone()
	if err := j.guarded(what, func() error { return fact(&changed) }); err != nil {
		return err
	}
	merged := *next
	merged.Data, merged.Audit, merged.EraseAt, merged.Version = changed.Data, changed.Audit, changed.EraseAt, changed.Version
	if err := CheckItem(merged); err != nil {
		return &unwritable{err}
	}
	*next = merged
	return nil
}

// unwritable is an error for a row that no Store takes. Nothing is won by another attempt.
type unwritable struct{ cause error }

// Error implements error.
func (u *unwritable) Error() string {
	return "what was found out cannot be written down: " + u.cause.Error()
}

// Unwrap returns what is wrong with the row.
func (u *unwritable) Unwrap() error { return u.cause }

func isUnwritable(err error) bool {
	_, ok := errors.AsType[*unwritable](err)
	return ok
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
		return Effect{}, j.rest(next, effect.At, now)
	case !more:
		next.Due, next.Lease = now, Lease{}
		return Effect{}, nil
	case effect.Ahead != nil:
		err = j.apply("Ahead", effect.Ahead, next)
	}
	effect.Name = cmp.Or(effect.Name, "effect")
	return effect, err
}

// rest gives the row back until at. A time that is over already has it looked at in a
// while, and not again and again meanwhile.
func (j *job) rest(next *Item, at, now time.Time) error {
	next.Lease = Lease{}
	if next.Stuck != "" { // there is nothing any more that a person must look at
		next.Stuck, next.Attempts = "", 0
	}
	if !at.IsZero() {
		at = at.Add(time.Millisecond - 1) // a Store cuts it, and Plan is not to be asked too early
		if !at.After(now) {
			at = now.Add(j.runner.cfg.PollEvery)
		}
	}
	next.Due = millis(at)
	return CheckItem(*next)
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
		next.Due = j.sooner(now.Add(min(delayed.RetryDelay(), longestDelay)))
		return
	case errors.Is(err, telemed.ErrUnauthorized), errors.Is(err, telemed.ErrReconnect):
		next.Due = j.sooner(now.Add(jittered(refusedDelay)))
		return
	}
	next.Attempts++
	if _, ok := errors.AsType[*panicked](err); ok {
		next.Attempts += 3
	}
	if next.Attempts >= j.runner.cfg.MaxAttempts || isUnwritable(err) {
		next.Due, next.Stuck = time.Time{}, stuckBecause(effect, err)
		return
	}
	next.Due = j.sooner(now.Add(jittered(retryDelay(next.Attempts))))
}

// sooner is at, unless somebody asked meanwhile to have the row looked at before.
func (j *job) sooner(at time.Time) time.Time {
	if asked := j.item.Due; !asked.IsZero() && !asked.Equal(j.due) && asked.Before(at) {
		return asked
	}
	return at
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
func jittered(d time.Duration) time.Duration { return d*8/10 + mrand.N(d*4/10+1) }

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
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(effect, "?")) + ": " + because
	return strings.ToValidUTF8(text[:min(len(text), MaxStuck)], "")
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
