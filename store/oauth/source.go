package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/store"
)

const (
	// useMargin is how long a token must still work to be handed out.
	useMargin = 10 * time.Second
	// useWait is how long a caller with a token that still works waits for a better one.
	useWait = 3 * time.Second
)

// Source hands out valid access tokens of one provider, and refreshes each token
// exactly once however many goroutines and processes need it. It is safe for
// concurrent use. Call Shutdown when the process ends.
//
// A caller's context ends only the caller's wait: a refresh that has begun is finished
// and saved, because with a rotating provider the old token is spent by then.
type Source struct {
	cfg SourceConfig
	// closing is closed when Shutdown begins: nothing is begun any more.
	closing chan struct{}
	// run ends when Shutdown gives up waiting; every refresh works under it.
	run  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	closed  bool
	flights map[store.AccountID]*flight
	recent  recent
	brake   brake
	working sync.WaitGroup
}

// NewSource returns a Source, or an error that names everything that is wrong with cfg.
func NewSource(cfg SourceConfig) (*Source, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	run, stop := context.WithCancel(context.Background())
	return &Source{
		cfg: cfg, closing: make(chan struct{}), run: run, stop: stop,
		flights: map[store.AccountID]*flight{}, recent: newRecent(), brake: newBrake(cfg),
	}, nil
}

// Token returns a token whose access token works, refreshing it first if need be.
// The error matches telemed.ErrNotConnected if there is no account, telemed.ErrReconnect if it
// must be connected again, telemed.ErrUnauthorized if the provider refuses the application, telemed.ErrDecrypt
// if the record cannot be opened, and telemed.ErrUnavailable, telemed.ErrRateLimited or telemed.ErrAmbiguous if the
// store or the provider fails while no token works; then call again later.
//
// A token that works is returned also while it is being refreshed or cannot be. That
// takes one read of the store and no lock that anybody holds for long. While the store does not
// answer, the last token that this process has seen is returned as long as it works.
// Otherwise Token waits for the refresh until ctx ends.
func (s *Source) Token(ctx context.Context, key store.AccountID) (store.Token, error) {
	return s.token(ctx, key, telemed.Secret{})
}

// Renew is Token for a caller to whom the provider said that the access token stale
// does not work. If the store has another one by now, that is returned, so that a
// herd of refused calls makes one refresh. A token that this process itself renewed within the last 30 seconds
// is not renewed again: the error matches telemed.ErrUnavailable.
func (s *Source) Renew(ctx context.Context, key store.AccountID, stale telemed.Secret) (store.Token, error) {
	return s.token(ctx, key, stale)
}

func (s *Source) token(ctx context.Context, key store.AccountID, stale telemed.Secret) (store.Token, error) {
	if err := s.checkKey(key); err != nil {
		return store.Token{}, err
	}
	if token, ok := s.unsaved(key, stale); ok {
		return token, nil
	}
	rec, err := s.read(ctx, key, stale)
	if err != nil {
		return s.withoutStore(ctx, key, stale, err)
	}
	now := time.Now()
	if usable(rec.Token, now, s.early(rec), stale) {
		return rec.Token, nil
	}
	token, err := s.renewed(ctx, rec, stale)
	if err != nil && !errors.Is(err, telemed.ErrNotConnected) && usable(rec.Token, now, useMargin, stale) {
		return rec.Token, nil
	}
	return token, err
}

func (s *Source) checkKey(key store.AccountID) error {
	if err := key.Validate(); err != nil {
		return err
	}
	if key.Provider != s.cfg.Provider {
		return fault.Invalid("oauth", "AccountID.Provider", "is not the provider of this Source")
	}
	return nil
}

// read asks the store, but not for so long that a token from memory comes too late: whoever can be
// served from there has half of the caller's time left.
func (s *Source) read(ctx context.Context, key store.AccountID, stale telemed.Secret) (store.Record, error) {
	patience := s.cfg.storeTimeout()
	if deadline, ok := ctx.Deadline(); ok && s.remembers(key, stale) {
		patience = min(patience, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rec, err := store.GetOpen(ctx, s.cfg.Store, key)
	if err == nil {
		s.remember(rec)
	}
	return rec, err
}

// early is how long before its expiry rec's token is refreshed. A token with a short life
// would otherwise be refreshed before each use.
func (s *Source) early(rec store.Record) time.Duration {
	life := rec.Token.Expiry.Sub(rec.UpdatedAt)
	return min(s.cfg.Early, max(life/4, 0))
}

// renewed returns the token that follows rec's, or why there is none.
func (s *Source) renewed(ctx context.Context, rec store.Record, stale telemed.Secret) (store.Token, error) {
	if s.resting(rec, time.Now()) {
		return store.Token{}, reconnectError(rec)
	}
	if err := s.cooling(rec); err != nil {
		return store.Token{}, err
	}
	if !usable(rec.Token, time.Now(), useMargin, stale) {
		return s.join(ctx, rec.ID, stale)
	}
	if rec.Lease.Owner != "" { // somebody is at it; the flight takes over if that one dies
		_, _, err := s.flight(rec.ID, stale)
		return rec.Token, err
	}
	ctx, cancel := context.WithTimeout(ctx, useWait)
	defer cancel()
	return s.join(ctx, rec.ID, stale)
}

// resting reports whether rec waits for its holder and was tried not long ago. The time was
// written by another clock, which decides no more here than when the next try is made.
func (s *Source) resting(rec store.Record, now time.Time) bool {
	return rec.Status == store.StatusReconnect && now.Sub(rec.UpdatedAt).Abs() < s.cfg.RetryReconnect
}

func reconnectError(rec store.Record) error {
	return fmt.Errorf("oauth: %s: %w: %s", rec.ID, telemed.ErrReconnect, rec.Reason)
}

// withoutStore serves the last token seen while the store is down.
func (s *Source) withoutStore(ctx context.Context, key store.AccountID, stale telemed.Secret, err error) (store.Token, error) {
	switch {
	case errors.Is(err, telemed.ErrNotFound):
		s.forget(key)
		return store.Token{}, fmt.Errorf("oauth: %s: %w", key, telemed.ErrNotConnected)
	case ctx.Err() != nil:
		return store.Token{}, fmt.Errorf("oauth: %s: %w", key, context.Cause(ctx))
	}
	if token, ok := s.last(key, stale); ok {
		return token, nil
	}
	if errors.Is(err, telemed.ErrDecrypt) {
		return store.Token{}, fmt.Errorf("oauth: %s: %w", key, err)
	}
	return store.Token{}, fmt.Errorf("oauth: %s: %w", key, fault.Tagged(telemed.ErrUnavailable, err))
}

// flight is one refresh that many callers wait for.
type flight struct {
	done  chan struct{} // closed once token and err are set
	token store.Token
	err   error
}

// join waits for the key's flight and starts one if there is none.
func (s *Source) join(ctx context.Context, key store.AccountID, stale telemed.Secret) (store.Token, error) {
	for round := 1; ; round++ {
		f, started, err := s.flight(key, stale)
		if err != nil {
			return store.Token{}, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return store.Token{}, fmt.Errorf("oauth: %s: %w", key, context.Cause(ctx))
		}
		switch {
		case f.err != nil:
			return store.Token{}, f.err
		case started || fresh(f.token, time.Now(), stale):
			return f.token.Clone(), nil
		case round > 1:
			return store.Token{}, fmt.Errorf("oauth: %s: the next token waits to be saved: %w", key, telemed.ErrUnavailable)
		}
		// The flight was under way before the caller's token went bad: once more.
	}
}

// flight returns the key's refresh, and whether it was started by this call.
func (s *Source) flight(key store.AccountID, stale telemed.Secret) (f *flight, started bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.flights[key]; ok {
		return f, false, nil
	}
	f, err = s.launch(key, func(r *refresh) {
		r.stale = stale
		r.fly()
	})
	return f, err == nil, err
}

// launch runs work as the key's flight. Source.mu is held.
func (s *Source) launch(key store.AccountID, work func(*refresh)) (*flight, error) {
	if s.closed {
		return nil, fmt.Errorf("oauth: source: %w", telemed.ErrClosed)
	}
	f := &flight{done: make(chan struct{})}
	if _, busy := s.flights[key]; !busy {
		s.flights[key] = f
	}
	s.working.Go(func() {
		r := &refresh{Source: s, key: key, owner: rand.Text(), flight: f}
		defer s.drop(key, f)
		defer r.land(store.Token{}, fmt.Errorf("oauth: %s: the refresh ended without a result: %w", key, telemed.ErrUnavailable))
		work(r)
	})
	return f, nil
}

// drop makes room for the key's next flight.
func (s *Source) drop(key store.AccountID, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[key] == f {
		delete(s.flights, key)
	}
}

// Shutdown lets no refresh begin any more and waits until those that have begun are
// saved. If ctx ends first, they are cut off, and the error says how many: with a
// rotating provider their accounts must be connected again, unless a Spool keeps the
// tokens. Tokens that work are handed out also after Shutdown.
func (s *Source) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	defer s.stop()

	done := make(chan struct{})
	go func() {
		s.working.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	cut := len(s.flights)
	s.mu.Unlock()
	s.stop()
	<-done
	if cut == 0 {
		return nil
	}
	return fmt.Errorf("oauth: Shutdown: %d refreshes were cut off: %w", cut, context.Cause(ctx))
}
