package durable

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"

	"github.com/telemed-go/telemed"
)

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
	if !errors.Is(err, errDied) {
		next.Attempts++
	}
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
	errDied,
}
