package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// KeepAlive refreshes the tokens of active accounts that nobody has used for IdleAfter:
// providers let refresh tokens die that lie unused for some months (Google after six,
// Zoom's lifetime is not promised). It needs a Store that implements store.Lister;
// otherwise the error matches errors.ErrUnsupported. Call it from a daily job, in one
// process or in many.
//
// It returns how many were refreshed and how many failed; those that failed are logged,
// and tried again the next time. The error is that of the list, or of ctx.
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
			s.cfg.Logger.Warn("oauth: idle account could not be refreshed", slog.Any("account", rec.ID), slog.Any("error", err))
			continue
		}
		refreshed++
	}
	return refreshed, failed, nil
}

// tendEvery is how often Tend refreshes what lies unused.
const tendEvery = 24 * time.Hour

// Tend calls KeepAlive of all sources, now and each day, until ctx ends. It blocks; errors
// go to the Logger of each Source. An application has a goroutine for it.
func Tend(ctx context.Context, sources ...*Source) {
	for ctx.Err() == nil {
		for _, s := range sources {
			if _, _, err := s.KeepAlive(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Warn("oauth: idle tokens cannot be refreshed", slog.Any("error", err))
			}
		}
		_ = wait.For(ctx, tendEvery) // ctx has ended
	}
}

// idle reports whether rec's token has been left unused for long. Days are at stake, not
// seconds: that the time was written by another clock does no harm.
func (s *Source) idle(rec store.Record) bool {
	return !rec.Token.Refresh.IsZero() && time.Since(rec.UpdatedAt) >= s.cfg.IdleAfter
}
