package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// TestS5EveryFailureIsFollowedByAPause: whatever a refresh ends with, a hundred calls ask
// the provider a few times, and so do the next hundred, later and later.
func TestS5EveryFailureIsFollowedByAPause(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"unauthorized": telemed.ErrUnauthorized, "invalid": telemed.ErrInvalid, "unavailable": telemed.ErrUnavailable,
		"rate limited": telemed.ErrRateLimited, "ambiguous": telemed.ErrAmbiguous, "of its own kind": errors.New("strange"),
		"forbidden": telemed.ErrForbidden, "hasty": busyUntil{time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s := c.source()
				c.provider.before = func(int) error { return fmt.Errorf("no: %w", failure) }
				writes := 0
				c.store.Fail(func(op string) error {
					if op == "put" {
						writes++
					}
					return nil
				}, nil)
				const perAttempt = 3
				for n, seconds := range []int{30, 60, 120, 240, 480, 900, 900} {
					pause := time.Duration(seconds) * time.Second
					posts, written := c.provider.count(), writes
					for range 100 {
						_, err := s.Token(t.Context(), doctor)
						require.ErrorIs(t, err, failure)
						require.ErrorContains(t, err, fmt.Sprintf("asked again in %v", pause))
						require.Equal(t, pause, telemedDelay(err))
					}
					require.LessOrEqual(t, c.provider.count()-posts, perAttempt, "attempt %d", n)
					require.Greater(t, c.provider.count(), posts)
					require.LessOrEqual(t, writes-written, 2*perAttempt)
					posts = c.provider.count()
					time.Sleep(pause - time.Second)
					_, err := s.Token(t.Context(), doctor)
					require.ErrorContains(t, err, "asked again in 1s")
					require.Equal(t, posts, c.provider.count())
					time.Sleep(time.Second)
				}
				c.provider.before = nil
				c.works(s)
			})
		})
	}
}

func telemedDelay(err error) time.Duration {
	delayed, _ := errors.AsType[interface {
		error
		RetryDelay() time.Duration
	}](err)
	return delayed.RetryDelay()
}

// A new consent ends a pause. A lease that another process takes and gives back does not.
func TestWhatEndsAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.provider.before = func(int) error { return telemed.ErrInvalid }
		one, two := c.source(), c.source()
		for range 50 {
			for _, s := range []*oauth.Source{one, two} {
				_, err := s.Token(t.Context(), doctor)
				require.ErrorIs(t, err, telemed.ErrInvalid)
			}
		}
		require.Equal(t, 2, c.provider.count(), "each process asks once")

		other := store.AccountID{Provider: "zoom", Subject: "dr-iyer"}
		c.connect(other)
		_, err := one.Token(t.Context(), other)
		require.NoError(t, err, "a pause is one account's")

		c.provider.before = nil
		c.connect(doctor)
		rec := c.record()
		rec.Token.Expiry = time.Now()
		_, err = c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		_, err = one.Token(t.Context(), doctor)
		require.NoError(t, err, "the consent is new")
		require.Equal(t, 3, c.provider.count())
	})
}

// While a token works, callers get it, and the pause ends when it does.
func TestAPauseTakesNoTokenAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		working, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		c.provider.before = func(int) error { return telemed.ErrUnauthorized }
		begin := c.provider.count()
		for end := working.Expiry.Add(-11 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
			token, err := s.Token(t.Context(), doctor)
			require.NoError(t, err)
			require.Equal(t, working.Access, token.Access)
		}
		require.LessOrEqual(t, c.provider.count()-begin, 5)
		c.provider.before = nil
		time.Sleep(time.Until(working.Expiry))
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err, "nobody waits without a token for a pause of better times")
		require.NotEqual(t, working.Access, token.Access)
	})
}

// A verdict that cannot be written is none, but it is not asked for at each call.
func TestAMarkThatFailsIsFollowedByAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.before = func(int) error { return oauth.ErrRejected }
		marks := map[int]int{} // by the number of exchanges before them
		c.store.Fail(func(op string) error {
			n := c.provider.count()
			if op != "put" || n == 0 || n%2 != 0 || marks[n] == 3 {
				return nil
			}
			marks[n]++
			return errDown
		}, nil)
		for range 100 {
			_, err := s.Token(t.Context(), doctor)
			require.ErrorIs(t, err, telemed.ErrUnavailable)
		}
		require.Equal(t, 2, c.provider.count())
		c.store.Fail(nil, nil)
		c.provider.before = nil
		c.works(s)
	})
}

// TestS5RefusedCredentialsPauseAll has the client secret run out: one account after the
// other asks once, not each with each call.
func TestS5RefusedCredentialsPauseAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		const doctors = 50
		for n := range doctors {
			c.connect(numbered(n))
		}
		c.expire()
		s := c.source()
		all := func() (failed int) {
			for n := range doctors {
				if _, err := s.Token(t.Context(), numbered(n)); err != nil {
					require.ErrorIs(t, err, telemed.ErrUnauthorized)
					failed++
				}
			}
			return failed
		}
		c.provider.before = func(int) error { return fmt.Errorf("no: %w", telemed.ErrUnauthorized) }
		for n, want := range []int{2, 3, 4, 5} {
			require.Equal(t, doctors, all())
			require.Equal(t, want, c.provider.count(), "round %d", n)
			time.Sleep(shortest << n)
		}
		c.provider.before = nil
		require.Less(t, all(), 5, "the first success is everybody's; those that asked in vain wait for themselves")
		time.Sleep(time.Minute)
		require.Zero(t, all())
	})
}

// shortest is the first pause.
const shortest = 30 * time.Second

// TestOneOddAccountPausesNobody: a refusal of the application that one account alone gets
// is about that account.
func TestOneOddAccountPausesNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		odd := c.record().Token.Refresh
		others := []store.AccountID{numbered(1), numbered(2)}
		for _, id := range others {
			c.connect(id)
		}
		c.expire()
		refresh := c.provider.refresh
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.Refresh = func(ctx context.Context, old store.Token) (store.Token, error) {
				if old.Refresh.Equal(odd) {
					return store.Token{}, telemed.ErrUnauthorized
				}
				return refresh(ctx, old)
			}
		})
		for range 20 {
			_, err := s.Token(t.Context(), doctor)
			require.ErrorIs(t, err, telemed.ErrUnauthorized)
			for _, id := range others {
				_, err := s.Token(t.Context(), id)
				require.NoError(t, err)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// TestS4RefreshTokenAlone: an answer without an access token, or one that comes with an
// error, has spent the old refresh token. The new one is kept, and asked with after a
// pause.
func TestS4RefreshTokenAlone(t *testing.T) {
	t.Parallel()
	for name, beside := range map[string]error{"no error": nil, "an error": telemed.ErrAmbiguous} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				alone := true
				s := c.source(func(cfg *oauth.SourceConfig) {
					cfg.Refresh = func(ctx context.Context, old store.Token) (store.Token, error) {
						token, err := c.provider.refresh(ctx, old)
						if err == nil && alone {
							return store.Token{Refresh: token.Refresh}, beside
						}
						return token, err
					}
				})
				for range 100 {
					_, err := s.Token(t.Context(), doctor)
					require.ErrorIs(t, err, telemed.ErrUnavailable)
				}
				require.Equal(t, 1, c.provider.count())
				require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal())
				alone = false
				time.Sleep(shortest)
				token, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-3", token.Access.Reveal())
				c.works(s)
			})
		})
	}
}
