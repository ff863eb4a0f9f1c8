package connect_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

const pattern = "/api/auth/{provider}/doctor/{action}"

// twoProviders is an application with Google and Zoom, at the seed's routes.
func twoProviders(t *testing.T, change ...func(*connect.Config)) (*host, http.Handler) {
	t.Helper()
	h := &host{provider: "google", tokens: store.NewMemory(), authority: newAuthority(t)}
	cfg := connect.Config{
		Providers: []oauth.Provider{h.authority.provider("google"), h.authority.provider("zoom")},
		Tokens:    h.tokens, Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor,
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	h.Connector, err = connect.New(cfg)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(pattern, h.Connector)
	return h, mux
}

// TestEveryProvider goes through all steps at each, beside each other.
func TestEveryProvider(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h, mux := twoProviders(t, func(c *connect.Config) { c.Logger = slog.New(slog.NewTextHandler(&out, nil)) })
	b := newBrowser(t, "dr-rao")
	at := func(provider, action string) string { return "/api/auth/" + provider + "/doctor/" + action }
	for _, provider := range []string{"google", "zoom"} {
		w := b.do(mux, http.MethodGet, at(provider, "connect"))
		require.Equal(t, http.StatusSeeOther, w.Code)
		query := h.authority.consent(t, w.Header().Get("Location"))
		w = b.do(mux, http.MethodGet, at(provider, "callback")+"?"+query.Encode())
		require.Equal(t, returnURL+"?provider="+provider+"&success=true", w.Header().Get("Location"))
	}
	for _, provider := range []string{"google", "zoom"} {
		require.Contains(t, b.do(mux, http.MethodGet, at(provider, "status")).Body.String(), `"connected":true`)
		w := b.do(mux, http.MethodPost, at(provider, "disconnect"))
		require.JSONEq(t, `{"provider":"`+provider+`","connected":false,"revoked":false}`, w.Body.String())
		require.Contains(t, b.do(mux, http.MethodGet, at(provider, "status")).Body.String(), `"connected":false`)
	}
	require.Empty(t, out.String())
}

// TestCodeOfTheOtherProvider: a provider that is an attacker's sends the browser back to the
// callback of another one (RFC 9700 §4.4). The code does not get there.
func TestCodeOfTheOtherProvider(t *testing.T) {
	t.Parallel()
	h, mux := twoProviders(t)
	b := newBrowser(t, "dr-rao")
	query := h.authority.consent(t, b.do(mux, http.MethodGet, "/api/auth/zoom/doctor/connect").Header().Get("Location"))
	w := b.do(mux, http.MethodGet, "/api/auth/google/doctor/callback?"+query.Encode())
	require.Contains(t, w.Header().Get("Location"), "reason=expired")
	require.Zero(t, h.authority.exchanges)
}

func TestNoSuchRoute(t *testing.T) {
	t.Parallel()
	h, mux := twoProviders(t)
	b := newBrowser(t, "dr-rao")
	for _, path := range []string{"/x/doctor/connect", "/Google/doctor/connect", "/google/doctor/forget", "/google/doctor/events", "/google/doctor/Connect"} {
		require.Equal(t, http.StatusNotFound, b.do(mux, http.MethodPost, "/api/auth"+path).Code, path)
	}
	require.Equal(t, http.StatusNotFound, b.do(h.Connector, http.MethodGet, "/connect").Code, "a pattern without the two values")

	_, beginErr := h.Connector.Begin(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil), "x", "")
	_, finishErr := h.Connector.Finish(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), "x")
	_, forgetErr := h.Forget(t.Context(), store.AccountID{Provider: "x", Subject: "dr-rao"})
	_, stateErr := h.State(t.Context(), store.AccountID{Provider: "x", Subject: "dr-rao"})
	for _, err := range []error{beginErr, finishErr, forgetErr, stateErr} {
		require.EqualError(t, err, "connect: provider is none of Providers")
		require.ErrorIs(t, err, telemed.ErrInvalid)
	}
}

func TestProvidersBesideEachOther(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	google, zoom := a.provider("google"), a.provider("zoom")
	zoom.RedirectURL = google.RedirectURL
	cfg := connect.Config{Tokens: store.NewMemory(), Seal: cookieKeys, ReturnURL: returnURL, Subject: doctor}
	cfg.Providers = []oauth.Provider{google, zoom}
	_, err := connect.New(cfg)
	require.EqualError(t, err, "connect: Providers[1].RedirectURL is another provider's")
	zoom.Name, zoom.RedirectURL = "google", "https://api.clinic.example/api/auth/zoom/doctor/callback"
	cfg.Providers = []oauth.Provider{google, zoom}
	_, err = connect.New(cfg)
	require.EqualError(t, err, "connect: Providers[1].Name is there twice")
}

// TestRedirectURLThatLeadsElsewhere tells whoever reads logs before a doctor finds out.
func TestRedirectURLThatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	for redirect, warned := range map[string]bool{
		"https://api.clinic.example/api/auth/google/doctor/callback": false,
		// A proxy strips the prefix.
		"https://api.clinic.example/backend/api/auth/google/doctor/callback": false,
		"https://api.clinic.example/api/auth/zoom/doctor/callback":           true,
		"https://api.clinic.example/api/auth/google/doctor/connect":          true,
		"https://api.clinic.example/callback":                                true,
	} {
		var out bytes.Buffer
		_, mux := twoProviders(t, func(c *connect.Config) {
			c.Providers = c.Providers[:1]
			c.Providers[0].RedirectURL = redirect
			c.Logger = slog.New(slog.NewTextHandler(&out, nil))
		})
		w := newBrowser(t, "dr-rao").do(mux, http.MethodGet, "/api/auth/google/doctor/connect")
		require.Equal(t, http.StatusSeeOther, w.Code)
		require.Equal(t, warned, strings.Contains(out.String(), "RedirectURL is not the callback of this route"), "%s: %s", redirect, &out)
	}
}

// TestManyFlowsAtManyProviders: the header of one browser is one, and cookies that are not
// ours are left alone.
func TestManyFlowsAtManyProviders(t *testing.T) {
	t.Parallel()
	_, mux := twoProviders(t)
	b := newBrowser(t, "dr-rao")
	session := &http.Cookie{Name: "__Host-telemed_session", Value: "dr-rao", Path: "/", Secure: true}
	r := httptest.NewRequest(http.MethodGet, origin+"/", nil)
	b.jar.SetCookies(r.URL, []*http.Cookie{session})
	for range 15 {
		for _, provider := range []string{"google", "zoom"} {
			require.Equal(t, http.StatusSeeOther, b.do(mux, http.MethodGet, "/api/auth/"+provider+"/doctor/connect").Code)
			require.LessOrEqual(t, headerSize(b), 3<<10+100)
		}
	}
	names := ""
	for _, cookie := range b.cookies() {
		names += cookie.Name + " "
	}
	require.Contains(t, names, session.Name)
}

// TestWhatTheSameKeysSealed is no flow: they seal tokens and claims too.
func TestWhatTheSameKeysSealed(t *testing.T) {
	t.Parallel()
	stolen := &replacing{AEAD: cookieKeys}
	h := newHost(t, func(c *connect.Config) { c.Seal = stolen })
	b := newBrowser(t, "dr-rao")
	stolen.data = []byte("telemed store claim")
	query := b.begin(t, h, "/connect")
	require.Equal(t, "expired", b.callback(t, h, query).Query().Get("reason"))
	require.Zero(t, h.authority.exchanges)
}

// replacing seals for another purpose.
type replacing struct {
	store.AEAD
	data []byte
}

func (r *replacing) Encrypt(plaintext, _ []byte) ([]byte, error) {
	return r.AEAD.Encrypt(plaintext, r.data)
}

// brokenSeal is a key management service that is away.
type brokenSeal struct{}

func (brokenSeal) Encrypt([]byte, []byte) ([]byte, error) { return nil, errors.New("away") }
func (brokenSeal) Decrypt([]byte, []byte) ([]byte, error) { return nil, errors.New("away") }

func TestASealThatFails(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := newHost(t, func(c *connect.Config) { c.Seal, c.Logger = brokenSeal{}, slog.New(slog.NewTextHandler(&out, nil)) })
	w := newBrowser(t, "dr-rao").do(h.Start(), http.MethodGet, "/connect")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Body.String(), "away")
	require.Contains(t, out.String(), "flow cannot be sealed: away")
	require.Empty(t, w.Result().Cookies())
}

// TestEvents has a doctor remove the app at Zoom, of which Zoom gives notice.
func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := zoomtest.NewServer(t, zoomtest.Config{InMemory: true})
		claims := store.NewMemory()
		w := &ward{tokens: store.NewMemory()}
		var err error
		w.zoom, err = zoom.New(zoom.Config{
			ClientID: fake.ClientID(), ClientSecret: fake.ClientSecret(), Endpoints: fake.Endpoints(), HTTPClient: fake.Client(),
			RedirectURL: "https://api.clinic.example/api/auth/zoom/doctor/callback", Tokens: w.tokens,
			WebhookSecrets: []telemed.Secret{fake.WebhookSecret()},
		})
		require.NoError(t, err)
		var gone []store.AccountID
		w.Connector, err = connect.New(connect.Config{
			Providers: []oauth.Provider{w.zoom.OAuth()}, Tokens: w.tokens, Claims: claims, Seal: cookieKeys, ReturnURL: returnURL,
			Subject: doctor, OnDisconnect: func(_ context.Context, id store.AccountID) { gone = append(gone, id) },
		})
		require.NoError(t, err)
		user := zoomtest.DefaultUser().ID
		require.NoError(t, store.Set(t.Context(), w.tokens, dr, store.Token{Refresh: telemed.NewSecret("r"), Account: store.Account{ID: user}}))
		fake.Uninstall(user)
		body := []byte(`{"event":"app_deauthorized","payload":{"user_id":"` + user + `","client_id":"` + fake.ClientID() +
			`","deauthorization_time":"2040-01-01T00:00:00Z"}}`)
		post := func(method string, change func(http.Header)) int {
			r := httptest.NewRequest(method, "/api/auth/zoom/doctor/events", bytes.NewReader(body))
			r.Header = fake.Sign(time.Now(), body)
			change(r.Header)
			rec := httptest.NewRecorder()
			mux := http.NewServeMux()
			mux.Handle(pattern, w.Connector)
			mux.ServeHTTP(rec, r)
			return rec.Code
		}
		require.Equal(t, http.StatusUnauthorized, post(http.MethodPost, func(h http.Header) { h.Del("X-Zm-Signature") }))
		require.Empty(t, gone)
		for range 2 { // Zoom sends it again
			require.Equal(t, http.StatusOK, post(http.MethodPost, func(http.Header) {}))
		}
		require.Equal(t, []store.AccountID{dr}, gone)
		_, err = w.tokens.Get(t.Context(), dr)
		require.ErrorIs(t, err, telemed.ErrNotFound)
		require.Equal(t, http.StatusMethodNotAllowed, post(http.MethodGet, func(http.Header) {}))

		// A webhook of the application's own that gets the same notice handles it too.
		handled := 0
		own, err := zoom.NewWebhook(zoom.WebhookConfig{
			Secrets: []telemed.Secret{fake.WebhookSecret()}, Claims: claims,
			Handle: func(context.Context, zoom.Event) error { handled++; return nil },
		})
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodPost, "/webhooks/zoom", bytes.NewReader(body))
		r.Header = fake.Sign(time.Now(), body)
		own.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, 1, handled)

		require.NoError(t, w.zoom.Shutdown(t.Context()))
		require.NoError(t, own.Shutdown(t.Context()))
		require.Equal(t, http.StatusServiceUnavailable, post(http.MethodPost, func(http.Header) {}))
	})
}
