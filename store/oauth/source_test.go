package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/faultytest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

func TestNewSourceNamesEverythingWrong(t *testing.T) {
	t.Parallel()
	_, err := oauth.NewSource(oauth.SourceConfig{})
	require.EqualError(t, err, "oauth: source: Store is required; Provider is not 1 to 64 characters of a-z, 0-9, _ and -; Refresh is required")
	require.ErrorIs(t, err, telemed.ErrInvalid)

	_, err = oauth.NewSource(oauth.SourceConfig{
		Store: store.NewMemory(), Provider: "zoom", Refresh: newRotating().refresh,
		Tuning: oauth.Tuning{
			Early: -1, Timeout: -1, LeaseTTL: -1, SaveFor: -1, RetryReconnect: -1, IdleAfter: -1, RejectionWindow: -1,
		},
	})
	require.Len(t, telemed.Fields(err), 7)

	_, err = oauth.NewSource(oauth.SourceConfig{
		Store: store.NewMemory(), Provider: "zoom", Refresh: newRotating().refresh,
		Tuning: oauth.Tuning{Timeout: time.Minute, LeaseTTL: time.Minute},
	})
	require.EqualError(t, err, "oauth: source: LeaseTTL is less than twice Timeout")
}

func TestIDsAreChecked(t *testing.T) {
	t.Parallel()
	s, err := oauth.NewSource(oauth.SourceConfig{Store: store.NewMemory(), Provider: "zoom", Refresh: newRotating().refresh})
	require.NoError(t, err)
	for _, id := range []store.AccountID{{}, {Provider: "zoom"}, {Provider: "google", Subject: "dr-rao"}} {
		_, err := s.Token(t.Context(), id)
		require.ErrorIs(t, err, telemed.ErrInvalid)
	}
	_, err = s.Token(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrNotConnected)
	require.NotContains(t, err.Error(), "dr-rao")
	require.NoError(t, s.Shutdown(t.Context()))
}

// many calls Token of all sources at once, callers times each, and returns the access
// tokens.
func many(c *clinic, callers int, sources ...*oauth.Source) map[string]int {
	c.Helper()
	var (
		mu    sync.Mutex
		got   = map[string]int{}
		group sync.WaitGroup
	)
	for _, s := range sources {
		for range callers {
			group.Go(func() {
				token, err := s.Token(c.Context(), doctor)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					got[err.Error()]++
					return
				}
				got[token.Access.Reveal()+strings.Join(token.Scopes, "")]++
				token.Extra = map[string]string{"mine": "mine"}
				token.Scopes[0] = "mine" // nobody else's
			})
		}
	}
	group.Wait()
	return got
}

func TestOneRefreshForAll(t *testing.T) {
	t.Parallel()
	for name, sources := range map[string]int{"one process": 1, "two processes": 2, "five processes": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				var all []*oauth.Source
				var refreshed atomic.Int32
				for range sources {
					all = append(all, c.source(func(cfg *oauth.SourceConfig) { cfg.OnRefresh = func(store.AccountID) { refreshed.Add(1) } }))
				}
				require.Equal(t, map[string]int{"access-dr-rao-2meeting": 100 * sources}, many(c, 100, all...))
				require.Equal(t, 1, c.provider.count())
				require.LessOrEqual(t, c.store.Gets(), 110*sources, "in each process one asks for all how the refresh goes")
				require.EqualValues(t, 1, refreshed.Load())
				require.Equal(t, []string{"meeting"}, c.record().Token.Scopes)
				require.Empty(t, c.record().Lease)

				require.Equal(t, map[string]int{"access-dr-rao-2meeting": 100 * sources}, many(c, 100, all...))
				require.Equal(t, 1, c.provider.count(), "a token that works is not refreshed")
				c.works(all[0])
			})
		})
	}
}

func TestRefreshedEarlyAndServedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		time.Sleep(54 * time.Minute)
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-2", token.Access.Reveal(), "more than five minutes are left")

		time.Sleep(2 * time.Minute)
		c.provider.before = func(int) error { return fmt.Errorf("502: %w", telemed.ErrAmbiguous) }
		token, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-2", token.Access.Reveal(), "a provider that fails takes no token away that works")

		time.Sleep(30 * time.Second)
		c.provider.before, c.provider.takes = nil, 10*time.Second
		begin := time.Now()
		token, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
		require.LessOrEqual(t, time.Since(begin), 4*time.Second, "a slow provider does not keep callers who have a token")
		time.Sleep(10 * time.Second)
		token, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-3", token.Access.Reveal())
		c.works(s)
	})
}

func TestShortLivedTokensAreNotRefreshedEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.Refresh = func(ctx context.Context, old store.Token) (store.Token, error) {
				token, err := c.provider.refresh(ctx, old)
				token.Expiry = time.Now().Add(2 * time.Minute)
				return token, err
			}
		})
		for range 10 {
			_, err := s.Token(t.Context(), doctor)
			require.NoError(t, err)
		}
		require.Equal(t, 1, c.provider.count())
	})
}

func TestCancellationEndsOnlyTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err := s.Token(ctx, doctor)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(time.Second)
		require.Equal(t, "access-dr-rao-2", c.record().Token.Access.Reveal(), "the refresh went on and was saved")
		c.works(s)
	})
}

func TestSaveFailsForAWhile(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]bool{"nothing works": false, "only writes fail": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s, other := c.source(), c.source()
				outage := func(op string) error {
					if read && op == "get" {
						return nil
					}
					return errDown
				}
				c.provider.after = func(int) error { c.store.Fail(outage, nil); return nil }
				begin := time.Now()
				token, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				require.LessOrEqual(t, time.Since(begin), 2500*time.Millisecond)

				time.Sleep(20 * time.Minute)
				token, err = s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal(), "served from memory")
				if !read {
					_, err = other.Token(t.Context(), doctor)
					require.ErrorIs(t, err, telemed.ErrUnavailable)
					require.Equal(t, 1, c.provider.count(), "nobody else spends the old one")
				}

				time.Sleep(time.Hour) // by now the one in memory has run out as well
				_, err = s.Token(t.Context(), doctor)
				require.ErrorIs(t, err, telemed.ErrUnavailable)
				require.Equal(t, 1, c.provider.count())

				c.provider.after = nil
				c.store.Fail(nil, nil)
				time.Sleep(15 * time.Second)
				require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal(), "saved as soon as the store is back")
				c.works(other)
			})
		})
	}
}

// A database that hangs keeps nobody from a token that is bought already.
func TestSaveHangs(t *testing.T) {
	t.Parallel()
	for name, op := range map[string]string{"at the read": "get", "at the write": "put"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s := c.source()
				c.provider.after = func(int) error { c.store.Hang(op); return nil }
				begin := time.Now()
				token, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				require.LessOrEqual(t, time.Since(begin), 2500*time.Millisecond)
				c.provider.after = nil
				c.store.Fail(nil, nil)
				time.Sleep(15 * time.Second)
				require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal())
				c.works(s)
			})
		})
	}
}

func TestSaveConflictsAndLostAcks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		var hooks atomic.Int32
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.OnRefresh = func(store.AccountID) { hooks.Add(1) } })
		lost := 0
		// Every write lands, and every second one does not say so.
		c.store.Fail(nil, func(op string) error {
			if op == "put" {
				if lost++; lost%2 == 1 {
					return errDown
				}
			}
			return nil
		})
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, 1, c.provider.count())
		require.EqualValues(t, 1, hooks.Load())
		require.Equal(t, "access-dr-rao-2", c.record().Token.Access.Reveal())
		require.Empty(t, c.record().Lease)
		c.store.Fail(nil, nil)
		c.works(s)
	})
}

func TestSaveForEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.SaveFor = time.Minute })
		c.provider.after = func(int) error { c.store.Fail(down, nil); return nil }
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		c.store.Fail(nil, nil)
		require.Equal(t, "refresh-dr-rao-1", c.record().Token.Refresh.Reveal())
	})
}

func TestLostAnswerTaints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		var reason string
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.OnReconnect = func(id store.AccountID, why string) {
				require.Equal(t, doctor, id)
				reason = why
			}
		})
		c.provider.after = func(call int) error {
			if call == 1 {
				return errors.New("connection reset") // a kind of its own counts as ambiguous
			}
			return nil
		}
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.ErrorContains(t, err, "without its answer reaching us")
		require.Contains(t, reason, "without its answer reaching us")
		rec := c.record()
		require.Equal(t, store.StatusReconnect, rec.Status)
		require.Equal(t, "refresh-dr-rao-1", rec.Token.Refresh.Reveal(), "kept")
		require.True(t, rec.Lease.Tainted)
		require.Empty(t, rec.Lease.Owner)

		c.connect(doctor)
		require.Equal(t, store.StatusActive, c.record().Status)
		require.Empty(t, c.record().Lease)
		c.provider.twice = 0
		c.works(s)
	})
}

// The lease has to be won again after the answer was lost: what is known of the token
// stays known.
func TestLostAnswerIsRememberedOverAFailedWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.after = func(int) error {
			failed := false
			c.store.Fail(func(op string) error {
				if op == "put" && !failed {
					failed = true
					return errDown
				}
				return nil
			}, nil)
			return errors.New("connection reset")
		}
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.ErrorContains(t, err, "without its answer reaching us")
	})
}

func TestRequestThatNeverArrived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.before = func(call int) error {
			if call < 3 {
				return fmt.Errorf("dial: %w", telemed.ErrUnavailable)
			}
			return nil
		}
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, 3, c.provider.count())

		c.expire()
		c.provider.before = func(int) error { return fmt.Errorf("dial: %w", telemed.ErrUnavailable) }
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.Equal(t, 6, c.provider.count())
		require.Empty(t, c.record().Lease, "given back, and not tainted")
		c.provider.before = nil
		c.works(s)
	})
}

func TestRejectionIsConfirmedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		hiccup := func(call int) error {
			if call == 1 {
				return fmt.Errorf("400: %w", oauth.ErrRejected)
			}
			return nil
		}
		c.provider.before = hiccup
		begin := time.Now()
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err, "the provider was mistaken")
		require.GreaterOrEqual(t, time.Since(begin), time.Second)
		require.Equal(t, 2, c.provider.count())

		c.expire()
		c.provider.before = func(int) error { return fmt.Errorf("400: %w", oauth.ErrRejected) }
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.ErrorContains(t, err, "the provider rejected the refresh token")
		require.NotContains(t, err.Error(), "earlier refresh")
		require.Equal(t, 4, c.provider.count())
		require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal())

		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.Equal(t, 4, c.provider.count(), "left alone for an hour")

		c.provider.before = nil
		c.expire()
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err, "heals by itself")
		require.Equal(t, store.StatusActive, c.record().Status)
		require.Empty(t, c.record().Reason)
	})
}

func TestMarkingSurvivesALostAck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		var marked atomic.Int32
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.OnReconnect = func(store.AccountID, string) { marked.Add(1) } })
		c.provider.before = func(int) error { return oauth.ErrRejected }
		c.store.Fail(nil, func(op string) error {
			if op == "put" && c.record().Status == store.StatusReconnect {
				return errDown
			}
			return nil
		})
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.EqualValues(t, 1, marked.Load())
		require.Equal(t, store.StatusReconnect, c.record().Status)
	})
}

// TestS6OneDeadAccountIsToldOnce: two processes try a dead account each hour, and the
// answers of writes are lost. Whoever is told has one mail to write, not two a day.
func TestS6OneDeadAccountIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		told := 0
		hook := func(cfg *oauth.SourceConfig) { cfg.OnReconnect = func(store.AccountID, string) { told++ } }
		sources := []*oauth.Source{c.source(hook), c.source(hook)}
		puts := 0
		c.store.Fail(nil, func(op string) error {
			if op == "put" {
				if puts++; puts%3 == 0 {
					return errDown
				}
			}
			return nil
		})
		dead := func(days int) {
			c.provider.before = func(int) error { return oauth.ErrRejected }
			for end := time.Now().AddDate(0, 0, days); time.Now().Before(end); time.Sleep(17 * time.Minute) {
				for _, s := range sources {
					_, err := s.Token(t.Context(), doctor)
					require.Error(t, err)
				}
			}
			require.Equal(t, store.StatusReconnect, c.record().Status)
		}
		dead(2)
		require.Equal(t, 1, told)
		require.Greater(t, c.provider.count(), 2*24, "it was tried again each hour")

		c.connect(doctor)
		c.provider.before = nil
		c.expire()
		_, err := sources[1].Token(t.Context(), doctor)
		require.NoError(t, err)
		c.expire()
		dead(1)
		require.Equal(t, 2, told, "another token has died")

		restarted := c.source(hook)
		c.expire()
		_, err = restarted.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.Equal(t, 2, told, "a process that starts tells no old news")

		c.provider.before = nil
		c.expire()
		_, err = restarted.Token(t.Context(), doctor)
		require.NoError(t, err, "it was the provider's mistake")
		c.expire()
		dead(1)
		require.Equal(t, 3, told)
	})
}

func TestConfigurationErrorsTouchNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []error{telemed.ErrUnauthorized, telemed.ErrInvalid} {
		t.Run(kind.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s := c.source()
				before := c.record()
				c.provider.before = func(int) error { return fmt.Errorf("400: %w", kind) }
				_, err := s.Token(t.Context(), doctor)
				require.ErrorIs(t, err, kind)
				require.NotErrorIs(t, err, telemed.ErrReconnect)
				require.Equal(t, 1, c.provider.count(), "asking again changes nothing")
				after := c.record()
				after.Revision = before.Revision
				require.Equal(t, before, after)
				c.provider.before = nil
				c.works(s)
			})
		})
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(c *clinic){
		"fails":                 func(c *clinic) { c.store.Fail(down, nil) },
		"hangs":                 func(c *clinic) { c.store.Hang("get") },
		"another key sealed it": func(c *clinic) { c.store.Fail(func(string) error { return telemed.ErrDecrypt }, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s, stranger := c.source(), c.source()
				_, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				fault(c)
				begin := time.Now()
				token, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(begin), 10*time.Second)
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				hurried, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				token, err = s.Token(hurried, doctor)
				require.NoError(t, err)
				require.NoError(t, hurried.Err(), "in time to be used")
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				_, err = stranger.Token(t.Context(), doctor)
				require.Error(t, err)
				require.NotErrorIs(t, err, telemed.ErrNotConnected)
				require.NotErrorIs(t, err, telemed.ErrReconnect)

				ended, cancel := context.WithCancel(t.Context())
				cancel()
				_, err = s.Token(ended, doctor)
				require.ErrorIs(t, err, context.Canceled)
				c.store.Fail(nil, nil)
				c.works(s)
			})
		})
	}
}

func TestDecryptIsNeverAReasonToReconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.store.Fail(nil, func(op string) error { // from the second read on, inside the refresh
			if op == "get" && c.store.Gets() > 1 {
				return telemed.ErrDecrypt
			}
			return nil
		})
		begin := time.Now()
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrDecrypt)
		require.NotErrorIs(t, err, telemed.ErrReconnect)
		require.Zero(t, time.Since(begin), "asking again does not bring the key")
		require.Zero(t, c.provider.count())
		require.Equal(t, store.StatusActive, c.record().Status)
		c.store.Fail(nil, nil)
		c.works(s)
	})
}

func TestRenew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		all := []*oauth.Source{c.source(), c.source()}
		token, err := all[0].Token(t.Context(), doctor)
		require.NoError(t, err)
		var group sync.WaitGroup
		for _, s := range all {
			for range 50 {
				group.Go(func() {
					renewed, err := s.Renew(t.Context(), doctor, token.Access)
					require.NoError(t, err)
					require.Equal(t, "access-dr-rao-3", renewed.Access.Reveal())
				})
			}
		}
		group.Wait()
		require.Equal(t, 2, c.provider.count(), "a herd makes one refresh")
		renewed, err := all[1].Renew(t.Context(), doctor, token.Access)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-3", renewed.Access.Reveal(), "somebody who comes late gets what is there")
		require.Equal(t, 2, c.provider.count())
		c.works(all[0])
	})
}

func TestRenewDuringAnAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.provider.takes = time.Second
		s := c.source()
		go func() { _, _ = s.Token(t.Context(), doctor) }()
		time.Sleep(500 * time.Millisecond)
		// The attempt brings access-2, which this caller already knows to be refused.
		token, err := s.Renew(t.Context(), doctor, telemed.NewSecret("access-dr-rao-2"))
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-3", token.Access.Reveal())
	})
}

func TestDisconnectDuringARefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.after = func(int) error { return c.store.Delete(t.Context(), doctor) }
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrNotConnected)
		_, err = c.store.Memory.Get(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrNotFound, "not brought back")
	})
}

func TestReconnectDuringARefreshWins(t *testing.T) {
	t.Parallel()
	for name, google := range map[string]bool{"rotating": false, "refresh token stays": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				c.provider.keepRefresh = google
				s := c.source()
				c.provider.after = func(int) error {
					consent := store.Token{Access: telemed.NewSecret("access-new"), Expiry: time.Now().Add(time.Hour), Scopes: []string{"more"}}
					if !google {
						consent.Refresh = telemed.NewSecret("refresh-new")
					}
					return store.Set(t.Context(), c.store.Memory, doctor, consent)
				}
				token, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-new", token.Access.Reveal())
				require.Equal(t, []string{"more"}, c.record().Token.Scopes)
				require.Equal(t, "access-new", c.record().Token.Access.Reveal())
				want := "refresh-new"
				if google {
					want = "refresh-dr-rao-1"
				}
				require.Equal(t, want, c.record().Token.Refresh.Reveal())
			})
		})
	}
}

// A consent that brings no refresh token keeps the one that is being spent at that
// moment.
func TestConsentWithoutRefreshTokenDuringARefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.after = func(call int) error {
			if call > 1 {
				return nil
			}
			return store.Set(t.Context(), c.store.Memory, doctor, store.Token{
				Access: telemed.NewSecret("access-new"), Expiry: time.Now().Add(time.Hour), Scopes: []string{"more"},
			})
		}
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-new", token.Access.Reveal())
		require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal(), "the one that lives")
		require.Equal(t, []string{"more"}, c.record().Token.Scopes)
		c.works(s)
	})
}

func TestVerdictAboutAnotherTokenIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.before = func(call int) error {
			if call == 2 { // between the first rejection and its confirmation the doctor connects anew
				c.connect(doctor)
			}
			return oauth.ErrRejected
		}
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
		require.Equal(t, store.StatusActive, c.record().Status)
	})
}

// A rejection of the old token says nothing about one that came meanwhile and has to be
// refreshed itself.
func TestAnotherTokenIsAskedForTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.before = func(call int) error {
			switch call {
			case 1: // the doctor connects anew, with a token that has run out by now
				next := c.provider.connect("dr-rao")
				next.Expiry = time.Now()
				require.NoError(t, store.Set(t.Context(), c.store.Memory, doctor, next))
				return oauth.ErrRejected
			case 2:
				return oauth.ErrRejected
			}
			return nil
		}
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, 3, c.provider.count())
		require.Equal(t, "access-dr-rao-3", c.record().Token.Access.Reveal())
	})
}

func TestSilentProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		rec := c.record()
		// Another process took the lease and died. Its clock was a day ahead, which
		// nobody asks about.
		rec.Lease = store.Lease{Owner: "dead", Until: time.Now().Add(24 * time.Hour)}
		_, err := c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		begin := time.Now()
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(begin), 60*time.Second)
		require.LessOrEqual(t, time.Since(begin), 95*time.Second)
		c.works(s)
	})
}

// Two settings of Timeout and LeaseTTL in one fleet, as in a deploy that changes them: a
// lease is taken over by the TTL that its holder wrote down.
func TestS2TwoSettings(t *testing.T) {
	t.Parallel()
	patient := func(cfg *oauth.SourceConfig) { cfg.Timeout, cfg.LeaseTTL = time.Minute, 10*time.Minute }
	hasty := func(cfg *oauth.SourceConfig) { cfg.Timeout, cfg.LeaseTTL = 5*time.Second, 10*time.Second }
	t.Run("a hasty process leaves a patient one alone", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(t)
			holder, other := c.source(patient), c.source(hasty)
			c.provider.takes = 50 * time.Second
			c.provider.before = func(int) error {
				require.Equal(t, 10*time.Minute, c.record().Lease.TTL)
				return nil
			}
			var both sync.WaitGroup
			for i, s := range []*oauth.Source{holder, other} {
				both.Go(func() {
					time.Sleep(time.Duration(i) * time.Second)
					token, err := s.Token(t.Context(), doctor)
					require.NoError(t, err)
					require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				})
			}
			both.Wait()
			require.Equal(t, 1, c.provider.count())
			c.provider.takes, c.provider.before = 0, nil
			c.works(other)
		})
	})
	for name, test := range map[string]struct {
		dead          time.Duration // the TTL of a process that died
		s             func(*oauth.SourceConfig)
		after, before time.Duration
	}{
		"a hasty process waits for a patient one that died": {10 * time.Minute, hasty, 10*time.Minute + 15*time.Second, 11 * time.Minute},
		"a patient process takes over from a hasty one":     {10 * time.Second, patient, 25 * time.Second, 45 * time.Second},
		"what an older version wrote":                       {0, hasty, 13 * time.Second, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s := c.source(test.s)
				rec := c.record()
				rec.Lease = store.Lease{Owner: "dead", TTL: test.dead}
				_, err := c.store.Memory.Put(t.Context(), rec)
				require.NoError(t, err)
				begin := time.Now()
				_, err = s.Token(t.Context(), doctor)
				require.NoError(t, err, "one call waits as long as it takes")
				require.GreaterOrEqual(t, time.Since(begin), test.after)
				require.LessOrEqual(t, time.Since(begin), test.before)
				require.Equal(t, store.Lease{Tainted: true}, c.record().Lease, "who looked dead may wake up")
				c.works(s)
				require.Equal(t, store.Lease{}, c.record().Lease)
			})
		})
	}
}

// A takeover that comes late leaves time to win the lease after it.
func TestLateTakeoverMayFailOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		rec := c.record()
		rec.Lease = store.Lease{Owner: "dead"}
		_, err := c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		begin, failed := time.Now(), false
		c.store.Fail(func(op string) error {
			since := time.Since(begin)
			switch {
			case op == "get" && since > 0 && since < 72*time.Second: // the lease is watched from now on
				return errDown
			case op == "put" && since > 2*time.Minute && c.record().Lease.Owner != "dead" && !failed:
				failed = true
				return errDown
			}
			return nil
		}, nil)
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.True(t, failed)
		require.Greater(t, time.Since(begin), 2*time.Minute+15*time.Second, "when it would have given up")
		c.works(s)
	})
}

func TestTakeoverSaysWhyATokenMayBeDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		rec := c.record()
		rec.Lease.Owner = "killed between exchange and save"
		_, err := c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		_, err = c.provider.refresh(t.Context(), rec.Token)
		require.NoError(t, err)
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.ErrorContains(t, err, "without its answer reaching us")
	})
}

// A holder that was frozen ahead of its exchange wakes up after the takeover has succeeded,
// and presents the spent token. A provider that ends the grant for that rejects the next
// refresh, and the record says why it may.
func TestFrozenHolderKillsTheNextToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		rec := c.record()
		rec.Lease.Owner = "frozen ahead of its exchange"
		_, err := c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		c.provider.before = func(int) error { return oauth.ErrRejected }
		c.expire()
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.ErrorContains(t, err, "an earlier refresh may have succeeded")
	})
}

// slowDial is a transport whose process stands still while it makes its connection. What is
// written to it then is sent.
type slowDial struct {
	stands time.Duration
	mu     sync.Mutex
	sent   []string
}

func (d *slowDial) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sent)
}

func (d *slowDial) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(d.stands)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent = append(d.sent, string(body))
	return nil, http.ErrServerClosed
}

// A holder that was frozen just ahead of the first byte of its exchange wakes up when
// others have taken its lease over. It presents nothing any more.
func TestFrozenHolderSendsNothing(t *testing.T) {
	t.Parallel()
	for stands, sent := range map[time.Duration]int{time.Second: 1, 59 * time.Second: 1, 61 * time.Second: 0, time.Hour: 0} {
		t.Run(stands.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, dial := newClinic(t), &slowDial{stands: stands}
				provider := oauth.Provider{
					Name: "zoom", TokenURL: "https://zoom.example/token", AuthStyle: oauth2.AuthStyleInHeader, HTTPClient: &http.Client{Transport: dial, Timeout: 2 * time.Hour},
				}
				s := c.source(func(cfg *oauth.SourceConfig) {
					// It hears of its deadline only when it runs again, as one that stood still does.
					cfg.Refresh = func(ctx context.Context, old store.Token) (store.Token, error) {
						return provider.Refresh(context.WithoutCancel(ctx), old)
					}
				})
				go func() { _, _ = s.Token(t.Context(), doctor) }()
				time.Sleep(stands + time.Second)
				require.Equal(t, sent, dial.count())
				require.Equal(t, sent == 1, c.record().Lease.Tainted, "what was not sent is not spent")
			})
		})
	}
}

func TestTheLeaseIsYoungAtEveryExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.takes = time.Minute // longer than Timeout
		c.provider.before = func(int) error {
			require.WithinDuration(t, time.Now(), c.record().Lease.Until.Add(-time.Minute), time.Second)
			return nil
		}
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3, c.provider.count())
		require.Equal(t, store.Lease{Tainted: true}, c.record().Lease)
		c.provider.before, c.provider.takes = nil, 0
		c.works(s)
	})
}

// A process that alone is cut off from the database right after an exchange looks dead to
// the others. They mark the account; it is active again as soon as that process can save.
func TestPartitionHeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		island := &faultytest.Store{Memory: c.store.Memory}
		lonely, other := c.source(func(cfg *oauth.SourceConfig) { cfg.Store = island }), c.source()
		c.provider.after = func(int) error { island.Fail(down, nil); return nil }
		_, err := lonely.Token(t.Context(), doctor)
		require.NoError(t, err)
		_, err = other.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.Equal(t, store.StatusReconnect, c.record().Status)

		island.Fail(nil, nil)
		time.Sleep(15 * time.Second)
		require.Equal(t, store.StatusActive, c.record().Status)
		require.Equal(t, store.Lease{Tainted: true}, c.record().Lease, "its predecessor was spent again meanwhile")
		token, err := other.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
	})
}

// A database that can be read and not written (its disk is full) makes a process that
// waits to save look dead. When it takes writes again, that process must be first, though
// another one asked first.
func TestWritesComeBackToTheOneThatWaits(t *testing.T) {
	t.Parallel()
	hasty := func(cfg *oauth.SourceConfig) { cfg.Timeout, cfg.LeaseTTL = time.Second, 2*time.Second }
	for name, test := range map[string]struct {
		ackLost bool
		other   func(*oauth.SourceConfig)
	}{
		"and say so":                    {false, func(*oauth.SourceConfig) {}},
		"and the first does not say so": {true, func(*oauth.SourceConfig) {}},
		"and the other is hasty":        {false, hasty},
		"and the other is hasty, and the first does not say so": {true, hasty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				begin, ackLost := time.Now(), test.ackLost
				full := func(until time.Duration) func(string) error {
					return func(op string) error {
						if op == "put" && time.Since(begin) < until {
							return errDown
						}
						return nil
					}
				}
				acks := func(op string) error {
					if op == "put" && ackLost {
						ackLost = false
						return errDown
					}
					return nil
				}
				// Has just looked, and looks again in nine seconds.
				slower := &faultytest.Store{Memory: c.store.Memory}
				holder, other := c.source(func(cfg *oauth.SourceConfig) { cfg.Store = slower }), c.source(test.other)
				c.provider.after = func(int) error {
					c.store.Fail(full(55*time.Second), acks)
					slower.Fail(full(64*time.Second), nil)
					return nil
				}
				_, err := holder.Token(t.Context(), doctor)
				require.NoError(t, err)
				c.provider.after = nil
				token, err := other.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				require.Equal(t, store.Lease{Tainted: true}, c.record().Lease, "the other one was about to spend its predecessor")
				c.works(other)
				require.Empty(t, c.record().Lease)
			})
		})
	}
}

func TestNoVerdictWithoutTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		c.provider.before = func(call int) error {
			if call == 2 { // somebody took over, and is about to save what killed our token
				rec := c.record()
				rec.Lease.Owner = "somebody"
				_, err := c.store.Memory.Put(t.Context(), rec)
				require.NoError(t, err)
			}
			return oauth.ErrRejected
		}
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.NotErrorIs(t, err, telemed.ErrReconnect)
		require.Equal(t, store.StatusActive, c.record().Status)
		require.Equal(t, "somebody", c.record().Lease.Owner)
	})
}

func TestDisconnectedIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.NoError(t, c.store.Delete(t.Context(), doctor))
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrNotConnected)
		c.store.Fail(down, nil)
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrUnavailable, "not served from memory")
	})
}

// The account is disconnected just before the attempt reads it: what was remembered of it
// goes too.
func TestDisconnectedBeforeTheAttemptIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.connect(doctor)
		time.Sleep(56 * time.Minute) // the token still works, and is to be refreshed
		c.store.Fail(nil, func(op string) error { return c.store.Delete(t.Context(), doctor) })
		s := c.source()
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrNotConnected)
		c.store.Fail(down, nil)
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrUnavailable, "not served from memory")
	})
}

func TestAStoreThatFailsHidesNoLiveLease(t *testing.T) {
	t.Parallel()
	for name, failing := range map[string]string{"to be read": "get", "to be written": "put"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				s := c.source()
				rec := c.record()
				rec.Lease = store.Lease{Owner: "alive", Until: time.Now()} // a clock that is far behind
				_, err := c.store.Memory.Put(t.Context(), rec)
				require.NoError(t, err)
				begin := time.Now()
				c.store.Fail(func(op string) error {
					if since := time.Since(begin); op == failing && since > 50*time.Second && since < 63*time.Second {
						return errDown
					}
					return nil
				}, nil)
				_, err = s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.GreaterOrEqual(t, time.Since(begin), 135*time.Second, "the minute begins anew after the outage")
			})
		})
	}
}

// A store that is slow to say that a lease was written has let others watch it meanwhile.
func TestALeaseToldLateIsTakenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		puts := 0
		c.store.Fail(nil, func(op string) error {
			if op == "put" {
				if puts++; puts == 1 {
					time.Sleep(50 * time.Second) // and minds no context
				}
			}
			return nil
		})
		c.provider.before = func(int) error {
			taken := c.record().Lease.Until.Add(-time.Minute)
			require.WithinDuration(t, time.Now(), taken, time.Second, "the lease is young when the token is spent")
			return nil
		}
		s := c.source()
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		c.provider.before = nil
		c.works(s)
	})
}

// A doctor whose token still works does not notice that a process died while refreshing
// it.
func TestTakeoverWhileTheOldTokenWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.connect(doctor)
		s := c.source()
		time.Sleep(56 * time.Minute)
		rec := c.record()
		rec.Lease = store.Lease{Owner: "dead"}
		_, err := c.store.Memory.Put(t.Context(), rec)
		require.NoError(t, err)
		begin := time.Now()
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Zero(t, time.Since(begin))
		require.True(t, token.Access.Equal(rec.Token.Access))
		time.Sleep(95 * time.Second)
		require.False(t, c.record().Token.Access.Equal(rec.Token.Access), "taken over in the background")
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	t.Run("waits for what has begun", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(t)
			c.provider.takes = 10 * time.Second
			s := c.source()
			go func() { _, _ = s.Token(t.Context(), doctor) }()
			time.Sleep(time.Second)
			begin := time.Now()
			require.NoError(t, s.Shutdown(t.Context()))
			require.GreaterOrEqual(t, time.Since(begin), 8*time.Second)
			require.Equal(t, "access-dr-rao-2", c.record().Token.Access.Reveal())
			token, err := s.Token(t.Context(), doctor)
			require.NoError(t, err, "a token that works needs no refresh")
			require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
			c.expire()
			_, err = s.Token(t.Context(), doctor)
			require.ErrorIs(t, err, telemed.ErrClosed)
			c.works(c.source())
		})
	})
	t.Run("begins nothing new", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(t)
			s := c.source()
			rec := c.record()
			rec.Lease = store.Lease{Owner: "somebody"}
			_, err := c.store.Memory.Put(t.Context(), rec)
			require.NoError(t, err)
			failed := make(chan error, 1)
			go func() { _, err := s.Token(t.Context(), doctor); failed <- err }()
			time.Sleep(time.Second)
			begin := time.Now()
			require.NoError(t, s.Shutdown(t.Context()))
			require.Zero(t, time.Since(begin), "a wait for somebody else's lease is given up")
			require.ErrorIs(t, <-failed, telemed.ErrClosed)
			require.Zero(t, c.provider.count())
		})
	})
	t.Run("spends nothing once it has begun", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(t)
			s := c.source()
			closed := make(chan error, 1)
			c.store.Fail(nil, func(op string) error {
				if op == "put" && c.record().Lease.Owner != "" { // the lease is won, and SIGTERM comes
					go func() { closed <- s.Shutdown(t.Context()) }()
					time.Sleep(time.Second)
				}
				return nil
			})
			_, err := s.Token(t.Context(), doctor)
			require.ErrorIs(t, err, telemed.ErrClosed)
			require.NoError(t, <-closed)
			require.Zero(t, c.provider.count())
			require.Empty(t, c.record().Lease)
		})
	})
	t.Run("gives the lease back between two tries", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(t)
			s := c.source()
			c.provider.before = func(int) error { return oauth.ErrRejected }
			go func() { _, _ = s.Token(t.Context(), doctor) }()
			time.Sleep(500 * time.Millisecond)
			require.NoError(t, s.Shutdown(t.Context()))
			require.Empty(t, c.record().Lease)
			require.Equal(t, store.StatusActive, c.record().Status)
			require.Equal(t, 1, c.provider.count())
		})
	})
	t.Run("is cut short", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(t)
			s := c.source()
			c.provider.after = func(int) error { c.store.Fail(down, nil); return nil }
			_, err := s.Token(t.Context(), doctor)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			err = s.Shutdown(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "1 refreshes were cut off")
		})
	})
	t.Run("with an ended context and nothing under way", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.NoError(t, newClinic(t).source().Shutdown(ctx))
		})
	})
}

// A RefreshFunc that ends its goroutine, as a failing test does, leaves nobody waiting.
func TestRefreshThatNeverReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.Refresh = func(context.Context, store.Token) (store.Token, error) { goexit(); return store.Token{}, nil }
		})
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
	})
}

// busyUntil is an error of an application's own RefreshFunc.
type busyUntil struct{ delay time.Duration }

func (busyUntil) Error() string               { return "busy" }
func (busyUntil) Is(target error) bool        { return target == telemed.ErrRateLimited }
func (b busyUntil) RetryDelay() time.Duration { return b.delay }

func TestRetryDelayOfTheHostsError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.provider.before = func(int) error { return fmt.Errorf("wrapped: %w", busyUntil{time.Minute}) }
		s := c.source()
		for range 3 {
			_, err := s.Token(t.Context(), doctor)
			require.ErrorIs(t, err, telemed.ErrRateLimited)
		}
		require.Equal(t, 1, c.provider.count())
		time.Sleep(time.Minute)
		_, err := s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrRateLimited)
		require.Equal(t, 2, c.provider.count())
	})
}

// After half a minute a refused token is renewed again: it may have been withdrawn since.
func TestRenewAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		token, err = s.Renew(t.Context(), doctor, token.Access)
		require.NoError(t, err, "it was not renewed for being refused")
		_, err = s.Renew(t.Context(), doctor, token.Access)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		time.Sleep(31 * time.Second)
		token, err = s.Renew(t.Context(), doctor, token.Access)
		require.NoError(t, err)
		require.Equal(t, "access-dr-rao-4", token.Access.Reveal())
	})
}

// So are tokens of which nobody knows how long they live.
func TestRenewWithoutExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.Refresh = func(ctx context.Context, old store.Token) (store.Token, error) {
				token, err := c.provider.refresh(ctx, old)
				token.Expiry = time.Time{}
				return token, err
			}
		})
		token, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		token, err = s.Renew(t.Context(), doctor, token.Access)
		require.NoError(t, err)
		_, err = s.Renew(t.Context(), doctor, token.Access)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.Equal(t, 2, c.provider.count())
	})
}

// Code of the application that panics in a refresh costs neither the process nor a token
// that was bought.
func TestPanics(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		times int
		spoil func(c *clinic, cfg *oauth.SourceConfig, fault func())
		want  error
	}{
		"Refresh, once": {1, func(c *clinic, _ *oauth.SourceConfig, fault func()) {
			c.provider.before = func(int) error { fault(); return nil }
		}, nil},
		"Refresh, each time": {3, func(c *clinic, _ *oauth.SourceConfig, fault func()) {
			c.provider.before = func(int) error { fault(); return nil }
		}, telemed.ErrAmbiguous},
		"Get before the save": {1, func(c *clinic, _ *oauth.SourceConfig, fault func()) {
			c.store.Fail(func(op string) error {
				if op == "get" && c.provider.count() == 1 {
					fault()
				}
				return nil
			}, nil)
		}, nil},
		"Put of the new token": {1, func(c *clinic, _ *oauth.SourceConfig, fault func()) {
			c.store.Fail(func(op string) error {
				if op == "put" && c.provider.count() == 1 {
					fault()
				}
				return nil
			}, nil)
		}, nil},
		"OnRefresh": {1, func(_ *clinic, cfg *oauth.SourceConfig, fault func()) {
			cfg.OnRefresh = func(store.AccountID) { fault() }
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				var log strings.Builder
				left := test.times
				s := c.source(func(cfg *oauth.SourceConfig) {
					cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
					test.spoil(c, cfg, func() {
						if left--; left >= 0 {
							panic("canary")
						}
					})
				})
				_, err := s.Token(t.Context(), doctor)
				require.ErrorIs(t, err, test.want)
				require.Equal(t, test.times, strings.Count(log.String(), "panicked"))
				require.NotContains(t, fmt.Sprint(err, log.String()), "canary")
				time.Sleep(30 * time.Second)
				token, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
				require.Equal(t, token.Access, c.record().Token.Access)
				require.Zero(t, c.provider.twice)
				c.works(s)
			})
		})
	}
}

// A hospital may have more doctors than a process remembers.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source()
		for i := range 5000 {
			require.NoError(t, store.Set(t.Context(), c.store.Memory, numbered(i), token("a")))
			_, err := s.Token(t.Context(), numbered(i))
			require.NoError(t, err)
		}
		c.store.Fail(down, nil)
		remembered := 0
		for i := range 5000 {
			if _, err := s.Token(t.Context(), numbered(i)); err == nil {
				remembered++
			}
		}
		require.LessOrEqual(t, remembered, 4096)
		require.Greater(t, remembered, 3000)
		_, err := s.Token(t.Context(), numbered(4999))
		require.NoError(t, err, "the latest is remembered")
	})
}
