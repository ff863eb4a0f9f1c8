package oauth_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/telemed-go/telemed"
	"github.com/telemed-go/telemed/store"
	"github.com/telemed-go/telemed/store/oauth"
)

// endpoint is a token endpoint that records what it got.
type endpoint struct {
	*httptest.Server
	mu    sync.Mutex
	forms []url.Values
	auth  []string
}

func newEndpoint(t *testing.T, answer http.HandlerFunc) *endpoint {
	e := &endpoint{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		e.mu.Lock()
		e.forms = append(e.forms, form)
		e.auth = append(e.auth, r.Header.Get("Authorization"))
		e.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) posted() []url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.forms)
}

func (e *endpoint) provider(style oauth2.AuthStyle) oauth.Provider {
	return oauth.Provider{
		Name: "zoom", ClientID: "client+id", ClientSecret: telemed.NewSecret("canary-secret"), RedirectURL: "https://clinic.example/callback",
		AuthURL: e.URL + "/authorize", TokenURL: e.URL + "/token?canary-query=1", AuthStyle: style, Scopes: []string{"meeting"},
		ExtraFields: []string{"api_url", "number"}, HTTPClient: e.Client(),
	}
}

func reply(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "500")
	_, _ = io.WriteString(w, `{"access_token":"canary-new","refresh_token":"canary-`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

const jsonType = "application/json;charset=UTF-8"

// TestTokenRequestsThatFail has every answer that a token endpoint was seen to give, or
// may.
func TestTokenRequestsThatFail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   error
		text   string
	}{
		"HTML with 200":           {reply(200, "text/html", "<html>canary</html>"), telemed.ErrAmbiguous, "outcome unknown: the answer was cut or is no token"},
		"text with 200":           {reply(200, "text/plain", "canary %zz"), telemed.ErrAmbiguous, "outcome unknown: the answer was cut or is no token"},
		"empty with 200":          {reply(200, jsonType, ""), telemed.ErrAmbiguous, "outcome unknown: the answer was cut or is no token"},
		"no token with 200":       {reply(200, jsonType, `{"refresh_token":"canary"}`), telemed.ErrAmbiguous, "outcome unknown: the answer was cut or is no token"},
		"error with 200":          {reply(200, jsonType, `{"error":"invalid_grant"}`), oauth.ErrRejected, "200 (invalid_grant): grant was rejected"},
		"cut":                     {cut, telemed.ErrAmbiguous, "200: outcome unknown: answer was cut off: unexpected EOF"},
		"hung up":                 {hangUp, telemed.ErrAmbiguous, "outcome unknown: EOF"},
		"503":                     {reply(503, "text/html", "canary"), telemed.ErrAmbiguous, "503: outcome unknown"},
		"502 in XML":              {reply(502, "application/xml", "<error>canary</error>"), telemed.ErrAmbiguous, "502: outcome unknown"},
		"504 with invalid_grant":  {reply(504, jsonType, `{"error":"invalid_grant"}`), telemed.ErrAmbiguous, "504 (invalid_grant): outcome unknown"},
		"500 with invalid_client": {reply(500, jsonType, `{"error":"invalid_client"}`), telemed.ErrAmbiguous, "500 (invalid_client): outcome unknown"},
		"408":                     {reply(408, jsonType, ``), telemed.ErrAmbiguous, "408: outcome unknown"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/canary", http.StatusTemporaryRedirect)
		}, telemed.ErrAmbiguous, "307: outcome unknown"},
		"429":                     {reply(429, jsonType, `{"error":"invalid_grant"}`), telemed.ErrRateLimited, "429 (invalid_grant): rate limited"},
		"invalid_grant":           {reply(400, jsonType, `{"error":"invalid_grant","error_description":"canary"}`), oauth.ErrRejected, "400 (invalid_grant): grant was rejected"},
		"Zoom's dead token":       {reply(400, jsonType, `{"reason":"Invalid Token! canary","error":"invalid_grant"}`), oauth.ErrRejected, "400 (invalid_grant): grant was rejected"},
		"Zoom's dead token, 2021": {reply(401, jsonType, `{"reason":"Invalid Token!","error":"invalid_grant"}`), oauth.ErrRejected, "401 (invalid_grant): grant was rejected"},
		"Zoom's wrong client":     {reply(400, jsonType, `{"reason":"Invalid client_id or client_secret","error":"invalid_client"}`), telemed.ErrUnauthorized, "400 (invalid_client): credentials refused"},
		"Google's wrong client":   {reply(401, jsonType, `{"error":"invalid_client","error_description":"The OAuth client was not found."}`), telemed.ErrUnauthorized, "401 (invalid_client): credentials refused"},
		"unauthorized_client":     {reply(400, jsonType, `{"error":"unauthorized_client"}`), telemed.ErrUnauthorized, "400 (unauthorized_client): credentials refused"},
		"403 of a firewall":       {reply(403, "text/html", "canary"), telemed.ErrAmbiguous, "403: outcome unknown"},
		"400 in HTML":             {reply(400, "text/html", "canary"), telemed.ErrAmbiguous, "400: outcome unknown"},
		"a code of its own":       {reply(400, jsonType, `{"error":"canary 4711 https://x"}`), telemed.ErrInvalid, "400: invalid request"},
		"form":                    {reply(400, "application/x-www-form-urlencoded", "error=invalid_grant&error_description=canary"), oauth.ErrRejected, "400 (invalid_grant): grant was rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for style, prefix := range map[oauth2.AuthStyle]string{oauth2.AuthStyleInHeader: "zoom: Refresh: ", oauth2.AuthStyleInParams: "zoom: Exchange: "} {
				e := newEndpoint(t, test.answer)
				var err error
				if style == oauth2.AuthStyleInHeader {
					_, err = e.provider(style).Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("canary-refresh")})
				} else {
					_, err = e.provider(style).Exchange(t.Context(), "canary-code", "canary-verifier")
				}
				require.ErrorIs(t, err, test.kind)
				require.Equal(t, prefix+test.text, err.Error())
				require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "canary")
				require.Len(t, e.posted(), 1, "a token or a code is sent once, whatever the answer")
			}
		})
	}
}

func TestTokenRequestWithoutAnswer(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		e := newEndpoint(t, hangUp)
		e.Close()
		_, err := e.provider(oauth2.AuthStyleInHeader).Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("canary")})
		require.ErrorIs(t, err, telemed.ErrUnavailable, "it was not sent")
		require.NotErrorIs(t, err, telemed.ErrAmbiguous)
		require.NotContains(t, err.Error(), "canary")
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		release := make(chan struct{})
		e := newEndpoint(t, func(http.ResponseWriter, *http.Request) { cancel(); <-release })
		defer close(release)
		_, err := e.provider(oauth2.AuthStyleInHeader).Refresh(ctx, store.Token{Refresh: telemed.NewSecret("canary")})
		require.ErrorIs(t, err, telemed.ErrAmbiguous)
		require.ErrorIs(t, err, context.Canceled)
		require.NotContains(t, err.Error(), "canary")
		require.Len(t, e.posted(), 1)
	})
	t.Run("with an unsettled style", func(t *testing.T) {
		t.Parallel()
		e := newEndpoint(t, hangUp)
		_, err := e.provider(oauth2.AuthStyleAutoDetect).Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("canary")})
		require.ErrorIs(t, err, telemed.ErrInvalid)
		_, err = e.provider(oauth2.AuthStyleAutoDetect).Exchange(t.Context(), "code", "verifier")
		require.ErrorIs(t, err, telemed.ErrInvalid)
		require.Empty(t, e.posted(), "guessing would send it twice")
	})
	t.Run("nothing to refresh with", func(t *testing.T) {
		t.Parallel()
		e := newEndpoint(t, hangUp)
		_, err := e.provider(oauth2.AuthStyleInHeader).Refresh(t.Context(), store.Token{})
		require.ErrorIs(t, err, oauth.ErrRejected)
		require.Empty(t, e.posted())
	})
}

func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(429)
	})
	_, err := e.provider(oauth2.AuthStyleInHeader).Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("r")})
	failure, ok := errors.AsType[*oauth.Error](err)
	require.True(t, ok)
	require.Equal(t, 7*time.Second, failure.RetryAfter)
	require.Equal(t, 429, failure.Status)
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	old := store.Token{
		Access: telemed.NewSecret("a1"), Refresh: telemed.NewSecret("r1"), Scopes: []string{"meeting", "user"},
		Account: store.Account{ID: "acc"}, Extra: map[string]string{"api_url": "https://api-in.zoom.us", "kept": "yes"},
	}
	for name, test := range map[string]struct {
		contentType, body string
		refresh           string
		scopes            []string
		api               string
		life              time.Duration
	}{
		"Zoom": {
			jsonType, `{"access_token":"a2","token_type":"bearer","refresh_token":"r2","expires_in":3599,"scope":"meeting","api_url":"https://api-eu.zoom.us","number":5}`,
			"r2", []string{"meeting"}, "https://api-eu.zoom.us", 3599 * time.Second,
		},
		"Google":                 {jsonType, `{"access_token":"a2","expires_in":3599,"token_type":"Bearer"}`, "r1", old.Scopes, "https://api-in.zoom.us", 3599 * time.Second},
		"no life":                {jsonType, `{"access_token":"a2"}`, "r1", old.Scopes, "https://api-in.zoom.us", time.Hour},
		"JSON that claims text":  {"text/plain; charset=utf-8", `{"access_token":"a2","refresh_token":"r2","expires_in":60}`, "r2", old.Scopes, "https://api-in.zoom.us", time.Minute},
		"form that says so":      {"application/x-www-form-urlencoded", `access_token=a2&refresh_token=r2&expires_in=60`, "r2", old.Scopes, "https://api-in.zoom.us", time.Minute},
		"form that claims text":  {"text/plain", `access_token=a2&refresh_token=r2&expires_in=60`, "r2", old.Scopes, "https://api-in.zoom.us", time.Minute},
		"JSON without any type":  {"", `{"access_token":"a2","refresh_token":"r2","expires_in":"60"}`, "r2", old.Scopes, "https://api-in.zoom.us", time.Minute},
		"JSON that claims HTML":  {"text/html", `{"access_token":"a2","refresh_token":"r2","expires_in":60}`, "r2", old.Scopes, "https://api-in.zoom.us", time.Minute},
		"a life without meaning": {jsonType, `{"access_token":"a2","expires_in":-5}`, "r1", old.Scopes, "https://api-in.zoom.us", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, reply(200, test.contentType, test.body))
			token, err := e.provider(oauth2.AuthStyleInHeader).Refresh(t.Context(), old)
			require.NoError(t, err)
			require.Equal(t, "a2", token.Access.Reveal())
			require.Equal(t, test.refresh, token.Refresh.Reveal())
			require.Equal(t, test.scopes, token.Scopes)
			require.Equal(t, "acc", token.Account.ID)
			require.Equal(t, map[string]string{"api_url": test.api, "kept": "yes"}, token.Extra)
			require.WithinDuration(t, time.Now().Add(test.life), token.Expiry, 10*time.Second)
			require.Equal(t, token.Expiry, token.Expiry.Truncate(time.Millisecond))

			require.Len(t, e.posted(), 1)
			require.Equal(t, "r1", e.posted()[0].Get("refresh_token"))
			require.Empty(t, e.posted()[0].Get("client_secret"))
			e.mu.Lock()
			defer e.mu.Unlock()
			require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("client%2Bid:canary-secret")), e.auth[0])
		})
	}
}

func TestExchange(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, reply(200, jsonType, `{"access_token":"a","refresh_token":"r","expires_in":60,"scope":"b a","id_token":"jwt"}`))
	p := e.provider(oauth2.AuthStyleInParams)
	p.Identify = func(_ context.Context, token store.Token, idToken string) (store.Account, error) {
		require.Equal(t, "a", token.Access.Reveal())
		require.Equal(t, "jwt", idToken)
		return store.Account{ID: "sub"}, nil
	}
	token, err := p.Exchange(t.Context(), "code", "verifier")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, token.Scopes)
	require.Equal(t, "sub", token.Account.ID)
	require.Equal(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {"code"}, "code_verifier": {"verifier"}, "redirect_uri": {p.RedirectURL},
		"client_id": {"client+id"}, "client_secret": {"canary-secret"},
	}, e.posted()[0])

	p.Identify = func(context.Context, store.Token, string) (store.Account, error) { return store.Account{}, io.EOF }
	_, err = p.Exchange(t.Context(), "code", "verifier")
	require.ErrorIs(t, err, io.EOF)
	require.EqualError(t, err, "zoom: Identify: EOF")
}

func TestAuthCodeURL(t *testing.T) {
	t.Parallel()
	p := newEndpoint(t, hangUp).provider(oauth2.AuthStyleInHeader)
	p.AuthParams = map[string]string{"access_type": "offline"}
	u, err := url.Parse(p.AuthCodeURL("state", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
	require.NoError(t, err)
	require.Equal(t, url.Values{
		"response_type": {"code"}, "client_id": {"client+id"}, "redirect_uri": {p.RedirectURL}, "scope": {"meeting"}, "state": {"state"},
		"access_type": {"offline"}, "code_challenge_method": {"S256"}, "code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}, u.Query())
}

func TestProviderValidate(t *testing.T) {
	t.Parallel()
	err := oauth.Provider{}.Validate()
	var fields []string
	for _, field := range telemed.Fields(err) {
		fields = append(fields, field.Field)
	}
	require.Equal(t, []string{"Name", "ClientID", "ClientSecret", "RedirectURL", "AuthURL", "TokenURL", "AuthStyle"}, fields)

	p := newEndpoint(t, hangUp).provider(oauth2.AuthStyleInHeader)
	require.NoError(t, p.Validate())
	require.Equal(t, []string{"meeting"}, p.RequiredScopes())
	p.Required = []string{}
	require.Empty(t, p.RequiredScopes())
	for address, ok := range map[string]bool{
		"https://zoom.us/oauth/token": true, "http://localhost:1/x": true, "http://127.0.0.2/x": true, "http://[::1]:9/": true,
		"http://zoom.us/oauth/token": false, "http://127.evil.example/": false, "http://localhost.evil.example": false, "zoom.us/x": false,
		"https://zoom.us/#fragment": false, "ftp://zoom.us/": false, "https:///x": false, ":": false,
	} {
		p.TokenURL = address
		require.Equal(t, ok, p.Validate() == nil, address)
	}
}

// TestSourceOverProvider joins both ends: 429 with a wish is heeded, also by those who
// ask again.
func TestSourceOverProvider(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(429)
	})
	tokens := store.NewMemory()
	require.NoError(t, store.Set(t.Context(), tokens, doctor, store.Token{Refresh: telemed.NewSecret("r1")}))
	s, err := oauth.NewSource(oauth.SourceConfig{Store: tokens, Provider: "zoom", Refresh: e.provider(oauth2.AuthStyleInHeader).Refresh})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Shutdown(context.Background())) }()
	for range 3 {
		_, err = s.Token(t.Context(), doctor)
		require.ErrorIs(t, err, telemed.ErrRateLimited)
	}
	require.Contains(t, err.Error(), "asked again in ")
	require.Len(t, e.posted(), 1)

	require.NoError(t, store.Set(t.Context(), tokens, doctor, store.Token{Refresh: telemed.NewSecret("r2")}))
	_, err = s.Token(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrRateLimited)
	require.Len(t, e.posted(), 2, "a new consent is another matter")
	require.False(t, strings.Contains(err.Error(), "r2"))
}

type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) { return a(req) }

// textOfOAuthError is all that an error may say: nothing in it is the server's but a
// code.
var textOfOAuthError = regexp.MustCompile(`^zoom: Refresh:( \d{3}( \([\w.\[\]-]{1,64}\))?:)? (outcome unknown|grant was rejected|credentials refused|rate limited|invalid request)` +
	`(: the answer was cut or is no token)?$`)

// FuzzTokenResponse answers a refresh with bytes from a stranger.
func FuzzTokenResponse(f *testing.F) {
	f.Add(200, jsonType, []byte(`{"access_token":"a","refresh_token":"b","expires_in":3599,"scope":"x y"}`))
	f.Add(200, "text/plain", []byte(`access_token=a&expires_in=99999999999999999999`))
	f.Add(200, "text/plain", []byte(`{"access_token":"a","expires_in":1e400}`))
	f.Add(200, "text/plain", []byte(`access_token=a&expires_in=9000000000`))
	f.Add(400, jsonType, []byte(`{"reason":"Invalid Token!","error":"invalid_grant"}`))
	f.Add(503, "text/html", []byte(`<h1>`))
	f.Add(200, "application/x-www-form-urlencoded", []byte(`%zz`))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 {
			return
		}
		sent := 0
		p := oauth.Provider{
			Name: "zoom", ClientID: "id", TokenURL: "https://zoom.example/token", AuthStyle: oauth2.AuthStyleInHeader, ExtraFields: []string{"api_url"},
			HTTPClient: &http.Client{Transport: answering(func(req *http.Request) (*http.Response, error) {
				sent++
				return &http.Response{
					StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)), Request: req,
				}, nil
			})},
		}
		begin := time.Now().Add(-time.Second)
		token, err := p.Refresh(t.Context(), store.Token{Refresh: telemed.NewSecret("refresh")})
		require.Equal(t, 1, sent)
		if err != nil {
			require.Regexp(t, textOfOAuthError, err.Error())
			return
		}
		require.False(t, token.Access.IsZero() || token.Refresh.IsZero())
		require.True(t, token.Expiry.After(begin))
		require.True(t, token.Expiry.Before(begin.AddDate(2, 0, 0)))
	})
}

func TestProviderNewSource(t *testing.T) {
	t.Parallel()
	provider := oauth.Provider{Name: "zoom"}
	_, err := provider.NewSource(store.NewMemory(), oauth.Tuning{Early: -1}, nil)
	require.ErrorContains(t, err, "Early is negative")

	source, err := provider.NewSource(store.NewMemory(), oauth.Tuning{Early: time.Minute}, nil)
	require.NoError(t, err)
	_, err = source.Token(t.Context(), store.AccountID{Provider: "zoom", Subject: "dr-rao"})
	require.ErrorIs(t, err, telemed.ErrNotConnected)
	require.NoError(t, source.Shutdown(t.Context()))
}

// The record of an account says if it was its organisation that said no.
func TestAnAdministratorsRefusal(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, reply(400, jsonType, `{"error":"admin_policy_enforced"}`))
	tokens := store.NewMemory()
	require.NoError(t, store.Set(t.Context(), tokens, doctor, store.Token{Refresh: telemed.NewSecret("r1")}))
	s, err := e.provider(oauth2.AuthStyleInHeader).NewSource(tokens, oauth.Tuning{}, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Shutdown(context.Background())) }()
	_, err = s.Token(t.Context(), doctor)
	require.ErrorIs(t, err, telemed.ErrReconnect)
	require.ErrorContains(t, err, "an administrator")
	rec, err := tokens.Get(t.Context(), doctor)
	require.NoError(t, err)
	require.Contains(t, rec.Reason, "an administrator")
	require.Len(t, e.posted(), 2, "it is asked twice")
}
