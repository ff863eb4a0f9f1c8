package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
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
	key    store.AccountID
	stale  telemed.Secret
	owner  string
	flight *flight
	landed bool
	// saving keeps the flight in the air after it has landed: nobody else may refresh.
	saving bool
	// spooled is true once the Spool has the new token.
	spooled bool
	// rejections counts how often the provider has refused the token at hand.
	rejections int
	// sight is the other process's lease that this one watches.
	sight struct {
		revision string
		since    time.Time
	}
}

const (
	// exchangeTries is how often an exchange is tried in one refresh, rejections apart.
	exchangeTries = 3
	// confirmAfter is how long after a rejection the provider is asked again.
	confirmAfter = 2 * time.Second
	// maxPoll is the longest pause between two looks at the store, and between two exchanges.
	maxPoll = 2 * time.Second
	// brakePause is how long an account is left alone whose rejection was not believed.
	brakePause = time.Minute
	// maxCool is the longest wait that a provider may ask for.
	maxCool = 5 * time.Minute
)

// The reasons that a record gives for StatusReconnect.
const (
	reasonRejected = "the provider rejected the refresh token"
	reasonTainted  = "the provider rejected the refresh token; an earlier refresh may have succeeded without its answer reaching us"
)

// land gives the flight's callers their result. Only the first call counts.
func (r *refresh) land(token store.Token, err error) {
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
		r.land(store.Token{}, err)
	case !need:
		r.land(rec.Token, nil)
	default:
		r.exchange(rec)
	}
}

// lease returns the record with this refresh as lease holder. If another one has brought
// a good token meanwhile, it returns that, and need is false.
func (r *refresh) lease() (rec store.Record, need bool, err error) {
	giveUp := time.Now().Add(2*r.cfg.LeaseTTL + r.cfg.Timeout)
	seized := false // from another one, who may be waiting to save
	for n := 0; ; n++ {
		rec, err = r.get()
		wait := poll(n)
		switch {
		case errors.Is(err, telemed.ErrNotFound):
			r.forget(r.key)
			return rec, false, fmt.Errorf("oauth: %s: %w", r.key, telemed.ErrNotConnected)
		case errors.Is(err, telemed.ErrDecrypt):
			return rec, false, fmt.Errorf("oauth: %s: %w", r.key, err)
		case err != nil:
			r.sight.revision = "" // a store that fails may hide that the lease moved
		case usable(rec.Token, time.Now(), r.early(rec), r.stale):
			return rec, false, nil
		case r.resting(rec, time.Now()):
			return rec, false, reconnectError(rec)
		case !r.others(rec) || r.dead(rec):
			seized = seized || r.others(rec)
			err = r.take(&rec)
			switch {
			case err == nil && !seized:
				return rec, true, nil
			case err == nil:
				seized, wait, err = false, r.cfg.takeoverPause(), errBusy
				giveUp = time.Now().Add(r.cfg.LeaseTTL)
			}
			r.sight.revision = ""
		default:
			err = errBusy
		}
		if time.Now().After(giveUp) {
			return rec, false, fmt.Errorf("oauth: %s: the token could not be leased: %w", r.key, fault.Tagged(telemed.ErrUnavailable, err))
		}
		if err := r.pause(wait); err != nil {
			return rec, false, err
		}
	}
}

var errBusy = errors.New("another process is refreshing it")

// others reports whether another refresh holds the lease, alive or dead.
func (r *refresh) others(rec store.Record) bool {
	return rec.Lease.Owner != "" && rec.Lease.Owner != r.owner
}

// dead reports whether the lease has stood still for LeaseTTL before the eyes of this process.
func (r *refresh) dead(rec store.Record) bool {
	if r.sight.revision != rec.Revision {
		r.sight.revision, r.sight.since = rec.Revision, time.Now()
		return false
	}
	return time.Since(r.sight.since) >= r.cfg.LeaseTTL
}

// take writes this refresh into the lease. A lease taken over from another holder is tainted: that
// one may have spent the token. It may also have been waiting for a store that could be read and
// not written, so after a takeover it is given time to save first; see lease. A write that took too
// long to be told is no hold: others may have watched it for as long.
func (r *refresh) take(rec *store.Record) error {
	if r.others(*rec) {
		rec.Lease.Tainted = true
		r.cfg.Logger.Warn("oauth: lease of a silent process taken over", slog.Any("key", r.key))
	}
	begin := time.Now()
	rec.Lease.Owner = r.owner
	rec.Lease.Until = millis(begin.Add(r.cfg.LeaseTTL))
	if err := r.put(rec); err != nil {
		return err
	}
	if time.Since(begin) > 2*r.cfg.storeTimeout() {
		return errSlow
	}
	return nil
}

var errSlow = errors.New("the store takes too long")

// exchange spends the refresh token and lands with what came of it.
func (r *refresh) exchange(rec store.Record) {
	for try := 1; ; try++ {
		if r.isClosing() {
			r.release(rec, errClosed)
			return
		}
		token, err := r.buy(rec.Token)
		if err == nil {
			r.save(rec.Token, token.Inherit(rec.Token))
			return
		}
		pause, again := r.judge(err, try)
		rec.Lease.Tainted = rec.Lease.Tainted || ambiguous(err)
		switch {
		case r.rejections > 1:
			r.rejected(rec)
			return
		case !again || r.pause(pause) != nil:
			r.release(rec, err)
			return
		}
		if r.take(&rec) == nil {
			continue
		}
		// The store fails, or the record moved on: nothing is spent without a look.
		if !r.retake(&rec) {
			return
		}
	}
}

// buy makes one exchange, bounded by Timeout and independent of any caller.
func (r *refresh) buy(old store.Token) (store.Token, error) {
	ctx, cancel := context.WithTimeout(r.run, r.cfg.Timeout)
	defer cancel()
	var token store.Token
	err := r.guarded("Refresh", func() (err error) {
		token, err = r.cfg.Refresh(ctx, old.Clone())
		return err
	})
	if err == nil && token.Access.IsZero() {
		err = fmt.Errorf("oauth: %s: the refresh brought no access token: %w", r.key, telemed.ErrAmbiguous)
	}
	return token, err
}

// judge says after what pause a failed exchange is worth another try.
func (r *refresh) judge(err error, try int) (pause time.Duration, again bool) {
	switch {
	case errors.Is(err, ErrRejected):
		r.rejections++
		return confirmAfter, true
	case errors.Is(err, telemed.ErrUnauthorized), errors.Is(err, telemed.ErrInvalid), retryAfter(err) > maxPoll:
		return 0, false
	}
	return max(poll(try+2), retryAfter(err)), try < exchangeTries+r.rejections
}

// ambiguous reports whether the refresh token may be spent after err.
func ambiguous(err error) bool {
	for _, sure := range []error{ErrRejected, telemed.ErrUnauthorized, telemed.ErrInvalid, telemed.ErrUnavailable, telemed.ErrRateLimited} {
		if errors.Is(err, sure) {
			return false
		}
	}
	return true
}

// retryAfter is how long the provider wants to be left alone, 0 if it did not say.
func retryAfter(err error) time.Duration {
	var delayed interface{ RetryDelay() time.Duration }
	if errors.As(err, &delayed) {
		return min(max(delayed.RetryDelay(), 0), maxCool)
	}
	return 0
}

// retake takes the lease again after a failed write. It lands and returns false if the
// record is somebody else's by now.
func (r *refresh) retake(rec *store.Record) bool {
	fresh, need, err := r.lease()
	if err != nil || !need {
		r.land(fresh.Token, err)
		return false
	}
	if fresh.Token.Refresh.Equal(rec.Token.Refresh) {
		fresh.Lease.Tainted = fresh.Lease.Tainted || rec.Lease.Tainted
	} else {
		r.rejections = 0 // that was about another token
	}
	*rec = fresh
	return true
}

// release gives the lease back after a refresh that brought nothing. The taint stays.
func (r *refresh) release(rec store.Record, cause error) {
	rec.Lease = store.Lease{Tainted: rec.Lease.Tainted}
	if err := r.put(&rec); err != nil {
		r.cfg.Logger.Warn("oauth: lease could not be given back; it ends by itself", slog.Any("key", r.key))
	}
	if r.run.Err() != nil {
		cause = errClosed
	}
	r.coolDown(rec, retryAfter(cause), cause)
	r.land(store.Token{}, cause)
}

// rejected marks the account, unless the record shows that the verdict was about another
// token, or the provider rejects everybody.
func (r *refresh) rejected(judged store.Record) {
	if !r.believe(r.key) {
		err := fmt.Errorf("oauth: %s: the provider rejects too many accounts to be believed: %w", r.key, telemed.ErrUnavailable)
		judged.Lease = store.Lease{Tainted: judged.Lease.Tainted}
		if r.put(&judged) == nil {
			r.coolDown(judged, brakePause, err)
		}
		r.land(store.Token{}, err)
		return
	}
	var err error
	for n := range exchangeTries {
		var v verdict
		if v, err = r.mark(judged); err == nil {
			r.announce(v)
			return
		}
		if r.pause(poll(n+2)) != nil {
			break
		}
	}
	r.land(store.Token{}, fmt.Errorf("oauth: %s: %w", r.key, fault.Tagged(telemed.ErrUnavailable, err)))
}

// verdict is what came of a rejection.
type verdict struct {
	token store.Token // somebody brought a good one meanwhile
	err   error       // what callers get otherwise
	mark  string      // the reason that the record now gives, if it was marked
}

// mark writes StatusReconnect into the record that was judged, if that is what the store
// still holds. An error is the store's.
func (r *refresh) mark(judged store.Record) (verdict, error) {
	rec, err := r.get()
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		return verdict{err: fmt.Errorf("oauth: %s: %w", r.key, telemed.ErrNotConnected)}, nil
	case err != nil:
		return verdict{}, err
	case rec.Token.Same(judged.Token) && rec.Status == store.StatusReconnect && rec.Lease.Owner == "" && !rec.UpdatedAt.Equal(judged.UpdatedAt):
		return verdict{err: reconnectError(rec), mark: rec.Reason}, nil // our own write, whose answer was lost
	case !rec.Token.Same(judged.Token) && usable(rec.Token, time.Now(), useMargin, r.stale):
		return verdict{token: rec.Token}, nil
	case !rec.Token.Same(judged.Token) || rec.Lease.Owner != r.owner:
		return verdict{err: fmt.Errorf("oauth: %s: %w", r.key, fault.Tagged(telemed.ErrUnavailable, errBusy))}, nil
	}
	rec.Lease = store.Lease{Tainted: rec.Lease.Tainted || judged.Lease.Tainted}
	rec.Status, rec.Reason = store.StatusReconnect, reasonRejected
	if rec.Lease.Tainted {
		rec.Reason = reasonTainted
	}
	rec.UpdatedAt = millis(time.Now())
	if err := r.put(&rec); err != nil {
		return verdict{}, err
	}
	return verdict{err: reconnectError(rec), mark: rec.Reason}, nil
}

// announce tells who wants to know, and lands.
func (r *refresh) announce(v verdict) {
	if v.mark != "" {
		r.cfg.Logger.Warn("oauth: account must be connected again", slog.Any("key", r.key), slog.String("reason", v.mark))
		if r.cfg.OnReconnect != nil {
			r.tell("OnReconnect", func() { r.cfg.OnReconnect(r.key, v.mark) })
		}
	}
	r.land(v.token, v.err)
}

// patience is how long one call of the store may take. While callers wait for a save it is
// no longer than they do.
func (r *refresh) patience() time.Duration {
	if r.saving && !r.landed {
		return min(saveInline, r.cfg.storeTimeout())
	}
	return r.cfg.storeTimeout()
}

func (r *refresh) get() (rec store.Record, err error) {
	ctx, cancel := context.WithTimeout(r.run, r.patience())
	defer cancel()
	err = r.guarded("Store.Get", func() (err error) {
		rec, err = store.GetOpen(ctx, r.cfg.Store, r.key)
		return err
	})
	if err == nil {
		r.remember(rec)
	}
	return rec, err
}

func (r *refresh) put(rec *store.Record) error {
	ctx, cancel := context.WithTimeout(r.run, r.patience())
	defer cancel()
	err := r.guarded("Store.Put", func() error {
		revision, err := r.cfg.Store.Put(ctx, *rec)
		if err == nil {
			rec.Revision = revision
		}
		return err
	})
	if err == nil {
		r.remember(*rec)
	}
	return err
}

var errClosed = fmt.Errorf("oauth: source: %w", telemed.ErrClosed)

func (r *refresh) isClosing() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// pause waits with jitter before anything is spent. The error says that the Source is being closed.
func (r *refresh) pause(d time.Duration) error {
	timer := time.NewTimer(wait.Jitter(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.closing:
		return errClosed
	}
}

// poll is the n-th pause: 50 ms, doubled up to maxPoll.
func poll(n int) time.Duration { return min(50*time.Millisecond<<min(n, 10), maxPoll) }
