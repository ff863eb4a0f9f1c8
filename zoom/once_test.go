package zoom_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/fault"
	"github.com/telemed-go/telemed/meet"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// listLag is longer than any test's LookAfter.
const listLag = 5 * time.Second

// wantOne asserts that Key has one meeting at Zoom, and that everybody holds its id.
func (c *clinic) wantOne(t *testing.T, ids ...string) {
	t.Helper()
	require.Len(t, c.live(), 1)
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
}

// TestOneMeetingWhateverTheListSays has two processes call at once, while the list lags.
func TestOneMeetingWhateverTheListSays(t *testing.T) {
	t.Parallel()
	for name, gap := range map[string]time.Duration{"at once": 0, "a moment apart": 50 * time.Millisecond, "one after the other": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t, zoomtest.Config{ListLag: listLag, InMemory: true})
				c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpCreate, Delay: 300 * time.Millisecond, Times: -1})
				clients, req := []*zoom.Client{c.Client, c.another(t)}, visit(t, "appt-42")
				ids := make([]string, 16)
				var wg sync.WaitGroup
				for i := range ids {
					wg.Go(func() {
						time.Sleep(time.Duration(i%2) * gap)
						m, err := clients[i%2].Create(t.Context(), doctor, req)
						if err != nil {
							t.Errorf("Create: %v", err)
							return
						}
						ids[i] = m.ID + m.JoinURL
					})
				}
				wg.Wait()
				c.wantOne(t, ids...)
				require.Equal(t, 1, c.fake.Count(zoomtest.OpCreate))
				require.Zero(t, c.fake.Count(zoomtest.OpList), "no list is asked")
			})
		})
	}
}

// TestLostReplyWhileTheListLags loses what can be lost, while the list does not show what
// was made.
func TestLostReplyWhileTheListLags(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]zoomtest.Fault{
		"the answer":       {LoseAnswer: true},
		"the request":      {LoseRequest: true},
		"half the answer":  {Cut: true},
		"a proxy's 502":    {Status: http.StatusBadGateway, Body: "<html>", LoseAnswer: true},
		"a proxy's 404":    {Status: http.StatusNotFound, Body: "<html>", LoseAnswer: true},
		"the caller hangs": {Hang: true},
		"the caller goes":  {Delay: 30 * time.Second, LoseAnswer: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t, zoomtest.Config{ListLag: listLag, InMemory: true})
				fault.Op = zoomtest.OpCreate
				c.fake.FailNext(fault)
				req := visit(t, "appt-42")
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := c.Create(ctx, doctor, req)
				require.ErrorIs(t, err, telemed.ErrAmbiguous)

				begin := time.Now()
				m, err := c.another(t).Create(t.Context(), doctor, req)
				require.NoError(t, err)
				require.Less(t, time.Since(begin), time.Minute)
				again, err := c.Create(t.Context(), doctor, req)
				require.NoError(t, err)
				c.wantOne(t, m.ID, again.ID)
			})
		})
	}
}

// A process dies between Zoom's answer and the note of it.
func TestCreateThatWasNotWrittenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t, zoomtest.Config{ListLag: listLag, InMemory: true})
		dying := &dyingClaims{Claims: c.tokens, lives: 1} // it writes that Zoom is asked, and no more
		req := visit(t, "appt-42")
		_, err := c.another(t, func(cfg *zoom.Config) { cfg.Claims = dying }).Create(t.Context(), doctor, req)
		require.ErrorIs(t, err, telemed.ErrAmbiguous, "it is there, and without a note nobody must rely on it")
		m, err := c.Create(t.Context(), doctor, req)
		require.NoError(t, err)
		c.wantOne(t, m.ID)
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
	})
}

// A process is killed in Create: nothing is given back. Who has no time to wait is told so,
// and who has waits for as long as the dead one had time, and a little more.
func TestCreateAfterAKill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t, zoomtest.Config{ListLag: listLag, InMemory: true})
		dying := &dyingClaims{Claims: c.tokens, lives: 1} // it writes that Zoom is asked, and no more
		req, begin := visit(t, "appt-42"), time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		_, err := c.another(t, func(cfg *zoom.Config) { cfg.Claims = dying }).Create(ctx, doctor, req)
		require.Error(t, err)

		hasty, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		_, err = c.Create(hasty, doctor, req)
		require.ErrorIs(t, err, telemed.ErrUnavailable)
		require.ErrorIs(t, err, fault.UnderWay)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "zoom: Create: another call with the same key is under way: context deadline exceeded")
		require.Equal(t, 2*time.Second, zoomError(t, err).RetryDelay())

		m, err := c.Create(t.Context(), doctor, req)
		require.NoError(t, err)
		c.wantOne(t, m.ID)
		require.GreaterOrEqual(t, time.Since(begin), 25*time.Second, "what the dead one asked for may be under way")
		require.Less(t, time.Since(begin), 35*time.Second)
	})
}

// standstill is the connection of a process that stands still before it sends a meeting.
type standstill struct{ http.RoundTripper }

func (s standstill) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost || req.Body == nil {
		return s.RoundTripper.RoundTrip(req)
	}
	time.Sleep(2 * time.Minute)
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	late := req.Clone(context.WithoutCancel(req.Context())) // what is begun goes out
	late.Body = io.NopCloser(bytes.NewReader(body))
	return s.RoundTripper.RoundTrip(late)
}

// A process stands still in Create until others have made the meeting.
func TestCreateThatStoodStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t, zoomtest.Config{ListLag: listLag, InMemory: true})
		frozen := c.another(t, func(cfg *zoom.Config) {
			client := *cfg.HTTPClient
			client.Transport = standstill{client.Transport}
			cfg.HTTPClient = &client
		})
		req := visit(t, "appt-42")
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			if _, err := frozen.Create(ctx, doctor, req); err == nil {
				t.Error("it was too late")
			}
		})
		time.Sleep(time.Second)
		m, err := c.Create(t.Context(), doctor, req)
		require.NoError(t, err)
		wg.Wait()
		again, err := c.Create(t.Context(), doctor, req)
		require.NoError(t, err)
		c.wantOne(t, m.ID, again.ID)
	})
}

// dyingClaims are those of a process that ends after some writes.
type dyingClaims struct {
	store.Claims
	lives int
}

func (d *dyingClaims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	if d.lives--; d.lives < 0 {
		return telemed.ErrUnavailable
	}
	return d.Claims.Complete(ctx, key, token, value, keep)
}

func (d *dyingClaims) Release(ctx context.Context, key, token string) error {
	if d.lives < 0 {
		return telemed.ErrUnavailable
	}
	return d.Claims.Release(ctx, key, token)
}

// The database is away: nothing is sent, and the error says so.
func TestCreateWithoutClaims(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	down := c.another(t, func(cfg *zoom.Config) { cfg.Claims = brokenClaims{} })
	_, err := down.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous, "the claim's outcome is not the meeting's")
	require.ErrorIs(t, down.Cancel(t.Context(), doctor, "82000000001"), telemed.ErrUnavailable)
	require.Zero(t, c.fake.Count(zoomtest.OpCreate)+c.fake.Count(zoomtest.OpDelete))
}

type brokenClaims struct{ store.Claims }

func (brokenClaims) Claim(context.Context, string, time.Duration) (store.Claim, error) {
	return store.Claim{}, errors.Join(errors.New("database is away"), telemed.ErrAmbiguous)
}

// A late Create, as a job queue repeats it, does not bring a cancelled visit back.
func TestKeyStaysCancelled(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]func(t *testing.T, c *clinic, m *meet.Meeting){
		"by Cancel": func(t *testing.T, c *clinic, m *meet.Meeting) {
			require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		},
		"by Cancel in a process that has no note of it": func(t *testing.T, c *clinic, m *meet.Meeting) {
			forgetful := c.forgetful(t)
			require.NoError(t, forgetful.Cancel(t.Context(), doctor, m.ID))
			_, err := forgetful.Create(t.Context(), doctor, visit(t, "appt-42"))
			require.ErrorIs(t, err, meet.ErrCancelled)
		},
		"by the doctor, by hand": func(_ *testing.T, c *clinic, _ *meet.Meeting) { c.fake.Delete(c.live()[0].ID) },
		"its answer lost": func(t *testing.T, c *clinic, m *meet.Meeting) {
			c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpDelete, LoseAnswer: true, Times: 3})
			require.ErrorIs(t, c.Cancel(t.Context(), doctor, m.ID), telemed.ErrAmbiguous)
		},
		"after it was moved": func(t *testing.T, c *clinic, m *meet.Meeting) {
			req := visit(t, "appt-42")
			req.Start = req.Start.AddDate(2, 0, 0)
			_, err := c.Update(t.Context(), doctor, m.ID, req)
			require.NoError(t, err)
			time.Sleep(500 * 24 * time.Hour)
			c.connect(t)
			require.NoError(t, c.Cancel(t.Context(), doctor, m.ID))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t, zoomtest.Config{InMemory: true})
				m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
				require.NoError(t, err)
				cancel(t, c, m)
				for _, later := range []time.Duration{0, time.Hour, 3 * 366 * 24 * time.Hour} {
					time.Sleep(later)
					c.connect(t) // tokens do not live that long
					_, err = c.another(t).Create(t.Context(), doctor, visit(t, "appt-42"))
					require.ErrorIs(t, err, meet.ErrCancelled)
					require.ErrorIs(t, err, telemed.ErrConflict)
					require.Empty(t, c.live())
				}
				_, err = c.Create(t.Context(), doctor, visit(t, "appt-42/2"))
				require.NoError(t, err, "a new Key is a new meeting")
			})
		})
	}
}

// A visit that was moved far away is known until a year after its new start.
func TestMovedKeyIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t, zoomtest.Config{InMemory: true})
		req := visit(t, "appt-42")
		m, err := c.Create(t.Context(), doctor, req)
		require.NoError(t, err)
		req.Start = req.Start.AddDate(2, 0, 0)
		_, err = c.Update(t.Context(), doctor, m.ID, req)
		require.NoError(t, err)
		time.Sleep(500 * 24 * time.Hour)
		c.connect(t)
		again, err := c.Create(t.Context(), doctor, req)
		require.NoError(t, err)
		c.wantOne(t, m.ID, again.ID)
		c.fake.Delete(c.live()[0].ID)
		require.NoError(t, c.Cancel(t.Context(), doctor, m.ID), "and so is its account")
	})
}

// What Zoom refused was not made: the Key is free when the reason is gone.
func TestRefusedKeyIsFree(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	for _, refusal := range []zoomtest.Fault{
		zoomtest.Refuse(zoomtest.OpCreate, 400, 3161, "no licence"), zoomtest.Refuse(zoomtest.OpCreate, 429, 429, "daily rate limit"),
	} {
		c.fake.FailNext(refusal)
		_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
		require.Error(t, err)
		require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	}
	time.Sleep(2 * time.Millisecond) // until it is forgotten
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Zero(t, c.fake.Count(zoomtest.OpList), "there was nothing to look for")
}

// The claims are ids and hashes.
func TestClaimsTellNobody(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	seen := &seenClaims{Claims: c.tokens}
	client := c.another(t, func(cfg *zoom.Config) { cfg.Claims = seen })
	m, err := client.Create(t.Context(), doctor, visit(t, "asha-rao"))
	require.NoError(t, err)
	require.NoError(t, client.Cancel(t.Context(), doctor, m.ID))
	require.NotEmpty(t, seen.texts)
	for _, text := range seen.texts {
		for _, secret := range []string{"asha", m.Passcode, "pwd", "@clinic"} {
			require.NotContains(t, text, secret)
		}
	}
}

type seenClaims struct {
	store.Claims
	texts []string
}

func (s *seenClaims) Claim(ctx context.Context, key string, lease time.Duration) (store.Claim, error) {
	s.texts = append(s.texts, key)
	return s.Claims.Claim(ctx, key, lease)
}

func (s *seenClaims) Complete(ctx context.Context, key, token string, value []byte, keep time.Duration) error {
	s.texts = append(s.texts, string(value))
	return s.Claims.Complete(ctx, key, token, value, keep)
}
