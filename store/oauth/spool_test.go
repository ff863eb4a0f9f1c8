package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

func spooled(t *testing.T, s oauth.Spool) []oauth.Unsaved {
	t.Helper()
	var all []oauth.Unsaved
	for u, err := range s.List(t.Context()) {
		require.NoError(t, err)
		all = append(all, u)
	}
	return all
}

func TestFileSpool(t *testing.T) {
	t.Parallel()
	dir, key := filepath.Join(t.TempDir(), "deep", "spool"), store.NewKey()
	s, err := oauth.NewFileSpool(dir, ring(t, key))
	require.NoError(t, err)
	require.Empty(t, spooled(t, s))
	full := token("canary")
	full.Expiry = full.Expiry.UTC().Truncate(time.Millisecond)
	full.Scopes, full.Extra = []string{"s"}, map[string]string{"k": "v"}
	u := oauth.Unsaved{ID: doctor, Spent: store.Token{Refresh: telemed.NewSecret("canary-0")}, Token: full}
	for range 2 { // keeping it again is the same
		require.NoError(t, s.Keep(t.Context(), u))
	}
	other := u
	other.Token.Access = telemed.NewSecret("canary-2")
	require.NoError(t, s.Keep(t.Context(), other))
	got := spooled(t, s)
	require.Len(t, got, 2)
	if got[0].Token.Access.Reveal() != "canary" {
		got[0], got[1] = got[1], got[0]
	}
	require.Equal(t, u, got[0])

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		require.NotContains(t, string(data)+entry.Name(), "canary")
		require.NotContains(t, string(data)+entry.Name(), "dr-rao")
		info, err := entry.Info()
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "for its owner's eyes only")
	}
	for range 2 {
		require.NoError(t, s.Drop(t.Context(), other))
	}
	require.Equal(t, []oauth.Unsaved{u}, spooled(t, s))
}

func TestFileSpoolWithDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := oauth.NewFileSpool(dir, ring(t, store.NewKey()))
	require.NoError(t, err)
	require.NoError(t, s.Keep(t.Context(), oauth.Unsaved{ID: numbered(1), Token: token("a")}))
	require.NoError(t, s.Keep(t.Context(), oauth.Unsaved{ID: numbered(2), Token: token("b")}))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	first, err := os.ReadFile(filepath.Join(dir, entries[0].Name()))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "renamed.token"), first, 0o600), "a file under another name does not open")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cut.token"), first[:20], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "huge.token"), make([]byte, 1<<20), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new-123"), first, 0o600), "left by a crash")

	good, failed := 0, []error(nil)
	for _, err := range s.List(t.Context()) {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		good++
	}
	require.Equal(t, 2, good)
	require.Len(t, failed, 1)
	require.ErrorIs(t, failed[0], telemed.ErrDecrypt)
	require.EqualError(t, failed[0], "oauth: spool: 3 files: record cannot be decrypted")

	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, s.Keep(t.Context(), oauth.Unsaved{ID: numbered(1), Token: token("a")}))
	for _, err := range s.List(t.Context()) {
		require.Error(t, err)
	}
	_, err = oauth.NewFileSpool("", nil)
	require.EqualError(t, err, "oauth: spool: dir is required; aead is required")
	_, err = oauth.NewFileSpool(filepath.Join(os.DevNull, "x"), ring(t, store.NewKey()))
	require.Error(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Keep(ended, oauth.Unsaved{ID: doctor}), context.Canceled)
	require.ErrorIs(t, s.Keep(t.Context(), oauth.Unsaved{}), telemed.ErrInvalid)
}

// TestDeployDuringAnOutage is what the spool is for.
func TestDeployDuringAnOutage(t *testing.T) {
	t.Parallel()
	dir, keys := t.TempDir(), ring(t, store.NewKey())
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		files, err := oauth.NewFileSpool(dir, keys)
		require.NoError(t, err)
		withSpool := func(cfg *oauth.SourceConfig) { cfg.Spool = files }
		s := c.source(withSpool)
		c.provider.after = func(int) error { c.store.Fail(down, nil); return nil }
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Len(t, spooled(t, files), 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
		require.Len(t, spooled(t, files), 1)

		next := c.source(withSpool)
		n, err := next.Recover(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		token, err := next.Token(t.Context(), doctor)
		require.NoError(t, err, "served while the database is still down")
		require.Equal(t, "access-dr-rao-2", token.Access.Reveal())
		n, err = next.Recover(t.Context())
		require.NoError(t, err, "twice is once")
		require.Equal(t, 1, n)

		c.provider.after = nil
		c.store.Fail(nil, nil)
		time.Sleep(15 * time.Second)
		require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal())
		require.Empty(t, spooled(t, files))
		require.Equal(t, 1, c.provider.count())
		c.works(next)
	})
}

func TestSpoolIsEmptyOnceSaved(t *testing.T) {
	t.Parallel()
	dir, keys := t.TempDir(), ring(t, store.NewKey())
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		files, err := oauth.NewFileSpool(dir, keys)
		require.NoError(t, err)
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Spool = files })
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		time.Sleep(time.Second) // nobody waits for it to be dropped
		require.Empty(t, spooled(t, files), "a store that works needs none")
		c.expire()
		c.provider.after = func(int) error { c.store.Fail(down, nil); return nil }
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Len(t, spooled(t, files), 1)
		c.provider.after = nil
		c.store.Fail(nil, nil)
		time.Sleep(15 * time.Second)
		require.Empty(t, spooled(t, files))
		c.works(s)
	})
}

func TestRecoverLeavesAloneWhatMovedOn(t *testing.T) {
	t.Parallel()
	dir, keys := t.TempDir(), ring(t, store.NewKey())
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		files, err := oauth.NewFileSpool(dir, keys)
		require.NoError(t, err)
		spent := c.record().Token
		c.connect(doctor) // the doctor has connected anew since
		gone := numbered(7)
		google := store.AccountID{Provider: "google", Subject: "dr-rao"}
		for _, id := range []store.AccountID{doctor, gone, google} {
			require.NoError(t, files.Keep(t.Context(), oauth.Unsaved{ID: id, Spent: spent, Token: token("obsolete")}))
		}
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Spool = files })
		n, err := s.Recover(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
		time.Sleep(time.Second)
		require.Equal(t, "access-dr-rao-2", c.record().Token.Access.Reveal())
		_, err = c.store.Memory.Get(t.Context(), gone)
		require.ErrorIs(t, err, telemed.ErrNotFound)
		left := spooled(t, files)
		require.Len(t, left, 1)
		require.Equal(t, google, left[0].ID, "another Source's")

		require.NoError(t, s.Shutdown(t.Context()))
		require.NoError(t, files.Keep(t.Context(), oauth.Unsaved{ID: doctor, Spent: spent, Token: token("obsolete")}))
		_, err = s.Recover(t.Context())
		require.ErrorIs(t, err, telemed.ErrClosed)
		n, err = c.source().Recover(t.Context())
		require.NoError(t, err, "without a spool there is nothing to do")
		require.Zero(t, n)
	})
}

// besideAnObsoleteFile runs f with a spool that has a token which was saved and not
// dropped, and the one that counts, in either order.
func besideAnObsoleteFile(t *testing.T, f func(c *clinic, spool *listed)) {
	t.Helper()
	for name, order := range map[string][]int{"before it": {0, 1}, "behind it": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				first := c.record().Token
				second, err := c.provider.refresh(t.Context(), first)
				require.NoError(t, err)
				require.NoError(t, store.Set(t.Context(), c.store.Memory, doctor, second))
				third, err := c.provider.refresh(t.Context(), second)
				require.NoError(t, err)
				left := []oauth.Unsaved{{ID: doctor, Spent: first, Token: second}, {ID: doctor, Spent: second, Token: third}}
				f(c, &listed{kept: []oauth.Unsaved{left[order[0]], left[order[1]]}})
			})
		})
	}
}

// A file that could not be dropped must not stand in the way of the one that counts.
func TestRecoverWithAnObsoleteFileBeside(t *testing.T) {
	t.Parallel()
	besideAnObsoleteFile(t, func(c *clinic, spool *listed) {
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Spool = spool })
		_, err := s.Recover(c.Context())
		require.NoError(c, err)
		time.Sleep(time.Second)
		require.Equal(c, "refresh-dr-rao-3", c.record().Token.Refresh.Reveal())
		require.Empty(c, spooled(c.T, spool))
		c.works(s)
	})
}

// listed is a Spool that lists in the order in which it was given what it keeps.
type listed struct {
	mu   sync.Mutex
	kept []oauth.Unsaved
}

func (l *listed) Keep(ctx context.Context, u oauth.Unsaved) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	l.kept = append(l.kept, u)
	return nil
}

func (l *listed) Drop(_ context.Context, u oauth.Unsaved) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = slices.DeleteFunc(l.kept, func(kept oauth.Unsaved) bool { return kept.Token.Access.Equal(u.Token.Access) })
	return nil
}

func (l *listed) List(context.Context) iter.Seq2[oauth.Unsaved, error] {
	l.mu.Lock()
	all := slices.Clone(l.kept)
	l.mu.Unlock()
	return func(yield func(oauth.Unsaved, error) bool) {
		for _, u := range all {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// A process that is cut off while others keep changing the record has the token in its
// spool.
func TestCutOffBetweenConflictsIsSpooled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		spool := &listed{}
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Spool = spool })
		c.provider.after = func(int) error {
			c.store.Fail(func(op string) error {
				if op == "put" {
					return telemed.ErrConflict
				}
				return nil
			}, nil)
			return nil
		}
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, s.Shutdown(ended))
		require.Len(t, spooled(t, spool), 1)
	})
}

// brokenSpool takes nothing.
type brokenSpool struct{ kept, dropped int }

var errFull = errors.New("disk is full")

func (b *brokenSpool) Keep(context.Context, oauth.Unsaved) error { b.kept++; return errFull }
func (b *brokenSpool) Drop(context.Context, oauth.Unsaved) error { b.dropped++; return errFull }
func (b *brokenSpool) List(context.Context) iter.Seq2[oauth.Unsaved, error] {
	return func(yield func(oauth.Unsaved, error) bool) { yield(oauth.Unsaved{}, errFull) }
}

// ordered is a spool and a store that tell what they were asked for, in order.
type ordered struct {
	*listed
	store.TokenStore
	mu    sync.Mutex
	calls []string
	first func(call string)
}

// before has f called before each call.
func (o *ordered) before(f func(call string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.first = f
}

// called returns the calls so far.
func (o *ordered) called() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

func (o *ordered) note(call string) {
	o.mu.Lock()
	o.calls = append(o.calls, call)
	first := o.first
	o.mu.Unlock()
	if first != nil {
		first(call)
	}
}

func (o *ordered) Keep(ctx context.Context, u oauth.Unsaved) error {
	o.note("keep")
	return o.listed.Keep(ctx, u)
}

func (o *ordered) Drop(ctx context.Context, u oauth.Unsaved) error {
	o.note("drop")
	return o.listed.Drop(ctx, u)
}

func (o *ordered) Put(ctx context.Context, rec store.Record) (string, error) {
	if rec.Lease.Owner == "" {
		o.note("put " + rec.Token.Access.Reveal())
	}
	return o.TokenStore.Put(ctx, rec)
}

// TestSpoolComesFirst also has Drop hang: no caller waits for it.
func TestSpoolComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		o := &ordered{listed: &listed{}, TokenStore: c.store}
		o.before(func(call string) {
			if call == "drop" {
				time.Sleep(time.Minute)
			}
		})
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Store, cfg.Spool = o, o })
		begin := time.Now()
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Less(t, time.Since(begin), time.Second)
		time.Sleep(time.Hour / 2)
		require.Equal(t, []string{"keep", "put access-dr-rao-2", "drop"}, o.called())
		require.Empty(t, spooled(t, o))

		o.before(nil)
		c.provider.keepRefresh = true
		c.provider.live["refresh-dr-rao-2"] = doctor.Subject
		c.expire()
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Equal(t, []string{"keep", "put access-dr-rao-2", "drop", "put access-dr-rao-3"}, o.called(),
			"a token whose refresh token is the old one is worth no write")
	})
}

// TestKilledBeforeTheSave kills a process that has bought a token at each step of saving
// it. The next process has the token from the spool, and spends nothing twice.
func TestKilledBeforeTheSave(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"put access-dr-rao-2", "drop"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				o := &ordered{listed: &listed{}, TokenStore: c.store}
				o.before(func(call string) {
					if call == step {
						goexit()
					}
				})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				dead, err := oauth.NewSource(oauth.SourceConfig{Store: o, Provider: "zoom", Refresh: c.provider.refresh, Tuning: oauth.Tuning{Spool: o}})
				require.NoError(t, err)
				go func() { _, _ = dead.Token(ctx, doctor) }()
				<-ctx.Done()

				s := c.source(func(cfg *oauth.SourceConfig) { cfg.Spool = o.listed })
				n, err := s.Recover(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, n)
				got, err := s.Token(t.Context(), doctor)
				require.NoError(t, err)
				require.Equal(t, "access-dr-rao-2", got.Access.Reveal())
				require.Equal(t, 1, c.provider.count())
				time.Sleep(time.Minute)
				require.Empty(t, spooled(t, o.listed))
				c.works(s)
			})
		})
	}
}

// TestSpoolThatHangs has a disk that does not answer and does not look at its context.
func TestSpoolThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		o := &ordered{listed: &listed{}, TokenStore: c.store}
		o.before(func(call string) {
			if call == "keep" {
				time.Sleep(time.Hour)
			}
		})
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.Store, cfg.Spool = o, o })
		begin := time.Now()
		_, err := s.Token(t.Context(), doctor)
		require.NoError(t, err)
		require.Less(t, time.Since(begin), 4*time.Second)
		require.Equal(t, "access-dr-rao-2", c.record().Token.Access.Reveal())
		require.NoError(t, s.Shutdown(t.Context()))
		require.Less(t, time.Since(begin), 4*time.Second)
		time.Sleep(2 * time.Hour) // it wakes up, and what it kept is obsolete
		next := c.source(func(cfg *oauth.SourceConfig) { cfg.Spool = o.listed })
		_, err = next.Recover(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Empty(t, spooled(t, o.listed))
		require.Equal(t, "access-dr-rao-2", c.record().Token.Access.Reveal())
	})
}

func TestSpoolThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		var log strings.Builder
		full := &brokenSpool{}
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.Spool, cfg.Logger = full, slog.New(slog.NewTextHandler(&log, nil))
		})
		_, err := s.Recover(t.Context())
		require.ErrorIs(t, err, errFull)
		c.provider.after = func(int) error { c.store.Fail(down, nil); return nil }
		_, err = s.Token(t.Context(), doctor)
		require.NoError(t, err)
		c.provider.after = nil
		c.store.Fail(nil, nil)
		time.Sleep(15 * time.Second)
		c.works(s)
		require.Greater(t, full.kept, 1, "tried again")
		require.Zero(t, full.dropped)
		require.Contains(t, log.String(), "cannot be spooled")
		require.NotContains(t, log.String(), "dr-rao")
		require.NotContains(t, log.String(), "refresh-")
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		for i := range 30 {
			c.connect(numbered(i))
		}
		c.expire()
		var alarms []int
		marked := 0
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.MaxRejections = 5
			cfg.OnBreaker = func(n int) { alarms = append(alarms, n) }
			cfg.OnReconnect = func(store.AccountID, string) { marked++ }
		})
		c.provider.before = func(int) error { return fmt.Errorf("400: %w", oauth.ErrRejected) }
		for i := range 20 {
			_, err := s.Token(t.Context(), numbered(i))
			if i < 5 {
				require.ErrorIs(t, err, telemed.ErrReconnect)
				continue
			}
			require.ErrorIs(t, err, telemed.ErrUnavailable)
			require.NotErrorIs(t, err, telemed.ErrReconnect)
		}
		require.Equal(t, 5, marked)
		require.Equal(t, []int{6}, alarms, "one alarm")
		calls := c.provider.count()
		_, err := s.Token(t.Context(), numbered(19))
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.Equal(t, calls, c.provider.count(), "left alone for a minute")

		c.provider.before = nil // the provider has recovered
		time.Sleep(time.Minute)
		for i := 5; i < 30; i++ {
			_, err := s.Token(t.Context(), numbered(i))
			require.NoError(t, err)
		}
		c.provider.before = func(int) error { return fmt.Errorf("400: %w", oauth.ErrRejected) }
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrReconnect, "one among many that work is believed")
		c.provider.before = nil
		time.Sleep(time.Hour)
		for i := range 30 {
			_, err := s.Token(t.Context(), numbered(i))
			require.NoError(t, err, "those that were marked heal by themselves")
		}
	})
}

// Half a year of holidays, and every token has died: that is believed in the end.
func TestBreakerIsPatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		for i := range 30 {
			c.connect(numbered(i))
		}
		c.expire()
		s := c.source()
		c.provider.before = func(int) error { return fmt.Errorf("400: %w", oauth.ErrRejected) }
		count := func() (marked int) {
			for i := range 30 {
				_, err := s.Token(t.Context(), numbered(i))
				require.Error(t, err)
				if errors.Is(err, telemed.ErrReconnect) {
					marked++
				}
			}
			return marked
		}
		require.Equal(t, 10, count())
		time.Sleep(30 * time.Minute)
		require.Less(t, count(), 25)
		time.Sleep(40 * time.Minute)
		require.Equal(t, 30, count())
	})
}

func TestWithoutBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		s := c.source(func(cfg *oauth.SourceConfig) { cfg.MaxRejections = -1 })
		c.provider.before = func(int) error { return fmt.Errorf("400: %w", oauth.ErrRejected) }
		for i := range 30 {
			c.connect(numbered(i))
		}
		c.expire()
		for i := range 30 {
			_, err := s.Token(t.Context(), numbered(i))
			require.ErrorIs(t, err, telemed.ErrReconnect)
		}
	})
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		time.Sleep(29 * 24 * time.Hour)
		for i := range 3 {
			c.connect(numbered(i)) // connected lately
		}
		require.NoError(t, store.Set(t.Context(), c.store, store.AccountID{Provider: "google", Subject: "idle"}, token("a")))
		require.NoError(t, store.Set(t.Context(), c.store, numbered(8), store.Token{Access: telemed.NewSecret("minted")}))
		_, err := c.store.Put(t.Context(), store.Record{ID: numbered(9), Token: c.provider.connect("9"), Status: store.StatusReconnect, UpdatedAt: time.Now()})
		require.NoError(t, err, "an account that waits for its doctor is none of KeepAlive's")
		s := c.source()
		refreshed, failed, err := s.KeepAlive(t.Context())
		require.NoError(t, err)
		require.Zero(t, refreshed+failed)

		time.Sleep(25 * time.Hour)
		refreshed, failed, err = s.KeepAlive(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, refreshed)
		require.Zero(t, failed)
		require.Equal(t, 1, c.provider.count())
		require.Equal(t, "refresh-dr-rao-2", c.record().Token.Refresh.Reveal())

		time.Sleep(31 * 24 * time.Hour)
		c.provider.before = func(call int) error {
			if call == 2 {
				return fmt.Errorf("400: %w", telemed.ErrUnauthorized)
			}
			return nil
		}
		refreshed, failed, err = s.KeepAlive(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, refreshed, "one that fails stops nobody")
		require.Equal(t, 1, failed)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = s.KeepAlive(ended)
		require.ErrorIs(t, err, context.Canceled)
		plain := c.source(func(cfg *oauth.SourceConfig) { cfg.Store = struct{ store.TokenStore }{c.store} })
		_, _, err = plain.KeepAlive(t.Context())
		require.ErrorIs(t, err, errors.ErrUnsupported)
	})
}

// TestTend: what lies unused is refreshed day by day, by itself, until its context ends.
func TestTend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		ctx, cancel := context.WithCancel(t.Context())
		var tending sync.WaitGroup
		tending.Go(func() { oauth.Tend(ctx, c.source()) })
		time.Sleep(29 * 24 * time.Hour)
		require.Zero(t, c.provider.count())
		time.Sleep(3 * 24 * time.Hour)
		require.Equal(t, 1, c.provider.count())
		time.Sleep(31 * 24 * time.Hour)
		require.Equal(t, 2, c.provider.count())
		cancel()
		tending.Wait()
		require.NoError(t, oauth.Recover(t.Context(), c.source(), c.source()))
	})
}

// The disk of the database is full until the token that counts has run out: it is saved
// before it is spent.
func TestRecoverWithAnObsoleteFileBesideAndAFullDisk(t *testing.T) {
	t.Parallel()
	besideAnObsoleteFile(t, func(c *clinic, spool *listed) {
		s := c.source(func(cfg *oauth.SourceConfig) {
			cfg.Spool = spool
			cfg.OnReconnect = func(store.AccountID, string) { c.Error("nobody has lost anything") }
		})
		var full atomic.Bool
		full.Store(true)
		c.store.Fail(func(op string) error {
			if op == "put" && full.Load() {
				return errDown
			}
			return nil
		}, nil)
		_, err := s.Recover(c.Context())
		require.NoError(c, err)
		time.Sleep(time.Hour + time.Minute)
		var caller sync.WaitGroup
		caller.Go(func() { _, _ = s.Token(c.Context(), doctor) })
		time.Sleep(10*time.Second + 300*time.Millisecond)
		full.Store(false)
		time.Sleep(5 * time.Minute)
		caller.Wait()
		require.Zero(c, c.provider.twice)
		c.works(s)
	})
}
