package durable

import (
	"errors"
	"time"
)

// Rest is a step that has failed, N times in a row, and is tried again at At.
type Rest struct {
	N  int       `json:"n"`
	At time.Time `json:"at,omitzero"`
}

// Rests is the back-off of a kind that has several things to do about a row, none of which
// is to wait for another one that fails: a field of its record, by the step's name. Its Plan
// passes over a step that is not Ready; when a step fails, its Fact calls Fail, and Do
// returns AtRest of the error; when it is done, its Fact deletes it.
type Rests map[string]Rest

// Ready reports whether a step does not rest.
func (r Rests) Ready(step string, now time.Time) bool { return !r[step].At.After(now) }

// Fail has a step rest after its nth failure in a row, for as long as RestAfter said.
func (r *Rests) Fail(step string, n int, until time.Time) {
	if *r == nil {
		*r = Rests{}
	}
	(*r)[step] = Rest{N: n, At: until.UTC()}
}

// Next returns when the first step that rests at now is tried again, zero if none does.
func (r Rests) Next(now time.Time) (next time.Time) {
	for _, rest := range r {
		if rest.At.After(now) && (next.IsZero() || rest.At.Before(next)) {
			next = rest.At
		}
	}
	return next
}

// End has every step tried now, with its failures counted on: somebody said look.
func (r Rests) End() {
	for step, rest := range r {
		r[step] = Rest{N: rest.N}
	}
}

// RestAfter is how long a step rests after its nth failure in a row: 30 seconds, doubled each
// time up to half an hour, ± 20 percent. An error with RetryDelay() time.Duration, a
// provider's "not now", may ask for longer, up to 25 hours.
func RestAfter(n int, err error) time.Duration {
	delay := jittered(retryDelay(n))
	var delayed interface{ RetryDelay() time.Duration }
	if errors.As(err, &delayed) {
		delay = max(delay, min(delayed.RetryDelay(), longestDelay))
	}
	return delay
}

// AtRest wraps the error of a step that rests, so that the Runner plans again at once and
// counts no attempt of the row: the record says itself when what is tried again.
func AtRest(err error) error { return &atRest{err} }

type atRest struct{ err error }

// Error implements error.
func (e *atRest) Error() string { return e.err.Error() }

// Unwrap returns what failed.
func (e *atRest) Unwrap() error { return e.err }

// RetryDelay is for the Runner.
func (e *atRest) RetryDelay() time.Duration { return time.Millisecond }
