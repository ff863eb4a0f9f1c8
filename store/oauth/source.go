package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/internal/wait"
	"github.com/telemed-go/telemed/store"
)

// useWait is how long a caller with a token that still works waits for a better one.
const useWait = 3 * time.Second

// Source hands out valid access tokens of one provider, and refreshes each token exactly
// once however many goroutines and processes need it. It is safe for concurrent use. Call
// Shutdown when the process ends.
//
// A caller's context ends only the caller's wait: a refresh that has begun is finished
// and saved, because with a rotating provider the old token is spent by then.
type Source struct {
	*shared
	// stop ends shared.run.
	stop context.CancelFunc
}

// NewSource returns a Source, or an error that names everything that is wrong with cfg.
func NewSource(cfg SourceConfig) (*Source, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	run, stop := context.WithCancel(context.Background())
	return &Source{stop: stop, shared: &shared{
		cfg: cfg, memory: newMemory(), breaker: newBreaker(cfg.Tuning), pending: newPending(), run: run,
	}}, nil
}

// Token returns a token whose access token works, refreshing it first if need be.
//
// The error matches telemed.ErrNotConnected if there is no account, telemed.ErrReconnect
// if it must be connected again, telemed.ErrUnauthorized if the provider refuses the
// application, telemed.ErrDecrypt if the record cannot be opened, and
// telemed.ErrUnavailable, telemed.ErrRateLimited or telemed.ErrAmbiguous if the store or
// the provider fails while no token works; then call again later.
//
// A token that works is returned also while it is being refreshed or cannot be. That
// takes one read of the store and no lock that anybody holds for long. While the store
// does not answer, the last token that this process has seen is returned as long as it
// works. Otherwise Token waits for the refresh until ctx ends.
func (s *Source) Token(ctx context.Context, id store.AccountID) (store.Token, error) {
	return s.token(ctx, id, telemed.Secret{})
}

// Renew is Token for a caller to whom the provider said that the access token stale does
// not work. If the store has another one by now, that is returned, so that a herd of
// refused calls makes one refresh. A token that this process itself renewed within the
// last 30 seconds is not renewed again: the error matches telemed.ErrUnavailable.
func (s *Source) Renew(ctx context.Context, id store.AccountID, stale telemed.Secret) (store.Token, error) {
	return s.token(ctx, id, stale)
}

func (s *Source) token(ctx context.Context, id store.AccountID, stale telemed.Secret) (store.Token, error) {
	if err := s.checkID(id); err != nil {
		return store.Token{}, err
	}
	if token, ok := s.memory.notSaved(id, stale); ok {
		return token, nil
	}
	rec, err := s.read(ctx, id, stale)
	if err != nil {
		return s.withoutStore(ctx, id, stale, err)
	}
	now := time.Now()
	if usable(rec.Token, now, s.cfg.early(rec), stale) {
		return rec.Token, nil
	}
	token, err := s.renewed(ctx, rec, stale)
	if err != nil && !errors.Is(err, telemed.ErrNotConnected) && usable(rec.Token, now, useMargin, stale) {
		return rec.Token, nil
	}
	return token, err
}

func (s *Source) checkID(id store.AccountID) error {
	if err := id.Validate(); err != nil {
		return err
	}
	if id.Provider != s.cfg.Provider {
		return fault.Invalid("oauth", "AccountID.Provider", "is not the provider of this Source")
	}
	return nil
}

// read asks the store, but not for so long that a token from memory comes too late:
// whoever can be served from there has half of the caller's time left.
func (s *Source) read(ctx context.Context, id store.AccountID, stale telemed.Secret) (store.Record, error) {
	timeout := s.cfg.storeTimeout()
	if deadline, ok := ctx.Deadline(); ok && s.memory.remembers(id, stale) {
		timeout = min(timeout, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	rec, err := store.GetOpen(ctx, s.cfg.Store, id)
	if err == nil {
		s.memory.remember(rec)
	}
	return rec, err
}

// withoutStore serves the last token seen while the store is down.
func (s *Source) withoutStore(ctx context.Context, id store.AccountID, stale telemed.Secret, err error) (store.Token, error) {
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		s.memory.forget(id)
		return store.Token{}, fmt.Errorf("oauth: %s: %w", id, telemed.ErrNotConnected)
	case ctx.Err() != nil:
		return store.Token{}, fmt.Errorf("oauth: %s: %w", id, context.Cause(ctx))
	}
	if token, ok := s.memory.last(id, stale); ok {
		return token, nil
	}
	if errors.Is(err, telemed.ErrDecrypt) {
		return store.Token{}, fmt.Errorf("oauth: %s: %w", id, err)
	}
	return store.Token{}, fmt.Errorf("oauth: %s: %w", id, fault.Tagged(telemed.ErrUnavailable, err))
}

// renewed returns the token that follows rec's, or why there is none.
func (s *Source) renewed(ctx context.Context, rec store.Record, stale telemed.Secret) (store.Token, error) {
	if s.cfg.leftAlone(rec, time.Now()) {
		return store.Token{}, reconnectError(rec)
	}
	if err := s.paused(rec); err != nil {
		return store.Token{}, err
	}
	if !usable(rec.Token, time.Now(), useMargin, stale) {
		return s.join(ctx, rec.ID, stale)
	}
	if rec.Lease.Owner != "" { // somebody is at it; the attempt takes over if that one dies
		_, _, err := s.start(rec.ID, stale)
		return rec.Token, err
	}
	ctx, cancel := context.WithTimeout(ctx, useWait)
	defer cancel()
	return s.join(ctx, rec.ID, stale)
}

// join waits for the account's attempt and starts one if there is none.
func (s *Source) join(ctx context.Context, id store.AccountID, stale telemed.Secret) (store.Token, error) {
	for round := 1; ; round++ {
		r, started, err := s.start(id, stale)
		if err != nil {
			return store.Token{}, err
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return store.Token{}, fmt.Errorf("oauth: %s: %w", id, context.Cause(ctx))
		}
		switch {
		case r.err != nil:
			return store.Token{}, r.err
		case started || fresh(r.token, time.Now(), stale):
			return r.token.Clone(), nil
		case round > 1:
			return store.Token{}, fmt.Errorf("oauth: %s: the next token waits to be saved: %w", id, telemed.ErrUnavailable)
		}
		// The attempt was under way before the caller's token went bad: once more.
	}
}

// start returns the account's attempt, and whether it was started by this call.
func (s *Source) start(id store.AccountID, stale telemed.Secret) (r *result, started bool, err error) {
	return s.pending.join(id, func(r *result) { newAttempt(s.shared, id, stale, r).run() })
}

// Shutdown lets no refresh begin any more and waits until those that have begun are
// saved. A deadline of ctx counts only time in which this process was seen to run. If ctx
// ends first, they are cut off, and the error says how many: with a
// rotating provider their accounts must be connected again, unless a Spool keeps the
// tokens. Tokens that work are handed out also after Shutdown.
func (s *Source) Shutdown(ctx context.Context) error {
	ended := s.pending.close()
	defer s.stop()
	ctx, cancel := wait.Alive(ctx)
	defer cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	cut := s.pending.count()
	s.stop()
	<-ended
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("oauth: Shutdown: %d refreshes were cut off: %w", cut, context.Cause(ctx))
}
