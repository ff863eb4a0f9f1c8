package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// revocations notes what was revoked, and may fail.
type revocations struct {
	mu    sync.Mutex
	fail  error
	takes time.Duration
	seen  []string
}

func (r *revocations) revoke(ctx context.Context, id store.AccountID, token store.Token) error {
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, id.Subject+" "+token.Refresh.Reveal())
	return r.fail
}

// disconnectDuring deletes the doctor's account while a refresh is under way, and returns
// what the refresh said.
func disconnectDuring(c *clinic, s *oauth.Source) error {
	c.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Token(c.Context(), doctor)
		ended <- err
	}()
	synctest.Wait() // it waits for the provider
	require.NoError(c, c.store.Memory.Delete(c.Context(), doctor))
	return <-ended
}

func TestTheGrantOfADeletedAccountIsWithdrawn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, r := newClinic(t), &revocations{takes: time.Second}
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Revoke = r.revoke })
		begin := time.Now()
		require.ErrorIs(t, disconnectDuring(c, s), telemed.ErrNotConnected)
		require.Less(t, time.Since(begin), time.Second, "callers do not wait for that")
		require.NoError(t, s.Shutdown(t.Context()), "which does")
		require.Equal(t, []string{"dr-rao refresh-dr-rao-2"}, r.seen)
	})
}

// What cannot be withdrawn is said, and kept for the next process.
func TestAGrantThatCannotBeWithdrawn(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(*revocations){
		"refused": func(r *revocations) { r.fail = errors.New("503") },
		"silent":  func(r *revocations) { r.takes = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, r, spool := newClinic(t), &revocations{}, spoolIn(t)
				fails(r)
				var log bytes.Buffer
				cfg := func(cfg *oauth.SourceConfig) {
					cfg.Revoke, cfg.Spool, cfg.Logger = r.revoke, spool, slog.New(slog.NewTextHandler(&log, nil))
				}
				s := c.source(cfg)
				begin := time.Now()
				require.ErrorIs(t, disconnectDuring(c, s), telemed.ErrNotConnected)
				require.NoError(t, s.Shutdown(t.Context()))
				require.LessOrEqual(t, time.Since(begin), 20*time.Second, "bounded by Timeout")
				require.Contains(t, log.String(), "its grant lives")
				require.Contains(t, log.String(), "spooled=true")
				require.NotContains(t, log.String(), "dr-rao")

				r.fail, r.takes, r.seen = nil, 0, nil
				next := c.source(cfg)
				n, err := next.Recover(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.NoError(t, next.Shutdown(t.Context()))
				require.Equal(t, []string{"dr-rao refresh-dr-rao-2"}, r.seen)
				n, err = c.source(cfg).Recover(t.Context())
				require.NoError(t, err)
				require.Zero(t, n, "it is dropped when it is done")
			})
		})
	}
}

func TestWithdrawSparesWhatOthersUse(t *testing.T) {
	t.Parallel()
	gone := store.Token{Access: telemed.NewSecret("a"), Account: store.Account{ID: "acc-1"}}
	rao, who := store.AccountID{Provider: "zoom", Subject: "dr-rao"}, store.AccountID{Provider: "zoom", Subject: "dr-who"}
	full := store.NewMemory()
	with := func(id store.AccountID, account string) *store.Memory {
		st := store.NewMemory()
		require.NoError(t, store.Set(t.Context(), st, id, store.Token{Account: store.Account{ID: account}}))
		return st
	}
	for name, c := range map[string]struct {
		tokens store.TokenStore
		token  store.Token
		want   bool
	}{
		"nobody else":              {full, gone, true},
		"somebody, another one":    {with(who, "acc-2"), gone, true},
		"another provider's":       {with(store.AccountID{Provider: "google", Subject: "x"}, "acc-1"), gone, true},
		"somebody shares it":       {with(who, "acc-1"), gone, false},
		"somebody may share it":    {with(who, ""), gone, false},
		"reconnected":              {with(rao, "acc-1"), gone, false},
		"reconnected, another one": {with(rao, "acc-2"), gone, false},
		"no list":                  {struct{ store.TokenStore }{full}, gone, false},
		"account unknown":          {full, store.Token{}, false},
	} {
		calls := 0
		p := oauth.Provider{Name: "zoom", Revoke: func(context.Context, store.Token) error { calls++; return nil }}
		revoked, err := p.Withdraw(t.Context(), c.tokens, rao, c.token)
		require.NoError(t, err, name)
		require.Equal(t, c.want, revoked, name)
		require.Equal(t, c.want, calls == 1, name)
	}
	revoked, err := oauth.Provider{Name: "zoom"}.Withdraw(t.Context(), full, rao, gone)
	require.NoError(t, err)
	require.False(t, revoked)
	down := errors.New("503")
	revoked, err = oauth.Provider{Revoke: func(context.Context, store.Token) error { return down }}.Withdraw(t.Context(), full, rao, gone)
	require.ErrorIs(t, err, down)
	require.False(t, revoked)
}

func spoolIn(t *testing.T) oauth.Spool {
	t.Helper()
	spool, err := oauth.NewFileSpool(t.TempDir(), ring(t, store.NewKey()))
	require.NoError(t, err)
	return spool
}
