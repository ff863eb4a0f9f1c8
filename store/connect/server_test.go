package connect_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/internal/leaktest"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/connect"
	"github.com/telemed-go/telemed/store/oauth"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// authority is an OAuth server: consent gives a code that is bound to the PKCE
// challenge and can be spent once.
type authority struct {
	*httptest.Server

	mu         sync.Mutex
	challenges map[string]string // by code
	answer     map[string]any    // over the default token answer; nil values are left out
	status     int               // of the token endpoint, if not 0
	exchanges  int
	revoked    []string
	revokeErr  error
}

func newAuthority(t *testing.T) *authority {
	a := &authority{challenges: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", a.token)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(a.Close)
	return a
}

// consent is what a doctor does who clicks Allow: it returns the callback's query.
func (a *authority) consent(t *testing.T, authURL string) url.Values {
	t.Helper()
	u, err := url.Parse(authURL)
	require.NoError(t, err)
	query := u.Query()
	require.Equal(t, "S256", query.Get("code_challenge_method"))
	a.mu.Lock()
	defer a.mu.Unlock()
	code := "code-" + query.Get("code_challenge")[:8]
	a.challenges[code] = query.Get("code_challenge")
	return url.Values{"state": {query.Get("state")}, "code": {code}}
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.exchanges++
	w.Header().Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	code := r.PostFormValue("code")
	switch {
	case a.status != 0:
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
		return
	case a.challenges[code] == "" || a.challenges[code] != base64.RawURLEncoding.EncodeToString(sum[:]):
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	delete(a.challenges, code)
	answer := map[string]any{
		"access_token": "access-canary", "refresh_token": "refresh-canary", "token_type": "bearer",
		"expires_in": 3600, "scope": "meetings profile",
	}
	maps.Copy(answer, a.answer)
	maps.DeleteFunc(answer, func(_ string, v any) bool { return v == nil })
	_ = json.NewEncoder(w).Encode(answer)
}

func (a *authority) provider(name string) oauth.Provider {
	return oauth.Provider{
		Name: name, ClientID: "client", ClientSecret: telemed.NewSecret("s3cr3t"),
		RedirectURL: "https://api.clinic.example/api/auth/" + name + "/doctor/callback",
		AuthURL:     a.URL + "/authorize", TokenURL: a.URL + "/token", AuthStyle: oauth2.AuthStyleInParams,
		Scopes: []string{"meetings"}, Issuer: "https://issuer.example",
	}
}

// host is a hospital's server with a connector at one provider, and a store.
type host struct {
	*connect.Connector
	provider  string
	tokens    *store.Memory
	authority *authority
}

// action is a handler of the connector, as a pattern with its two values has it.
func action(c *connect.Connector, provider, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("provider", provider)
		r.SetPathValue("action", name)
		c.ServeHTTP(w, r)
	})
}

func (h *host) Start() http.Handler      { return action(h.Connector, h.provider, "connect") }
func (h *host) Callback() http.Handler   { return action(h.Connector, h.provider, "callback") }
func (h *host) Status() http.Handler     { return action(h.Connector, h.provider, "status") }
func (h *host) Disconnect() http.Handler { return action(h.Connector, h.provider, "disconnect") }

func (h *host) AccountID(doctor string) store.AccountID {
	return store.AccountID{Provider: h.provider, Subject: doctor}
}

func (h *host) Begin(w http.ResponseWriter, r *http.Request, returnTo string) (string, error) {
	return h.Connector.Begin(w, r, h.provider, returnTo)
}

func (h *host) Finish(w http.ResponseWriter, r *http.Request) (connect.Result, error) {
	return h.Connector.Finish(w, r, h.provider)
}

var cookieKeys = ring("0123456789abcdef0123456789abcdef")

// ring is a keyring of keys of 32 letters.
func ring(keys ...string) *store.Keyring {
	var secrets []telemed.Secret
	for _, key := range keys {
		secrets = append(secrets, telemed.NewSecret(base64.StdEncoding.EncodeToString([]byte(key))))
	}
	keyring, err := store.NewKeyring(secrets...)
	if err != nil {
		panic(err)
	}
	return keyring
}

const returnURL = "https://app.clinic.example/doctor/settings/integration"

// newHost returns an application whose logged-in doctor is named by the header Doctor.
func newHost(t *testing.T, change ...func(*connect.Config)) *host {
	t.Helper()
	h := &host{tokens: store.NewMemory(), authority: newAuthority(t)}
	cfg := connect.Config{
		Providers: []oauth.Provider{h.authority.provider("google")}, Tokens: h.tokens, Seal: cookieKeys,
		ReturnURL: returnURL, Subject: doctor,
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := connect.New(cfg)
	require.NoError(t, err)
	h.Connector, h.provider = c, cfg.Providers[0].Name
	return h
}

func doctor(r *http.Request) (string, error) {
	if r.Header.Get("Doctor") == "" {
		return "", errors.New("no session")
	}
	return r.Header.Get("Doctor"), nil
}

// browser keeps cookies as a browser does, and talks to handlers without a network.
type browser struct {
	jar    *cookiejar.Jar
	doctor string
}

func newBrowser(t *testing.T, doctor string) *browser {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{jar: jar, doctor: doctor}
}

const origin = "https://api.clinic.example"

func (b *browser) do(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, origin+path, nil)
	if b.doctor != "" {
		r.Header.Set("Doctor", b.doctor)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for _, cookie := range b.jar.Cookies(r.URL) {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b.jar.SetCookies(r.URL, w.Result().Cookies())
	return w
}

func (b *browser) cookies() []*http.Cookie {
	u, _ := url.Parse(origin + "/")
	return b.jar.Cookies(u)
}

// begin starts a flow and consents to it.
func (b *browser) begin(t *testing.T, h *host, path string) url.Values {
	t.Helper()
	w := b.do(h.Start(), http.MethodGet, path)
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	return h.authority.consent(t, w.Header().Get("Location"))
}

// callback returns where the flow ends.
func (b *browser) callback(t *testing.T, h *host, query url.Values) *url.URL {
	t.Helper()
	w := b.do(h.Callback(), http.MethodGet, "/callback?"+query.Encode())
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
	end, err := url.Parse(w.Header().Get("Location"))
	require.NoError(t, err)
	return end
}

func (h *host) record(t *testing.T, doctor string) (store.Record, error) {
	return h.tokens.Get(t.Context(), h.AccountID(doctor))
}
