package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
)

// refresh is the work of one flight: lease, exchange, save.
//
// Two rules keep a rotating token from being spent twice or lost. Nobody exchanges
// without holding the lease, which is won by compare-and-set and lost only to somebody
// who has watched it stand still for LeaseTTL on a clock of their own. And what
// was bought is saved over whatever revision is there, as long as the record
// still holds the token that was spent for it: lineage is the fence, not the lease.
type refresh struct {
	*Source
	key    Key
	stale  Secret
	owner  string
	flight *flight
	landed bool
	saving bool // the flight stays in the air after it has landed: nobody else may refresh
	// sight is the other process's lease that this one watches.
	sight struct {
		revision string
		since    time.Time
	}
}

// The pace of a refresh.
const (
	exchangeTries = 3
	confirmAfter  = 2 * time.Second
	// saveInline is how long callers wait for the save before they get the token from memory.
	saveInline = 2 * time.Second
	// maxSavePause must stay well below any LeaseTTL.
	maxSavePause = 10 * time.Second
)

// The reasons that a record gives for StatusReconnect.
const (
	reasonRejected = "the provider rejected the refresh token"
	reasonTainted  = "the provider rejected the refresh token; an earlier refresh may have succeeded without its answer reaching us"
)

// land gives the flight's callers their result. Only the first call counts.
func (r *refresh) land(token Token, err error) {
	if r.landed {
		return
	}
	r.landed = true
	r.flight.token, r.flight.err = token, err
	if !r.saving {
		r.drop(r.key, r.flight)
	}
	close(r.flight.done)
}

// fly runs the whole refresh and lands it.
func (r *refresh) fly() {
	rec, need, err := r.lease()
	switch {
	case err != nil:
		r.land(Token{}, err)
	case !need:
		r.land(rec.Token, nil)
	default:
		r.exchange(rec)
	}
}

// lease returns the record with this refresh as lease holder. If another one has brought
// a good token meanwhile, it returns that, and need is false.
func (r *refresh) lease() (rec Record, need bool, err error) {
	giveUp := time.Now().Add(2*r.cfg.LeaseTTL + r.cfg.Timeout)
	for n := 0; ; n++ {
		rec, err = r.get()
		switch {
		case errors.Is(err, ErrNotFound):
			r.forget(r.key)
			return rec, false, fmt.Errorf("store: %s: %w", r.key, ErrNotConnected)
		case errors.Is(err, ErrDecrypt):
			return rec, false, fmt.Errorf("store: %s: %w", r.key, err)
		case err != nil:
			r.sight.revision = "" // a store that fails may hide that the lease moved
		case rec.Token.usable(time.Now(), r.cfg.Early, r.stale):
			return rec, false, nil
		case r.resting(rec, time.Now()):
			return rec, false, reconnectError(rec)
		case rec.Lease.Owner == "" || rec.Lease.Owner == r.owner || r.dead(rec):
			if err = r.take(&rec); err == nil {
				return rec, true, nil
			}
			if !errors.Is(err, ErrConflict) {
				r.sight.revision = ""
			}
		}
		if time.Now().After(giveUp) || r.pause(pollPause(n)) != nil {
			return rec, false, fmt.Errorf("store: %s: the token could not be leased: %w", r.key, fault.Tagged(ErrUnavailable, orBusy(err)))
		}
	}
}

var errBusy = errors.New("another process is refreshing it")

func orBusy(err error) error {
	if err == nil {
		return errBusy
	}
	return err
}

// dead reports whether the lease has stood still for LeaseTTL before the eyes of this process.
func (r *refresh) dead(rec Record) bool {
	if r.sight.revision != rec.Revision {
		r.sight.revision, r.sight.since = rec.Revision, time.Now()
		return false
	}
	return time.Since(r.sight.since) >= r.cfg.LeaseTTL
}

// take writes this refresh into the lease. A lease taken over from another holder is
// tainted: that one may have spent the token.
func (r *refresh) take(rec *Record) error {
	if rec.Lease.Owner != "" && rec.Lease.Owner != r.owner {
		rec.Lease.Tainted = true
		r.cfg.Logger.Warn("store: lease of a silent process taken over", slog.Any("key", r.key))
	}
	rec.Lease.Owner = r.owner
	rec.Lease.Until = millis(time.Now().Add(r.cfg.LeaseTTL))
	return r.put(rec)
}

// exchange spends the refresh token and lands with what came of it.
func (r *refresh) exchange(rec Record) {
	rejections := 0
	var err error
	for try := 1; ; try++ {
		var token Token
		token, err = r.buy(rec.Token)
		if err == nil {
			r.save(rec.Token, token.over(rec.Token))
			return
		}
		pause := time.Duration(0)
		switch {
		case errors.Is(err, ErrRejected):
			if rejections++; rejections > 1 {
				r.rejected(rec)
				return
			}
			pause = confirmAfter
		case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrInvalid):
			r.release(&rec, err)
			return
		case errors.Is(err, ErrUnavailable), errors.Is(err, ErrRateLimited):
			pause = pollPause(try + 2)
		default:
			rec.Lease.Tainted = true
			pause = pollPause(try + 2)
		}
		if try >= exchangeTries+rejections || r.pause(pause) != nil {
			break
		}
		if r.take(&rec) != nil { // the store fails, or the record moved on: look again before anything is spent
			if !r.retake(&rec) {
				return
			}
		}
	}
	r.release(&rec, err)
}

// buy makes one exchange, bounded by Timeout and independent of any caller.
func (r *refresh) buy(old Token) (Token, error) {
	ctx, cancel := context.WithTimeout(r.run, r.cfg.Timeout)
	defer cancel()
	token, err := r.cfg.Refresh(ctx, old)
	if err == nil && token.Access.IsZero() {
		err = fmt.Errorf("store: %s: the refresh brought no access token: %w", r.key, ErrAmbiguous)
	}
	return token, err
}

// retake takes the lease again after a failed write. It lands and returns false if the
// record is somebody else's by now.
func (r *refresh) retake(rec *Record) bool {
	spent, tainted := rec.Token.Refresh, rec.Lease.Tainted
	fresh, need, err := r.lease()
	if err != nil || !need {
		r.land(fresh.Token, err)
		return false
	}
	if fresh.Token.Refresh.Equal(spent) {
		fresh.Lease.Tainted = fresh.Lease.Tainted || tainted
	}
	*rec = fresh
	return true
}

// release gives the lease back after a refresh that brought nothing. The taint stays.
func (r *refresh) release(rec *Record, cause error) {
	rec.Lease = Lease{Tainted: rec.Lease.Tainted}
	if err := r.put(rec); err != nil {
		r.cfg.Logger.Warn("store: lease could not be given back; it ends by itself", slog.Any("key", r.key))
	}
	if r.run.Err() != nil {
		cause = fmt.Errorf("store: %s: %w", r.key, ErrClosed)
	}
	r.land(Token{}, cause)
}

// rejected marks the account, unless the record shows that the verdict was about another token.
func (r *refresh) rejected(judged Record) {
	rec, err := r.get()
	switch {
	case errors.Is(err, ErrNotFound):
		r.land(Token{}, fmt.Errorf("store: %s: %w", r.key, ErrNotConnected))
		return
	case err != nil:
		r.land(Token{}, fmt.Errorf("store: %s: %w", r.key, fault.Tagged(ErrUnavailable, err)))
		return
	case !rec.Token.Refresh.Equal(judged.Token.Refresh) && rec.Token.usable(time.Now(), useMargin, r.stale):
		r.land(rec.Token, nil)
		return
	case !rec.Token.Refresh.Equal(judged.Token.Refresh) || rec.Lease.Owner != r.owner:
		r.land(Token{}, fmt.Errorf("store: %s: %w", r.key, fault.Tagged(ErrUnavailable, errBusy)))
		return
	}
	rec.Status, rec.Reason = StatusReconnect, reasonRejected
	if judged.Lease.Tainted || rec.Lease.Tainted {
		rec.Reason = reasonTainted
	}
	rec.Lease = Lease{Tainted: rec.Lease.Tainted || judged.Lease.Tainted}
	rec.UpdatedAt = millis(time.Now())
	if err := r.put(&rec); err != nil {
		r.land(Token{}, fmt.Errorf("store: %s: %w", r.key, fault.Tagged(ErrUnavailable, err)))
		return
	}
	r.cfg.Logger.Warn("store: account must be connected again", slog.Any("key", r.key), slog.String("reason", rec.Reason))
	if r.cfg.OnReconnect != nil {
		r.cfg.OnReconnect(r.key, rec.Reason)
	}
	r.land(Token{}, reconnectError(rec))
}

// save writes the new token until the store takes it. Callers wait saveInline for that,
// then they are served from memory.
func (r *refresh) save(spent, token Token) {
	begin := time.Now()
	r.saving = true
	for n := 0; ; n++ {
		kept, err := r.saveOnce(spent, token)
		switch {
		case err == nil:
			r.clearUnsaved(r.key)
			r.land(kept, nil)
			return
		case errors.Is(err, ErrNotConnected): // disconnected meanwhile: not to be brought back
			r.clearUnsaved(r.key)
			r.forget(r.key)
			r.land(Token{}, err)
			return
		case errors.Is(err, ErrConflict):
			continue
		}
		if time.Since(begin) > r.cfg.SaveFor {
			r.lost("SaveFor is over")
			r.land(token, nil)
			return
		}
		if n == 0 {
			r.setUnsaved(r.key, token)
			r.cfg.Logger.Warn("store: new token cannot be saved yet", slog.Any("key", r.key))
		}
		if time.Since(begin) > saveInline {
			r.land(token, nil)
		}
		if r.pause(min(pollPause(n+2), maxSavePause)) != nil {
			r.lost("the process ends")
			r.land(token, nil)
			return
		}
	}
}

// lost says the one thing that only a person can mend.
func (r *refresh) lost(why string) {
	r.clearUnsaved(r.key)
	r.cfg.Logger.Error("store: a new token was not saved", slog.Any("key", r.key), slog.String("why", why))
}

// saveOnce puts token over whatever revision is there if the record still holds
// spent. It returns the token that the record holds in the end.
func (r *refresh) saveOnce(spent, token Token) (Token, error) {
	rec, err := r.get()
	switch {
	case errors.Is(err, ErrNotFound):
		return Token{}, fmt.Errorf("store: %s: %w", r.key, ErrNotConnected)
	case err != nil:
		return Token{}, err
	case rec.Token.Access.Equal(token.Access): // our own write, whose answer was lost
		return token, nil
	case !rec.Token.Refresh.Equal(spent.Refresh): // connected anew meanwhile: theirs wins
		return rec.Token, nil
	}
	rec.Token, rec.Status, rec.Reason = token, StatusActive, ""
	rec.Lease = Lease{}
	rec.UpdatedAt = millis(time.Now())
	if err := r.put(&rec); err != nil {
		return Token{}, err
	}
	if r.cfg.OnRefresh != nil {
		r.cfg.OnRefresh(r.key)
	}
	return token, nil
}

// storeTimeout bounds one call of the store, which may ignore it; callers do not wait longer for their own ctx.
const storeTimeout = 10 * time.Second

func (r *refresh) get() (Record, error) {
	ctx, cancel := context.WithTimeout(r.run, storeTimeout)
	defer cancel()
	rec, err := r.cfg.Store.Get(ctx, r.key)
	if err == nil {
		r.remember(rec)
	}
	return rec, err
}

func (r *refresh) put(rec *Record) error {
	ctx, cancel := context.WithTimeout(r.run, storeTimeout)
	defer cancel()
	revision, err := r.cfg.Store.Put(ctx, *rec)
	if err != nil {
		return err
	}
	rec.Revision = revision
	r.remember(*rec)
	return nil
}

// pause waits with jitter; an error means that the process ends.
func (r *refresh) pause(d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.run.Done():
		return context.Cause(r.run)
	}
}

// pollPause doubles from 50 ms to 2 s, and to 10 s for long waits.
func pollPause(n int) time.Duration {
	pause := 50 * time.Millisecond << min(n, 8)
	if n < 40 {
		return min(pause, 2*time.Second)
	}
	return min(pause, maxSavePause)
}
