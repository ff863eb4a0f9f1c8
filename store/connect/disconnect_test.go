package connect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

// slowAnswers holds the answers of the token endpoint back, after Zoom has done what it
// was asked for.
type slowAnswers struct {
	base     http.RoundTripper
	by       time.Duration
	answered chan struct{} // gets one for each answer held back

	refresh telemed.Secret // that Zoom gave last
}

func (s *slowAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.base.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/oauth/token") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer struct {
		Refresh string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Refresh != "" {
		s.refresh = telemed.NewSecret(answer.Refresh)
	}
	select {
	case s.answered <- struct{}{}:
	default:
	}
	time.Sleep(s.by)
	return resp, err
}

// ward is a hospital with Zoom, in a bubble: Dr. Rao is connected, and the access token
// has expired.
type ward struct {
	*connect.Connector
	zoom    *zoom.Client
	answers *slowAnswers
	tokens  *store.Memory
}

var dr = store.AccountID{Provider: "zoom", Subject: "dr-rao"}

func newWard(t *testing.T, takes time.Duration) *ward {
	t.Helper()
	fake := zoomtest.NewServer(t, zoomtest.Config{InMemory: true})
	w := &ward{
		tokens:  store.NewMemory(),
		answers: &slowAnswers{base: fake.Client().Transport, by: takes, answered: make(chan struct{}, 1)},
	}
	client := &http.Client{Transport: w.answers}
	var err error
	w.zoom, err = zoom.New(zoom.Config{
		ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(), HTTPClient: client,
		RedirectURL: "https://api.clinic.example/callback", Tokens: w.tokens,
	})
	require.NoError(t, err)
	w.Connector, err = connect.New(connect.Config{
		Providers: []oauth.Provider{w.zoom.OAuth()}, Tokens: w.tokens, Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
	})
	require.NoError(t, err)
	token := store.Token{
		Access: telemed.NewSecret("access-1"), Refresh: telemed.NewSecret("refresh-1"), Expiry: time.Now().Add(time.Minute),
		Scopes: zoom.DefaultScopes(), Account: store.Account{ID: zoomtest.DefaultUser().ID},
	}
	fake.Restore(token)
	w.answers.refresh = token.Refresh
	require.NoError(t, store.Set(t.Context(), w.tokens, dr, token))
	return w
}

// refresh begins a refresh whose answer is under way when it returns.
func (w *ward) refresh(t *testing.T) (ended chan error) {
	t.Helper()
	ended = make(chan error, 1)
	go func() {
		_, err := w.zoom.Get(context.Background(), "dr-rao", "82000000001")
		ended <- err
	}()
	<-w.answers.answered
	return ended
}

// lives reports whether the grant does: whether its newest refresh token is good.
func (w *ward) lives(t *testing.T) bool {
	t.Helper()
	_, err := w.zoom.OAuth().Refresh(t.Context(), store.Token{Refresh: w.answers.refresh})
	if err != nil {
		require.ErrorIs(t, err, oauth.ErrRejected)
	}
	return err == nil
}

func TestDisconnectDuringARefresh(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer  time.Duration // how long it is under way
		revoked bool
		takes   time.Duration // of Forget, at most
	}{
		"that is soon over": {answer: time.Second, revoked: true, takes: 3 * time.Second},
		"that takes long":   {answer: 8 * time.Second, revoked: false, takes: 14 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWard(t, c.answer)
				time.Sleep(2 * time.Minute)
				ended := w.refresh(t)
				begin := time.Now()
				revoked, err := w.Forget(t.Context(), dr)
				require.NoError(t, err)
				require.Equal(t, c.revoked, revoked)
				require.LessOrEqual(t, time.Since(begin), c.takes)
				if revoked {
					require.False(t, w.lives(t), "what was said to be revoked lives")
				}
				<-ended
				require.NoError(t, w.zoom.Shutdown(t.Context()), "which waits until the grant is withdrawn")
				require.False(t, w.lives(t), "the grant that the refresh bought has no owner")
				_, err = w.tokens.Get(t.Context(), dr)
				require.ErrorIs(t, err, telemed.ErrNotFound, "it was not brought back")
			})
		})
	}
}

// A refresh that begins between the last look at the record and its deletion would buy a
// token that Forget does not know of.
func TestNoRefreshBeginsDuringADisconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWard(t, 0)
		time.Sleep(2 * time.Minute)
		var ended chan error
		cfg := connect.Config{
			Providers: []oauth.Provider{w.zoom.OAuth()}, Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
			Tokens: beforeDelete{w.tokens, func() {
				ended = make(chan error, 1)
				go func() {
					_, err := w.zoom.Get(context.Background(), "dr-rao", "82000000001")
					ended <- err
				}()
				synctest.Wait() // it has gone as far as it gets
			}},
		}
		connector, err := connect.New(cfg)
		require.NoError(t, err)
		revoked, err := connector.Forget(t.Context(), dr)
		require.NoError(t, err)
		require.True(t, revoked)
		require.False(t, w.lives(t))
		require.ErrorIs(t, <-ended, telemed.ErrNotConnected)
		require.NoError(t, w.zoom.Shutdown(t.Context()))
	})
}

type beforeDelete struct {
	*store.Memory
	do func()
}

func (s beforeDelete) Delete(ctx context.Context, id store.AccountID) error {
	s.do()
	return s.Memory.Delete(ctx, id)
}

// What Forget cannot know it does not claim.
func TestDisconnectIsHonest(t *testing.T) {
	t.Parallel()
	for name, lease := range map[string]store.Lease{
		"a process died during the exchange": {Owner: "dead", TTL: time.Minute},
		"an answer was lost":                 {Tainted: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWard(t, 0)
				rec, err := w.tokens.Get(t.Context(), dr)
				require.NoError(t, err)
				bought, err := w.zoom.OAuth().Refresh(t.Context(), rec.Token)
				require.NoError(t, err)
				rec.Lease = lease
				_, err = w.tokens.Put(t.Context(), rec)
				require.NoError(t, err)

				revoked, err := w.Forget(t.Context(), dr)
				require.NoError(t, err)
				require.False(t, revoked)
				w.answers.refresh = bought.Refresh
				require.True(t, w.lives(t), "nobody has the token any more")
				_, err = w.tokens.Get(t.Context(), dr)
				require.ErrorIs(t, err, telemed.ErrNotFound)
				require.NoError(t, w.zoom.Shutdown(t.Context()))
			})
		})
	}
}

type undeletable struct{ *store.Memory }

func (undeletable) Delete(context.Context, store.AccountID) error { return errors.New("read only") }

// An account that could not be deleted works on: its lease is nobody's.
func TestAFailedDisconnectLeavesTheAccount(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	require.NoError(t, store.Set(t.Context(), h.tokens, h.AccountID("dr-rao"), store.Token{Refresh: telemed.NewSecret("r")}))
	c, err := connect.New(connect.Config{
		Providers: []oauth.Provider{revoking(h)}, Tokens: undeletable{h.tokens}, Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = c.Forget(ctx, h.AccountID("dr-rao"))
	require.ErrorContains(t, err, "read only")
	require.Empty(t, h.authority.revoked)
	rec, err := h.record(t, "dr-rao")
	require.NoError(t, err)
	require.Empty(t, rec.Lease)
}
