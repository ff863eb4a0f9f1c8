package zoom_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
	"github.com/telemed-go/telemed/zoom"
	"github.com/telemed-go/telemed/zoom/zoomtest"
)

func TestConsent(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	token := c.token(t)
	require.Equal(t, store.Account{ID: "u-dr-rao", Email: "dr.rao@clinic.example"}, token.Account)
	require.ElementsMatch(t, zoom.DefaultScopes(), token.Scopes)
	require.Equal(t, c.fake.URL(), token.Extra["api_url"])
	require.WithinDuration(t, time.Now().Add(3599*time.Second), token.Expiry, time.Minute)
	require.Equal(t, "Basic", c.fake.Requests(zoomtest.OpToken)[0].Scheme, "credentials go into the header, never guessed")
	require.Empty(t, c.fake.Requests(zoomtest.OpToken)[0].Query)
	require.Empty(t, c.fake.Requests(zoomtest.OpCreate))
}

func TestCodeNeedsItsVerifier(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	callback, err := c.fake.Authorize(c.OAuth().AuthCodeURL("s", oauth2.GenerateVerifier()))
	require.NoError(t, err)
	u, err := url.Parse(callback)
	require.NoError(t, err)
	_, err = c.OAuth().Exchange(t.Context(), u.Query().Get("code"), oauth2.GenerateVerifier())
	require.ErrorIs(t, err, oauth.ErrRejected)
}

// Fifty callers in two processes find the token expired: it is refreshed once, and never
// sent twice.
func TestManyCallersRefreshOnce(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	m, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	c.fake.ExpireTokens()
	clients := []*zoom.Client{c.another(t), c.another(t)}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if _, err := clients[i%2].Get(t.Context(), doctor, m.ID); err != nil {
				t.Errorf("Get: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, c.fake.Refreshes())
	require.Zero(t, c.fake.Reuses())
}

func TestCallerWhoLeavesDuringRefreshLosesNothing(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	old := c.token(t).Access
	c.fake.ExpireTokens()
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpToken, Delay: 3 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := c.Get(ctx, doctor, "82000000001")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, telemed.ErrReconnect)
	require.Eventually(t, func() bool { return !c.token(t).Access.Equal(old) }, 20*time.Second, 5*time.Millisecond)
	_, err = c.Get(t.Context(), doctor, "82000000001")
	require.ErrorIs(t, err, telemed.ErrNotFound)
	require.Equal(t, 1, c.fake.Refreshes())
}

func TestLostRefreshIsAskedAgain(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.ExpireTokens()
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpToken, LoseRequest: true})
	_, err := c.Get(t.Context(), doctor, "82000000001")
	require.ErrorIs(t, err, telemed.ErrNotFound, "the token works again")
	require.Equal(t, 1, c.fake.Refreshes())
}

// Zoom reports an ended token with 401, and now and then with 400.
func TestTokenThatEndedWith400IsRenewed(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.FailNext(zoomtest.Refuse(zoomtest.OpCreate, http.StatusBadRequest, 124, "Access token is expired."))
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
	require.Equal(t, 1, c.fake.Refreshes())
	require.Len(t, c.live(), 1)
}

// A refresh whose answers are lost says nothing about the call that wanted it: that was
// never made.
func TestLostRefreshIsNotALostCall(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	c.fake.ExpireTokens()
	c.fake.FailNext(zoomtest.Fault{Op: zoomtest.OpToken, LoseRequest: true, Times: 20})
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrUnavailable)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous)
	require.Empty(t, c.live())
}

func TestUninstalledAppMustBeConnectedAgain(t *testing.T) {
	t.Parallel()
	var told []store.AccountID
	c := newClinic(t, zoomtest.Config{}, func(cfg *zoom.Config) {
		cfg.Refreshing.OnReconnect = func(id store.AccountID, _ string) { told = append(told, id) }
	})
	c.fake.Uninstall("u-dr-rao")
	_, err := c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.ErrorIs(t, err, telemed.ErrReconnect)
	require.NotErrorIs(t, err, telemed.ErrAmbiguous, "nothing was sent")
	require.Equal(t, []store.AccountID{c.key}, told)
	require.Equal(t, "Create", zoomError(t, err).Op)

	c.connect(t)
	_, err = c.Create(t.Context(), doctor, visit(t, "appt-42"))
	require.NoError(t, err)
}

func TestWrongClientSecretKeepsTheAccount(t *testing.T) {
	t.Parallel()
	c := newClinic(t, zoomtest.Config{})
	misconfigured := c.another(t, func(cfg *zoom.Config) { cfg.ClientSecret = telemed.NewSecret("wrong") })
	c.fake.ExpireTokens()
	_, err := misconfigured.Get(t.Context(), doctor, "82000000001")
	require.ErrorIs(t, err, telemed.ErrUnauthorized)
	require.NotErrorIs(t, err, telemed.ErrReconnect)
	rec, err := c.tokens.Get(t.Context(), c.key)
	require.NoError(t, err)
	require.Equal(t, store.StatusActive, rec.Status)
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	t.Run("ends the grant", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		require.NoError(t, c.OAuth().Revoke(t.Context(), c.token(t)))
		_, err := c.Get(t.Context(), doctor, "82000000001")
		require.ErrorIs(t, err, telemed.ErrReconnect)
		require.NoError(t, c.OAuth().Revoke(t.Context(), c.token(t)), "gone already is no error")
	})
	t.Run("with an expired access token", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		token := c.token(t)
		token.Expiry = time.Now().Add(-time.Hour)
		c.fake.ExpireTokens()
		require.NoError(t, c.OAuth().Revoke(t.Context(), token))
		_, err := c.OAuth().Refresh(t.Context(), token)
		require.ErrorIs(t, err, oauth.ErrRejected)
	})
	t.Run("tells when it failed", func(t *testing.T) {
		t.Parallel()
		c := newClinic(t, zoomtest.Config{})
		c.fake.FailNext(answered(zoomtest.OpRevoke, 400, `{"error":"invalid_client"}`))
		require.Error(t, c.OAuth().Revoke(t.Context(), c.token(t)))
	})
	t.Run("authenticates with the standard alphabet", func(t *testing.T) {
		t.Parallel()
		var sent string
		spy := roundTrip(func(req *http.Request) (*http.Response, error) {
			sent = req.Header.Get("Authorization")
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
		})
		c := newClinic(t, zoomtest.Config{})
		odd := c.another(t, func(cfg *zoom.Config) {
			cfg.HTTPClient = &http.Client{Transport: spy}
			cfg.ClientSecret = telemed.NewSecret("a?b>c~~~")
		})
		require.NoError(t, odd.OAuth().Revoke(t.Context(), c.token(t)))
		require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("zoomtest-client:a?b>c~~~")), sent)
	})
}

// The address of the region comes with the token. One that leads elsewhere must not get
// the bearer token.
func TestRegion(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ apiURL, want string }{
		"region":               {"https://api-in.zoom.us", "api-in.zoom.us"},
		"vanity":               {"https://clinic.zoom.us/", "clinic.zoom.us"},
		"absent":               {"", "api.zoom.us"},
		"other domain":         {"https://evil.example", "api.zoom.us"},
		"lookalike":            {"https://evilzoom.us", "api.zoom.us"},
		"plain http":           {"http://api-in.zoom.us", "api.zoom.us"},
		"user info":            {"https://zoom.us@evil.example", "api.zoom.us"},
		"port":                 {"https://api-in.zoom.us:8443", "api.zoom.us"},
		"path":                 {"https://api-in.zoom.us/redirect", "api.zoom.us"},
		"suffix in front":      {"https://zoom.us.evil.example", "api.zoom.us"},
		"government from here": {"https://api.zoomgov.com", "api.zoom.us"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var host, path, scheme string
			spy := roundTrip(func(req *http.Request) (*http.Response, error) {
				host, path, scheme = req.URL.Host, req.URL.Path, req.URL.Scheme
				return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}, Request: req}, nil
			})
			tokens := store.NewMemory()
			client, err := zoom.New(zoom.Config{
				ClientID: "id", ClientSecret: telemed.NewSecret("secret"), RedirectURL: "https://clinic.example/callback",
				Tokens: tokens, HTTPClient: &http.Client{Transport: spy},
			})
			require.NoError(t, err)
			require.NoError(t, store.Set(t.Context(), tokens, store.AccountID{Provider: zoom.ProviderName, Subject: doctor}, store.Token{
				Access: telemed.NewSecret("a"), Refresh: telemed.NewSecret("r"), Expiry: time.Now().Add(time.Hour),
				Extra: map[string]string{"api_url": test.apiURL},
			}))
			_, err = client.Get(t.Context(), doctor, "123456789")
			require.Error(t, err)
			require.Equal(t, test.want, host)
			require.Equal(t, "https", scheme)
			require.Equal(t, "/v2/meetings/123456789", path)
			require.NoError(t, client.Shutdown(t.Context()))
		})
	}
}
