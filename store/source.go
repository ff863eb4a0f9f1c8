package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/telemed-go/telemed/internal/fault"
)

// RefreshFunc buys the next token for old. It is called once for each attempt and
// never twice at the same time for the same key, in any process. Its errors
// decide what the Source believes; see [Provider.Refresh], which is one. An error
// that matches none of the named ones counts as ErrAmbiguous.
type RefreshFunc func(ctx context.Context, old Token) (Token, error)

// SourceConfig configures a Source.
type SourceConfig struct {
	// Store keeps the records. Required.
	Store TokenStore
	// Provider is the Key.Provider of all keys of this Source. Required.
	Provider string
	// Refresh buys tokens. Required.
	Refresh RefreshFunc

	// Early is how long before its expiry a token is refreshed. If 0, 5 minutes.
	Early time.Duration
	// Timeout bounds one exchange with the provider. If 0, 15 seconds.
	Timeout time.Duration
	// LeaseTTL is how long a lease must have been seen unchanged before another
	// process takes it over. It must be at least twice Timeout. If 0, 60 seconds.
	LeaseTTL time.Duration
	// SaveFor is how long a new token is tried to be saved while the store fails. If 0, 24 hours.
	SaveFor time.Duration
	// RetryReconnect is how long an account that waits to be reconnected is left alone before
	// its token is tried once more. If 0, 1 hour.
	RetryReconnect time.Duration

	// OnRefresh is called after a new token was saved. It must not block. May be nil.
	OnRefresh func(key Key)
	// OnReconnect is called after an account was found to need a new consent. It must not block. May be nil.
	OnReconnect func(key Key, reason string)
	// Logger gets what goes wrong without anybody being told by an error. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c SourceConfig) validate() error {
	var p fault.Problems
	p.Check(c.Store != nil, "Store", "is required")
	p.Check(validProvider(c.Provider), "Provider", "is not 1 to 64 characters of a-z, 0-9, _ and -")
	p.Check(c.Refresh != nil, "Refresh", "is required")
	p.Check(c.Early >= 0, "Early", "is negative")
	p.Check(c.LeaseTTL >= 2*c.Timeout, "LeaseTTL", "is less than twice Timeout")
	return p.Err("store: source")
}

func (c SourceConfig) withDefaults() SourceConfig {
	setDefault(&c.Early, 5*time.Minute)
	setDefault(&c.Timeout, 15*time.Second)
	setDefault(&c.LeaseTTL, max(60*time.Second, 2*c.Timeout))
	setDefault(&c.SaveFor, 24*time.Hour)
	setDefault(&c.RetryReconnect, time.Hour)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// useMargin is how long a token must still work to be handed out.
const useMargin = 10 * time.Second

// Source hands out valid access tokens of one provider, and refreshes each token
// exactly once however many goroutines and processes need it. It is safe for
// concurrent use. Close it when the process ends.
//
// A caller's context ends only the caller's wait: a refresh that has begun is finished
// and saved, because with a rotating provider the old token is spent by then.
type Source struct {
	cfg SourceConfig
	// run ends when Close gives up waiting; every refresh works under it.
	run  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	closed  bool
	flights map[Key]*flight
	recent  recent
	working sync.WaitGroup
}

// flight is one refresh that many callers wait for.
type flight struct {
	done  chan struct{} // closed once token and err are set
	token Token
	err   error
}

// NewSource returns a Source, or an error that names everything that is wrong with cfg.
func NewSource(cfg SourceConfig) (*Source, error) {
	if err := cfg.withDefaults().validate(); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.Background())
	return &Source{cfg: cfg.withDefaults(), run: run, stop: stop, flights: map[Key]*flight{}, recent: newRecent()}, nil
}

// Token returns a token whose access token works, refreshing it first if need be.
// The error matches ErrNotConnected if there is no account, ErrReconnect if it
// must be connected again, and ErrUnavailable, ErrRateLimited or ErrAmbiguous
// if the store or the provider fails while no token works; then call again later.
func (s *Source) Token(ctx context.Context, key Key) (Token, error) {
	return s.token(ctx, key, Secret{})
}

// Renew is Token for a caller to whom the provider said that the access token stale
// does not work. If the store has another one by now, that is returned, so that a
// herd of refused calls makes one refresh.
func (s *Source) Renew(ctx context.Context, key Key, stale Secret) (Token, error) {
	return s.token(ctx, key, stale)
}

func (s *Source) token(ctx context.Context, key Key, stale Secret) (Token, error) {
	if err := s.checkKey(key); err != nil {
		return Token{}, err
	}
	if token, ok := s.unsaved(key, stale); ok {
		return token, nil
	}
	rec, err := s.cfg.Store.Get(ctx, key)
	if err != nil {
		return s.withoutStore(ctx, key, stale, err)
	}
	s.remember(rec)
	now := time.Now()
	if rec.Token.usable(now, s.cfg.Early, stale) {
		return rec.Token, nil
	}
	usable := rec.Token.usable(now, useMargin, stale)
	if usable && rec.Lease.Owner != "" { // somebody is at it; no need to wait
		return rec.Token, nil
	}
	if s.resting(rec, now) {
		if usable {
			return rec.Token, nil
		}
		return Token{}, reconnectError(rec)
	}
	token, err := s.join(ctx, key, stale)
	if err != nil && usable && !errors.Is(err, ErrNotConnected) {
		return rec.Token, nil
	}
	return token, err
}

func (s *Source) checkKey(key Key) error {
	if err := key.Validate(); err != nil {
		return err
	}
	if key.Provider != s.cfg.Provider {
		return fault.Invalid("store", "Key.Provider", "is not the provider of this Source")
	}
	return nil
}

// resting reports whether rec waits for its holder and was tried not long ago.
func (s *Source) resting(rec Record, now time.Time) bool {
	return rec.Status == StatusReconnect && now.Sub(rec.UpdatedAt) < s.cfg.RetryReconnect
}

func reconnectError(rec Record) error {
	return fmt.Errorf("store: %s: %w: %s", rec.Key, ErrReconnect, rec.Reason)
}

// withoutStore serves the last token seen while the store is down.
func (s *Source) withoutStore(ctx context.Context, key Key, stale Secret, err error) (Token, error) {
	switch {
	case errors.Is(err, ErrNotFound):
		s.forget(key)
		return Token{}, fmt.Errorf("store: %s: %w", key, ErrNotConnected)
	case ctx.Err() != nil:
		return Token{}, fmt.Errorf("store: %s: %w", key, context.Cause(ctx))
	}
	if token, ok := s.last(key); ok && token.usable(time.Now(), useMargin, stale) {
		return token, nil
	}
	if errors.Is(err, ErrDecrypt) {
		return Token{}, fmt.Errorf("store: %s: %w", key, err)
	}
	return Token{}, fmt.Errorf("store: %s: %w", key, fault.Tagged(ErrUnavailable, err))
}

// join waits for the key's flight and starts one if there is none.
func (s *Source) join(ctx context.Context, key Key, stale Secret) (Token, error) {
	for round := 1; ; round++ {
		f, started, err := s.flight(key, stale)
		if err != nil {
			return Token{}, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return Token{}, fmt.Errorf("store: %s: %w", key, context.Cause(ctx))
		}
		if started || round > 1 || f.err != nil || stale.IsZero() || !f.token.Access.Equal(stale) {
			return f.token, f.err
		}
		// The flight was under way before the caller's token went bad: once more.
	}
}

func (s *Source) flight(key Key, stale Secret) (f *flight, started bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.flights[key]; ok {
		return f, false, nil
	}
	if s.closed {
		return nil, false, fmt.Errorf("store: source: %w", ErrClosed)
	}
	f = &flight{done: make(chan struct{})}
	s.flights[key] = f
	s.working.Go(func() {
		r := &refresh{Source: s, key: key, stale: stale, owner: rand.Text(), flight: f}
		defer s.drop(key, f)
		r.fly()
	})
	return f, true, nil
}

// drop makes room for the key's next flight.
func (s *Source) drop(key Key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[key] == f {
		delete(s.flights, key)
	}
}

// Close lets no refresh begin any more and waits until those under way are saved. If ctx
// ends first, they are cut off, and the error says how many: with a rotating
// provider their accounts must be connected again.
func (s *Source) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
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
	return fmt.Errorf("store: Close: %d refreshes were cut off: %w", cut, context.Cause(ctx))
}
