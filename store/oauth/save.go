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

const (
	// saveInline is how long callers wait for the save before they get the token from
	// memory.
	saveInline = 2 * time.Second
	// spoolTimeout bounds one call of the spool. Shutdown does not cut it off: it is
	// there for that moment.
	spoolTimeout = 3 * time.Second
	// renewPause is how long a token is not renewed again that was renewed because its
	// predecessor was refused.
	renewPause = 30 * time.Second
)

var errJustRenewed = fmt.Errorf("%w: the token that was just renewed is refused as well", telemed.ErrUnavailable)

// saving brings a new token into the store. It is used by one goroutine.
type saving struct {
	shared *shared
	owner  string // of the lease under which the token was bought
	Unsaved
	// tainted is true if what was spent may be presented again: by a holder whose lease was
	// taken over, or by a request that got no answer.
	tainted bool
	// renewed is true if the spent token was refused before its time.
	renewed bool
	// served is true once callers get the token from memory, spooled once the Spool has
	// it.
	served, spooled bool
}

// try puts the token over whatever revision is there, if the record still holds what was
// spent for it. It returns the token that the record holds in the end.
func (s *saving) try(timeout time.Duration) (store.Token, error) {
	rec, err := s.shared.get(s.ID, timeout)
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		return store.Token{}, fmt.Errorf("oauth: %s: %w", s.ID, telemed.ErrNotConnected)
	case err != nil:
		return store.Token{}, err
	case rec.Token.Same(s.Token): // our own write, whose answer was lost
		s.done(rec)
		return s.Token, nil
	}
	next, ok := s.over(rec.Token)
	if !ok {
		return rec.Token, nil
	}
	rec, err = s.shared.put(withToken(rec, next, s.owner, s.tainted, time.Now()), timeout)
	if err != nil {
		return store.Token{}, err
	}
	s.done(rec)
	return rec.Token, nil
}

// over returns the token to be written over the stored one. ok is false if the account
// was connected or refreshed by others meanwhile: theirs wins.
func (s *saving) over(stored store.Token) (next store.Token, ok bool) {
	switch {
	case stored.Same(s.Spent): // only lease and status moved, if anything
		return s.Token, true
	case !stored.Refresh.Equal(s.Spent.Refresh) || s.Token.Refresh.Equal(s.Spent.Refresh):
		return store.Token{}, false
	}
	// Connected anew by a consent that brought no refresh token, so that the one we spent
	// was kept: theirs wins, but our refresh token is the one that lives.
	stored.Refresh = s.Token.Refresh
	return stored, true
}

// done tells who wants to know that rec holds the token. It keeps a provider that refuses
// whatever it gave from being asked for a token at each call.
func (s *saving) done(rec store.Record) {
	s.shared.breaker.refresh(s.ID, time.Now())
	if s.renewed {
		pause := renewPause
		if !rec.Token.Expiry.IsZero() {
			// It ends before the next refresh is due.
			pause = min(pause, rec.Token.Expiry.Sub(rec.UpdatedAt)/4)
		}
		s.shared.memory.pause(rec, pause, fmt.Errorf("oauth: %s: %w", s.ID, errJustRenewed))
	}
	if s.withoutAccess(rec.Token) {
		s.shared.memory.refuse(rec, shortestCooldown, fmt.Errorf("oauth: %s: %w", s.ID, fault.Tagged(telemed.ErrUnavailable, errNoAccess)))
	}
	if hook := s.shared.cfg.OnRefresh; hook != nil {
		tell(s.shared.cfg.Logger, "OnRefresh", func() { hook(s.ID) })
	}
}

// withoutAccess reports whether a refresh token came alone, and is what there is.
func (s *saving) withoutAccess(token store.Token) bool {
	return !s.Token.Access.IsZero() && s.Token.Access.Equal(s.Spent.Access) && token.Same(s.Token)
}

// failed keeps the token where it can be had meanwhile. A conflict is no failure of the
// store.
func (s *saving) failed(err error) {
	if !s.served && !errors.Is(err, telemed.ErrConflict) {
		s.served = true
		s.shared.memory.setUnsaved(s.ID, s.Token)
		s.shared.cfg.Logger.Warn("oauth: new token cannot be saved yet", slog.Any("account", s.ID))
	}
}

// spool keeps the token until the store has it. If it cannot, it is asked again before
// the next try to save. Without a new refresh token there is nothing to lose.
func (s *saving) spool() {
	spool := s.shared.cfg.Spool
	if spool == nil || s.spooled || s.Token.Refresh.Equal(s.Spent.Refresh) {
		return
	}
	err := s.callSpool("Spool.Keep", func(ctx context.Context) error { return spool.Keep(ctx, s.Unsaved) })
	if err != nil {
		s.shared.cfg.Logger.Warn("oauth: new token cannot be spooled", slog.Any("account", s.ID), slog.Any("error", err))
		return
	}
	s.spooled = true
}

// settle forgets a token that needs no saving any more.
func (s *saving) settle() {
	s.shared.memory.clearUnsaved(s.ID, s.Token)
	if !s.spooled {
		return
	}
	err := s.callSpool("Spool.Drop", func(ctx context.Context) error { return s.shared.cfg.Spool.Drop(ctx, s.Unsaved) })
	if err != nil { // Recover will find that it is obsolete
		s.shared.cfg.Logger.Warn("oauth: token stays in the spool", slog.Any("account", s.ID), slog.Any("error", err))
	}
}

// abandon leaves the token to the spool. Without one, it says the one thing that only a
// person can mend.
func (s *saving) abandon() {
	s.spool()
	s.shared.memory.clearUnsaved(s.ID, s.Token)
	if s.spooled {
		s.shared.cfg.Logger.Warn("oauth: a new token was not saved; the spool has it", slog.Any("account", s.ID))
		return
	}
	s.shared.cfg.Logger.Error("oauth: a new token was not saved", slog.Any("account", s.ID))
}

// callSpool does not wait longer for a disk that hangs. What it writes later is obsolete,
// and Recover drops it.
func (s *saving) callSpool(what string, call func(context.Context) error) error {
	ctx, cancel := wait.Timeout(context.WithoutCancel(s.shared.run), spoolTimeout)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- guarded(s.shared.cfg.Logger, what, func() error { return call(ctx) })
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select { // it may have ended just now
	case err := <-ended:
		return err
	default:
		return context.Cause(ctx)
	}
}
