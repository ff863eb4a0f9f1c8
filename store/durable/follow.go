package durable

import (
	"cmp"
	"errors"
	"time"
)

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
	case errors.Is(done.err, errDied) && next.Attempts < min(2, j.runner.cfg.MaxAttempts):
		// It may have been anybody's kill: what was under way is gone on with at once.
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
	effect.Name = cmp.Or(effect.Name, unnamed)
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
