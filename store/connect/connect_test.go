package connect_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
)

func TestAFlow(t *testing.T) {
	t.Parallel()
	var connected []string
	h := newHost(t, func(c *connect.Config) {
		c.OnConnect = func(_ context.Context, id store.AccountID, _ store.Account) {
			connected = append(connected, id.Subject)
		}
	})
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, h, "/connect")
	require.NotContains(t, query.Get("state"), "rao", "the state carries no identity")
	require.Len(t, b.cookies(), 1)
	require.True(t, strings.HasPrefix(b.cookies()[0].Name, "__Host-telemed_google_"))

	end := b.callback(t, h, query)
	require.Equal(t, returnURL+"?provider=google&success=true", end.String())
	rec, err := h.record(t, "dr-rao")
	require.NoError(t, err)
	require.Equal(t, "refresh-canary", rec.Token.Refresh.Reveal())
	require.Equal(t, []string{"meetings", "profile"}, rec.Token.Scopes)
	require.Equal(t, store.StatusActive, rec.Status)
	require.Equal(t, []string{"dr-rao"}, connected)
	require.Empty(t, b.cookies(), "the flow's cookie is gone")
}

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	w := newBrowser(t, "dr-rao").do(h.Start(), http.MethodGet, "/connect")
	cookie := w.Result().Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.True(t, cookie.Secure)
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	require.Equal(t, "/", cookie.Path)
	require.Empty(t, cookie.Domain)
	require.Equal(t, 600, cookie.MaxAge)
	require.NotContains(t, cookie.Value, "rao")
}

func TestTwoTabs(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	first := b.begin(t, h, "/connect?return_to=/first")
	second := b.begin(t, h, "/connect?return_to=/second")
	require.Equal(t, "/second", b.callback(t, h, second).Path)
	require.Equal(t, "/first", b.callback(t, h, first).Path)
	require.Equal(t, 2, h.authority.exchanges)
}

func TestReturnTo(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tests := map[string]int{
		"/doctor/onboarding?step=3":    http.StatusSeeOther,
		"":                             http.StatusSeeOther,
		"https://evil.example/":        http.StatusBadRequest,
		"//evil.example/":              http.StatusBadRequest,
		`/\evil.example/`:              http.StatusBadRequest,
		"/\t/evil.example/":            http.StatusBadRequest,
		"/a\r\nSet-Cookie: a=b":        http.StatusBadRequest,
		"javascript:alert(1)":          http.StatusBadRequest,
		"doctor":                       http.StatusBadRequest,
		"/#fragment":                   http.StatusBadRequest,
		"/" + strings.Repeat("a", 600): http.StatusBadRequest,
		"https:/evil.example":          http.StatusBadRequest,
		"doctor@evil.example":          http.StatusBadRequest,
		" //evil.example":              http.StatusBadRequest,
		"/\x7f/evil.example":           http.StatusBadRequest,
		"/\x00/evil.example":           http.StatusBadRequest,
		"/%zz":                         http.StatusBadRequest,
		"/\xff":                        http.StatusBadRequest,
		`\\evil.example`:               http.StatusBadRequest,
	}
	for path, want := range tests {
		b := newBrowser(t, "dr-rao")
		w := b.do(h.Start(), http.MethodGet, "/connect?return_to="+url.QueryEscape(path))
		require.Equal(t, want, w.Code, path)
	}

	// What browsers may read as another site ends at ours: the address begins with it.
	for _, path := range []string{
		"/%2F/evil.example", "/%5Cevil.example", "/@evil.example", "/.//evil.example", "/..//evil.example", "/%09/evil.example",
		"/\uff0f\uff0fevil.example", "/\u0085/evil.example", "/;@evil.example", "/:80", "/\u2028/evil.example",
		"/?" + strings.Repeat("&", 500), "/" + strings.Repeat("<", 511), "/" + strings.Repeat(`"`, 511),
	} {
		b := newBrowser(t, strings.Repeat(`"`, 255))
		end := b.callback(t, h, b.begin(t, h, "/connect?return_to="+url.QueryEscape(path)))
		require.Equal(t, "https://app.clinic.example", end.Scheme+"://"+end.Host, path)
		require.Nil(t, end.User, path)
		require.Equal(t, "true", end.Query().Get("success"), path)
	}

	b := newBrowser(t, "dr-rao")
	end := b.callback(t, h, b.begin(t, h, "/connect?return_to="+url.QueryEscape("/doctor/onboarding?step=3")))
	require.Equal(t, "https://app.clinic.example/doctor/onboarding?provider=google&step=3&success=true", end.String())
}

func TestNobodyIsLoggedIn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "")
	require.Equal(t, http.StatusUnauthorized, b.do(h.Start(), http.MethodGet, "/connect").Code)
	require.Equal(t, http.StatusUnauthorized, b.do(h.Status(), http.MethodGet, "/status").Code)
	require.Equal(t, http.StatusUnauthorized, b.do(h.Disconnect(), http.MethodPost, "/disconnect").Code)
}

// Each attack leaves nothing stored and ends at the application's page with a reason.
func TestAttacks(t *testing.T) {
	t.Parallel()
	type scene struct {
		h     *host
		b     *browser
		query url.Values
	}
	tests := map[string]struct {
		attack    func(t *testing.T, s *scene)
		reason    connect.Reason
		exchanges int
	}{
		"forged state":      {func(_ *testing.T, s *scene) { s.query.Set("state", "forged") }, connect.ReasonExpired, 0},
		"no state":          {func(_ *testing.T, s *scene) { s.query.Del("state") }, connect.ReasonInvalid, 0},
		"empty state":       {func(_ *testing.T, s *scene) { s.query.Set("state", "") }, connect.ReasonInvalid, 0},
		"state is a doctor": {func(_ *testing.T, s *scene) { s.query.Set("state", "dr-rao") }, connect.ReasonExpired, 0},
		"two states":        {func(_ *testing.T, s *scene) { s.query.Add("state", s.query.Get("state")) }, connect.ReasonInvalid, 0},
		"two codes":         {func(_ *testing.T, s *scene) { s.query.Add("code", "other") }, connect.ReasonInvalid, 0},
		"no code":           {func(_ *testing.T, s *scene) { s.query.Del("code") }, connect.ReasonInvalid, 0},
		"two issuers": {func(_ *testing.T, s *scene) {
			s.query["iss"] = []string{"https://issuer.example", "https://issuer.example"}
		}, connect.ReasonInvalid, 0},
		"mix-up":             {func(_ *testing.T, s *scene) { s.query.Set("iss", "https://evil.example") }, connect.ReasonInvalid, 0},
		"denied":             {func(_ *testing.T, s *scene) { s.query.Set("error", "access_denied"); s.query.Del("code") }, connect.ReasonDenied, 0},
		"provider's error":   {func(_ *testing.T, s *scene) { s.query.Set("error", "server_error") }, connect.ReasonProvider, 0},
		"error without flow": {func(_ *testing.T, s *scene) { s.query = url.Values{"error": {"access_denied"}} }, connect.ReasonInvalid, 0},
		"logged out":         {func(_ *testing.T, s *scene) { s.b.doctor = "" }, connect.ReasonLogin, 0},
		"another login":      {func(_ *testing.T, s *scene) { s.b.doctor = "dr-who" }, connect.ReasonOtherLogin, 0},
		"another browser": {func(t *testing.T, s *scene) {
			s.b = newBrowser(t, "dr-rao")
		}, connect.ReasonExpired, 0},
		"victim finishes the attacker's flow": {func(t *testing.T, s *scene) {
			attacker := newBrowser(t, "dr-evil")
			s.query = attacker.begin(t, s.h, "/connect")
		}, connect.ReasonExpired, 0},
		"code of another flow": {func(t *testing.T, s *scene) {
			attacker := newBrowser(t, "dr-evil")
			s.query.Set("code", attacker.begin(t, s.h, "/connect").Get("code"))
		}, connect.ReasonProvider, 1},
		"guessed code": {func(_ *testing.T, s *scene) { s.query.Set("code", "guess") }, connect.ReasonProvider, 1},
		"cookies swapped between flows": {func(t *testing.T, s *scene) {
			mine := s.b.cookies()[0]
			s.b.begin(t, s.h, "/connect")
			var other *http.Cookie
			for _, cookie := range s.b.cookies() {
				if cookie.Name != mine.Name {
					other = cookie
				}
			}
			u, _ := url.Parse(origin)
			s.b.jar.SetCookies(u, []*http.Cookie{{Name: mine.Name, Value: other.Value, Path: "/", Secure: true}})
		}, connect.ReasonExpired, 0},
		"garbage cookie": {func(_ *testing.T, s *scene) {
			u, _ := url.Parse(origin)
			s.b.jar.SetCookies(u, []*http.Cookie{{Name: s.b.cookies()[0].Name, Value: "AAAA", Path: "/", Secure: true}})
		}, connect.ReasonExpired, 0},
		"permission unticked":   {func(_ *testing.T, s *scene) { s.h.authority.answer = map[string]any{"scope": "profile"} }, connect.ReasonScope, 1},
		"permission's namesake": {func(_ *testing.T, s *scene) { s.h.authority.answer = map[string]any{"scope": "meetings.readonly"} }, connect.ReasonScope, 1},
		"no refresh token":      {func(_ *testing.T, s *scene) { s.h.authority.answer = map[string]any{"refresh_token": nil} }, connect.ReasonNoRefresh, 1},
		"secret is wrong":       {func(_ *testing.T, s *scene) { s.h.authority.status = 401 }, connect.ReasonConfig, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			s := &scene{h: h, b: newBrowser(t, "dr-rao")}
			s.query = s.b.begin(t, h, "/connect")
			test.attack(t, s)
			end := s.b.callback(t, h, s.query)
			require.Equal(t, "false", end.Query().Get("success"))
			require.Equal(t, string(test.reason), end.Query().Get("reason"))
			require.Equal(t, "app.clinic.example", end.Host)
			require.Equal(t, test.exchanges, h.authority.exchanges)
			for _, doctor := range []string{"dr-rao", "dr-who", "dr-evil"} {
				_, err := h.record(t, doctor)
				require.ErrorIs(t, err, telemed.ErrNotFound, doctor)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, h, "/connect")
	stolen := b.cookies()[0]
	require.Equal(t, "true", b.callback(t, h, query).Query().Get("success"))

	require.Equal(t, "expired", b.callback(t, h, query).Query().Get("reason"), "the cookie is gone")
	u, _ := url.Parse(origin)
	b.jar.SetCookies(u, []*http.Cookie{{Name: stolen.Name, Value: stolen.Value, Path: "/", Secure: true}})
	require.Equal(t, "expired", b.callback(t, h, query).Query().Get("reason"), "it is remembered that the flow came back")
	require.Equal(t, 1, h.authority.exchanges)
}

func TestExpiredFlow(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	synctest.Test(t, func(t *testing.T) {
		query := b.begin(t, h, "/connect")
		kept := b.cookies()[0]
		time.Sleep(11 * time.Minute)
		require.Empty(t, b.cookies(), "browsers drop it")
		u, _ := url.Parse(origin)
		b.jar.SetCookies(u, []*http.Cookie{{Name: kept.Name, Value: kept.Value, Path: "/", Secure: true}})
		require.Equal(t, "expired", b.callback(t, h, query).Query().Get("reason"), "a thief keeps it")
	})
	require.Zero(t, h.authority.exchanges)
}

func TestScopesLeftOutMeansAsAsked(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.authority.answer = map[string]any{"scope": nil}
	b := newBrowser(t, "dr-rao")
	require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))
	rec, err := h.record(t, "dr-rao")
	require.NoError(t, err)
	require.Equal(t, []string{"meetings"}, rec.Token.Scopes)
}

// One of two permissions was unticked, and the provider does not say so in a text.
func TestScopesThatAreNoText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		scope   any
		granted bool
	}{
		{[]string{"profile", "meetings"}, true}, {[]string{"profile"}, false}, {[]string{}, false}, {"", false},
		{map[string]bool{"meetings": true}, false}, {7, false}, {[]any{7}, false}, {true, false},
	} {
		h := newHost(t)
		h.authority.answer = map[string]any{"scope": test.scope}
		b := newBrowser(t, "dr-rao")
		end := b.callback(t, h, b.begin(t, h, "/connect")).Query()
		_, err := h.record(t, "dr-rao")
		if test.granted {
			require.Equal(t, "true", end.Get("success"), "%v", test.scope)
			require.NoError(t, err)
			continue
		}
		require.Equal(t, string(connect.ReasonScope), end.Get("reason"), "%v", test.scope)
		require.ErrorIs(t, err, telemed.ErrNotFound)
	}
}

// A new consent that grants nothing takes back what the old one granted.
func TestNoScopesAreInherited(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(c *connect.Config) { c.Providers[0].Required = []string{} })
	b := newBrowser(t, "dr-rao")
	require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))
	h.authority.answer = map[string]any{"scope": []string{}}
	require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))
	rec, err := h.record(t, "dr-rao")
	require.NoError(t, err)
	require.Empty(t, rec.Token.Scopes)
}

func TestReconnectKeepsTheRefreshTokenOfTheSameAccount(t *testing.T) {
	t.Parallel()
	account := "acc-1"
	h := newHost(t, func(c *connect.Config) {
		c.Providers[0].Identify = func(context.Context, store.Token, string) (store.Account, error) {
			return store.Account{ID: account, Email: "rao@example.org"}, nil
		}
	})
	b := newBrowser(t, "dr-rao")
	require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))

	h.authority.answer = map[string]any{"refresh_token": nil, "access_token": "second"}
	require.Equal(t, "true", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("success"))
	rec, err := h.record(t, "dr-rao")
	require.NoError(t, err)
	require.Equal(t, "refresh-canary", rec.Token.Refresh.Reveal())
	require.Equal(t, "second", rec.Token.Access.Reveal())

	account = "acc-2" // another account's refresh token must not be kept
	require.Equal(t, "no_refresh_token", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("reason"))
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	old := newHost(t)
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, old, "/connect")
	rotated := newHost(t, func(c *connect.Config) {
		c.Providers, c.Tokens = []oauth.Provider{old.authority.provider("google")}, old.tokens
		c.Seal = ring("nextnextnextnextnextnextnextnext", "0123456789abcdef0123456789abcdef")
	})
	cookies := b.cookies()
	require.Equal(t, "true", b.callback(t, rotated, query).Query().Get("success"))

	withdrawn := newHost(t, func(c *connect.Config) { c.Seal = ring("nextnextnextnextnextnextnextnext") })
	_, _, err := withdrawn.finish("dr-rao", query, cookies...)
	require.EqualError(t, err, "connect: expired", "the old key opens nothing any more")
}

func TestManyFlowsDoNotFillTheHeader(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	for range 30 {
		b.begin(t, h, "/connect")
		require.LessOrEqual(t, headerSize(b), 3<<10)
	}
	require.GreaterOrEqual(t, len(b.cookies()), 2)

	// A link on a strange page can begin flows too, with the longest path.
	for range 30 {
		b.begin(t, h, "/connect?return_to=/"+strings.Repeat("%22", 500))
		require.LessOrEqual(t, headerSize(b), 3<<10)
	}
}

func headerSize(b *browser) (size int) {
	for _, cookie := range b.cookies() {
		size += len(cookie.String()) + len("; ")
	}
	return size
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) *host {
		var h *host
		h = newHost(t, func(c *connect.Config) {
			c.Providers[0].Revoke = func(ctx context.Context, token store.Token) error { return revoking(h).Revoke(ctx, token) }
		})
		for doctor, account := range map[string]string{"dr-rao": "acc-1", "dr-who": "acc-2"} {
			require.NoError(t, store.Set(t.Context(), h.tokens, h.AccountID(doctor), store.Token{
				Access: telemed.NewSecret("a"), Refresh: telemed.NewSecret("r-" + doctor), Account: store.Account{ID: account},
			}))
		}
		return h
	}

	t.Run("deletes and revokes", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		w := newBrowser(t, "dr-rao").do(h.Disconnect(), http.MethodPost, "/disconnect")
		require.JSONEq(t, `{"provider":"google","connected":false,"revoked":true}`, w.Body.String())
		require.Equal(t, []string{"r-dr-rao"}, h.authority.revoked)
		_, err := h.record(t, "dr-rao")
		require.ErrorIs(t, err, telemed.ErrNotFound)
		_, err = h.record(t, "dr-who")
		require.NoError(t, err)
	})

	t.Run("twice is fine", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		b := newBrowser(t, "dr-rao")
		for range 2 {
			require.Equal(t, http.StatusOK, b.do(h.Disconnect(), http.MethodPost, "/disconnect").Code)
		}
		require.Len(t, h.authority.revoked, 1)
	})

	t.Run("does not revoke an account that another doctor shares", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		require.NoError(t, store.Set(t.Context(), h.tokens, h.AccountID("dr-too"), store.Token{Account: store.Account{ID: "acc-1"}}))
		w := newBrowser(t, "dr-rao").do(h.Disconnect(), http.MethodPost, "/disconnect")
		require.JSONEq(t, `{"provider":"google","connected":false,"revoked":false}`, w.Body.String())
		require.Empty(t, h.authority.revoked)
	})

	t.Run("does not revoke what was reconnected meanwhile", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		id := h.AccountID("dr-rao")
		c, err := connect.New(connect.Config{
			Providers: []oauth.Provider{revoking(h)}, Tokens: h.tokens, Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
			OnDisconnect: func(ctx context.Context, _ store.AccountID) { // between deleting and revoking
				require.NoError(t, store.Set(ctx, h.tokens, id, store.Token{Refresh: telemed.NewSecret("new"), Account: store.Account{ID: "acc-1"}}))
			},
		})
		require.NoError(t, err)
		revoked, err := c.Forget(t.Context(), h.AccountID("dr-rao"))
		require.NoError(t, err)
		require.False(t, revoked)
		require.Empty(t, h.authority.revoked)
	})

	t.Run("revokes although the browser hung up", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		provider := revoking(h)
		c, err := connect.New(connect.Config{
			Providers: []oauth.Provider{provider}, Tokens: h.tokens, Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
			OnDisconnect: func(context.Context, store.AccountID) { cancel() },
		})
		require.NoError(t, err)
		revoked, err := c.Forget(ctx, h.AccountID("dr-rao"))
		require.NoError(t, err)
		require.True(t, revoked)
		require.Equal(t, []string{"r-dr-rao"}, h.authority.revoked)
	})

	t.Run("does not revoke what may be shared", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		c, err := connect.New(connect.Config{
			Providers: []oauth.Provider{revoking(h)}, Tokens: struct{ store.TokenStore }{h.tokens}, Seal: cookieKeys,
			ReturnURL: returnURL, Subject: doctor,
		})
		require.NoError(t, err)
		revoked, err := c.Forget(t.Context(), h.AccountID("dr-rao"))
		require.NoError(t, err)
		require.False(t, revoked)
	})

	t.Run("deletes even if revoking fails", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		h.authority.revokeErr = errors.New("503")
		w := newBrowser(t, "dr-rao").do(h.Disconnect(), http.MethodPost, "/disconnect")
		require.JSONEq(t, `{"provider":"google","connected":false,"revoked":false}`, w.Body.String())
		_, err := h.record(t, "dr-rao")
		require.ErrorIs(t, err, telemed.ErrNotFound)
		_, err = h.Forget(t.Context(), h.AccountID("dr-who"))
		require.ErrorContains(t, err, "forgotten, but not revoked")
	})

	t.Run("refuses other sites and methods", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		b := newBrowser(t, "dr-rao")
		require.Equal(t, http.StatusForbidden, b.do(h.Disconnect(), http.MethodPost, "/disconnect", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site").Code)
		require.Equal(t, http.StatusForbidden, b.do(h.Disconnect(), http.MethodPost, "/disconnect", "Origin", "https://evil.example").Code)
		require.Equal(t, http.StatusMethodNotAllowed, b.do(h.Disconnect(), http.MethodGet, "/disconnect").Code)
		_, err := h.record(t, "dr-rao")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, b.do(h.Disconnect(), http.MethodPost, "/disconnect", "Origin", "https://app.clinic.example", "Sec-Fetch-Site", "same-site").Code, "the host's own page may")
	})

	t.Run("a form goes back to the page", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		w := newBrowser(t, "dr-rao").do(h.Disconnect(), http.MethodPost, "/disconnect", "Accept", "text/html")
		require.Equal(t, returnURL, w.Header().Get("Location"))
	})

	t.Run("a store that fails changes nothing", func(t *testing.T) {
		t.Parallel()
		h := setup(t)
		c, err := connect.New(connect.Config{
			Providers: []oauth.Provider{h.authority.provider("google")}, Tokens: brokenStore{h.tokens}, Seal: cookieKeys,
			ReturnURL: returnURL, Subject: doctor,
		})
		require.NoError(t, err)
		b := newBrowser(t, "dr-rao")
		require.Equal(t, http.StatusServiceUnavailable, b.do(action(c, "google", "disconnect"), http.MethodPost, "/disconnect").Code)
		require.Equal(t, http.StatusServiceUnavailable, b.do(action(c, "google", "status"), http.MethodGet, "/status").Code)
		require.Empty(t, h.authority.revoked)
	})
}

// revoking is the application's provider, which notes what is revoked.
func revoking(h *host) oauth.Provider {
	provider := h.authority.provider("google")
	provider.Revoke = func(ctx context.Context, token store.Token) error {
		h.authority.revoked = append(h.authority.revoked, token.Refresh.Reveal())
		return errors.Join(ctx.Err(), h.authority.revokeErr)
	}
	return provider
}

type brokenStore struct{ *store.Memory }

func (brokenStore) Get(context.Context, store.AccountID) (store.Record, error) {
	return store.Record{}, errors.New("connection refused")
}

func TestCallbackWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(c *connect.Config) { c.Tokens = brokenStore{store.NewMemory()} })
	b := newBrowser(t, "dr-rao")
	require.Equal(t, "not_stored", b.callback(t, h, b.begin(t, h, "/connect")).Query().Get("reason"))
}

func TestABrowserThatHangsUpStillConnects(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, h, "/connect")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, origin+"/callback?"+query.Encode(), nil)
	r.Header.Set("Doctor", "dr-rao")
	r.AddCookie(b.cookies()[0])
	_, err := h.Finish(httptest.NewRecorder(), r)
	require.NoError(t, err, "the code is spent: the token must not be lost")
	_, err = h.record(t, "dr-rao")
	require.NoError(t, err)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	b := newBrowser(t, "dr-rao")
	status := func() string { return b.do(h.Status(), http.MethodGet, "/status").Body.String() }
	require.JSONEq(t, `{"provider":"google","connected":false,"needs_reconnect":false}`, status())

	_, err := h.tokens.Put(t.Context(), store.Record{
		ID: h.AccountID("dr-rao"), Status: store.StatusReconnect, Reason: "the provider rejected the refresh token",
		Token: store.Token{Access: telemed.NewSecret("canary"), Account: store.Account{ID: "1", Email: "rao@example.org"}, Scopes: []string{"profile"}},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"provider":"google","connected":true,"needs_reconnect":true,"reason":"the provider rejected the refresh token",
		"email":"rao@example.org","missing_scopes":["meetings"]}`, status())
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := connect.New(connect.Config{ReturnURL: "http://app.clinic.example/"})
	require.EqualError(t, err, "connect: Providers are required\n"+
		"connect: Tokens is required; Subject is required; Seal is required; ReturnURL is not an https address (http is for loopback only)")
	_, err = connect.New(connect.Config{Providers: make([]oauth.Provider, 2)})
	for _, field := range []string{"Providers[0].ClientID", "Providers[1].ClientSecret", "Providers[1].AuthStyle", "Tokens", "ReturnURL"} {
		require.ErrorContains(t, err, field+" ")
	}
	require.ErrorIs(t, err, telemed.ErrInvalid)

	a := newAuthority(t)
	cfg := connect.Config{Providers: []oauth.Provider{a.provider("zoom")}, Tokens: store.NewMemory(), Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor}
	cfg.Providers[0].RedirectURL = "http://localhost:3001/api/auth/zoom/doctor/callback"
	c, err := connect.New(cfg)
	require.NoError(t, err, "plain http is for this machine, and needs no word")
	w := newBrowser(t, "dr-rao").do(action(c, "zoom", "connect"), http.MethodGet, "/connect")
	require.True(t, strings.HasPrefix(w.Result().Cookies()[0].Name, "telemed_zoom_"))
	require.False(t, w.Result().Cookies()[0].Secure)
	cfg.Providers[0].RedirectURL = "http://clinic.example/callback"
	_, err = connect.New(cfg)
	require.ErrorContains(t, err, "RedirectURL", "plain http is for loopback only")
}

func TestLogsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := newHost(t, func(c *connect.Config) { c.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	h.authority.answer = map[string]any{"scope": "profile"}
	b := newBrowser(t, "dr-canary")
	query := b.begin(t, h, "/connect")
	b.callback(t, h, query)
	require.Contains(t, out.String(), "scope_missing")
	require.NotContains(t, out.String(), "level=WARN", "doctors may do that")
	h.authority.answer = map[string]any{"refresh_token": ""}
	b.callback(t, h, b.begin(t, h, "/connect"))
	require.Contains(t, out.String(), "level=WARN msg=\"connect: flow failed\" provider=google reason=no_refresh_token")
	for _, secret := range []string{"canary", query.Get("state"), query.Get("code"), "s3cr3t"} {
		require.NotContains(t, out.String(), secret)
	}
}

// badSession is an application's error that names a person.
type badSession struct{ who string }

func (e badSession) Error() string { return "the session of " + e.who + " has ended" }

// What the application says of a session is not ours to print. It finds its error again.
func TestErrorsOfSubjectAreNotLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ended := false
	h := newHost(t, func(c *connect.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Subject = func(r *http.Request) (string, error) {
			if ended {
				return "", badSession{"Asha Canary"}
			}
			return doctor(r)
		}
	})
	b := newBrowser(t, "dr-rao")
	query := b.begin(t, h, "/connect")
	ended = true
	require.Equal(t, "login_required", b.callback(t, h, query).Query().Get("reason"))
	for method, handler := range map[string]http.Handler{http.MethodGet: h.Start(), http.MethodHead: h.Status(), http.MethodPost: h.Disconnect()} {
		require.Equal(t, http.StatusUnauthorized, b.do(handler, method, "/connect").Code)
	}
	_, err := h.Begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil), "")
	require.ErrorAs(t, err, new(badSession))
	require.Contains(t, out.String(), "connect_test.badSession", "which error it was")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", err, err, err, out.String()), "Canary")
}

// Two processes share what they know of flows through their database.
func TestReplayInAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, share := range map[string]func(*connect.Config, *store.Memory){
		"Claims": func(c *connect.Config, m *store.Memory) { c.Claims = m },
		"Tokens": func(c *connect.Config, m *store.Memory) { c.Tokens = m },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := store.NewMemory()
			here := newHost(t, func(c *connect.Config) { share(c, shared) })
			there := newHost(t, func(c *connect.Config) { share(c, shared) })
			b := newBrowser(t, "dr-rao")
			query := b.begin(t, here, "/connect")
			stolen := b.cookies()[0]
			b.callback(t, here, query)
			u, _ := url.Parse(origin)
			b.jar.SetCookies(u, []*http.Cookie{{Name: stolen.Name, Value: stolen.Value, Path: "/", Secure: true}})
			require.Equal(t, "expired", b.callback(t, there, query).Query().Get("reason"))
			require.Zero(t, there.authority.exchanges)
		})
	}
}
