package oauth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/store"
)

// Spool keeps new tokens outside the database while that cannot take them, so that they outlive
// the process: a deploy in the middle of a database outage would otherwise lose
// every token that was refreshed meanwhile at a rotating provider. [FileSpool] is one.
//
// Implementations are safe for concurrent use, encrypt what they keep, and may be
// shared by processes. A token that a failed store takes later is dropped from the spool.
type Spool interface {
	// Keep stores u. When it returns nil, u survives the process and the machine's power.
	Keep(ctx context.Context, u Unsaved) error
	// List yields what is kept, and at most one error, last. The body of the loop may use the Spool.
	List(ctx context.Context) iter.Seq2[Unsaved, error]
	// Drop removes u. Absent: nil.
	Drop(ctx context.Context, u Unsaved) error
}

// Unsaved is a token that is not in the store yet.
type Unsaved struct {
	// ID says whose it is.
	ID store.AccountID
	// Spent is the token that it was bought with. If the record holds another one, Token is obsolete.
	Spent store.Token
	// Token is the new one.
	Token store.Token
}

// LogValue tells the key, without the subject.
func (u Unsaved) LogValue() slog.Value { return u.ID.LogValue() }

// Recover takes over the tokens that earlier processes left in the Spool: callers get them at
// once, and they are saved in the background as soon as the store takes them. It returns how many
// there are. Call it when the process starts, before anybody asks for a token. Without a Spool it does nothing.
func (s *Source) Recover(ctx context.Context) (int, error) {
	if s.cfg.Spool == nil {
		return 0, nil
	}
	recovered := 0
	for u, err := range s.cfg.Spool.List(ctx) {
		if err != nil {
			return recovered, fmt.Errorf("oauth: Recover: %w", err)
		}
		if u.ID.Provider != s.cfg.Provider {
			continue
		}
		if err := s.adopt(u); err != nil {
			return recovered, err
		}
		recovered++
	}
	return recovered, nil
}

// adopt goes on where the process that spooled u had to stop.
func (s *Source) adopt(u Unsaved) error {
	if err := s.checkKey(u.ID); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, busy := s.recent.unsaved[u.ID]
	if busy && known.Same(u.Token) {
		return nil // our own
	}
	f, err := s.launch(u.ID, func(r *refresh) {
		r.spooled = true
		r.save(u.Spent, u.Token)
	})
	if err == nil && (!busy || u.Token.Expiry.After(known.Expiry)) {
		s.recent.unsaved[u.ID] = u.Token
		s.flights[u.ID] = f // the older one ends first, and nobody may refresh while this one is in the air
	}
	return err
}

// KeepAlive refreshes the tokens of active accounts that nobody has used for IdleAfter: providers let
// refresh tokens die that lie unused for some months (Google after six, Zoom's
// lifetime is not promised). It needs a Store that implements store.Lister; otherwise the error matches
// errors.ErrUnsupported. Call it from a daily job, in one process or in many.
//
// It returns how many were refreshed and how many failed; those that failed are logged, and
// tried again the next time. The error is that of the list, or of ctx.
func (s *Source) KeepAlive(ctx context.Context) (refreshed, failed int, err error) {
	lister, ok := s.cfg.Store.(store.Lister)
	if !ok {
		return 0, 0, fmt.Errorf("oauth: KeepAlive: the store cannot list: %w", errors.ErrUnsupported)
	}
	for rec, err := range lister.List(ctx, store.Filter{Provider: s.cfg.Provider, Status: store.StatusActive}) {
		if err != nil {
			return refreshed, failed, fmt.Errorf("oauth: KeepAlive: %w", err)
		}
		if !s.idle(rec) {
			continue
		}
		if _, err := s.Renew(ctx, rec.ID, rec.Token.Access); err != nil {
			if ctx.Err() != nil {
				return refreshed, failed, fmt.Errorf("oauth: KeepAlive: %w", context.Cause(ctx))
			}
			failed++
			s.cfg.Logger.Warn("oauth: idle account could not be refreshed", slog.Any("key", rec.ID), slog.Any("error", err))
			continue
		}
		refreshed++
	}
	return refreshed, failed, nil
}

// idle reports whether rec's token has been left unused for long. Days are at stake, not
// seconds: that the time was written by another clock does no harm.
func (s *Source) idle(rec store.Record) bool {
	return !rec.Token.Refresh.IsZero() && time.Since(rec.UpdatedAt) >= s.cfg.IdleAfter
}
