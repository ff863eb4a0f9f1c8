package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// saveInline is how long callers wait for the save before they get the token from memory.
const saveInline = 2 * time.Second

// save writes the new token until the store takes it. Callers wait saveInline for that,
// then they are served from memory.
func (r *refresh) save(spent, token store.Token) {
	r.saving = true
	begin := time.Now()
	unsaved := Unsaved{ID: r.key, Spent: spent, Token: token}
	waiting := false
	for n := 0; ; n++ {
		kept, err := r.saveOnce(spent, token)
		switch {
		case err == nil:
			r.settle(unsaved)
			r.land(kept, nil)
			return
		case errors.Is(err, telemed.ErrNotConnected): // disconnected meanwhile: not to be brought back
			r.settle(unsaved)
			r.forget(r.key)
			r.land(store.Token{}, err)
			return
		case !errors.Is(err, telemed.ErrConflict) && !waiting:
			waiting = true
			r.setUnsaved(r.key, token)
			r.cfg.Logger.Warn("oauth: new token cannot be saved yet", slog.Any("key", r.key))
		}
		if waiting {
			r.spool(unsaved)
		}
		pause := min(wait.Jitter(50*time.Millisecond<<min(n, 10)), r.cfg.maxSavePause())
		if left := saveInline - time.Since(begin); left > 0 {
			pause = min(pause, left)
		} else {
			r.land(token, nil)
		}
		if time.Since(begin) > r.cfg.SaveFor || wait.For(r.run, pause) != nil {
			r.spool(unsaved)
			r.lost(unsaved)
			r.land(token, nil)
			return
		}
	}
}

// spoolTimeout bounds one call of the spool. Close does not cut it off: it is there for that moment.
const spoolTimeout = 5 * time.Second

// spool keeps what the store cannot take.
func (r *refresh) spool(unsaved Unsaved) {
	if r.cfg.Spool == nil || r.spooled {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.run), spoolTimeout)
	defer cancel()
	if err := r.guarded("Spool.Keep", func() error { return r.cfg.Spool.Keep(ctx, unsaved) }); err != nil {
		r.cfg.Logger.Warn("oauth: new token cannot be spooled", slog.Any("key", r.key), slog.Any("error", err))
		return
	}
	r.spooled = true
}

// settle forgets a token that needs no saving any more.
func (r *refresh) settle(unsaved Unsaved) {
	r.clearUnsaved(r.key, unsaved.Token)
	if !r.spooled {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.run), spoolTimeout)
	defer cancel()
	if err := r.guarded("Spool.Drop", func() error { return r.cfg.Spool.Drop(ctx, unsaved) }); err != nil { // Recover will find that it is obsolete
		r.cfg.Logger.Warn("oauth: token stays in the spool", slog.Any("key", r.key), slog.Any("error", err))
	}
}

// lost says the one thing that only a person can mend.
func (r *refresh) lost(unsaved Unsaved) {
	r.clearUnsaved(r.key, unsaved.Token)
	if r.spooled {
		r.cfg.Logger.Warn("oauth: a new token was not saved; the spool has it", slog.Any("key", r.key))
		return
	}
	r.cfg.Logger.Error("oauth: a new token was not saved", slog.Any("key", r.key))
}

// saveOnce puts token over whatever revision is there, if the record still holds what was
// spent for it. It returns the token that the record holds in the end.
func (r *refresh) saveOnce(spent, token store.Token) (store.Token, error) {
	rec, err := r.get()
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		return store.Token{}, fmt.Errorf("oauth: %s: %w", r.key, telemed.ErrNotConnected)
	case err != nil:
		return store.Token{}, err
	case rec.Token.Same(token): // our own write, whose answer was lost
		r.refreshed(rec)
		return token, nil
	case rec.Token.Same(spent): // only lease and status moved, if anything
		rec.Token = token
	case !rec.Token.Refresh.Equal(spent.Refresh) || token.Refresh.Equal(spent.Refresh):
		return rec.Token, nil // connected or refreshed by others meanwhile: theirs wins
	default:
		// Connected anew by a consent that brought no refresh token, so that the one we spent was
		// kept: theirs wins, but ours is the one that lives.
		rec.Token.Refresh = token.Refresh
	}
	rec.Status, rec.Reason = store.StatusActive, ""
	rec.Lease = store.Lease{}
	rec.UpdatedAt = millis(time.Now())
	if err := r.put(&rec); err != nil {
		return store.Token{}, err
	}
	r.refreshed(rec)
	return rec.Token, nil
}

// renewPause is how long a token that was renewed because its predecessor was refused is not renewed again.
const renewPause = 30 * time.Second

var errJustRenewed = fmt.Errorf("%w: the token that was just renewed is refused as well", telemed.ErrUnavailable)

// refreshed tells who wants to know. It keeps a provider that refuses whatever it gave from being asked for
// a token at each call.
func (r *refresh) refreshed(rec store.Record) {
	r.countRefresh(r.key)
	if !r.stale.IsZero() {
		pause := renewPause
		if !rec.Token.Expiry.IsZero() {
			pause = min(pause, rec.Token.Expiry.Sub(rec.UpdatedAt)/4) // it ends before the next refresh is due
		}
		r.coolDown(rec, pause, fmt.Errorf("oauth: %s: %w", r.key, errJustRenewed))
	}
	if r.cfg.OnRefresh != nil {
		r.tell("OnRefresh", func() { r.cfg.OnRefresh(r.key) })
	}
}
